"""Delivers what waits for nodes that sleep: in their wakes, oldest first, under their keys.

A report is answered with the number of messages that wait; the node then stays awake for them.
What is lost on the way stays in the queue for the next wake. A node that was adopted is also asked
what it is, and for its settings and links, once and then once a week.
"""

import asyncio
import json
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any

import aiocoap
import aiocoap.error
from aiocoap.numbers.codes import Code
from aiocoap.transports.oscore import OSCOREAddress

from . import queue, senml
from .contexts import context_of
from .hub import Hub
from .nodes import Node
from .store import Store, StoreError

BLOCK_EXPONENT = 5  # blocks of 512 bytes: a board receives that beside options and OSCORE
BLOCK_BYTES = 16 << BLOCK_EXPONENT
MESSAGE_S = 10.0  # for one request with its blocks: what is lost comes again at the next wake
ASKED_EVERY_S = 7 * 86400
ABOUT = ("dev", "config", ".well-known/core")
SHORT = ABOUT[:2]
BY_GATEWAY = "gateway"
TEXT_MAX = 120  # characters of a diagnostic payload that are kept
ABOUT_MAX = 4096  # bytes of a response that is kept
PENDING = "state IN ('waiting', 'sent')"

Request = Callable[[aiocoap.Message, float], Awaitable[aiocoap.Message]]
log = logging.getLogger("gateway")


class Delivery:
    """Sends the requests of the table `wait` to the nodes that are awake.

    Args:
        request: sends a message under keys and returns the response, within a time in seconds.
        now: returns the time, seconds since 1970.
        wake_s: how long a node is kept awake at most.
    """

    def __init__(
        self, store: Store, hub: Hub, request: Request, now: Callable[[], float], wake_s: float
    ):
        self._store, self._hub, self._now = store, hub, now
        self._request, self._wake_s = request, wake_s
        self._busy: set[int] = set()  # nodes

    def waiting(self, node: int) -> int:
        """Return how many messages wait for a node; each block of a body is one."""
        rows = self._store.read(
            "SELECT method, path, length(payload) FROM wait"
            f" WHERE node = ? AND {PENDING} AND due > ?",
            (node, self._now()),
        )
        return sum(messages(*row) for row in rows)

    async def deliver(self, node: Node, remote: Any) -> None:
        """Send what waits to a node that has just reported from `remote`, until it is silent."""
        if node.id in self._busy or not isinstance(remote, OSCOREAddress):
            return
        self._busy.add(node.id)
        loop = asyncio.get_running_loop()
        end_s = loop.time() + self._wake_s
        try:
            while (left_s := end_s - loop.time()) > 0:
                row = self._next(node.id)
                if row is None or not await self._send(node, remote, row, left_s):
                    return
        except StoreError as error:
            log.warning("nothing is delivered to %s: %s", node.ep, error)
        finally:
            self._busy.discard(node.id)

    async def ask_about(self, node: Node) -> None:
        """Have a node asked what it is, for its settings and links, unless that is known."""
        asked = self._store.read("SELECT about FROM node WHERE id = ?", (node.id,))
        if node.state != "adopted" or not node.needs_key or not asked:
            return
        if self._now() - (asked[0][0] or 0) >= ASKED_EVERY_S:
            await self._store.write(ask, node.id, self._now())

    def _next(self, node: int) -> tuple | None:
        """Return the oldest request whose turn it is, None if there is none."""
        rows = self._store.read(
            "SELECT id, method, path, format, payload, by FROM wait AS one"
            f" WHERE node = ? AND {PENDING} AND due > ? AND NOT EXISTS (SELECT 1 FROM wait"
            f" WHERE id = one.after AND {PENDING}) ORDER BY id LIMIT 1",
            (node, self._now()),
        )
        return rows[0] if rows else None

    async def _send(self, node: Node, remote: OSCOREAddress, row: tuple, left_s: float) -> bool:
        """Send one request; return False if the node does not respond."""
        number, method, path, content_format, payload, by = row
        await self._mark(node.id, number, "state = 'sent', tries = tries + 1")
        path, mark, query = path.partition("?")
        message = aiocoap.Message(
            code=Code[method], payload=payload, uri_path=tuple(path.split("/"))
        )
        if mark:
            message.opt.uri_query = tuple(query.split("&"))
        message.opt.content_format = content_format
        if method == "GET" and by == BY_GATEWAY and path != ABOUT[2]:
            message.opt.accept = senml.JSON
        place: Any = OSCOREAddress(context_of(remote), remote.underlying_address)
        place.maximum_block_size_exp = BLOCK_EXPONENT
        message.remote = place
        try:
            response = await self._request(message, min(MESSAGE_S, left_s))
        except (TimeoutError, aiocoap.error.Error, OSError) as error:
            log.info("%s %s to %s: %s", method, path, node.ep, error)
            await self._mark(node.id, number, "state = 'waiting'")
            return False
        if by == BY_GATEWAY:
            await self._store.write(learn, node, number, path, response, self._now())
            self._hub.publish("node", node.id, {"about": path})
        else:
            text = result(response)
            is_done = response.code.is_successful()
            state = "done" if is_done else "failed"
            await self._mark(node.id, number, "state = ?, result = ?", state, text)
            if is_done and method != "GET":
                await self._store.write(forget_copy, node.id, path, self._now())
        return True

    async def _mark(self, node: int, number: int, change: str, *values: object) -> None:
        def mark(connection: sqlite3.Connection) -> None:
            connection.execute(f"UPDATE wait SET {change} WHERE id = ?", (*values, number))

        await self._store.write(mark)
        self._hub.publish("wait", node, {"id": number})


