"""The HTTP-CoAP proxy at /hc/ (RFC 8075): any HTTP client reads, writes and observes a node.

    curl http://127.0.0.1:8080/hc/coap://door-1/s/contact
    curl -N -H 'Accept: text/event-stream' http://127.0.0.1:8080/hc/coap://door-1/s/contact

A node that sleeps is asked at its mirror, one that is awake at its address. mapping.py says how
messages are translated, targets.py what can be reached.
"""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Any

from aiocoap import Message, error
from aiocoap.numbers import codes
from aiocoap.numbers.codes import Code
from aiohttp import web

from . import queue
from .accept import Acceptable, acceptable
from .hub import Hub
from .mapping import Refused, coap_request, event, http_headers, http_status, location
from .store import Store
from .streams import with_pauses
from .targets import Target, find

RESPONSE_MAX = 256 * 1024
LIMIT_S = 30
PER_CLIENT = 4
IN_ALL = 32
STREAMS_PER_CLIENT = 16
COMMENT_S = 15
MERGE_PATCH = 52
CORE = (".well-known", "core")
# What a node sends is shown, never run: not even by a browser that is led to it.
SHIELD = {"Content-Security-Policy": "sandbox; default-src 'none'"}


class Page:
    """The sender of a request from the web server, which has let its client in."""

    authenticated_claims = ("page",)
    hostinfo = "page"


class Limit:
    """Counts what is under way, of each client and in all."""

    def __init__(self, per_client: int, in_all: int):
        self.per_client = per_client
        self.in_all = in_all
        self.busy: Counter[str] = Counter()

    @contextlib.contextmanager
    def one(self, client: str) -> Iterator[None]:
        """Count one more while it lasts; raise Refused, 429 or 503, when that is too many."""
        if self.busy[client] >= self.per_client:
            raise Refused(429, f"{self.per_client} requests of this client are under way")
        if self.busy.total() >= self.in_all:
            raise Refused(503, f"{self.in_all} requests are under way")
        self.busy[client] += 1
        try:
            yield
        finally:
            self.busy[client] -= 1
            self.busy += Counter()  # drops the counts of 0


