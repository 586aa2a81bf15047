"""The event journal of a contact and its lid: every edge in order, until somebody has taken it.

Events are numbered from 1, modulo 2**30, and a number is never used twice, so that a receiver
knows a repeat from something new and sees what is missing. The newest are kept in a ring. What
falls out of it before it was released is counted (`dropped`); when nobody can say how much is
missing, because memory was lost or the contact was not watched, that is counted too (`blanks`),
and never taken for zero.

    journal = Journal()
    journal.note(1, PIN, now_s)           it opened
    journal.catch_up(1, 3, PIN, now_s)    three edges since, the last one to level 1
    journal.note(1, PIN | LID, now_s)     the lid of the housing was taken off
    offer = journal.offer()               what a report tells ...
    journal.release(offer)                ... and has told, once its 2.04 is there

state() is a journal as bytes and restore() takes them back; whoever keeps them sees to CRC and
torn writes (power.retained_state). All of it: a head of 24 bytes, 9 for each event, 5 for each
fault. The
ring lies in memory as it does in there, so an event that is noted takes none.

Times are seconds of a clock that goes on while the node sleeps, modulo 2**30. Only differences
matter; a clock that was set back makes an event happen "now", unless rebase() is told of it.
"""

from micropython import const

CLOCK_MASK = 0x3FFFFFFF
_HALF = const(0x20000000)

# Why the contact was looked at when the edge was seen
AWAKE = 0  # the node was awake: an interrupt, or the main loop
PIN = 1  # the edge itself woke the node
TIMER = 2  # the contact was found changed at a planned wake
POWER_ON = 3  # ... or at power-on
RESET = 4  # ... or after a reset
REASONS = ("awake", "pin", "timer", "power-on", "reset")

LID = 8  # beside the reason: it was the lid that moved

# What went wrong; the oldest of these is overwritten
JOIN_FAILED = 1
REPORT_FAILED = 2
AWAKE_TOO_LONG = 3
UNSTEADY = 4  # the contact moved so often that it was left alone for a while
MEMORY_LOST = 5
MEMORY_TORN = 6
ROLLED_BACK = 7  # the settings
WATCHDOG = 8
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
)

_VERSION = const(2)
_HEAD = const(24)
_EVENT = const(9)
_FAULT = const(5)
_UNSEEN = const(3)  # a level that is not known
_REASON = const(7)  # without LID


