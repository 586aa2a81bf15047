"""`make recover` with the real mpremote, onto a real MicroPython that sleeps at first."""

import subprocess
import sys
from pathlib import Path

import pytest
from running import wait_until
from serial_board import SerialBoard

from host import recover, serial_port
from host.device import Problem

ROOT = Path(__file__).resolve().parents[2]


class Sleeper(SerialBoard):
    """Hears nothing before the `wakes_at`-th Ctrl-C; then there is a prompt after each."""

    wakes_at = 8
    heard = 0

    def _bytes(self):
        for byte in super()._bytes():
            if byte == recover.CTRL_C:
                self.heard += 1
                if self.heard >= self.wakes_at:
                    self._write(b"\r\n>>> ")
            if self.heard >= self.wakes_at:
                yield byte


@pytest.fixture
def board(pytestconfig, tmp_path):
    flash = tmp_path / "flash"
    flash.mkdir()
    command = pytestconfig.pluginmanager.get_plugin("portable").targets[0].command
    with Sleeper(command, flash) as board:
        yield board


def test_a_board_that_sleeps_is_caught_and_starts_in_safe_mode(board, capfd):
    (board.flash / "config.json").write_text('{"power":"battery"}')
    (board.flash / "secrets.json").write_text("{}")
    (board.flash / "fast-resets").write_text("2")
    recover.recover(board.device, limit_s=200)
    assert board.heard >= board.wakes_at
    files = board.files()
    assert sorted(files) == ["config.json.old", "secrets.json"]
    assert files["config.json.old"] == b'{"power":"battery"}'
    assert "machine.reset()" in board.executed[-1]
    said = capfd.readouterr().out
    assert "Press the board's reset button" in said and "safe mode" in said


def test_a_board_without_settings_is_recovered_too(board, capfd):
    recover.recover(board.device, limit_s=200)
    assert board.files() == {} and "safe mode" in capfd.readouterr().out


def test_a_board_that_never_answers_is_one_line(board, capfd):
    board.wakes_at = 1 << 30
    with pytest.raises(Problem) as problem:
        recover.recover(board.device, limit_s=1)
    assert "no prompt" in str(problem.value) and "make flash" in str(problem.value)
    assert "\n" not in str(problem.value)
    assert wait_until(lambda: board.heard >= 2)


def test_a_device_that_is_not_there_is_waited_for(tmp_path, capfd):
    with pytest.raises(Problem) as problem:
        recover.recover(str(tmp_path / "ttyNONE"), limit_s=0.3)
    assert "ttyNONE" in str(problem.value) and "\n" not in str(problem.value)


def test_no_device_at_all_is_said(monkeypatch, capfd):
    monkeypatch.setattr(serial_port.list_ports, "comports", list)
    with pytest.raises(Problem, match="no serial device on USB"):
        recover.recover("auto", limit_s=0.3)


def test_dry_run_prints_the_exact_command():
    done = subprocess.run(
        ["make", "--no-print-directory", "recover", "DEV=/dev/ttyX", "DRY_RUN=1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert "$ .venv/bin/mpremote connect /dev/ttyX resume exec " in done.stdout
    assert done.stdout.rstrip().endswith(" + reset")


@pytest.mark.parametrize("words", [["--dev", ""], ["--dev", "5683"], ["--port", "/dev/ttyUSB0"]])
def test_wrong_arguments_are_one_line_and_exit_code_2(words):
    argv = [sys.executable, "tools/host", "recover", *words]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "DEV" in done.stderr
