"""SenML packs in JSON and CBOR, written piece by piece into a sink (RFC 8428).

    pack = Pack("urn:dev:mac:a0b1c2fffed3e4f5:")    at set-up: names are checked and encoded
    TEMP = pack.field("temp", "Cel")
    ...
    pack.begin(response, CBOR, 1)
    pack.number(TEMP, 3662, 2)                      36.62 Cel
    pack.end()

A sink has write(piece, start=0, length=-1): the response of a CoAP handler, so that a pack may be
larger than a datagram (block-wise transfer), or a Buffer. A number is an integer and a count of
decimals, since floats are allocated on the heap; in CBOR it is an integer or a decimal fraction
(tag 4). From begin() to end() nothing is allocated.

A pack is an array of definite length, as section 6 requires except for streams (SensML): begin()
takes the number of records. How a record begins is compiled to machine code, begin_record().
"""

from array import array

import micropython
from micropython import const

from coap.codec import copy, write_cbor_number, write_decimal

JSON = 110  # Content-Formats
CBOR = 112

NAME_MAX = const(127)  # characters of a name, and of a base name
UNIT_MAX = const(23)
_JSON_BYTES = const(3)  # index of the length in JSON, in what _entries() returns
# Encoded labels in CBOR (table 4)
_BASE_NAME = const(0x21)  # -2
_BASE_UNIT = const(0x23)  # -4
_NAME = const(0)
_UNIT = const(1)
# Major types of CBOR (RFC 8949 section 3.1)
_NEGATIVE = const(0x20)
_TEXT = const(0x60)
# Labels of times and values and what follows them, in CBOR and JSON, each after its length
_BASE_TIME = (b"\x01\x22", b'\x05"bt":')  # -3
_TIME = (b"\x01\x06", b'\x04"t":')
_NUMBER = (b"\x01\x02", b'\x04"v":')
_TRUE = (b"\x02\x04\xf5", b'\x0a"vb":true}')
_FALSE = (b"\x02\x04\xf4", b'\x0b"vb":false}')
_STRING = (b"\x01\x03", b'\x06"vs":"')
_DECIMALS_MAX = const(18)
_SMALL = const(1 << 30)  # from here on too large for machine code
# Bytes besides names and units: brackets, two times, a label, and a sign, 19 digits and a point
_ROOM = const(96)
_NAME_CHARS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-:./_"
_FIRST_CHARS = const(62)  # of these a name may begin with

# Indices of Pack._state while a pack is written
_FORM = const(0)  # CBOR or JSON
_FIRST = const(1)  # no record has begun
_LEFT = const(2)  # records still to come
_AT = const(3)  # offset of the next record in the scratch
_LONGEST = const(4)  # bytes of the longest field in JSON for which the scratch has room
_STATE = const(5)

# Offsets in the scratch; the base time is at 0
_TIME_AT = const(28)
_START = const(56)  # of records
_FULL = const(120)  # from here on the sink gets them; after it there is room for one record

_CBOR = const(0)  # indices of a pair (CBOR, JSON)
_JSON = const(1)
_ENTRIES = const(5)  # offset of the bytes in what _entries() returns

_type = type  # module globals: builtin lookup is slower


