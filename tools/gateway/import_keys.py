"""Takes the gateway's end of each node's keys out of the folder of `make keys` into the store.

Two programs that use one security context would repeat nonces. So the secret is moved: it is
removed from its file once it is stored, and removed again if the gateway was killed in between.
The gateway has keys for the operator, too, in its data folder: with them programs on this computer
write on the mirror.
"""

import contextlib
import json
import logging
import os
import secrets
import sqlite3
import stat
from pathlib import Path
from typing import Any, NamedTuple

from setup.console import Problem

from . import nodes
from .contexts import OPERATOR
from .hub import Hub
from .store import Store

PREFIX = "gateway-"
SECRET, SETTINGS = "secret.json", "settings.json"
OTHERS_MAY_WRITE = 0o022
EVERY_S = 2.0
FILE_MAX = 4096
SENDER, OPERATOR_ID = b"\x67", b"\x6f"

log = logging.getLogger("gateway")


class Keys(NamedTuple):
    """The gateway's end of a security context, as rows of the table `key` have it."""

    kid: bytes
    id_context: bytes
    secret: bytes
    salt: bytes
    sender: bytes


class Importer:
    """Looks for keys in a folder. Says once what is wrong with a folder in it."""

    def __init__(self, store: Store, hub: Hub, folder: Path):
        self._store, self._hub = store, hub
        self._folder = folder
        self._said: dict[Path, str] = {}

    async def look(self) -> list[str]:
        """Take the keys that are there; return the names of their nodes. Raises StoreError."""
        found = []
        for place in self._places():
            try:
                why = wrong_with(place)
                keys = None if why else read(place)
            except (OSError, ValueError) as error:
                why, keys = f"{error}: make new ones with ROTATE=1", None
            if why:
                self._say(place, why)
            if keys is not None and nodes.NAME.fullmatch(place.parent.name):
                found += await self._take(place, keys)
        return found

    async def _take(self, place: Path, keys: Keys) -> list[str]:
        name = place.parent.name
        try:
            node = await self._store.write(insert, name, keys)
        except Taken:
            self._say(place, "another node has keys of this ID: make new ones with ROTATE=1")
            return []
        remove(place / SECRET)
        self._hub.publish("node", node, {"state": "adopted"})
        return [name]

    def _places(self) -> list[Path]:
        """Return the folders with a secret, of nodes in their order by name."""
        if not self._folder.is_dir():
            return []
        why = wrong_with(self._folder)
        if why:
            self._say(self._folder, why)
            return []
        return sorted(
            path.parent
            for path in self._folder.glob(f"*/{PREFIX}*/{SECRET}")
            if not path.parent.parent.is_symlink()
        )

    def _say(self, place: Path, why: str) -> None:
        if self._said.get(place) != why:
            self._said[place] = why
            log.warning("%s: %s", place, why)


class Taken(Exception):
    """Another node has keys of this ID."""


def wrong_with(folder: Path) -> str:
    """Return why a folder of keys is not to be trusted, "" if it is."""
    found = folder.lstat()
    if stat.S_ISLNK(found.st_mode):
        return "is a link: put a folder there"
    if found.st_mode & OTHERS_MAY_WRITE:
        return f"others may write to it: `chmod go-w {folder}`"
    if found.st_uid not in (os.geteuid(), 0):
        return "belongs to another user"
    return ""


def read(place: Path) -> Keys:
    """Return the keys in a folder. Raises OSError, or ValueError that names the file."""
    told: dict[str, Any] = {}
    for file in (SETTINGS, SECRET):
        path = place / file
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        with os.fdopen(descriptor, "rb") as stream:
            try:
                content = json.loads(stream.read(FILE_MAX))
                told |= {name: bytes.fromhex(value) for name, value in content.items()}
            except (ValueError, AttributeError, TypeError, RecursionError):
                raise ValueError(f"{file} is not what `make keys` wrote") from None
    try:
        keys = Keys(
            told["recipient-id_hex"],
            told.get("id-context_hex", b""),
            told["secret_hex"],
            told.get("salt_hex", b""),
            told["sender-id_hex"],
        )
    except KeyError as error:
        raise ValueError(f"{error.args[0]} is missing") from None
    if len(keys.secret) < 16 or keys.kid == keys.sender or max(map(len, keys[::4])) > 7:
        raise ValueError(f"{place.name} is not what `make keys` wrote")
    return keys


def insert(connection: sqlite3.Connection, name: str, keys: Keys) -> int:
    """Store keys and adopt their node; return its ID. Raises Taken.

    Keys that the node has had until now stay good until it reports under the new ones.
    """
    node = nodes.get(connection, "ep = ?", name)
    if node is None:
        node = nodes.add(connection, name, None, "adopted")
    row = connection.execute(
        "SELECT node FROM key WHERE kid = ? AND id_context = ?", (keys.kid, keys.id_context)
    ).fetchone()
    if row is not None and row[0] != node.id:
        raise Taken
    if row is None:  # else it was stored before a crash, and may have been used since
        connection.execute(
            "INSERT INTO key (kid, id_context, node, secret, salt, sender, made)"
            " VALUES (?, ?, ?, ?, ?, ?, (SELECT coalesce(max(made), 0) + 1 FROM key))",
            (keys.kid, keys.id_context, node.id, keys.secret, keys.salt, keys.sender),
        )
    connection.execute("UPDATE node SET state = 'adopted', needs_key = 1 WHERE id = ?", (node.id,))
    return node.id


def remove(path: Path) -> None:
    """Remove a file, so that it is gone after a loss of power, too."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


async def make_operator(store: Store, folder: Path, uri: str) -> None:
    """Make the operator's keys, unless the store has some: operator/client.json in a data folder.

    Raises:
        Problem: they cannot be written.
    """
    have = store.read("SELECT 1 FROM key WHERE node = ? AND state = 'good'", (OPERATOR,))
    place = folder / "operator"
    if have and (place / "client.json").exists():
        return
    keys = Keys(
        OPERATOR_ID + secrets.token_bytes(2),
        b"",
        secrets.token_bytes(16),
        secrets.token_bytes(8),
        SENDER + secrets.token_bytes(2),
    )
    context = place / f"keys-{keys.kid.hex()}"
    files = {
        context / SECRET: {"secret_hex": keys.secret.hex()},
        context / SETTINGS: {
            "sender-id_hex": keys.kid.hex(),
            "recipient-id_hex": keys.sender.hex(),
            "salt_hex": keys.salt.hex(),
        },
        place / "client.json": {f"{uri}/*": {"oscore": {"basedir": f"{context}/"}}},
    }
    try:
        for path in (place, context):
            path.mkdir(mode=0o700, exist_ok=True)
        for path, content in files.items():
            write_private(path, json.dumps(content, indent=2) + "\n")
    except OSError as error:
        raise Problem(f"{error.filename or place}: {error.strerror}: make room there") from None

    def replace(connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM key WHERE node = ?", (OPERATOR,))
        connection.execute(
            "INSERT INTO key (kid, id_context, node, secret, salt, sender)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (keys.kid, keys.id_context, OPERATOR, keys.secret, keys.salt, keys.sender),
        )

    await store.write(replace)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    new = path.with_name(f"{path.name}.new")
    with contextlib.suppress(FileNotFoundError):
        new.unlink()
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    new.replace(path)
