"""What goes wrong around the gateway: disk, store, ports, kills, floods, lost stores."""

import asyncio
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time

import aiocoap
import pytest
from aiocoap.numbers.codes import Code
from parts import (
    GATEWAY_ID,
    NODE_ID,
    add_keys,
    ask,
    client,
    free_port,
    keys_of,
    pack,
    report,
    run,
    running,
)
from tools.gateway import store as store_module
from tools.gateway.store import FILE, backup

from setup.console import ROOT

OPENED = (("contact", True, 5), ("contact_n", 7), ("epoch", "0a0b0c0d"))
EVENTS = "SELECT number FROM event ORDER BY id"
pytestmark = pytest.mark.takes(60)


def start(folder, *words, **options):
    """Start a gateway as a program; return (process, its CoAP URI)."""
    port = free_port()
    argv = [sys.executable, "-m", "tools.gateway", "--coap", f"127.0.0.1:{port}"]
    argv += [
        "--http",
        f"127.0.0.1:{free_port(socket.SOCK_STREAM)}",
        "--data",
        str(folder / "data"),
    ]
    argv += ["--keys", str(folder / "keys"), *words]
    process = subprocess.Popen(
        argv, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options
    )
    return process, f"coap://127.0.0.1:{port}"


def wait(process):
    """Wait until it has printed its banner."""
    for line in process.stdout:
        if line.startswith("Data"):
            return
    raise AssertionError(process.stderr.read())


# Disk and store


def test_a_full_disk_refuses_reports_until_there_is_room(tmp_path):
    async def main():
        async with running(tmp_path) as gateway, client() as context:
            await report(context, gateway, *OPENED)

            def adopt(connection):
                connection.execute("UPDATE node SET state = 'adopted'")

            await gateway.store.write(adopt)
            pages = gateway.store.read("PRAGMA page_count")[0][0]

            def limit(connection, count):
                connection.execute(f"PRAGMA max_page_count = {count}")

            await gateway.store.write(limit, pages)
            codes = []
            for number in range(8, 400):
                response = await report(
                    context, gateway, ("contact", number % 2 == 0), ("contact_n", number)
                )
                codes.append(response.code)
                if response.code != Code.CHANGED:
                    break
            assert codes[-1] == Code.SERVICE_UNAVAILABLE and response.opt.max_age == 60
            assert "full" in gateway.store.problem
            stored = len(gateway.store.read(EVENTS))
            assert stored == 1 + codes.count(Code.CHANGED)
            await gateway.store.write(limit, 10 * pages)
            assert (
                await report(context, gateway, ("contact", True), ("contact_n", 999))
            ).code == Code.CHANGED

    run(main())


def test_a_locked_store_refuses_reports_and_loses_none(tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "BUSY_S", 0.2)

    async def main():
        async with running(tmp_path) as gateway, client() as context:
            other = sqlite3.connect(gateway.store.path, isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            response = await report(context, gateway, *OPENED)
            assert response.code == Code.SERVICE_UNAVAILABLE
            other.execute("ROLLBACK")
            assert (await report(context, gateway, *OPENED)).code == Code.CHANGED
            other.close()

    run(main())


@pytest.mark.parametrize("content", [b"no database at all" * 100, b""])
def test_a_broken_store_is_one_line(tmp_path, content):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / FILE).write_bytes(content)
    process, _ = start(tmp_path)
    if content:
        assert process.wait(20) == 2
        said = process.stderr.read()
        assert said.count("\n") == 1 and "restore a backup" in said
    else:
        wait(process)  # an empty file is a new store
        process.terminate()
        assert process.wait(20) == 0


# Ports and instances


def test_a_port_or_a_store_in_use_is_one_line(tmp_path):
    process, uri = start(tmp_path)
    wait(process)
    try:
        for words, fix in (
            (("--coap", uri.removeprefix("coap://"), "--data", str(tmp_path / "two")), "COAP="),
            (("--data", str(tmp_path / "data")), "DATA="),
        ):
            second, _ = start(tmp_path, *words)
            assert second.wait(20) == 2
            said = second.stderr.read()
            assert said.count("\n") == 1 and fix in said, said
    finally:
        process.terminate()
        assert process.wait(20) == 0


