"""The firmware of a sleeping door, simulated, with a gateway: reports, and a setting changed."""

import asyncio
import json
import subprocess
import sys
from contextlib import contextmanager

import pytest
from parts import ask, client, running

from battery_sim import run as battery_sim
from setup.console import ROOT

NAME = "door-1"
SPEED = 3000  # an hour of sleep takes 1.2 s
HEARTBEAT_S = 1200
pytestmark = pytest.mark.takes(60)


def make_keys(folder):
    """Make a node's keys; return their folder."""
    argv = [sys.executable, "tools/keys", "make", "--node", NAME, "--keys", str(folder)]
    subprocess.run(argv, cwd=ROOT, check=True, capture_output=True)
    return folder / NAME


@contextmanager
def sleeping_door(folder, gateway, made=None):
    """Run a door that sleeps; its stdin takes commands."""
    flash = folder / "flash"
    flash.mkdir()
    for file in ("oscore.json", "oscore.json.numbers") if made else ():
        (flash / file).write_bytes((made / file).read_bytes())
    node = battery_sim.start_live(
        flash,
        "door",
        NAME,
        gateway.uri,
        "127.0.0.1",
        SPEED,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        bufsize=0,
    )
    try:
        yield node
    finally:
        node.stdin.close()
        node.wait(10)


async def until(gateway, sql, wanted, limit_s=40):
    """Wait until a query returns the wanted rows."""
    async with asyncio.timeout(limit_s):
        while gateway.store.read(sql) != wanted:
            await asyncio.sleep(0.05)


def test_a_heartbeat_is_changed_while_the_door_sleeps(tmp_path):
    async def main():
        made = make_keys(tmp_path / "keys")
        async with running(tmp_path) as gateway, client() as person:
            told = json.loads((gateway.settings.data / "operator" / "client.json").read_text())
            person.client_credentials.load_from_dict(told)
            with sleeping_door(tmp_path, gateway, made):
                row = "SELECT fw, beat_s FROM node"
                await until(gateway, row, [("0.2.0", 3600)])
                uri = f"{gateway.uri}/n/{NAME}/config"
                body = json.dumps({"heartbeat_s": HEARTBEAT_S}).encode()
                kept = await ask(person, uri, "PUT", body, content_format=50)
                place = gateway.uri + "/" + "/".join(kept.opt.location_path)
                await until(gateway, "SELECT result FROM wait WHERE by = 'coap'", [("2.04",)])
                assert (await ask(person, place)).payload == b"2.04"
                beat = f"SELECT beat_s FROM node WHERE beat_s = {HEARTBEAT_S}"
                await until(gateway, beat, [(HEARTBEAT_S,)])
                reports = gateway.intake.counts["reports"]
                rate_s = HEARTBEAT_S / SPEED
                async with asyncio.timeout(rate_s * 2 + 5):  # a third of an hour, not an hour
                    while gateway.intake.counts["reports"] < reports + 1:
                        await asyncio.sleep(0.05)
            found = gateway.store.read("SELECT DISTINCT state FROM key WHERE node != 0")
            assert found == [("good",)]

    asyncio.run(main())


def test_a_door_without_keys_is_heard_and_its_events_are_stored_once(tmp_path):
    async def main():
        async with running(tmp_path) as gateway, client() as anybody:
            with sleeping_door(tmp_path, gateway) as node:
                await until(gateway, "SELECT ep, state FROM node", [(NAME, "new")])
                for command, state in ((b"door open\n", b"open"), (b"door close\n", b"closed")):
                    node.stdin.write(command)
                    async with asyncio.timeout(20):
                        uri = f"{gateway.uri}/n/{NAME}/s/contact"
                        while (await ask(anybody, uri)).payload != state:
                            await asyncio.sleep(0.1)
                rows = gateway.store.read("SELECT number, source, value FROM event ORDER BY id")
                assert [row[1:] for row in rows] == [("contact", 1.0), ("contact", 0.0)]

    asyncio.run(main())
