"""How a door falls asleep and how it wakes on a chip whose sleep returns (RP2).

An edge at the last moment before sleep, and the contact's debounce after it.
"""

import machine
from machine import Pin, wire

from power.event_log import POWER_ON, UNSTEADY
from power.sleep_modes import Rp2LightSleep
from sensors import reed
from support import cases
from support.sleep_bench import Asleep, Bench, Link, settled

GPIO = 14
LID_GPIO = 15
START_MS = 600_000
ENDLESS = 100


class LateMove(Link):
    """The contact moves as the radio goes off after the first report: nobody is looking."""

    def stop(self):
        if self.since_ms is not None and len(self.bench.reports) == 1:
            self.bench.moves = [self.bench.now_ms]
        super().stop()


def test_edge_while_the_radio_stops_is_reported_before_sleep():
    bench = settled()
    bench.link = LateMove
    bench.pin_wakes()
    assert bench.reports == [([1], 1, 0, 0), ([0], 2, 0, 0)]
    assert len(bench.slept) == 1 and bench.slept[0][0] > 3_590_000 and bench.slept[0][1] == 1


class Door(Bench):
    """A bench with a real contact and the chip's own driver. The chip takes no time to be awake.

    moves: when the contact at `gpio` (the door's, or the lid's) moves while the chip sleeps;
    bounces: of it, each time; writes: of the memory, which is flash here
    """

    PWRON_RESET = 1

    def __init__(self, moves, bounces=0, gpio=GPIO):
        super().__init__()
        machine.power_on()
        wire(GPIO).drive(0)
        wire(LID_GPIO).drive(0)
        self.contact = reed.Reed(Pin(GPIO, Pin.IN))
        self.lid = reed.Reed(Pin(LID_GPIO, Pin.IN))
        self.rp2 = Rp2LightSleep(self, self.ticks_ms, self.contact.pin, lid_pin=self.lid.pin)
        self.wire = wire(gpio)
        self.door_moves = list(moves)
        self.bounces = bounces
        self.writes = 0

    def write(self, i, data):
        super().write(i, data)
        self.writes += 1

    # As the chip

    def sleep(self, span_ms, level, lid_level=None):
        self.slept.append((span_ms, level))
        assert len(self.slept) < ENDLESS, "it goes to sleep over and over"
        self.rp2.sleep(span_ms, level, lid_level)

    # As machine

    def reset_cause(self):
        return self.PWRON_RESET

    def lightsleep(self, span_ms):
        """Until the door moves; once it has moved for the last time the test is over."""
        if not self.door_moves:
            raise Asleep
        if self.door_moves[0] > self.now_ms + span_ms:
            self.now_ms += span_ms
            return
        self.now_ms = self.door_moves.pop(0)
        level = 1 - self.wire.level
        for _ in range(self.bounces):
            self.wire.drive(level)
            self.wire.drive(1 - level)
        self.wire.drive(level)


def lived(door):
    """Until the door has moved for the last time: what was reported, (levels, number) each."""
    kept = reed.ticks_ms
    reed.ticks_ms = door.ticks_ms
    try:
        door.cycle = door.live(POWER_ON)
    finally:
        reed.ticks_ms = kept
    return [report[:2] for report in door.reports]


@cases(0, 3)
def test_bouncing_edge_ends_one_sleep_and_is_debounced(bounces):
    door = Door([START_MS, 2 * START_MS, 3 * START_MS], bounces)
    assert lived(door) == [([], 0), ([1], 1), ([0], 2), ([1], 3)]
    # a look before it has lasted would find nothing, save that, and be woken by it again
    assert [level for _, level in door.slept] == [1, 0, 1, 0]


def test_flash_writes_per_edge_stay_constant():
    writes = []
    for count in (1, 2, 3):
        door = Door([(i + 1) * START_MS for i in range(count)])
        lived(door)
        writes.append(door.writes)
    assert writes[2] - writes[1] == writes[1] - writes[0] <= 3


@cases((0, GPIO), (3, GPIO), (0, LID_GPIO))
def test_ever_bouncing_contact_is_left_unarmed(bounces, gpio):
    door = Door([START_MS + 1000 * i for i in range(40)], bounces, gpio)
    lived(door)
    assert None in [level for _, level in door.slept]
    assert UNSTEADY in [fault[0] for fault in door.cycle.log.faults]
    assert len(door.reports) < 36
