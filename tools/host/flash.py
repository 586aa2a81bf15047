"""Write a MicroPython firmware image to a board: `make flash BOARD= DEV= FW=file`.

esptool writes ESP32 chips. A Pico W or Pico 2 W is written by copying a UF2 file to the drive of
its boot loader. A file for another chip is refused before anything is written.
"""

import os
import shutil
import struct
import time
from pathlib import Path

from host.device import (
    Problem,
    add_device_arguments,
    baud_rate,
    check_ports,
    find_board,
    mpremote,
    program,
    run,
    show,
)
from setup.console import Arguments

IMAGE_MAGIC = 0xE9  # first byte of an Espressif image; the chip id is a 16-bit number at 12
IMAGE_CHIP_ID = 12
UF2_BLOCK = 512
UF2_MAGIC = 0x0A324655
UF2_FAMILY = 28  # offset of the chip's number in a block
DRIVE_WAIT_S = 15
MOUNTS = Path("/proc/mounts")
MAC_VOLUMES = Path("/Volumes")


def work(argv):
    """Run the tool. Raise Problem if the image is not for the board or cannot be written."""
    parser = Arguments(prog="flash", description=__doc__.splitlines()[0])
    parser.add_argument("--board", default="")
    parser.add_argument("--fw", default="", help="firmware image, .bin or .uf2")
    parser.add_argument("--baud", type=baud_rate, default=460800)
    parser.add_argument("--erase", action="store_true", help="erase the whole flash first")
    parser.add_argument("--drive", default="", help="the boot loader's drive, if not found")
    add_device_arguments(parser)
    options = parser.parse_args(argv)
    board = find_board(options.board)
    check_ports(options.dev, options.port)
    firmware = check_firmware(board, options.fw)
    if board.port == "esp32":
        flash_esp32(board, firmware, options)
    else:
        flash_uf2(board, firmware, options)


def check_firmware(board, name):
    """Return the image's path. Raise Problem if it is missing or not for this board."""
    wanted = f"download one for it from {board.download} and name it with FW=file"
    if not name:
        raise Problem(f"FW= is missing: {wanted}")
    path = Path(name)
    if not path.is_file():
        raise Problem(f"FW={name} is no file: {wanted}")
    with path.open("rb") as file:
        head = file.read(64)
        good = is_for_esp32(board, head) if board.port == "esp32" else is_for_rp2(board, path)
    if not good:
        raise Problem(f"FW={name} is no firmware image for {board.name}: {wanted}")
    return path


def is_for_esp32(board, head):
    """Return True if an image that begins with `head` is for the board's chip."""
    if len(head) < IMAGE_CHIP_ID + 2 or head[0] != IMAGE_MAGIC:
        return False
    return struct.unpack_from("<H", head, IMAGE_CHIP_ID)[0] == board.image_chip_id


def is_for_rp2(board, path):
    """Return True if the UF2 file has a block for the board's chip.

    All blocks are read: an image for RP2350 may begin with a block for every chip.
    """
    family = int(board.uf2_family, 16)
    with path.open("rb") as file:
        while len(block := file.read(UF2_BLOCK)) == UF2_BLOCK:
            if struct.unpack_from("<I", block)[0] != UF2_MAGIC:
                return False
            if struct.unpack_from("<I", block, UF2_FAMILY)[0] == family:
                return True
    return False


def flash_esp32(board, firmware, options):
    """Write the image to its offset in flash; the filesystem stays unless --erase is given."""
    esptool = [program("esptool"), "--chip", board.chip]
    if options.dev != "auto":
        esptool += ["--port", options.dev]
    esptool += ["--baud", str(options.baud)]
    try:
        if options.erase:
            run([*esptool, "erase-flash"], options.dry_run)
        run([*esptool, "write-flash", board.flash_offset, firmware], options.dry_run)
    except Problem as problem:
        raise Problem(
            f"{problem}: is the board on DEV={options.dev}? Hold BOOT while it connects, "
            "or try a slower BAUD=115200"
        ) from None


def flash_uf2(board, firmware, options):
    """Copy the file to the boot loader's drive, after restarting a MicroPython that runs."""
    if options.erase:
        raise Problem("ERASE=1 is for ESP32 boards: a Pico is erased by copying flash_nuke.uf2")
    place = f"<{board.uf2_drive}>"
    drive = Path(options.drive) if options.drive else find_drive(board.uf2_drive)
    if drive is None:
        start_boot_loader(board, options)
        if not options.dry_run:
            drive = wait_for_drive(board.uf2_drive)
    if drive is not None and not options.dry_run and not (drive / "INFO_UF2.TXT").is_file():
        raise Problem(f"{drive} is not the boot loader's drive: it has no INFO_UF2.TXT")
    target = drive or Path(place)
    show(["cp", firmware, target])
    if not options.dry_run:
        copy(firmware, target / firmware.name)


def start_boot_loader(board, options):
    """Restart the MicroPython on the board as a drive. Raise Problem if it does not respond."""
    try:
        run([*mpremote(options.dev), "bootloader"], options.dry_run, capture=True)
    except Problem as problem:
        raise Problem(
            f"No {board.uf2_drive} drive, and {problem}: hold BOOTSEL while plugging the board in"
            " (UF2_DRIVE=folder if the drive is mounted elsewhere)"
        ) from None


def find_drive(label, mounts=MOUNTS, volumes=MAC_VOLUMES):
    """Return where the drive with that label is mounted, None if it is not."""
    if mounts.is_file():
        for line in mounts.read_text().splitlines():
            folder = line.split(" ")[1].replace("\\040", " ")
            if Path(folder).name == label:
                return Path(folder)
    if (volumes / label).is_dir():
        return volumes / label
    return None


def wait_for_drive(label):
    """Return where the drive is mounted once it appears. Raise Problem if it does not."""
    end = time.monotonic() + DRIVE_WAIT_S
    while time.monotonic() < end:
        drive = find_drive(label)
        if drive is not None:
            return drive
        time.sleep(0.5)
    raise Problem(f"No {label} drive appeared: mount it, and name the folder with UF2_DRIVE=")


def copy(source, target):
    """Copy the image; the board restarts, and the drive disappears, after the last byte."""
    try:
        with source.open("rb") as image, target.open("wb") as file:
            shutil.copyfileobj(image, file)
            file.flush()
            try:
                os.fsync(file.fileno())
            except OSError:
                pass  # the drive has disappeared already
    except OSError as error:
        raise Problem(
            f"{target}: {error.strerror}; plug the board in again, BOOTSEL held"
        ) from None
    print("Written; the board restarts by itself")
