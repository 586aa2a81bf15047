"""The simulator's commands and options, and their responses."""

import board
import node_main
from commands import Commands
from machine import clock

from apps import door, wearable
from coap import Node
from config import Settings
from sensors import reed
from support import cases, raises
from support.request_helpers import Asker


class World:
    """A node with both applications, and a person at its controls."""

    def __init__(self, *apps):
        board.power_on()
        clock.hold(0)
        reed.ticks_ms = clock.ms
        self.heard = []
        self.node = Node()
        body = oximeter = None
        if "door" in apps:
            door.setup(self.node, board, Settings())
        if "wearable" in apps:
            body = board.Body()
            oximeter = wearable.setup(self.node, board, Settings()).oximeter
        self.ask = Asker(self.node)
        self.controls = Commands(board, self.node.after, apps, body, oximeter, self.heard.append)

    def type(self, *lines):
        """What is heard of these lines."""
        self.heard.clear()
        for line in lines:
            self.controls.line(line)
        self.ask.run(100 * len(lines))
        return self.heard


@cases(
    ("door open", "door open", "s/contact", b"open"),
    ("  door   open ", "door open", "s/contact", b"open"),
    ("", "door open", "s/contact", b"open"),
    ("tamper on", "tamper on", "s/tamper", b"tampered"),
    ("tamper off", "tamper off", "s/tamper", b"ok"),
    ("battery 2900", "battery 2900 mV", "s/batt", b"0"),
    ("hr 88", "heart rate 88 beats/min", "s/hr", b"88"),
    ("spo2 91", "oxygen saturation 91 %", "s/spo2", b"91"),
    ("steps 1200", "steps 1200", "s/steps", b"1200"),
    ("temp 36.9", "temperature 36.9 Cel", "s/temp", b"36.90"),
    ("temp -4", "temperature -4 Cel", "s/temp", b"-4.00"),
)
def test_command_changes_the_simulated_world(line, heard, path, payload):
    world = World("door", "wearable")
    world.ask.run(100)
    world.ask.get("s/steps")
    assert world.type(line) == [heard]
    assert world.ask.get(path).payload == payload


def test_commands_typed_at_once_all_reach_the_node():
    world = World("door")
    told = []
    world.node.changed = lambda resource: told.append(resource.path)
    heard = world.type("door open", "door close", "", "battery 3000", "tamper on")
    wanted = ["door open", "door closed", "door open", "battery 3000 mV", "tamper on"]
    assert heard == wanted
    assert world.node.resource_at("s/contact").reed.edges == 3
    assert world.ask.get("s/tamper").payload == b"tampered"


def test_contact_command_is_confirmed_by_the_nodes_response():
    world = World("door")
    world.controls.line("door open")
    assert world.heard == []
    while not world.heard:
        world.ask.run(10)
    assert world.ask.get("s/contact").payload == b"open"


@cases(
    "door",
    "door ajar",
    "tamper",
    "hr",
    "hr 500",
    "hr -1",
    "hr 8x",
    "spo2 101",
    "steps -3",
    "steps 99999999999999999999",
    "temp",
    "temp warm",
    "temp nan",
    "temp inf",
    "temp 400",
    "battery",
    "battery 2.9",
    "window open",
    "?",
)
def test_unknown_command_lists_the_valid_ones(line):
    world = World("door", "wearable")
    (heard,) = world.type(line)
    assert heard.startswith("error: ")
    for taken in ("door open", "tamper off", "battery 2900", "hr 88", "temp 36.9"):
        assert taken in heard


def test_wearable_command_is_refused_by_a_door():
    (heard,) = World("door").type("hr 88")
    assert heard.startswith("error: ") and "temp" not in heard
    (heard,) = World("wearable").type("")
    assert heard.startswith("error: ") and "door" not in heard


def test_step_count_cannot_decrease():
    world = World("wearable")
    assert world.type("steps 100") == ["steps 100"]
    (heard,) = world.type("steps 99")
    assert "from 100" in heard


class Stream:
    def __init__(self, data):
        self.data = data

    def read(self, n):
        byte, self.data = self.data[:n], self.data[n:]
        return byte


def test_command_is_assembled_byte_by_byte():
    lines = []
    reader = node_main.Lines(lines.append)
    stream = Stream(b"door open\r\n\n" + b"x" * 200 + b"\n\xff\x1b[A\nlast")
    while not reader.ended:
        reader.read(stream)
    assert lines == ["door open", "", "x" * 80, "??[A"]


def test_command_line_options():
    options = node_main.parse(["--app", "door", "--port", "0", "--seed", "7"])
    assert (options["app"], options["port"], options["seed"]) == ("door", 0, 7)
    assert (options["host"], options["rate"]) == ("127.0.0.1", 0)
    for argv, named in (
        (["--app", "cat"], "door plugtest"),
        (["--port", "x"], "--port"),
        (["--port", "65536"], "--port"),
        (["--seed"], "--seed"),
        (["--speed", "1"], "--speed"),
    ):
        assert named in str(raises(ValueError, node_main.parse, argv))
