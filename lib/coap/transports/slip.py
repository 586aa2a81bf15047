"""Frames on a serial line: RFC 1055, and the checksum of RFC 1662 appendix C; machine code."""

import micropython
from micropython import const

# What unslip() keeps of a line: how it stands, what the frame is, how long it is, how long one may
# be; the chunk at hand: where to go on, how many bytes of text lie at its start; then counts
SLIP_MODE = const(0)
SLIP_KIND = const(1)  # the first byte of the frame, which is not among its bytes
SLIP_SIZE = const(2)
SLIP_ROOM = const(3)
SLIP_AT = const(4)
SLIP_TEXT = const(5)
SLIP_WILD = const(6)  # text that is none: the rest of a frame whose start was lost
SLIP_BREAK = const(7)  # Ctrl-C came outside of frames
SLIP_DROPPED = const(8)  # frames that were too long or had a wrong escape
SLIP_WORDS = const(9)

# SLIP_MODE
SLIP_OUTSIDE = const(0)
SLIP_BEGUN = const(1)  # after an END
SLIP_INSIDE = const(2)
SLIP_ESCAPED = const(3)
SLIP_SKIPPED = const(4)  # the rest of a damaged frame


@micropython.viper
def unslip(chunk: ptr8, n: int, frame: ptr8, w: ptr32) -> int:
    """Take chunk[w[SLIP_AT]:n] until a frame ends: 1, and its SLIP_SIZE bytes lie in `frame`; 0
    when the chunk ends first.

    Text outside of frames is moved to the start of the chunk. The END of a frame may be the start
    of the next one if bytes were lost, so it is the caller that says whether the frame was good,
    with SLIP_OUTSIDE. Only the start of a long frame is kept, and one with CoAP is dropped.
    """
    at = w[SLIP_AT]
    mode = w[SLIP_MODE]
    size = w[SLIP_SIZE]
    room = w[SLIP_ROOM]
    text = w[SLIP_TEXT]
    while at < n:
        byte = chunk[at]
        at += 1
        if byte == 0xC0:
            done = 0
            if mode == SLIP_INSIDE:
                done = 1
            elif mode == SLIP_ESCAPED:
                w[SLIP_DROPPED] += 1
            mode = SLIP_BEGUN
            w[SLIP_WILD] = 0
            if done:
                w[SLIP_AT] = at
                w[SLIP_MODE] = mode
                w[SLIP_SIZE] = size
                w[SLIP_TEXT] = text
                return 1
        elif mode == SLIP_INSIDE or mode == SLIP_ESCAPED:
            if byte == 0xDB and mode == SLIP_INSIDE:
                mode = SLIP_ESCAPED
                continue
            if mode == SLIP_ESCAPED:
                mode = SLIP_INSIDE
                if byte == 0xDC:
                    byte = 0xC0
                elif byte == 0xDD:
                    byte = 0xDB
                else:
                    mode = SLIP_SKIPPED
                    w[SLIP_DROPPED] += 1
            if size < room:
                frame[size] = byte
                size += 1
            elif mode == SLIP_INSIDE and w[SLIP_KIND] == 0xA9:
                mode = SLIP_SKIPPED
                w[SLIP_DROPPED] += 1
        elif mode != SLIP_SKIPPED:
            high = byte >> 4
            if mode == SLIP_BEGUN and (
                byte == 0xA9 or byte == 10 or high == 6 or (high == 4 and byte & 15 > 4)
            ):
                mode = SLIP_INSIDE
                w[SLIP_KIND] = byte
                size = 0
            elif mode == SLIP_BEGUN and byte > 127:
                mode = SLIP_SKIPPED
                w[SLIP_DROPPED] += 1
            else:
                mode = SLIP_OUTSIDE
                if byte > 127:
                    w[SLIP_WILD] = 1
                elif byte == 13:
                    w[SLIP_WILD] = 0
                elif byte == 3 and w[SLIP_WILD] == 0:
                    w[SLIP_BREAK] = 1
                chunk[text] = byte
                text += 1
    w[SLIP_AT] = at
    w[SLIP_MODE] = mode
    w[SLIP_SIZE] = size
    w[SLIP_TEXT] = text
    return 0


@micropython.viper
def slip(out: ptr8, at: int, source: ptr8, w: ptr32) -> int:
    """Escape source[w[SLIP_AT]:w[SLIP_SIZE]] into out[at:w[SLIP_ROOM]], as much as fits: its end.

    With room for two bytes there is always some that fits.
    """
    i = w[SLIP_AT]
    n = w[SLIP_SIZE]
    room = w[SLIP_ROOM] - 1
    while i < n and at < room:
        byte = source[i]
        i += 1
        if byte == 0xC0 or byte == 0xDB:
            out[at] = 0xDB
            at += 1
            byte = 0xDC if byte == 0xC0 else 0xDD
        out[at] = byte
        at += 1
    w[SLIP_AT] = i
    return at


@micropython.viper
def fcs16(buf: ptr8, n: int, value: int) -> int:
    """Continue the frame check sequence of RFC 1662, which starts as 0xFFFF, over buf[0:n]."""
    i = 0
    while i < n:
        byte = (buf[i] ^ value) & 255
        byte = (byte ^ byte << 4) & 255
        value = value >> 8 ^ byte << 8 ^ byte << 3 ^ byte >> 4
        i += 1
    return value