class Pack:
    """A writer of packs, one after the other, all with the same base name and base unit.

    base_name: prefix of the names of all fields; the result must be globally unique.
    base_unit: unit of fields without one.
    Raises ValueError for what section 4.5 does not allow.
    """

    def __init__(self, base_name="", base_unit=""):
        _check_name(base_name, NAME_MAX)
        _check_unit(base_unit)
        self.base_name = base_name
        self._base = _entries(
            (_BASE_NAME, b'"bn":"', base_name), (_BASE_UNIT, b'"bu":"', base_unit)
        )
        self._scratch = bytearray(_FULL)  # times, and records as they are written
        self._state = array("i", [0] * _STATE)
        self._sink = None

    def field(self, name="", unit=""):
        """Return a name and a unit in the form that number(), boolean() and string() take.

        Raises ValueError if base name and name make no valid name, or for an invalid unit.
        """
        whole = self.base_name + name
        if not whole:
            raise ValueError("name: needed where there is no base name")
        _check_name(whole, len(self.base_name) + NAME_MAX)
        _check_unit(unit)
        field = _entries((_NAME, b'"n":"', name), (_UNIT, b'"u":"', unit))
        needed = _FULL + self._base[_JSON_BYTES] + field[_JSON_BYTES] + _ROOM
        if len(self._scratch) < needed:  # in place: a pack may be half written
            self._scratch += bytes(needed - len(self._scratch))
            self._state[_LONGEST] = field[_JSON_BYTES]
        return field

    def begin(self, sink, form, records, time_s=0):  # hot
        """Begin a pack of `records` records. form: JSON or CBOR.

        time_s: base time; below 2**28 relative to now, negative for the past (section 4.5.3).
        Raises ValueError.
        """
        if form != JSON and form != CBOR:
            raise ValueError("form: senml.JSON (110) or senml.CBOR (112)")
        if not 0 < records <= 0xFFFF:
            raise ValueError("records: a pack has at least one, and at most 65535")
        self._sink = sink
        begin_pack(self._state, self._scratch, _CBOR if form == CBOR else _JSON, records)
        if time_s:
            self._write_time(0, time_s, _BASE_TIME)

    def number(self, field, value, decimals=0, time_s=0):  # hot
        """Write a record with the number value / 10**decimals; value has at most 63 bits.

        time_s: time of measurement, added to the base time. Raises ValueError.
        """
        if not 0 <= decimals <= _DECIMALS_MAX:
            raise ValueError("decimals: 0 to 18")
        if not -1 <= value >> 63 <= 0:
            raise ValueError("value: at most 63 bits")
        at = self._open(field, time_s, _NUMBER)
        self._state[_AT] = self._write_number(at, value, decimals)

    def boolean(self, field, flag, time_s=0):  # hot
        """Write a record with a boolean. Raises ValueError."""
        self._open(field, time_s, _TRUE if flag else _FALSE)

    def string(self, field, text, time_s=0):  # hot
        """Write a record with a string: UTF-8 bytes, or a str, which is copied."""
        if isinstance(text, str):
            text = text.encode()
        at = self._open(field, time_s, _STRING)
        if self._state[_FORM] == _CBOR:
            at = _head(self._scratch, at, _TEXT, len(text))
        self._state[_AT] = at
        self._flush()
        if self._state[_FORM] == _CBOR:
            self._sink.write(text)
        else:
            self._write_escaped(text)
            self._sink.write(b'"}')

    def end(self):  # hot
        """End the pack. Raises ValueError if records are missing."""
        state = self._state
        if state[_LEFT]:
            raise ValueError("records: fewer than begin() was given")
        at = state[_AT]
        if state[_FORM] == _JSON:
            self._scratch[at] = 0x5D  # ]
            at += 1
        if at > _START:
            self._sink.write(self._scratch, _START, at - _START)

    def _flush(self):  # hot
        at = self._state[_AT] - _START
        self._state[_AT] = _START
        self._sink.write(self._scratch, _START, at)

    def _open(self, field, time_s, label):  # hot
        """Write a record up to its value into the scratch; return the offset of the value."""
        if _type(field) is not bytearray or len(field) < _ENTRIES:
            raise ValueError("field: make it with pack.field(), at set-up")
        if time_s:
            self._write_time(_TIME_AT, time_s, _TIME)
        label = label[self._state[_FORM]]
        at = begin_record(self._scratch, self._state, self._base, field, label)
        if at < 0:
            self._flush()
            at = begin_record(self._scratch, self._state, self._base, field, label)
        if at == 0:
            self._raise_misuse(field)
        return at

    def _raise_misuse(self, field):  # hot
        if self._state[_LEFT]:
            raise ValueError("field: make it with the field() of this pack, at set-up")
        raise ValueError("records: more than begin() was given")

    def _write_time(self, at, time_s, label):  # hot
        """Write a time, as an entry of a map, into the scratch, after its length in bytes."""
        if not -1 <= time_s >> 63 <= 0:
            raise ValueError("time_s: at most 63 bits")
        label = label[self._state[_FORM]]
        end = label[0]
        copy(self._scratch, at + 1, label, 1, end)
        end = self._write_number(at + 1 + end, time_s, 0)
        if self._state[_FORM] == _JSON:
            self._scratch[end - 1] = 0x2C  # ,
        self._scratch[at] = end - at - 1

    def _write_number(self, at, value, decimals):  # hot
        """Write value / 10**decimals into the scratch; return the offset of its end.

        In CBOR it is an integer or a decimal fraction, in JSON a number and the closing brace.
        """
        if not -_SMALL < value < _SMALL:
            return self._write_large(at, value, decimals)
        if self._state[_FORM] == _CBOR:
            return write_cbor_number(self._scratch, at, value, decimals)
        at = write_decimal(self._scratch, at, value, decimals)
        self._scratch[at] = 0x7D
        return at + 1

    def _write_large(self, at, value, decimals):  # hot
        """Do as _write_number(), for numbers too large for machine code."""
        if self._state[_FORM] == _CBOR:
            return _fraction(self._scratch, at, value, decimals)
        at = _decimal(self._scratch, at, value, decimals)
        self._scratch[at] = 0x7D
        return at + 1

    def _write_escaped(self, text):  # hot
        """Write a text with the characters that JSON requires to be escaped as \\u00xx."""
        start = i = 0
        while i < len(text):
            byte = text[i]
            if byte < 0x20 or byte == 0x22 or byte == 0x5C:
                self._sink.write(text, start, i - start)
                start = i + 1
                self._sink.write(b"\\u00")
                self._scratch[0] = b"0123456789abcdef"[byte >> 4]
                self._scratch[1] = b"0123456789abcdef"[byte & 15]
                self._sink.write(self._scratch, 0, 2)
            i += 1
        self._sink.write(text, start, i - start)