def test_the_port_of_a_simulated_node_is_not_shared(tmp_path):
    port = free_port()
    argv = [sys.executable, "tools/simulator", "--app", "door", "--port", str(port)]
    with subprocess.Popen(
        argv, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as node:
        assert node.stdout.readline().startswith("ready")
        gateway, _ = start(tmp_path, "--coap", f"127.0.0.1:{port}")
        assert gateway.wait(20) == 2 and "another program" in gateway.stderr.read()
        node.terminate()


# Kills


KILL = """
import os, sqlite3, sys
sys.path[:0] = [{root!r}, {root!r} + "/tools"]
from tools.gateway import store
point, count = {point!r}, {count}
real = sqlite3.Connection.execute
class Connection(sqlite3.Connection):
    def execute(self, sql, *args):
        global count
        is_end = sql == "COMMIT"
        if is_end and point == "before":
            count -= 1
            if count == 0:
                os.kill(os.getpid(), 9)
        found = super().execute(sql, *args)
        if is_end and point == "after":
            count -= 1
            if count == 0:
                os.kill(os.getpid(), 9)
        return found
sqlite3_connect = sqlite3.connect
store.sqlite3.connect = lambda *args, **named: sqlite3_connect(*args, factory=Connection, **named)
from tools.gateway.__main__ import main
main(sys.argv[1:])
"""


POINTS = [
    (has_keys, point, count)
    for has_keys, counts in ((True, range(1, 9)), (False, (3, 5)))
    for point in ("before", "after")
    for count in counts
]


@pytest.mark.parametrize(("has_keys", "point", "count"), POINTS)
def test_killed_at_a_commit_it_loses_no_event_and_stores_none_twice(
    tmp_path, point, count, has_keys
):
    """The node reports until it gets a 2.04, as its firmware does; each event once."""
    port, http = free_port(), free_port(socket.SOCK_STREAM)
    words = ["--coap", f"127.0.0.1:{port}", "--http", f"127.0.0.1:{http}"]
    words += ["--data", str(tmp_path / "data"), "--keys", str(tmp_path / "keys")]
    code = KILL.format(root=str(ROOT), point=point, count=count)
    uri = f"coap://127.0.0.1:{port}"

    async def prepare():
        async with running(tmp_path, coap=f"127.0.0.1:{port}") as gateway:
            if has_keys:
                await add_keys(gateway)

    async def tell(context, number):
        message = aiocoap.Message(
            code=aiocoap.POST, uri=f"{uri}/r/door-1", content_format=112,
            payload=pack(("contact", number % 2 == 0), ("contact_n", number), ("epoch", "e")),
        )  # fmt: skip
        try:
            return (await asyncio.wait_for(context.request(message).response, 1.5)).code
        except (TimeoutError, aiocoap.error.Error, OSError):
            return None

    async def main():
        await prepare()
        process = subprocess.Popen(
            [sys.executable, "-c", code, *words], cwd=ROOT, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        await asyncio.to_thread(process.stdout.readline)
        number, killed = 1, False
        async with client() as context:
            keys = keys_of(NODE_ID, GATEWAY_ID)
            if has_keys:
                context.client_credentials[f"{uri}/*"] = keys
            while number <= 6:
                if process.poll() is not None and not killed:
                    assert process.returncode == -signal.SIGKILL
                    killed = True
                    process = subprocess.Popen(
                        [sys.executable, "-m", "tools.gateway", *words], cwd=ROOT, text=True,
                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                    )  # fmt: skip
                    await asyncio.to_thread(process.stdout.readline)
                number += await tell(context, number) == Code.CHANGED
        process.terminate()
        process.wait(20)
        connection = sqlite3.connect(tmp_path / "data" / FILE)
        assert connection.execute(EVENTS).fetchall() == [(i,) for i in range(1, 7)]
        connection.close()

    run(main())


# Floods


def test_a_flood_of_forged_addresses_leaves_nodes_with_keys_their_share(tmp_path):
    async def main():
        async with running(tmp_path, rate_hz=20.0) as gateway, client() as context:
            await add_keys(gateway)
            context.client_credentials[gateway.uri + "/*"] = keys_of(NODE_ID, GATEWAY_ID)
            host, port = gateway.settings.coap_address
            forged = []
            for i in range(200):
                sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                sock.bind((f"127.{1 + i % 20}.{i % 10}.{2 + i}", 0))
                sock.setblocking(False)
                forged.append(sock)
            stop = asyncio.Event()
            sent = 0

            async def attack():
                nonlocal sent
                while not stop.is_set():
                    for _ in range(10):
                        payload = pack(("contact", True), eui=os.urandom(8).hex())
                        message = (
                            bytes((0x42, 2))
                            + os.urandom(4)
                            + b"\xb1r\x07n"
                            + (os.urandom(3).hex() + "x").encode()[:7]
                            + b"\x11\x70\xff"
                            + payload
                        )
                        forged[sent % len(forged)].sendto(message, (host, port))
                        sent += 1
                    await asyncio.sleep(0.01)

            task = asyncio.ensure_future(attack())
            worst_s = 0.0
            for number in range(1, 16):
                before_s = time.monotonic()
                response = await report(
                    context, gateway, ("contact", number % 2 == 0), ("contact_n", number)
                )
                assert response.code == Code.CHANGED
                worst_s = max(worst_s, time.monotonic() - before_s)
                await asyncio.sleep(0.2)
            stop.set()
            await task
            for sock in forged:
                sock.close()
            assert sent > 1000 and worst_s < 2.5, (sent, worst_s)
            (count,) = gateway.store.read("SELECT count(*) FROM node WHERE state = 'new'")[0]
            assert count <= 20

    run(main())


# A store from a backup


def test_a_restored_backup_has_names_and_history_and_asks_for_new_keys(tmp_path):
    async def main():
        async with running(tmp_path) as gateway, client() as context:
            await add_keys(gateway)
            context.client_credentials[gateway.uri + "/*"] = keys_of(NODE_ID, GATEWAY_ID)
            await report(context, gateway, *OPENED)
            copy = tmp_path / "copy.sqlite"
            backup(gateway.store.path, copy)
        assert b"master-secret-16" not in copy.read_bytes()
        (tmp_path / "new" / "data").mkdir(parents=True)
        copy.rename(tmp_path / "new" / "data" / FILE)
        async with running(tmp_path / "new") as gateway, client() as context:
            assert gateway.store.read(EVENTS) == [(7,)]
            anybody = await ask(context, gateway.uri + "/n/door-1/s/contact")
            assert anybody.payload == b"open"
            assert (await report(context, gateway, *OPENED)).code == Code.UNAUTHORIZED
            context.client_credentials[gateway.uri + "/*"] = keys_of(NODE_ID, GATEWAY_ID)
            with pytest.raises(aiocoap.error.Error):
                await report(context, gateway, *OPENED)
            assert gateway.store.read("SELECT state FROM key WHERE node != 0") == [("lost",)]

    run(main())
