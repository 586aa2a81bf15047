"""Compile lib/ and firmware/ to .mpy for every architecture: `make mpy`.

The files go to build/mpy/ARCH/, their sizes to build/mpy/sizes.json and, as a table, to stdout.
"""

import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fold import folded
from host.device import ROOT, Problem, main, program
from setup.console import Arguments

ARCHS = ("xtensawin", "rv32imc", "armv6m", "armv7emsp", "x64")
SOURCES = ("lib", "firmware")
BUILD = ROOT / "build" / "mpy"
FLAGS = ("-O3",)  # no asserts and no line numbers, to save memory


def work(argv):
    """Compile and print the sizes. Raise Problem if an architecture is unknown."""
    parser = Arguments(prog="mpy", description=__doc__.splitlines()[0])
    parser.add_argument("arch", nargs="*", help=f"of {', '.join(ARCHS)}; default all")
    archs = parser.parse_args(argv).arch or list(ARCHS)
    for arch in archs:
        if arch not in ARCHS:
            raise Problem(f"Architecture {arch} is unknown: use {', '.join(ARCHS)}")
    sizes = {arch: compile_all(arch) for arch in archs}
    if archs == list(ARCHS):
        (BUILD / "sizes.json").write_text(json.dumps(sizes, indent=2, sort_keys=True) + "\n")
    print_table(sizes)


def sources():
    """Return all modules but a board's own, as (path below lib/, firmware/ or boards/, file)."""
    found = []
    for folder in SOURCES:
        base = folded() / folder
        found += [(file.relative_to(base), file) for file in sorted(base.rglob("*.py"))]
    common = Path("board_common.py")
    return [*found, (common, folded() / "boards" / common)]


def compile_all(arch, modules=None, build=BUILD):
    """Compile the modules, by default all, for one architecture; return {path: size in bytes}.

    Raises:
        Problem: a module does not compile; the message is the compiler's.
    """
    modules = sources() if modules is None else modules

    def compiled(module):
        """Compile a module; return (path, size)."""
        path, file = module
        target = build / arch / path.with_suffix(".mpy")
        compile_file(file, path, target, arch)
        return path.as_posix(), target.stat().st_size

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(pool.map(compiled, modules))


def compile_file(file, name, target, arch, flags=FLAGS):
    """Compile one file; tracebacks call it `name`. Raise Problem if it does not compile."""
    target.parent.mkdir(parents=True, exist_ok=True)
    argv = [program("mpy-cross"), *flags, f"-march={arch}", "-s", str(name), "-o", target, file]
    try:
        done = subprocess.run([str(word) for word in argv], capture_output=True, text=True)
    except OSError as error:
        raise Problem(f"cannot start {argv[0]}: {error.strerror}; run `make setup`") from None
    if done.returncode:
        target.unlink(missing_ok=True)
        words = " ".join((done.stderr + done.stdout).split()).replace(
            "Traceback (most recent call last): ", ""
        )
        raise Problem(f"{name} does not compile for {arch}: {words}")


def print_table(sizes):
    """Print a line per file, a column per architecture, and the sums."""
    archs = list(sizes)
    rows = sorted({path for column in sizes.values() for path in column})
    width = max(map(len, rows), default=0)
    print(f"{'bytes of .mpy':{width}}" + "".join(f"{arch:>11}" for arch in archs))
    for row in rows:
        print(f"{row:{width}}" + "".join(f"{sizes[arch][row]:11}" for arch in archs))
    print(f"{'all':{width}}" + "".join(f"{sum(sizes[arch].values()):11}" for arch in archs))


if __name__ == "__main__":
    main(work)
