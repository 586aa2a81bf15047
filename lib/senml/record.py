"""How a record of a SenML pack begins, compiled to machine code (RFC 8428 sections 5 and 6)."""

import micropython
from micropython import const

# The ints of a pack that is being written
_FORM = const(0)  # CBOR or JSON
_FIRST = const(1)  # no record has been begun
_LEFT = const(2)  # records that are still to come
_AT = const(3)  # where the next record goes in the scratch
_LONGEST = const(4)  # bytes of a field in JSON, for which the scratch has room
_STATE = const(5)

# Where in the scratch things lie: the base time from 0 on
_TIME_AT = const(28)
_START = const(56)  # of records
_FULL = const(120)  # from here on they must be given to the sink; room for a record is behind it

_CBOR = const(0)  # forms, as they index what is spelled in both
_JSON = const(1)
_ENTRIES = const(5)  # where what opening() is given as base and names has its bytes


@micropython.viper
def start(s: ptr32, scratch: ptr8, form: int, records: int):
    """A pack of so many records begins, as yet without a base time."""
    s[_FORM] = form
    s[_FIRST] = 1
    s[_LEFT] = records
    s[_AT] = _START
    scratch[0] = 0
    scratch[_TIME_AT] = 0


@micropython.viper
def opening(scratch: ptr8, s: ptr32, base: ptr8, names: ptr8, label: ptr8) -> int:
    """Write all of a record but its value into the scratch: where that goes; -1: it is full, 0:
    all records that were announced have been, or there is no room for such names.

    base, names: how many entries; of CBOR and then of JSON how many bytes, and how many of these
    come before the base time; the bytes of CBOR, and those of JSON. label, and the times in the
    scratch: how many bytes, and the bytes. Base and base time only go into the first record.
    """
    left = s[_LEFT]
    if left == 0 or names[1] > s[_LONGEST] or names[3] > s[_LONGEST]:
        return 0
    n = s[_AT]
    if n >= _FULL:
        return -1
    s[_LEFT] = left - 1
    form = s[_FORM]
    count = 1 + names[0]
    if scratch[_TIME_AT]:
        count += 1
    if s[_FIRST]:
        s[_FIRST] = 0
        count += base[0]
        if scratch[0]:
            count += 1
        if form == _JSON:
            scratch[n] = 0x5B  # [{
            scratch[n + 1] = 0x7B
            n += 2
        else:
            if left < 24:
                scratch[n] = 0x80 | left
                n += 1
            elif left < 256:
                scratch[n] = 0x98
                scratch[n + 1] = left
                n += 2
            else:
                scratch[n] = 0x99
                scratch[n + 1] = left >> 8
                scratch[n + 2] = left & 255
                n += 3
            scratch[n] = 0xA0 | count
            n += 1
        at = _ENTRIES
        if form == _JSON:
            at += base[1]
        end = at + base[2 + 2 * form]
        while at < end:
            scratch[n] = base[at]
            n += 1
            at += 1
        i = 1
        end = i + scratch[0]
        while i < end:
            scratch[n] = scratch[i]
            n += 1
            i += 1
        end = at + base[1 + 2 * form] - base[2 + 2 * form]
        while at < end:
            scratch[n] = base[at]
            n += 1
            at += 1
    elif form == _JSON:
        scratch[n] = 0x2C  # ,{
        scratch[n + 1] = 0x7B
        n += 2
    else:
        scratch[n] = 0xA0 | count
        n += 1
    i = _ENTRIES
    if form == _JSON:
        i += names[1]
    end = i + names[1 + 2 * form]
    while i < end:
        scratch[n] = names[i]
        n += 1
        i += 1
    i = _TIME_AT + 1
    end = i + scratch[_TIME_AT]
    scratch[_TIME_AT] = 0  # of this record only
    while i < end:
        scratch[n] = scratch[i]
        n += 1
        i += 1
    i = 1
    end = i + label[0]
    while i < end:
        scratch[n] = label[i]
        n += 1
        i += 1
    s[_AT] = n
    return n
