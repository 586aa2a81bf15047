"""Puts the keys of a node on its board: `make provision NODE=name DEV=`.

Keys go on one board once. Put there again, or on another one, the same numbers would be used with
them a second time, and with that everybody could read what they protect.
"""

import argparse

from device import Problem, add_device_arguments, check_ports, main, mpremote, run, shown
from make_keys import FOLDER, NODE_FILE, USED, place


def work(argv):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--node", default="", help="whose keys")
    add_device_arguments(parser)
    options = parser.parse_args(argv)
    check_ports(options.dev, options.port)
    provision(options.node, options.dev, options.dry_run)


def provision(name, dev, dry_run=False, keys=FOLDER):
    """Copies the keys and restarts the board. Raises Problem when that would use them twice."""
    folder = place(name, keys)
    file = folder / NODE_FILE
    used = folder / USED
    if not file.exists() and not dry_run:
        raise Problem(f"{name} has no keys yet: `make keys NODE={name}`")
    if used.exists():
        raise Problem(
            f"The keys of {name} have been on a board: `make keys NODE={name} ROTATE=1` first"
        )
    if not dry_run:
        # a board that does not answer must not cost the keys
        run([*mpremote(dev), "exec", "pass"], capture=True)
        used.touch(mode=0o600)
    run([*mpremote(dev), "fs", "cp", shown(file), f":{NODE_FILE}", "+", "reset"], dry_run)


if __name__ == "__main__":
    main(work)
