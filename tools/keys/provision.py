"""Copy the OSCORE keys of a node to its board: `make provision NODE=name DEV=`.

Keys go to one board, once. Copied there again, or to another board, their sequence numbers would
start at 0 a second time: nonces would repeat, which reveals what they protect. The board keeps the
present keys until the new ones have arrived completely; then the gateway uses the new ones too.
"""

from pathlib import Path

import credentials
from coap.oscore.first_numbers import limit_of
from coap.oscore.sequence_numbers import NEVER_USED
from host.device import Problem, add_device_arguments, check_ports, mpremote, run, shown
from keys.folder import (
    FOLDER,
    NODE_FILE,
    NUMBERS,
    check_private,
    disk_errors,
    folder_of,
    gateway_folders,
    locked,
    node_id,
    provisioned_ids,
    unusable,
)
from keys.make import note_provisioned, remove_others, write_credentials
from setup.console import Arguments

# Prints the id of the keys on the board, False if there are none.
PRINT_ID = (
    f"import os; print('{NODE_FILE}' in os.listdir() and "
    f"open('{NODE_FILE}').read().split('sender_id\": \"')[-1].split('\"')[0])"
)
# The numbers first: with them alone the old keys are refused, without them the new ones.
FILES = (NUMBERS, NODE_FILE)
NEW = ".provisioned"  # suffix of what has arrived and is not in use yet
REPLACE = f"import os; [os.rename(f + '{NEW}', f) for f in {FILES}]"


def work(argv):
    """Run the tool. Raise Problem if the keys must not go to the board or cannot."""
    parser = Arguments(prog="provision", description=__doc__.splitlines()[0])
    parser.add_argument("--node", default="", help="name of the node")
    parser.add_argument("--replace", action="store_true", help="replace another node's keys")
    parser.add_argument("--keys", type=Path, default=FOLDER, help="folder of all keys")
    add_device_arguments(parser)
    options = parser.parse_args(argv)
    check_ports(options.dev, options.port)
    provision(options.node, options.dev, options.dry_run, options.keys, options.replace)


def provision(name, dev, dry_run=False, keys=FOLDER, replace=False):
    """Copy the keys and restart the board. Raise Problem if they would be used twice."""
    folder = folder_of(name, keys)
    if dry_run:
        for command in commands(folder, dev):
            run(command, dry_run)
        return
    with disk_errors(folder):
        if not (folder / NODE_FILE).exists():
            raise Problem(f"{name} has no keys yet: `make keys NODE={name}`")
        for path in (folder.parent, folder):
            check_private(path)
        with locked(folder):
            _provision(folder, dev, replace)
    print(f"The board has the keys of {name}; restart what uses {shown(folder)} at the gateway")


def _provision(folder, dev, replace):
    """Copy the keys of a locked folder; note each step before the board can use them."""
    print_id, *copies, take = commands(folder, dev)
    new = check(folder)
    found = run(print_id, capture=True).strip()
    if found == new:
        # The note of that was lost, such as by restoring a backup.
        note_provisioned(folder, [*provisioned_ids(folder), new])
        check(folder)
    if found != str(False) and found not in gateway_folders(folder) and not replace:
        raise Problem(
            f"This board has keys that are not {folder.name}'s: name its own node, or replace "
            f"them, `make provision NODE={folder.name} REPLACE=1`"
        )
    for copy in copies:
        run(copy)
    # From here on the board may use them, even if the next command fails.
    note_provisioned(folder, [*provisioned_ids(folder), new])
    run(take)
    write_credentials(folder, new, [new])
    note_provisioned(folder, [new])
    remove_others(folder, [new])


def commands(folder, dev):
    """Return the commands that print the id of the board's keys, copy new ones, replace them."""
    board = mpremote(dev)
    return (
        [*board, "exec", PRINT_ID],
        *([*board, "fs", "cp", shown(folder / one), f":{one}{NEW}"] for one in FILES),
        [*board, "exec", REPLACE, "+", "reset"],
    )


def check(folder):
    """Return the id of the keys to provision. Raise Problem if they must not go to a board."""
    new = node_id(folder)
    try:
        contexts = credentials.make_contexts(credentials.load(str(folder / NODE_FILE)))
    except ValueError as error:
        raise Problem(unusable(folder, error)) from None
    numbers = folder / NUMBERS
    stored = numbers.read_bytes() if numbers.exists() else b""
    limits = [limit_of(stored, context) if stored else None for context in contexts]
    if None in limits:
        raise Problem(unusable(folder, f"{shown(numbers)} does not have the first numbers"))
    where = "on a board" if new in provisioned_ids(folder) else ""
    if any(limit != NEVER_USED for limit in limits):
        where = "in a simulated node"
    if where:
        raise Problem(
            f"The keys of {folder.name} have been {where}: "
            f"`make keys NODE={folder.name} ROTATE=1` first"
        )
    if new not in gateway_folders(folder):
        raise Problem(unusable(folder, f"The gateway's end of {folder.name}'s keys is gone"))
    return new
