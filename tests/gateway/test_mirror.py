"""The mirror: what it responds for nodes that sleep, to which clients, and when one is overdue."""

import asyncio
import json
import subprocess
import sys

import aiocoap
import cbor2
import pytest
from aiocoap.numbers.codes import Code
from parts import EUI, ask, client, report, run, running

from setup import packages
from setup.console import ROOT

CLOSED = (("contact", False), ("batt", 83.0, 0, "%EL"), ("beat", 3600))
OPENED = (("contact", True, 5), ("contact_n", 7), ("epoch", "0a0b0c0d"))


async def adopt(gateway):
    def change(connection):
        connection.execute("UPDATE node SET state = 'adopted'")

    await gateway.store.write(change)


def later(gateway, seconds):
    """Let the mirror's clock go ahead of the computer's."""
    real = gateway.clock.now
    gateway.mirror._now = lambda: real() + seconds


# Values


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        (None, b"closed"), (0, b"closed"), (50, b"false"), (60, b"\xf4"),
        (40, None), (11542, None),
    ],
)  # fmt: skip
def test_a_value_in_the_format_that_is_accepted(tmp_path, accept, wanted):
    async def main():
        async with running(tmp_path) as gateway, client() as context:
            await report(context, gateway, *CLOSED)
            options = {} if accept is None else {"accept": accept}
            response = await ask(context, gateway.uri + "/n/door-1/s/contact", **options)
            if wanted is None:
                assert response.code == Code.NOT_ACCEPTABLE
            else:
                assert (response.code, response.payload) == (Code.CONTENT, wanted)
                assert response.opt.content_format == (accept or 0)

    run(main())


@pytest.mark.parametrize("accept", [110, 112])
def test_senml_has_the_time_at_which_the_value_was_true(tmp_path, accept):
    async def main():
        async with running(tmp_path) as gateway, client() as context:
            now = gateway.clock.now()
            await report(context, gateway, ("contact", True, 100), ("contact_n", 1))
            uri = gateway.uri + "/n/door-1/s/contact"
            (record,) = (json.loads if accept == 110 else cbor2.loads)(
                (await ask(context, uri, accept=accept)).payload
            )
            named = ("bn", "n", "t", "vb") if accept == 110 else (-2, 0, 6, 4)
            base, name, at, value = (record[one] for one in named)
            assert (base, name, value) == (f"urn:dev:mac:{EUI}:", "contact", True)
            assert at == pytest.approx(now - 100, abs=3)

    run(main())


def test_a_value_is_fresh_until_the_next_report_is_due(tmp_path):
    async def main():
        async with running(tmp_path) as gateway, client() as context:
            await report(context, gateway, *CLOSED)
            uri = gateway.uri + "/n/door-1/s/contact"
            first = await ask(context, uri)
            assert 3590 <= first.opt.max_age <= 3600
            again = await ask(context, uri, etags=[first.opt.etag])
            assert again.code == Code.VALID and again.payload == b""
            await report(context, gateway, *OPENED)
            changed = await ask(context, uri, etags=[first.opt.etag])
            assert changed.code == Code.CONTENT and changed.payload == b"open"

    run(main())


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/n/door-2/s/contact", Code.NOT_FOUND),
        ("/n/door-1/s/hr", Code.NOT_FOUND),
        ("/n/door-1/nothing/at/all", Code.NOT_FOUND),
        ("/n/door-1", Code.CONTENT),
        ("/n", Code.CONTENT),
        ("/n?rt=mote.door", Code.CONTENT),
        ("/n?page=x", Code.BAD_REQUEST),
        ("/nothing", Code.NOT_FOUND),
    ],
)
def test_what_there_is_and_what_not(tmp_path, path, code):
    async def main():
        async with running(tmp_path) as gateway, client() as context:
            await report(context, gateway, *CLOSED)
            assert (await ask(context, gateway.uri + path)).code == code

    run(main())


def test_nodes_and_their_resources_are_listed(tmp_path):
    async def main():
        async with running(tmp_path) as gateway, client() as context:
            await report(context, gateway, *CLOSED)
            await report(context, gateway, ("hr", 70), ("beat", 60), ep="band", eui="1" * 16)

            async def listed(path):
                return (await ask(context, gateway.uri + path)).payload.decode()

            assert await listed("/n?rt=mote.door") == '</n/door-1>;rt="mote.node mote.door";ct=40'
            assert (await listed("/n?count=1")).count("</n/") == 1
            assert "</n/door-1>" in await listed("/n?count=1&page=1")
            resources = await listed("/n/door-1")
            assert '</n/door-1/s/contact>;ct="0 50 60 110 112";obs' in resources
            assert "</n/door-1/state>" in resources
            core = await listed("/.well-known/core")
            assert "</n/band>" in core and "</n/door-1/s/contact>" not in core

    run(main())


# Overdue


