"""Shared by the host tools: boards, serial devices, running a program, private files."""

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
NO_BOARD = "plug the board in, close other programs that use it, or name it with DEV=/dev/tty..."


@dataclass(frozen=True)
class Board:
    """The folder of a board in boards/ and the fields of its board.json.

    Attributes:
        port: MicroPython's name of the port, "esp32" or "rp2".
        mpy_arch: mpy-cross's name of the processor.
        chip, image_chip_id, flash_offset: esp32: esptool's name of the chip, its number in an
            image, the offset of MicroPython's image in flash.
        uf2_drive, uf2_family: rp2: the label of the boot loader's drive, the number of the chip
            in a UF2 file.
        battery_since: the MicroPython version from which a node on a battery works on it.
        from_debian: True if its firmware can be built from sources that Debian has.
    """

    name: str
    port: str
    mpy_arch: str
    chip: str = ""
    image_chip_id: int = 0
    flash_offset: str = ""
    uf2_drive: str = ""
    uf2_family: str = ""
    battery_since: tuple = (1, 25)
    from_debian: bool = False

    def __post_init__(self):
        """Make a tuple of the version, which JSON holds as a list."""
        object.__setattr__(self, "battery_since", tuple(self.battery_since))

    @property
    def folder(self):
        """Return the folder with board.py and board.json."""
        return BOARDS / self.name

    @property
    def download(self):
        """Return the URL of the page with MicroPython's firmware for this board."""
        return f"https://micropython.org/download/{self.name}"


def boards(folder=BOARDS):
    """Return all boards as {name: Board}."""
    files = sorted(folder.glob("*/board.json"))
    return {
        file.parent.name: Board(name=file.parent.name, **json.loads(file.read_text()))
        for file in files
    }


def find_board(name):
    """Return the board of that name. Raise Problem, listing all names, if there is none."""
    known = boards()
    if name not in known:
        wrong = f"BOARD={name} is unknown" if name else "BOARD= is missing"
        raise Problem(f"{wrong}: use one of {', '.join(known)}")
    return known[name]


def check_ports(dev, port):
    """Raise Problem if the UDP port is a serial device, or the serial device a number."""
    if port and not port.isdecimal():
        raise Problem(f"PORT is a UDP port; name the serial device with DEV={port}")
    if port and int(port) > 65535:
        raise Problem(f"PORT={port} is no UDP port: it must be 0 to 65535")
    if not dev or dev.isdigit():
        raise Problem("DEV is a serial device: DEV=/dev/ttyUSB0, DEV=COM4, or DEV=auto")


def baud_rate(text):
    """Return the bits per second of a serial line, for argparse."""
    if not text.isdecimal() or not SLOWEST_BAUD <= int(text) <= FASTEST_BAUD:
        raise argparse.ArgumentTypeError(
            f"'{text}' is not a speed in bits per second ({SLOWEST_BAUD} to {FASTEST_BAUD})"
        )
    return int(text)


def add_device_arguments(parser):
    """Add the arguments that all programs for a board share."""
    parser.add_argument("--dev", default="auto", help="serial device, or auto")
    parser.add_argument("--port", default="", help="UDP port; a serial device here is an error")
    parser.add_argument("--dry-run", action="store_true", help="print the commands only")


def mpremote(dev):
    """Return the first words of an mpremote command."""
    return [program("mpremote"), "connect", dev]


def program(name):
    """Return the path of a program of .venv."""
    return str(shown(PROGRAMS / name))


def shown(path):
    """Return the path relative to the current folder if that is the project's."""
    return path.relative_to(ROOT) if Path.cwd() == ROOT and ROOT in path.parents else path


def show(argv):
    """Print a command as it could be typed."""
    print("$ " + shlex.join(str(word) for word in argv), flush=True)


def run(argv, dry_run=False, capture=False):
    """Print a command and run it. Return its output if `capture`, else "".

    Raises:
        Problem: the command cannot be started or fails. A captured output's last line becomes the
            message; otherwise the output has already gone to the terminal.
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
        failed = f"{Path(argv[0]).name} failed (exit code {done.returncode})"
        raise Problem(lines[-1] if lines else failed)
    return output


def write_private(path, content):
    """Write bytes to a file that only its owner can read, from the first byte on."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)


def main(work, argv=None):
    """Call `work(argv)`. Print a Problem as one line on stderr and exit with code 2."""
    try:
        work(sys.argv[1:] if argv is None else argv)
    except Problem as problem:
        print(problem, file=sys.stderr, flush=True)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
