"""aiocoap's and libcoap's clients under OSCORE, with the keys that `make keys` wrote."""

import asyncio
import contextlib
import json
import subprocess
import sys

import aiocoap

from setup import packages

TRANSPORTS = ["oscore", "udp6" if sys.platform == "linux" else "simple6"]
PATIENCE_S = 60


def gateway(made):
    """The folder of the gateway's keys."""
    (folder,) = made.glob("gateway-*")
    return folder


@contextlib.asynccontextmanager
async def client(made):
    """aiocoap's client with these keys, which nobody holds afterwards."""
    context = await aiocoap.Context.create_client_context(transports=TRANSPORTS)
    credentials = json.loads((made / "client.json").read_text())
    context.client_credentials.load_from_dict(credentials)
    try:
        yield context
    finally:
        await context.shutdown()
        for keys in context.client_credentials.values():
            keys._destroy()  # notes the numbers; without it the answers would keep the lock


def requests(made, url, *messages):
    """What aiocoap's client gets for messages under these keys, one after the other."""

    async def run():
        found = []
        async with client(made) as context:
            for code, path, payload in messages:
                message = aiocoap.Message(code=code, uri=url + path, payload=payload)
                if code == aiocoap.PUT:
                    message.opt.content_format = 50
                async with asyncio.timeout(PATIENCE_S):
                    found.append(await context.request(message).response)
        return found

    return asyncio.run(run())


def watch(made, url, changes):
    """The payloads that aiocoap's client observes under these keys: the first one, then what comes
    after each of `changes`, functions, until it differs.
    """

    async def run():
        async with client(made) as context, asyncio.timeout(PATIENCE_S):
            asked = context.request(aiocoap.Message(code=aiocoap.GET, uri=url, observe=0))
            found = [(await asked.response).payload]
            told = aiter(asked.observation)
            for change in changes:
                await asyncio.to_thread(change)
                while (payload := (await anext(told)).payload) == found[-1]:
                    pass
                found.append(payload)
            return found

    return asyncio.run(run())


def conf(path, made, own="recipient_id", other="sender_id"):
    """libcoap's configuration of the gateway's end, or of the node's."""
    node, _ = json.loads((made / "oscore.json").read_text())
    lines = [f'master_secret,hex,"{node["secret"]}"', f'master_salt,hex,"{node["salt"]}"']
    lines += [f'sender_id,hex,"{node[own]}"', f'recipient_id,hex,"{node[other]}"']
    if "id_context" in node:
        lines.append(f'id_context,hex,"{node["id_context"]}"')
    path.write_text("\n".join(lines) + "\n")
    return path


def libcoap_request(made, tmp_path, url, *arguments, method="get"):
    """(payload, transcript) of libcoap's client under OSCORE."""
    file = conf(tmp_path / "client.conf", made)
    out = tmp_path / "out"
    out.unlink(missing_ok=True)
    command = [*packages.libcoap(packages.LIBCOAP_CLIENT), "-v", "8", "-B", "50", "-m", method]
    command += ["-E", f"{file},{tmp_path / 'seq'}", "-o", out, *arguments, url]
    command = [str(word) for word in command]
    done = subprocess.run(command, capture_output=True, timeout=PATIENCE_S)
    printed = (done.stdout + done.stderr).decode(errors="backslashreplace")
    return out.read_bytes() if out.exists() else b"", printed
