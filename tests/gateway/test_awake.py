"""Nodes that are awake: simulated ones register, and what they tell is in the same store."""

import asyncio
import contextlib
import json
import subprocess
import sys

import pytest
from aiocoap.numbers.codes import Code
from parts import ask, client, free_port, running
from tools.gateway import awake
from tools.gateway.awake import Awake

from keys import make as make_keys
from setup.console import ROOT

pytestmark = pytest.mark.takes(60)
EVENTS = "SELECT value FROM event WHERE source = 'contact' ORDER BY id"
PAUSES_S = (0.2, 1.0)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    real = Awake.__init__

    def make(self, *args):
        real(self, *args, pauses_s=PAUSES_S)

    monkeypatch.setattr(Awake, "__init__", make)
    monkeypatch.setattr(awake, "ALIVE_S", 1.0)


async def until(found, wanted=True, limit_s=25):
    """Wait until found() returns what is wanted."""
    async with asyncio.timeout(limit_s):
        while found() != wanted:
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def node(uri, *arguments, app="door", port=None):
    """Run a simulated node that registers at a gateway, if one is named; yield (process, name)."""
    port = port or free_port()
    argv = [sys.executable, "tools/simulator", "--app", app, "--port", str(port)]
    argv += [*(["--rd", uri] if uri else []), *map(str, arguments)]
    process = subprocess.Popen(
        argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, bufsize=0
    )
    try:
        yield process, f"mote-{port}"
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, 20)


def values(gateway, path):
    return gateway.store.read("SELECT value FROM last WHERE path = ?", (path,))


def test_an_awake_door_is_observed_into_store_and_mirror(tmp_path):
    async def main():
        async with running(tmp_path) as gateway, client() as anybody:
            async with node(gateway.uri) as (process, name):
                await until(lambda: values(gateway, "s/contact"), [(0,)])
                process.stdin.write(b"door open\n")
                await until(lambda: gateway.store.read(EVENTS), [(1.0,)])
                process.stdin.write(b"door close\ndoor open\n")
                await until(lambda: gateway.store.read(EVENTS), [(1.0,), (0.0,), (1.0,)])
                await until(lambda: values(gateway, "s/batt"), [(83,)])
                response = await ask(anybody, f"{gateway.uri}/n/{name}/s/contact")
                assert response.payload == b"open"
                assert (
                    await ask(anybody, f"{gateway.uri}/n/{name}/config", "PUT", b"{}")
                ).code == Code.UNAUTHORIZED

    asyncio.run(main())


def test_a_wearables_readings_come_by_themselves(tmp_path):
    async def main():
        async with running(tmp_path) as gateway, node(gateway.uri, app="wearable"):
            for path in ("s/temp", "s/steps", "s/hr"):
                await until(lambda path=path: bool(values(gateway, path)))

    asyncio.run(main())


def test_the_gateway_restarts_and_no_event_is_lost_or_stored_twice(tmp_path):
    async def main():
        port = free_port()
        settings = {"coap": f"127.0.0.1:{port}"}
        async with node(f"coap://127.0.0.1:{port}") as (process, name):
            async with running(tmp_path, **settings) as gateway:
                await until(lambda: values(gateway, "s/contact"), [(0,)])
                process.stdin.write(b"door open\n")
                await until(lambda: gateway.store.read(EVENTS), [(1.0,)])
            process.stdin.write(b"door close\ndoor open\ndoor close\n")
            await asyncio.sleep(1)
            async with running(tmp_path, **settings) as gateway:
                wanted = [(1.0,), (0.0,), (1.0,), (0.0,)]
                await until(lambda: gateway.store.read(EVENTS), wanted)
                process.stdin.write(b"door open\n")
                await until(lambda: gateway.store.read(EVENTS), [*wanted, (1.0,)])
                assert gateway.store.read("SELECT 1 FROM gap") == []

    asyncio.run(main())


def test_the_node_restarts_and_is_observed_again(tmp_path):
    async def main():
        async with running(tmp_path) as gateway:
            port = free_port()
            for count in (1, 2):
                async with node(gateway.uri, port=port) as (process, _):
                    await until(lambda: bool(values(gateway, "s/contact")))
                    await asyncio.sleep(0.5)
                    process.stdin.write(b"door open\n")
                    await until(lambda count=count: len(gateway.store.read(EVENTS)), count)
            assert len(gateway.store.read("SELECT DISTINCT epoch FROM event")) == 2

    asyncio.run(main())


def test_a_node_with_keys_is_observed_and_written_to_under_them(tmp_path):
    async def main():
        port = free_port()
        name = f"mote-{port}"
        made = make_keys.make(name, keys=tmp_path / "keys")
        async with running(tmp_path) as gateway, client() as person:
            told = json.loads((gateway.settings.data / "operator" / "client.json").read_text())
            person.client_credentials.load_from_dict(told)
            arguments = ("--oscore", made / "oscore.json")
            async with node(gateway.uri, *arguments, port=port) as (process, _):
                await until(lambda: values(gateway, "s/contact"), [(0,)])
                uri = f"{gateway.uri}/n/{name}/config"
                response = await ask(person, uri, "PUT", b'{"heartbeat_s": 77}', content_format=50)
                assert response.code == Code.CHANGED
                response = await ask(person, uri, "PUT", b"{", content_format=50)
                assert response.code == Code.BAD_REQUEST and b"JSON" in response.payload

    asyncio.run(main())


def test_a_node_that_is_gone_is_overdue_and_found_when_it_is_back(tmp_path):
    async def main():
        async with running(tmp_path) as gateway, client() as anybody:
            port = free_port()
            async with node(gateway.uri, port=port) as (_, name):
                await until(lambda: bool(values(gateway, "s/contact")))
            uri = f"{gateway.uri}/n/{name}/state"
            real = gateway.mirror._now
            gateway.mirror._now = lambda: real() + 100
            assert (await ask(anybody, uri)).payload.startswith(b"overdue")
            gateway.mirror._now = real
            async with node(None, port=port):
                heard = gateway.store.read("SELECT heard FROM node")
                await until(lambda: gateway.store.read("SELECT heard FROM node") != heard)

    asyncio.run(main())
