"""What the message layer looks through for each request; compiled to machine code, see scan.py."""

import micropython
from micropython import const

# The numbers of scan.py: the compiler folds only the constants of the file at hand
_TYPE = const(49)  # scan.TYPE
_MID = const(51)  # scan.MID
_NON = const(1 << 25)  # scan.NON
_ABSENT = const(0x3FFFFFFF)  # scan.ABSENT
_MASK = const(0x3FFFFFFF)

# The ring of remembered requests: counts and lifetimes, entries of (peer << 16 | MID, when, length
# of the stored reply with RING_NON for a NON), one word a peer: is it verified?
_RING_ENTRIES = const(0)
_RING_CON_MS = const(1)
_RING_NON_MS = const(2)
_RING_FIRST = const(3)
_RING_STEP = const(3)
_RING_NON = const(1 << 16)


@micropython.viper
def seen(ring: ptr32, r: ptr32, who: int, now_ms: int) -> int:
    """Look the request of peer `who` up among those that are remembered.

    The entry's number when it is there. Else an entry is made: over a dead one, and the answer is
    entries + its number; or over the oldest that the sender may push out, and it is 2 * entries +
    its number. -1 when there is none: only a verified peer pushes out a verified one.
    """
    count = ring[_RING_ENTRIES]
    peers = _RING_FIRST + _RING_STEP * count
    trusted = ring[peers + who]
    key = who << 16 | r[_MID]
    victim = -1
    oldest = -1
    i = 0
    at = _RING_FIRST
    while i < count:
        other = ring[at]
        age = (now_ms - ring[at + 1]) & _MASK
        if other == _ABSENT or (
            # a NON is remembered for less long
            age >= ring[_RING_NON_MS] and (age >= ring[_RING_CON_MS] or ring[at + 2] & _RING_NON)
        ):
            if oldest != _MASK:
                oldest = _MASK
                victim = i
        elif other == key:
            return i
        elif age > oldest:
            if trusted or ring[peers + (other >> 16)] == 0:
                oldest = age
                victim = i
        at += _RING_STEP
        i += 1
    if victim < 0:
        return -1
    at = _RING_FIRST + _RING_STEP * victim
    ring[at] = key
    ring[at + 1] = now_ms & _MASK
    ring[at + 2] = _RING_NON if r[_TYPE] else 0
    if oldest == _MASK:
        return count + victim
    return 2 * count + victim


@micropython.viper
def random16(state: ptr32) -> int:
    """The next of a full-period sequence of 2**30, its upper 16 bits."""
    value = (state[0] * 29773421 + 12345) & _MASK
    state[0] = value
    return value >> 14
