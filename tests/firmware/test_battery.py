"""Wakes of a node on a battery with keys: no sequence number is used twice.

What it retains over sleep fits the memory that an ESP32 has for it.
"""

import json

import battery
import battery_door
import battery_wearable
import credentials
import startup
from apps import door
from config import Settings
from power.door_cycle import DoorCycle
from power.event_log import LID, EventLog
from power.retained_state import NumberReservation
from support import cases, raises
from support.battery_stage import GATEWAY, RTC_BYTES, Asleep, Board, Stage, World
from support.engine import decode, uint
from support.features import register
from support.key_file import write_keys

HEAP = "4m"
FILE = "asleep-test.json"
OSCORE, QUERY = 9, 15


class PowerCut(Asleep):
    """The node has no power any more."""


class Unanswered(World):
    """Nobody answers the node, which may die while it sends.

    used: the sequence numbers that were seen on the wire
    """

    def __init__(self):
        super().__init__()
        self.used = []
        self.last = b""
        self.dies = self.full = False

    def memory_of(self, data=None):
        if data is not None and self.full:
            raise OSError(28)
        return super().memory_of(data)

    def heard(self, data):
        if data != self.last:  # else it is sent again
            value = decode(data).all(OSCORE)[0]
            self.used.append(value[1 : 1 + (value[0] & 7)])
        self.last = data
        if self.dies:
            self.cause = self.PWRON_RESET
            raise PowerCut


def context(i=0):
    return {"secret": "a1a2a3a4a5a6a7a8a9aaabacadaeaf%02x" % i, "sender_id": "01%02x" % i} | {
        "recipient_id": "02%02x" % i
    }


def staged(contexts=1):
    """A Stage whose node has so many keys."""
    stage = Stage(FILE, Unanswered())
    write_keys(FILE, [context(i) for i in range(contexts)])
    return stage


def limits():
    """What the flash holds of the numbers."""
    with open(FILE + credentials.NUMBERS, "rb") as file:
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


@cases(battery_door, battery_wearable)
def test_oscore_numbers_continue_over_sleep_without_gap(runner):
    stage = staged()
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


@cases(
    *[
        (a, b, c)
        for a in (battery_door, battery_wearable)
        for b in (spoil, wipe)
        for c in (True, False)
    ]
)
def test_no_oscore_number_is_reused_after_a_lost_image(runner, lose, newest):
    stage = staged()
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


@cases(battery_door, battery_wearable)
def test_no_oscore_number_is_used_when_the_memory_is_unwritable(runner):
    stage = staged()
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
    stage = staged(contexts)
    settings = Settings()
    settings.update({"gateway": GATEWAY})
    common = battery.BatteryNode(Board, stage.world, settings, None, "mote-1", stage.world)
    node = common.node
    log = EventLog()
    told = door.setup_asleep(node, Board, settings, log, common.clock.seconds)
    for i in range(40):
        log.record(i & 1, 1 | (LID if i & 2 else 0), i)
        log.record_fault(1, i)
    cycle = common.make_cycle(
        DoorCycle,
        None,
        log,
        None,
        told,
        contact=told[0].reed,
        lid=told[1].reed,
        reservation=NumberReservation(None),
    )
    for i in range(battery.OBSERVERS):
        # with its eight bytes of token and the longest address a registration of 64 bytes
        peer = ("192.168.100.10%d" % i, 65530 + i)
        answer = register(node, "s/contact", bytes(8), peer, options=[(QUERY, b"q" * 39)])
        assert answer.uint(6) is not None
    assert len(node.state()) > battery.OBSERVERS * (22 + 64)
    node.oscore.retain()
    return stage, cycle


def test_retained_state_fits_with_the_largest_settings():
    stage, life = filled(battery.CONTEXTS)
    try:
        assert life.memory.memory.slot_bytes == 1024
        life.write_state()
        assert life.memory.load() is not None
    finally:
        stage.end()


def test_too_many_contexts_are_refused_with_a_clear_line():
    stage, life = filled(battery.CONTEXTS + 1)
    try:
        assert "at most 1014 bytes" in str(raises(ValueError, life.write_state))
        settings = Settings()
        settings.update({"gateway": GATEWAY, "app": "door"})
        why = startup.sleep_blocked_by(settings, {}, Board)
        assert why == FILE + ": a node on a battery has room for 6 contexts, not 7"
        with open(FILE, "w") as file:
            file.write(json.dumps([context(i) for i in range(battery.CONTEXTS)]))
        assert startup.sleep_blocked_by(settings, {}, Board) == ""
        with open(FILE, "w") as file:
            file.write("{broken")
        assert startup.sleep_blocked_by(settings, {}, Board) == "", (
            "the node says so when it reads them"
        )
    finally:
        stage.end()
