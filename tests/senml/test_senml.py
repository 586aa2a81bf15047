"""SenML packs: the examples of RFC 8428, limits, misuse, and no allocation."""

from coap import Resource
from coap.blockwise import Blockwise
from coap.node import Node
from coap.numbers import SENML_CBOR, SENML_JSON
from senml import CBOR, JSON, Buffer, Pack
from support import allocated, cases, hexbytes, locked, raises
from support.engine import get
from support.features import BLOCK2, block

OW = "urn:dev:ow:10e2073a01080063"
MAC = "urn:dev:mac:0024befffe804ff1:"


def written(pack, form, *records, time_s=0):
    """A pack as bytes; a record is (method, field, ...)."""
    sink = Buffer(bytearray(2000))
    pack.begin(sink, form, len(records), time_s)
    for name, *arguments in records:
        getattr(pack, name)(*arguments)
    pack.end()
    assert sink.n > 0
    return bytes(sink.buf[: sink.n])


def one(name, *arguments, form=CBOR):
    """The only record of a pack, of a field without unit; in CBOR what follows its name."""
    pack = Pack()
    record = (name, pack.field("a")) + arguments
    data = written(pack, form, record)
    head = b"\x81\xa2\x00\x61a" if form == CBOR else b'[{"n":"a",'
    assert data[: len(head)] == head
    return data[len(head) :] if form == CBOR else data[len(head) : -2].decode()


# The examples of RFC 8428, without the spaces; where they have times in floating point, theirs are
# written as integers here


def test_rfc8428_single_datapoint():
    pack = Pack()
    temp = pack.field(OW, "Cel")
    assert written(pack, JSON, ("number", temp, 231, 1)) == (
        b'[{"n":"urn:dev:ow:10e2073a01080063","u":"Cel","v":23.1}]'
    )


def test_rfc8428_multiple_datapoints():
    pack = Pack(OW + ":")
    voltage, current = pack.field("voltage", "V"), pack.field("current", "A")
    assert written(pack, JSON, ("number", voltage, 1201, 1), ("number", current, 12, 1)) == (
        b'[{"bn":"urn:dev:ow:10e2073a01080063:","n":"voltage","u":"V","v":120.1},'
        b'{"n":"current","u":"A","v":1.2}]'
    )


def test_base_name_time_and_unit():
    pack = Pack(OW + ":", "A")
    voltage, current = pack.field("voltage", "V"), pack.field("current")
    records = [("number", voltage, 1201, 1)]
    records += [("number", current, 17 + t, 1, t) for t in range(-5, 1)]
    assert written(pack, JSON, *records, time_s=1276020076) == (
        b'[{"bn":"urn:dev:ow:10e2073a01080063:","bt":1276020076,"bu":"A",'
        b'"n":"voltage","u":"V","v":120.1},'
        b'{"n":"current","t":-5,"v":1.2},{"n":"current","t":-4,"v":1.3},'
        b'{"n":"current","t":-3,"v":1.4},{"n":"current","t":-2,"v":1.5},'
        b'{"n":"current","t":-1,"v":1.6},{"n":"current","v":1.7}]'
    )
    # as the dump of section 6, but for its version and with decimal fractions for its floats
    assert written(pack, CBOR, *records[:3], time_s=1276020076) == hexbytes("""
        83
        a6 21 78 1c 75726e3a6465763a6f773a31306532303733613031303830303633 3a
           22 1a 4c0e85 6c
           23 61 41  00 67 766f6c74616765  01 61 56  02 c4 82 20 19 04b1
        a3 00 67 63757272656e74  06 24  02 c4 82 20 0c
        a3 00 67 63757272656e74  06 23  02 c4 82 20 0d
    """)


def test_rfc8428_multiple_measurements():
    pack = Pack(OW, "%RH")
    humidity, lon, lat = pack.field(), pack.field(unit="lon"), pack.field(unit="lat")
    charge = pack.field(unit="%EL")
    assert written(
        pack,
        JSON,
        ("number", humidity, 20),
        ("number", lon, 2430621, 5),
        ("number", lat, 6007965, 5),
        ("number", humidity, 203, 1, 60),
        ("number", lon, 2430622, 5, 60),
        ("number", charge, 98, 0, 150),
        time_s=1320067464,
    ) == (
        b'[{"bn":"urn:dev:ow:10e2073a01080063","bt":1320067464,"bu":"%RH","v":20},'
        b'{"u":"lon","v":24.30621},{"u":"lat","v":60.07965},{"t":60,"v":20.3},'
        b'{"u":"lon","t":60,"v":24.30622},{"u":"%EL","t":150,"v":98}]'
    )


