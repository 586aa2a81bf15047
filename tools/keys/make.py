"""Make the OSCORE keys of a node and its gateway: `make keys NODE=name`; ROTATE=1 makes new ones.

keys/NAME/oscore.json is the node's end, for `make provision` and `tools/simulator --oscore`, and
oscore.json.numbers has its first sender sequence numbers, without which no node takes the keys. It
has two security contexts, since no two programs may share one: gateway-ID/ is the other end of the
first, under which the node reports, operator-ID/ that of the second, for people. Both are in
aiocoap's format and named by the id of the node's end. client.json refers to the operator's, for
`aiocoap-client --credentials`, server.json to the gateway's, for a server of aiocoap. The gateway
of `make gateway` takes its end by itself, and moves the secret into its store.
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
    OPERATOR,
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
GATEWAY_ID, OPERATOR_ID = "67", "6f"


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
    kept = [one for one in provisioned_ids(folder) if one in gateway_folders(folder)]
    name = new_id(folder.parent)
    id_context = secrets.token_hex(CONTEXT_BYTES) if rotate else None
    entries = []
    for prefix, peer in ((GATEWAY, GATEWAY_ID), (OPERATOR, OPERATOR_ID)):
        entry = {
            "secret": secrets.token_hex(SECRET_BYTES),
            "salt": secrets.token_hex(SALT_BYTES),
            "sender_id": name,
            "recipient_id": peer,
            "gateway": prefix == GATEWAY,
        }
        if id_context is not None:
            entry["id_context"] = id_context
        entries.append(entry)
        end = folder / (prefix + name)
        end.mkdir(mode=0o700, exist_ok=True)
        write(end / "secret.json", {"secret_hex": entry["secret"]})
        write(end / "settings.json", settings_of_peer(entry))
    ids = [*kept, name]
    _, current = client_entry(folder)
    write_credentials(folder, current if current in kept else (kept or ids)[-1], ids, host)
    # The numbers of the old keys stay until these are replaced: a simulated node may have them.
    save_first_numbers(folder / NUMBERS, [credentials.check(entry) for entry in entries])
    write(folder / NODE_FILE, entries)
    remove_others(folder, ids)


def save_first_numbers(path, entries):
    """Write the first sequence numbers of keys, dicts as credentials.load() returns them."""
    stored = path.read_bytes() if path.exists() else None
    save(path, first_numbers(credentials.make_contexts(entries), stored))


def write_credentials(folder, current, ids, host=""):
    """Write the files with which the client uses the keys `current`, the server all of `ids`."""
    gateways, operators = gateway_folders(folder), gateway_folders(folder, OPERATOR)

    def context(path):
        """Return aiocoap's entry for the keys in this folder."""
        return {"oscore": {"basedir": f"{path.resolve()}/"}}

    url = f"coap://{host}/*" if host else client_entry(folder)[0] or "coap://*"
    others = {f":{folder.name}/{name}": context(gateways[name]) for name in ids if name != current}
    # Keys that an earlier version made have one end for both.
    write(folder / CLIENT, {url: context(operators.get(current, gateways[current]))})
    write(folder / SERVER, {f":{folder.name}": context(gateways[current]), **others})


def remove_others(folder, ids):
    """Delete the other ends of all keys but those of `ids`."""
    for prefix in (GATEWAY, OPERATOR):
        for name, path in gateway_folders(folder, prefix).items():
            if name not in ids:
                shutil.rmtree(path)


def settings_of_peer(node):
    """Return the other end of a context in aiocoap's format, without the secret."""
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
        if found not in taken and found not in (GATEWAY_ID, OPERATOR_ID):
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
