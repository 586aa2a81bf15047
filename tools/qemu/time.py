"""The module `time` for a machine without it: time advances only in sleep() and sleep_ms().

Tests pass the clock as an argument; code that calls this module gets times that repeat.
"""

_MASK = 0x3FFFFFFF
_now_ms = [1000]


def ticks_ms():
    """Return the time in milliseconds."""
    return _now_ms[0]


def ticks_us():
    """Return the time in microseconds, modulo 2**30."""
    return _now_ms[0] * 1000 & _MASK


def ticks_add(ticks, span):
    """Return ticks + span, modulo 2**30."""
    return ticks + span & _MASK


def ticks_diff(later, earlier):
    """Return the signed difference of two ticks."""
    span = later - earlier & _MASK
    return span - 0x40000000 if span & 0x20000000 else span


def sleep_ms(span_ms):
    """Advance the time."""
    _now_ms[0] = _now_ms[0] + span_ms & _MASK


def sleep(span_s):
    """Advance the time by seconds."""
    sleep_ms(int(span_s * 1000))


def time():
    """Return the time in whole seconds."""
    return _now_ms[0] // 1000