def test_rfc8428_multiple_data_types():
    pack = Pack(OW + ":")
    records = (
        ("number", pack.field("temp", "Cel"), 231, 1),
        ("string", pack.field("label"), "Machine Room"),
        ("boolean", pack.field("open"), False),
    )
    assert written(pack, JSON, *records) == (
        b'[{"bn":"urn:dev:ow:10e2073a01080063:","n":"temp","u":"Cel","v":23.1},'
        b'{"n":"label","vs":"Machine Room"},{"n":"open","vb":false}]'
    )
    assert written(pack, CBOR, *records) == hexbytes("""
        83
        a4 21 78 1c 75726e3a6465763a6f773a31306532303733613031303830303633 3a
           00 64 74656d70  01 63 43656c  02 c4 82 20 18 e7
        a2 00 65 6c6162656c  03 6c 4d616368696e6520526f6f6d
        a2 00 64 6f70656e  04 f4
    """)


def test_two_lights_with_base_time_and_unit():
    pack = Pack("", "/")
    first, second = pack.field("2001:db8::3"), pack.field("2001:db8::4")
    assert written(pack, JSON, ("number", first, 1), ("number", second, 1), time_s=1320078429) == (
        b'[{"bt":1320078429,"bu":"/","n":"2001:db8::3","v":1},{"n":"2001:db8::4","v":1}]'
    )


def test_a_history_in_the_past():
    pack = Pack(MAC)
    temp, later = pack.field("temp", "Cel"), pack.field("temp")
    records = (("number", temp, 366, 1), ("number", later, 367, 1, 600))
    assert written(pack, JSON, *records, time_s=-1800) == (
        b'[{"bn":"urn:dev:mac:0024befffe804ff1:","bt":-1800,"n":"temp","u":"Cel","v":36.6},'
        b'{"n":"temp","t":600,"v":36.7}]'
    )


# Numbers


@cases(
    (0, 0, "0", "00"),
    (23, 0, "23", "17"),
    (24, 0, "24", "1818"),
    (255, 0, "255", "18ff"),
    (256, 0, "256", "190100"),
    (65535, 0, "65535", "19ffff"),
    (65536, 0, "65536", "1a00010000"),
    (2**30 - 1, 0, "1073741823", "1a3fffffff"),
    (2**32 - 1, 0, "4294967295", "1affffffff"),
    (2**32, 0, "4294967296", "1b0000000100000000"),
    (2**63 - 1, 0, "9223372036854775807", "1b7fffffffffffffff"),
    (-1, 0, "-1", "20"),
    (-24, 0, "-24", "37"),
    (-25, 0, "-25", "3818"),
    (-256, 0, "-256", "38ff"),
    (-257, 0, "-257", "390100"),
    (-(2**30), 0, "-1073741824", "3a3fffffff"),
    (-(2**63), 0, "-9223372036854775808", "3b7fffffffffffffff"),
    (3662, 2, "36.62", "c48221190e4e"),
    (5, 1, "0.5", "c4822005"),
    (5, 3, "0.005", "c4822205"),
    (0, 2, "0.00", "c4822100"),
    (-4, 3, "-0.004", "c4822223"),
    (-1234, 3, "-1.234", "c482223904d1"),
    (100, 2, "1.00", "c482211864"),
    (1, 18, "0.000000000000000001", "c4823101"),
    (-(2**63), 18, "-9.223372036854775808", "c482313b7fffffffffffffff"),
)
def test_numbers(value, decimals, json, cbor):
    assert one("number", value, decimals, form=JSON) == '"v":' + json
    assert one("number", value, decimals) == b"\x02" + hexbytes(cbor)


@cases((2**63, 0), (-(2**63) - 1, 0), (0, -1), (0, 19))
def test_unrepresentable_numbers_are_refused(value, decimals):
    for form in (JSON, CBOR):
        error = raises(ValueError, one, "number", value, decimals, form=form)
        assert ("63 bits" if value else "0 to 18") in str(error)


def test_boolean_value():
    assert one("boolean", True, form=JSON) == '"vb":true'
    assert one("boolean", 0, form=JSON) == '"vb":false'
    assert (one("boolean", 1), one("boolean", None)) == (b"\x04\xf5", b"\x04\xf4")


@cases(-1, 1, -3600, 2**28, 4_102_444_800)
def test_times(time_s):
    pack = Pack()
    data = written(pack, JSON, ("boolean", pack.field("a"), True, time_s), time_s=time_s)
    assert data == '[{{"bt":{},"n":"a","t":{},"vb":true}}]'.format(time_s, time_s).encode()
    data = written(pack, CBOR, ("boolean", pack.field("a"), True, time_s))
    assert data[:6] == b"\x81\xa3\x00\x61a\x06" and data[-2:] == b"\x04\xf5"
    assert one("number", time_s)[1:] == data[6:-2]