class EventLog:
    """slots: events kept, at most 255; fault_slots: failures kept.

    number    of the last event; 0: none yet
    released  the last number that somebody has taken
    kept      events in the ring
    dropped   events that fell out before they were released
    blanks    how often nobody knows what is missing
    level     of the contact after its last event; -1 while it is not known
    lid       likewise of the lid; lid_moves: how often that has moved, modulo 2**30
    faults    what failed, oldest first: (what, seconds)
    """

    def __init__(self, slots=32, fault_slots=8):
        if not (1 <= slots <= 255 and 0 <= fault_slots <= 255):
            raise ValueError("slots: 1 to 255; fault_slots: 0 to 255")
        self.slots = slots
        self.fault_slots = fault_slots
        self.number = self.released = 0
        self.dropped = self.blanks = 0
        self.level = self.lid = -1
        self.lid_moves = 0
        self.kept = 0
        self.faults = []
        self._ring = bytearray(_EVENT * slots)
        self._first = 0  # where the oldest is, in events

    @property
    def events(self):
        """Those that are kept, oldest first: (number, seconds, reason << 1 | level)."""
        ring = self._ring
        places = [self._place(i) for i in range(self.kept)]
        return [(_get(ring, at), _get(ring, at + 4), ring[at + 8]) for at in places]

    @property
    def pending(self):
        """How many of the events that are kept nobody has taken."""
        count = 0
        i = self.kept
        while i:
            i -= 1
            if self._is_new(_get(self._ring, self._place(i))):
                count += 1
        return count

    # Writing

    def note(self, level, reason, now_s):
        """The contact, or with LID the lid, has changed to `level`: the number of the event."""
        if self.kept == self.slots:
            self._push_out()
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

    def catch_up(self, level, edges, reason, now_s):
        """`edges` of them have happened, and the contact, or the lid, is at `level` now."""
        while edges > 0:
            edges -= 1
            self.note(level ^ edges & 1, reason, now_s)

    def blank(self, level=-1):
        """Nobody knows what happened since the last event; the contact is at `level` now."""
        self.blanks = (self.blanks + 1) & 0xFFFF
        self.level = level

    def skip(self, numbers):
        """Leave out so many numbers, for they may have been used before memory was lost."""
        self.number = (self.number + numbers) & CLOCK_MASK

    def fault(self, what, now_s):
        """Something failed."""
        if len(self.faults) == self.fault_slots:
            self.faults.pop(0)
        self.faults.append((what, now_s & CLOCK_MASK))

    def rebase(self, now_s):
        """The power is back, and on a Pico the clock began anew. If what is kept lies ahead, the
        newest of it happened now, at the latest, and the rest as long before as it did.
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

    # Reporting

    def offer(self, most=8):
        """What a report made now may tell: (first, last, dropped, blanks), at most so many events.

        The numbers first to last follow upon each other; last is before first when there is no
        event to tell.
        """
        first, last = (self.number + 1) & CLOCK_MASK, self.number
        told = 0
        for i in range(self.kept):
            number = _get(self._ring, self._place(i))
            if self._is_new(number) and told < most:
                if told and number != (last + 1) & CLOCK_MASK:
                    break
                if not told:
                    first = number
                last = number
                told += 1
        return first, last, self.dropped, self.blanks

    def release(self, offer):
        """That much has been taken; what came since has not."""
        _, last, dropped, blanks = offer
        if self._is_new(last):
            self.released = last
        self.dropped = max(self.dropped - dropped, 0)
        self.blanks = (self.blanks - blanks) & 0xFFFF

    # Reading

    def event(self, number, now_s):
        """(level, reason, age in seconds) of an event that is kept; None for any other."""
        for other, when_s, what in self.events:
            if other == number:
                return what & 1, what >> 1, age_s(when_s, now_s)
        return None

    def _is_new(self, number):
        return 0 < (number - self.released) & CLOCK_MASK < _HALF

    def _place(self, i):
        """Where the i-th of the events is in the ring, the oldest being the first."""
        return (self._first + i) % self.slots * _EVENT

    def _push_out(self):
        if self._is_new(_get(self._ring, self._place(0))):
            self.dropped = (self.dropped + 1) & CLOCK_MASK
        self._first = (self._first + 1) % self.slots
        self.kept -= 1

    # Across a sleep

    def state(self):
        """All of it as bytes."""
        end = _HEAD + _EVENT * self.kept
        out = bytearray(end + _FAULT * len(self.faults))
        out[0] = _VERSION
        out[1] = self.kept
        out[2] = len(self.faults)
        out[3] = (self.level & _UNSEEN) | (self.lid & _UNSEEN) << 2
        numbers = (self.number, self.released, self.dropped, self.blanks, self.lid_moves)
        for i, value in enumerate(numbers):
            _put(out, 4 + 4 * i, value)
        for i in range(self.kept):
            at = self._place(i)
            out[_HEAD + _EVENT * i : _HEAD + _EVENT * (i + 1)] = self._ring[at : at + _EVENT]
        for i, (what, when_s) in enumerate(self.faults):
            _put(out, end + _FAULT * i, when_s)
            out[end + _FAULT * i + 4] = what
        return bytes(out)

    def restore(self, blob):
        """Go on from what state() gave. False: it is not usable, and nothing has changed."""
        if len(blob) < _HEAD or blob[0] != _VERSION:
            return False
        kept, failed, level, lid = blob[1], blob[2], blob[3] & 3, blob[3] >> 2
        end = _HEAD + _EVENT * kept
        if kept > self.slots or failed > self.fault_slots or level == 2 or lid not in (0, 1, 3):
            return False
        if len(blob) != end + _FAULT * failed:
            return False
        numbers = [_get(blob, at) for at in range(4, _HEAD, 4)]
        faults = [(blob[at + 4], _get(blob, at)) for at in range(end, len(blob), _FAULT)]
        if max(numbers) > CLOCK_MASK or not _are_good(blob, end, faults):
            return False
        self.number, self.released, self.dropped, self.blanks, self.lid_moves = numbers
        self.level = -1 if level == _UNSEEN else level
        self.lid = -1 if lid == _UNSEEN else lid
        self._first = 0
        self.kept = kept
        self._ring[: end - _HEAD] = blob[_HEAD:end]
        self.faults = faults
        return True


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
    """Seconds since then; 0 when that would lie ahead, for somebody has set the clock."""
    age = (now_s - then_s) & CLOCK_MASK
    return age if age < _HALF else 0


def _ahead_s(when_s, now_s):
    """Seconds until then; 0 for the past."""
    return age_s(now_s, when_s)


def _put(buf, at, value):
    buf[at] = value >> 24
    buf[at + 1] = value >> 16 & 255
    buf[at + 2] = value >> 8 & 255
    buf[at + 3] = value & 255


def _get(buf, at):
    return buf[at] << 24 | buf[at + 1] << 16 | buf[at + 2] << 8 | buf[at + 3]
