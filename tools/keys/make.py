"""Make the OSCORE keys of a node and its gateway: `make keys NODE=name`; ROTATE=1 makes new ones.

keys/NAME/oscore.json is the node's end, for `make provision` and `tools/simulator --oscore`, and
oscore.json.numbers has its first sender sequence numbers, without which no node takes the keys.
keys/NAME/gateway-ID/ is the other end in aiocoap's format, named by the id of the node's end;
client.json refers to it for `aiocoap-client --credentials`, server.json for a server of aiocoap.
Only their owner can read them, and no secret is printed.

Keys that have been on a board stay valid until `make provision` has put newer ones there: the
client continues to use them, the server accepts both.
"""

import json
import os
import secrets
import shutil
from pathlib import Path

import credentials
from coap.oscore.first_numbers import first_numbers
from host.device import Problem, shown, write_private
from keys.folder import (
    CLIENT,
    FOLDER,
    GATEWAY,
    NODE_FILE,
    NUMBERS,
    PROVISIONED,
    SERVER,
    check_private,
    client_entry,
    disk_errors,
    folder_of,
    gateway_folders,
    locked,
    provisioned_ids,
)
from setup.console import Arguments

SECRET_BYTES = 16
SALT_BYTES = 8
NODE_ID_BYTES = 2
CONTEXT_BYTES = 4
GATEWAY_ID = "67"


def work(argv):
    """Run the tool. Raise Problem if the node has keys already or they cannot be written."""
    parser = Arguments(prog="keys", description=__doc__.splitlines()[0])
    parser.add_argument("--node", default="", help="name of the node")
    parser.add_argument("--host", default="", help="its address, for the client's credentials")
    parser.add_argument("--rotate", action="store_true", help="make new keys beside the present")
    parser.add_argument("--keys", type=Path, default=FOLDER, help="folder of all keys")
    options = parser.parse_args(argv)
    folder = make(options.node, options.host, options.rotate, options.keys)
    print(f"{shown(folder / NODE_FILE)}: for the node: `make provision NODE={options.node}`")
    print(f"{shown(folder / CLIENT)}: for `aiocoap-client --credentials`")
    print(f"{shown(folder / SERVER)}: for a server of aiocoap")
    if provisioned_ids(folder):
        print("Until the board has them, the client uses the board's keys; the server takes both")


def make(name, host="", rotate=False, keys=FOLDER):
    """Write the keys of a node; return their folder.

    Raises:
        Problem: the node has keys already, or none to rotate; they cannot be written safely.
    """
    folder = folder_of(name, keys)
    with disk_errors(folder):
        if rotate and not (folder / NODE_FILE).exists():
            raise Problem(f"{name} has no keys yet: `make keys NODE={name}`")
        for path in (folder.parent, folder):
            path.mkdir(mode=0o700, exist_ok=True)
            check_private(path)
        with locked(folder):
            if (folder / NODE_FILE).exists() and not rotate:
                raise Problem(f"{name} has keys: `make keys NODE={name} ROTATE=1` makes new ones")
            _make(host, rotate, folder)
    return folder


def _make(host, rotate, folder):
    """Write new keys to a locked folder; keep those that are on a board."""
    node = {
        "secret": secrets.token_hex(SECRET_BYTES),
        "salt": secrets.token_hex(SALT_BYTES),
        "sender_id": new_id(folder.parent),
        "recipient_id": GATEWAY_ID,
    }
    if rotate:
        node["id_context"] = secrets.token_hex(CONTEXT_BYTES)
    kept = [one for one in provisioned_ids(folder) if one in gateway_folders(folder)]
    gateway = folder / (GATEWAY + node["sender_id"])
    gateway.mkdir(mode=0o700)
    write(gateway / "secret.json", {"secret_hex": node["secret"]})
    write(gateway / "settings.json", gateway_settings(node))
    ids = [*kept, node["sender_id"]]
    _, current = client_entry(folder)
    write_credentials(folder, current if current in kept else (kept or ids)[-1], ids, host)
    # The numbers of the old keys stay until these are replaced: a simulated node may have them.
    save_first_numbers(folder / NUMBERS, [credentials.check(node)])
    write(folder / NODE_FILE, node)
    remove_others(folder, ids)


def save_first_numbers(path, entries):
    """Write the first sequence numbers of keys, dicts as credentials.load() returns them."""
    stored = path.read_bytes() if path.exists() else None
    save(path, first_numbers(credentials.make_contexts(entries), stored))


def write_credentials(folder, current, ids, host=""):
    """Write the files with which the client uses the keys `current`, the server all of `ids`."""
    paths = gateway_folders(folder)

    def context(name):
        """Return aiocoap's entry for the keys of this id."""
        return {"oscore": {"basedir": f"{paths[name].resolve()}/"}}

    url = f"coap://{host}/*" if host else client_entry(folder)[0] or "coap://*"
    others = {f":{folder.name}/{name}": context(name) for name in ids if name != current}
    write(folder / CLIENT, {url: context(current)})
    write(folder / SERVER, {f":{folder.name}": context(current), **others})


def remove_others(folder, ids):
    """Delete the gateway's ends of all keys but those of `ids`."""
    for name, path in gateway_folders(folder).items():
        if name not in ids:
            shutil.rmtree(path)


def gateway_settings(node):
    """Return the gateway's end of a context in aiocoap's format, without the secret."""
    found = {
        "sender-id_hex": node["recipient_id"],
        "recipient-id_hex": node["sender_id"],
        "salt_hex": node["salt"],
    }
    if "id_context" in node:
        found["id-context_hex"] = node["id_context"]
    return found


def new_id(keys):
    """Return an id that no other node has: the gateway finds the context by it."""
    taken = {name for folder in keys.iterdir() for name in gateway_folders(folder)}
    while True:
        found = secrets.token_hex(NODE_ID_BYTES)
        if found not in taken and found != GATEWAY_ID:
            return found


def note_provisioned(folder, ids):
    """Record which keys have been on a board."""
    save(folder / PROVISIONED, "".join(f"{one}\n" for one in ids).encode())


def write(path, content):
    """Write JSON that only its owner can read, completely or not at all."""
    save(path, (json.dumps(content, indent=2) + os.linesep).encode())


def save(path, content):
    """Replace a file by a synced one, so that it survives a loss of power from now on."""
    new = path.with_name(path.name + ".new")
    write_private(new, content)
    sync(new)
    new.replace(path)
    sync(path.parent)


def sync(path):
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
