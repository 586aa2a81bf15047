"""SenML packs in JSON and CBOR, written piece by piece into a sink (RFC 8428).

    pack = Pack("urn:dev:mac:a0b1c2fffed3e4f5:")    at set-up: names are checked and spelled
    TEMP = pack.field("temp", "Cel")
    ...
    pack.begin(reply, CBOR, 1)
    pack.number(TEMP, 3662, 2)                      36.62 Cel
    pack.end()

A sink is what has write(piece, start=0, length=-1): the reply of a CoAP handler, so that a pack
goes through block-wise transfer in pieces, or a Buffer. Numbers are integers with a place for the
point, as floats live on the heap; in CBOR they are integers and decimal fractions (tag 4). From
begin() to end() nothing is allocated.

A pack is an array of definite length, as section 6 demands of all but streams (SensML): begin()
takes the number of records.
"""

from micropython import const

JSON = 110  # Content-Formats
CBOR = 112

NAME_MAX = 127  # characters of a name, and of a base name
UNIT_MAX = 23
# Labels in CBOR (table 4), as they are written
_BASE_NAME = const(0x21)  # -2
_BASE_TIME = const(0x22)  # -3
_BASE_UNIT = const(0x23)  # -4
_NAME = const(0)
_UNIT = const(1)
_VALUE = const(2)
_TIME = const(6)
# Major types of CBOR (RFC 8949 section 3.1)
_NEGATIVE = const(0x20)
_TEXT = const(0x60)
_ARRAY = const(0x80)
_MAP = const(0xA0)
_MEMBERS = {_BASE_NAME: b'"bn":"', _BASE_UNIT: b'"bu":"', _NAME: b'"n":"', _UNIT: b'"u":"'}
# Of what field() makes: how many entries, a record's beginning in CBOR and in JSON
_COUNT = const(0)
_IN_CBOR = const(1)
_IN_JSON = const(2)
_DECIMALS_MAX = const(18)
_SCRATCH = const(24)  # a sign, 19 digits with a point between, and what follows them
_HEX = b"0123456789abcdef"
_NAME_CHARS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-:./_"
_FIRST_CHARS = const(62)  # those of them that a name may begin with


