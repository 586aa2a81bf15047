"""The event log of a contact and its lid: every edge in order, until the receiver acknowledged it.

Events are numbered from 1, modulo 2**30, and no number is used twice within an epoch, so a
receiver recognises a repeat and sees what is missing. An epoch is 4 random bytes, drawn when
numbers begin again because nothing of them was left: epoch and number name an event for ever.

The newest events are kept in a ring. An event that is pushed out
of the ring before it was acknowledged is counted (`dropped`). When it is unknown how much is
missing, because memory was lost or the contact was not watched, that is counted too (`gaps`); it
is never reported as zero.

    log = EventLog()
    log.record(1, PIN, now_s)           the contact opened
    log.record_many(1, 3, PIN, now_s)   three edges since, the last one to level 1
    log.record(1, PIN | LID, now_s)     the lid of the housing was taken off
    batch = log.pending_batch()         what the next report contains
    log.acknowledge(batch)              once its 2.04 has arrived

state() returns the log as bytes, restore() takes them back: a head of 28 bytes, 9 for each event,
5 for each fault. power.retained_state adds a CRC and survives torn writes. The ring has the same
layout in memory, so recording an event allocates nothing.

Times are seconds of a clock that also runs while the node sleeps, modulo 2**30. Only differences
matter. If the clock was set back, an event appears to happen now unless clock_changed() is called.
"""

import os

from micropython import const

CLOCK_MASK = const(0x3FFFFFFF)
_HALF = const(0x20000000)

# What made the node look at the contact
AWAKE = const(0)  # it was awake: an interrupt, or the main loop
PIN = const(1)  # the edge itself woke the node
TIMER = const(2)  # the contact was found changed at a planned wake
POWER_ON = const(3)  # ... or at power-on
RESET = const(4)  # ... or after a reset
REASONS = ("awake", "pin", "timer", "power-on", "reset")

LID = const(8)  # added to the reason: the lid moved, not the contact

# Faults; when all places are taken the oldest is overwritten
JOIN_FAILED = const(1)
REPORT_FAILED = const(2)
AWAKE_TOO_LONG = const(3)
UNSTEADY = const(4)  # the contact moved so often that it was left alone for a while
MEMORY_LOST = const(5)
MEMORY_TORN = const(6)
ROLLED_BACK = const(7)  # the settings
WATCHDOG = const(8)
BROWN_OUT = const(9)
FAULTS = (
    "",
    "join failed",
    "report failed",
    "awake too long",
    "contact unsteady",
    "memory lost",
    "memory torn",
    "settings rolled back",
    "watchdog",
    "brown-outs when the radio started",
)

EPOCH_BYTES = const(4)

_VERSION = const(3)
_NUMBERS = const(24)  # end of head byte and numbers
_HEAD = const(28)  # and of the epoch
_EVENT = const(9)
_FAULT = const(5)
_UNSEEN = const(3)  # the level is unknown
_REASON = const(7)  # without LID


