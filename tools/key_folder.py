"""What lies in a node's folder of keys, which of them have been used, and by whom just now.

Reads only: make_keys.py writes it, put_keys.py notes what has been on a board.
"""

import contextlib
import errno
import fcntl
import json
import os
import re
from pathlib import Path

from host.device import ROOT, Problem, shown

FOLDER = ROOT / "keys"
NODE_FILE = "oscore.json"
NUMBERS = NODE_FILE + ".numbers"  # of a simulated node
USED = "provisioned"  # ids of the keys that have been on a board, a line for each
CLIENT = "client.json"
SERVER = "server.json"
GATEWAY = "gateway-"  # and the id
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")
NOT_OURS = (errno.EACCES, errno.EPERM)
# What comes of JSON that is none, or not of the shape that was written
WRONG_CONTENT = (ValueError, LookupError, TypeError, AttributeError, RecursionError)


@contextlib.contextmanager
def using(folder):
    """What the disk refuses in the block becomes a Problem."""
    try:
        yield
    except OSError as error:
        ours = error.errno in NOT_OURS
        fix = "make it yours to write" if ours else "put that right and try again"
        raise Problem(f"{error.filename or folder}: {error.strerror}: {fix}") from None


@contextlib.contextmanager
def held(path):
    """Nobody else has the keys in the block."""
    descriptor = hold(path)
    try:
        yield
    finally:
        os.close(descriptor)


def hold(path):
    """Keeps a folder or file of keys for this program; returns the descriptor that does.

    Raises Problem where another one has it: two nodes that count for themselves would use the same
    numbers, and an old one would overwrite what the new one has counted.
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


def place(name, keys=FOLDER):
    """The folder of a node's keys. Raises Problem for what is no name."""
    if not NAME.fullmatch(name):
        wrong = f"NODE={name} is no name" if name else "NODE= is missing"
        raise Problem(f"{wrong}: use up to 32 letters, digits, dots and dashes")
    return keys / name


def node_id(folder):
    """The id of the newest keys. Raises Problem where their file is broken."""
    path = folder / NODE_FILE
    ids = sender_ids(path)
    if len(ids) != 1:
        raise Problem(broken(folder, f"{shown(path)} has more than one node's keys"))
    return ids[0]


def sender_ids(file):
    """The ids of all keys in a file. Raises Problem where it is broken."""
    try:
        content = json.loads(file.read_text())
        entries = content if isinstance(content, list) else [content]
        if ids := [id_in(entry["sender_id"]) for entry in entries]:
            return ids
    except WRONG_CONTENT:
        pass
    raise Problem(broken(file.parent, f"{shown(file)} is not what `make keys` wrote"))


def broken(folder, what):
    """A line about keys that are good for nothing."""
    return f"{what}: `make keys NODE={folder.name} ROTATE=1` makes new keys"


def is_on_board(file):
    """Has `make provision` put keys of this file on a board? Raises Problem where nobody knows."""
    used = on_boards(file.parent)
    return bool(used) and any(one in used for one in sender_ids(file))


def on_boards(folder):
    """The ids of the keys here that have been on a board."""
    try:
        return (folder / USED).read_text(errors="replace").split()
    except FileNotFoundError:
        return []


def gateways(folder):
    """{id: folder} of the gateway's ends that lie here."""
    return {path.name.removeprefix(GATEWAY): path for path in folder.glob(GATEWAY + "*")}


def client(folder):
    """(the URL for which the client uses keys, their id); both "" where its file says nothing."""
    try:
        url, entry = next(iter(json.loads((folder / CLIENT).read_text()).items()))
        return url, Path(entry["oscore"]["basedir"]).name.removeprefix(GATEWAY)
    except (OSError, StopIteration, *WRONG_CONTENT):
        return "", ""  # missing, or broken: it is written anew


def id_in(text):
    """An id as this program writes it. Raises ValueError, TypeError for what is none."""
    return bytes.fromhex(text).hex()
