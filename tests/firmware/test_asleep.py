"""Lives of a node on a battery with keys: no sequence number is ever used twice, and what it keeps
over a sleep fits the memory that an ESP32 has for it.
"""

import json
import os
import sys

import board
import machine as simulated
from machine import clock

import asleep
import keys
import napper
import sleeper
import startup
from apps import door
from config import Settings
from engine import decode, uint
from features import register
from journal import LID, Journal
from power.cycle import Cycle
from power.reserve import Reserve
from support import cases, raises

HEAP = "4m"
FILE = "asleep-test.json"
GATEWAY = "coap://192.168.1.2"
OSCORE, QUERY = 9, 15
RTC_BYTES = 2048


class Asleep(Exception):
    pass


class PowerCut(Exception):
    pass


class World:
    """A machine, its memory and the wire: what outlives its lives. Nobody answers the node.

    used: the sequence numbers that were seen on the wire
    """

    DEEPSLEEP_RESET, PWRON_RESET = 4, 1

    def __init__(self):
        self.now_ms = 0
        self.memory = bytearray(RTC_BYTES)
        self.used = []
        self.cause = self.PWRON_RESET
        self.dies = self.full = False
        self.RTC = lambda: self

    # As machine.RTC()

    def memory_of(self, data=None):
        if data is None:
            return bytes(self.memory)
        if self.full:
            raise OSError(28)
        self.memory[:] = data
        return None

    # As machine

    def __getattr__(self, name):
        return getattr(simulated, name)

    def reset_cause(self):
        return self.cause

    def wake_reason(self):
        return 4

    def WDT(self, timeout):
        return self

    def feed(self):
        pass

    def deepsleep(self, span_ms):
        raise Asleep

    lightsleep = deepsleep

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

    def stop(self):
        pass

    def state(self):
        return bytes(28)

    def restore(self, blob):
        pass

    def live(self, runner):
        """One life, with a heartbeat that is due, until the node sleeps or dies."""
        self.now_ms += 4_000_000
        settings = Settings()
        settings.update({"gateway": GATEWAY})
        try:
            runner.run(Board, self, settings, None, "mote-1", self)
        except Asleep:
            self.cause = self.DEEPSLEEP_RESET
        except PowerCut:
            self.cause = self.PWRON_RESET

    def passed(self):
        raise AssertionError("nobody has answered")

    def failed(self):
        return False


class Rtc:
    """machine.RTC() of a World."""

    def __init__(self, world):
        self.memory = world.memory_of


class Wire:
    """A transport into a World."""

    def __init__(self, world, node):
        self.world = world
        self.node = node
        self.last = b""
        node.seed(b"entropy!")

    def step(self, max_ms):
        world, node = self.world, self.node
        world.now_ms += max_ms
        n = node.due(world.ticks_ms())
        while n:
            data = bytes(node.out(n))
            if data != self.last:  # else it is sent again
                value = decode(data).all(OSCORE)[0]
                world.used.append(value[1 : 1 + (value[0] & 7)])
            self.last = data
            if world.dies:
                raise PowerCut
            n = node.due(world.ticks_ms())

    def close(self):
        pass


class Board:
    """The simulated board, with what a radio needs."""

    WIFI_OPTIONS = {}


for _name in dir(board):
    if _name.isupper():
        setattr(Board, _name, getattr(board, _name))


class Esp32:
    WAKEUP_ALL_LOW, WAKEUP_ANY_HIGH = 0, 1

    def wake_on_gpio(self, pins, level):
        pass


def context(i=0):
    return {"secret": "a1a2a3a4a5a6a7a8a9aaabacadaeaf%02x" % i, "sender_id": "01%02x" % i} | {
        "recipient_id": "02%02x" % i
    }


class Stage:
    """Puts a World in place of what the node works with, and takes it away again."""

    def __init__(self, contexts=1):
        self.world = world = World()
        world.RTC = lambda: Rtc(world)
        names = ("Clock", "FastJoin", "Udp", "peer")
        self.kept = [(asleep, name, getattr(asleep, name)) for name in names]
        self.kept += [(asleep, "network_module", asleep.network_module), (keys, "FILE", keys.FILE)]
        asleep.Clock = lambda: world
        asleep.FastJoin = lambda *options: world
        asleep.Udp = lambda node: Wire(world, node)
        asleep.peer = lambda host, port: (host, port)
        asleep.network_module = lambda: None
        keys.FILE = FILE
        self.modules = sys.modules.get("esp32")
        sys.modules["esp32"] = Esp32()
        board.power_on()
        clock.hold(0)
        self.clean()
        with open(FILE, "w") as file:
            file.write(json.dumps([context(i) for i in range(contexts)]))

    def clean(self):
        for name in (FILE, FILE + keys.NUMBERS, sleeper.NUMBERS_FILE, napper.NUMBERS_FILE):
            for end in ("", ".new"):
                try:
                    os.remove(name + end)
                except OSError:
                    pass

    def end(self):
        for owner, name, value in self.kept:
            setattr(owner, name, value)
        if self.modules is None:
            del sys.modules["esp32"]
        else:
            sys.modules["esp32"] = self.modules
        clock.release()
        self.clean()


