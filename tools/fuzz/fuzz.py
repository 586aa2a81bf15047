"""Random and mutated datagrams against the engine, on CPython and on MicroPython.

    .venv/bin/python tools/fuzz/fuzz.py --seed 1 --cpython 1000000 --micropython 200000

CPython checks every index that machine code on a board would not. The seed determines a run:
to repeat a failure, give the same seed. When something is wrong, prints the offending datagram and
ends with exit code 1.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGET = "tools/fuzz/target.py"
FORGED = "tools/fuzz/forged.py"
HEAP = "4m"

sys.path.append(str(ROOT / "tools"))

from fold import folded  # noqa: E402
from setup.console import Arguments, Problem  # noqa: E402
from setup.interpreter import find  # noqa: E402


def main(arguments):
    """Fuzz as the arguments say; return the exit code."""
    parser = Arguments(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1, help="another seed, other datagrams")
    parser.add_argument("--cpython", type=int, default=1_000_000, help="how many on CPython")
    parser.add_argument("--micropython", type=int, default=200_000, help="how many there")
    help_ = "how many under OSCORE on each, with damaged options and ciphertexts"
    parser.add_argument("--forged", type=int, default=1_000_000, help=help_)
    options = parser.parse_args(arguments)
    for name, value in vars(options).items():
        if value < 0 or value > 2**29:
            print(f"--{name} {value}: give a number from 0 to {2**29}", file=sys.stderr)
            return 2
    try:
        interpreter, _ = find(ROOT, os.environ)
    except Problem as problem:
        print(problem, file=sys.stderr)
        return 2
    paths = ["lib", "tests"]
    runs = (
        (
            "CPython",
            [sys.executable],
            ROOT,
            {"PYTHONPATH": [*paths, "tools/cpython"]},
            options.cpython,
        ),
        (
            "MicroPython",
            [str(interpreter.path.absolute()), "-X", f"heapsize={HEAP}"],
            folded(),
            {"MICROPYPATH": [*paths, ".frozen"]},
            options.micropython,
        ),
    )
    failed = 0
    for name, command, folder, path, n in runs:
        failed |= _run(name, [*command, TARGET], folder, path, options.seed, n)
        title = f"{name} under OSCORE"
        failed |= _run(title, [*command, FORGED], folder, path, options.seed, options.forged)
    return failed


def _run(name, command, folder, path, seed, count):
    if not count:
        return 0
    print(f"{name}, {count} datagrams", flush=True)
    start = time.monotonic()
    variables = {key: ":".join(value) for key, value in path.items()}
    done = subprocess.run(
        [*command, str(seed), str(count)],
        cwd=folder,
        env={**os.environ, **variables},
        check=False,
    )
    spent = time.monotonic() - start
    print(f"{name}: {'passed' if done.returncode == 0 else 'FAILED'} in {spent:.0f} s", flush=True)
    return 1 if done.returncode else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