class EventLog:
    """The ring of events and the list of faults.

    capacity: events kept, 1 to 255; fault_capacity: faults kept, 0 to 255.

    epoch         of the numbers, 4 bytes
    number        of the last event; 0: none yet
    acknowledged  the last number that the receiver has acknowledged
    kept          events in the ring
    dropped       events pushed out of the ring before they were acknowledged
    gaps          how often it is unknown what is missing
    level         of the contact after its last event; -1: unknown
    lid           the same for the lid; lid_moves: how often the lid moved, modulo 2**30
    faults        [(fault, seconds)], oldest first
    """

    def __init__(self, capacity=32, fault_capacity=8):
        if not (1 <= capacity <= 255 and 0 <= fault_capacity <= 255):
            raise ValueError("capacity: 1 to 255; fault_capacity: 0 to 255")
        self.capacity = capacity
        self.fault_capacity = fault_capacity
        self.epoch = new_epoch()
        self.number = self.acknowledged = 0
        self.dropped = self.gaps = 0
        self.level = self.lid = -1
        self.lid_moves = 0
        self.kept = 0
        self.faults = []
        self._ring = bytearray(_EVENT * capacity)
        self._first = 0  # index of the oldest event

    @property
    def events(self):
        """Return [(number, seconds, reason << 1 | level)] of the kept events, oldest first."""
        ring = self._ring
        places = [self._place(i) for i in range(self.kept)]
        return [(_get(ring, at), _get(ring, at + 4), ring[at + 8]) for at in places]

    @property
    def pending(self):
        """Return how many kept events are not acknowledged."""
        count = 0
        i = self.kept
        while i:
            i -= 1
            if self._is_new(_get(self._ring, self._place(i))):
                count += 1
        return count

    def record(self, level, reason, now_s):
        """Record that the contact, or with LID the lid, changed to `level`; return the number."""
        if self.kept == self.capacity:
            self._evict_oldest()
        self.number = (self.number + 1) & CLOCK_MASK
        at = self._place(self.kept)
        self.kept += 1
        _put(self._ring, at, self.number)
        _put(self._ring, at + 4, now_s & CLOCK_MASK)
        self._ring[at + 8] = reason << 1 | level
        if reason & LID:
            self.lid = level
            self.lid_moves = (self.lid_moves + 1) & CLOCK_MASK
        else:
            self.level = level
        return self.number

    def record_many(self, level, edges, reason, now_s):
        """Record `edges` changes; the contact, or with LID the lid, is at `level` now."""
        while edges > 0:
            edges -= 1
            self.record(level ^ edges & 1, reason, now_s)

    def mark_gap(self, level=-1):
        """Record that events since the last one are unknown; the contact is at `level` now."""
        self.gaps = (self.gaps + 1) & 0xFFFF
        self.level = level

    def skip_numbers(self, numbers):
        """Leave out numbers that may have been used before memory was lost."""
        self.number = (self.number + numbers) & CLOCK_MASK

    def record_fault(self, fault, now_s):
        """Record a fault, an index into FAULTS."""
        if len(self.faults) == self.fault_capacity:
            self.faults.pop(0)
        self.faults.append((fault, now_s & CLOCK_MASK))

    def clock_changed(self, now_s):
        """Shift the kept times if they lie ahead of a clock that started again from 0.

        The newest event or fault is then assumed to have happened now; distances are kept.
        """
        times = [when_s for _, when_s in self.faults]
        if self.kept:
            times.append(_get(self._ring, self._place(self.kept - 1) + 4))
        ahead_s = max([_ahead_s(when_s, now_s) for when_s in times] or [0])
        if ahead_s == 0:
            return
        for i in range(self.kept):
            at = self._place(i) + 4
            _put(self._ring, at, (_get(self._ring, at) - ahead_s) & CLOCK_MASK)
        self.faults = [(what, (when_s - ahead_s) & CLOCK_MASK) for what, when_s in self.faults]

    def pending_batch(self, most=8):
        """Return what the next report contains: (first, last, dropped, gaps), `most` events.

        The numbers first to last are consecutive; without an event last is first - 1.
        """
        first, last = (self.number + 1) & CLOCK_MASK, self.number
        count = 0
        for i in range(self.kept):
            number = _get(self._ring, self._place(i))
            if self._is_new(number) and count < most:
                if count and number != (last + 1) & CLOCK_MASK:
                    break
                if not count:
                    first = number
                last = number
                count += 1
        return first, last, self.dropped, self.gaps

    def acknowledge(self, batch):
        """Note that the receiver has this batch; later events stay pending."""
        _, last, dropped, gaps = batch
        if self._is_new(last):
            self.acknowledged = last
        self.dropped = max(self.dropped - dropped, 0)
        self.gaps = (self.gaps - gaps) & 0xFFFF

    def event(self, number, now_s):
        """Return (level, reason, age in s) of a kept event, None for any other number."""
        for other, when_s, what in self.events:
            if other == number:
                return what & 1, what >> 1, age_s(when_s, now_s)
        return None

    def _is_new(self, number):
        return 0 < (number - self.acknowledged) & CLOCK_MASK < _HALF

    def _place(self, i):
        """Return the offset in the ring of the i-th event, the oldest being 0."""
        return (self._first + i) % self.capacity * _EVENT

    def _evict_oldest(self):
        if self._is_new(_get(self._ring, self._place(0))):
            self.dropped = (self.dropped + 1) & CLOCK_MASK
        self._first = (self._first + 1) % self.capacity
        self.kept -= 1

    def state(self):
        """Return the whole log as bytes."""
        end = _HEAD + _EVENT * self.kept
        out = bytearray(end + _FAULT * len(self.faults))
        out[0] = _VERSION
        out[1] = self.kept
        out[2] = len(self.faults)
        out[3] = (self.level & _UNSEEN) | (self.lid & _UNSEEN) << 2
        numbers = (self.number, self.acknowledged, self.dropped, self.gaps, self.lid_moves)
        for i, value in enumerate(numbers):
            _put(out, 4 + 4 * i, value)
        out[_NUMBERS:_HEAD] = self.epoch
        for i in range(self.kept):
            at = self._place(i)
            out[_HEAD + _EVENT * i : _HEAD + _EVENT * (i + 1)] = self._ring[at : at + _EVENT]
        for i, (what, when_s) in enumerate(self.faults):
            _put(out, end + _FAULT * i, when_s)
            out[end + _FAULT * i + 4] = what
        return bytes(out)

    def restore(self, blob):
        """Restore what state() returned. Return False, changing nothing, if it is not usable."""
        if len(blob) < _HEAD or blob[0] != _VERSION:
            return False
        kept, failed, level, lid = blob[1], blob[2], blob[3] & 3, blob[3] >> 2
        end = _HEAD + _EVENT * kept
        if (
            kept > self.capacity
            or failed > self.fault_capacity
            or level == 2
            or lid not in (0, 1, 3)
        ):
            return False
        if len(blob) != end + _FAULT * failed:
            return False
        numbers = [_get(blob, at) for at in range(4, _NUMBERS, 4)]
        faults = [(blob[at + 4], _get(blob, at)) for at in range(end, len(blob), _FAULT)]
        if max(numbers) > CLOCK_MASK or not _are_good(blob, end, faults):
            return False
        self.number, self.acknowledged, self.dropped, self.gaps, self.lid_moves = numbers
        self.epoch = bytes(blob[_NUMBERS:_HEAD])
        self.level = -1 if level == _UNSEEN else level
        self.lid = -1 if lid == _UNSEEN else lid
        self._first = 0
        self.kept = kept
        self._ring[: end - _HEAD] = blob[_HEAD:end]
        self.faults = faults
        return True


