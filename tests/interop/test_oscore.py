"""OSCORE with implementations that are not ours: aiocoap and libcoap, both ways."""

import asyncio
import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import aiocoap
import pytest
from aiocoap.credentials import CredentialsMap
from aiocoap.oscore_sitewrapper import OscoreSiteWrapper
from aiocoap.resource import Resource, Site
from libcoapclient import messages_in
from processes import HOST, free_port, running, simulated

import keys as node_keys
import make_keys
from coap.context import Context
from coap.defaults import Node, usual
from coap.numbers import CONTENT, SENML_CBOR
from coap.oscore import Oscore
from coap.report import Report
from coap.transports.udp import Udp, peer
from setup import libcoap

INTERPRETERS = ("micropython", "cpython")
TRANSPORTS = ["oscore", "udp6" if sys.platform == "linux" else "simple6"]
PATIENCE_S = 15
PACK = bytes.fromhex("81a20064646f6f7204f5")  # [{0: "door", 4: true}]


@pytest.fixture
def made(tmp_path):
    """The folder of a node's keys, as `make keys` writes it."""
    return make_keys.make("door-1", keys=tmp_path / "keys")


@pytest.fixture(params=INTERPRETERS)
def secured(request, made):
    """(a simulated node with keys, their folder)"""
    with simulated(request.param, "door", "--oscore", str(made / "oscore.json")) as process:
        yield process, made


def requests(made, url, *messages):
    """What aiocoap's client gets for messages under these keys, one after the other."""

    async def run():
        context = await aiocoap.Context.create_client_context(transports=TRANSPORTS)
        credentials = json.loads((made / "client.json").read_text())
        context.client_credentials.load_from_dict(credentials)
        found = []
        try:
            for code, path, payload in messages:
                message = aiocoap.Message(code=code, uri=url + path, payload=payload)
                if code == aiocoap.PUT:
                    message.opt.content_format = 50
                async with asyncio.timeout(PATIENCE_S):
                    found.append(await context.request(message).response)
        finally:
            await context.shutdown()
        return found

    return asyncio.run(run())


def openly(url, code, path, payload=b""):
    """What a stranger gets."""
    from aiocoapclient import request

    return request(url + path, code, payload)


def test_aiocoap_client(secured):
    node, made = secured
    config = b'{"heartbeat_s": 77}'
    assert openly(node.url, aiocoap.PUT, "/config", config).code == aiocoap.UNAUTHORIZED
    assert openly(node.url, aiocoap.GET, "/s/contact").code == aiocoap.CONTENT
    answers = requests(
        made,
        node.url,
        (aiocoap.GET, "/s/contact", b""),
        (aiocoap.PUT, "/config", config),
        (aiocoap.GET, "/config", b""),
        (aiocoap.GET, "/.well-known/core", b""),
        (aiocoap.GET, "/diag", b""),
        (aiocoap.GET, "/no/such", b""),
    )
    codes = [str(answer.code)[:4] for answer in answers]
    assert codes == ["2.05", "2.04", "2.05", "2.05", "2.05", "4.04"]
    assert answers[0].payload == b"closed" or answers[0].payload
    assert json.loads(answers[2].payload)["heartbeat_s"] == 77
    assert b"</config>" in answers[3].payload
    assert b"oscore: 1 contexts" in answers[4].payload
    assert all("OSCORE" in type(answer.remote).__name__.upper() for answer in answers)


def test_aiocoap_observes(secured):
    node, made = secured

    async def run():
        context = await aiocoap.Context.create_client_context(transports=TRANSPORTS)
        context.client_credentials.load_from_dict(json.loads((made / "client.json").read_text()))
        message = aiocoap.Message(code=aiocoap.GET, uri=node.url + "/s/contact", observe=0)
        request = context.request(message)
        found = []
        try:
            async with asyncio.timeout(PATIENCE_S):
                found.append((await request.response).payload)
                told = aiter(request.observation)
                for line in ("door open", "door close", "door open"):
                    await asyncio.to_thread(node.tell, line)
                    found.append((await anext(told)).payload)
        finally:
            await context.shutdown()
        return found

    found = asyncio.run(run())
    assert found[1] == found[3] != found[0] == found[2]


def test_a_restart_asks_aiocoap_for_an_echo(made):
    program = Path(sys.executable).with_name("aiocoap-client")
    for _ in range(3):
        with simulated("micropython", "door", "--oscore", str(made / "oscore.json")) as node:
            command = [program, "--credentials", made / "client.json", node.url + "/config"]
            command += ["-m", "PUT", "--content-format", "application/json"]
            command += ["--payload", '{"heartbeat_s": 66}']
            for _ in range(2):
                done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
                assert done.returncode == 0, done.stderr
            assert openly(node.url, aiocoap.PUT, "/config", b"{}").code == aiocoap.UNAUTHORIZED


# libcoap


def conf(path, made, own="recipient_id", other="sender_id"):
    """libcoap's configuration of the gateway's end, or of the node's."""
    node = json.loads((made / "oscore.json").read_text())
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
    command = [*libcoap.command(libcoap.CLIENT), "-v", "8", "-B", "6", "-m", method]
    command += ["-E", f"{file},{tmp_path / 'seq'}", "-o", out, *arguments, url]
    command = [str(word) for word in command]
    done = subprocess.run(command, capture_output=True, timeout=PATIENCE_S)
    printed = (done.stdout + done.stderr).decode(errors="backslashreplace")
    return out.read_bytes() if out.exists() else b"", printed


