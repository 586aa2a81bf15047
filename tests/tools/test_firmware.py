"""`make firmware`: the commands for every board, what is built again, what is said otherwise."""

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from host import device
from setup import environment, firmware, port_sources, toolchain
from setup.console import Problem

ROOT = Path(__file__).resolve().parents[2]
BOARDS = device.boards()
RADIO = [name for name, board in BOARDS.items() if not board.from_debian]
HERE = [name for name, board in BOARDS.items() if board.from_debian]
# MicroPython's own source, which the oldest interpreter is built from.
SOURCE = sorted((ROOT / ".cache" / "debian").glob("micropython-*/ports"))


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
    manifest = ROOT / "boards" / name / "manifest.py"
    words = f"make -C {top}/ports/{port} BOARD={name} FROZEN_MANIFEST={manifest}"
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
    assert (f"MICROPY_MPYCROSS={firmware.MPY_CROSS}" in capsys.readouterr().out) == given


@pytest.mark.skipif(not SOURCE, reason="MicroPython's source could not be had from Debian")
@pytest.mark.parametrize("name", RADIO)
def test_micropython_understands_the_commands(name, capsys):
    """Its makefiles, asked what they would do, hand manifest and board on to the real build."""
    top = SOURCE[-1].parent
    board = BOARDS[name]
    firmware.work([name, "--mpy-dir", str(top), "--dry-run"])
    lines = [line[2:] for line in capsys.readouterr().out.splitlines()]
    (build,) = [shlex.split(line) for line in lines if line.endswith(" all")]
    # The last of its own steps needs what the steps before did not do here.
    done = subprocess.run(
        ["make", "-n", *build[1:]], capture_output=True, text=True, env=firmware.environment()
    )
    said = done.stdout.replace("-D ", "-D").replace('"', "")
    assert f"-DMICROPY_FROZEN_MANIFEST={firmware.manifest(board)}" in said
    assert f"-DMICROPY_BOARD={name}" in said
    assert f"-DMICROPY_BOARD_DIR={top}/ports/{board.port}/boards/{name}" in said
    assert f"build-{name}" in said
    assert (top / "ports" / board.port / "boards" / name / "mpconfigboard.cmake").exists()


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
    assert configure.endswith(f"-DMICROPY_FROZEN_MANIFEST={ROOT}/boards/{name}/manifest.py")
    assert "ninja -C " in compile_
    assert f"-f {BOARDS[name].uf2_family} " in convert


@pytest.mark.parametrize("changed", ["lib/coap/node.py", "firmware/main.py", "boards/manifest.py"])
def test_only_a_change_is_built(changed, tmp_path, monkeypatch, capsys):
    root = tmp_path / "root"
    for name in ("lib/coap/node.py", "firmware/main.py", "boards/manifest.py"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("1")
    ran = []

    def run(argv, what, cache, env):
        ran.append(what)
        folder = tmp_path / "firmware" / "RPI_PICO"
        folder.mkdir(parents=True, exist_ok=True)
        for suffix in ("uf2", "bin", "elf"):
            (folder / f"firmware.{suffix}").write_text(str(len(ran)))

    monkeypatch.setattr(firmware, "ROOT", root)
    monkeypatch.setattr(firmware, "run", run)
    monkeypatch.setattr(toolchain, "require", lambda *_: None)
    monkeypatch.setattr(port_sources, "unpack", lambda _: (tmp_path / "mpy", ("1.25",)))

    def build():
        board = BOARDS["RPI_PICO"]
        return firmware.build_from_debian(board, cache=tmp_path, results=tmp_path / "out")

    images = build()
    steps = len(ran)
    assert steps == 3
    assert [image.name for image in images] == ["firmware.uf2", "firmware.bin", "firmware.elf"]
    assert build() == images
    assert len(ran) == steps
    (root / changed).write_text("2")
    build()
    assert len(ran) == 2 * steps
    assert images[0].read_text() == "6"
    images[1].unlink()
    build()
    assert len(ran) == 3 * steps


def test_empty_submodules_become_links(tmp_path):
    place, target = tmp_path / "mpy" / "lib" / "lwip", tmp_path / "sources" / "lwip-2.2.1"
    place.mkdir(parents=True)
    target.mkdir(parents=True)
    (target / "README").write_text("lwIP")
    for _ in range(2):
        port_sources.link(place, target)
        assert (place / "README").read_text() == "lwIP"
    other = tmp_path / "sources" / "lwip-2.2.2"
    other.mkdir()
    port_sources.link(place, other)
    assert not (place / "README").exists()


# What is missing


def test_without_root_one_line_names_the_packages(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(Problem) as raised:
        toolchain.require(toolchain.RP2, "firmware", which=lambda _: None)
    packages = [need.package for need in toolchain.RP2]
    wanted = f"firmware needs Debian's packages: sudo apt-get install {' '.join(packages)}"
    assert str(raised.value) == wanted


def test_as_root_the_missing_packages_are_installed(monkeypatch, tmp_path):
    installed = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(environment, "install", lambda lacking, which: installed.extend(lacking))
    needs = [toolchain.Need("cmake", "cmake"), toolchain.Need("ninja-build", "ninja")]

    def which(name):
        return name if name in ("apt-get", "cmake") or installed else None

    toolchain.require(needs, "firmware", which)
    assert installed == [("ninja-build", "firmware")]


def test_a_compiler_without_its_library_is_found_out():
    """The compiler of this computer stands in: it answers the same question."""
    assert toolchain.Need("libc6-dev", "gcc", "libc.so").met()
    assert not toolchain.Need("nothing", "gcc", "no-such-library.a").met()


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
