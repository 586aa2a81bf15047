"""Responses as the codec writes them, byte by byte."""

from array import array

from coap.codec import (
    ABSENT,
    FIELD_BLOCK1,
    FIELD_BLOCK2,
    FIELD_BUFFER_START,
    FIELD_CODE,
    FIELD_CONTENT_FORMAT,
    FIELD_ETAG,
    FIELD_HASH,
    FIELD_LIMIT,
    FIELD_MAX_AGE,
    FIELD_OBSERVE,
    FIELD_PAYLOAD_LENGTH,
    FIELD_PAYLOAD_START,
    FIELD_SIZE1,
    FIELD_SIZE2,
    FIELD_SKIP,
    FIELD_TOTAL,
    FIELDS,
    TX_PAYLOAD,
    append_payload,
    clear_fields,
    copy,
    hash_bytes,
    inherit_fields,
    new_index,
    parse,
    serialize,
    write_content,
    write_decimal,
    write_empty,
    write_option_header,
)
from coap.numbers import ACK, CON, GET, NON, POST
from support import cases, hexbytes
from support.engine import encode, request, uint

FIELD = {
    "CODE": FIELD_CODE,
    "ETAG": FIELD_ETAG,
    "OBSERVE": FIELD_OBSERVE,
    "CONTENT_FORMAT": FIELD_CONTENT_FORMAT,
    "MAX_AGE": FIELD_MAX_AGE,
    "BLOCK2": FIELD_BLOCK2,
    "BLOCK1": FIELD_BLOCK1,
    "SIZE2": FIELD_SIZE2,
    "SIZE1": FIELD_SIZE1,
    "PAYLOAD_START": FIELD_PAYLOAD_START,
    "PAYLOAD_LENGTH": FIELD_PAYLOAD_LENGTH,
    "TOTAL": FIELD_TOTAL,
    "HASH": FIELD_HASH,
    "SKIP": FIELD_SKIP,
    "LIMIT": FIELD_LIMIT,
    "BUFFER_START": FIELD_BUFFER_START,
}


def indexed(data, **settings):
    r = new_index(**settings)
    parse(data, len(data), r, b"\0")
    return r


def reply_ints(**values):
    q = array("i", [0] * FIELDS)
    clear_fields(q, 0x45)
    q[FIELD_LIMIT] = 1024
    for name, value in values.items():
        q[FIELD[name]] = value
    return q


def emitted(data, q, etag=b"", payload=b"", **settings):
    tx = bytearray(300)
    r = indexed(data, **settings)
    n = serialize(tx, data, r, q, etag, payload, 0)
    if n < 0:
        copy(tx, -n, payload, q[FIELD_PAYLOAD_START], q[FIELD_PAYLOAD_LENGTH])
        n = q[FIELD_PAYLOAD_LENGTH] - n
    assert not any(tx[n:])
    return bytes(tx[:n])


def test_bare():
    tx = bytearray(16)
    data = encode(CON, GET, 0x1234, b"tok", [(11, b"x")])
    assert bytes(tx[: write_empty(tx, data, indexed(data), 0x84, b"")]) == encode(
        ACK, 0x84, 0x1234, b"tok"
    )
    data = encode(NON, GET, 0x1234, b"tok", [(11, b"x")])
    assert bytes(tx[: write_empty(tx, data, indexed(data), 0x84, b"")]) == encode(
        NON, 0x84, 0x1234, b"tok"
    )


def test_ready():
    tx = bytearray(32)
    data = encode(CON, GET, 0x1234, b"tok", [(11, b"x")])
    r = indexed(data)
    n = write_content(tx, data, r, b"\x01\xc0", b"open")
    assert bytes(tx[:n]) == encode(ACK, 0x45, 0x1234, b"tok", [(12, b"")], b"open")
    n = write_content(tx, data, r, b"\x00", b"")
    assert bytes(tx[:n]) == encode(ACK, 0x45, 0x1234, b"tok")
    r = indexed(data, max_payload=4)
    assert write_content(tx, data, r, b"\x00", b"12345") == 0
    assert write_content(tx, data, r, b"\x00", b"1234") == 4 + 3 + 1 + 4


def test_emit_nothing_but_the_code():
    data = encode(CON, GET, 7, b"tok")
    assert emitted(data, reply_ints(CODE=0x44)) == encode(ACK, 0x44, 7, b"tok")


@cases(
    (0,),
    (1,),
    (255,),
    (256,),
    (300,),
    (65535,),
    (65536,),
    (0xFFFFFF,),
    (0x1000000,),
    (0x3FFFFFFE,),
)
def test_emit_writes_uints_as_short_as_they_go(value):
    data = encode(CON, GET, 7, b"")
    expected = encode(ACK, 0x45, 7, b"", [(14, uint(value))])
    assert emitted(data, reply_ints(MAX_AGE=value)) == expected