def test_a_time_of_zero_is_left_out():
    assert one("boolean", True, 0, form=JSON) == '"vb":true'


def test_time_out_of_range_is_refused():
    pack = Pack()
    for form in (JSON, CBOR):
        error = raises(ValueError, written, pack, form, ("number", pack.field("a"), 0, 0, 2**63))
        assert "time_s" in str(error)


# Texts


@cases(
    ("", ""),
    ("plain", "plain"),
    ('"', "\\u0022"),
    ("\\", "\\u005c"),
    ("a\nb\x00\x1f", "a\\u000ab\\u0000\\u001f"),
    ("\x7f ~", "\x7f ~"),
    ("grün €", "grün €"),
)
def test_texts(text, json):
    for value in (text, text.encode(), bytearray(text.encode())):
        assert one("string", value, form=JSON) == '"vs":"' + json + '"'
        data = text.encode()
        assert one("string", value) == b"\x03" + bytes((0x60 | len(data),)) + data


@cases((23, "77"), (24, "7818"), (255, "78ff"), (256, "790100"))
def test_text_length_heads(length, head):
    assert one("string", b"x" * length) == b"\x03" + hexbytes(head) + b"x" * length


@cases((1, "81"), (23, "97"), (24, "9818"), (255, "98ff"), (256, "990100"))
def test_pack_length_heads(count, head):
    pack = Pack()
    field = pack.field("a")
    records = [("boolean", field, True)] * count
    data = written(pack, CBOR, *records)
    assert data == hexbytes(head) + b"\xa2\x00\x61a\x04\xf5" * count


def test_long_names():
    pack = Pack("b" * 127)
    data = written(pack, CBOR, ("boolean", pack.field("n" * 127, "u" * 23), True))
    names = b"\x21\x78\x7f" + b"b" * 127 + b"\x00\x78\x7f" + b"n" * 127 + b"\x01\x77" + b"u" * 23
    assert data == b"\x81\xa4" + names + b"\x04\xf5"
    data = written(pack, JSON, ("boolean", pack.field("n" * 24, "u"), True))
    assert data == b'[{"bn":"' + b"b" * 127 + b'","n":"' + b"n" * 24 + b'","u":"u","vb":true}]'


# Misuse


@cases(
    ("", "", "base name"),
    ("", "_a", "letter or digit"),
    ("", ":a", "letter or digit"),
    ("", "a b", "A-Z"),
    ("", "ä", "A-Z"),
    ("", 'a"', "A-Z"),
    ("", "a%", "A-Z"),
    ("", "n" * 128, "127"),
    (MAC, "a\n", "A-Z"),
    (MAC, "n" * 128, "127"),
)
def test_invalid_names_are_refused(base, name, why):
    error = raises(ValueError, Pack(base).field, name)
    assert why in str(error) and str(error).startswith("name")


def test_name_is_valid_with_its_base_name():
    for name in ("", "_a", ":a", "/a", ".a", "-a"):
        assert Pack(MAC).field(name)[0] == (1 if name else 0)


@cases("_", "-a", "a b", "b" * 128)
def test_invalid_base_names_are_refused(name):
    raises(ValueError, Pack, name)


@cases("a b", '"', "\\", "\n", "µ", "u" * 24)
def test_invalid_units_are_refused(unit):
    assert str(raises(ValueError, Pack().field, "a", unit)).startswith("unit")
    assert str(raises(ValueError, Pack, "", unit)).startswith("unit")


@cases("temp", b"temp", None, 7)
def test_only_fields_made_by_the_pack_are_accepted(field):
    pack = Pack()
    for name, value in (("number", 1), ("boolean", 1), ("string", b"1")):
        error = raises(ValueError, written, pack, JSON, (name, field, value))
        assert "pack.field()" in str(error)


def test_pack_must_have_the_announced_number_of_records():
    for form in (JSON, CBOR):
        pack = Pack()
        field = pack.field("a")
        sink = Buffer(bytearray(100))
        assert "at least one" in str(raises(ValueError, pack.begin, sink, form, 0))
        pack.begin(sink, form, 2)
        pack.number(field, 1)
        assert "fewer than" in str(raises(ValueError, pack.end))
        pack.number(field, 1)
        pack.end()
        assert "more than" in str(raises(ValueError, pack.number, field, 1))


