"""The wearer of a simulated week, and what became of the rows that were measured.

The light is a beat that is repeated, made once: a day of it has four million samples. Produced:
rows that the firmware kept, counted as it keeps them. Reported: the receiver has the row, once,
with the time at which it was measured. Said: the node has told since that so many were pushed out,
or that nobody knows. Waiting: at the end, no full pack yet. Lost is all the rest.
"""

from chips.lsm6dsox import Lsm6dsox
from chips.max30102 import Max30102
from chips.tmp117 import Tmp117
from machine import bus, clock

BEATS = 10
FULL = 0x2F  # what register 10 of the light has while it measures
TOLERANCE_MS = 25_000  # a report may take many tries, and its times count from the first
_SAMPLES = 50 * 60 * BEATS // 72  # ten beats of 72 a minute
_SAMPLE = 6
_PASS_MS = 60_000


class Light(Max30102):
    """Fills and empties its FIFO as a whole; the same registers."""

    def __init__(self):
        super().__init__()
        self._tape = bytearray(_SAMPLES * _SAMPLE)
        self._at = 0
        self._taken = 0
        self.dropped = 0
        self._record()

    def read(self, buffer):
        if self.pointer != 7:
            super().read(buffer)
            return
        n = len(buffer)
        start = self._taken * _SAMPLE % len(self._tape)
        first = min(n, len(self._tape) - start)
        if self.finger:
            buffer[:first] = self._tape[start : start + first]
            buffer[first:] = self._tape[: n - first]
        else:
            buffer[:] = b"\0\3\x84" * (n // 3)
        self._taken += n // _SAMPLE
        self.registers[6] = (self.registers[6] + n // _SAMPLE) & 31
        self.registers[5] = 0
        self._full = False

    def _record(self):
        for register, value in ((0x0A, FULL), (0x08, 0x70), (0x0C, 36), (0x0D, 36)):
            self.registers[register] = value
        for i in range(_SAMPLES):
            self._beat()
            self._store_at(i * _SAMPLE, self._light(0))
            self._store_at(i * _SAMPLE + 3, self._light(1))
        self._reset()

    def _store_at(self, at, value):
        self._tape[at] = value >> 16 & 3
        self._tape[at + 1] = value >> 8 & 0xFF
        self._tape[at + 2] = value & 0xFF

    def _push(self):
        registers = self.registers
        if self._full:
            registers[5] = min(31, registers[5] + 1)
            registers[6] = (registers[6] + 1) & 31
            self._taken += 1
            self.dropped += 1
        registers[4] = (registers[4] + 1) & 31
        self._full = registers[4] == registers[6]


class Wearer:
    """Wears the board two thirds of the time, and walks now and then.

    produced: [(number, when)] of the rows that the firmware kept
    """

    def __init__(self, world, sda_pin):
        self.produced = []
        self._world = world
        self._bus = bus(sda_pin)
        clock.ms = lambda: world.now_ms & 0x3FFFFFFF
        self.powered(True)
        self._pass(None)

    def powered(self, on):
        """New chips: theirs is the board's supply."""
        if on:
            self.light = self._bus.attach(Light())
            self._bus.attach(Tmp117())
            self.motion = self._bus.attach(Lsm6dsox())

    def phase(self):
        """What a nap is called while the light is as it is."""
        registers = self.light.registers
        if registers[9] & 0x87 != 3:
            return "dark"
        return "nap" if registers[10] == FULL else "glimpse"

    def count(self, batch_class):
        """Look on while a life's Batch keeps its rows."""
        add = batch_class._add_row
        self.light._last_ms = clock.ms()

        def counted(batch, now_s):
            added = add(batch, now_s)
            if added:
                self.produced.append((batch.number, self._world.now_ms))
            return added

        batch_class._add_row = counted

    def _pass(self, _):
        chance = self._world.chance
        self.light.finger = self._world.now_ms // 3_600_000 % 3 < 2
        if self.light.finger and chance.percent(50):
            self.motion.walk(20 + chance.below(80))
        self._world.at(self._world.now_ms + _PASS_MS, self._pass)


def judge(week):
    """The accounts of the rows, as a dict."""
    receiver = week.receiver
    produced = week.wearer.produced
    counts = {"produced": len(produced), "reported": 0, "unknown": 0, "waiting": 0}
    missing = 0
    newest = max([when_ms for _, when_ms, _ in receiver.rows.values()] or [0])
    known = {}
    for number, when_ms in produced:
        known[number] = when_ms
        told = receiver.rows.get(number)
        if told is not None and abs(told[1] - when_ms) < TOLERANCE_MS:
            counts["reported"] += 1
        elif when_ms > newest:
            counts["waiting"] += 1
        elif _unknown(week, when_ms):
            counts["unknown"] += 1
        else:
            missing += 1
    counts["said"] = min(receiver.lost, missing)
    counts["lost"] = missing - counts["said"]
    counts["duplicated"] = sum(
        [
            1
            for number, (_, when_ms, _) in receiver.rows.items()
            if number not in known or abs(known[number] - when_ms) >= TOLERANCE_MS
        ]
    )
    counts["pulses"] = sum([1 for values, _, _ in receiver.rows.values() if "hr" in values])
    counts["radio_wakes"] = week.air.radio_wakes
    counts["naps"] = week.chip.naps
    counts["samples_lost"] = week.wearer.light.dropped
    return counts


def _unknown(week, when_ms):
    receiver = week.receiver
    for since_ms, until_ms in week.unwatched:
        if since_ms <= when_ms <= until_ms:
            return any(said_ms > when_ms for said_ms in receiver.unknowns)
    # pushed out in the outage after a loss of power: the first report since has said so
    later = [told_ms for _, _, told_ms in receiver.rows.values() if told_ms > when_ms]
    return bool(later) and min(later) in receiver.unknowns
