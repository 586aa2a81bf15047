"""Copies of bytes: from any place to any place, and no byte beside them."""

from coap.codec import copy
from support import cases

TEXT = bytes(range(256))


@cases(0, 1, 7, 8, 9, 15, 16, 17, 63, 64, 100)
def test_copy(n):
    for start in (0, 1, 2, 3, 5):
        for at in (0, 1, 2, 3, 6):
            to = bytearray(b"." * 120)
            copy(to, at, TEXT, start, n)
            assert to == b"." * at + TEXT[start : start + n] + b"." * (120 - at - n)


@cases(1, 2, 7, 8, 9)
def test_copy_moves_down_in_one_buffer(by):
    buffer = bytearray(TEXT)
    copy(buffer, 0, buffer, by, 100)
    assert buffer == TEXT[by : by + 100] + TEXT[100:]
