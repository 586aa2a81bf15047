"""How cost grows with resources, observers and options: a table, and plots in build/plots.

Counted in one process on MicroPython, without sockets: growth.py is what runs there.
"""

import argparse
import os
import subprocess
import sys

import programs

from fold import folded
from setup import interpreter
from setup.console import ROOT, Arguments, Problem

PLOTS = ROOT / "build" / "plots"
GROWTH = programs.HERE / "growth.py"
LIMIT_S = 240
MOST_BATCHES = 1000
TITLES = {
    "resources": "number of resources",
    "observers": "observers of a resource",
    "options": "options in a request",
}


def main():
    """Print the table and write the plots; exit code 2 when it cannot run."""
    parser = Arguments(prog="plots.py", description=__doc__.splitlines()[0])
    parser.add_argument("--batches", type=batches, default=100, metavar="N")
    arguments = parser.parse_args()
    try:
        measured = grown(arguments.batches)
        draw(measured)
    except Problem as problem:
        print(f"bench-plots: {problem}", file=sys.stderr)
        return 2
    print(table(measured))
    return 0


def batches(text):
    """How many batches, for argparse."""
    if not text.isdecimal() or not 1 <= int(text) <= MOST_BATCHES:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number from 1 to {MOST_BATCHES}")
    return int(text)


def grown(batches, *which):
    """Return [(what, number, requests per second, bytes of heap)]; see growth.py for `which`.

    Raises Problem when the interpreter fails.
    """
    found, _ = interpreter.find()
    lib = folded(native=found.viper) / "lib"
    argv = [programs.micropython(), "-X", "heapsize=8m", str(GROWTH), str(batches)]
    environ = {**os.environ, "MICROPYPATH": f"{lib}:.frozen"}
    done = subprocess.run(
        [*argv, *map(str, which)], capture_output=True, text=True, env=environ, timeout=LIMIT_S
    )
    if done.returncode:
        raise Problem((done.stdout + done.stderr).strip().splitlines()[-1])
    return rows(done.stdout)


def rows(output):
    """Return what growth.py printed as tuples, see grown()."""
    words = [line.split() for line in output.splitlines()]
    return [(what, *map(int, numbers)) for what, *numbers in words]


def table(rows):
    """Return the rows as text, each rate also as a share of its group's first."""
    lines = []
    for what, title in TITLES.items():
        group = [row for row in rows if row[0] == what]
        lines.append(f"{title:28}{'requests/s':>12}{'of the first':>14}{'heap bytes':>12}")
        for _, number, rate, size in group:
            lines.append(f"{number:28}{rate:12,}{rate / group[0][2]:14.2f}{size:12,}")
        lines.append("")
    lines.append(f"Plots: {PLOTS.relative_to(ROOT)}/*.svg")
    return "\n".join(lines)


def draw(rows, folder=PLOTS):
    """Write two plots for each group: rate and heap."""
    try:
        import pygal
    except ImportError:
        raise Problem("no pygal: run `make setup`") from None
    folder.mkdir(parents=True, exist_ok=True)
    for what, title in TITLES.items():
        group = [row for row in rows if row[0] == what]
        for at, name, label in ((2, "rate", "requests/s"), (3, "heap", "bytes of heap")):
            chart = pygal.XY(
                title=f"{label} by {title}",
                x_title=title,
                show_legend=False,
                range=(0, max(row[at] for row in group) * 1.1),
                js=(),  # a plot is a picture: it loads nothing
            )
            chart.add(label, [(row[1], row[at]) for row in group])
            chart.render_to_file(str(folder / f"{what}-{name}.svg"))


if __name__ == "__main__":
    sys.exit(main())
