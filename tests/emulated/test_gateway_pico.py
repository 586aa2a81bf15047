"""The firmware of an emulated Pico and the gateway: registered, observed and set under keys."""

import asyncio
import json
import sys
from pathlib import Path

import aiocoap
import pytest

from emulator.run import Wiring
from keys import make as make_keys

TESTS = Path(__file__).resolve().parents[1]
sys.path.append(str(TESTS / "gateway"))

from parts import ask, client, running  # noqa: E402

LINK_LIMIT_MS = 120_000
LIMIT_S = 240
NAME = "door-1"
PIECE_BYTES = 256
EVENTS = "SELECT value FROM event WHERE source = 'contact' ORDER BY id"
pytestmark = [pytest.mark.emulated, pytest.mark.takes(LIMIT_S)]


def write(python, path, data):
    """Write a file on the Pico."""
    python.exec(f"f = open({path!r}, 'wb')")
    for at in range(0, len(data), PIECE_BYTES):
        python.exec(f"f.write({data[at : at + PIECE_BYTES]!r})")
    python.exec("f.close()")


def test_a_heartbeat_is_changed_through_the_gateway(make_pico, tmp_path):
    made = make_keys.make(NAME, keys=tmp_path / "keys")
    pico = make_pico()
    wiring = Wiring(pico)
    pico.power()
    python = pico.repl()

    async def main():
        async with running(tmp_path) as gateway, client() as person:
            told = json.loads((gateway.settings.data / "operator" / "client.json").read_text())
            person.client_credentials.load_from_dict(told)
            port = gateway.settings.coap_address[1]
            settings = {"name": NAME, "app": "door", "gateway": f"coap://10.0.0.1:{port}"}
            write(python, "config.json", json.dumps(settings).encode())
            for name in ("oscore.json", "oscore.json.numbers"):
                write(python, name, (made / name).read_bytes())
            pico.reset()
            assert await asyncio.to_thread(pico.run_until, lambda: pico.link_up, LINK_LIMIT_MS)
            pico.set_realtime(True)

            async def until(found):
                async with asyncio.timeout(LIMIT_S):
                    while not found():
                        await asyncio.to_thread(pico.run_ms, 20)

            async def asked(method, payload=b""):
                uri = f"{gateway.uri}/n/{NAME}/config"
                task = asyncio.ensure_future(ask(person, uri, method, payload, content_format=50))
                await until(task.done)
                return task.result()

            await until(lambda: gateway.store.read("SELECT 1 FROM last WHERE path='s/contact'"))
            for state in ("open", "close"):
                wiring.command(f"door {state}")
                count = 1 + (state == "close")
                await until(lambda count=count: len(gateway.store.read(EVENTS)) == count)
            assert gateway.store.read(EVENTS) == [(1.0,), (0.0,)]
            assert (await asked("PUT", b'{"heartbeat_s": 77}')).code == aiocoap.CHANGED
            wrong = await asked("PUT", b'{"heartbeat_s": 1}')
            assert wrong.code == aiocoap.BAD_REQUEST and b"heartbeat_s" in wrong.payload
            assert gateway.store.read("SELECT DISTINCT epoch FROM event")[0][0][:4] != "open"

    asyncio.run(main())
    assert b'"heartbeat_s":77' in pico.repl().exec("print(open('config.json').read())").encode()
