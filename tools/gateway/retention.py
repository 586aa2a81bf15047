"""How long the store keeps what: events two years, readings a month, their means for longer.

Means are of complete hours and days, in UTC. The last two days are summed up anew at each pass,
since a report may tell what was measured a day before. Rows are removed in pieces, so that no
report waits long.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Callable

from .store import Store, StoreError

HOUR_S, DAY_S = 3600, 86400
EVENTS_S = 730 * DAY_S
READINGS_S = 30 * DAY_S
HOURLY_S = 365 * DAY_S
AGAIN_S = 2 * DAY_S
WAIT_S = 30 * DAY_S  # after its end
PIECE = 1000
EVERY_S = 3600.0
CURSOR = "means"
# Removed are the rows of a table, by its key, that are older than a time.
REMOVED = (
    ("event", "id", "at", EVENTS_S),
    ("gap", "node, epoch, after", "heard", EVENTS_S),
    ("reading", "node, name, at", "at", READINGS_S),
    ("hourly", "node, name, t", "t", HOURLY_S),
    ("wait", "id", "due", WAIT_S),
    ("reg", "href", "until", 0),
)
MEANS = (
    "INSERT OR REPLACE INTO {table}"
    " SELECT node, name, CAST(at / {step} AS INTEGER) * {step} AS t,"
    " count(*), min(value), max(value), sum(value)"
    " FROM reading WHERE at >= ? AND at < ? GROUP BY node, name, t"
)
log = logging.getLogger("gateway")


async def run(store: Store, now: Callable[[], float]) -> None:
    """Make a pass each hour until cancelled."""
    while True:
        try:
            await make_pass(store, now())
        except StoreError as error:
            log.warning("old rows stay: %s", error)
        await asyncio.sleep(EVERY_S)


async def make_pass(store: Store, now_s: float) -> None:
    """Sum up readings, give up requests that waited too long, and remove old rows."""
    await store.write(sum_up, now_s)
    await store.write(give_up, now_s)
    for table, key, column, kept_s in REMOVED:
        while await store.write(remove_piece, table, key, column, now_s - kept_s):
            pass


def sum_up(connection: sqlite3.Connection, now_s: float) -> None:
    """Write the means of complete hours and days, in the writer's transaction."""
    row = connection.execute("SELECT id FROM cursor WHERE sink = ?", (CURSOR,)).fetchone()
    since_s = max((row[0] if row else 0) - AGAIN_S, 0)
    for table, step_s in (("hourly", HOUR_S), ("daily", DAY_S)):
        span = (since_s - since_s % step_s, now_s - now_s % step_s)
        connection.execute(MEANS.format(table=table, step=step_s), span)
    connection.execute("INSERT OR REPLACE INTO cursor VALUES (?, ?)", (CURSOR, int(now_s)))


def give_up(connection: sqlite3.Connection, now_s: float) -> None:
    """End the requests that no node has fetched in time."""
    connection.execute(
        "UPDATE wait SET state = 'failed', result = 'given up: the node did not take it'"
        " WHERE state IN ('waiting', 'sent') AND due <= ?",
        (now_s,),
    )


def remove_piece(
    connection: sqlite3.Connection, table: str, key: str, column: str, before_s: float
) -> int:
    """Remove some rows of a table that are older than a time; return how many."""
    return connection.execute(
        f"DELETE FROM {table} WHERE ({key}) IN"
        f" (SELECT {key} FROM {table} WHERE {column} < ? LIMIT {PIECE})",
        (before_s,),
    ).rowcount
