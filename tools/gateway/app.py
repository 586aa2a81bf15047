"""The gateway as a whole: makes its parts, runs them, and ends them in order."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiocoap
import aiocoap.error
from aiohttp.web import AppRunner

from . import retention, server, web
from .announce import Announcement
from .awake import Awake, Silent
from .clock import Clock
from .contexts import Contexts, context_of
from .delivery import Delivery
from .directory import Directory
from .guard import Guard
from .hub import Hub
from .import_keys import EVERY_S, Importer, make_operator
from .intake import Intake
from .mirror import Mirror
from .nodes import Node
from .settings import Settings
from .store import Store, StoreError
from .tickets import Tickets, require_operator

LINKS_S = 20.0
log = logging.getLogger("gateway")


class Gateway:
    """All parts, made and running between start() and stop()."""

    def __init__(self, settings: Settings, wall: Callable[[], float] = time.time):
        """Open the store; wall: the computer's clock, seconds since 1970.

        Raises:
            Problem: the store cannot be opened.
        """
        self.settings = settings
        self.store = Store(settings.data)
        self.clock = Clock(self.store, wall)
        now = self.clock.now
        self.hub = Hub()
        self._tasks: set[asyncio.Task] = set()
        self.contexts = Contexts(self.store, self.spawn)
        self.guard = Guard(settings.rate_hz, now)
        self.root = server.Root(self.guard, self.contexts)
        self.tickets = Tickets(self.store, self.hub, now)
        self.mirror = Mirror(self.store, self.hub, now, self._send, self._may_read)
        self.delivery = Delivery(self.store, self.hub, self._ask, now, settings.wake_s)
        self.intake = Intake(
            self.store,
            self.contexts,
            self.hub,
            now,
            self.delivery,
            self.spawn,
            settings.strict,
        )
        self.importer = Importer(self.store, self.hub, settings.keys)
        self.root.mirror = self.mirror
        self.root.reports = self.intake
        self.root.add_resource(("n",), self.mirror)
        self.root.add_resource(("q",), self.tickets)
        self.root.links = ['</r>;rt="mote.reports"', "</n>;ct=40"]
        self.awake = Awake(self.store, self.contexts, self.hub, now)
        self.directory = Directory(self.store, now, self.awake.changed, self._fetch_links)
        self.directory.add_to(self.root)
        self.announcement = Announcement(settings)
        self.context: aiocoap.Context | None = None
        self.web: AppRunner | None = None

    async def start(self) -> None:
        """Listen. Raises Problem when an address is taken."""
        await self.importer.look()
        await make_operator(self.store, self.settings.data, operator_uri(self.settings))
        self.context = await server.start(self.root, self.contexts, *self.settings.coap_address)
        self.web = await web.start(
            self.settings, self.store, self.hub, self.mirror, self.context, self.clock.now
        )
        await self.announcement.start()
        self.awake.start(self.context, self.directory)
        self.spawn(self.clock.run())
        self.spawn(retention.run(self.store, self.clock.now))
        self.spawn(self.mirror.run())
        self.spawn(self.tickets.run())
        self.spawn(self._look_for_keys())

    async def stop(self) -> None:
        """End the web server and all tasks, close the socket and the store."""
        if self.web is not None:
            await self.web.cleanup()
        await self.announcement.stop()
        await self.awake.stop()
        for task in list(self._tasks):
            task.cancel()
        for task in list(self._tasks):
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task
        if self.context is not None:
            await self.context.shutdown()
        self.store.close()

    def spawn(self, work: Awaitable[Any]) -> None:
        """Run a coroutine until the gateway ends; an error of it goes to the log."""
        task: asyncio.Task = asyncio.ensure_future(work)  # type: ignore[assignment]
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def _look_for_keys(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                await self.importer.look()
            except StoreError as error:
                log.warning("keys are left where they are: %s", error)

    def _ended(self, task: asyncio.Task) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("%s", task.exception(), exc_info=task.exception())

    def _may_read(self, request: aiocoap.Message) -> bool:
        return self.settings.read == "open" or context_of(request.remote) is not None

    async def _send(self, request: aiocoap.Message, node: Node, path: str) -> aiocoap.Message:
        """Pass a write on to a node that is awake, keep it for one that sleeps."""
        if not self.awake.is_awake(node.ep):
            return await self.tickets.keep(request, node, path)
        require_operator(request)
        message = aiocoap.Message(code=request.code, payload=request.payload)
        message.opt.uri_path = tuple(path.split("/"))
        message.opt.uri_query = request.opt.uri_query
        message.opt.content_format = request.opt.content_format
        try:
            response = await self.awake.request(node, message)
        except Silent as why:
            return aiocoap.Message(code=aiocoap.GATEWAY_TIMEOUT, payload=str(why).encode())
        found = aiocoap.Message(code=response.code, payload=response.payload)
        found.opt.content_format = response.opt.content_format
        return found

    async def _fetch_links(self, remote: Any) -> str:
        """Return the links of a node that has announced itself, "" if it does not respond."""
        assert self.context is not None  # requests come once it listens
        message = aiocoap.Message(code=aiocoap.GET, uri_path=(".well-known", "core"))
        message.remote = remote
        with contextlib.suppress(TimeoutError, aiocoap.error.Error, OSError):
            request = self.context.request(message)
            response = await asyncio.wait_for(request.response, LINKS_S)
            return response.payload.decode("utf-8", "replace")
        return ""

    async def _ask(self, message: aiocoap.Message, limit_s: float) -> aiocoap.Message:
        assert self.context is not None  # reports come once it listens
        return await server.request(self.context, message, limit_s)


def operator_uri(settings: Settings) -> str:
    """Return the URI under which programs on this computer reach the CoAP server."""
    host, port = settings.coap_address
    host = {"::": "::1", "0.0.0.0": "127.0.0.1"}.get(host, host)
    return f"coap://[{host}]:{port}" if ":" in host else f"coap://{host}:{port}"
