"""The whole firmware of a node on a battery, on a fake machine, clock, link and transport.

stage = Stage("my-test.json", World())
try:
    stage.world.live(sleeper)
finally:
    stage.end()
"""

import os
import sys

import board
import machine as simulated
from machine import clock

import battery
import battery_door
import battery_wearable
import credentials
import recovery
from config import Settings

GATEWAY = "coap://192.168.1.2"
RTC_BYTES = 2048


class Asleep(Exception):
    """Raised by deepsleep(): the wake is over."""


class Reset(Asleep):
    """Raised by reset()."""


class World:
    """What persists between wakes: machine, memory, clock and link. No response comes.

    node: that of the last life whose link was up; naps: light sleeps that the next life returns
    from; resets: how often a node asked for one
    """

    DEEPSLEEP_RESET, PWRON_RESET, HARD_RESET = 4, 1, 2

    def __init__(self):
        self.now_ms = 0
        self.memory = bytearray(RTC_BYTES)
        self.cause = self.PWRON_RESET
        self.node = None
        self.naps = self.resets = 0

    def heard(self, data):
        """Return the response to a datagram of the node, or None."""

    # As machine.RTC()

    def memory_of(self, data=None):
        if data is None:
            return bytes(self.memory)
        self.memory[:] = data
        return None

    # As machine

    def __getattr__(self, name):
        return getattr(simulated, name)

    def RTC(self):
        return Rtc(self)

    def reset_cause(self):
        return self.cause

    def wake_reason(self):
        return 4

    def reset(self):
        self.resets += 1
        self.cause = self.HARD_RESET
        raise Reset

    def WDT(self, timeout):
        return self

    def feed(self):
        pass

    def deepsleep(self, span_ms):
        self.cause = self.DEEPSLEEP_RESET
        raise Asleep

    def lightsleep(self, span_ms):
        if not self.naps:
            self.deepsleep(span_ms)
        self.naps -= 1
        self.now_ms += span_ms

    # As the clock

    def ticks_ms(self):
        return self.now_ms & 0x3FFFFFFF

    def sleep_ms(self, ms):
        self.now_ms += ms

    def seconds(self):
        return self.now_ms // 1000

    # As the link

    def start(self, now_ms, now_s):
        pass

    def poll(self, now_ms, now_s):
        return 1

    def on_report(self, is_acknowledged):
        pass

    def stop(self):
        pass

    def state(self):
        return bytes(28)

    def restore(self, blob):
        pass

    def live(self, runner, trial=None, **settings):
        """Run one wake with a heartbeat due, until the node sleeps or resets."""
        self.now_ms += 4_000_000
        found = Settings()
        found.update({"gateway": GATEWAY})
        found.update(settings)
        try:
            runner.run(Board, self, found, None, "mote-1", trial or self)
        except Asleep:
            pass

    # As the trial of the settings

    def passed(self):
        raise AssertionError("nobody has answered")

    def failed(self):
        return False


class Rtc:
    """machine.RTC() of a World."""

    def __init__(self, world):
        self.memory = world.memory_of


class Wire:
    """The node's transport; datagrams go to World.heard()."""

    def __init__(self, world, node):
        self.world = world
        self.node = world.node = node
        node.seed(b"entropy!")

    def step(self, max_ms):
        world, node = self.world, self.node
        world.now_ms += max_ms
        n = node.due(world.ticks_ms())
        while n:
            peer = node.peer
            back = world.heard(bytes(node.tx_view(n)))
            if back is not None:
                node.datagram(back, len(back), peer, world.ticks_ms())
            n = node.due(world.ticks_ms())

    def close(self):
        pass


class Board:
    """The simulated board, with the settings of a radio."""

    WIFI_OPTIONS = {}


for _name in dir(board):
    if _name.isupper():
        setattr(Board, _name, getattr(board, _name))


class Esp32:
    WAKEUP_ALL_LOW, WAKEUP_ANY_HIGH = 0, 1

    def wake_on_gpio(self, pins, level):
        pass


class Stage:
    """Put a World in place of the firmware's clock, link, transport and files until end().

    file: of the keys; others that the node writes begin with its name
    """

    def __init__(self, file, world):
        self.world = world
        names = ("Clock", "FastJoin", "Udp", "peer", "network_module")
        patched = [("battery", name) for name in names]
        patched += [("credentials", "FILE"), ("recovery", "STARTS_FILE")]
        patched += [(name, "NUMBERS_FILE") for name in ("battery_door", "battery_wearable")]
        self.kept = [(owner, name, getattr(sys.modules[owner], name)) for owner, name in patched]
        battery.Clock = lambda: world
        battery.FastJoin = lambda *options: world
        battery.Udp = lambda node: Wire(world, node)
        battery.peer = lambda host, port: (host, port)
        battery.network_module = lambda: None
        credentials.FILE = file
        recovery.STARTS_FILE = file + ".starts"
        battery_door.NUMBERS_FILE = battery_wearable.NUMBERS_FILE = file + ".own"
        self.modules = sys.modules.get("esp32")
        sys.modules["esp32"] = Esp32()
        board.power_on()
        clock.hold(0)
        self.clean()

    def clean(self):
        for name in (
            credentials.FILE,
            credentials.FILE + credentials.NUMBERS,
            recovery.STARTS_FILE,
            battery_door.NUMBERS_FILE,
        ):
            for end in ("", ".new"):
                try:
                    os.remove(name + end)
                except OSError:
                    pass

    def end(self):
        self.clean()
        for owner, name, value in self.kept:
            setattr(sys.modules[owner], name, value)
        if self.modules is None:
            del sys.modules["esp32"]
        else:
            sys.modules["esp32"] = self.modules
        clock.release()
