"""Makes the keys of a node and its gateway: `make keys NODE=name`; ROTATE=1 makes new ones.

keys/NAME/oscore.json is the node's (see firmware/keys.py), for `make provision` and
`tools/simulate.py --oscore`. keys/NAME/gateway/ is the other end in aiocoap's format; client.json
names it for `aiocoap-client --credentials`, server.json for a server of aiocoap. Nobody else can
read them, and nothing of them is printed.
"""

import argparse
import json
import os
import re
import secrets
import shutil
from pathlib import Path

from configure import write_private
from device import ROOT, Problem, main, shown

FOLDER = ROOT / "keys"
NODE_FILE = "oscore.json"
USED = "provisioned"  # an empty file: these keys have been on a board
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")
SECRET_BYTES = 16
SALT_BYTES = 8
NODE_ID_BYTES = 2
CONTEXT_BYTES = 4
GATEWAY_ID = "67"


def work(argv):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--node", default="", help="what the node is called")
    parser.add_argument("--host", default="", help="where it is found, for the credentials")
    parser.add_argument("--rotate", action="store_true", help="replace the keys that there are")
    options = parser.parse_args(argv)
    folder = make(options.node, options.host, options.rotate)
    print(f"{shown(folder / NODE_FILE)}: for the node: `make provision NODE={options.node}`")
    print(f"{shown(folder / 'client.json')}: for `aiocoap-client --credentials`")
    print(f"{shown(folder / 'server.json')}: for a server of aiocoap")


def place(name, keys=FOLDER):
    """The folder of a node's keys. Raises Problem for what is no name."""
    if not NAME.fullmatch(name):
        wrong = f"NODE={name} is no name" if name else "NODE= is missing"
        raise Problem(f"{wrong}: use up to 32 letters, digits, dots and dashes")
    return keys / name


def make(name, host="", rotate=False, keys=FOLDER):
    """Writes the keys of a node; returns their folder. Raises Problem where it has some."""
    folder = place(name, keys)
    if folder.exists() and not rotate:
        raise Problem(f"{name} has keys: `make keys NODE={name} ROTATE=1` makes new ones")
    if not folder.exists() and rotate:
        raise Problem(f"{name} has no keys yet: `make keys NODE={name}`")
    keys.mkdir(mode=0o700, exist_ok=True)
    fresh = folder.with_name(f".{name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    (fresh / "gateway").mkdir(mode=0o700)
    node = {
        "secret": secrets.token_hex(SECRET_BYTES),
        "salt": secrets.token_hex(SALT_BYTES),
        "sender_id": free_id(keys),
        "recipient_id": GATEWAY_ID,
    }
    if rotate:
        node["id_context"] = secrets.token_hex(CONTEXT_BYTES)
    write(fresh / NODE_FILE, node)
    write(fresh / "gateway" / "secret.json", {"secret_hex": node["secret"]})
    write(fresh / "gateway" / "settings.json", settings(node))
    context = {"oscore": {"basedir": f"{folder.resolve() / 'gateway'}/"}}
    write(fresh / "client.json", {f"coap://{host}/*" if host else "coap://*": context})
    write(fresh / "server.json", {f":{name}": context})
    if rotate:
        shutil.rmtree(folder)
    fresh.rename(folder)
    return folder


def settings(node):
    """The gateway's end of a context, in aiocoap's words, without the secret."""
    found = {
        "sender-id_hex": node["recipient_id"],
        "recipient-id_hex": node["sender_id"],
        "salt_hex": node["salt"],
    }
    if "id_context" in node:
        found["id-context_hex"] = node["id_context"]
    return found


def free_id(keys):
    """An id that no other node has: by it the gateway knows them apart."""
    taken = {GATEWAY_ID}
    for file in keys.glob(f"*/{NODE_FILE}"):
        taken.add(json.loads(file.read_text()).get("sender_id"))
    while True:
        found = secrets.token_hex(NODE_ID_BYTES)
        if found not in taken:
            return found


def write(path, content):
    """Writes JSON that only its owner can read."""
    write_private(Path(path), (json.dumps(content, indent=2) + os.linesep).encode())


if __name__ == "__main__":
    main(work)
