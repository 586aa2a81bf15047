"""The folder of a node's keys: its files, the keys that a board has had, and a lock for one user.

Reads only: make.py writes the files, provision.py notes which keys are on a board.
"""

import contextlib
import errno
import fcntl
import json
import os
import re
import stat
from pathlib import Path

from host.device import ROOT, Problem, shown

FOLDER = ROOT / "keys"
NODE_FILE = "oscore.json"
NUMBERS = NODE_FILE + ".numbers"  # sender sequence numbers, the first ones or a simulated node's
PROVISIONED = "provisioned"  # the ids of keys that have been on a board, one a line
CLIENT = "client.json"
SERVER = "server.json"
GATEWAY = "gateway-"  # followed by the id
OPERATOR = "operator-"  # the same
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")
OTHERS_MAY_WRITE = 0o022
NO_PERMISSION = (errno.EACCES, errno.EPERM)
# Raised for a file that is no JSON, or JSON of another shape than was written
WRONG_CONTENT = (ValueError, LookupError, TypeError, AttributeError, RecursionError)


@contextlib.contextmanager
def disk_errors(folder):
    """Turn an OSError of the block into a Problem that names the file."""
    try:
        yield
    except OSError as error:
        denied = error.errno in NO_PERMISSION
        fix = "make it yours to write" if denied else "put that right and try again"
        raise Problem(f"{error.filename or folder}: {error.strerror}: {fix}") from None


@contextlib.contextmanager
def locked(path):
    """Hold the lock of a folder of keys during the block. Raise Problem as lock()."""
    descriptor = lock(path)
    try:
        yield
    finally:
        os.close(descriptor)


def lock(path):
    """Lock a folder or file of keys for this program; return the descriptor that holds the lock.

    Two nodes with the same keys would use the same sequence numbers. A node that runs on while
    keys are replaced would overwrite the numbers of the new ones.

    Raises:
        Problem: another program holds the lock.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise Problem(
            f"{shown(path)}: a simulated node, `make keys` or `make provision` is using these "
            "keys: end it first"
        ) from None
    return descriptor


def folder_of(name, keys=FOLDER):
    """Return the folder of a node's keys. Raise Problem if the name is invalid."""
    if not NAME.fullmatch(name):
        wrong = f"NODE={name} is no name" if name else "NODE= is missing"
        raise Problem(f"{wrong}: use up to 32 letters, digits, dots and dashes")
    return keys / name


def check_private(path):
    """Raise Problem if a folder is a link, or if other users may write to it or replace it."""
    if path.is_symlink():
        raise Problem(f"{shown(path)} is a link: put a folder there, or name another with KEYS=")
    found = path.stat()
    if found.st_mode & OTHERS_MAY_WRITE:
        raise Problem(f"others may write to {shown(path)}: `chmod go-w {shown(path)}` first")
    if found.st_uid not in (os.geteuid(), 0):
        raise Problem(f"{shown(path)} belongs to another user: name another folder with KEYS=")
    for above in path.resolve().parents:
        mode = above.stat().st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            raise Problem(f"others may replace {shown(path)}: `chmod o-w {shown(above)}` first")


def node_id(folder):
    """Return the id of the newest keys. Raise Problem if their file is broken."""
    path = folder / NODE_FILE
    ids = sender_ids(path)
    if len(set(ids)) != 1:
        raise Problem(unusable(folder, f"{shown(path)} has more than one node's keys"))
    return ids[0]


def sender_ids(file):
    """Return the ids of all keys in a file. Raise Problem if it is broken."""
    try:
        content = json.loads(file.read_text())
        entries = content if isinstance(content, list) else [content]
        if ids := [bytes.fromhex(entry["sender_id"]).hex() for entry in entries]:
            return ids
    except WRONG_CONTENT:
        pass
    raise Problem(unusable(file.parent, f"{shown(file)} is not what `make keys` wrote"))


def unusable(folder, why):
    """Return the line about keys that cannot be used."""
    return f"{why}: `make keys NODE={folder.name} ROTATE=1` makes new keys"


def is_provisioned(file):
    """Return True if keys of this file have been on a board. Raise Problem if it is broken."""
    used = provisioned_ids(file.parent)
    return bool(used) and any(one in used for one in sender_ids(file))


def provisioned_ids(folder):
    """Return the ids of the keys in this folder that have been on a board."""
    try:
        return (folder / PROVISIONED).read_text(errors="replace").split()
    except FileNotFoundError:
        return []


def gateway_folders(folder, prefix=GATEWAY):
    """Return {id: folder} of the gateway's ends of keys, or of the operator's."""
    return {path.name.removeprefix(prefix): path for path in folder.glob(prefix + "*")}


def client_entry(folder):
    """Return (the client's URL, the id of its keys); both "" if its file is missing or broken."""
    try:
        url, entry = next(iter(json.loads((folder / CLIENT).read_text()).items()))
        return url, Path(entry["oscore"]["basedir"]).name.partition("-")[2]
    except (OSError, StopIteration, *WRONG_CONTENT):
        return "", ""  # it is written again
