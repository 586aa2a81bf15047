"""`make run BOARD=pico` at a terminal: banner, Enter, a response that changes, a restart."""

import contextlib
import os
import pty
import re
import select
import subprocess
import sys
import time

import pytest

from emulator.run import exclusive
from setup.console import ROOT, Problem
from simulator.launch.mini_client import get

HOST = "127.0.0.1"
LIMIT_S = 120
SIMULATE = (sys.executable, "tools/simulator", "--board", "pico")

pytestmark = pytest.mark.emulated


class Person:
    """Someone at a terminal in which the emulated Pico was started."""

    def __init__(self, *arguments):
        self.shown = ""
        ours, theirs = pty.openpty()
        self.terminal = ours
        argv = [*SIMULATE, "--port", "0", *arguments]
        self.process = subprocess.Popen(argv, cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(LIMIT_S)
        os.close(self.terminal)

    def sees(self, text):
        end = time.monotonic() + LIMIT_S
        while text not in self.shown:
            left_s = max(0, end - time.monotonic())
            assert select.select([self.terminal], [], [], left_s)[0], f"no {text!r}: {self.shown}"
            try:
                self.shown += os.read(self.terminal, 4096).decode(errors="replace")
            except OSError:
                pytest.fail(f"it ended: {self.shown}")

    def types(self, text):
        self.shown = ""
        os.write(self.terminal, text.encode() + b"\n")

    def port(self):
        return int(re.search(r"ready coap://[^:]+:(\d+)", self.shown)[1])


def reads(port, path, wanted):
    """Does a GET have that payload before long?"""
    end = time.monotonic() + LIMIT_S
    while (payload := get(HOST, port, path)) != wanted and time.monotonic() < end:
        time.sleep(0.1)
    return payload == wanted


def test_enter_opens_the_door_and_settings_survive(tmp_path):
    flash = str(tmp_path / "flash")
    with Person("--flash", flash, "--app", "door") as person:
        person.sees("Ctrl-C ends it.")
        assert "A simulated door node on an emulated Raspberry Pi Pico" in person.shown
        assert re.search(r"^  /s/contact +closed ", person.shown, re.MULTILINE)
        assert "/s/hr" not in person.shown and "make config DEV=/dev/" in person.shown
        port = person.port()
        for said, value in (("door open", b"open"), ("door closed", b"closed")):
            person.types("")
            person.sees(said)
            assert reads(port, "/s/contact", value)
        person.types("battery 2900")
        assert reads(port, "/s/batt", b"0")
        with pytest.raises(Problem, match="another emulated Pico has its flash memory in"):
            with exclusive(flash):
                pass
    with Person("--flash", flash) as person:
        person.sees("Ctrl-C ends it.")
        assert "A simulated door node" in person.shown


def test_no_node_js_is_one_line(tmp_path):
    with contextlib.suppress(FileExistsError):
        (tmp_path / "python3").symlink_to(sys.executable)
    done = subprocess.run(
        SIMULATE, cwd=ROOT, env={"PATH": str(tmp_path)}, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "Node.js 20" in done.stderr