def test_emit_everything_in_order():
    data = encode(CON, GET, 7, b"tokentok")
    q = reply_ints(
        ETAG=8,
        OBSERVE=70000,
        CONTENT_FORMAT=50,
        MAX_AGE=300,
        BLOCK2=0x1E,
        BLOCK1=6,
        SIZE2=65536,
        SIZE1=1024,
    )
    q[FIELD_PAYLOAD_START] = 2
    q[FIELD_PAYLOAD_LENGTH] = 3
    assert emitted(data, q, b"etag-etag", b"..abc..") == encode(
        ACK,
        0x45,
        7,
        b"tokentok",
        [
            (4, b"etag-eta"),
            (6, uint(70000)),
            (12, b"\x32"),
            (14, uint(300)),
            (23, b"\x1e"),
            (27, b"\x06"),
            (28, uint(65536)),
            (60, uint(1024)),
        ],
        b"abc",
    )


def test_emit_refuses_what_does_not_fit():
    data = encode(CON, GET, 7, b"")
    assert emitted(data, reply_ints(PAYLOAD_LENGTH=64), b"", bytes(64), max_payload=64) != b""
    assert emitted(data, reply_ints(PAYLOAD_LENGTH=65), b"", bytes(65), max_payload=64) == b""


def test_a_payload_that_was_cut_goes_out_as_block_or_diagnostic_only():
    data = encode(CON, GET, 7, b"")
    cut = {"PAYLOAD_LENGTH": 16, "TOTAL": 17, "LIMIT": 16}
    assert emitted(data, reply_ints(**cut), b"", bytes(16)) == b""
    assert emitted(data, reply_ints(CODE=0x44, **cut), b"", bytes(16)) == b""
    assert emitted(data, reply_ints(CODE=0x80, **cut), b"", bytes(16)) != b""
    assert emitted(data, reply_ints(BLOCK2=8, **cut), b"", bytes(16)) != b""
    cut["TOTAL"] = 16
    assert emitted(data, reply_ints(**cut), b"", bytes(16)) != b""


def test_an_empty_payload_has_a_format_in_a_content_only():
    data = encode(CON, GET, 7, b"")
    expected = encode(ACK, 0x45, 7, b"", [(12, b"\x32")])
    assert emitted(data, reply_ints(CONTENT_FORMAT=50)) == expected
    assert emitted(data, reply_ints(CONTENT_FORMAT=50, CODE=0x44)) == encode(ACK, 0x44, 7, b"")
    assert emitted(
        data, reply_ints(CONTENT_FORMAT=50, CODE=0x44, PAYLOAD_LENGTH=1), b"", b"x"
    ) == encode(ACK, 0x44, 7, b"", [(12, b"\x32")], b"x")


def appended(pieces, skip=0, limit=100):
    """What lies in a payload buffer of 100 bytes after these (piece, start, length)."""
    into = bytearray(110)
    q = reply_ints(BUFFER_START=5, SKIP=skip, LIMIT=limit)
    for piece, start, length in pieces:
        append_payload(into, piece, start, length, q)
    assert not any(into[:5]) and not any(into[5 + limit :])
    assert q[FIELD_TOTAL] == sum([length for _, _, length in pieces])
    return bytes(
        into[q[FIELD_PAYLOAD_START] : q[FIELD_PAYLOAD_START] + q[FIELD_PAYLOAD_LENGTH]]
    ), q[FIELD_HASH]


def test_append():
    whole = bytes(range(100))
    assert appended([(whole, 0, 100)])[0] == whole
    assert appended([])[0] == b""
    assert appended([(b"", 0, 0)])[0] == b""
    thirds = [(whole, 0, 30), (whole, 30, 40), (whole, 70, 30)]
    assert appended(thirds) == appended([(whole, 0, 100)])
    assert appended(thirds)[1] == 0, "what fits into one message needs no digest"
    assert appended(thirds[:2], 0, 10)[1] == hash_bytes(whole, 0, 70, 5381)
    for limit in (1, 16, 30, 31, 99):
        for skip in (0, 1, 29, 30, 31, 64, 99):
            window = whole[skip : skip + limit]
            assert appended(thirds, skip, limit)[0] == window, (skip, limit)
            assert appended(thirds, skip, limit)[1] == hash_bytes(whole, 0, 100, 5381)
    assert appended(thirds, 100, 16)[0] == b""