class Proxy:
    """The handler of /hc/.

    Args:
        store: the gateway's store.
        hub: tells when a node has told something.
        mirror: what responds for nodes that sleep.
        context: the gateway's CoAP context, for nodes that are awake.
    """

    def __init__(
        self,
        store: Store,
        hub: Hub,
        mirror: Any,
        context: Any,
        clock: Callable[[], float] = time.time,
    ):
        self.store = store
        self.hub = hub
        self.mirror = mirror
        self.context = context
        self.clock = clock
        self.requests = Limit(PER_CLIENT, IN_ALL)
        self.streams = Limit(STREAMS_PER_CLIENT, IN_ALL * 4)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one HTTP request for a node."""
        try:
            rest = request.rel_url.raw_path.removeprefix("/hc/")
            target = find(self.store, rest, request.rel_url.raw_query_string, self.clock())
            wanted = acceptable(request.headers.get("Accept", ""))
            client = request.remote or ""
            if wanted.stream:
                if request.method != "GET":
                    raise Refused(405, "an event stream is for GET")
                with self.streams.one(client):
                    return await self.stream(request, target, wanted)
            with self.requests.one(client):
                return await self.once(request, target, wanted)
        except Refused as refused:
            headers = {"Retry-After": "1"} if refused.status in (429, 503) else {}
            if refused.status == 405:
                headers["Allow"] = "GET, HEAD, PUT, POST, DELETE, PATCH"
            return web.Response(
                status=refused.status, text=f"{refused}\n", headers={**headers, **SHIELD}
            )

    async def once(self, request: web.Request, target: Target, wanted: Acceptable) -> web.Response:
        """Respond to a request with one response of the node."""
        body = await request.read()
        message = coap_request(request.method, request.headers, body)
        response = await self._exchange(target, message, wanted)
        if response.code == codes.CONTENT and request.headers.get("If-None-Match") == "*":
            response = Message(code=codes.VALID)  # there is one, whichever it is
        status = http_status(response)
        headers = {**http_headers(response, self._age_s(target, response)), **SHIELD}
        if status == 201:
            headers["Location"] = location(
                response, target.node, target.ep, target.address is None
            )
        if status == 304 or request.method == "HEAD":
            headers.pop("Content-Type", None)
            return web.Response(status=status, headers=headers)
        return web.Response(status=status, body=response.payload or None, headers=headers)

    async def stream(
        self, request: web.Request, target: Target, wanted: Acceptable
    ) -> web.StreamResponse:
        """Send each notification as an event, until one side ends it."""
        message = coap_request("GET", {}, b"")
        source = self._awake(target, message) if target.address else self._asleep(target, message)
        message.opt.accept = wanted.content_format
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store", **SHIELD}
        )
        try:
            first = await self._limited(anext(source))
            if first.code != codes.CONTENT:
                return self._failed(first)
            await response.prepare(request)
            await response.write(event(first))
            async for notification in with_pauses(source, COMMENT_S):
                await response.write(b":\n\n" if notification is None else event(notification))
                if notification is not None and notification.code != codes.CONTENT:
                    break
        except (error.Error, ConnectionResetError):
            pass  # the node is silent, the client asks again and is told so; or it has left
        finally:
            await source.aclose()
        return response

    def _failed(self, response: Message) -> web.Response:
        headers = {**http_headers(response), **SHIELD}
        return web.Response(
            status=http_status(response), body=response.payload or None, headers=headers
        )

    async def _exchange(self, target: Target, message: Message, wanted: Acceptable) -> Message:
        """Return the response; after 4.06 that to a request which accepts anything, if allowed."""
        message.opt.accept = wanted.content_format
        response = await self._limited(self._ask(target, message))
        if response.code == codes.NOT_ACCEPTABLE and wanted.any_else and message.opt.accept:
            again = message.copy(mid=None, token=b"", accept=None)
            response = await self._limited(self._ask(target, again))
        return response

    async def _limited(self, asking: Any) -> Message:
        """Return a response within the limits of time and size; raise Refused, 502 or 504."""
        try:
            response = await asyncio.wait_for(asking, LIMIT_S)
        except (TimeoutError, error.TimeoutError, error.ConRetransmitsExceeded):
            raise Refused(504, f"the node gave no response within {LIMIT_S} s") from None
        except (error.Error, OSError, StopAsyncIteration):
            raise Refused(502, "the node can not be reached") from None
        if len(response.payload) > RESPONSE_MAX:
            raise Refused(502, "the response is longer than 256 KB")
        return response

    async def _ask(self, target: Target, message: Message) -> Message:
        if target.address is None:
            return await self._mirror(target, message)
        message.set_request_uri(f"coap://{target.address}", set_uri_host=False)
        message.opt.uri_path = target.path
        message.opt.uri_query = target.query
        return await self.context.request(message).response

    async def _mirror(self, target: Target, message: Message) -> Message:
        if message.code != codes.GET:
            return await self._keep(target, message)
        path = () if target.path == CORE else target.path
        message.opt.uri_path = (target.ep, *path)
        message.opt.uri_query = target.query
        message.remote = Page()  # type: ignore[assignment]
        try:
            return await self.mirror.render(message)
        except error.RenderableError as failure:
            return failure.to_message() or Message(code=codes.INTERNAL_SERVER_ERROR)

    async def _keep(self, target: Target, message: Message) -> Message:
        """Keep a request until the node wakes; return 2.01 with its place."""
        method = Code(message.code).name
        if message.code == codes.PATCH and message.opt.content_format == MERGE_PATCH:
            method = "iPATCH"  # merging twice is merging once
        if method not in queue.METHODS or message.opt.if_match or message.opt.if_none_match:
            raise Refused(501, "the node sleeps: no conditions and no JSON patch can be kept")
        path = "/".join(target.path) + "?" * bool(target.query) + "&".join(target.query)
        row = (target.node, method, path, message.opt.content_format, message.payload, "proxy")
        try:
            number = await self.store.write(queue.insert, *row, self.clock())
        except queue.NotQueued as failure:
            code = codes.FORBIDDEN if failure.reason == "needs keys" else codes.SERVICE_UNAVAILABLE
            return Message(code=code, payload=str(failure).encode())
        self.hub.publish("wait", target.node, {"id": number})
        return Message(code=codes.CREATED, location_path=("q", target.ep, str(number)))

    async def _asleep(self, target: Target, message: Message) -> AsyncGenerator[Message]:
        """Yield the mirror's response now and whenever the node has told another value."""
        news = self.hub.subscribe()
        try:
            message.opt.observe = 0  # no error when it is overdue: it would end the observation
            last = await self._mirror(target, message.copy())
            yield last
            async for told in news:
                if told.node_id != target.node:
                    continue
                response = await self._mirror(target, message.copy())
                if response.code == codes.CONTENT and response.payload != last.payload:
                    last = response
                    yield last
        finally:
            news.close()

    async def _awake(self, target: Target, message: Message) -> AsyncGenerator[Message]:
        """Yield the notifications of a node that is awake."""
        message.set_request_uri(f"coap://{target.address}", set_uri_host=False)
        message.opt.uri_path = target.path
        message.opt.uri_query = target.query
        message.opt.observe = 0
        asked = self.context.request(message)
        try:
            yield await asked.response
            if asked.observation is not None:
                async for notification in asked.observation:
                    yield notification
        finally:
            if asked.observation is not None and not asked.observation.cancelled:
                asked.observation.cancel()

    def _age_s(self, target: Target, response: Message) -> int | None:
        if target.address or response.code not in (codes.CONTENT, codes.VALID):
            return None
        rows = self.store.read(
            "SELECT at FROM last WHERE node = ? AND path = ?", (target.node, "/".join(target.path))
        )
        return max(0, round(self.clock() - rows[0][0])) if rows else None