def messages(method: str, path: str, size: int) -> int:
    """Return how many messages a request takes. A response may come in two blocks.

    What is promised and does not come costs the node seconds of radio, so that is not counted for
    responses which are known to be short.
    """
    if method == "GET" and path not in SHORT:
        return 2
    return max(-(-size // BLOCK_BYTES), 1)


def result(response: aiocoap.Message) -> str:
    """Return a response as the queue shows it: "2.04", or "4.00 what is wrong"."""
    text = response.payload[:ABOUT_MAX].decode("utf-8", "replace")
    shown = "".join(one for one in text if one.isprintable())[:TEXT_MAX]
    return f"{response.code.dotted} {shown}".strip()


def ask(connection: sqlite3.Connection, node: int, now_s: float) -> None:
    """Put the questions of the gateway itself into a node's queue."""
    connection.execute("DELETE FROM wait WHERE node = ? AND by = ?", (node, BY_GATEWAY))
    for path in ABOUT:
        queue.insert(connection, node, "GET", path, None, b"", BY_GATEWAY, now_s)
    connection.execute("UPDATE node SET about = ? WHERE id = ?", (now_s, node))


def forget_copy(connection: sqlite3.Connection, node: int, path: str, now_s: float) -> None:
    """Drop the copy of what a write has changed, and have the node asked for it again."""
    found = connection.execute(
        "DELETE FROM last WHERE node = ? AND path = ? AND format NOTNULL", (node, path)
    )
    if found.rowcount:
        queue.insert(connection, node, "GET", path, None, b"", BY_GATEWAY, now_s)


def learn(
    connection: sqlite3.Connection,
    node: Node,
    number: int,
    path: str,
    response: aiocoap.Message,
    now_s: float,
) -> None:
    """Store what a node says of itself, and remove the question."""
    connection.execute("DELETE FROM wait WHERE id = ?", (number,))
    if response.code != Code.CONTENT or len(response.payload) > ABOUT_MAX:
        return
    try:
        text = response.payload.decode()
        told = json.loads(text) if path != ABOUT[2] else {}
    except ValueError:
        return
    if path == ABOUT[2]:
        connection.execute("UPDATE node SET links = ? WHERE id = ?", (text, node.id))
        return
    connection.execute(
        "INSERT OR REPLACE INTO last (node, path, value, at, heard, format)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (node.id, path, text, now_s, now_s, senml.JSON),
    )
    if path == ABOUT[0] and isinstance(told, dict):
        version = str(told.get("firmware", ""))[:TEXT_MAX]
        connection.execute("UPDATE node SET fw = ? WHERE id = ?", (version, node.id))
    if path == ABOUT[1] and isinstance(told, dict):
        power = str(told.get("power", ""))[:TEXT_MAX]
        beat_s = told.get("heartbeat_s")
        connection.execute(
            "UPDATE node SET power = ?, beat_s = coalesce(?, beat_s) WHERE id = ?",
            (power, beat_s if type(beat_s) is int and beat_s > 0 else None, node.id),
        )
