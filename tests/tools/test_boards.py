"""The boards: complete, possible on the chip, freezable; and the list of files for mip."""

import importlib.util
import json
import subprocess
import sys
import types
from pathlib import Path

import pytest
from serial_board import SerialBoard

import build_mpy
import package
import recovery
from apps.alerts import LENGTH_MAX
from config import Settings
from config_schema import GATEWAY_MAX, HEARTBEAT_MAX_S, NAME_MAX
from host import device
from setup import firmware

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / ".cache" / "debian"
BOARDS = device.boards()
RADIO = ("ESP32_GENERIC", "ESP32_GENERIC_C3", "ESP32_GENERIC_S3", "RPI_PICO2_W", "RPI_PICO_W")
NAMES = (*RADIO[:3], "PICO_EMU", "RPI_PICO", *RADIO[3:])
CONSTANTS = {
    "NAME": str,
    "REED_PIN": int,
    "TAMPER_PIN": int,
    "REED_PULL": str,
    "BATTERY_ADC_PIN": int,
    "BATTERY_DIVIDER_NUM": int,
    "BATTERY_DIVIDER_DEN": int,
    "BATTERY_CHEMISTRY": str,
    "I2C_ID": int,
    "SDA_PIN": int,
    "SCL_PIN": int,
    "SLOTS": dict,
    "RECV_MAX": int,
    "LINK": str,
}
# What each kind of link needs to know.
LINKS = {
    "wifi": {"WIFI_OPTIONS": dict},
    "ppp": {"PPP_UART_ID": int, "PPP_TX_PIN": int, "PPP_RX_PIN": int},
    "slipmux": {"SLIPMUX_UART_ID": int, "SLIPMUX_TX_PIN": int, "SLIPMUX_RX_PIN": int},
}
# From the chips' data sheets: pins that wake it from deep sleep, pins of the ADC that works beside
# Wi-Fi, pins that are taken (flash, USB, radio) or select the boot mode.
ESP32 = {
    "wake": {0, 2, 4, *range(12, 16), *range(25, 28), *range(32, 40)},
    "adc": set(range(32, 40)),
    "taken": {0, 1, 2, 3, 5, *range(6, 12), 12, 15, 16, 17},
}
CHIPS = {
    "ESP32_GENERIC": ESP32,
    "ESP32_GENERIC_C3": {
        "wake": set(range(6)),
        "adc": set(range(5)),
        "taken": {2, 8, 9, *range(11, 20)},
    },
    "ESP32_GENERIC_S3": {
        "wake": set(range(22)),
        "adc": set(range(1, 11)),
        "taken": {0, 3, 19, 20, *range(26, 38), 45, 46},
    },
}
PICO = {"wake": set(range(29)), "adc": {26, 27, 28}, "taken": {23, 24, 25, 29}}


