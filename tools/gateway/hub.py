"""Tells the parts of the gateway what has happened: a publisher, and subscribers with queues."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

QUEUE_MAX = 256  # who is further behind is dropped


class News(NamedTuple):
    """Something that has happened, after it was stored.

    kind: "event", "value", "node" or "wait"; node_id: whose; data: what the kind says.
    """

    kind: str
    node_id: int
    data: dict[str, Any]


class Hub:
    """Hands news to all who have subscribed."""

    def __init__(self) -> None:
        self._queues: set[asyncio.Queue[News | None]] = set()

    def publish(self, kind: str, node_id: int, data: dict[str, Any]) -> None:
        """Tell all subscribers; one that does not keep up ends."""
        for queue in list(self._queues):
            try:
                queue.put_nowait(News(kind, node_id, data))
            except asyncio.QueueFull:
                self._queues.discard(queue)
                queue.get_nowait()
                queue.put_nowait(None)

    def subscribe(self) -> "Subscription":
        """Return an iterator over the news from now on. It ends when it falls behind."""
        return Subscription(self._queues)


class Subscription(AsyncIterator[News]):
    """The news for one subscriber; close() ends it."""

    def __init__(self, queues: set[asyncio.Queue[News | None]]):
        self._queues = queues
        self._queue: asyncio.Queue[News | None] = asyncio.Queue(QUEUE_MAX)
        queues.add(self._queue)

    async def __anext__(self) -> News:
        """Return the next news. Raises StopAsyncIteration at the end."""
        news = await self._queue.get()
        if news is None:
            raise StopAsyncIteration
        return news

    def close(self) -> None:
        """Take no more news."""
        self._queues.discard(self._queue)
