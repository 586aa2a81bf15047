"""How OSCORE frames a message in another one: the option's value, inside and outside (RFC 8613).

Machine code like scan.py, and with the same promises, in a file that only a node with keys loads.
"""

import micropython
from micropython import const

ABSENT = const(0x3FFFFFFF)

# What parse() finds in the value of an OSCORE option
PIV_AT = const(0)
PIV_LENGTH = const(1)  # 0: none
CONTEXT_AT = const(2)
CONTEXT_LENGTH = const(3)  # ABSENT: none
KID_AT = const(4)
KID_LENGTH = const(5)  # ABSENT: none
PIV_HIGH = const(6)  # the Partial IV >> 20
PIV_LOW = const(7)  # the rest of it
FIELDS = const(8)

# The numbers of scan.py: the compiler folds only the constants of the file at hand
_HEAD = const(53)  # scan.HEAD
_VALUE = const(60)  # scan.VALUE
_LENGTH = const(61)  # scan.LENGTH

_URI_HOST = const(3)
_OBSERVE = const(6)
_URI_PORT = const(7)
_OSCORE = const(9)


# The value of the option (section 6.1)


@micropython.viper
def parse(buf: ptr8, at: int, n: int, fields: ptr32) -> int:
    """Take the option value buf[at:at+n] apart (section 6.1): 1, or 0 for what is none."""
    fields[PIV_LENGTH] = 0
    fields[CONTEXT_LENGTH] = ABSENT
    fields[KID_LENGTH] = ABSENT
    fields[PIV_HIGH] = 0
    fields[PIV_LOW] = 0
    if n == 0:
        return 1
    end = at + n
    flags = buf[at]
    at += 1
    n = flags & 7
    if flags == 0 or flags > 0x1F or n > 5 or at + n > end:
        return 0
    fields[PIV_AT] = at
    fields[PIV_LENGTH] = n
    high = 0
    low = 0
    while n:
        high = high << 8 | low >> 12
        low = (low & 0xFFF) << 8 | buf[at]
        at += 1
        n -= 1
    fields[PIV_HIGH] = high
    fields[PIV_LOW] = low
    if flags & 16:
        if at == end or at + 1 + buf[at] > end:
            return 0
        fields[CONTEXT_AT] = at + 1
        fields[CONTEXT_LENGTH] = buf[at]
        at += 1 + buf[at]
    if flags & 8:
        fields[KID_AT] = at
        fields[KID_LENGTH] = end - at
    elif at < end:
        return 0
    return 1


@micropython.viper
def put_option(out: ptr8, piv: ptr8, tail, flags: int) -> int:
    """The value of a request's OSCORE option: `tail` is ID context and kid: its length."""
    more = ptr8(tail)  # pyright: ignore[reportCallIssue]
    n = int(len(tail))
    end = piv[0] + 1
    i = 1
    while i < end:
        out[i] = piv[i]
        i += 1
    out[0] = piv[0] | flags
    i = 0
    while i < n:
        out[end] = more[i]
        end += 1
        i += 1
    return end


# The message (sections 4 and 5.3)


@micropython.viper
def split_inner(out: ptr8, tx: ptr8, at: int, n: int) -> int:
    """Write the plaintext (section 5.3) of the message tx[0:n], options from `at` on: its length.

    Uri-Host and Uri-Port are for those on the way. The Observe of an answer is empty inside.
    `out` holds n bytes.
    """
    out[0] = tx[1]
    end = 1
    number = 0
    written = 0
    while at < n and tx[at] != 0xFF:
        head = tx[at]
        at += 1
        delta = head >> 4
        if delta == 13:
            delta = 13 + tx[at]
            at += 1
        elif delta == 14:
            delta = 269 + (tx[at] << 8 | tx[at + 1])
            at += 2
        length = head & 15
        start = at
        if length == 13:
            length = 13 + tx[at]
            at += 1
        elif length == 14:
            length = 269 + (tx[at] << 8 | tx[at + 1])
            at += 2
        number += delta
        stop = at + length
        if number != _URI_HOST and number != _URI_PORT:
            delta = number - written
            written = number
            low = head & 15
            if number == _OBSERVE and tx[1] > 31:
                low = 0
                at = stop
            high = delta
            if delta > 268:
                high = 14
                out[end + 1] = (delta - 269) >> 8
                out[end + 2] = (delta - 269) & 255
            elif delta > 12:
                high = 13
                out[end + 1] = delta - 13
            out[end] = high << 4 | low
            end += 1
            if high == 13:
                end += 1
            elif high == 14:
                end += 2
            if low:
                i = start
                while i < stop:
                    out[end] = tx[i]
                    end += 1
                    i += 1
        at = stop
    while at < n:
        out[end] = tx[at]
        end += 1
        at += 1
    return end