def test_libcoap_client(secured, tmp_path):
    node, made = secured
    payload, printed = libcoap_request(made, tmp_path, node.url + "/config")
    assert json.loads(payload)["name"] == "mote", printed
    assert all("Oscore" in message.option or message.code for message in messages_in(printed))
    config = "%7B%22heartbeat_s%22:88%7D"
    _, printed = libcoap_request(
        made, tmp_path, node.url + "/config", "-t", "50", "-e", config, method="put"
    )
    assert "2.04" in printed, printed
    payload, printed = libcoap_request(made, tmp_path, node.url + "/config")
    assert json.loads(payload)["heartbeat_s"] == 88, printed
    # more than one block inside
    payload, printed = libcoap_request(made, tmp_path, node.url + "/diag", "-b", "64")
    assert b"oscore: 1 contexts" in payload, printed


class Asker:
    """A node of ours with keys, in this process."""

    def __init__(self, made, port, *features):
        (entry,) = node_keys.load(str(made / "oscore.json"))
        ids = entry["sender_id"], entry["recipient_id"]
        context = Context(entry["secret"], *ids, entry["salt"], entry["id_context"])
        self.node = Node(*usual(requests=2), Oscore([context]), *features)
        self.server = peer(HOST, port)
        self.node.secure.bind(self.server, context)
        self.udp = Udp(self.node, HOST, free_port())
        self.told = []

    def take(self, response):
        self.told.append((response.code, response.payload_bytes(), str(response)))

    def until(self, is_so):
        deadline = time.monotonic() + PATIENCE_S
        while not is_so():
            assert time.monotonic() < deadline, self.told
            self.udp.step(20)

    def result(self, call):
        before = len(self.told)
        call.tell(self.take)
        call.into = bytearray(8192)
        self.until(lambda: len(self.told) > before)
        return self.told[-1][:2]


def test_our_client_and_libcoaps_server(made, tmp_path):
    port = free_port()
    file = conf(tmp_path / "server.conf", made)
    command = [*libcoap.command(libcoap.SERVER), "-A", HOST, "-p", port, "-d", 10, "-v", 7]
    command += ["-E", f"{file},{tmp_path / 'server-seq'}"]
    with running("libcoap's server with OSCORE", command, port):
        asker = Asker(made, port)
        try:
            client = asker.node.client
            assert asker.result(client.get(asker.server, ".well-known/core"))[0] == CONTENT
            long = bytes(range(256)) * 10
            assert asker.result(client.put(asker.server, "long", long))[0] < 0x60
            assert asker.result(client.get(asker.server, "long")) == (CONTENT, long)
            asker.told.clear()
            call = client.observe(asker.server, "long", asker.take)
            asker.until(lambda: asker.told)
            client.put(asker.server, "long", b"new")
            asker.until(lambda: asker.told[-1][1] == b"new")
            client.cancel(call)
            asker.until(lambda: not client.used)
        finally:
            asker.udp.close()


# The report to an aiocoap server


class Mailbox(Resource):
    def __init__(self, reports):
        super().__init__()
        self.reports = reports

    async def render_post(self, request):
        self.reports.append((request.payload, request.remote.authenticated_claims))
        return aiocoap.Message(code=aiocoap.CHANGED)


class SecuredReceiver:
    """aiocoap's server with the gateway's keys, in this process' loop of another thread."""

    def __init__(self, made):
        self.made = made
        self.port = free_port()
        self.reports = []
        self.ready = threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self.run()))

    async def run(self):
        self.loop = asyncio.get_running_loop()
        self.end = asyncio.Event()
        site = Site()
        site.add_resource(["r", "door-1"], Mailbox(self.reports))
        credentials = CredentialsMap()
        credentials.load_from_dict(json.loads((self.made / "server.json").read_text()))
        context = await aiocoap.Context.create_server_context(
            OscoreSiteWrapper(site, credentials), bind=(HOST, self.port), transports=TRANSPORTS
        )
        context.server_credentials = credentials
        self.ready.set()
        await self.end.wait()
        await context.shutdown()

    def __enter__(self):
        self.thread.start()
        assert self.ready.wait(10)
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.end.set)
        self.thread.join(10)
        assert not self.thread.is_alive()


def test_report_to_aiocoap(made):
    (made / "gateway" / "sequence.json").write_text(
        json.dumps({"next-to-send": 100, "received": "unknown"})
    )  # it has lost its window: an Echo first
    with SecuredReceiver(made) as receiver:
        report = Report(peer(HOST, receiver.port), "door-1")
        asker = Asker(made, receiver.port, report)
        try:
            for _ in range(2):
                report.send(PACK, content_format=SENML_CBOR)
                asker.until(lambda: not report.busy)
                assert report.released, report.error
        finally:
            asker.udp.close()
    assert [payload for payload, _ in receiver.reports] == [PACK, PACK]
    assert all(claims for _, claims in receiver.reports), "they did not come under OSCORE"


def test_wrong_keys_are_told_of(made, tmp_path):
    other = make_keys.make("other", keys=tmp_path / "others")
    with SecuredReceiver(other) as receiver:
        report = Report(peer(HOST, receiver.port), "door-1")
        asker = Asker(made, receiver.port, report)
        try:
            report.send(PACK)
            asker.until(lambda: not report.busy)
        finally:
            asker.udp.close()
    assert report.error == "not under OSCORE" and receiver.reports == []