def load(name):
    spec = importlib.util.spec_from_file_location(
        f"board_{name}", BOARDS[name].folder / "board.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_these_boards_are_there():
    assert tuple(BOARDS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_constants_are_complete(name):
    board = load(name)
    assert name == board.NAME
    for constant, kind in {**CONSTANTS, **LINKS[board.LINK]}.items():
        assert isinstance(getattr(board, constant), kind), constant
    sizes = {"dedup_entries", "exchanges", "peers", "observers", "blocks", "block_bytes"}
    assert set(board.SLOTS) == sizes | {"cached_response_bytes", "separate_responses"}
    assert 256 <= board.RECV_MAX <= 1280


@pytest.mark.parametrize("name", NAMES)
def test_the_longest_settings_come_in_blocks(name):
    settings = Settings()
    settings.update(
        {
            "name": "\N{DOOR}" * NAME_MAX,
            "kind": "window",
            "heartbeat_s": HEARTBEAT_MAX_S,
            "gateway": "coap://".ljust(GATEWAY_MAX, "a"),
            "app": "wearable",
            "power": "battery",
        }
    )
    longest = json.dumps(json.loads(settings.as_json()), indent=2)
    assert "\\u" in longest  # the longest way to write a name
    assert len(longest) + LENGTH_MAX <= load(name).SLOTS["block_bytes"]


@pytest.mark.parametrize("name", NAMES)
def test_the_chip_can_do_what_the_pins_are_for(name):
    board = load(name)
    chip = CHIPS.get(name, PICO)
    pins = [board.REED_PIN, board.TAMPER_PIN, board.BATTERY_ADC_PIN, board.SDA_PIN, board.SCL_PIN]
    assert len(set(pins)) == len(pins)
    assert not set(pins) & chip["taken"]
    assert {board.REED_PIN, board.TAMPER_PIN} <= chip["wake"]
    assert board.BATTERY_ADC_PIN in chip["adc"]
    if chip is PICO:  # I2C0 is on pairs of pins: SDA on multiples of four, SCL next to it
        assert board.SDA_PIN % 4 == 0
        assert board.SCL_PIN == board.SDA_PIN + 1


@pytest.mark.parametrize("name", NAMES)
def test_a_board_that_sleeps_deeply_has_the_pull_up_that_lasts(name):
    """On a Pico, which never does, the contact needs no part."""
    board = load(name)
    assert board.REED_PULL == ("external" if BOARDS[name].port == "esp32" else "internal")
    assert getattr(board, "REED_HOLD", False) == (name == "ESP32_GENERIC_C3")


def test_only_a_radio_needs_a_checkout_of_micropython():
    """Its driver is what Debian's sources lack."""
    assert tuple(name for name in NAMES if load(name).LINK == "wifi") == RADIO
    assert tuple(name for name in NAMES if not BOARDS[name].from_debian) == RADIO


@pytest.mark.parametrize("name", [name for name in NAMES if name not in RADIO])
def test_the_serial_line_is_where_the_chip_has_one(name):
    """RP2040 data sheet, table 2: UART0 sends on 0, 12, 16 and 28, UART1 on 4, 8, 20 and 24."""
    board = load(name)
    uart, tx, rx = (getattr(board, constant) for constant in LINKS[board.LINK])
    assert tx in {0: (0, 12, 16, 28), 1: (4, 8, 20, 24)}[uart]
    assert rx == tx + 1
    pins = {board.REED_PIN, board.TAMPER_PIN, board.BATTERY_ADC_PIN, board.SDA_PIN, board.SCL_PIN}
    assert not pins & {tx, rx}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("pressed", [False, True])
def test_the_button_is_read(name, pressed, monkeypatch):
    board = load(name)

    class Pin:
        IN, PULL_UP = "in", "pull-up"

        def __init__(self, number, mode, pull):
            assert (number, mode, pull) == (board.BOOT_PIN, "in", "pull-up")

        def value(self):
            return 0 if pressed else 1

    pico = types.SimpleNamespace(bootsel_button=lambda: int(pressed))
    if BOARDS[name].port == "rp2":
        monkeypatch.setitem(sys.modules, "rp2", pico)
    assert recovery.boot_button(types.SimpleNamespace(Pin=Pin), board)() is pressed


@pytest.mark.parametrize("name", NAMES)
def test_the_host_knows_how_to_write_it(name):
    board = BOARDS[name]
    assert board.mpy_arch in build_mpy.ARCHS
    if board.port == "esp32":
        assert board.flash_offset == ("0x1000" if board.chip == "esp32" else "0x0")
    else:
        assert board.uf2_drive
        assert int(board.uf2_family, 16) > 0xE48BFF00


@pytest.mark.parametrize("name", NAMES)
def test_the_manifest_freezes_everything(name, monkeypatch):
    """Run by MicroPython 1.25's own tool; where its source could not be had, by a stand-in."""
    frozen = real_manifest(name, monkeypatch) or stand_in_manifest(name)
    wanted = {path.as_posix() for path, _ in build_mpy.sources()} | {"board.py"}
    assert wanted <= set(frozen)
    assert frozen["board.py"] == firmware.manifest(BOARDS[name]).with_name("board.py")
    for path, file in build_mpy.sources():
        assert frozen[path.as_posix()] == file


def real_manifest(name, monkeypatch):
    sources = sorted(SOURCE.glob("micropython-*/tools/manifestfile.py"))
    if not sources:
        return None
    monkeypatch.syspath_prepend(str(sources[-1].parent))
    import manifestfile

    top = sources[-1].parents[1]
    port = top / "ports" / BOARDS[name].port
    variables = {"MPY_DIR": str(top), "PORT_DIR": str(port), "BOARD_DIR": "", "MPY_LIB_DIR": ""}
    manifest = manifestfile.ManifestFile(manifestfile.MODE_FREEZE, variables)
    manifest.execute(str(firmware.manifest(BOARDS[name])))
    return {file.target_path: Path(file.full_path).resolve() for file in manifest.files()}


def stand_in_manifest(name):
    frozen = {}

    def execute(path):
        def add(folder, pattern):
            base = (path.parent / folder).resolve()
            frozen.update({str(file.relative_to(base)): file for file in base.glob(pattern)})

        names = {
            "freeze": lambda folder: None,
            "include": lambda other: "$" in other or execute((path.parent / other).resolve()),
            "package": lambda package, base_path, opt: add(base_path, f"{package}/**/*.py"),
            "module": lambda module, base_path=".", opt=None: add(base_path, module),
        }
        exec(path.read_text(), names)

    execute(firmware.manifest(BOARDS[name]))
    return frozen


def test_package_json_lists_what_is_there():
    assert package.FILE.read_text() == package.contents(), "run `make package`"


def test_package_json_names_existing_files():
    urls = json.loads(package.FILE.read_text())["urls"]
    assert all((ROOT / source).is_file() for _, source in urls)
    assert ["coap/node.py", "lib/coap/node.py"] in urls
    assert ["sensors/reed.py", "lib/sensors/reed.py"] in urls


def test_mip_installs_it(tmp_path, pytestconfig):
    micropython = pytestconfig.pluginmanager.get_plugin("portable").targets[0].command
    flash = tmp_path / "flash"
    flash.mkdir()
    with SerialBoard(micropython, flash) as board:
        words = ["connect", board.device, "mip", "install", "--target", "lib", "./package.json"]
        done = subprocess.run(
            [device.PROGRAMS / "mpremote", *words],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        files = board.files()
    for target, source in json.loads(package.FILE.read_text())["urls"]:
        assert files[f"lib/{target}"] == (ROOT / source).read_bytes()
