"""`make flash`: the exact commands per chip, the file checked first, the drive of a Pico."""

import struct
import subprocess
from pathlib import Path

import pytest
from recorder import Recorder

from host import device, flash
from host.device import Problem, find_board

ROOT = Path(__file__).resolve().parents[2]
CHIP_IDS = {"ESP32_GENERIC": 0, "ESP32_GENERIC_C3": 5, "ESP32_GENERIC_S3": 9}
FAMILIES = {"RPI_PICO_W": 0xE48BFF56, "RPI_PICO2_W": 0xE48BFF59}


def esp32_image(chip_id):
    return bytes([0xE9, 3, 2, 0x20]) + bytes(8) + struct.pack("<H", chip_id) + bytes(100)


def uf2_image(*families):
    blocks = [
        struct.pack("<8I", 0x0A324655, 0x9E5D5157, 0x2000, 0x10000000, 256, 0, 1, family)
        + bytes(476)
        + struct.pack("<I", 0x0AB16F30)
        for family in families
    ]
    return b"".join(blocks)


@pytest.fixture
def programs(tmp_path, monkeypatch):
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setattr(device, "PROGRAMS", folder)
    return Recorder(folder)


@pytest.fixture
def image(tmp_path):
    def write(board):
        path = tmp_path / f"{board}.img"
        data = esp32_image(CHIP_IDS[board]) if board in CHIP_IDS else uf2_image(FAMILIES[board])
        path.write_bytes(data)
        return path

    return write


def drive_of(tmp_path, monkeypatch, label="RPI-RP2"):
    """A mounted boot loader, as the system would show it."""
    drive = tmp_path / "media" / label
    drive.mkdir(parents=True)
    (drive / "INFO_UF2.TXT").write_text("UF2 Bootloader v3.0\n")
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/sda1 {drive} vfat rw 0 0\nproc /proc proc rw 0 0\n")
    monkeypatch.setattr(flash, "find_drive", lambda name: FIND(name, mounts, tmp_path / "none"))
    return drive


FIND = flash.find_drive


@pytest.mark.parametrize(
    ("board", "chip", "offset"),
    [
        ("ESP32_GENERIC", "esp32", "0x1000"),
        ("ESP32_GENERIC_C3", "esp32c3", "0x0"),
        ("ESP32_GENERIC_S3", "esp32s3", "0x0"),
    ],
)
def test_esp32_is_written_at_its_offset(programs, image, board, chip, offset, capfd):
    flash.work(["--board", board, "--dev", "/dev/ttyX", "--fw", str(image(board))])
    command = ["esptool", "--chip", chip, "--port", "/dev/ttyX", "--baud", "460800"]
    assert programs.commands() == [[*command, "write-flash", offset, str(image(board))]]


def test_erasing_comes_first(programs, image, capfd):
    argv = ["--board", "ESP32_GENERIC_C3", "--fw", str(image("ESP32_GENERIC_C3"))]
    flash.work([*argv, "--erase", "--baud", "115200"])
    command = ["esptool", "--chip", "esp32c3", "--baud", "115200"]
    assert programs.commands()[0] == [*command, "erase-flash"]
    assert programs.commands()[1][: len(command) + 1] == [*command, "write-flash"]


def test_a_failing_esptool_names_what_to_try(programs, image, capfd):
    programs.answer(write_flash=(2, "no serial data"))
    with pytest.raises(Problem, match="BAUD=115200"):
        flash.work(["--board", "ESP32_GENERIC", "--fw", str(image("ESP32_GENERIC"))])


def test_esptool_knows_the_commands():
    for command in ("write-flash", "erase-flash"):
        done = subprocess.run(
            [ROOT / ".venv/bin/esptool", "--chip", "esp32c3", command, "--help"],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("board", "label"), [("RPI_PICO_W", "RPI-RP2"), ("RPI_PICO2_W", "RP2350")]
)
def test_a_pico_gets_the_file_on_its_drive(
    programs, image, tmp_path, monkeypatch, board, label, capfd
):
    drive = drive_of(tmp_path, monkeypatch, label)
    flash.work(["--board", board, "--fw", str(image(board))])
    assert (drive / f"{board}.img").read_bytes() == image(board).read_bytes()
    assert programs.commands() == []


