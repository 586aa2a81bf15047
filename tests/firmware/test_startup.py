"""From power-on to a serving node: settings, the loop around the link, the end."""

import os
import sys

import startup
from support import cases


@cases(
    (b"\x24\x0a\xc4\x00\xc0\xde", "mote-c0de"),
    (b"\xe6\x61\x38\x52\x83\x12\x0a\x05", "mote-0a05"),
)
def test_node_name_is_derived_from_the_unique_id(unique_id, name):
    assert startup.hostname(unique_id) == name


def test_a_broken_settings_file_does_not_stop_the_node():
    path = "build-test-startup.json"
    with open(path, "wb") as file:
        file.write(b'{"heartbeat_s": "often"}')
    lines = []
    try:
        settings = startup.load_settings(path, lines.append)
    finally:
        os.remove(path)
    assert settings.heartbeat_s == 3600
    assert settings.path == path
    assert "heartbeat_s" in lines[0]


class Port:
    """Stands in for sys, or for the module esp32 without any wake source."""

    def __init__(self, platform):
        self.platform = platform


@cases(("linux", (), True), ("rp2", (), True), ("esp32", (), False), ("esp32", ("gpio",), True))
def test_a_port_that_cannot_wake_is_found(platform, sources, can):
    kept = startup.sys, sys.modules.get("esp32")
    startup.sys = Port(platform)
    sys.modules["esp32"] = esp32 = Port("")
    for source in sources:
        setattr(esp32, "wake_on_" + source, None)
    try:
        assert startup.can_wake() is can
    finally:
        startup.sys = kept[0]
        sys.modules.pop("esp32")
        if kept[1] is not None:
            sys.modules["esp32"] = kept[1]


class Link:
    step_ms = 250

    def __init__(self, states):
        self.states = list(states)
        self.up = False

    def poll(self, _now_ms):
        self.up = self.states.pop(0)
        return self.up


class Transport:
    def __init__(self, log):
        self.log = log

    def step(self, max_ms):
        assert 0 < max_ms <= 250
        self.log.append("step")

    def reopen(self):
        self.log.append("reopen")

    def close(self):
        self.log.append("close")


class Node:
    """Has two messages to send whenever it is asked for a time it was not asked for before."""

    def __init__(self, log):
        self.log = log
        self.left = 2

    def due(self, _now_ms):
        if self.left:
            self.left -= 1
            return 12
        self.left = 2
        self.log.append("due")
        return 0


class Bench:
    """A Service on the fakes above; `refusals` times the transport cannot be opened."""

    def __init__(self, states, refusals=0):
        self.log = []
        self.lines = []
        self.refusals = refusals
        self.states = states
        self.opened = 0
        self.service = startup.Service(
            Node(self.log),
            Link(states),
            self.open,
            lambda: 5,
            self.sleep_ms,
            self.lines.append,
        )
        self.service.on_open = self.tell

    def run(self):
        for _ in self.states:
            self.service.step()
        return self.log

    def open(self):
        if self.refusals:
            self.refusals -= 1
            raise OSError(112)
        self.log.append("open")
        return Transport(self.log)

    def tell(self):
        assert self.service.serving
        self.opened += 1

    def sleep_ms(self, ms):
        self.log.append("sleep")
        assert ms <= 250


def test_nothing_is_opened_before_the_link_is_up():
    assert Bench([False, False]).run() == ["due", "sleep", "due", "sleep"]


def test_the_transport_opens_once_and_serves():
    assert Bench([True, True, True]).run() == ["open", "step", "step", "step"]


def test_transport_reopens_when_the_link_returns():
    # Groups are forgotten with the link on some ports.
    bench = Bench([True, False, True, True])
    assert bench.run() == ["open", "step", "due", "sleep", "reopen", "step", "step"]
    assert bench.opened == 2


def test_a_port_that_cannot_be_opened_is_tried_again():
    bench = Bench([True, True, True], refusals=2)
    assert bench.run() == ["due", "sleep", "due", "sleep", "open", "step"]
    assert len(bench.lines) == 2 and bench.opened == 1


def test_closing_closes_the_transport_once():
    bench = Bench([True])
    bench.run()
    bench.service.close()
    bench.service.close()
    assert bench.log == ["open", "step", "close"]


def test_files_on_the_board_take_precedence_over_frozen_modules():
    with open(startup.__file__[: startup.__file__.rfind("/") + 1] + "boot.py") as file:
        boot = file.read()
    before = list(sys.path)
    try:
        sys.path[:] = ["", ".frozen", "/lib"]  # as a board starts
        exec(boot, {})
        after = list(sys.path)
    finally:
        sys.path[:] = before
    assert after == ["", "/lib", ".frozen"]
