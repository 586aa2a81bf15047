"""POST /r/EP: takes the report of a node, and responds once it is stored.

A report is stored in one transaction with the replay window of the keys that protect it. Each
event is stored once, by (node, epoch, number), however often it is told; see
lib/power/README.md.
"""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import aiocoap
import aiocoap.error
import cbor2
from aiocoap.resource import PathCapable, Resource

from . import nodes, senml
from .contexts import Contexts, Key, KeyContext, context_of
from .delivery import Delivery
from .hub import Hub
from .senml import Pack, Record
from .store import Store, StoreError

MODULUS = 1 << 30  # of event numbers
NEW_EVENTS_MAX = 50  # of a node that nobody has adopted
RETRY_S = 60
SOURCES = ("contact", "tamper")
NOT_VALUES = ("contact_n", "row_n", "epoch", "beat", "lost")
ROW_NAMES = ("hr", "spo2", "steps", "temp")
EVENT_NAMES = ("id", "node", "number", "source", "value", "at", "heard")


class Event(NamedTuple):
    """An event of a report; number: modulo 2**30; value: 1 open, 0 closed, None for a row."""

    number: int
    source: str
    value: float | None
    age_s: float


class Taken(NamedTuple):
    """What a report has changed: its node, rows of `event` that are new, paths with values, and
    keys that the node has no more.
    """

    node: nodes.Node
    events: list[dict[str, Any]]
    paths: list[str]
    old_keys: list[Key]


