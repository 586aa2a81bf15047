"""`make firmware`: the commands for every board, what is built again, what is said otherwise."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from fold import folded
from host import device
from setup import firmware, micropython, packages
from setup.console import Problem

ROOT = Path(__file__).resolve().parents[2]
BOARDS = device.boards()
RADIO = [name for name, board in BOARDS.items() if not board.from_debian]
OWN_SETTINGS = "ESP32_GENERIC_C3"  # MicroPython's board, with settings of ESP-IDF added
HERE = [name for name, board in BOARDS.items() if board.from_debian]


def make(*words):
    argv = ["make", "firmware", *words]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=240)


@pytest.fixture
def checkout(tmp_path):
    """A function that makes a folder that looks like MicroPython of that version."""

    def make_one(minor=26):
        for port in ("rp2", "esp32"):
            folder = tmp_path / "ports" / port
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "Makefile").write_text("")
        (tmp_path / "py").mkdir(exist_ok=True)
        (tmp_path / "py" / "mpconfig.h").write_text(
            f"#define MICROPY_VERSION_MAJOR 1\n#define MICROPY_VERSION_MINOR {minor}\n"
        )
        return tmp_path

    return make_one


# With a checkout


@pytest.mark.parametrize("name", RADIO)
def test_a_dry_run_prints_the_ports_own_commands(name, checkout, monkeypatch, capsys):
    top = checkout()
    monkeypatch.chdir(ROOT)
    firmware.work([name, "--mpy-dir", str(top), "--dry-run"])
    port = BOARDS[name].port
    manifest = folded() / "boards" / name / "manifest.py"
    words = f"make -C {top}/ports/{port} BOARD={name} "
    if name == OWN_SETTINGS:
        words += f"BOARD_DIR={ROOT}/boards/{name} "
    words += f"FROZEN_MANIFEST={manifest}"
    jobs = f"-j{os.cpu_count()}"
    wanted = [f"make -C {top}/mpy-cross {jobs}", f"{words} submodules", f"{words} {jobs} all"]
    built, target = f"{top}/ports/{port}/build-{name}", f"build/firmware/{name}"
    wanted += [f"cp {built}/{file} {target}/{file}" for file in firmware.OUTPUTS[port]]
    assert capsys.readouterr().out.splitlines() == [f"$ {line}" for line in wanted]


@pytest.mark.parametrize("name", HERE)
def test_a_checkout_serves_the_other_boards_too(name, checkout, capsys):
    firmware.work([name, "--mpy-dir", str(checkout()), "--dry-run"])
    folder = f"BOARD_DIR={ROOT}/boards/{name} "
    assert (folder in capsys.readouterr().out) == (BOARDS[name].folder / "pins.csv").exists()


@pytest.mark.parametrize(("name", "minor", "given"), [("RPI_PICO_W", 25, True)] + [
    ("RPI_PICO_W", 26, False), ("RPI_PICO2_W", 25, False), ("ESP32_GENERIC_C3", 25, False)
])  # fmt: skip
def test_only_an_old_compiler_for_cortex_m0_is_replaced(name, minor, given, checkout, capsys):
    firmware.work([name, "--mpy-dir", str(checkout(minor)), "--dry-run"])
    assert (f"MICROPY_MPYCROSS={micropython.MPY_CROSS}" in capsys.readouterr().out) == given


@pytest.mark.parametrize("name", RADIO)
def test_micropython_understands_the_commands(name, capsys):
    """Its makefiles, asked what they would do, hand manifest and board on to the real build."""
    top = micropython.sources()
    board = BOARDS[name]
    firmware.work([name, "--mpy-dir", str(top), "--dry-run"])
    lines = [line[2:] for line in capsys.readouterr().out.splitlines()]
    (build,) = [shlex.split(line) for line in lines if line.endswith(" all")]
    # The last of its own steps needs what the steps before did not do here.
    done = subprocess.run(
        ["make", "-n", *build[1:]], capture_output=True, text=True, env=micropython.environment()
    )
    said = done.stdout.replace("-D ", "-D").replace('"', "")
    assert f"-DMICROPY_FROZEN_MANIFEST={firmware.manifest(board)}" in said
    assert f"-DMICROPY_BOARD={name}" in said
    folder = board.folder if name == OWN_SETTINGS else f"{top}/ports/{board.port}/boards/{name}"
    assert f"-DMICROPY_BOARD_DIR={folder}" in said
    assert f"build-{name}" in said
    assert (top / "ports" / board.port / "boards" / name / "mpconfigboard.cmake").exists()


def test_an_image_for_a_c3_leaves_the_pulls_of_its_pads_alone(tmp_path):
    """As the port's CMakeLists.txt does: include the board, join its lists of settings."""
    port = micropython.sources() / "ports" / "esp32"
    folder = BOARDS[OWN_SETTINGS].folder
    script = tmp_path / "join.cmake"
    script.write_text(
        f"include({folder}/mpconfigboard.cmake)\n"
        "message(STATUS ${IDF_TARGET})\n"
        "foreach(name ${SDKCONFIG_DEFAULTS})\n"
        "  file(READ ${name} text)\n"
        "  message(STATUS ${text})\n"
        "endforeach()\n"
    )
    words = ["cmake", "-P", str(script)]
    said = subprocess.run(words, cwd=port, check=True, capture_output=True, text=True).stdout
    assert "-- esp32c3\n" in said and "CONFIG_BT_ENABLED=y" in said
    assert said.rstrip().endswith("\nCONFIG_ESP_SLEEP_GPIO_ENABLE_INTERNAL_RESISTORS=n")
    header = re.fullmatch(r'#include "(.+)".*\n', (folder / "mpconfigboard.h").read_text())[1]
    assert 'MICROPY_HW_MCU_NAME                 "ESP32C3"' in (port / header).read_text()