class Buffer:
    """A sink in memory: `n` bytes of `buf` are written; n is -1 once a write did not fit.

    Set n to 0 to start over.
    """

    def __init__(self, buf):
        self.buf = buf
        self.n = 0

    def write(self, piece, start=0, length=-1):  # hot
        """Append bytes of `piece`, without a length to its end."""
        if length < 0:
            length = len(piece) - start
        if self.n < 0 or self.n + length > len(self.buf):
            self.n = -1
            length = 0
        if length:
            copy(self.buf, self.n, piece, start, length)
            self.n += length


def _fraction(into, at, value, decimals):
    """Do as codec.write_cbor_number(), for 63 bits."""
    if decimals:
        at = write_cbor_number(into, at, 0, decimals) - 1
    if value < 0:
        return _head(into, at, _NEGATIVE, -1 - value)
    return _head(into, at, 0, value)


def _decimal(into, at, value, decimals):
    """Do as codec.write_decimal(), for 63 bits."""
    if value < 0:
        into[at] = 0x2D
        at += 1
        value = -value
    digits = 1
    rest = value
    while rest > 9:
        rest //= 10
        digits += 1
    if digits <= decimals:
        digits = decimals + 1
    end = i = at + digits + (1 if decimals else 0)
    while digits:
        i -= 1
        into[i] = 0x30 + value % 10
        value //= 10
        digits -= 1
        decimals -= 1
        if decimals == 0:
            i -= 1
            into[i] = 0x2E
    return end


def _head(into, at, major, n):
    """Write the head of a CBOR item, major type and argument, at into[at]; return its end."""
    if n < 24:
        into[at] = major | n
        return at + 1
    size = 0
    while n >> (8 << size):
        size += 1
    into[at] = major | 24 + size
    size = 1 << size
    while size:
        size -= 1
        at += 1
        into[at] = n >> 8 * size & 255
    return at + 1


def _check_name(name, longest):
    if not isinstance(name, str) or len(name) > longest:
        raise ValueError("name: a str of at most {} characters".format(NAME_MAX))
    for char in name.encode():
        if char not in _NAME_CHARS:
            raise ValueError("name: of A-Z a-z 0-9 - : . / _ only, not " + repr(name))
    if name and name[0] not in _NAME_CHARS[:_FIRST_CHARS].decode():
        raise ValueError("name: begins with a letter or digit, not like " + repr(name))


def _check_unit(unit):
    if not isinstance(unit, str) or len(unit) > UNIT_MAX:
        raise ValueError("unit: a str of at most {} characters".format(UNIT_MAX))
    for char in unit.encode():
        if not 0x20 < char < 0x7F or char == 0x22 or char == 0x5C:
            raise ValueError('unit: of printable ASCII without space, " and \\, not ' + repr(unit))


def _entries(*texts):
    """Return map entries (label, member in JSON, text) for begin_record(); skip empty texts.

    It is one bytearray, since a board has many: the number of entries; their length in CBOR and
    how much of that comes before the base time; the same two in JSON; the bytes of CBOR and JSON.
    """
    count = 0
    first = (0, 0)
    cbor = json = b""
    for label, member, text in texts:
        if text:
            count += 1
            head = (_TEXT | len(text),) if len(text) < 24 else (_TEXT | 24, len(text))
            cbor += bytes((label,) + head) + text.encode()
            json += member + text.encode() + b'",'
        if label == _BASE_NAME:
            first = (len(cbor), len(json))
    return bytearray(bytes((count, len(cbor), first[0], len(json), first[1])) + cbor + json)


@micropython.viper
def begin_pack(s: ptr32, scratch: ptr8, form: int, records: int):
    """Set the state to the beginning of a pack without a base time."""
    s[_FORM] = form
    s[_FIRST] = 1
    s[_LEFT] = records
    s[_AT] = _START
    scratch[0] = 0
    scratch[_TIME_AT] = 0


@micropython.viper
def begin_record(scratch: ptr8, s: ptr32, base: ptr8, names: ptr8, label: ptr8) -> int:
    """Write a record up to its value into the scratch (RFC 8428 sections 5 and 6).

    Return the offset of the value; -1 if the scratch is full; 0 if all records are written, or the
    scratch has no room for such names. s: Pack._state; base, names: see _entries(); label, and the
    times in the scratch: their length and bytes. Base and base time go into the first record only.
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
