"""Runs one node on a battery in real time, and faster while it sleeps. A program for MicroPython.

    micropython live.py OPTIONS

OPTIONS: a file with a JSON object
    simulator, firmware, board   folders for sys.path; board has board.py
    app               "door" or "wearable"
    chip              as in fake_modules.py
    speed             how much faster time passes while the node sleeps
    host              IPv4 address from which the node sends, at a free port
    boot_ms, work_ms  as in simulation.py
    serial            the chip's unique ID, 12 hexadecimal digits

boot.py and main.py run unchanged, boot after boot, on the fakes of `make sim-week`. The node's
datagrams pass through a real UDP socket, so its gateway may be any CoAP server with an IPv4
address. Lines on stdin change the world around the node; the end of stdin ends it. The working
directory is the board's flash. Prints each sleep and wake, and what the firmware prints.
"""

import json
import sys

with open(sys.argv[1]) as file:
    OPTIONS = json.load(file)
for name in ("simulator", "firmware", "board"):
    sys.path.insert(0, OPTIONS[name])

import select  # noqa: E402
import socket  # noqa: E402
import time  # noqa: E402
from binascii import unhexlify  # noqa: E402

import board  # noqa: E402
import machine  # noqa: E402
from boot_programs import run_programs  # noqa: E402
from chips.lsm6dsox import Lsm6dsox  # noqa: E402
from chips.max30102 import Max30102  # noqa: E402
from chips.tmp117 import Tmp117  # noqa: E402
from clock import Clock, DeepSleep  # noqa: E402
from commands import Commands  # noqa: E402
from fake_modules import TIMER_WAKE, Chip  # noqa: E402
from fake_wifi import NODE_HOST, AccessPoint  # noqa: E402
from node_main import Lines  # noqa: E402
from wearer import Oximeter  # noqa: E402

# Phases in which time passes faster: sleep, and the pause for Ctrl-C, which is of no use here
FAST_PHASES = ("sleep", "nap", "probe", "dark", "window")
LONGEST_WAIT_MS = 1000
NODE_PORT = 5683
RECV_MAX = 2048
POWER_ON, DEEP_SLEEP, SOFT_RESET = 1, 4, 5
FULL_MV = 4032
_KEPT_MODULES = set(sys.modules)


class StdinEnded(BaseException):
    """Whoever started the program is gone."""


