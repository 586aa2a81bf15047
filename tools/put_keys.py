"""Puts the keys of a node on its board: `make provision NODE=name DEV=`.

Keys go on one board once. Put there again, or on another one, the same numbers would be used with
them a second time, and with that everybody could read what they protect. The board keeps the keys
it has until the new ones have arrived whole; from then on the gateway's credentials are the new.
"""

import importlib
import sys
from pathlib import Path

from host.device import (
    ROOT,
    Problem,
    add_device_arguments,
    check_ports,
    main,
    mpremote,
    run,
    shown,
)
from key_folder import (
    FOLDER,
    NODE_FILE,
    NUMBERS,
    broken,
    gateways,
    held,
    node_id,
    on_boards,
    place,
    using,
)
from make_keys import clear, mark, point
from setup.console import Arguments

# Prints the id of the keys on the board, False where there are none.
WHOSE = (
    f"import os; print('{NODE_FILE}' in os.listdir() and "
    f"open('{NODE_FILE}').read().split('sender_id\": \"')[-1].split('\"')[0])"
)
NEW = NODE_FILE + ".new"
TAKE = f"import os; os.rename('{NEW}', '{NODE_FILE}')"


def work(argv):
    parser = Arguments(description=__doc__.splitlines()[0])
    parser.add_argument("--node", default="", help="whose keys")
    parser.add_argument("--replace", action="store_true", help="also on another node's board")
    parser.add_argument("--keys", type=Path, default=FOLDER, help="folder of all keys")
    add_device_arguments(parser)
    options = parser.parse_args(argv)
    check_ports(options.dev, options.port)
    provision(options.node, options.dev, options.dry_run, options.keys, options.replace)


def provision(name, dev, dry_run=False, keys=FOLDER, replace=False):
    """Copies the keys and restarts the board. Raises Problem when that would use them twice."""
    folder = place(name, keys)
    if dry_run:
        for command in commands(folder, dev):
            run(command, dry_run)
        return
    with using(folder):
        if not (folder / NODE_FILE).exists():
            raise Problem(f"{name} has no keys yet: `make keys NODE={name}`")
        with held(folder):
            _provision(folder, dev, replace)
    print(f"The board has the keys of {name}; restart what uses {shown(folder)} at the gateway")


def _provision(folder, dev, replace):
    ask, copy, take = commands(folder, dev)
    new = check(folder)
    found = run(ask, capture=True).strip()
    if found == new:
        # The note of that was lost, such as with a backup.
        mark(folder, [*on_boards(folder), new])
        check(folder)
    if found != str(False) and found not in gateways(folder) and not replace:
        raise Problem(
            f"This board has keys that are not {folder.name}'s: name its own node, or replace "
            f"them, `make provision NODE={folder.name} REPLACE=1`"
        )
    run(copy)
    # From here on the board may be using them, whatever becomes of the cable.
    mark(folder, [*on_boards(folder), new])
    run(take)
    point(folder, new, [new])
    mark(folder, [new])
    clear(folder, [new])


def commands(folder, dev):
    """What asks the board whose keys it has, copies the new ones, and lets it take them."""
    board = mpremote(dev)
    return (
        [*board, "exec", WHOSE],
        [*board, "fs", "cp", shown(folder / NODE_FILE), f":{NEW}"],
        [*board, "exec", TAKE, "+", "reset"],
    )


def check(folder):
    """The id of the keys that are to go on a board. Raises Problem when they must not."""
    new = node_id(folder)
    where = "on a board" if new in on_boards(folder) else ""
    if (folder / NUMBERS).exists():
        where = "in a simulated node"
    if where:
        raise Problem(
            f"The keys of {folder.name} have been {where}: "
            f"`make keys NODE={folder.name} ROTATE=1` first"
        )
    if new not in gateways(folder):
        raise Problem(broken(folder, f"The gateway's end of {folder.name}'s keys is gone"))
    try:
        load_keys(str(folder / NODE_FILE))
    except ValueError as error:
        raise Problem(broken(folder, error)) from None
    return new


def load_keys(path):
    """What the node will make of the file. Raises ValueError naming the field that is wrong."""
    if str(ROOT / "firmware") not in sys.path:
        sys.path[:0] = [str(ROOT / "lib"), str(ROOT / "firmware")]
    return importlib.import_module("keys").load(path)


if __name__ == "__main__":
    main(work)