def new_epoch():
    """Return 4 random bytes; zeros on a port without a source of them, which has no radio."""
    return os.urandom(EPOCH_BYTES) if hasattr(os, "urandom") else bytes(EPOCH_BYTES)


def _are_good(blob, end, faults):
    for at in range(_HEAD, end, _EVENT):
        what = blob[at + 8]
        if _get(blob, at) > CLOCK_MASK or _get(blob, at + 4) > CLOCK_MASK:
            return False
        if what >> 1 > LID | _REASON or what >> 1 & _REASON >= len(REASONS):
            return False
    for what, when_s in faults:
        if when_s > CLOCK_MASK or not 0 < what < len(FAULTS):
            return False
    return True


def age_s(then_s, now_s):
    """Return the seconds since then_s; 0 if that lies ahead because the clock was set."""
    age = (now_s - then_s) & CLOCK_MASK
    return age if age < _HALF else 0


def _ahead_s(when_s, now_s):
    """Return the seconds until when_s; 0 if that is past."""
    return age_s(now_s, when_s)


def _put(buf, at, value):
    buf[at] = value >> 24
    buf[at + 1] = value >> 16 & 255
    buf[at + 2] = value >> 8 & 255
    buf[at + 3] = value & 255


def _get(buf, at):
    return buf[at] << 24 | buf[at + 1] << 16 | buf[at + 2] << 8 | buf[at + 3]
