"""`make deploy` with the real mpremote, onto a real MicroPython behind a pseudo-terminal."""

import subprocess
import sys
from pathlib import Path

import pytest
from serial_board import SerialBoard

from host import deploy, device
from host.device import Board, Problem

ROOT = Path(__file__).resolve().parents[2]
# A board of this computer's processor, with the pins of one of ours.
PC = Board(name="RPI_PICO_W", port=sys.platform, mpy_arch="x64")


@pytest.fixture
def micropython(pytestconfig):
    return pytestconfig.pluginmanager.get_plugin("portable").targets[0].command


@pytest.fixture
def board(tmp_path, micropython):
    flash = tmp_path / "flash"
    flash.mkdir()
    with SerialBoard(micropython, flash) as board:
        yield board


@pytest.fixture
def few(monkeypatch):
    """A few modules instead of all, where the number of files is not the point."""
    chosen = ("board_common.py", "config.py", "coap/node.py", "coap/access.py")
    modules = [module for module in deploy.sources() if str(module[0]) in chosen]
    monkeypatch.setattr(deploy, "sources", lambda: modules)


def put(board, path, content=b"old"):
    target = board.flash / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)


def run_make(*words):
    return subprocess.run(["make", *words], cwd=ROOT, capture_output=True, text=True, timeout=240)


def test_everything_arrives_and_runs(board, tmp_path, micropython, capfd):
    deploy.deploy(PC, board.device, stage=tmp_path / "stage")
    files = board.files()
    for path in (
        "main.py",
        "boot.py",
        "board.mpy",
        "board_common.mpy",
        "config.mpy",
        "lib/coap/node.mpy",
    ):
        assert path in files
    assert "machine.reset()" in board.executed[-1]
    modules = "coap.node, coap.transports.udp, board, config, startup, wifi"
    done = subprocess.run(
        [
            micropython,
            "-c",
            f"import sys\nsys.path[:] = ['', 'lib']\nimport {modules}\nprint(board.NAME)",
        ],
        cwd=board.flash,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "RPI_PICO_W\n", done.stderr


def test_only_what_changed_is_copied(board, few, tmp_path, capfd):
    deploy.deploy(PC, board.device, stage=tmp_path / "stage")
    put(board, "lib/coap/node.mpy", b"damaged")
    before = len(board.executed)
    capfd.readouterr()
    deploy.deploy(PC, board.device, stage=tmp_path / "stage")
    opened = [code for code in board.executed[before:] if "open(" in code and "'wb'" in code]
    assert len(opened) == 1
    assert "node.mpy" in opened[0]
    assert capfd.readouterr().out.count("Up to date") == len(board.files()) - 1


def test_what_an_earlier_version_left_goes(board, few, tmp_path, capfd):
    old = ["lib/coap/node.py", "lib/coap/old/gone.mpy", "apps/forgotten.mpy", "config.py"]
    kept = ["config.json", "secrets.json", "lib/other.py", "mine.py"]
    for path in old + kept:
        put(board, path)
    deploy.deploy(PC, board.device, stage=tmp_path / "stage")
    files = board.files()
    assert not [path for path in old if path in files]
    assert all(files[path] == b"old" for path in kept)
    assert not (board.flash / "lib/coap/old").exists()


def test_a_board_of_another_kind_is_refused(board, tmp_path, capfd):
    other = device.find_board("ESP32_GENERIC_C3")
    with pytest.raises(Problem, match="runs x64 code, ESP32_GENERIC_C3 is a esp32 with rv32imc"):
        deploy.deploy(other, board.device, stage=tmp_path / "stage")
    assert board.files() == {}


def test_a_board_of_another_port_is_refused(board, tmp_path, capfd):
    other = Board(name="RPI_PICO_W", port="rp2", mpy_arch="x64")
    with pytest.raises(Problem, match=f"is a {sys.platform} that runs x64 code"):
        deploy.deploy(other, board.device, stage=tmp_path / "stage")
    assert board.files() == {}


def test_an_old_micropython_is_refused(board, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(deploy, "OLDEST", (1, 99))
    with pytest.raises(Problem, match=r"needed is 1\.99 or newer: `make flash BOARD=RPI_PICO_W`"):
        deploy.deploy(PC, board.device, stage=tmp_path / "stage")
    assert board.files() == {}


def test_a_version_that_cannot_sleep_is_noted(board, few, tmp_path, capfd):
    asleep = Board(name=PC.name, port=PC.port, mpy_arch=PC.mpy_arch, battery_since=[1, 99])
    deploy.deploy(asleep, board.device, stage=tmp_path / "stage")
    assert "`make flash` 1.99 or newer" in capfd.readouterr().out
    deploy.deploy(PC, board.device, stage=tmp_path / "stage")
    assert "Note:" not in capfd.readouterr().out


@pytest.mark.parametrize("said", ["", "board", "board x y", "hello world", "board 1 rp2 1 x"])
def test_an_unknown_probe_is_one_line(said, monkeypatch):
    monkeypatch.setattr(deploy, "run", lambda *words, **options: said)
    with pytest.raises(Problem, match="no MicroPython that Mote knows"):
        deploy.check_board(PC, "auto", dry_run=False)


def test_a_silent_device_is_one_line(tmp_path, capfd):
    with pytest.raises(Problem) as problem:
        deploy.deploy(PC, str(tmp_path / "ttyNONE"), stage=tmp_path / "stage")
    assert "failed to access" in str(problem.value)
    assert "DEV=" in str(problem.value)
    assert "\n" not in str(problem.value)


def test_no_mpremote_names_the_fix(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(device, "PROGRAMS", tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Problem, match="make setup"):
        deploy.check_board(PC, "auto", dry_run=False)


@pytest.mark.parametrize("name", ["ESP32_GENERIC_C3", "RPI_PICO_W"])
def test_dry_run_prints_the_exact_commands(name):
    done = run_make("deploy", f"BOARD={name}", "DEV=/dev/ttyX", "DRY_RUN=1")
    assert done.returncode == 0, done.stderr
    asked, copied = [line for line in done.stdout.splitlines() if line.startswith("$ ")]
    assert asked.startswith("$ .venv/bin/mpremote connect /dev/ttyX exec ")
    assert copied.startswith(
        f"$ .venv/bin/mpremote connect /dev/ttyX run build/deploy/{name}-prune.py + fs cp -r "
    )
    assert f" build/deploy/{name}/lib " in copied
    assert f" build/deploy/{name}/board.mpy " in copied
    assert copied.endswith(" : + reset")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "BOARD= is missing"),
        (["BOARD=ESP8266"], "BOARD=ESP8266 is unknown"),
        (["BOARD=RPI_PICO_W", "PORT=/dev/ttyUSB0"], "DEV=/dev/ttyUSB0"),
        (["BOARD=RPI_PICO_W", "DEV="], "DEV is a serial device"),
        (["BOARD=RPI_PICO_W", "DEV=5683"], "DEV is a serial device"),
    ],
)
def test_wrong_arguments_are_one_line_and_exit_code_2(words, says):
    target = [sys.executable, "tools/host", "deploy", "--port", "5683"]
    for word in words:
        name, value = word.split("=", 1)
        target += [f"--{name.lower()}", value]
    done = subprocess.run(target, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    if "BOARD" in says:
        assert all(name in done.stderr for name in device.boards())
