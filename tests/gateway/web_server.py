"""A web server of the gateway for tests: the real store, rows that tests put there, HTTP."""

import asyncio
import contextlib

import aiocoap
from aiohttp import ClientSession, web
from tools.gateway.api import Api
from tools.gateway.auth import Auth
from tools.gateway.hub import Hub
from tools.gateway.mirror import Mirror
from tools.gateway.proxy import Proxy
from tools.gateway.store import Store
from tools.gateway.web import Web

NOW_S = 1_800_000_000.0
DAY_S = 86400.0
# What must be in no response: secrets of the store.
SECRETS = (b"master-secret-16", b"salt-of-8")


class Gateway:
    """The parts of a gateway that the web server needs, and a client of it.

    Attributes:
        now_s: the time, which stands until a test changes it.
    """

    def __init__(self, folder, token=""):
        self.now_s = NOW_S
        self.store = Store(folder)
        self.hub = Hub()
        self.mirror = Mirror(self.store, self.hub, self.clock, self.send, lambda request: True)
        self.problem = ""
        self.auth = Auth(token, frozenset(), self.clock)

    async def send(self, request, node, path):
        """Fail: the proxy keeps writes itself."""
        raise AssertionError(path)

    def clock(self):
        """Return the time."""
        return self.now_s

    async def add(self, table, **columns):
        """Insert a row."""
        names = ", ".join(columns)
        marks = ", ".join("?" * len(columns))

        def insert(connection):
            connection.execute(
                f"INSERT OR REPLACE INTO {table} ({names}) VALUES ({marks})",
                tuple(columns.values()),
            )

        await self.store.write(insert)

    async def add_door(
        self, node=1, ep="door-1", state="adopted", is_open=1, keys=True, **columns
    ):
        """Add a node with a contact that was opened or closed 720 s ago."""
        columns = {"heard": self.now_s - 600, "kind": "door", **columns}
        await self.add("node", id=node, ep=ep, state=state, eui=f"a0b1c2fffe{node:06x}", **columns)
        await self.add_event(node, 1, 1 - is_open, self.now_s - 7200)
        await self.add_event(node, 2, is_open, self.now_s - 720)
        await self.add_last(node, "s/contact", is_open)
        if keys:
            secret, salt = SECRETS
            await self.add(
                "key",
                kid=bytes([node]),
                id_context=b"",
                node=node,
                secret=secret,
                salt=salt,
                sender=b"g",
            )

    async def add_event(self, node, number, value, at, source="contact", epoch="open-1"):
        """Add an event."""
        await self.add(
            "event",
            node=node,
            epoch=epoch,
            number=number,
            source=source,
            value=value,
            at=at,
            heard=at + 1,
        )

    async def add_last(self, node, path, value, unit="", age_s=720.0):
        """Add the last value of a path."""
        at = self.now_s - age_s
        await self.add("last", node=node, path=path, value=value, unit=unit, at=at, heard=at)

    async def ask(self, method, path, **options):
        """Return (status, headers, body) of a request; the body parsed where it is JSON."""
        async with self.client.request(method, self.address + path, **options) as response:
            body = await response.read()
            for secret in SECRETS:
                assert secret not in body and secret.hex().encode() not in body
            if response.content_type == "application/json":
                return response.status, response.headers, await response.json()
            return response.status, response.headers, body.decode()


@contextlib.asynccontextmanager
async def serving(folder, token="", port=0):
    """Run a gateway's web server on loopback."""
    gateway = Gateway(folder, token)

    async def alive():
        return gateway.problem

    context = await aiocoap.Context.create_client_context(transports=["udp6"])
    proxy = Proxy(gateway.store, gateway.hub, gateway.mirror, context, gateway.clock)
    api = Api(gateway.store, gateway.hub, "192.168.1.2", gateway.clock)
    app = Web(gateway.store, gateway.hub, gateway.auth, alive).app(api, proxy)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    gateway.address = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with ClientSession() as client:
            gateway.client = client
            yield gateway
    finally:
        await runner.cleanup()
        await context.shutdown()
        gateway.store.close()


def run(folder, scenario, **options):
    """Run `scenario(gateway)` beside a server."""

    async def main():
        async with asyncio.timeout(60), serving(folder, **options) as gateway:
            await scenario(gateway)

    asyncio.run(main())
