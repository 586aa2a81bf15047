"""Wakes of a door and of a wearable on a battery, as their runners assemble them.

Settings are confirmed, Max-Age exceeds the heartbeat, sensors are read no more than needed.
"""

import os
import sys

import battery_door
import battery_wearable
import recovery
from apps import wearable
from support import cases, only
from support.battery_stage import Stage, World
from support.engine import decode, encode
from support.request_helpers import Asker

HEAP = "4m"
WAKE_CALLS = 710  # of functions, from the start of the runner to deepsleep()
SETTINGS = "lives-test-settings.json"
ACK, CON, CHANGED = 2, 0, 0x44


class Gateway(World):
    """A gateway takes what it hears, unless it is `deaf`."""

    deaf = False

    def heard(self, data):
        message = decode(data)
        if self.deaf or message.kind != CON:
            return None
        return encode(ACK, CHANGED, message.mid, message.token)

    def passed(self):
        pass


class Files:
    """Settings on a flash, of which other ones were good."""

    def __init__(self):
        self.write(SETTINGS, b"new")
        self.write(SETTINGS + ".good", b"good")
        self.lines = []

    def write(self, path, data):
        with open(path, "wb") as file:
            file.write(data)

    def trial(self):
        """What the node makes of them when it starts."""
        return recovery.Trial((SETTINGS,), self.lines.append)

    def read(self):
        """(the settings, the good ones)"""
        found = []
        for path in (SETTINGS, SETTINGS + ".good"):
            with open(path, "rb") as file:
                found.append(file.read())
        return tuple(found)

    def clean(self):
        for path in (SETTINGS, SETTINGS + ".good"):
            os.remove(path)


def on_stage(test):
    """Run test(world) and clean up."""
    stage = Stage("lives-test.json", Gateway())
    try:
        test(stage.world)
    finally:
        stage.end()


def on_trial(test):
    """Run test(world, files) with new settings."""
    files = Files()
    try:
        on_stage(lambda world: test(world, files))
    finally:
        files.clean()


@cases(battery_door, battery_wearable)
def test_acknowledged_report_confirms_new_settings(runner):
    def tried(world, files):
        world.live(runner, files.trial())
        assert files.read() == (b"new", b"new") and world.resets == 0 and files.lines == []

    on_trial(tried)


@cases(battery_door, battery_wearable)
def test_settings_without_a_reachable_gateway_are_rolled_back(runner):
    def tried(world, files):
        world.deaf = True
        for _ in range(recovery.TRIAL_FAILURES - 1):
            world.live(runner, files.trial())
            assert files.read() == (b"new", b"good") and world.resets == 0
        world.live(runner, files.trial())
        assert files.read() == (b"good", b"good") and world.resets == 1 and len(files.lines) == 1

    on_trial(tried)


@cases(battery_door, battery_wearable)
def test_confirmed_settings_survive_an_absent_gateway(runner):
    def tried(world, files):
        world.live(runner, files.trial())
        world.deaf = True
        for _ in range(recovery.TRIAL_FAILURES + 2):
            world.live(runner, files.trial())
        assert files.read() == (b"new", b"new") and world.resets == 0

    on_trial(tried)


@cases((3600, 4020), (86_400, 95_100), (10, 71))
def test_max_age_of_a_door_exceeds_the_heartbeat(beat_s, max_age_s):
    def asked(world):
        world.live(battery_door, heartbeat_s=beat_s)
        ask = Asker(world.node, world.ticks_ms())
        for path in ("s/contact", "s/tamper"):
            answer = ask.get(path)
            assert (answer.code, answer.max_age_s) == ("2.05", max_age_s)

    on_stage(asked)


def test_napping_wearable_samples_once_a_period():
    looked_ms = []
    setup = wearable.setup

    def watched(node, board, settings):
        worn = setup(node, board, settings)
        worn.oximeter.sample = looked_ms.append
        return worn

    def worn(world):
        world.naps = 50
        world.live(battery_wearable)
        gaps_ms = [looked_ms[i + 1] - looked_ms[i] for i in range(len(looked_ms) - 1)]
        assert len(gaps_ms) >= 50 and min(gaps_ms) >= wearable.PERIOD_MS

    wearable.setup = watched
    try:
        on_stage(worn)
    finally:
        wearable.setup = setup


def calls(function):
    """Return how many functions of lib and firmware function() calls; on CPython only."""
    root = battery_door.__file__.replace("firmware/battery_door.py", "")
    found = []

    def count(frame, event, _):
        if event == "call" and frame.f_code.co_filename.startswith(
            (root + "lib", root + "firmware")
        ):
            found.append(frame.f_code.co_filename)

    sys.setprofile(count)
    try:
        function()
    finally:
        sys.setprofile(None)
    return len(found)


@only("cpython")
def test_wake_of_a_door_takes_few_calls():
    def wakes(world):
        world.live(battery_door)
        counts = [calls(lambda: world.live(battery_door)) for _ in range(3)]
        assert max(counts) <= WAKE_CALLS, counts

    on_stage(wakes)
