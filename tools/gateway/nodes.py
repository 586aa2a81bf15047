"""Who a node is, and when it is due: the table `node`.

A node is its board's EUI-64, or its keys where it has some. Its name, `ep`, is what it calls
itself as long as no other node does. Nodes that nobody has adopted are kept apart: few of them,
with few events, told to nobody.
"""

import re
import sqlite3
from typing import NamedTuple

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
NEW_MAX = 20  # nodes that nobody has adopted; the one heard least recently leaves
BEAT_S = 3600
LATE_BEATS = 2.5
LATE_S = 60
COLUMNS = "id, eui, ep, title, kind, state, beat_s, heard, addr, needs_key"


class Node(NamedTuple):
    """A row of the table `node`, times in seconds since 1970."""

    id: int
    eui: str | None
    ep: str
    title: str
    kind: str
    state: str
    beat_s: int
    heard: float | None
    addr: str
    needs_key: int

    @property
    def due_s(self) -> float | None:
        """Return when the next report comes at the latest, None before the first one."""
        return None if self.heard is None else self.heard + self.beat_s

    def is_overdue(self, now_s: float) -> bool:
        """Return True if more than two reports have been missed."""
        return self.heard is not None and now_s > overdue_s(self.heard, self.beat_s)


class Unauthorized(Exception):
    """The node has keys, and the message came without them."""


class Unknown(Exception):
    """Only nodes with keys are accepted."""


class Mismatch(Exception):
    """The keys belong to a node of another name."""


def overdue_s(heard_s: float, beat_s: float) -> float:
    """Return from when on a node is overdue that was heard last at heard_s."""
    return heard_s + LATE_BEATS * beat_s + LATE_S


def with_keys(connection: sqlite3.Connection, node: int, ep: str, eui: str) -> Node:
    """Return the node whose keys protect a report, and note its board.

    Raises:
        Mismatch: it calls itself otherwise.
    """
    found = get(connection, "id = ?", node)
    if found is None or found.ep != ep:
        raise Mismatch(f"these are not the keys of {ep}")
    if found.eui != eui or found.state != "adopted":
        # a new board with the keys of this node, or the same board before it had keys
        other = get(connection, "eui = ? AND id != ?", eui, node)
        if other is not None and other.state == "new" and not other.needs_key:
            remove(connection, other.id)
        connection.execute("UPDATE node SET eui = NULL WHERE eui = ? AND id != ?", (eui, node))
        connection.execute(
            "UPDATE node SET eui = ?, state = 'adopted', needs_key = 1 WHERE id = ?", (eui, node)
        )
    return found._replace(eui=eui, state="adopted")


def without_keys(
    connection: sqlite3.Connection, ep: str, eui: str, is_strict: bool = False
) -> Node:
    """Return the node of a report in the clear, which is new where nobody knows it.

    Raises:
        Unauthorized: it has keys, or another one of this name has.
        Unknown: it is new, and is_strict.
    """
    found = get(connection, "eui = ?", eui)
    namesake = get(connection, "ep = ?", ep)
    if any(one is not None and one.needs_key for one in (found, namesake)):
        raise Unauthorized(f"{ep} has keys")
    if found is not None and found.state != "gone":
        return found
    if is_strict:
        raise Unknown(f"{ep} has no keys")
    if found is not None:
        connection.execute("UPDATE node SET state = 'new' WHERE id = ?", (found.id,))
        return found._replace(state="new")
    make_room(connection)
    return add(connection, ep if namesake is None else free_name(connection, ep, eui), eui)


def add(connection: sqlite3.Connection, ep: str, eui: str | None, state: str = "new") -> Node:
    """Add a node and return it."""
    row = connection.execute(
        f"INSERT INTO node (ep, eui, state) VALUES (?, ?, ?) RETURNING {COLUMNS}", (ep, eui, state)
    ).fetchone()
    return Node(*row)


def free_name(connection: sqlite3.Connection, ep: str, eui: str) -> str:
    """Return a name for a node whose own name another one has: door-3f2a, or longer."""
    for digits in (4, 8, 16):
        name = f"{ep[: 62 - digits]}-{eui[-digits:]}"
        if get(connection, "ep = ?", name) is None:
            return name
    raise Unknown(f"{ep}: all names like it are taken")


def make_room(connection: sqlite3.Connection) -> None:
    """Remove the nodes that nobody has adopted and that were heard least recently."""
    rows = connection.execute(
        "SELECT id FROM node WHERE state = 'new' ORDER BY heard DESC LIMIT -1 OFFSET ?",
        (NEW_MAX - 1,),
    ).fetchall()
    for (node,) in rows:
        remove(connection, node)


def remove(connection: sqlite3.Connection, node: int) -> None:
    """Remove a node and all that it told."""
    for table in ("event", "gap", "last", "reading", "hourly", "daily", "wait", "key"):
        connection.execute(f"DELETE FROM {table} WHERE node = ?", (node,))
    connection.execute("DELETE FROM node WHERE id = ?", (node,))


def get(connection: sqlite3.Connection, where: str, *args: object) -> Node | None:
    """Return the node that a condition of SQL selects, None if there is none."""
    row = connection.execute(f"SELECT {COLUMNS} FROM node WHERE {where}", args).fetchone()
    return None if row is None else Node(*row)
