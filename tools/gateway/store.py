"""The gateway's store: one SQLite file, one writer thread, readers on a connection of their own.

write() returns after the commit, which syncs the disk. What comes while the disk is busy shares
the next commit. A function that fails undoes only its own changes.
"""

import asyncio
import fcntl
import os
import queue
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from setup.console import Problem

from .schema import migrate

FILE = "gateway.sqlite"
LOCK = "gateway.lock"
GROUP_MAX = 64  # writes in one commit
BUSY_S = 5.0  # how long another program, a backup for example, may hold the store


class StoreError(Exception):
    """What was to be written is not stored: the disk is full, or the store is locked or broken."""


class Store:
    """The store in a folder, which is made where it is missing.

    Attributes:
        problem: why the last write failed, "" when it did not.

    Raises:
        Problem: another gateway uses the folder, or the store cannot be read.
    """

    def __init__(self, folder: Path):
        self.path = folder / FILE
        self.problem = ""
        self._lock = lock(folder)
        try:
            self._reader = connect(self.path)
            migrate(self._reader)
        except (sqlite3.Error, ValueError) as error:
            os.close(self._lock)
            raise Problem(
                f"{self.path}: {error}: move it away, or restore a backup to {self.path}"
            ) from None
        self._reader.execute("PRAGMA query_only = 1")
        self._jobs: queue.SimpleQueue[tuple | None] = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._work, name="store", daemon=True)
        self._writer.start()

    def read(self, sql: str, args: Any = ()) -> list[tuple]:
        """Return the rows of a query. Raises StoreError when the store cannot be read."""
        try:
            return self._reader.execute(sql, args).fetchall()
        except sqlite3.Error as error:
            raise StoreError(str(error)) from None

    async def write(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call function(connection, *args) in the writer's transaction; return its result.

        Returns once it is committed. Raises what the function raises, or StoreError.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future = loop.create_future()
        self._jobs.put((function, args, loop, future))
        return await future

    def close(self) -> None:
        """Finish the writes that wait, and close the store."""
        self._jobs.put(None)
        self._writer.join()
        self._reader.close()
        os.close(self._lock)

    def backup(self, file: Path) -> None:
        """Write a copy without the keys, which must never be used from an old copy.

        Raises:
            Problem: the file exists or cannot be written.
        """
        backup(self.path, file)

    def _work(self) -> None:
        connection = connect(self.path)
        job = self._jobs.get()
        while job is not None:
            group = [job]
            while len(group) < GROUP_MAX and not self._jobs.empty():
                job = self._jobs.get()
                if job is None:
                    break
                group.append(job)
            self._commit(connection, group)
            if job is not None:
                job = self._jobs.get()
        connection.close()

    def _commit(self, connection: sqlite3.Connection, group: list[tuple]) -> None:
        """Call the functions of a group in one transaction, then tell those who wait."""
        done = []
        try:
            connection.execute("BEGIN IMMEDIATE")
            done = [attempt(connection, function, args) for function, args, _, _ in group]
            connection.execute("COMMIT")
            self.problem = ""
        except sqlite3.Error as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            self.problem = f"{self.path}: {error}"
            done = [(None, StoreError(str(error)))] * len(group)
        for (_, _, loop, future), (result, error) in zip(group, done, strict=True):
            loop.call_soon_threadsafe(settle, future, result, error)


def connect(path: Path) -> sqlite3.Connection:
    """Return a connection that syncs each commit."""
    found = sqlite3.connect(
        path, timeout=BUSY_S, isolation_level=None, check_same_thread=False, cached_statements=256
    )
    found.execute("PRAGMA journal_mode = WAL")
    found.execute("PRAGMA synchronous = FULL")
    return found


def attempt(connection: sqlite3.Connection, function: Callable[..., Any], args: tuple) -> tuple:
    """Call a function within a savepoint; return (result, error).

    Raises sqlite3.OperationalError where the whole transaction has failed.
    """
    connection.execute("SAVEPOINT job")
    try:
        result, error = function(connection, *args), None
    except sqlite3.OperationalError:
        raise  # the disk, not the function
    except Exception as failure:
        result, error = None, failure
        connection.execute("ROLLBACK TO job")
    connection.execute("RELEASE job")
    return result, error


def settle(future: asyncio.Future, result: Any, error: Exception | None) -> None:
    """Hand a result or an error to who waits for it, if anybody still does."""
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)


def lock(folder: Path) -> int:
    """Make the folder and lock it for this process; return the descriptor that holds the lock.

    Raises:
        Problem: another gateway has it, or it cannot be written.
    """
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Problem(f"{folder}: {error.strerror}: name another folder with DATA=") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise Problem(
            f"another gateway uses {folder}: end it, or name another folder with DATA="
        ) from None
    return descriptor


def backup(path: Path, file: Path) -> None:
    """Copy a store, in use or not, to a new file, without its keys.

    Raises:
        Problem: the store does not exist; the file exists or cannot be written.
    """
    if not path.exists():
        raise Problem(f"{path} does not exist: name the gateway's folder with DATA=")
    if file.exists():
        raise Problem(f"{file} exists: name a new file")
    try:
        source = connect(path)
        try:
            source.execute("VACUUM INTO ?", (str(file),))
        finally:
            source.close()
        copy = sqlite3.connect(file, isolation_level=None)
        copy.execute("PRAGMA secure_delete = 1")
        copy.execute("UPDATE key SET secret = x'', salt = x'', state = 'lost'")
        copy.execute("VACUUM")
        copy.close()
    except sqlite3.Error as error:
        file.unlink(missing_ok=True)
        raise Problem(f"{file}: {error}: name a file on a disk with room") from None
