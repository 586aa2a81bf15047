"""Measures the gateway: `make bench-gateway`. Prints a table for tools/gateway/README.md.

The gateway is a process of its own, whose processor time counts: wall time says little on a busy
computer. Nodes are clients of aiocoap with keys, on loopback.
"""

import asyncio
import json
import os
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path += [str(ROOT), str(ROOT / "tools"), str(ROOT / "tests" / "gateway")]

import aiocoap  # noqa: E402
from parts import free_port, keys_of, pack  # noqa: E402
from tools.gateway.schema import migrate  # noqa: E402
from tools.gateway.store import FILE  # noqa: E402

from setup.console import Arguments  # noqa: E402

SECRET, SALT, SENDER = b"master-secret-16", b"salt-of-8", b"g"
TICK_HZ = os.sysconf("SC_CLK_TCK")
NODES, MANY_NODES = 1000, 5000
REPORTS = 1000
NOTIFICATIONS = 1000
YEAR_NODES = 50
DAY_S = 86400


class Process:
    """A gateway on a store that a function has filled."""

    def __init__(self, folder, fill):
        self.data = folder / "data"
        self.data.mkdir(parents=True)
        connection = sqlite3.connect(self.data / FILE, isolation_level=None)
        migrate(connection)
        connection.execute("BEGIN")
        fill(connection)
        connection.execute("COMMIT")
        connection.close()
        self.port, self.http = free_port(), free_port(socket.SOCK_STREAM)
        (self.data / "gateway.json").write_text(json.dumps({"rate_hz": 10000.0}))
        argv = [sys.executable, "-m", "tools.gateway", "--coap", f"127.0.0.1:{self.port}"]
        argv += ["--http", f"127.0.0.1:{self.http}", "--data", str(self.data)]
        began_s = time.monotonic()
        self.process = subprocess.Popen(
            [*argv, "--keys", str(folder / "keys")],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.process.stdout.readline()
        self.start_s = time.monotonic() - began_s
        self.uri = f"coap://127.0.0.1:{self.port}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20)

    def cpu_s(self):
        """Return the processor time that it has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK_HZ

    def memory_mb(self):
        """Return its resident memory."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(text.partition("VmRSS:")[2].split()[0]) / 1024

    def descriptors(self):
        """Return how many files it has open."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))


def nodes(count):
    """Return a function that fills a store with nodes that have keys."""

    def fill(connection):
        for i in range(1, count + 1):
            connection.execute(
                "INSERT INTO node (id, ep, state, needs_key, about)"
                " VALUES (?, ?, 'adopted', 1, 1e12)",
                (i, f"n{i}"),
            )
            connection.execute(
                "INSERT INTO key (kid, id_context, node, secret, salt, sender, win_index,"
                " win_bits) VALUES (?, x'', ?, ?, ?, ?, 0, 0)",
                (kid(i), i, SECRET, SALT, SENDER),
            )

    return fill


def a_year(connection):
    """Fill a store with a year of 50 doors: 20 events and 24 readings a day."""
    now_s = time.time()
    for node in range(1, YEAR_NODES + 1):
        connection.execute(
            "INSERT INTO node (id, ep, state, heard) VALUES (?, ?, 'adopted', ?)",
            (node, f"door-{node}", now_s),
        )
        connection.executemany(
            "INSERT INTO event (node, epoch, number, source, value, at, heard)"
            " VALUES (?, 'e', ?, 'contact', ?, ?, ?)",
            ((node, i, i % 2, now_s - i * 4320.0, now_s - i * 4320.0) for i in range(20 * 365)),
        )
        connection.executemany(
            "INSERT INTO reading VALUES (?, 'batt', ?, 80.0)",
            ((node, now_s - i * 3600.0) for i in range(24 * 30)),
        )


def kid(number):
    """Return the sender ID of a node."""
    return b"k" + number.to_bytes(3, "big")


async def reporting(context, uri, number, event):
    """Post a report; return True if it is taken."""
    context.client_credentials[f"{uri}/r/n{number}"] = CLIENTS.setdefault(
        number, keys_of(kid(number), SENDER)
    )
    message = aiocoap.Message(
        code=aiocoap.POST,
        uri=f"{uri}/r/n{number}",
        content_format=112,
        payload=pack(
            ("contact", bool(event & 1)), ("contact_n", event), ("epoch", "0a0b0c0d"),
            ("batt", 80.0, 0, "%EL"), eui=f"{number:016x}",
        ),
    )  # fmt: skip
    try:
        return (await context.request(message).response).code.is_successful()
    except aiocoap.error.Error:
        return False


CLIENTS = {}


async def measure(folder, rows):
    """Fill `rows` with (what, figure, floor)."""
    context = await aiocoap.Context.create_client_context(transports=["oscore", "udp6"])
    with Process(folder / "reports", nodes(NODES)) as gateway:
        for number in range(1, NODES + 1):
            await reporting(context, gateway.uri, number, 1)
        before_s = gateway.cpu_s()
        for number in range(REPORTS):
            await reporting(context, gateway.uri, number % NODES + 1, 2)
        spent_ms = (gateway.cpu_s() - before_s) * 1000 / REPORTS
        rows.append(
            ("processor time a report under OSCORE, 1,000 contexts", f"{spent_ms:.2f} ms", "2 ms")
        )
        began_s = time.monotonic()
        taken = sum(
            await asyncio.gather(
                *(reporting(context, gateway.uri, i + 1, 3) for i in range(NODES))
            )
        )
        span_s = time.monotonic() - began_s
        rows.append(
            ("reports of 1,000 nodes at once", f"{taken} answered in {span_s:.1f} s", "1,000")
        )
        rows.append(await notifications(gateway))
        rows.append(await edge(gateway, context))
    CLIENTS.clear()
    with Process(folder / "many", nodes(MANY_NODES)) as gateway:
        for number in range(1, MANY_NODES + 1, 1):
            await reporting(context, gateway.uri, number, 1)
        rows.append(
            ("memory with 5,000 contexts in use", f"{gateway.memory_mb():.0f} MB", "100 MB")
        )
        rows.append(("descriptors with 5,000 contexts", f"{gateway.descriptors()}", "20"))
    with Process(folder / "year", a_year) as gateway:
        rows.append(
            ("start with a year of 50 doors in the store", f"{gateway.start_s:.2f} s", "1 s")
        )
    await context.shutdown()


async def notifications(gateway):
    """Return the row about notifications: one observer, another value each time."""
    context = await aiocoap.Context.create_client_context(transports=["oscore", "udp6"])
    observers = []
    for _ in range(10):
        message = aiocoap.Message(code=aiocoap.GET, uri=f"{gateway.uri}/n/n1/s/contact", observe=0)
        asked = context.request(message)
        await asked.response
        observers.append(asked)
    count = 0

    async def listen(asked):
        nonlocal count
        async for _ in asked.observation:
            count += 1

    tasks = [asyncio.ensure_future(listen(one)) for one in observers]
    reports = NOTIFICATIONS // 10
    alone_s = gateway.cpu_s()
    for event in range(reports):
        await reporting(context, gateway.uri, 2, 100 + event)
    alone_s = gateway.cpu_s() - alone_s
    with_s = gateway.cpu_s()
    for event in range(reports):
        await reporting(context, gateway.uri, 1, 100 + event)
    await asyncio.sleep(0.5)
    with_s = gateway.cpu_s() - with_s
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await context.shutdown()
    spent_ms = max(with_s - alone_s, 0) * 1000 / max(count, 1)
    return (f"processor time a notification ({count} sent)", f"{spent_ms:.2f} ms", "0.5 ms")


async def edge(gateway, context):
    """Return the row about the time from a report to the event stream."""
    from aiohttp import ClientSession

    worst_ms = 0.0
    async with (
        ClientSession() as session,
        session.get(f"http://127.0.0.1:{gateway.http}/api/events") as stream,
    ):
        await asyncio.sleep(0.2)
        for event in range(20):
            began_s = time.monotonic()
            asyncio.ensure_future(reporting(context, gateway.uri, 3, 500 + event))
            async for line in stream.content:
                if line.startswith(b"event: event"):
                    break
            worst_ms = max(worst_ms, (time.monotonic() - began_s) * 1000)
            await asyncio.sleep(0.02)
    return ("from a report to the page's event stream, worst of 20", f"{worst_ms:.0f} ms", "1 s")


def main(argv):
    """Measure, and print a table."""
    parser = Arguments(prog="bench-gateway", description=(__doc__ or "").splitlines()[0])
    parser.parse_args(argv)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(Path(folder), rows))
    print("| what | measured | floor |\n|---|---:|---:|")
    for row in rows:
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main(sys.argv[1:])
