"""Milliseconds that wrap at 2**30, the same on every port and on CPython."""

import time

from micropython import const

_MASK = const(0x3FFFFFFF)
_HALF = const(0x20000000)


def _host_ms():
    return time.monotonic_ns() // 1_000_000  # pyright: ignore[reportAttributeAccessIssue]


_now_ms = getattr(time, "ticks_ms", _host_ms)


def ticks_ms():
    """Return the milliseconds of a monotonic clock, modulo 2**30."""
    return _now_ms() & _MASK


def span_ms(since, until):
    """Return the milliseconds from `since` to `until`, -2**29 to 2**29 - 1."""
    return ((until - since + _HALF) & _MASK) - _HALF
