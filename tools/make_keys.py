"""Makes the keys of a node and its gateway: `make keys NODE=name`; ROTATE=1 makes new ones.

keys/NAME/oscore.json is the node's (see firmware/keys.py), for `make provision` and
`tools/simulator --oscore`. keys/NAME/gateway-ID/ is the other end in aiocoap's format, ID that
of the node's end; client.json names it for `aiocoap-client --credentials`, server.json for a
server of aiocoap. Nobody else can read them, and nothing of them is printed.

Keys that have been on a board stay good until `make provision` has put newer ones there: the
client goes on with them, the server takes both.
"""

import json
import os
import secrets
import shutil
from pathlib import Path

from host.device import Problem, main, shown, write_private
from key_folder import (
    CLIENT,
    FOLDER,
    GATEWAY,
    NODE_FILE,
    NUMBERS,
    SERVER,
    USED,
    client,
    gateways,
    held,
    on_boards,
    place,
    using,
)
from setup.console import Arguments

SECRET_BYTES = 16
SALT_BYTES = 8
NODE_ID_BYTES = 2
CONTEXT_BYTES = 4
GATEWAY_ID = "67"


def work(argv):
    parser = Arguments(description=__doc__.splitlines()[0])
    parser.add_argument("--node", default="", help="what the node is called")
    parser.add_argument("--host", default="", help="where it is found, for the credentials")
    parser.add_argument("--rotate", action="store_true", help="new keys beside those there are")
    parser.add_argument("--keys", type=Path, default=FOLDER, help="folder of all keys")
    options = parser.parse_args(argv)
    folder = make(options.node, options.host, options.rotate, options.keys)
    print(f"{shown(folder / NODE_FILE)}: for the node: `make provision NODE={options.node}`")
    print(f"{shown(folder / CLIENT)}: for `aiocoap-client --credentials`")
    print(f"{shown(folder / SERVER)}: for a server of aiocoap")
    if on_boards(folder):
        print("Until it has them the client goes on with those it has; the server takes both")


def make(name, host="", rotate=False, keys=FOLDER):
    """Writes the keys of a node; returns their folder. Raises Problem where it has some."""
    folder = place(name, keys)
    with using(folder):
        if not rotate:
            for path in (folder.parent, folder):
                path.mkdir(mode=0o700, exist_ok=True)
        elif not (folder / NODE_FILE).exists():
            raise Problem(f"{name} has no keys yet: `make keys NODE={name}`")
        with held(folder):
            if (folder / NODE_FILE).exists() and not rotate:
                raise Problem(f"{name} has keys: `make keys NODE={name} ROTATE=1` makes new ones")
            return _make(host, rotate, folder)


def _make(host, rotate, folder):
    node = {
        "secret": secrets.token_hex(SECRET_BYTES),
        "salt": secrets.token_hex(SALT_BYTES),
        "sender_id": free_id(folder.parent),
        "recipient_id": GATEWAY_ID,
    }
    if rotate:
        node["id_context"] = secrets.token_hex(CONTEXT_BYTES)
    kept = [one for one in on_boards(folder) if one in gateways(folder)]
    gateway = folder / (GATEWAY + node["sender_id"])
    gateway.mkdir(mode=0o700)
    write(gateway / "secret.json", {"secret_hex": node["secret"]})
    write(gateway / "settings.json", settings(node))
    ids = [*kept, node["sender_id"]]
    _, current = client(folder)
    point(folder, current if current in kept else (kept or ids)[-1], ids, host)
    write(folder / NODE_FILE, node)
    # Only now: a simulated node that had the old keys and lost their numbers would use them twice.
    # With new keys it does not take the old ones' numbers for theirs.
    (folder / NUMBERS).unlink(missing_ok=True)
    clear(folder, ids)
    return folder


def point(folder, current, ids, host=""):
    """Lets the client use the keys `current`, and the server take all of `ids`."""
    paths = gateways(folder)

    def context(name):
        return {"oscore": {"basedir": f"{paths[name].resolve()}/"}}

    url = f"coap://{host}/*" if host else client(folder)[0] or "coap://*"
    others = {f":{folder.name}/{name}": context(name) for name in ids if name != current}
    write(folder / CLIENT, {url: context(current)})
    write(folder / SERVER, {f":{folder.name}": context(current), **others})


def clear(folder, ids):
    """Deletes the gateway's ends of all keys but those."""
    for name, path in gateways(folder).items():
        if name not in ids:
            shutil.rmtree(path)


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
    taken = {name for folder in keys.iterdir() for name in gateways(folder)}
    while True:
        found = secrets.token_hex(NODE_ID_BYTES)
        if found not in taken and found != GATEWAY_ID:
            return found


def mark(folder, ids):
    """Notes which keys have been on a board."""
    save(folder / USED, "".join(f"{one}\n" for one in ids))


def write(path, content):
    """Writes JSON that only its owner can read, as a whole or not at all."""
    save(path, json.dumps(content, indent=2) + os.linesep)


def save(path, text):
    """The file is on the disk, also after a loss of power, before what is done next."""
    new = path.with_name(path.name + ".new")
    write_private(new, text.encode())
    sync(new)
    new.replace(path)
    sync(path.parent)


def sync(path):
    """Waits until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    main(work)