def test_inherit():
    base = reply_ints(ETAG=2, MAX_AGE=300, CONTENT_FORMAT=50)
    q = reply_ints(OBSERVE=1, BLOCK2=1, SIZE1=1, PAYLOAD_LENGTH=4)
    inherit_fields(q, base, indexed(request(GET, "a")), ABSENT)
    assert (q[FIELD_CODE], q[FIELD_ETAG], q[FIELD_MAX_AGE], q[FIELD_CONTENT_FORMAT]) == (
        0,
        2,
        300,
        50,
    )
    assert q[FIELD_OBSERVE] == q[FIELD_BLOCK2] == q[FIELD_SIZE1] == ABSENT
    assert q[FIELD_PAYLOAD_LENGTH] == q[FIELD_TOTAL] == 0
    inherit_fields(q, base, indexed(request(POST, "a")), 60)
    assert (q[FIELD_CODE], q[FIELD_ETAG], q[FIELD_MAX_AGE], q[FIELD_CONTENT_FORMAT]) == (
        0,
        0,
        ABSENT,
        60,
    )


def test_emit_each_option_alone():
    data = encode(CON, GET, 7, b"")
    names = ("OBSERVE", "CONTENT_FORMAT", "MAX_AGE", "BLOCK2", "BLOCK1", "SIZE2", "SIZE1")
    for i in range(7):
        expected = encode(ACK, 0x45, 7, b"", [((6, 12, 14, 23, 27, 28, 60)[i], b"\x21")])
        assert emitted(data, reply_ints(**{names[i]: 0x21})) == expected, names[i]


def test_emit_any_two_options():
    data = encode(CON, GET, 7, b"")
    names = ("OBSERVE", "CONTENT_FORMAT", "MAX_AGE", "BLOCK2", "BLOCK1", "SIZE2", "SIZE1")
    numbers = (6, 12, 14, 23, 27, 28, 60)
    for i in range(7):
        for j in range(i):
            q = reply_ints(**{names[i]: 300, names[j]: 0})
            expected = [(numbers[j], b""), (numbers[i], uint(300))]
            assert emitted(data, q) == encode(ACK, 0x45, 7, b"", expected), (i, j)
            q[FIELD_ETAG] = 1
            expected = [(4, b"e")] + expected
            assert emitted(data, q, b"e") == encode(ACK, 0x45, 7, b"", expected), (i, j)


def test_emit_carries_an_extended_token():
    data = encode(CON, GET, 7, bytes(range(30)))
    assert emitted(data, reply_ints(CODE=0x44), token_max=40) == encode(
        ACK, 0x44, 7, bytes(range(30))
    )


def test_the_longest_reply_head_has_room_before_the_payload():
    r = new_index()
    data = encode(CON, GET, 7, bytes(8))
    q = reply_ints(
        ETAG=8, OBSERVE=1 << 23, CONTENT_FORMAT=65000, MAX_AGE=1 << 29, BLOCK2=1 << 23, BLOCK1=1
        << 23,
        SIZE2=1 << 29, SIZE1=1 << 29, PAYLOAD_LENGTH=1,
    )  # fmt: skip
    assert len(emitted(data, q, bytes(8), b"x")) - 1 <= r[TX_PAYLOAD]


@cases(
    (1, 0, "10"),
    (12, 12, "cc"),
    (13, 13, "dd 00 00"),
    (268, 268, "dd ff ff"),
    (269, 269, "ee 0000 0000"),
    (268, 12, "dc ff"),
    (5, 300, "5e 001f"),
    (65535, 65804, "ee fef2 ffff"),
)
def test_option_headers(delta, length, expected):
    buffer = bytearray(8)
    end = write_option_header(buffer, 1, delta, length)
    assert bytes(buffer[1:end]) == hexbytes(expected)
    assert bytes(buffer[end:]) == bytes(8 - end)


# Numbers


@cases(
    (0, 0, "0"),
    (7, 0, "7"),
    (10, 0, "10"),
    (1234567890 % (1 << 30), 0, str(1234567890 % (1 << 30))),
    (-1, 0, "-1"),
    (3662, 2, "36.62"),
    (5, 2, "0.05"),
    (-5, 2, "-0.05"),
    (0, 2, "0.00"),
    (0, 1, "0.0"),
    (100, 2, "1.00"),
    (-1250, 3, "-1.250"),
    (99, 1, "9.9"),
    ((1 << 30) - 1, 0, "1073741823"),
    (1 - (1 << 30), 0, "-1073741823"),
    (1 - (1 << 30), 9, "-1.073741823"),
)
def test_decimal(value, decimals, expected):
    buffer = bytearray(16)
    end = write_decimal(buffer, 1, value, decimals)
    assert bytes(buffer[1:end]) == expected.encode()
    assert bytes(buffer[end:]) == bytes(16 - end)
