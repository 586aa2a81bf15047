"""The time, also on a small computer that has none when it starts, and gets it from the network.

A time before the newest one in the store, or before this version, is wrong. Until the computer's
clock is right, time goes on from a day after the newest known one: so no event is dated before one
that came earlier. Once it is right, what was stored meanwhile is moved to its true time.
"""

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable

from .store import Store, StoreError

RELEASED_S = 1_796_000_000.0  # 2026-11-29: no clock that is right shows less
DAY_S = 86400.0
CHECK_S = 5.0
# Columns of times, and the one by which rows of the wrong clock are told
MOVED = (
    ("event", ("at", "heard"), "heard"),
    ("gap", ("heard",), "heard"),
    ("last", ("at", "heard"), "heard"),
    ("reading", ("at",), "at"),
    ("node", ("heard", "about"), "heard"),
    ("wait", ("due",), "due"),
    ("reg", ("until",), "until"),
)
log = logging.getLogger("gateway")


class Clock:
    """The gateway's clock. now() returns seconds since 1970.

    Args:
        wall, monotonic: the computer's clocks; arguments for tests.
    """

    def __init__(
        self,
        store: Store,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ):
        self._store, self._wall, self._monotonic = store, wall, monotonic
        self._least_s = max(RELEASED_S, newest(store))
        self._start_s = monotonic()
        self.is_set = wall() >= self._least_s - DAY_S  # a clock may go wrong by seconds

    def now(self) -> float:
        """Return the time, or a later one than all that is known while the clock is wrong."""
        return self._wall() if self.is_set else self._provisional_s()

    async def run(self) -> None:
        """Wait until the clock is right, and move what was stored before. Returns then."""
        if not self.is_set:
            log.warning("this computer's clock is wrong: events get their times once it is set")
        while not self.is_set:
            await asyncio.sleep(CHECK_S)
            await self.check()

    async def check(self) -> None:
        """Look at the clock once."""
        if self.is_set or self._wall() < self._least_s - DAY_S:
            return
        shift_s = self._wall() - self._provisional_s()
        try:
            await self._store.write(move, self._least_s + DAY_S / 2, shift_s)
        except StoreError as error:
            log.warning("times are corrected later: %s", error)
            return
        self.is_set = True
        log.warning("this computer's clock is set: what came before is dated anew")

    def _provisional_s(self) -> float:
        return self._least_s + DAY_S + self._monotonic() - self._start_s


def newest(store: Store) -> float:
    """Return the newest time at which something was heard, 0 if nothing was."""
    rows = store.read(
        "SELECT max(heard) FROM (SELECT max(heard) AS heard FROM event"
        " UNION ALL SELECT max(heard) FROM node)"
    )
    return rows[0][0] or 0.0


def move(connection: sqlite3.Connection, since_s: float, shift_s: float) -> None:
    """Move all times of rows since a time, in the writer's transaction."""
    for table, columns, mark in MOVED:
        changes = ", ".join(f"{name} = {name} + :shift" for name in columns)
        connection.execute(
            f"UPDATE {table} SET {changes} WHERE {mark} >= :since",
            {"shift": shift_s, "since": since_s},
        )
