"""Server-sent events: the stream of everything that the gateway learns."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, TypeVar

from aiohttp import web

from .hub import Hub, Subscription
from .store import Store

COMMENT_S = 15
REPLAY_MAX = 1000
HEADERS = {"Content-Type": "text/event-stream", "Cache-Control": "no-store"}

T = TypeVar("T")


async def with_pauses(source: AsyncIterator[T], pause_s: float) -> AsyncGenerator[T | None]:
    """Yield what a source yields, and None after each `pause_s` seconds without anything.

    The source is closed in the end.
    """
    following: asyncio.Future[T] | None = None
    try:
        while True:
            following = following or asyncio.ensure_future(anext(source))
            done, _ = await asyncio.wait({following}, timeout=pause_s)
            if not done:
                yield None
                continue
            try:
                found = following.result()
            except StopAsyncIteration:
                return
            following = None
            yield found
    finally:
        if following is not None:
            following.cancel()
            with contextlib.suppress(asyncio.CancelledError, StopAsyncIteration):
                await following
        if isinstance(source, Subscription):
            source.close()
        elif isinstance(source, AsyncGenerator):
            await source.aclose()


def message(kind: str, data: Any, number: int | None = None) -> bytes:
    """Return one server-sent event; `number` is what a client says as Last-Event-ID."""
    head = f"id: {number}\n" if number is not None else ""
    return f"{head}event: {kind}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def replayed(store: Store, after: int) -> list[tuple[int, bytes]]:
    """Return (id, message) of the newest events after one that a client has seen."""
    rows = store.read(
        "SELECT event.id, node, number, source, value, at, event.heard FROM event "
        "JOIN node ON node.id = event.node WHERE event.id > ? AND source != 'row' "
        "AND node.state = 'adopted' ORDER BY event.id DESC LIMIT ?",
        (after, REPLAY_MAX),
    )
    names = ("id", "node", "number", "source", "value", "at", "heard")
    found = (dict(zip(names, row, strict=True)) for row in reversed(rows))
    return [(event["id"], message("event", event, event["id"])) for event in found]


def newest(store: Store) -> int:
    """Return the id of the newest event, 0 without any."""
    return store.read("SELECT coalesce(max(id), 0) FROM event", ())[0][0]


async def serve(request: web.Request, store: Store, hub: Hub) -> web.StreamResponse:
    """Send what the gateway learns; first what came since Last-Event-ID.

    An `event` is an event of a node, with its id. `node` and `wait` say that something of a node
    has changed, which the client then asks for.
    """
    known = request.headers.get("Last-Event-ID", "")
    response = web.StreamResponse(headers=HEADERS)
    told = hub.subscribe()  # before the store is read: nothing comes between
    seen = int(known) if known.isdecimal() and len(known) < 19 else newest(store)
    news = with_pauses(told, COMMENT_S)
    try:
        await response.prepare(request)
        await response.write(b"retry: 2000\n\n")
        for number, text in replayed(store, seen):
            seen = number
            await response.write(text)
        async for item in news:
            if item is None:
                await response.write(b":\n\n")
                continue
            for number, text in replayed(store, seen):
                seen = number
                await response.write(text)
            if item.kind in ("node", "wait"):  # values come with a "node" at their end
                await response.write(message(item.kind, {"node": item.node_id}))
    except ConnectionResetError:
        pass  # the client has left
    finally:
        await news.aclose()
        told.close()
    return response
