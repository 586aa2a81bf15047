"""`time` for a machine without it: time stands still until somebody sleeps.

Tests pass the clock as an argument; what asks here all the same gets an answer that repeats.
"""

_MASK = 0x3FFFFFFF
_now_ms = [1000]


def ticks_ms():
    return _now_ms[0]


def ticks_us():
    return _now_ms[0] * 1000 & _MASK


def ticks_add(ticks, span):
    return ticks + span & _MASK


def ticks_diff(later, earlier):
    span = later - earlier & _MASK
    return span - 0x40000000 if span & 0x20000000 else span


def sleep_ms(span_ms):
    _now_ms[0] = _now_ms[0] + span_ms & _MASK


def sleep(span_s):
    sleep_ms(int(span_s * 1000))


def time():
    return _now_ms[0] // 1000