def test_the_ports_build_is_run_and_its_image_kept(checkout, tmp_path, monkeypatch, capsys):
    top = checkout()
    ran = []

    def run(argv, what, env):
        ran.append([str(word) for word in argv])
        assert "MAKEFLAGS" not in env
        assert "BOARD" not in env
        if argv[-1] == "all":
            built = top / "ports" / "rp2" / "build-RPI_PICO_W"
            built.mkdir()
            (built / "firmware.uf2").write_bytes(b"image")

    monkeypatch.setenv("MAKEFLAGS", "k")
    monkeypatch.setenv("BOARD", "RPI_PICO_W")
    monkeypatch.setattr(firmware, "run", run)
    found = firmware.build_with_checkout(BOARDS["RPI_PICO_W"], top, results=tmp_path / "out")
    assert [argv[-1] for argv in ran] == [f"-j{os.cpu_count()}", "submodules", "all"]
    assert found == [tmp_path / "out" / "RPI_PICO_W" / "firmware.uf2"]
    assert found[0].read_bytes() == b"image"


def test_a_build_that_leaves_no_image_is_named(checkout, tmp_path, monkeypatch):
    monkeypatch.setattr(firmware, "run", lambda *_, **__: None)
    with pytest.raises(Problem, match="left no firmware.uf2"):
        firmware.build_with_checkout(BOARDS["RPI_PICO_W"], checkout(), results=tmp_path)


# With Debian's sources


@pytest.mark.parametrize("name", HERE)
def test_a_dry_run_prints_the_commands_of_the_own_build(name, capsys):
    firmware.work([name, "--dry-run"])
    configure, compile_, convert = capsys.readouterr().out.splitlines()
    assert configure.startswith("$ cmake -G Ninja ")
    assert f"-DMICROPY_BOARD={name} " in configure
    assert configure.endswith(f"-DMICROPY_FROZEN_MANIFEST={folded()}/boards/{name}/manifest.py")
    assert "ninja -C " in compile_
    assert f"-f {BOARDS[name].uf2_family} " in convert


def test_an_image_depends_on_all_that_is_frozen(tmp_path, monkeypatch):
    recipes = []

    def build(recipe, cache):
        recipes.append(recipe)

    monkeypatch.setattr(packages, "require", lambda *_: None)
    monkeypatch.setattr(micropython, "sources", lambda _: tmp_path)
    monkeypatch.setattr(micropython, "build", build)
    firmware.build_from_debian(BOARDS["RPI_PICO"], cache=tmp_path)
    (recipe,) = recipes
    assert recipe.outputs == ("firmware.uf2", "firmware.bin", "firmware.elf")
    assert recipe.target == ROOT / "build" / "firmware" / "RPI_PICO"
    for path in ("lib/coap/node.py", "firmware/main.py", "boards/RPI_PICO/board.py"):
        assert folded() / path in recipe.inputs
    assert BOARDS["RPI_PICO"].folder / "board.json" in recipe.inputs


# What is missing


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ([""], "BOARD= is missing: use one of ESP32_GENERIC,"),
        (["NO_BOARD"], "BOARD=NO_BOARD is unknown: use one of ESP32_GENERIC,"),
        (["RPI_PICO_W"], "the radio of RPI_PICO_W needs drivers that Debian has not"),
        (["ESP32_GENERIC", "--mpy-dir", "lib"], "is no checkout of MicroPython"),
    ],
)
def test_what_is_wrong_is_named(words, line):
    with pytest.raises(Problem) as raised:
        firmware.work(words)
    assert line in str(raised.value)
    assert "\n" not in str(raised.value)


def test_make_hands_the_words_on(checkout):
    done = make("BOARD=RPI_PICO_W", f"MPY_DIR={checkout()}", "DRY_RUN=1")
    assert done.returncode == 0, done.stderr
    assert len([line for line in done.stdout.splitlines() if line.startswith("$ ")]) == 5
    done = make("BOARD=RPI_PICO_W")
    assert done.returncode == 2
    said = [text for text in done.stderr.splitlines() if not text.startswith("make")]
    assert len(said) == 1


def test_an_old_checkout_and_a_missing_idf_are_named(checkout, monkeypatch):
    with pytest.raises(Problem, match="holds MicroPython 1.24"):
        firmware.work(["RPI_PICO_W", "--mpy-dir", str(checkout(24))])
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(Problem, match="idf.py is not on PATH"):
        firmware.work(["ESP32_GENERIC", "--mpy-dir", str(checkout())])
