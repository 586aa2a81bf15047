"""Puts the keys of a node on its board: `make provision NODE=name DEV=`.

Keys go on one board once. Put there again, or on another one, the same numbers would be used with
them a second time, and with that everybody could read what they protect. The board keeps the keys
it has until the new ones have arrived whole; from then on the gateway's credentials are the new.
"""

import argparse
from pathlib import Path

from configure import write_private
from device import Problem, add_device_arguments, check_ports, main, mpremote, run, shown
from key_folder import (
    FOLDER,
    NODE_FILE,
    NUMBERS,
    USED,
    gateways,
    node_id,
    on_boards,
    place,
    writing,
)
from make_keys import clear, point

# Prints the id of the keys on the board, False where there are none.
WHOSE = (
    f"import os; print('{NODE_FILE}' in os.listdir() and "
    f"open('{NODE_FILE}').read().split('sender_id\": \"')[-1].split('\"')[0])"
)
NEW = NODE_FILE + ".new"
TAKE = f"import os; os.rename('{NEW}', '{NODE_FILE}')"


def work(argv):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
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
    board = mpremote(dev)
    copy = [*board, "fs", "cp", shown(folder / NODE_FILE), f":{NEW}"]
    take = [*board, "exec", TAKE, "+", "reset"]
    if dry_run:
        for command in ([*board, "exec", WHOSE], copy, take):
            run(command, dry_run)
        return
    new = check(folder)
    found = run([*board, "exec", WHOSE], capture=True).strip()
    if found != str(False) and found not in gateways(folder) and not replace:
        raise Problem(
            f"This board has keys that are not {name}'s: name its own node, or replace them, "
            f"`make provision NODE={name} REPLACE=1`"
        )
    run(copy)
    with writing(folder):
        # From here on the board may be using them, whatever becomes of the cable.
        mark(folder, [*on_boards(folder), new])
        run(take)
        point(folder, new, [new])
        mark(folder, [new])
        clear(folder, [new])
    print(f"The board has the keys of {name}; restart what uses {shown(folder)} at the gateway")


def check(folder):
    """The id of the keys that are to go on a board. Raises Problem when they must not."""
    name = folder.name
    if not (folder / NODE_FILE).exists():
        raise Problem(f"{name} has no keys yet: `make keys NODE={name}`")
    new = node_id(folder)
    where = "on a board" if new in on_boards(folder) else ""
    if (folder / NUMBERS).exists():
        where = "in a simulated node"
    if where:
        raise Problem(
            f"The keys of {name} have been {where}: `make keys NODE={name} ROTATE=1` first"
        )
    if new not in gateways(folder):
        raise Problem(
            f"The gateway's end of {name}'s keys is gone: `make keys NODE={name} ROTATE=1` first"
        )
    return new


def mark(folder, ids):
    """Notes which keys have been on a board."""
    new = folder / (USED + ".new")
    write_private(new, "".join(f"{one}\n" for one in ids).encode())
    new.replace(folder / USED)


if __name__ == "__main__":
    main(work)
