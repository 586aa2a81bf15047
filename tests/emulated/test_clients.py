"""Other people's clients against real firmware, in real time: libcoap's and aiocoap's."""

import asyncio
import subprocess
import sys
from pathlib import Path

import aiocoap
import pytest
from pico_client import HOST, await_node

from emulator import run
from emulator.pico import Pico

sys.path.append(str(Path(__file__).resolve().parent.parent / "interop"))

import aiocoapclient  # noqa: E402
import libcoapclient  # noqa: E402
from processes import program  # noqa: E402

pytestmark = pytest.mark.emulated
NOTIFICATION_LIMIT_S = 60
WATCH_S = 60
BLOCK_BYTES = 64
PATHS = ("/s/contact", "/s/temp", "/s/accel", "/diag", "/config")


@pytest.fixture(scope="module")
def live(image):
    """A Pico whose node responds, in real time."""
    with Pico(image) as pico:
        pico.wiring = run.Wiring(pico)
        pico.power()
        await_node(pico)
        pico.url = f"coap://{HOST}:{pico.udp_port}"
        pico.set_realtime(True)
        yield pico


@pytest.mark.parametrize("non", (False, True))
def test_gets_of_both_clients(live, non):
    theirs = libcoapclient.request(live.url + "/s/contact", non=non)
    assert theirs.response.code == "2.05" and theirs.payload.strip() == b"closed"
    other = aiocoapclient.request(live.url + "/s/temp", non=non)
    assert other.code == aiocoap.CONTENT and other.payload == b"36.60"
    missing = aiocoapclient.request(live.url + "/nowhere", non=non)
    assert missing.code == aiocoap.NOT_FOUND


def test_discovery_finds_the_whole_node_at_any_size_of_the_blocks(live):
    whole = aiocoapclient.request(live.url + "/.well-known/core")
    links = aiocoapclient.links(whole)
    assert set(PATHS) <= set(links)
    assert "obs" in links["/s/contact"]
    blocks = libcoapclient.request(live.url + "/.well-known/core", more=("-b", f"0,{BLOCK_BYTES}"))
    assert blocks.payload.strip() == whole.payload
    received = [m for m in blocks.messages if m.way == "received" and m.code == "2.05"]
    assert len(received) >= len(whole.payload) // BLOCK_BYTES > 4


def test_aiocoap_observes_the_reed_contact(live):
    asyncio.run(_observe(live))


async def _observe(live):
    live.wiring.command("door close")
    context = await aiocoap.Context.create_client_context(transports=aiocoapclient.TRANSPORTS)
    message = aiocoap.Message(code=aiocoap.GET, uri=live.url + "/s/contact", observe=0)
    request = context.request(message)
    try:
        async with asyncio.timeout(NOTIFICATION_LIMIT_S):
            assert (await request.response).payload == b"closed"
            notifications = aiter(request.observation)
            for line, payload in (("door open", b"open"), ("door close", b"closed")):
                live.wiring.command(line)
                while (await anext(notifications)).payload != payload:
                    pass
    finally:
        await context.shutdown()


def test_libcoap_observes_the_reed_contact(live):
    live.wiring.command("door close")
    client = program("coap-client-notls", "coap-client", package="libcoap3-bin")
    command = [client, "-s", str(WATCH_S), "-B", str(WATCH_S), live.url + "/s/contact"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as watching:
        try:
            _read_until(watching.stdout, b"closed")
            live.wiring.command("door open")
            _read_until(watching.stdout, b"open")
            live.wiring.command("door close")
            _read_until(watching.stdout, b"closed")
        finally:
            watching.terminate()


def _read_until(stream, payload):
    """Read on until `payload` has come; the client ends by itself when it does not."""
    read = b""
    while not read.endswith(payload):
        byte = stream.read(1)
        assert byte, (payload, read)
        read += byte
