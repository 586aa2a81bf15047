"""Copy Mote to a board that runs MicroPython: `make deploy BOARD= DEV=`.

The modules are compiled here for the board's processor, since the board may lack the memory for
that; mpremote copies those that changed. Files that only an earlier version had are removed: an
old .py would be imported instead of the new .mpy beside it. config.json and secrets.json stay.
"""

import shutil
from pathlib import Path, PurePosixPath

from build_mpy import compile_all, sources
from fold import counterpart
from host.device import (
    NO_BOARD,
    ROOT,
    Problem,
    add_device_arguments,
    check_ports,
    find_board,
    mpremote,
    run,
    shown,
)
from setup.console import Arguments
from setup.interpreter import OLDEST

STAGE = ROOT / "build" / "deploy"
AS_SOURCE = ("boot.py", "main.py")  # a board starts only these names
# sys.implementation._mpy on the board: bits 10 to 13 are the processor, in this order.
ARCHS = ("none", "x86", "x64", "armv6", "armv6m", "armv7m", "armv7em", "armv7emsp", "armv7emdp")
ARCHS += ("xtensa", "xtensawin", "rv32imc", "rv64imc")
PROBE = """import sys
i = sys.implementation
print("board", getattr(i, "_mpy", 0) >> 10 & 15, sys.platform, i[1][0], i[1][1])"""
FOLDERS = ("lib/coap", "lib/power", "lib/sensors", "apps")  # every file in these is Mote's
PRUNE = """import os

KEEP = {keep!r}
FOLDERS = {folders!r}


def prune(folder):
    try:
        entries = list(os.ilistdir(folder))
    except OSError:
        return
    for entry in entries:
        path = folder + "/" + entry[0]
        if entry[1] == 0x4000:
            prune(path)
        elif path not in KEEP:
            remove(path)
    if not os.listdir(folder):
        os.rmdir(folder)


def remove(path):
    try:
        os.remove(path)
        print("removed", path)
    except OSError:
        pass


for folder in FOLDERS:
    prune(folder)
for path in KEEP:
    if path.endswith(".mpy"):
        remove(path[:-4] + ".py")
"""


def work(argv):
    """Run the tool. Raise Problem if the board is unknown, another one or silent."""
    parser = Arguments(prog="deploy", description=__doc__.splitlines()[0])
    parser.add_argument("--board", default="")
    add_device_arguments(parser)
    options = parser.parse_args(argv)
    board = find_board(options.board)
    check_ports(options.dev, options.port)
    deploy(board, options.dev, options.dry_run)


def deploy(board, dev, dry_run=False, stage=STAGE):
    """Stage the files and copy them. Raise Problem if the board is another one or silent."""
    version = check_board(board, dev, dry_run)
    folder = stage / board.name
    prune = stage / f"{board.name}-prune.py"
    files = lay_out(board, folder, build=not dry_run)
    if not dry_run:
        prune.write_text(PRUNE.format(keep=sorted(files), folders=FOLDERS))
    entries = sorted({folder / PurePosixPath(path).parts[0] for path in files})
    copy = ["fs", "cp", "-r", *map(shown, entries), ":"]
    run([*mpremote(dev), "run", shown(prune), "+", *copy, "+", "reset"], dry_run)
    if version and version < board.battery_since:
        print(
            f"Note: MicroPython {dotted(version)} does not wake a {board.name} by its contact; "
            f"for a node on a battery `make flash` {dotted(board.battery_since)} or newer"
        )


def lay_out(board, folder, build=True):
    """Write the board's files to `folder` as they lie on the board; return their paths there."""
    modules = [*sources(), (Path("board.py"), counterpart(board.folder / "board.py"))]
    compiled = [module for module in modules if module[0].name not in AS_SOURCE]
    targets = {on_board(path): path for path, _ in compiled}
    if build:
        shutil.rmtree(folder, ignore_errors=True)
        mpy = folder.with_name(folder.name + "-mpy")
        compile_all(board.mpy_arch, compiled, mpy)
        for target, path in targets.items():
            (folder / target).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(mpy / board.mpy_arch / path.with_suffix(".mpy"), folder / target)
        for name in AS_SOURCE:
            shutil.copyfile(counterpart(ROOT / "firmware" / name), folder / name)
    return [*targets, *AS_SOURCE]


def on_board(path):
    """Return a module's path on the board: libraries in lib/, all others at the top."""
    target = path.with_suffix(".mpy").as_posix()
    return f"lib/{target}" if (ROOT / "lib" / path).exists() else target


def check_board(board, dev, dry_run):
    """Return the version of the board's MicroPython, such as (1, 27); None for a dry run.

    Raise Problem if no MicroPython responds, or if Mote's files for this board cannot run on it.
    """
    try:
        output = run([*mpremote(dev), "exec", PROBE], dry_run, capture=True).strip()
    except Problem as problem:
        raise Problem(
            f"{problem}: {NO_BOARD}, and if it has no MicroPython yet `make flash` first"
        ) from None
    if dry_run:
        return None
    words = output.splitlines()[-1].split() if output else []
    numbers = [word for word in words[1:] if word.isdigit()]
    if len(words) != 5 or words[0] != "board" or len(numbers) != 3:
        raise Problem(f"DEV={dev} is no MicroPython that Mote knows; it says: {' '.join(words)}")
    arch = ARCHS[int(words[1])] if int(words[1]) < len(ARCHS) else "unknown"
    port, version = words[2], (int(words[3]), int(words[4]))
    if arch != board.mpy_arch or port != board.port:
        raise Problem(
            f"The board on DEV={dev} is a {port} that runs {arch} code, {board.name} is a "
            f"{board.port} with {board.mpy_arch}: name the right one with BOARD="
        )
    if version < OLDEST:
        raise Problem(
            f"The board on DEV={dev} has MicroPython {dotted(version)}, needed is "
            f"{dotted(OLDEST)} or newer: `make flash BOARD={board.name}` with an image from "
            f"{board.download}"
        )
    return version


def dotted(version):
    """Return a version as text."""
    return ".".join(map(str, version))