@cases(JSON, CBOR)
def test_field_of_another_pack_is_refused(form):
    pack, other = Pack("a"), Pack("z")
    small = pack.field("b", "Cel")
    sink = Buffer(bytearray(400))
    for strange in (other.field("y" * 120, "u" * 20), bytearray(b"\xff" * 40), bytearray(3)):
        pack.begin(sink, form, 1)
        assert "field" in str(raises(ValueError, pack.number, strange, 1))
        pack.number(small, 1)
        pack.end()


@cases(JSON, CBOR)
def test_refused_value_leaves_the_pack_unchanged(form):
    pack = Pack("a:")
    field = pack.field("b")
    good = written(pack, form, ("number", field, 5))
    sink = Buffer(bytearray(100))
    pack.begin(sink, form, 1)
    raises(ValueError, pack.number, field, 1, 19)
    raises(ValueError, pack.number, field, 1, -1)
    raises(ValueError, pack.number, field, 1 << 63)
    raises(ValueError, pack.number, field, 1, 0, 1 << 63)
    raises(TypeError, pack.number, field, None)
    pack.number(field, 5)
    pack.end()
    assert bytes(sink.buf[: sink.n]) == good


def test_other_formats_are_refused():
    error = raises(ValueError, Pack().begin, Buffer(bytearray(9)), 50, 1)
    assert "110" in str(error) and "112" in str(error)
    assert (JSON, CBOR) == (SENML_JSON, SENML_CBOR)


def test_abandoned_pack_does_not_affect_the_next():
    pack = Pack(MAC)
    field = pack.field("a")
    whole = written(pack, JSON, ("number", field, 1))
    pack.begin(Buffer(bytearray(100)), CBOR, 7, -5)
    raises(ValueError, pack.number, field, 2**63)
    assert written(pack, JSON, ("number", field, 1)) == whole


# Sinks


def test_too_small_buffer_overflows():
    pack = Pack()
    field = pack.field("temp", "Cel")
    for form in (JSON, CBOR):
        whole = written(pack, form, ("number", field, 3662, 2))
        for room in range(len(whole) + 1):
            sink = Buffer(bytearray(room))
            pack.begin(sink, form, 1)
            pack.number(field, 3662, 2)
            pack.end()
            assert sink.n == (room if room == len(whole) else -1)
        sink.write(b"")
        assert bytes(sink.buf) == whole


def test_an_overflow_is_sticky():
    sink = Buffer(bytearray(4))
    sink.write(b"abc")
    sink.write(b"12", 0, 2)
    sink.write(b"d")
    assert sink.n == -1 and bytes(sink.buf) == b"abc\0"
    sink.n = 0
    sink.write(b"xyz", 1)
    assert sink.n == 2 and bytes(sink.buf) == b"yzc\0"


class History(Resource):
    """A pack of 60 readings, written anew for each block."""

    content_formats = (CBOR, JSON)

    def __init__(self):
        super().__init__()
        self.pack = Pack(MAC, "Cel")
        self.temp = self.pack.field("temp")

    def get(self, request, reply):
        self.pack.begin(reply, reply.content_format, 60, -3600)
        t = 0
        while t < 60:
            self.pack.number(self.temp, 3600 + t, 2, 60 * t)
            t += 1
        self.pack.end()


@cases((CBOR, 0), (CBOR, 5), (JSON, 2), (JSON, 6))
def test_block_by_block_through_coap(form, szx):
    node = Node(Blockwise())
    history = node.add("history", History())
    records = [("number", history.temp, 3600 + t, 2, 60 * t) for t in range(60)]
    whole = written(history.pack, form, *records, time_s=-3600)
    payload = b""
    num = 0
    more = 8
    while more:
        accept = (17, bytes((form,)))
        answer = get(node, "history", accept, block(BLOCK2, num, 0, szx))
        assert answer.code == 0x45
        payload += answer.payload
        more = answer.uint(BLOCK2) & 8
        num += 1
    assert payload == whole and len(whole) > 1000


# The heap


class AllKinds:
    """A pack with records of all kinds; write() is small enough for the stack itself."""

    def __init__(self, form):
        self.pack = Pack(MAC, "V")
        self.sink = Buffer(bytearray(300))
        self.form = form
        self.field = self.pack.field("temp", "Cel")
        self.bare = self.pack.field()

    def write(self):
        self.sink.n = 0
        self.pack.begin(self.sink, self.form, 4, -1800)
        self.pack.number(self.field, -3662, 2, 60)
        self.pack.number(self.bare, 65536)
        self.pack.boolean(self.field, True, -600)
        self.pack.string(self.bare, b'say "hello"')
        self.pack.end()
        return self.sink.n


@cases(JSON, CBOR)
def test_writing_allocates_nothing(form):
    kinds = AllKinds(form)
    assert allocated(kinds.write, 50) == 0
    assert locked(kinds.write) > 80