def test_of_an_overdue_node_the_last_value_is_told_as_such(tmp_path):
    async def main():
        async with running(tmp_path) as gateway, client() as context:
            await report(context, gateway, *CLOSED)
            later(gateway, 2.5 * 3600 + 70)
            uri = gateway.uri + "/n/door-1/s/contact"
            response = await ask(context, uri)
            assert response.code == Code.GATEWAY_TIMEOUT and response.opt.max_age == 0
            assert response.payload == b"last heard 2 h 31 min ago: closed"
            stale = await ask(context, uri + "?stale")
            assert (stale.code, stale.payload) == (Code.CONTENT, b"closed")
            state = await ask(context, gateway.uri + "/n/door-1/state")
            assert state.payload.startswith(b"overdue, heard 2 h 31 min ago")

    run(main())


def test_observers_are_sent_no_error_but_the_state(tmp_path):
    async def main():
        async with running(tmp_path) as gateway, client() as context:
            await report(context, gateway, *CLOSED)
            await adopt(gateway)

            async def observe(path):
                message = aiocoap.Message(
                    code=Code.GET, uri=f"{gateway.uri}/n/door-1/{path}", observe=0
                )
                asked = context.request(message)
                kept.append(asked)  # aiocoap ends an observation that nobody holds
                return await asked.response, aiter(asked.observation)

            kept = []
            value, values = await observe("s/contact")
            state, states = await observe("state")
            assert (value.payload, state.payload[:7]) == (b"closed", b"on time")
            later(gateway, 3 * 3600)
            assert (await asyncio.wait_for(anext(states), 15)).payload.startswith(b"overdue")
            gateway.mirror._now = gateway.clock.now
            await report(context, gateway, *OPENED)
            assert (await asyncio.wait_for(anext(values), 5)).payload == b"open"
            assert (await asyncio.wait_for(anext(states), 5)).payload.startswith(b"on time")

    run(main())


def test_values_need_keys_where_that_is_asked_for(tmp_path):
    async def main():
        async with running(tmp_path, read="keys") as gateway, client() as context:
            await report(context, gateway, *CLOSED)
            for path in ("/n", "/n/door-1/s/contact"):
                assert (await ask(context, gateway.uri + path)).code == Code.UNAUTHORIZED

    run(main())


@pytest.mark.parametrize("number", [9, 2049, 65001])
def test_an_unknown_critical_option_is_named(tmp_path, number):
    async def main():
        async with running(tmp_path) as gateway, client() as context:
            message = aiocoap.Message(code=Code.GET, uri=gateway.uri + "/n")
            option = aiocoap.optiontypes.OpaqueOption(number, b"x")
            message.opt.add_option(option)
            response = await context.request(message).response
            assert response.code == Code.BAD_OPTION

    run(main())


# Clients that are not ours, and ours


def command(argv):
    """Return what a program prints."""
    done = subprocess.run(
        [str(word) for word in argv], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    return done.stdout + done.stderr


def of_libcoap(uri):
    program = packages.libcoap(packages.LIBCOAP_CLIENT)
    return command([*program, "-B", "10", "-m", "get", uri])


def of_aiocoap(uri):
    return command([ROOT / ".venv/bin/aiocoap-client", uri])


def of_node(uri):
    wish = {"url": uri, "method": "GET", "payload": "", "confirmable": True, "options": {},
            "patience_ms": 10000}  # fmt: skip
    said = command(["node", "tools/js/coap_request.cjs", json.dumps(wish)])
    import base64

    return base64.b64decode(json.loads(said)["payload"]).decode()


MOTE = """
import sys, time
sys.path[:0] = ["lib", "tools/cpython"]
from coap.presets import Node, default_extensions
from coap.transports.udp import Udp, peer
node = Node(*default_extensions(requests=1))
udp = Udp(node, "127.0.0.1", 0)
told = []
end_s = time.monotonic() + 20
def take(response):
    print(response.payload_bytes().decode())
    told.append(1)
call = node.client.get(peer(sys.argv[1], int(sys.argv[2])), sys.argv[3], take)
call.into = bytearray(8192)
while not told and time.monotonic() < end_s:
    udp.step(20)
"""


def of_mote(uri):
    host, _, rest = uri.removeprefix("coap://").partition(":")
    port, _, path = rest.partition("/")
    return command([sys.executable, "-c", MOTE, host, port, path])


@pytest.mark.parametrize("ask_with", [of_libcoap, of_aiocoap, of_node, of_mote])
def test_any_client_reads_values_and_long_lists(tmp_path, ask_with):
    async def main():
        async with running(tmp_path) as gateway, client() as context:
            for i in range(18):
                await report(context, gateway, *CLOSED, ep=f"a-door-{i}", eui=f"{i:016x}")
            said = await asyncio.to_thread(ask_with, gateway.uri + "/n/a-door-3/s/contact")
            assert "closed" in said
            listing = await asyncio.to_thread(ask_with, gateway.uri + "/n")
            assert listing.count("</n/a-door-") == 18, listing

    run(main())


def test_make_discover_shows_the_nodes(tmp_path):
    async def main():
        async with running(tmp_path) as gateway, client() as context:
            await report(context, gateway, *CLOSED)
            host, port = gateway.settings.coap_address
            argv = [sys.executable, "tools/host", "discover", "--host", host, "--port", port]
            said = await asyncio.to_thread(command, argv)
            assert "/n/door-1" in said and "mote.door" in said

    run(main())
