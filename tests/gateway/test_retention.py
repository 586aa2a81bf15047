"""What the store keeps, and for how long."""

import asyncio

import pytest
from tools.gateway import history, retention
from tools.gateway.retention import DAY_S, HOUR_S, make_pass
from tools.gateway.store import Store

NOW_S = 1_800_000_000.0


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path)
    yield store
    store.close()


def put(store, table, rows):
    marks = ", ".join("?" * len(rows[0]))

    def insert(connection):
        connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)

    return store.write(insert)


def count(store, table):
    return store.read(f"SELECT count(*) FROM {table}")[0][0]


def test_old_readings_become_means_and_the_means_stay(store):
    async def main():
        first_s = NOW_S - NOW_S % DAY_S - 40 * DAY_S
        rows = [(1, "temp", first_s + i * 600.0, 20.0 + i % 6) for i in range(40 * 144)]
        await put(store, "reading", rows)
        await make_pass(store, NOW_S)
        assert count(store, "hourly") == 40 * 24 and count(store, "daily") == 40
        n, least, greatest, total = store.read("SELECT n, min, max, sum FROM hourly LIMIT 1")[0]
        assert (n, least, greatest, total) == (6, 20.0, 25.0, 135.0)
        assert 29 * 144 < count(store, "reading") <= 31 * 144
        told = history.curve(store, 1, "temp", first_s, NOW_S, 2000)
        assert told["level"] == "hourly" and len(told["points"]) == 40 * 24
        assert told["points"][0] == [first_s, 22.5, 20.0, 25.0]

    asyncio.run(main())


def test_hours_that_are_not_over_have_no_mean_yet_and_late_readings_count(store):
    async def main():
        hour_s = NOW_S - NOW_S % HOUR_S
        await put(store, "reading", [(1, "hr", hour_s - 10, 60.0), (1, "hr", hour_s + 10, 90.0)])
        await make_pass(store, hour_s + 60)
        assert store.read("SELECT t, n, sum FROM hourly") == [(hour_s - HOUR_S, 1, 60.0)]
        await put(store, "reading", [(1, "hr", hour_s - 20, 70.0)])  # told a day later
        await make_pass(store, hour_s + HOUR_S + 60)
        assert store.read("SELECT n, sum FROM hourly ORDER BY t") == [(2, 130.0), (1, 90.0)]

    asyncio.run(main())


def test_events_stay_two_years_and_go_in_pieces(store, monkeypatch):
    monkeypatch.setattr(retention, "PIECE", 10)

    async def main():
        rows = [
            (None, 1, "e", i, "contact", 1.0, NOW_S - age_s, NOW_S - age_s, "")
            for i, age_s in enumerate([731 * DAY_S] * 35 + [729 * DAY_S] * 5)
        ]
        await put(store, "event", rows)
        await make_pass(store, NOW_S)
        assert count(store, "event") == 5

    asyncio.run(main())


def test_means_of_hours_go_after_a_year_those_of_days_never(store):
    async def main():
        rows = [(1, "hr", NOW_S - days * DAY_S, 1, 60.0, 60.0, 60.0) for days in (366, 364)]
        for table in ("hourly", "daily"):
            await put(store, table, rows)
        await make_pass(store, NOW_S)
        assert (count(store, "hourly"), count(store, "daily")) == (1, 2)

    asyncio.run(main())


def test_a_request_that_waited_a_month_is_given_up_and_later_removed(store):
    async def main():
        await store.write(
            lambda connection: connection.execute(
                "INSERT INTO wait (node, method, path, due) VALUES (1, 'PUT', 'config', ?)",
                (NOW_S,),
            )
        )
        await make_pass(store, NOW_S - 1)
        assert store.read("SELECT state FROM wait") == [("waiting",)]
        await make_pass(store, NOW_S + 1)
        ((state, result),) = store.read("SELECT state, result FROM wait")
        assert state == "failed" and result.startswith("given up")
        await make_pass(store, NOW_S + 31 * DAY_S)
        assert count(store, "wait") == 0

    asyncio.run(main())
