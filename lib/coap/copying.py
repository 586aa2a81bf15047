"""Copies from one buffer to another, compiled to machine code.

The one place where pointers are moved: a byte costs a third of what it costs by its index.
"""

# pyright: reportCallIssue=false
import sys

import micropython

# Words are moved where both buffers are aligned alike; the processors of PCs need no alignment.
_ALIGNMENT = 0 if sys.platform in ("linux", "darwin") else 3


@micropython.viper
def copy(to: ptr8, at: int, source: ptr8, start: int, n: int):
    """to[at:at+n] = source[start:start+n], forward: it may move bytes down in one buffer."""
    to = ptr8(int(to) + at)
    source = ptr8(int(source) + start)
    if n > 31 and (int(to) ^ int(source)) & int(_ALIGNMENT) == 0:
        while int(to) & int(_ALIGNMENT):
            to[0] = source[0]
            to = ptr8(int(to) + 1)
            source = ptr8(int(source) + 1)
            n -= 1
        words = ptr32(to)
        more = ptr32(source)
        while n > 31:
            words[0] = more[0]
            words[1] = more[1]
            words[2] = more[2]
            words[3] = more[3]
            words[4] = more[4]
            words[5] = more[5]
            words[6] = more[6]
            words[7] = more[7]
            words = ptr32(int(words) + 32)
            more = ptr32(int(more) + 32)
            n -= 32
        to = ptr8(words)
        source = ptr8(more)
    while n > 7:
        to[0] = source[0]
        to[1] = source[1]
        to[2] = source[2]
        to[3] = source[3]
        to[4] = source[4]
        to[5] = source[5]
        to[6] = source[6]
        to[7] = source[7]
        to = ptr8(int(to) + 8)
        source = ptr8(int(source) + 8)
        n -= 8
    at = 0
    while at < n:
        to[at] = source[at]
        at += 1


def _copy(to, at, source, start, n):
    while n:
        to[at] = source[start]
        at += 1
        start += 1
        n -= 1


try:
    copy = ptr8(_copy)  # where it is a name, functions are bytecode: buffers can not be moved
except NameError:
    del _copy
