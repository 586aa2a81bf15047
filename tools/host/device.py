"""What flashing, deploying and configuring share: boards, serial devices, running a program."""

import argparse
import json
import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from setup.console import ROOT, Problem

BOARDS = ROOT / "boards"
PROGRAMS = ROOT / ".venv" / "bin"
SLOWEST_BAUD, FASTEST_BAUD = 50, 12_000_000  # 12 Mbit/s is USB at full speed


@dataclass(frozen=True)
class Board:
    """A folder of boards/ and its board.json.

    port is MicroPython's ("esp32", "rp2"), mpy_arch mpy-cross's name of the processor. On esp32,
    chip is esptool's name of it, image_chip_id its number in an image, flash_offset where
    MicroPython's image belongs. On rp2, uf2_drive is the label of the boot loader's drive and
    uf2_family the number of the chip in a UF2 file. from_debian: its firmware is made of sources
    that Debian has.
    """

    name: str
    port: str
    mpy_arch: str
    chip: str = ""
    image_chip_id: int = 0
    flash_offset: str = ""
    uf2_drive: str = ""
    uf2_family: str = ""
    from_debian: bool = False

    @property
    def folder(self):
        return BOARDS / self.name

    @property
    def download(self):
        return f"https://micropython.org/download/{self.name}"


def boards(folder=BOARDS):
    """All boards, by name."""
    found = {}
    for file in sorted(folder.glob("*/board.json")):
        name = file.parent.name
        found[name] = Board(name=name, **json.loads(file.read_text()))
    return found


def find_board(name):
    """Returns the board of that name; raises Problem, naming all, when there is none."""
    known = boards()
    if name not in known:
        wrong = f"BOARD={name} is unknown" if name else "BOARD= is missing"
        raise Problem(f"{wrong}: use one of {', '.join(known)}")
    return known[name]


def check_ports(dev, port):
    """Raises Problem when the UDP port is a serial device, or the serial device a number."""
    if port and not port.isdecimal():
        raise Problem(f"PORT is a UDP port; name the serial device with DEV={port}")
    if port and int(port) > 65535:
        raise Problem(f"PORT={port} is no UDP port: it must be 0 to 65535")
    if not dev or dev.isdigit():
        raise Problem("DEV is a serial device: DEV=/dev/ttyUSB0, DEV=COM4, or DEV=auto")


def baud_rate(text):
    """Bits per second on a serial line, for argparse."""
    if not text.isdecimal() or not SLOWEST_BAUD <= int(text) <= FASTEST_BAUD:
        raise argparse.ArgumentTypeError(
            f"'{text}' is not a speed in bits per second ({SLOWEST_BAUD} to {FASTEST_BAUD})"
        )
    return int(text)


def add_device_arguments(parser):
    """The arguments that every program talking to a board takes."""
    parser.add_argument("--dev", default="auto", help="serial device, or auto")
    parser.add_argument("--port", default="", help="not for serial devices: refused if it is one")
    parser.add_argument("--dry-run", action="store_true", help="print the commands only")


def mpremote(dev):
    """The beginning of an mpremote command."""
    return [program("mpremote"), "connect", dev]


def program(name):
    """Path of a program of .venv."""
    return str(shown(PROGRAMS / name))


def shown(path):
    """The path as short as it can be typed here."""
    return path.relative_to(ROOT) if Path.cwd() == ROOT and ROOT in path.parents else path


def show(argv):
    """Prints a command as it could be typed."""
    print("$ " + shlex.join(str(word) for word in argv), flush=True)


def run(argv, dry_run=False, capture=False):
    """Shows a command and runs it; returns what it printed when `capture`, else "".

    Raises Problem when it cannot be started or fails; its own words stand above that line, or in
    it when they were captured.
    """
    show(argv)
    if dry_run:
        return ""
    try:
        done = subprocess.run(
            [str(word) for word in argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if capture else None,
            stderr=subprocess.STDOUT if capture else None,
            text=True,
        )
    except OSError as error:
        raise Problem(f"cannot start {argv[0]}: {error.strerror}; run `make setup`") from None
    output = done.stdout or ""
    if done.returncode:
        lines = [line.strip() for line in output.splitlines() if line.strip()]
        what = lines[-1] if lines else f"{Path(argv[0]).name} failed (exit code {done.returncode})"
        raise Problem(what)
    return output


def write_private(path, content):
    """Writes a file that only its owner can read, from its first byte on."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)


def main(work, argv=None):
    """Runs a program's `work(argv)`: a Problem becomes one line on stderr and exit code 2."""
    try:
        work(sys.argv[1:] if argv is None else argv)
    except Problem as problem:
        print(problem, file=sys.stderr, flush=True)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
