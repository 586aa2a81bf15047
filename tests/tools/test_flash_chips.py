"""`make flash` with the real esptool on the boot loader of an ESP32, a C3 and an S3.

esp32-mock-bootloader plays the chip at the end of a serial line: it keeps what is written, and
esptool asks it for checksums.
"""

import contextlib
import random
import struct
import subprocess

import pytest
from running import running

from host.device import PROGRAMS, find_board
from setup.console import ROOT

LIMIT_S = 120
SIZE_B = 100_000  # many blocks; random bytes do not compress
FILES_AT = 0x200000  # where MicroPython keeps its files on these boards with 4 MB
ERASED = b"\xff"
BOARDS = ("ESP32_GENERIC", "ESP32_GENERIC_C3", "ESP32_GENERIC_S3")


@pytest.fixture
def chip():
    """A function of a board's name that starts its boot loader; it returns DEV for it."""
    with contextlib.ExitStack() as started:

        def start(board, *words):
            chip = find_board(board).chip
            argv = [PROGRAMS / "esp32-mock-bootloader", "run", "--chip", chip, *words]
            return started.enter_context(running(argv)).line("Mock bootloader").split()[-1]

        yield start


@pytest.fixture
def image(tmp_path):
    """Write an image for a board's chip; return its path."""

    def write(board):
        path = tmp_path / f"{board}.bin"
        head = bytes([0xE9, 3, 2, 0x20]) + bytes(8)
        head += struct.pack("<H", find_board(board).image_chip_id)
        path.write_bytes(head + random.Random(board).randbytes(SIZE_B))
        return path

    return write


def flash(board, dev, firmware, *words):
    argv = ["make", "flash", f"BOARD={board}", f"DEV={dev}", f"FW={firmware}", *words]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S)


def esptool(dev, *words):
    argv = [PROGRAMS / "esptool", "--port", dev, "--no-stub", *words]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=LIMIT_S)
    assert done.returncode == 0, done.stdout + done.stderr


def content(dev, offset, size, folder):
    """Return what the chip's flash holds."""
    path = folder / "read"
    esptool(dev, "read-flash", str(offset), str(size), str(path))
    return path.read_bytes()


@pytest.mark.parametrize("board", BOARDS)
def test_the_image_lies_in_flash_and_the_files_stay_until_erased(board, chip, image, tmp_path):
    # Over TCP: on a pseudo-terminal the loader forgets a client three seconds after its writing,
    # even while the next client writes.
    dev, firmware = f"socket://{chip(board, '--port', '0')}", image(board)
    files = tmp_path / "files"
    files.write_bytes(b"settings and keys" * 16)
    esptool(dev, "write-flash", str(FILES_AT), str(files))
    done = flash(board, dev, firmware)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Hash of data verified" in done.stdout
    offset = int(find_board(board).flash_offset, 16)
    written = firmware.read_bytes()
    end = len(written) - 256
    assert content(dev, offset + end, 256, tmp_path) == written[end:]
    assert content(dev, FILES_AT, 16, tmp_path) == files.read_bytes()[:16]
    done = flash(board, dev, firmware, "ERASE=1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert content(dev, offset, 256, tmp_path) == written[:256]
    assert content(dev, FILES_AT, 16, tmp_path) == 16 * ERASED


@pytest.mark.parametrize("board", BOARDS)
def test_a_serial_device_refuses_another_chip_and_takes_its_own(board, chip, image):
    dev = chip(board, "--pty")
    other = BOARDS[BOARDS.index(board) - 1]
    done = flash(other, dev, image(other))
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "Wrong chip argument" in done.stderr and f"DEV={dev}" in done.stderr
    assert "Writing" not in done.stdout
    done = flash(board, dev, image(board))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Hash of data verified" in done.stdout


def test_no_device_is_one_line_more(image):
    done = flash("ESP32_GENERIC_C3", "/dev/nothing", image("ESP32_GENERIC_C3"))
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "is the board on DEV=/dev/nothing?" in done.stderr
