"""The gateway's clock on a computer whose own is wrong at the start."""

import asyncio

from parts import client, report, run, running
from tools.gateway.clock import DAY_S, RELEASED_S, Clock
from tools.gateway.store import Store

TRUE_S = 1_900_000_000.0


class Computer:
    """A computer whose clock shows 1970 until it is set."""

    def __init__(self):
        self.up_s = 0.0
        self.is_set = False

    def wall(self):
        return TRUE_S + self.up_s if self.is_set else self.up_s

    def monotonic(self):
        return self.up_s


def heard(store):
    return store.read("SELECT at, heard FROM event ORDER BY id")


def test_a_clock_that_is_right_is_used_as_it_is(tmp_path):
    store = Store(tmp_path)
    clock = Clock(store, lambda: TRUE_S, lambda: 0.0)
    assert clock.is_set and clock.now() == TRUE_S
    store.close()


def test_a_wrong_clock_goes_on_from_the_newest_known_time(tmp_path):
    async def main():
        store = Store(tmp_path)
        await store.write(
            lambda connection: connection.execute(
                "INSERT INTO node (ep, heard) VALUES ('a', ?)", (TRUE_S,)
            )
        )
        computer = Computer()
        clock = Clock(store, computer.wall, computer.monotonic)
        assert not clock.is_set and clock.now() == TRUE_S + DAY_S
        computer.up_s = 60
        assert clock.now() == TRUE_S + DAY_S + 60
        store.close()

    asyncio.run(main())


def test_events_of_the_wrong_clock_get_their_times_once_it_is_set(tmp_path):
    async def main():
        computer = Computer()
        async with running(tmp_path) as gateway, client() as context:
            clock = Clock(gateway.store, computer.wall, computer.monotonic)
            gateway.intake._now = clock.now
            for number, age_s in ((1, 10), (2, 20)):
                computer.up_s += 100
                await report(context, gateway, ("contact", True, age_s), ("contact_n", number))
                await report(context, gateway, ("batt", 80.0))
            assert all(row[1] > RELEASED_S for row in heard(gateway.store))
            await clock.check()
            assert not clock.is_set
            computer.is_set = True
            await clock.check()
            assert clock.is_set and clock.now() == TRUE_S + 200
            assert heard(gateway.store) == [
                (TRUE_S + 90, TRUE_S + 100),
                (TRUE_S + 180, TRUE_S + 200),
            ]
            for sql in ("SELECT heard FROM node", "SELECT heard FROM last WHERE path = 's/batt'"):
                assert gateway.store.read(sql) == [(TRUE_S + 200,)]
            rows = gateway.store.read("SELECT at FROM reading ORDER BY at")
            assert rows == [(TRUE_S + 100,), (TRUE_S + 200,)]
            await clock.check()
            assert heard(gateway.store)[0] == (TRUE_S + 90, TRUE_S + 100), "moved once"

    run(main())


def test_what_was_stored_before_stays_where_it_is(tmp_path):
    async def main():
        computer = Computer()
        async with running(tmp_path) as gateway, client() as context:
            gateway.intake._now = lambda: TRUE_S - 5000
            await report(context, gateway, ("contact", True), ("contact_n", 1))
            clock = Clock(gateway.store, computer.wall, computer.monotonic)
            gateway.intake._now = clock.now
            await report(context, gateway, ("contact", False), ("contact_n", 2))
            computer.is_set = True
            await clock.check()
            assert heard(gateway.store) == [(TRUE_S - 5000,) * 2, (TRUE_S,) * 2]

    run(main())
