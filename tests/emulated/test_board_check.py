"""`make check-board` for real, over the USB cable of an emulated Pico."""

import json
import os
import subprocess
import sys
import threading
import time

import pytest

from emulator.pseudo_terminal import PseudoTerminal
from emulator.run import Wiring
from setup.console import ROOT

LINK_LIMIT_MS = 120_000
LIMIT_S = 900
MOVED_AFTER_S = 2
HAS_A_NAME = ("board", "machine")


@pytest.fixture
def plugged(make_pico):
    """(Pico that runs in real time with its sensors, its Wiring, the device of its cable)"""
    pico = make_pico()
    wiring = Wiring(pico)
    pico.power()
    assert pico.run_until(lambda: pico.link_up, LINK_LIMIT_MS)
    pico.set_realtime(True)
    with PseudoTerminal(pico.console) as terminal:
        yield pico, wiring, terminal.device


def check(pico, wiring, device, out, *words):
    """Run the check, moving the contact when asked; return (exit code, its lines, the report)."""
    argv = [sys.executable, "tools/check_board", "--dev", device, "--board", "PICO_EMU"]
    argv += ["--coap", f"127.0.0.1:{pico.udp_port}", "--out", str(out), *words]
    process = subprocess.Popen(
        argv, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    lines = []

    def read():
        for line in process.stdout:
            lines.append(line.rstrip())
            if line.startswith(">>>"):
                due.append(time.monotonic() + MOVED_AFTER_S)

    due = []
    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    end_s = time.monotonic() + LIMIT_S
    try:
        while process.poll() is None:
            assert time.monotonic() < end_s, lines
            pico.run_ms(20)
            if due and time.monotonic() > due[0]:
                due.pop(0)
                wiring.command("")
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        reader.join(5)
    report = json.loads((out / "check-board.json").read_text())
    return process.returncode, lines, {one["name"]: one for one in report["checks"]}


def test_a_short_check_leaves_the_board_as_it_was(plugged, tmp_path):
    pico, wiring, device = plugged
    code, lines, found = check(
        pico, wiring, device, tmp_path, "--only", "pulls,sensors,battery_input,timer_wake"
    )
    assert code == 0, lines
    assert {one["outcome"] for one in found.values()} == {"passed"}
    assert found["sensors"]["text"] == "TMP117, MAX30102, LSM6DSOX"
    assert found["battery_input"]["values"]["battery_mv"] == pytest.approx(4032, abs=20)
    assert found["pulls"]["text"].count("closed to ground") == 2
    text = (tmp_path / "check-board.txt").read_text()
    assert "5 passed, 0 failed" in text
    listing = "import os; print(sorted(os.listdir()))"
    argv = [str(ROOT / ".venv/bin/mpremote"), "connect", device, "exec", listing]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=os.environ) as asked:
        while asked.poll() is None:
            pico.run_ms(20)
        said = asked.stdout.read()
    assert "startup.py" not in said and "check-board" not in said


@pytest.mark.emulated
def test_the_whole_check_passes_but_for_the_radio(plugged, tmp_path):
    pico, wiring, device = plugged
    code, lines, found = check(pico, wiring, device, tmp_path)
    assert code == 0, lines
    assert [one["name"] for one in found.values() if one["outcome"] != "passed"] == ["wifi"]
    assert found["wifi"]["outcome"] == "not possible here"
    assert found["conformance"]["values"]["failed"] == 0
    assert found["portable_tests"]["values"]["passed"] > 200
