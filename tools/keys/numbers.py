"""Write the first sender sequence numbers of keys made by hand: `tools/keys numbers FILE`.

No node takes keys without them. `make keys` writes them with its keys. Keys that were used and
have lost their numbers must be replaced: numbers that begin again would repeat nonces.
"""

from pathlib import Path

import credentials
from host.device import Problem, shown
from keys.folder import check_private, disk_errors
from keys.make import save_first_numbers
from setup.console import Arguments


def work(argv):
    """Run the tool. Raise Problem if the keys are invalid or have numbers."""
    parser = Arguments(prog="numbers", description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, help="an oscore.json with keys that were never used")
    file = parser.parse_args(argv).file.resolve()
    numbers = file.with_name(file.name + credentials.NUMBERS)
    with disk_errors(file):
        try:
            entries = credentials.load(str(file))
        except ValueError as error:
            raise Problem(error) from None
        if not entries:
            raise Problem(f"{shown(file)}: no such file, or no keys in it")
        if numbers.exists():
            raise Problem(f"{shown(numbers)} exists: keys that may have been used keep theirs")
        check_private(file.parent)
        save_first_numbers(numbers, entries)
    print(f"{shown(numbers)}: belongs beside {shown(file)}, also on a board")
