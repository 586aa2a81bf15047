"""What waits for a node that sleeps: the rows of `wait`, oldest first.

A newer PUT to a path replaces the one that waits. A node has at most 50 requests and 64 KB, each
for 30 days. A board refuses open writes, so nothing is kept for a node without keys.
"""

import sqlite3
import time
from typing import Any

from .store import Store

PER_NODE = 50
PAYLOAD_MAX = 64 * 1024
KEPT_S = 30 * 86400
METHODS = ("GET", "PUT", "POST", "DELETE", "iPATCH")
COLUMNS = "id, method, path, format, payload, due, state, tries, result, by"


class NotQueued(Exception):
    """A request that is not kept: `reason` is "needs keys" or "full", the text one line."""

    def __init__(self, reason: str, text: str):
        super().__init__(text)
        self.reason = reason


def insert(
    connection: sqlite3.Connection,
    node: int,
    method: str,
    path: str,
    content_format: int | None,
    payload: bytes,
    by: str,
    now_s: float | None = None,
) -> int:
    """Keep a request for a node and return its number; runs in the writer's transaction.

    Args:
        path: without a leading slash.
        by: who wants it, for those who read the list: "page" or a name.

    Raises:
        NotQueued: the node has no keys, or too much waits for it.
    """
    has_keys = "SELECT 1 FROM key WHERE node = ? AND state = 'good'"
    if not connection.execute(has_keys, (node,)).fetchone():
        raise NotQueued("needs keys", "needs keys: a node accepts no open writes, run `make keys`")
    if method == "PUT":
        connection.execute(
            "DELETE FROM wait "
            "WHERE node = ? AND method = 'PUT' AND path = ? AND state = 'waiting'",
            (node, path),
        )
    count, size = connection.execute(
        "SELECT count(*), coalesce(sum(length(payload)), 0) FROM wait "
        "WHERE node = ? AND state IN ('waiting', 'sent')",
        (node,),
    ).fetchone()
    if count >= PER_NODE or size + len(payload) > PAYLOAD_MAX:
        raise NotQueued("full", f"{count} requests with {size} bytes wait already: delete one")
    due = (time.time() if now_s is None else now_s) + KEPT_S
    cursor = connection.execute(
        "INSERT INTO wait (node, method, path, format, payload, due, state, tries, by) "
        "VALUES (?, ?, ?, ?, ?, ?, 'waiting', 0, ?)",
        (node, method, path, content_format, payload, due, by),
    )
    return int(cursor.lastrowid or 0)


def listed(store: Store, node: int) -> list[dict[str, Any]]:
    """Return what waits for a node and what was delivered, oldest first."""
    rows = store.read(f"SELECT {COLUMNS} FROM wait WHERE node = ? ORDER BY id", (node,))
    return [shown(row) for row in rows]


def shown(row: Any) -> dict[str, Any]:
    """Return one row as JSON has it; the payload as text, or as hexadecimal digits."""
    number, method, path, content_format, payload, due, state, tries, result, by = row
    found = {"id": number, "method": method, "path": path, "format": content_format, "due": due}
    found |= {"state": state, "tries": tries, "result": result, "by": by}
    payload = bytes(payload or b"")
    try:
        return {**found, "payload": payload.decode()}
    except UnicodeDecodeError:
        return {**found, "hex": payload.hex()}


def delete(connection: sqlite3.Connection, node: int, number: int) -> bool:
    """Forget a request; return False when there is none of this number."""
    cursor = connection.execute("DELETE FROM wait WHERE node = ? AND id = ?", (node, number))
    return cursor.rowcount > 0