def test_a_running_pico_is_asked_for_its_drive(programs, image, tmp_path, monkeypatch, capfd):
    drive = tmp_path / "late" / "RPI-RP2"
    looked = []

    def find(label):
        looked.append(label)
        if len(looked) > 2:
            drive.mkdir(parents=True, exist_ok=True)
            (drive / "INFO_UF2.TXT").write_text("")
            return drive
        return None

    monkeypatch.setattr(flash, "find_drive", find)
    monkeypatch.setattr(flash.time, "sleep", lambda _: None)
    argv = ["--board", "RPI_PICO_W", "--dev", "/dev/ttyX", "--fw", str(image("RPI_PICO_W"))]
    flash.work(argv)
    assert programs.commands() == [["mpremote", "connect", "/dev/ttyX", "bootloader"]]
    assert (drive / "RPI_PICO_W.img").exists()


def test_no_drive_and_no_board_names_the_button(programs, image, monkeypatch, capfd):
    programs.answer(bootloader=(1, "mpremote: no device found"))
    monkeypatch.setattr(flash, "find_drive", lambda _: None)
    with pytest.raises(Problem, match="no device found: hold BOOTSEL"):
        flash.work(["--board", "RPI_PICO_W", "--fw", str(image("RPI_PICO_W"))])


def test_a_drive_that_never_comes_is_named(programs, image, monkeypatch, capfd):
    monkeypatch.setattr(flash, "find_drive", lambda _: None)
    monkeypatch.setattr(flash, "DRIVE_WAIT_S", 0)
    with pytest.raises(Problem, match="No RPI-RP2 drive appeared.*UF2_DRIVE="):
        flash.work(["--board", "RPI_PICO_W", "--fw", str(image("RPI_PICO_W"))])


def test_another_folder_is_not_taken_for_the_drive(programs, image, tmp_path, capfd):
    argv = ["--board", "RPI_PICO_W", "--fw", str(image("RPI_PICO_W"))]
    with pytest.raises(Problem, match="INFO_UF2.TXT"):
        flash.work([*argv, "--drive", str(tmp_path)])


def test_a_drive_with_a_space_in_its_path_is_found(tmp_path):
    mounts = tmp_path / "mounts"
    mounts.write_text("/dev/sdb1 /media/my\\040disk/RP2350 vfat rw 0 0\n")
    assert FIND("RP2350", mounts, tmp_path / "none") == Path("/media/my disk/RP2350")
    assert FIND("RPI-RP2", mounts, tmp_path / "none") is None
    (tmp_path / "volumes" / "RPI-RP2").mkdir(parents=True)
    found = FIND("RPI-RP2", tmp_path / "no-mounts", tmp_path / "volumes")
    assert found == tmp_path / "volumes" / "RPI-RP2"


@pytest.mark.parametrize("board", [*CHIP_IDS, *FAMILIES])
def test_a_missing_file_names_the_download(board):
    for argv in (["--board", board], ["--board", board, "--fw", "no-such-file"]):
        with pytest.raises(Problem, match=f"https://micropython.org/download/{board} "):
            flash.work(argv)


def test_a_file_for_another_chip_is_refused(image):
    names = [*CHIP_IDS, *FAMILIES]
    for board in names:
        for other in names:
            if board != other:
                with pytest.raises(Problem, match=f"no firmware image for {board}"):
                    flash.check_firmware(find_board(board), str(image(other)))


@pytest.mark.parametrize("content", [b"", b"\xe9", b"UF2\n", bytes(512), b"<html>" * 100])
def test_rubbish_is_refused(tmp_path, content):
    path = tmp_path / "rubbish"
    path.write_bytes(content)
    for board in device.boards().values():
        with pytest.raises(Problem, match="no firmware image"):
            flash.check_firmware(board, str(path))


def test_a_uf2_file_may_begin_with_a_block_for_all_chips(tmp_path):
    path = tmp_path / "pico2.uf2"
    path.write_bytes(uf2_image(0xE48BFF57, 0xE48BFF59, 0xE48BFF59))
    assert flash.check_firmware(find_board("RPI_PICO2_W"), str(path)) == path


@pytest.mark.parametrize(
    ("board", "lines"),
    [
        (
            "ESP32_GENERIC_S3",
            [
                "$ .venv/bin/esptool --chip esp32s3 --port /dev/ttyX --baud 460800"
                " write-flash 0x0 {fw}"
            ],
        ),
        (
            "RPI_PICO2_W",
            ["$ .venv/bin/mpremote connect /dev/ttyX bootloader", "$ cp {fw} '<RP2350>'"],
        ),
    ],
)
def test_dry_run_prints_the_exact_commands(image, board, lines):
    fw = image(board)
    done = subprocess.run(
        ["make", "flash", f"BOARD={board}", "DEV=/dev/ttyX", f"FW={fw}", "DRY_RUN=1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    shown = [line for line in done.stdout.splitlines() if line.startswith("$ ")]
    assert shown == [line.format(fw=fw) for line in lines]
