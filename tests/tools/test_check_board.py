"""`make check-board` without a board, with the wrong one, and with what an ESP32 may answer."""

import subprocess
import sys

import pytest
from serial_board import SerialBoard

from build_mpy import compile_file
from check_board import checks, line, report
from check_board.checks import Bench, NotHere, Wrong
from check_board.line import ON_BOARD, Silent
from setup.console import ROOT

PROGRAMS = sorted(path.stem for path in ON_BOARD.glob("*.py"))
C3 = {"platform": "esp32", "pins": {"REED_PIN": 3}}


def run(*words):
    argv = [sys.executable, "tools/check_board", *words]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize(
    ("words", "fix"),
    [
        (("--dev", "/dev/none"), "connect the board"),
        (("--dev", "/dev/none", "--board", "ESP8266"), "ESP32_GENERIC_C3"),
        (("--only", "everything"), "--only"),
        (("--coap", "5683"), "--coap"),
        (("--coap", "host:x"), "--coap"),
        (("--port", "/dev/ttyUSB0"), "DEV="),
    ],
)
def test_what_cannot_be_done_is_one_line(words, fix):
    done = run(*words)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and fix in done.stderr, done.stderr


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_for_the_board_compile_for_the_oldest_micropython(name, tmp_path):
    compile_file(ON_BOARD / f"{name}.py", name, tmp_path / "made.mpy", "armv6m")


def test_a_board_without_mote_is_told_so_and_left_alone(pytestconfig, tmp_path):
    flash = tmp_path / "flash"
    flash.mkdir()
    (flash / "main.py").write_text("print('mine')\n")
    command = pytestconfig.pluginmanager.get_plugin("portable").targets[0].command
    with SerialBoard(command, flash) as board:
        # a unix MicroPython has no machine.freq(): the first program fails
        done = run("--dev", board.device, "--out", str(tmp_path / "out"))
        assert done.returncode == 1, done.stderr
        assert "FAILED  identity" in done.stdout
        assert board.files() == {"main.py": b"print('mine')\n"}
    assert "1 failed" in (tmp_path / "out" / "check-board.txt").read_text()


class Board:
    """A Line whose programs answer what a test says; sleeps take no time."""

    def __init__(self, answers=None, notes=()):
        self.answers = answers or {}
        self.all_notes = list(notes)
        self.started = []

    def run(self, name, limit_s=0):
        answer = self.answers[name]
        if isinstance(answer, Exception):
            raise answer
        return dict(answer)

    def exec(self, source, limit_s=0):
        return "True"

    def begin(self):
        pass

    def wait(self, limit_s=0):
        pass

    def leave(self, source):
        self.started.append(source)

    def leave_file(self, name):
        self.started.append(name)

    def notes(self):
        return self.all_notes.pop(0) if self.all_notes else []


@pytest.fixture(autouse=True)
def no_time(monkeypatch):
    monkeypatch.setattr(checks.time, "sleep", lambda seconds: None)


def bench(board, **facts):
    return Bench(board, ask=lambda text: None, facts={**C3, **facts})


def woken(level, after_s, cause="DEEPSLEEP_RESET", wake=7):
    return [
        {"level": level, "began_ms": 1000},
        {"cause": cause, "wake": wake, "woken_ms": 1000 + after_s * 1000, "main_ms": 300},
    ]


def test_a_contact_that_wakes_in_both_directions_passes():
    text, values = checks.pin_wake(bench(Board(notes=[woken(0, 7), woken(1, 8)])))
    assert values["levels"] == [0, 1] and "closing" in text


@pytest.mark.parametrize(
    ("notes", "why"),
    [
        ([woken(0, 25, wake=4)], "did not wake"),
        ([woken(1, 0)], "before the contact moved"),
        ([woken(0, 7, cause="WDT_RESET")], "did not wake"),
        ([woken(0, 7), woken(0, 7)], "same state twice"),
        ([[{"level": 0, "began_ms": 0}]], "did not wake"),
        ([[]], "did not sleep"),
        ([[{"level": 0, "slept_ms": 25000, "level_after": 1}]], "did not wake"),
        ([[{"level": 0, "slept_ms": 200, "level_after": 0}]], "before the contact moved"),
    ],
)
def test_a_contact_that_does_not_wake_or_wakes_by_itself_fails(notes, why):
    with pytest.raises(Wrong, match=why):
        checks.pin_wake(bench(Board(notes=notes)))


def test_lost_rtc_memory_is_a_failure():
    start = {"cause": "DEEPSLEEP_RESET", "main_ms": 300, "rtc": ""}
    with pytest.raises(Wrong, match="RTC memory"):
        checks.timer_wake(bench(Board(notes=[[start]])))
    start["rtc"] = checks.RTC_TEXT
    assert "RTC memory kept" in checks.timer_wake(bench(Board(notes=[[start]])))[0]


def test_a_watchdog_that_does_not_bite_is_a_failure():
    with pytest.raises(Wrong, match="not ended"):
        checks.watchdog(bench(Board()))
    assert "WDT" in checks.watchdog(bench(Board(notes=[[], [{"cause": "WDT_RESET"}]])))[0]


def test_wifi_says_how_fast_it_joins_and_keeps_the_address_out_of_the_report():
    joined = {"full_ms": 4100, "fast_ms": 900, "fast_again_ms": 880, "rssi_dbm": -61}
    joined |= {"full_was_fast": False, "fast_was_fast": True, "fast_again_was_fast": True}
    tried = bench(Board({"wifi": {**joined, "address": "192.0.2.7"}}))
    text, values = checks.wifi(tried)
    assert "900" in text and "192.0.2.7" not in f"{text}{values}"
    assert tried.coap == ("192.0.2.7", 5683)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"missing": "secrets.json"}, NotHere),
        ({"full_ms": None, "full_was_fast": False}, Wrong),
        (
            {"address": "192.0.2.7", "full_ms": 4000, "fast_ms": 3900, "fast_was_fast": False},
            Wrong,
        ),
    ],
)
def test_wifi_that_does_not_join(answer, error):
    with pytest.raises(error):
        checks.wifi(bench(Board({"wifi": answer})))


def test_a_noisy_battery_input_is_a_failure():
    noisy = {"battery_mv": 3700, "deviation_uv": 60000}
    with pytest.raises(Wrong, match="100 nF"):
        checks.battery_input(bench(Board({"adc": noisy}), pins={"BATTERY_ADC_PIN": 0}))
    with pytest.raises(NotHere):
        checks.battery_input(bench(Board()))


def test_what_was_found_is_on_disk_after_each_check(tmp_path):
    made = report.Report(tmp_path / "out")
    made.add(report.Result("heap", report.PASSED, "enough", {"heap_free": 1}, 0.1))
    assert "heap" in (tmp_path / "out" / "check-board.json").read_text()
    assert "1 passed, 0 failed" in made.summary() and not made.has_failed()


def test_what_the_board_prints_besides_is_left_out():
    one = line.Line("none")
    assert one.reported('boot\nfound {"a": 1}\nMPY: soft reboot\n', "x") == {"a": 1}
    with pytest.raises(Silent, match="reported nothing"):
        one.reported("Traceback", "x")