@micropython.viper
def keep_outer(tx: ptr8, at: int, n: int, value: ptr8, length: int) -> int:
    """Leave of the message tx[0:n], whose options begin at `at`, what is for others on the way,
    and add the OSCORE option: its end. tx has room for `length` + 2 bytes more.
    """
    end = at
    code = 2  # POST; FETCH with Observe
    if tx[1] > 31:
        code = 0x44  # 2.04; 2.05 with Observe
    number = 0
    written = 0
    while at < n and number < _URI_PORT and tx[at] != 0xFF:
        head = tx[at]
        if head >> 4 > 12:
            break
        at += 1
        number += head >> 4
        size = head & 15
        if size == 13:
            size = 14 + tx[at]
        elif size == 14:
            size = 271 + (tx[at] << 8 | tx[at + 1])
        if number == _URI_HOST or number == _OBSERVE or number == _URI_PORT:
            tx[end] = (number - written) << 4 | head & 15
            written = number
            if number == _OBSERVE:
                code = 5 if code < 32 else 0x45
            end += 1
            size += at
            while at < size:
                tx[end] = tx[at]
                end += 1
                at += 1
        else:
            at += size
    tx[1] = code
    if length < 13:
        tx[end] = (_OSCORE - written) << 4 | length
        end += 1
    else:
        tx[end] = (_OSCORE - written) << 4 | 13
        tx[end + 1] = length - 13
        end += 2
    i = 0
    while i < length:
        tx[end] = value[i]
        end += 1
        i += 1
    return end


@micropython.viper
def merge(out: ptr8, buf: ptr8, r: ptr32, text: ptr8, n: int, marked: int) -> int:
    """Write the message that text[0:n], n > 0, stands for: its length.

    Header and token are those of `buf`, whose index is r; `marked`: the OSCORE option that step()
    has found there last is put among the options. `out` holds the message at hand and 8 bytes
    more; the text is any bytes: where it is malformed, the message is, or the mark is missing.
    """
    head = r[_HEAD]
    i = 0
    while i < head:
        out[i] = buf[i]
        i += 1
    out[1] = text[0]
    end = head
    i = 1
    if marked:
        at = r[_VALUE]
        length = r[_LENGTH]
        number = 0
        delta = 0
        while i < n:
            delta = text[i] >> 4
            size = text[i] & 15
            if delta > 12 or number + delta >= _OSCORE:
                break
            number += delta
            start = i
            i += 1
            if size == 13:
                if i < n:
                    size += 1 + text[i]
            elif size == 14:
                if i + 1 < n:
                    size = 271 + (text[i] << 8 | text[i + 1])
            i += size
            if i > n:
                i = n
            while start < i:
                out[end] = text[start]
                end += 1
                start += 1
        out[end] = (_OSCORE - number) << 4 | (length if length < 13 else 13)
        end += 1
        if length > 12:
            out[end] = length - 13
            end += 1
        size = at + length
        while at < size:
            out[end] = buf[at]
            end += 1
            at += 1
        if i < n and text[i] != 0xFF and delta < 15:
            # the option behind it: its number is counted from OSCORE now
            size = text[i] & 15
            i += 1
            if delta > 12 and i + delta - 13 >= n:
                out[end] = 0xF0  # it is cut off within the header: that stays malformed
                return end + 1
            if delta == 14:
                delta = 269 + (text[i] << 8 | text[i + 1])
                i += 2
            elif delta == 13:
                delta = 13 + text[i]
                i += 1
            delta = number + delta - _OSCORE
            if delta > 268:
                out[end] = 0xE0 | size
                out[end + 1] = (delta - 269) >> 8
                out[end + 2] = (delta - 269) & 255
                end += 3
            elif delta > 12:
                out[end] = 0xD0 | size
                out[end + 1] = delta - 13
                end += 2
            else:
                out[end] = delta << 4 | size
                end += 1
    while i < n:
        out[end] = text[i]
        end += 1
        i += 1
    return end
