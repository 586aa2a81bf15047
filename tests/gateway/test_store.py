"""The store: what is committed, what is undone, who may open it."""

import asyncio
import sqlite3

import pytest
from tools.gateway.store import FILE, Store, StoreError, backup

from setup.console import Problem


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "data")
    yield store
    store.close()


def insert(connection, ep):
    connection.execute("INSERT INTO node (ep) VALUES (?)", (ep,))
    return ep


def test_what_was_written_can_be_read(store):
    async def main():
        results = await asyncio.gather(*[store.write(insert, f"n{i}") for i in range(200)])
        assert results == [f"n{i}" for i in range(200)]
        assert store.read("SELECT count(*) FROM node") == [(200,)]

    asyncio.run(main())


def test_a_function_that_fails_undoes_only_its_own(store):
    def fails(connection):
        insert(connection, "b")
        raise ValueError("no")

    async def main():
        done = await asyncio.gather(
            store.write(insert, "a"),
            store.write(fails),
            store.write(insert, "a"),
            store.write(insert, "c"),
            return_exceptions=True,
        )
        assert [type(one) for one in done] == [str, ValueError, sqlite3.IntegrityError, str]
        assert store.read("SELECT ep FROM node ORDER BY ep") == [("a",), ("c",)]

    asyncio.run(main())


def test_a_full_disk_fails_the_whole_group_and_is_named(store):
    def full(connection):
        raise sqlite3.OperationalError("database or disk is full")

    async def main():
        done = await asyncio.gather(
            store.write(insert, "a"), store.write(full), return_exceptions=True
        )
        assert StoreError in [type(one) for one in done]
        assert "disk is full" in store.problem
        await store.write(insert, "b")
        assert store.problem == ""

    asyncio.run(main())


def test_one_gateway_a_folder(store):
    with pytest.raises(Problem, match="another gateway uses"):
        Store(store.path.parent)


def test_a_broken_file_is_named_in_one_line(tmp_path):
    (tmp_path / FILE).write_bytes(b"x" * 5000)
    with pytest.raises(Problem, match="not a database"):
        Store(tmp_path)


def test_a_store_of_a_newer_program_is_left_alone(tmp_path):
    Store(tmp_path).close()
    connection = sqlite3.connect(tmp_path / FILE)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(Problem, match="newer version"):
        Store(tmp_path)


def test_a_backup_has_everything_but_the_keys(store, tmp_path):
    def keyed(connection):
        insert(connection, "door")
        connection.execute(
            "INSERT INTO key (kid, id_context, node, secret, salt, sender)"
            " VALUES (x'0102', x'', 1, x'53454352455453454352455453454352', x'', x'67')"
        )

    asyncio.run(store.write(keyed))
    file = tmp_path / "copy"
    store.backup(file)
    assert b"SECRETSECRET" not in file.read_bytes()
    copy = sqlite3.connect(file)
    assert copy.execute("SELECT ep FROM node").fetchall() == [("door",)]
    assert copy.execute("SELECT secret, state FROM key").fetchall() == [(b"", "lost")]
    copy.close()
    with pytest.raises(Problem, match="exists"):
        store.backup(file)
    with pytest.raises(Problem, match="does not exist"):
        backup(tmp_path / "none", tmp_path / "x")
