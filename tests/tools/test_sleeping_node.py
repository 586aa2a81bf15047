"""`make run POWER=battery`: a node that sleeps, and the receiver of its reports."""

import signal
import subprocess

import pytest

from setup.console import ROOT
from tools.running import SIMULATE, ends, simulated

FAST = ("--power", "battery", "--speed", "1000")


def test_door_wakes_and_reports():
    with simulated(*FAST) as node:
        first = node.line("         report of door-1: ")
        assert "contact closed" in first and "beat 3600 s" in first
        asleep = node.line("00:00:1")
        assert "node sleeps, 3600 s at most" in asleep
        node.type("door open")
        report = node.line("         report of door-1: contact open")
        assert "contact_n 1 count" in report
        assert any("woken by its contact" in line for line in node.seen)
        node.type("shut")
        node.line("         report of door-1: contact open, beat 3600 s")
        assert any("error: 'shut' is unknown" in line for line in node.seen)
        children = node.children()
        assert node.signal(signal.SIGINT) == 0
        assert all(ends(child) for child in children)


def test_screen_says_how_to_play():
    with simulated(*FAST, "--play") as node:
        node.line("Ctrl-C ends it.")
        text = "\n".join(node.seen)
        assert "A simulated door node on a battery" in text and "1000 times faster" in text
        node.line("         report of door-1: contact open")  # it opens by itself


def test_wearable_reports_its_rows():
    with simulated(*FAST, "--app", "wearable") as node:
        node.type("temp 35.5")
        report = node.line("         report of wearable-1: ", 120)
        while "temp 35.5" not in report:
            report = node.line("         report of wearable-1: ", 120)


def test_node_ends_with_its_receiver():
    with simulated(*FAST) as node:
        [receiver] = node.children()
        node.line("         report of ")
        node.process.kill()
        assert ends(receiver)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--app", "both"), "--app: "),
        (("--app", "plugtest"), "--app: "),
        (("--speed", "0"), "--speed: "),
        (("--speed", "1001"), "--speed: "),
        (("--host", "::1"), "--host: "),
        (("--board", "pico"), "--board: "),
        (("--heap", "96k"), "--heap: "),
        (("--interpreter", "cpython"), "--interpreter: "),
    ],
)
def test_wrong_arguments_are_named(arguments, named):
    done = refused(["--power", "battery", *arguments])
    assert named in done.stderr and done.stderr.count("\n") == 1


def test_speed_is_for_a_node_on_a_battery():
    assert "--speed: only with --power battery" in refused(["--speed", "2"]).stderr


def refused(arguments):
    """The outcome of a start that is refused with exit code 2."""
    done = subprocess.run([*SIMULATE, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    return done