class Pack:
    """Writes one pack after the other, all with the same base name and base unit.

    base_name: goes before the names of all fields; together they are to be unique in the world.
    base_unit: of fields without one. Raises ValueError for what section 4.5 does not allow.
    """

    def __init__(self, base_name="", base_unit=""):
        _check_name(base_name, NAME_MAX)
        _check_unit(base_unit)
        self.base_name = base_name
        self._name = _entries((_BASE_NAME, base_name))
        self._unit = _entries((_BASE_UNIT, base_unit))
        self._base = _entries((_BASE_NAME, base_name), (_BASE_UNIT, base_unit))
        self._scratch = bytearray(_SCRATCH)
        self._sink = None
        self._cbor = False
        self._time_s = 0
        self._first = False
        self._left = 0  # records that are still to come

    def field(self, name="", unit=""):
        """What number(), boolean() and string() take: a name and a unit, spelled out.

        Raises ValueError when base name and name make no good name, or the unit is not plain.
        """
        whole = self.base_name + name
        if not whole:
            raise ValueError("name: needed where there is no base name")
        _check_name(whole, len(self.base_name) + NAME_MAX)
        _check_unit(unit)
        count, cbor, json = _entries((_NAME, name), (_UNIT, unit))
        return count, bytes((_MAP | count + 1,)) + cbor, b",{" + json

    def begin(self, sink, form, records, time_s=0):
        """Begin a pack of so many records in the format JSON or CBOR.

        time_s: base time; below 2**28 relative to now, so negative for the past (section 4.5.3).
        """
        if form != JSON and form != CBOR:
            raise ValueError("form: senml.JSON (110) or senml.CBOR (112)")
        if records < 1:
            raise ValueError("records: a pack has at least one")
        self._sink = sink
        self._cbor = form == CBOR
        self._time_s = time_s
        self._first = True
        self._left = records

    def number(self, field, value, decimals=0, time_s=0):
        """A record with a number: value / 10**decimals, where value has at most 63 bits.

        time_s: when it was measured, added to the base time.
        """
        if not 0 <= decimals <= _DECIMALS_MAX:
            raise ValueError("decimals: 0 to 18")
        if not -1 <= value >> 63 <= 0:
            raise ValueError("value: at most 63 bits")
        self._open(field, time_s)
        if self._cbor:
            self._write_number(_VALUE, value, decimals)
        else:
            self._sink.write(b'"v":')
            self._write_decimal(value, decimals, 0x7D)  # }

    def boolean(self, field, flag, time_s=0):
        """A record with a truth value."""
        self._open(field, time_s)
        if self._cbor:
            self._sink.write(b"\x04\xf5" if flag else b"\x04\xf4")
        else:
            self._sink.write(b'"vb":true}' if flag else b'"vb":false}')

    def string(self, field, text, time_s=0):
        """A record with a text: UTF-8 bytes, or a str at the cost of a copy."""
        if isinstance(text, str):
            text = text.encode()
        self._open(field, time_s)
        if self._cbor:
            self._sink.write(b"\x03")
            self._write_head(_TEXT, len(text))
            self._sink.write(text)
        else:
            self._sink.write(b'"vs":"')
            self._write_escaped(text)
            self._sink.write(b'"}')

    def end(self):
        """The pack is complete. Raises ValueError when records are missing."""
        if self._left:
            raise ValueError("records: begin() was told of more; tell it how many there are")
        if not self._cbor:
            self._sink.write(b"]")

    def _open(self, field, time_s):
        """Write all of a record but its value."""
        if type(field) is not tuple:
            raise ValueError("field: make it with pack.field(), at set-up")
        if not self._left:
            raise ValueError("records: begin() was told of fewer; tell it how many there are")
        count = field[_COUNT] + (2 if time_s else 1)
        done = 0  # of the field: how the record begins
        if self._first:
            self._first = False
            self._write_bases(count)
            done = 1 if self._cbor else 2
        elif time_s and self._cbor:
            self._write_head(_MAP, count)
            done = 1
        self._left -= 1
        self._sink.write(field[_IN_CBOR if self._cbor else _IN_JSON], done)
        if time_s:
            self._write_time(time_s, _TIME, b'"t":')

    def _write_bases(self, count):
        """The beginning of the pack, and of a first record with `count` entries of its own."""
        form = _IN_CBOR if self._cbor else _IN_JSON
        base = self._base
        count += base[_COUNT]
        count += 1 if self._time_s else 0
        if self._cbor:
            at = self._head(0, _ARRAY, self._left)
            self._scratch[at] = _MAP | count
            self._sink.write(self._scratch, 0, at + 1)
        else:
            self._sink.write(b"[{")
        if not self._time_s:
            self._sink.write(base[form])
            return
        self._sink.write(self._name[form])
        self._write_time(self._time_s, _BASE_TIME, b'"bt":')
        self._sink.write(self._unit[form])

    def _write_time(self, time_s, label, name):
        if not -1 <= time_s >> 63 <= 0:
            raise ValueError("time_s: at most 63 bits")
        if self._cbor:
            self._write_number(label, time_s, 0)
        else:
            self._sink.write(name)
            self._write_decimal(time_s, 0, 0x2C)  # ,

    def _write_number(self, label, value, decimals):
        """An entry of a CBOR map: a label, and an integer or a decimal fraction."""
        scratch = self._scratch
        scratch[0] = label
        at = 1
        if decimals:
            scratch[1] = 0xC4  # tag 4, then an array of exponent and mantissa
            scratch[2] = 0x82
            scratch[3] = _NEGATIVE + decimals - 1
            at = 4
        if value < 0:
            value = -1 - value
            at = self._head(at, _NEGATIVE, value)
        else:
            at = self._head(at, 0, value)
        self._sink.write(scratch, 0, at)

    def _write_head(self, major, n):
        n = self._head(0, major, n)
        self._sink.write(self._scratch, 0, n)

    def _head(self, at, major, n):
        """Put the head of a CBOR item, major type and argument, into the scratch: its end."""
        scratch = self._scratch
        if n < 24:
            scratch[at] = major | n
            return at + 1
        size = 0
        while n >> (8 << size):
            size += 1
        scratch[at] = major | 24 + size
        size = 1 << size
        while size:
            size -= 1
            at += 1
            scratch[at] = n >> 8 * size & 255
        return at + 1

    def _write_decimal(self, value, decimals, last):
        """value / 10**decimals as text, and the character `last`."""
        scratch = self._scratch
        at = _SCRATCH - 1
        scratch[at] = last
        rest = -value if value < 0 else value
        while rest or decimals >= 0:
            at -= 1
            scratch[at] = 0x30 + rest % 10
            rest //= 10
            decimals -= 1
            if decimals == 0:
                at -= 1
                scratch[at] = 0x2E
        if value < 0:
            at -= 1
            scratch[at] = 0x2D
        self._sink.write(scratch, at)

    def _write_escaped(self, text):
        """What JSON wants escaped as \\u00xx, all else as it is."""
        start = i = 0
        while i < len(text):
            byte = text[i]
            if byte < 0x20 or byte == 0x22 or byte == 0x5C:
                self._sink.write(text, start, i - start)
                start = i + 1
                self._sink.write(b"\\u00")
                self._scratch[0] = _HEX[byte >> 4]
                self._scratch[1] = _HEX[byte & 15]
                self._sink.write(self._scratch, 0, 2)
            i += 1
        self._sink.write(text, start, i - start)


class Buffer:
    """A sink: the first `n` bytes of `buf` are written; n stays -1 once something did not fit.

    Set n to 0 to begin anew.
    """

    def __init__(self, buf):
        self.buf = buf
        self.n = 0

    def write(self, piece, start=0, length=-1):
        if length < 0:
            length = len(piece) - start
        if self.n < 0 or self.n + length > len(self.buf):
            self.n = -1
            length = 0
        while length:  # a slice would be an object
            self.buf[self.n] = piece[start]
            self.n += 1
            start += 1
            length -= 1


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
    """Entries of a map: how many, in CBOR, and in JSON each with a comma; empty texts are left
    out.
    """
    count = 0
    cbor = json = b""
    for label, text in texts:
        if text:
            count += 1
            head = (_TEXT | len(text),) if len(text) < 24 else (_TEXT | 24, len(text))
            cbor += bytes((label,) + head) + text.encode()
            json += _MEMBERS[label] + text.encode() + b'",'
    return count, cbor, json
