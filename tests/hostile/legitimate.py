"""Clients that deserve to be served, by aiocoap: `legitimate.py URL KEYS-FOLDER`.

Two that have no keys poll, one with keys polls, writes the settings, and uploads them in blocks.
One of each kind observes the door, and newcomers want to. At the end of stdin a line of JSON tells
how it went: for each kind of request how many were sent and how many got their response, for each
observer [time, payload] of its notifications.
"""

import asyncio
import contextlib
import json
import random
import sys
import time
from pathlib import Path

import aiocoap

TESTS = Path(__file__).resolve().parent.parent
sys.path += [str(TESTS / "interop"), str(TESTS.parent / "tools")]

from oscoreclient import client  # noqa: E402

PATIENCE_S = 20  # more than three transmissions of a confirmable message take
PAUSE_S = 0.7
STAY_S = 5
OPEN_PATHS = ("/s/contact", "/s/batt", "/.well-known/core", "/s/contact")
BLOCK_BYTES = 64
UPLOAD = b'{"heartbeat_s": %d}' + b" " * 200


class Tally:
    """Requests of each kind: sent, and served."""

    def __init__(self):
        self.sent = {}
        self.served = {}
        self.failures = {}

    async def ask(self, kind, context, code, url, payload=b"", **options):
        """Send one request; return its response, None without a good one."""
        message = aiocoap.Message(code=code, uri=url, payload=payload)
        if payload:
            message.opt.content_format = 50
        in_blocks = options.pop("block1", None)
        message.opt.block1 = in_blocks
        self.sent[kind] = self.sent.get(kind, 0) + 1
        try:
            async with asyncio.timeout(PATIENCE_S):
                found = context.request(message, handle_blockwise=in_blocks is None)
                response = await found.response
        except (TimeoutError, aiocoap.error.Error) as error:
            self.failed(kind, type(error).__name__)
            return None
        if not response.code.is_successful():
            self.failed(kind, str(response.code))
            return None
        self.served[kind] = self.served.get(kind, 0) + 1
        return response

    def failed(self, kind, why):
        """Count a failure by its reason."""
        name = f"{kind}: {why}"
        self.failures[name] = self.failures.get(name, 0) + 1


async def poll(tally, context, url):
    """Read what is open."""
    while True:
        for path in OPEN_PATHS:
            await tally.ask("open", context, aiocoap.GET, url + path)
            await asyncio.sleep(random.uniform(PAUSE_S / 2, PAUSE_S))


async def administer(tally, context, url):
    """Read and write what takes keys, and upload the settings in blocks."""
    heartbeat_s = 60
    while True:
        for path in ("/config", "/s/contact", "/.well-known/core"):
            await tally.ask("oscore", context, aiocoap.GET, url + path)
            await asyncio.sleep(PAUSE_S / 2)
        heartbeat_s = 60 + (heartbeat_s + 1) % 100
        body = b'{"heartbeat_s": %d}' % heartbeat_s
        await tally.ask("oscore", context, aiocoap.PUT, url + "/config", body)
        await asyncio.sleep(PAUSE_S / 2)
        await upload(tally, context, url, UPLOAD % heartbeat_s)


async def upload(tally, context, url, body):
    """Write the settings in blocks."""
    szx = BLOCK_BYTES.bit_length() - 5
    last = (len(body) - 1) // BLOCK_BYTES
    for number in range(last + 1):
        piece = body[number * BLOCK_BYTES :][:BLOCK_BYTES]
        block1 = (number, number < last, szx)
        if not await tally.ask(
            "upload", context, aiocoap.PUT, url + "/config", piece, block1=block1
        ):
            return


async def observe(tally, context, url, kind, notices):
    """Observe the door for as long as it lasts; register again when it ends."""
    while True:
        message = aiocoap.Message(code=aiocoap.GET, uri=url + "/s/contact", observe=0)
        with contextlib.suppress(TimeoutError, aiocoap.error.Error):
            asked = context.request(message)
            async with asyncio.timeout(PATIENCE_S):
                response = await asked.response
            notices.append([time.monotonic(), response.payload.decode()])
            if response.opt.observe is None:
                tally.failed(kind, "no Observe")
            else:
                async for response in asked.observation:
                    notices.append([time.monotonic(), response.payload.decode()])
        tally.failed(kind, "ended")
        await asyncio.sleep(1)


async def come_and_go(tally, context, url, kind):
    """Begin to observe the lid, and end it, as a program does that is started again and again."""
    while True:
        message = aiocoap.Message(code=aiocoap.GET, uri=url + "/s/tamper", observe=0)
        tally.sent[kind] = tally.sent.get(kind, 0) + 1
        try:
            asked = context.request(message)
            async with asyncio.timeout(PATIENCE_S):
                response = await asked.response
            if response.opt.observe is None:
                tally.failed(kind, "no Observe")
            else:
                tally.served[kind] = tally.served.get(kind, 0) + 1
            if not asked.observation.cancelled:  # ended by an error; aiocoap takes one cancel()
                asked.observation.cancel()
        except (TimeoutError, aiocoap.error.Error) as error:
            tally.failed(kind, type(error).__name__)
        await asyncio.sleep(STAY_S)


async def main(url, folder):
    """Run until stdin ends."""
    tally = Tally()
    notices = {"open observer": [], "oscore observer": []}
    plain = [await aiocoap.Context.create_client_context() for _ in range(3)]
    async with client(Path(folder)) as secured:
        tasks = [asyncio.create_task(poll(tally, context, url)) for context in plain[:2]]
        tasks.append(asyncio.create_task(administer(tally, secured, url)))
        for kind, context in zip(notices, (plain[2], secured)):
            newcomer = come_and_go(tally, context, url, kind.split()[0] + " newcomer")
            tasks.append(asyncio.create_task(newcomer))
            tasks.append(asyncio.create_task(observe(tally, context, url, kind, notices[kind])))
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.read)
        # what is under way ends with exceptions that aiocoap can not tell to anybody
        asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
        for task in tasks:
            task.cancel()
        for ended in await asyncio.gather(*tasks, return_exceptions=True):
            if not isinstance(ended, asyncio.CancelledError):
                raise ended  # a client that ended by itself has measured nothing since
    for context in plain:
        await context.shutdown()
    found = {"sent": tally.sent, "served": tally.served, "failures": tally.failures}
    print(json.dumps({**found, "notices": notices}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