class Intake(Resource, PathCapable):
    """The resource /r.

    Args:
        now: returns the time, seconds since 1970.
        delivery: knows what waits for a node, and sends it after the response.
        is_strict: refuse nodes without keys.
    """

    def __init__(
        self,
        store: Store,
        contexts: Contexts,
        hub: Hub,
        now: Callable[[], float],
        delivery: Delivery,
        spawn: Callable[[Awaitable[Any]], None],
        is_strict: bool = False,
    ):
        super().__init__()
        self._store, self._contexts, self._hub, self._now = store, contexts, hub, now
        self._delivery, self._spawn = delivery, spawn
        self._is_strict = is_strict
        self.counts = {"reports": 0, "repeats": 0, "refused": 0}

    async def render_post(self, request: aiocoap.Message) -> aiocoap.Message:
        """Store a report; respond with 2.04, whose payload is how many messages wait."""
        if len(request.opt.uri_path) != 1 or not nodes.NAME.fullmatch(request.opt.uri_path[0]):
            return self._refuse(aiocoap.BAD_REQUEST, "post to /r/NODE")
        if request.opt.content_format not in (None, senml.SENML_CBOR):
            return self._refuse(aiocoap.UNSUPPORTED_CONTENT_FORMAT, "")
        try:
            pack = senml.decode(request.payload)
            events, epoch = events_of(pack)
        except ValueError as error:
            return self._refuse(aiocoap.BAD_REQUEST, str(error))
        context = context_of(request.remote)
        heard_s = self._now()
        args = (request.opt.uri_path[0], pack, events, epoch, context, heard_s)
        try:
            taken = await self._store.write(self._take, *args, request.remote.hostinfo)
        except nodes.Unauthorized:
            return self._refuse(aiocoap.UNAUTHORIZED, "this node has keys")
        except (nodes.Mismatch, nodes.Unknown) as error:
            return self._refuse(aiocoap.FORBIDDEN, str(error))
        except StoreError:
            response = self._refuse(aiocoap.SERVICE_UNAVAILABLE, "cannot store it")
            response.opt.max_age = RETRY_S
            return response
        self.counts["reports"] += 1
        self.counts["repeats"] += bool(events) and not taken.events
        self._contexts.drop(taken.old_keys)
        self._tell(taken, heard_s)
        return aiocoap.Message(
            code=aiocoap.CHANGED, payload=cbor2.dumps(await self._wait(taken.node, request.remote))
        )

    async def _wait(self, node: nodes.Node, remote: Any) -> int:
        """Begin to deliver what waits for a node; return how many messages that is."""
        try:
            if context_of(remote) is None:
                return 0  # a board refuses what comes without keys
            await self._delivery.ask_about(node)
            count = self._delivery.waiting(node.id)
        except StoreError:
            return 0  # the report is stored: what waits has time
        if count:
            self._spawn(self._deliver_soon(node, remote))
        return count

    async def _deliver_soon(self, node: nodes.Node, remote: Any) -> None:
        await asyncio.sleep(0)  # the response goes first
        await self._delivery.deliver(node, remote)

    def _refuse(self, code: Any, why: str) -> aiocoap.Message:
        self.counts["refused"] += 1
        return aiocoap.Message(code=code, payload=why.encode())

    def _take(
        self,
        connection: sqlite3.Connection,
        ep: str,
        pack: Pack,
        events: list[Event],
        epoch: str,
        context: KeyContext | None,
        heard_s: float,
        addr: str,
    ) -> Taken:
        """Store a report, within the writer's transaction."""
        old_keys: list[Key] = []
        if context is None:
            node = nodes.without_keys(connection, ep, pack.eui, self._is_strict)
            epoch = f"open-{epoch}"
        else:
            node = nodes.with_keys(connection, context.node, ep, pack.eui)
            self._contexts.save_window(connection, context)
            old_keys = self._contexts.retire_older(connection, context)
            epoch = f"{context.key[0].hex()}-{epoch}"
        if node.heard is not None:
            heard_s = max(heard_s, node.heard)  # a clock that was set back
        new = store_told(connection, node.id, epoch, pack, events, heard_s)
        paths = store_values(connection, node.id, pack, heard_s)
        beat = pack.first("beat")
        kind = node.kind or kind_of(pack)
        connection.execute(
            "UPDATE node SET heard = ?, addr = ?, kind = ?, beat_s = coalesce(?, beat_s)"
            " WHERE id = ?",
            (heard_s, addr, kind, beat if isinstance(beat, int) and beat > 0 else None, node.id),
        )
        if node.state == "new":
            connection.execute(
                "DELETE FROM event WHERE node = ? AND id NOT IN"
                " (SELECT id FROM event WHERE node = ? ORDER BY id DESC LIMIT ?)",
                (node.id, node.id, NEW_EVENTS_MAX),
            )
        return Taken(node._replace(heard=heard_s, addr=addr, kind=kind), new, paths, old_keys)

    def _tell(self, taken: Taken, heard_s: float) -> None:
        for event in taken.events:
            self._hub.publish("event", taken.node.id, event)
        for path in taken.paths:
            self._hub.publish("value", taken.node.id, {"path": path})
        self._hub.publish("node", taken.node.id, {"heard": heard_s})


def events_of(pack: Pack) -> tuple[list[Event], str]:
    """Return the events of a pack, oldest first, and the epoch of their numbers.

    Raises:
        ValueError: a number is none.
    """
    epoch = pack.first("epoch")
    last = pack.first("contact_n")
    if last is not None:
        told = [one for one in pack.records if one.name in SOURCES]
        found = [(one.name, float(bool(one.value)), one.age_s) for one in told]
    else:
        last = pack.first("row_n")
        if last is None:
            return [], ""
        ages_s = {one.age_s for one in pack.records if one.name in ROW_NAMES}
        found = [("row", None, age_s) for age_s in sorted(ages_s, reverse=True)]
    if not isinstance(last, int) or isinstance(last, bool) or not 0 <= last < MODULUS:
        raise ValueError("the number of an event is an integer below 2**30")
    first = last - len(found) + 1
    events = [
        Event((first + i) % MODULUS, source, value, age_s)
        for i, (source, value, age_s) in enumerate(found)
    ]
    return events, str(epoch or "")


