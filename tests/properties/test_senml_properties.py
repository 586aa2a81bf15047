"""Any pack, written here and read by others: json, cbor2, and a decoder of SenML of our own.

The decoder resolves records as RFC 8428 section 4.6 says and knows nothing of the encoder.
"""

import json
from decimal import Decimal
from fractions import Fraction

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from senml import CBOR, JSON, Buffer, Pack

ALNUM = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
names = st.text(ALNUM + "-:./_", max_size=30)
base_names = st.text(ALNUM + "-:./_", max_size=40).filter(
    lambda text: not text or text[0] in ALNUM
)
unit_chars = st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters='"\\')
units = st.text(unit_chars, max_size=23)
times = st.one_of(st.just(0), st.integers(-(2**28), 2**28), st.integers(2**28, 2**40))
whole = st.integers(-(2**63), 2**63 - 1)
numbers = st.tuples(st.just("number"), st.one_of(st.integers(-9999, 9999), whole))
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
LABELS = {-2: "bn", -3: "bt", -4: "bu", 0: "n", 1: "u", 2: "v", 3: "vs", 4: "vb", 6: "t"}


@st.composite
def packs(draw):
    """(base name, base unit, base time, [(name, unit, time, kind, value, decimals)])."""
    base_name = draw(base_names)

    def fits(name):
        full = base_name + name
        return full and full[0] in ALNUM

    value = st.one_of(
        numbers,
        st.tuples(st.just("boolean"), st.booleans()),
        st.tuples(st.just("string"), texts),
    )
    record = st.tuples(names.filter(fits), units, times, value, st.integers(0, 18))
    records = draw(st.lists(record, min_size=1, max_size=8))
    return base_name, draw(units), draw(times), records


def written(pack, form, room=40_000):
    base_name, base_unit, base_time_s, records = pack
    encoder = Pack(base_name, base_unit)
    fields = [encoder.field(name, unit) for name, unit, *_ in records]
    sink = Buffer(bytearray(room))
    encoder.begin(sink, form, len(records), base_time_s)
    for field, (_, _, time_s, (kind, value), decimals) in zip(fields, records, strict=True):
        if kind == "number":
            encoder.number(field, value, decimals, time_s)
        else:
            getattr(encoder, kind)(field, value, time_s)
    encoder.end()
    return bytes(sink.buf[: sink.n]) if sink.n >= 0 else None


def meant(pack):
    """The resolved records: (name, unit, time, value)."""
    base_name, base_unit, base_time_s, records = pack
    found = []
    for name, unit, time_s, (kind, value), decimals in records:
        if kind == "number":
            value = Fraction(value, 10**decimals)
        found.append((base_name + name, unit or base_unit, base_time_s + time_s, value))
    return found


def resolved(records):
    """The same of decoded records; base fields hold from where they stand."""
    base = {"bn": "", "bt": 0, "bu": ""}
    found = []
    for record in records:
        assert set(record) <= {"bn", "bt", "bu", "n", "u", "t", "v", "vs", "vb"}, record
        base.update({label: record[label] for label in base if label in record})
        (value,) = [record[label] for label in ("v", "vs", "vb") if label in record]
        assert ("vb" in record) == isinstance(value, bool)
        assert ("vs" in record) == isinstance(value, str)
        if "v" in record:
            value = Fraction(value)
        time_s = base["bt"] + record.get("t", 0)
        unit = record.get("u", base["bu"])
        found.append((base["bn"] + record.get("n", ""), unit, time_s, value))
    return found


def from_json(data):
    return json.loads(data.decode("utf-8"), parse_float=Decimal, object_pairs_hook=unique)


def unique(pairs):
    members = dict(pairs)
    assert len(members) == len(pairs), pairs
    return members


class Cbor:
    """A decoder of what SenML has of CBOR: definite lengths only (RFC 8428 section 6)."""

    def __init__(self, data):
        self.data = data
        self.at = 0

    def take(self, n):
        assert self.at + n <= len(self.data), "cut short"
        self.at += n
        return self.data[self.at - n : self.at]

    def head(self):
        first = self.take(1)[0]
        major, argument = first >> 5, first & 31
        if argument < 24:
            return major, argument
        assert argument < 28, "indefinite length, or reserved"
        size = 1 << (argument - 24)
        value = int.from_bytes(self.take(size), "big")
        floor = 24 if size == 1 else 1 << (8 * size // 2)
        assert major == 7 or value >= floor, "not the shortest form"
        return major, value

    def item(self):
        major, argument = self.head()
        if major == 0:
            return argument
        if major == 1:
            return -1 - argument
        if major == 3:
            return self.take(argument).decode("utf-8")
        if major == 4:
            return [self.item() for _ in range(argument)]
        if major == 5:
            return unique([(self.item(), self.item()) for _ in range(argument)])
        if major == 6:
            assert argument == 4
            exponent, mantissa = self.item()
            return Fraction(mantissa) * Fraction(10) ** exponent
        assert major == 7 and argument in (20, 21)
        return argument == 21


def labelled(records):
    return [{LABELS[label]: value for label, value in record.items()} for record in records]


@given(pack=packs())
def test_json_means_what_was_written(pack):
    assert resolved(from_json(written(pack, JSON))) == meant(pack)


@given(pack=packs())
def test_cbor_means_what_was_written(pack):
    data = written(pack, CBOR)
    assert resolved(labelled(cbor2.loads(data))) == meant(pack)
    decoder = Cbor(data)
    assert resolved(labelled(decoder.item())) == meant(pack)
    assert decoder.at == len(data)


@given(pack=packs())
def test_both_formats_give_the_same_doubles(pack):
    # RFC 8428 section 6: converted back, a number has exactly the value of the original
    texts = json.loads(written(pack, JSON))
    items = labelled(cbor2.loads(written(pack, CBOR)))
    for text, item in zip(texts, items, strict=True):
        if "v" in text:
            assert float(text["v"]) == float(item["v"])


@given(pack=packs(), form=st.sampled_from([JSON, CBOR]), cut=st.integers(1, 100))
def test_a_buffer_too_small_says_so(pack, form, cut):
    data = written(pack, form)
    assert written(pack, form, len(data)) == data
    assert written(pack, form, max(len(data) - cut, 0)) is None


@given(name=st.one_of(names, st.text(max_size=8)), base_name=base_names)
def test_a_name_is_good_or_refused(name, base_name):
    full = base_name + name
    good = full != "" and full[0] in ALNUM and not set(full) - set(ALNUM + "-:./_")
    if good:
        data = written((base_name, "", 0, [(name, "", 0, ("number", 1), 0)]), JSON)
        assert resolved(from_json(data))[0][0] == full
    else:
        with pytest.raises(ValueError, match="^name: "):
            Pack(base_name).field(name)


@given(unit=st.one_of(units, st.text(max_size=30)))
def test_a_unit_is_good_or_refused(unit):
    good = len(unit) <= 23 and all(0x20 < ord(c) < 0x7F and c not in '"\\' for c in unit)
    if good:
        data = written(("a", unit, 0, [("", "", 0, ("boolean", True), 0)]), JSON)
        assert resolved(from_json(data))[0][1] == unit
    else:
        with pytest.raises(ValueError, match="^unit: "):
            Pack().field("a", unit)
