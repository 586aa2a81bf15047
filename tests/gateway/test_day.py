"""A door that sleeps and the gateway over real sockets, with a relay between that loses a third.

`make test` plays an hour and a half of the door's time, `make gateway-day` a whole day.
"""

import asyncio
import os
import random
import subprocess
import sys
import time

import pytest
from parts import running

from battery_sim import run as battery_sim
from keys import make as make_keys
from setup.console import ROOT

sys.path.append(str(ROOT / "tests" / "interop"))
from relay import Relay  # noqa: E402

IS_DAY = "GATEWAY_DAY" in os.environ
MOVES = 20 if IS_DAY else 4
SPAN_S = 24 * 3600 if IS_DAY else 5400
SPEED = 600
LOSS = 0.3
NAME = "door-1"
EVENTS = "SELECT number, value FROM event WHERE source = 'contact' ORDER BY id"
LIMIT_S = 1500 if IS_DAY else 240
pytestmark = pytest.mark.takes(LIMIT_S)


@pytest.mark.parametrize("has_keys", [False, True] if IS_DAY else [True])
def test_every_event_arrives_once(tmp_path, has_keys):
    chance = random.Random(5 + has_keys)

    async def main():
        files = {}
        if has_keys:
            made = make_keys.make(NAME, keys=tmp_path / "keys")
            names = ("oscore.json", "oscore.json.numbers")
            files = {one: (made / one).read_bytes() for one in names}
        async with running(tmp_path) as gateway:
            port = gateway.settings.coap_address[1]
            with Relay(port, lambda way, datagram: chance.random() < LOSS) as relay:
                flash = tmp_path / "flash"
                flash.mkdir()
                for name, content in files.items():
                    (flash / name).write_bytes(content)
                node = battery_sim.start_live(
                    flash, "door", NAME, relay.url, "127.0.0.1", SPEED,
                    stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, bufsize=0,
                )  # fmt: skip
                try:
                    await play(gateway, node)
                finally:
                    node.stdin.close()
                    await asyncio.to_thread(node.wait, 20)
                assert relay.lost

    async def play(gateway, node):
        end_s = time.monotonic() + LIMIT_S - 20
        await until(lambda: gateway.store.read("SELECT 1 FROM node WHERE heard > 0"), end_s)
        for i in range(MOVES):
            await asyncio.sleep(SPAN_S / SPEED / MOVES)
            node.stdin.write(b"door close\n" if i % 2 else b"door open\n")
        await until(lambda: len(gateway.store.read(EVENTS)) >= MOVES, end_s)
        await asyncio.sleep(2)
        told = gateway.store.read(EVENTS)
        assert [value for _, value in told] == [float(i % 2 == 0) for i in range(MOVES)]
        assert [number for number, _ in told] == list(range(told[0][0], told[0][0] + MOVES))
        assert gateway.store.read("SELECT 1 FROM gap") == []

    asyncio.run(main())


async def until(found, end_s):
    """Wait until found() is true."""
    while not found():
        assert time.monotonic() < end_s
        await asyncio.sleep(0.1)