class PacedClock(Clock):
    """Virtual time that follows this computer's, `speed` times faster in FAST_PHASES.

    While it waits it serves `streams`: {stream: function(stream)}, called when one is readable.
    """

    def __init__(self, speed):
        super().__init__(time.ticks_us())
        self._speed = speed
        self._streams = {}
        self._poll = select.poll()
        self._real_ms = time.ticks_ms()
        self._paced_phase = self.phase

    def watch(self, stream, function):
        """Call function(stream) whenever the stream can be read."""
        self._streams[id(stream)] = function
        self._poll.register(stream, select.POLLIN)

    def run_until(self, end_ms, ready=None):
        """Let time pass until `end_ms`, or until ready() is true; return True in that case."""
        while True:
            if ready is not None and ready():
                return True
            schedule = self._schedule
            next_ms = min(end_ms, schedule[-1][0]) if schedule else end_ms
            self._pass(next_ms)
            if schedule and schedule[-1][0] <= self.now_ms:
                _, _, function, argument = schedule.pop()
                function(argument)
            elif self.now_ms >= end_ms:
                return ready is not None and ready()

    def _pass(self, until_ms):
        """Wait until `until_ms`, or until a stream was served."""
        if self.phase != self._paced_phase:
            self._paced_phase = self.phase
            self._real_ms = time.ticks_ms()
        factor = self._speed if self.phase in FAST_PHASES else 1
        left_ms = max(until_ms - self.now_ms, 0)
        wait_ms = min((left_ms + factor - 1) // factor, LONGEST_WAIT_MS)
        for stream, event in self._poll.poll(wait_ms):
            self._streams[id(stream)](stream)
            if event & select.POLLHUP and not event & select.POLLIN:
                raise StdinEnded
        real_ms = time.ticks_ms()
        passed_ms = time.ticks_diff(real_ms, self._real_ms) * factor
        self._real_ms = real_ms
        self._advance(min(until_ms, self.now_ms + passed_ms))


class Network(dict):
    """The endpoints of the access point: the node, and all others through a UDP socket."""

    def __init__(self, host):
        super().__init__()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(socket.getaddrinfo(host, 0)[0][-1])
        self.socket.setblocking(False)

    def get(self, address, default=None):
        """Return the endpoint at (host, port)."""
        found = super().get(address)
        return found if found is not None else Remote(self.socket, address)

    def receive(self, sock):
        """Pass a datagram on to the node, which hears it while its link is up."""
        data, sender = sock.recvfrom(RECV_MAX)
        node = super().get((NODE_HOST, NODE_PORT))
        if node is not None:
            host = ".".join([str(byte) for byte in sender[4:8]])
            node.receive(data, (host, sender[2] << 8 | sender[3]))


class Remote:
    """An endpoint elsewhere."""

    def __init__(self, sock, address):
        self._socket = sock
        self._address = address

    def receive(self, data, _peer):
        """Send a datagram of the node; one that nobody takes is lost."""
        host, port = self._address
        try:
            self._socket.sendto(data, socket.getaddrinfo(host, port)[0][-1])
        except OSError:
            pass


class World:
    """What surrounds the board: contacts, battery, and for a wearable its chips."""

    def __init__(self, app, clock):
        self._clock = clock
        for pin in (board.REED_PIN, board.TAMPER_PIN):
            machine.wire(pin).has_resistor = board.REED_PULL == "external"
        self.set_door(False)
        self.set_lid(False)
        self.set_battery(FULL_MV)
        if app == "wearable":
            bus = machine.bus(board.SDA_PIN)
            self.light = bus.attach(Max30102())
            self.temperature = bus.attach(Tmp117())
            self.motion = bus.attach(Lsm6dsox())

    def set_door(self, is_open):
        """Open or close the door."""
        self._move(machine.wire(board.REED_PIN), is_open)

    def is_door_open(self):
        """Return True if the door is open."""
        return machine.wire(board.REED_PIN).read() == 1

    def set_lid(self, is_off):
        """Take the lid off or put it on."""
        self._move(machine.wire(board.TAMPER_PIN), is_off)

    def _move(self, wire, is_open):
        """Move a contact to ground; the wire rises once its capacitor is charged."""
        wire.drive(None if is_open else 0)
        self._clock.at(self._clock.now_ms + wire.RISE_MS, lambda _: wire.read())

    def set_battery(self, mv):
        """Set the battery's voltage."""
        share = board.BATTERY_DIVIDER_DEN * 1000 * mv // board.BATTERY_DIVIDER_NUM
        machine.wire(board.BATTERY_ADC_PIN).microvolts = share

    def nap_phase(self):
        """Return the phase of a nap, by what the oximeter does meanwhile."""
        return Oximeter.phase(self.light)


class LiveNode:
    """The node: boots and sleeps until it is interrupted."""

    def __init__(self, options):
        self._options = options
        self.clock = clock = PacedClock(options["speed"])
        machine.power_on()
        machine.set_unique_id(unhexlify(options["serial"]))
        self.chip = Chip(clock, options["chip"], has_mem_backup=True)
        self.access_point = AccessPoint(clock, 0, 0, self.chip.is_rp2)
        self.access_point.endpoints = network = Network(options["host"])
        self.chip.radio_draws = self.access_point.radio_draws
        world = World(options["app"], clock)
        if options["app"] == "wearable":
            self.chip.nap_phase = world.nap_phase
            self.chip.work_ms = options["work_ms"]
        commands = Commands(world, self._after, (options["app"],), world, None, self.say)
        self._lines = Lines(commands.line)
        clock.watch(network.socket, network.receive)
        clock.watch(open(0, "rb", buffering=0), self._read)

    def say(self, text):
        """Print a line with the time since power-on."""
        second = self.clock.now_ms // 1000
        print("{:02}:{:02}:{:02} {}".format(second // 3600, second // 60 % 60, second % 60, text))

    def run(self):
        """Boot and sleep until an exception."""
        cause, wake_reason = POWER_ON, 0
        while True:
            try:
                self._boot(cause, wake_reason)
                cause, wake_reason = SOFT_RESET, 0  # main() has returned: a board would wait
            except DeepSleep as sleep:
                self.say("node sleeps, {} s at most".format(sleep.span_ms // 1000))
                self.clock.phase = "sleep"
                end_ms = self.clock.now_ms + sleep.span_ms
                self.clock.run_until(end_ms, sleep.wake_reason)
                cause, wake_reason = DEEP_SLEEP, sleep.wake_reason() or TIMER_WAKE
                self.say("node woken by its {}".format(_name(wake_reason)))
            except SystemExit:
                cause, wake_reason = SOFT_RESET, 0

    def _boot(self, cause, wake_reason):
        clock = self.clock
        clock.phase = "boot"
        self.chip.boot(cause, wake_reason)
        clock.wait_ms(self._options["boot_ms"])
        clock.phase = "window" if cause != DEEP_SLEEP else "awake"
        modules = self.chip.modules()
        modules.update(self.access_point.modules())
        run_programs(self._options["firmware"], modules, _KEPT_MODULES)

    def _after(self, span_ms, function):
        self.clock.at(self.clock.now_ms + span_ms, function, self.clock.now_ms + span_ms)

    def _read(self, stdin):
        self._lines.read(stdin)
        if self._lines.ended:
            raise StdinEnded


def _name(wake_reason):
    return "timer" if wake_reason == TIMER_WAKE else "contact"


if __name__ == "__main__":
    try:
        LiveNode(OPTIONS).run()
    except (StdinEnded, KeyboardInterrupt):
        pass
