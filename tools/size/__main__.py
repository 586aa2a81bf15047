"""Print what Mote takes of a board's flash and heap: `make size`.

Flash by file and by extension, as .mpy and frozen into a firmware; heap step by step until a door
node is made: on this computer, in an interpreter with words of 32 bits, and on the emulated Pico.
Exit code 1 when something takes more than the budget allows; `make size RENEW=1` writes it.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent))

import build_mpy  # noqa: E402
from host import device  # noqa: E402
from setup.console import Arguments, Problem  # noqa: E402
from size import budget, flash, heap  # noqa: E402

FIX = "make it smaller, or accept it: `make size RENEW=1`"
MAY_GROW_PCT = 2
TITLES = {"least": "what a node and its socket import"}


def work(argv):
    """Measure, print the tables, and compare with the budget or write it."""
    parser = Arguments(prog="size", description=__doc__.splitlines()[0])
    parser.add_argument("--renew", action="store_true", help="write the budget")
    options = parser.parse_args(argv)
    sizes = {arch: flash.mpy(arch) for arch in build_mpy.ARCHS}
    groups = {arch: flash.groups(sizes[arch]) for arch in sizes}
    frozen, no_frozen = attempt(flash.frozen)
    steps = heap.on_unix()
    pico, no_pico = attempt(heap.on_pico)
    files = sorted(sizes[flash.ARCH])
    print_table("bytes of flash", {**sizes, "frozen": frozen}, [*files, "all"])
    print_table("bytes of .mpy", groups, groups[flash.ARCH])
    sums = heap.sums(steps)
    places = {"here": steps | sums, "Pico": pico and pico | heap.sums(pico)}
    print_table("bytes of heap, everything frozen", places, places["here"])
    print("".join(f"Not measured: {why}\n" for why in (no_frozen, no_pico) if why), end="")
    taken = {"bytes of .mpy": groups[flash.ARCH], "bytes of heap": sums}
    if options.renew:
        budget.renew(taken)
    elif lines := budget.exceeded(taken, MAY_GROW_PCT):
        raise SystemExit("\n".join([*lines, FIX]))


def attempt(measure):
    """Return (what was measured, ""), or ({}, why it could not be)."""
    try:
        return measure(), ""
    except Problem as problem:
        return {}, str(problem)


def print_table(title, columns, rows):
    """Print {column: {row: bytes}}; the row "all" is the sum where a column has none."""
    columns = {
        name: cells and {"all": sum(cells.values()), **cells} for name, cells in columns.items()
    }
    wide = max(len(TITLES.get(row, row)) for row in [title, *rows])
    print(f"{title:{wide}}" + "".join(f"{name:>11}" for name in columns))
    for row in rows:
        numbers = [cells.get(row) for cells in columns.values()]
        text = "".join(f"{'-' if number is None else f'{number:,}':>11}" for number in numbers)
        print(f"{TITLES.get(row, row):{wide}}{text}")
    print()


if __name__ == "__main__":
    device.main(work)
