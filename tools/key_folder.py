"""What lies in a node's folder of keys, and which of them have been used.

Reads only: make_keys.py writes it, put_keys.py notes what has been on a board.
"""

import contextlib
import errno
import json
import re
from pathlib import Path

from device import ROOT, Problem, shown

FOLDER = ROOT / "keys"
NODE_FILE = "oscore.json"
NUMBERS = NODE_FILE + ".numbers"  # of a simulated node
USED = "provisioned"  # ids of the keys that have been on a board, a line for each
CLIENT = "client.json"
SERVER = "server.json"
GATEWAY = "gateway-"  # and the id
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")

NOT_OURS = (errno.EACCES, errno.EPERM, errno.EROFS, errno.EEXIST, errno.ENOTDIR)


@contextlib.contextmanager
def writing(folder):
    """What the disk refuses in the block becomes a Problem."""
    try:
        yield
    except OSError as error:
        fix = "make it yours to write" if error.errno in NOT_OURS else "then try again"
        raise Problem(f"{error.filename or folder}: {error.strerror}: {fix}") from None


def place(name, keys=FOLDER):
    """The folder of a node's keys. Raises Problem for what is no name."""
    if not NAME.fullmatch(name):
        wrong = f"NODE={name} is no name" if name else "NODE= is missing"
        raise Problem(f"{wrong}: use up to 32 letters, digits, dots and dashes")
    return keys / name


def node_id(folder):
    """The id of the newest keys. Raises Problem where their file is broken."""
    path = folder / NODE_FILE
    try:
        return bytes.fromhex(json.loads(path.read_text())["sender_id"]).hex()
    except (ValueError, LookupError, TypeError):
        raise Problem(
            f"{shown(path)} is broken: `make keys NODE={folder.name} ROTATE=1` makes new keys"
        ) from None


def client(folder):
    """(the URL for which the client uses keys, their id); both "" where its file says nothing."""
    try:
        url, entry = next(iter(json.loads((folder / CLIENT).read_text()).items()))
        return url, Path(entry["oscore"]["basedir"]).name.removeprefix(GATEWAY)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, StopIteration):
        return "", ""  # missing, or broken: it is written anew


def on_boards(folder):
    """The ids of the keys here that have been on a board."""
    used = folder / USED
    return used.read_text().split() if used.exists() else []


def gateways(folder):
    """{id: folder} of the gateway's ends that lie here."""
    return {path.name.removeprefix(GATEWAY): path for path in folder.glob(GATEWAY + "*")}
