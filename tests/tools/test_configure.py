"""`make config`: answers from a pipe or a terminal, onto a real MicroPython, and never in argv."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from recorder import Recorder
from serial_board import SerialBoard

from host import configure, device
from host.device import Problem

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "correct horse battery"
ANSWERS = f"attic\n{PASSWORD}\nde\nback door\ndoor\n"


@pytest.fixture
def programs(tmp_path, monkeypatch):
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setattr(device, "PROGRAMS", folder)
    monkeypatch.chdir(tmp_path)
    return Recorder(folder)


def configured(monkeypatch, answers, dev="auto"):
    monkeypatch.setattr(sys, "stdin", io.StringIO(answers))
    configure.work(["--dev", dev])


def test_a_node_gets_both_files(tmp_path, pytestconfig):
    micropython = pytestconfig.pluginmanager.get_plugin("portable").targets[0].command
    flash = tmp_path / "flash"
    flash.mkdir()
    (flash / "config.json").write_text('{"kind": "window", "heartbeat_s": 60}')
    with SerialBoard(micropython, flash) as board:
        done = subprocess.run(
            [sys.executable, "tools/host", "configure", "--dev", board.device, "--port", "5683"],
            input=ANSWERS,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=200,
        )
        files = board.files()
    assert done.returncode == 0, done.stderr
    assert json.loads(files["secrets.json"]) == {
        "ssid": "attic",
        "password": PASSWORD,
        "country": "DE",
    }
    assert json.loads(files["config.json"]) == {
        "name": "back door",
        "kind": "window",
        "heartbeat_s": 60,
        "gateway": "",
        "power": "mains",
        "app": "door",
        "alert": "",
    }
    assert PASSWORD not in done.stdout + done.stderr
    assert "machine.reset()" in board.executed[-1]


def test_the_password_travels_in_a_private_file_that_goes(programs, monkeypatch, capfd):
    configured(monkeypatch, ANSWERS)
    assert not [words for words in programs.commands() if PASSWORD in " ".join(words)]
    mode, folder, content = programs.calls()[-1]["files"]["secrets.json"]
    assert json.loads(content)["password"] == PASSWORD
    assert (mode, folder) == (0o600, 0o700)
    sent = [word for word in programs.commands()[-1] if word.endswith("/secrets.json")]
    assert len(sent) == 1
    assert not Path(sent[0]).parent.exists()
    assert PASSWORD not in capfd.readouterr().out


def test_the_private_file_goes_when_the_copy_fails(programs, monkeypatch, capfd):
    programs.answer(reset=(1, "lost"))
    with pytest.raises(Problem):
        configured(monkeypatch, ANSWERS)
    sent = [word for word in programs.commands()[-1] if word.endswith("/secrets.json")]
    assert not Path(sent[0]).parent.exists()


def test_the_password_is_asked_for_unseen(monkeypatch, capfd):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stdin", Terminal())
    asked = []
    monkeypatch.setattr("builtins.input", lambda text: asked.append(text) or " attic ")
    monkeypatch.setattr(configure.getpass, "getpass", lambda text: asked.append("unseen") or " p ")
    assert configure.question("Wi-Fi network") == "attic"
    assert configure.question("Password", hidden=True) == " p "
    assert asked == ["Wi-Fi network: ", "unseen"]


def test_missing_answers_keep_what_the_board_has(programs, monkeypatch, capfd):
    configured(monkeypatch, "attic\n")
    files = programs.calls()[-1]["files"]
    assert json.loads(files["secrets.json"][2]) == {"ssid": "attic", "password": "", "country": ""}
    assert json.loads(files["config.json"][2])["name"] == "mote"


@pytest.mark.parametrize(
    ("answers", "field"),
    [
        ("", "ssid"),
        ("x" * 33 + "\n", "ssid"),
        ("attic\nshort\n", "password"),
        ("attic\nlong enough\nGermany\n", "country"),
        ("attic\nlong enough\nDE\n" + "n" * 33 + "\n", "name"),
        ("attic\nlong enough\nDE\nnode\nwindow\n", "app"),
    ],
)
def test_a_wrong_answer_is_named_and_nothing_is_sent(programs, monkeypatch, capfd, answers, field):
    with pytest.raises(Problem, match=f"^{field}: ") as problem:
        configured(monkeypatch, answers)
    assert "short" not in str(problem.value)
    assert not [words for words in programs.commands() if ":secrets.json" in words]


def test_settings_that_are_broken_on_the_board_are_replaced(tmp_path, monkeypatch, capfd):
    (tmp_path / "config.json").write_text('{"heartbeat_s": "often"}')
    monkeypatch.setattr(configure, "run", lambda *_, **__: "True\n")
    assert configure.fetch_settings("auto", tmp_path).heartbeat_s == 3600
    assert "heartbeat_s" in capfd.readouterr().out


def test_dry_run_prints_the_commands_and_asks_nothing():
    done = subprocess.run(
        ["make", "config", "DEV=/dev/ttyX", "DRY_RUN=1"],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("$ ")]
    mpremote = "$ .venv/bin/mpremote connect /dev/ttyX "
    assert lines == [
        mpremote + "exec 'import os; print(\"config.json\" in os.listdir())'",
        mpremote + "fs cp :config.json '<private folder>/config.json'",
        mpremote + "fs cp '<private folder>/secrets.json' :secrets.json"
        " + fs cp '<private folder>/config.json' :config.json + reset",
    ]


def test_no_board_is_one_line():
    done = subprocess.run(
        [sys.executable, "tools/host", "configure", "--dev", "/dev/tty-none"],
        cwd=ROOT,
        input=ANSWERS,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "DEV=" in done.stderr
