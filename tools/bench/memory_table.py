"""Heap that each operation asks for, on both MicroPython versions: `make bench-memory`."""

import os
import subprocess
import sys

import programs
import tables

from setup.console import ROOT, Problem

PATHS = ("lib", "firmware", "tools/simulator", "tools/bench", "tests")
LIMIT_S = 240


def main():
    """Print the table; exit code 1 when the engine allocates, 2 when it cannot run."""
    try:
        interpreters = [programs.micropython(), programs.built_micropython()]
        columns = {number(path): measured(path) for path in interpreters}
    except Problem as problem:
        print(f"bench-memory: {problem}", file=sys.stderr)
        return 2
    first = next(iter(columns.values()))
    rows = [[*key, *(f"{found[key]:,}" for found in columns.values())] for key in first]
    print("Bytes of heap that are asked for; recvfrom() gives back what the datagram leaves.\n")
    print(
        tables.markdown(["by the", "operation"], [f"MicroPython {name}" for name in columns], rows)
    )
    return 1 if wasteful(columns.values()) else 0


def number(interpreter):
    """Return the number of a MicroPython's version: 1.25.0."""
    program = "import sys; print('.'.join(str(n) for n in sys.implementation[1][:3]))"
    return programs.first_line(interpreter, "-c", program)


def measured(interpreter):
    """Return {(who, operation): bytes} of one interpreter. Raises Problem."""
    path = ":".join([str(ROOT / folder) for folder in PATHS] + [".frozen"])
    argv = [interpreter, str(programs.HERE / "memory.py")]
    environ = {**os.environ, "MICROPYPATH": path}
    done = subprocess.run(argv, capture_output=True, text=True, env=environ, timeout=LIMIT_S)
    if done.returncode:
        raise Problem((done.stdout + done.stderr).strip().splitlines()[-1])
    rows = [line.split(" ", 2) for line in done.stdout.splitlines()]
    return {(who, what): int(count) for count, who, what in rows}


def wasteful(columns):
    """Return the operations for which the engine allocates."""
    return [
        key for found in columns for key, taken in found.items() if key[0] == "engine" and taken
    ]


if __name__ == "__main__":
    sys.exit(main())
