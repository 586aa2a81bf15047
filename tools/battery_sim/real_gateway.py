"""Runs the gateway of tools/gateway as the gateway of a simulated node, on the node's clock.

Bytes go in and out through aiocoap and the real store. The event loop's clock is the simulation's:
deduplication and retransmissions of aiocoap last as long as they do in reality.
"""

import asyncio
import json
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from setup.console import ROOT, Problem

BASE_S = 1_800_000_000.0  # the time at which a simulation begins
NODE = "mote-e4f5"
SETTLE_S = 0.003  # of this computer's time, for what comes after a response
RESPONSE_S = 5.0
CON = 0


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock is set from outside."""

    virtual_s = 0.0

    def time(self):
        """Return the simulated time in seconds."""
        return self.virtual_s


class Wire(asyncio.DatagramProtocol):
    """The node's socket; `arrived`: what the gateway has sent."""

    def __init__(self):
        self.arrived = []

    def datagram_received(self, data, addr):
        """Keep a datagram."""
        self.arrived.append(data)


class RealGateway:
    """The gateway and the wire between it and the simulation."""

    def __init__(self, loop, gateway, wire, transport):
        self._loop, self._gateway = loop, gateway
        self._wire, self._transport = wire, transport

    async def serve(self, process):
        """Do what the simulation asks for; return its lines that are no requests."""
        said = []
        async for line in process.stdout:
            words = line.decode().split()
            if words[:1] == ["send"]:
                self._loop.virtual_s = max(self._loop.virtual_s, int(words[1]) / 1000)
                told = await self._pass_on(bytes.fromhex(words[2]))
                reply = "".join(f"{one.hex()}\n" for one in told)
            elif words == ["events"]:
                reply = json.dumps(self._told()) + "\n"
            else:
                said.append(line.decode().rstrip())
                continue
            process.stdin.write(f"{reply}\n".encode())
        return said

    async def _pass_on(self, data):
        """Send a datagram to the gateway; return what it sends back."""
        self._wire.arrived.clear()
        self._transport.sendto(data)
        end_s = time.monotonic() + (RESPONSE_S if data[0] >> 4 & 3 == CON else 0)
        while True:
            count = len(self._wire.arrived)
            await self._loop.run_in_executor(None, time.sleep, SETTLE_S)
            if len(self._wire.arrived) == count and (count or time.monotonic() > end_s):
                return list(self._wire.arrived)

    def _told(self):
        """Return what the store has, in the times of the simulation."""
        read = self._gateway.store.read
        events = read("SELECT epoch, number, source, value, at, heard FROM event ORDER BY id")
        gaps = read("SELECT missing, heard FROM gap")
        return {
            "events": [
                [epoch, number, source, int(value), milliseconds(at), milliseconds(heard)]
                for epoch, number, source, value, at, heard in events
            ],
            "unknown_ms": [milliseconds(heard) for missing, heard in gaps if missing is None],
            "discarded": sum(missing or 0 for missing, _ in gaps),
            "repeats": self._gateway.intake.counts["repeats"],
        }


def milliseconds(at_s):
    """Return a time of the gateway in ms of the simulation."""
    return round((at_s - BASE_S) * 1000)


def simulate(argv, flash, options):
    """Run a simulation with the real gateway; return its lines.

    Raises:
        Problem: what the gateway needs is missing.
    """
    sys.path.append(str(ROOT))
    try:
        from tools.gateway.app import Gateway
        from tools.gateway.settings import Settings
    except ModuleNotFoundError as error:
        raise Problem(f"{error.name} is missing: `make gateway-setup` installs it") from None
    loop = VirtualLoop()

    async def main(folder):
        settings = Settings(
            coap=f"127.0.0.1:{free_port(socket.SOCK_DGRAM)}",
            http=f"127.0.0.1:{free_port(socket.SOCK_STREAM)}",
            data=folder / "data",
            keys=folder / "keys",
            rate_hz=1000.0,
        )
        gateway = Gateway(settings, lambda: BASE_S + loop.virtual_s)
        if options["seed"] % 2 == 0:
            make_keys(settings.keys, flash)
        await gateway.start()
        transport, wire = await loop.create_datagram_endpoint(
            Wire, remote_addr=settings.coap_address
        )
        process = await asyncio.create_subprocess_exec(
            *map(str, argv),
            cwd=flash,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            gateway.spawn(adopt(gateway))
            process.stdin.write(f"{json.dumps(options)}\n".encode())
            return await RealGateway(loop, gateway, wire, transport).serve(process)
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
            transport.close()
            await gateway.stop()

    asyncio.set_event_loop(loop)
    with tempfile.TemporaryDirectory() as folder:
        try:
            return loop.run_until_complete(main(Path(folder)))
        finally:
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()


async def adopt(gateway):
    """Adopt the node as soon as it has reported: of others few events are kept."""
    async for news in gateway.hub.subscribe():
        if news.kind == "node":
            await gateway.store.write(
                lambda connection: connection.execute("UPDATE node SET state = 'adopted'")
            )
            return


def make_keys(keys, flash):
    """Make the node's keys: its end into its flash, the gateway's where that looks for it."""
    argv = [sys.executable, str(ROOT / "tools" / "keys"), "make", "--node", NODE]
    subprocess.run([*argv, "--keys", str(keys)], check=True, capture_output=True)
    for file in ("oscore.json", "oscore.json.numbers"):
        (flash / file).write_bytes((keys / NODE / file).read_bytes())


def free_port(kind):
    """Return a free port of 127.0.0.1."""
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]
