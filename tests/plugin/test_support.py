"""The helpers that the portable tests trust, on every interpreter."""

import micropython

from support import allocated, hexbytes, locked, only, raises, retained
from support.engine import next_mid


def nothing():
    return None


def small_list():
    return [1, 2, 3]


def large_frame():
    a = b = c = d = e = f = g = h = i = j = k = 1
    return a + b + c + d + e + f + g + h + i + j + k


def given_back():
    bytearray(1000)


def test_hexbytes():
    assert hexbytes("40 01\n 12fF") == b"\x40\x01\x12\xff"
    assert hexbytes("") == b""
    raises(ValueError, hexbytes, "4")


def test_raises_returns_the_exception():
    assert raises(KeyError, {}.pop, "absent").args == ("absent",)
    assert isinstance(raises(LookupError, [].pop), IndexError)


def test_raises_lets_others_pass_and_insists():
    assert isinstance(raises(ZeroDivisionError, raises, KeyError, lambda: 1 // 0), Exception)
    assert "returned 3" in str(raises(AssertionError, raises, KeyError, lambda: 3))


def test_locked_returns_the_result():
    assert locked(lambda: 5) == 5


def test_nothing_is_allocated_by_measuring():
    for times in (1, 2, 100):
        assert allocated(nothing, times) == 0
        assert retained(nothing, times) == 0


@only("micropython")
def test_what_is_kept_is_counted():
    once = allocated(small_list)
    assert once > 0
    assert allocated(small_list, 10) == 10 * once
    assert retained(small_list, 10) >= 10 * once


@only("micropython")
def test_what_is_given_back_is_counted():
    assert allocated(given_back) >= 1000


@only("micropython")
def test_a_frame_on_the_heap_is_counted():
    assert allocated(large_frame) > 11 * 4
    # Neither of these sees it: the frame is freed on return, and is on the stack when locked.
    assert retained(large_frame) == 0
    assert locked(large_frame) == 11


@only("micropython")
def test_locked_refuses_to_allocate_and_unlocks():
    raises(MemoryError, locked, small_list)
    assert small_list() == [1, 2, 3]
    micropython.heap_lock()
    assert micropython.heap_unlock() == 0


def test_mids_begin_anew():
    assert next_mid() == 0x4001


def test_mids_begin_anew_in_each_test():
    assert next_mid() == 0x4001