def limits():
    """What the flash holds of the numbers."""
    with open(FILE + keys.NUMBERS, "rb") as file:
        return file.read()


def spoil(world, newest):
    """Flip a bit of the newer or the older image."""
    memory = world.memory
    sequence = [memory[at + 1] << 8 | memory[at + 2] for at in (0, RTC_BYTES // 2)]
    half = sequence.index(max(sequence) if newest else min(sequence))
    memory[half * RTC_BYTES // 2 + 40] ^= 8


def wipe(world, newest):
    """Empty it, as where nothing was ever written."""
    memory = world.memory
    sequence = [memory[at + 1] << 8 | memory[at + 2] for at in (0, RTC_BYTES // 2)]
    half = sequence.index(max(sequence) if newest else min(sequence))
    memory[half * RTC_BYTES // 2 : half * RTC_BYTES // 2 + 10] = bytes(10)


@cases(sleeper, napper)
def test_numbers_go_on_exactly_from_sleep_to_sleep(runner):
    stage = Stage()
    world = stage.world
    try:
        world.live(runner)
        flash = limits()
        for _ in range(3):
            world.live(runner)
        assert len(world.used) >= 4
        assert limits() == flash, "the memory is told that its numbers are void, not the flash"
        assert world.used == [uint(i) or b"\0" for i in range(len(world.used))]
    finally:
        stage.end()


@cases(*[(a, b, c) for a in (sleeper, napper) for b in (spoil, wipe) for c in (True, False)])
def test_no_number_is_used_twice_when_an_image_is_lost(runner, lose, newest):
    stage = Stage()
    world = stage.world
    try:
        for i in range(6):
            world.dies = i % 2 == 1  # right after the numbers that were kept are void
            world.live(runner)
            if i % 2 == 1:
                lose(world, newest)
                world.cause = world.DEEPSLEEP_RESET
        assert len(world.used) >= 6 and len(set(world.used)) == len(world.used)
    finally:
        stage.end()


@cases(sleeper, napper)
def test_no_number_is_used_when_the_memory_can_not_be_told(runner):
    stage = Stage()
    world = stage.world
    try:
        world.live(runner)
        used = len(world.used)
        world.full = True
        world.live(runner)
        assert len(world.used) == used
        world.full = False
        world.live(runner)
        assert len(world.used) > used and len(set(world.used)) == len(world.used)
    finally:
        stage.end()


def filled(contexts):
    """A door's life with all that can be kept: contexts, observers, events, faults."""
    stage = Stage(contexts)
    settings = Settings()
    settings.update({"gateway": GATEWAY})
    common = asleep.Common(Board, stage.world, settings, None, "mote-1")
    node = common.node
    journal = Journal()
    told = door.setup_asleep(node, Board, settings, journal, common.clock.seconds)
    for i in range(40):
        journal.note(i & 1, 1 | (LID if i & 2 else 0), i)
        journal.fault(1, i)
    parts = common.parts(None, journal, None, told)
    parts["contact"], parts["lid"] = told[0].reed, told[1].reed
    parts["reserve"] = Reserve(None)
    for i in range(asleep.OBSERVERS):
        # with its eight bytes of token and the longest address a registration of 64 bytes
        peer = ("192.168.100.10%d" % i, 65530 + i)
        answer = register(node, "s/contact", bytes(8), peer, options=[(QUERY, b"q" * 39)])
        assert answer.uint(6) is not None
    assert len(node.state()) > asleep.OBSERVERS * (22 + 64)
    node.secure.retain()
    return stage, Cycle(parts)


def test_what_is_kept_fits_with_all_that_the_settings_allow():
    stage, life = filled(asleep.CONTEXTS)
    try:
        assert life.slots.memory.slot_bytes == 1024
        life.keep()
        assert life.slots.load() is not None
    finally:
        stage.end()


def test_more_contexts_would_not_fit_and_are_refused_with_a_clear_line():
    stage, life = filled(asleep.CONTEXTS + 1)
    try:
        assert "at most 1014 bytes" in str(raises(ValueError, life.keep))
        settings = Settings()
        settings.update({"gateway": GATEWAY, "app": "door"})
        why = startup.why_awake(settings, {})
        assert why == FILE + ": a node on a battery has room for 6 contexts, not 7"
        with open(FILE, "w") as file:
            file.write(json.dumps([context(i) for i in range(asleep.CONTEXTS)]))
        assert startup.why_awake(settings, {}) == ""
        with open(FILE, "w") as file:
            file.write("{broken")
        assert startup.why_awake(settings, {}) == "", "the node says so when it reads them"
    finally:
        stage.end()