def store_told(
    connection: sqlite3.Connection,
    node: int,
    epoch: str,
    pack: Pack,
    events: list[Event],
    heard_s: float,
) -> list[dict[str, Any]]:
    """Store the events of a pack, and the gap before them; return those that are new."""
    lost = pack.first("lost")
    if lost:
        if events:
            place = (epoch, (events[0].number - 1) % MODULUS)
        else:
            place = connection.execute(
                "SELECT epoch, number FROM event WHERE node = ? ORDER BY id DESC LIMIT 1", (node,)
            ).fetchone() or (epoch, -1)
        missing = lost if isinstance(lost, int) else None
        connection.execute(
            "INSERT INTO gap VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET missing = excluded.missing, heard = excluded.heard",
            (node, *place, missing, heard_s),
        )
    return store_events(connection, node, epoch, events, heard_s)


def store_heard(connection: sqlite3.Connection, node: int, heard_s: float, beat_s: float) -> None:
    """Note that a node was heard, which is to be heard again within beat_s."""
    connection.execute(
        "UPDATE node SET heard = max(coalesce(heard, 0), ?), beat_s = ? WHERE id = ?",
        (heard_s, int(beat_s), node),
    )


def store_events(
    connection: sqlite3.Connection, node: int, epoch: str, events: list[Event], heard_s: float
) -> list[dict[str, Any]]:
    """Store the events that are not known; return them as dicts with the names EVENT_NAMES.

    A known number with another source or value is another event: a board without keys began again
    with the same epoch. It gets an epoch of its own.
    """
    for attempt in range(1, 100):
        present = f"{epoch}+{attempt}" if attempt > 1 else epoch
        known = {
            number: (source, value)
            for number, source, value in (
                connection.execute(
                    "SELECT number, source, value FROM event"
                    " WHERE node = ? AND epoch = ? AND number = ?",
                    (node, present, event.number),
                ).fetchone()
                or (None, None, None)
                for event in events
            )
        }
        if all(known.get(one.number, one[1:3]) == one[1:3] for one in events):
            epoch = present
            break
    new = []
    for event in events:
        at_s = heard_s - event.age_s
        row = connection.execute(
            "INSERT OR IGNORE INTO event (node, epoch, number, source, value, at, heard)"
            " VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id",
            (node, epoch, event.number, event.source, event.value, at_s, heard_s),
        ).fetchone()
        if row:
            told = (row[0], node, event.number, event.source, event.value, at_s, heard_s)
            new.append(dict(zip(EVENT_NAMES, told, strict=True)))
    return new


def store_values(
    connection: sqlite3.Connection, node: int, pack: Pack, heard_s: float
) -> list[str]:
    """Store the newest value of each name, and all readings; return the paths, s/NAME."""
    newest: dict[str, Record] = {}
    for one in pack.records:
        if one.name and one.name not in NOT_VALUES:
            newest[one.name] = one
            if one.name not in SOURCES and isinstance(one.value, (int, float)):
                connection.execute(
                    "INSERT OR IGNORE INTO reading VALUES (?, ?, ?, ?)",
                    (node, one.name, heard_s - one.age_s, float(one.value)),
                )
    if "contact" in newest and "tamper" not in newest and pack.first("contact_n") is None:
        known = "SELECT unit FROM last WHERE node = ? AND path = 's/tamper'"
        if connection.execute(known, (node,)).fetchone():
            newest["tamper"] = Record("tamper", "", False, 0)  # told only while the lid is off
    for name, one in newest.items():
        value = int(one.value) if isinstance(one.value, bool) else one.value
        connection.execute(
            "INSERT OR REPLACE INTO last (node, path, value, unit, at, heard)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (node, f"s/{name}", value, one.unit, heard_s - one.age_s, heard_s),
        )
    return [f"s/{name}" for name in newest]


def kind_of(pack: Pack) -> str:
    """Return what kind of node tells such a pack: "door", "wearable" or ""."""
    if pack.first("contact") is not None:
        return "door"
    return "wearable" if any(one.name in ROW_NAMES for one in pack.records) else ""
