"""View reads a message where it lies, Writer appends one."""

from coap.codec import (
    IX_ACCEPT,
    IX_CONTENT_FORMAT,
    IX_ETAG,
    IX_IF_MATCH,
    IX_OBSERVE,
    IX_URI_HOST,
    IX_URI_PATH,
    IX_URI_QUERY,
    SEND_RESET,
    parse,
)
from coap.message import MessageBuilder, MessageView
from coap.numbers import ACK, CON, GET, NON, POST
from support import cases, raises
from support.engine import decode, encode, uint


def viewed(data, **settings):
    view = MessageView(**settings)
    view.buf = data
    assert parse(data, len(data), view.index, b"\0") < SEND_RESET
    return view


# Writer


def test_a_message_byte_for_byte():
    # The GET with its response of RFC 7252 appendix A, figure 16
    buf = bytearray(64)
    n = MessageBuilder(buf).begin(CON, GET, 0x7D34).option(11, b"temperature").n
    assert bytes(buf[:n]) == b"\x40\x01\x7d\x34\xbbtemperature"
    n = MessageBuilder(buf).begin(ACK, 0x45, 0x7D34).payload(b"22.3 C").n
    assert bytes(buf[:n]) == b"\x60\x45\x7d\x34\xff22.3 C"


@cases((0,), (1,), (8,), (12,), (13,), (268,), (269,), (300,))
def test_tokens(length):
    buf = bytearray(400)
    token = bytes([i & 255 for i in range(length)])
    n = MessageBuilder(buf).begin(NON, POST, 0xFFFE, token).payload(b"x").n
    first = buf[0] & 15
    if length < 13:
        assert (first, n) == (length, 4 + length + 2)
    elif length < 269:
        assert (first, buf[4], n) == (13, length - 13, 5 + length + 2)
    else:
        assert (first, buf[4] << 8 | buf[5], n) == (14, length - 269, 6 + length + 2)
    assert bytes(buf[n - 2 - length : n - 2]) == token
    assert bytes(buf[1:4]) == b"\x02\xff\xfe"


@cases(
    (1, 0), (12, 1), (13, 12), (14, 13), (268, 14), (269, 268), (270, 269), (2000, 270),
    (65535, 300), (12, 65804),
)  # fmt: skip
def test_options_of_all_sizes(number, length):
    value = (bytes(range(256)) * (length // 256 + 1))[:length]
    buf = bytearray(length + 32)
    n = MessageBuilder(buf).begin(CON, GET, 1, b"t").option(number, value).payload(b"p").n
    assert bytes(buf[:n]) == encode(CON, GET, 1, b"t", [(number, value)], b"p")


@cases((0,), (1,), (255,), (256,), (65535,), (65536,), (0xFFFFFF,), (0x1000000,), (0x3FFFFFFF,))
def test_uints(value):
    buf = bytearray(64)
    n = MessageBuilder(buf).begin(CON, GET, 1).uint(12, 0).uint(60, value).n
    assert decode(buf[:n]).options == [(12, b""), (60, uint(value))]


def test_options_repeat_and_ascend():
    buf = bytearray(64)
    writer = (
        MessageBuilder(buf).begin(CON, GET, 1).option(11, b"a").option(11, b"").option(11, b"c")
    )
    assert decode(buf[: writer.n]).options == [(11, b"a"), (11, b""), (11, b"c")]
    assert "ascending" in str(raises(ValueError, writer.option, 8, b""))
    assert "ascending" in str(raises(ValueError, writer.uint, 10, 1))


def test_an_empty_payload_has_no_marker():
    buf = bytearray(16)
    assert MessageBuilder(buf).begin(CON, GET, 1).payload(b"").n == 4


def test_a_part_of_a_payload():
    buf = bytearray(16)
    n = MessageBuilder(buf).begin(CON, GET, 1).payload(b"abcdef", 2, 3).n
    assert bytes(buf[:n]) == b"\x40\x01\x00\x01\xffcde"
    n = MessageBuilder(buf).begin(CON, GET, 1).payload(b"abcdef", 4).n
    assert bytes(buf[:n]) == b"\x40\x01\x00\x01\xffef"


def test_what_does_not_fit_spoils_the_message_for_good():
    for add in (
        lambda writer: writer.option(11, bytes(40)),
        lambda writer: writer.payload(bytes(40)),
        lambda writer: writer.begin(CON, GET, 1, bytes(40)),
    ):
        buf = bytearray(32)
        writer = MessageBuilder(buf).begin(CON, GET, 1)
        assert writer.n == 4
        assert add(writer).n == -1
        assert writer.option(60, b"").n == -1
        assert writer.uint(61, 1).n == -1
        assert writer.payload(b"x").n == -1
        assert writer.begin(CON, GET, 1).n == 4  # until the next message


def test_writing_never_leaves_the_buffer():
    for size in range(4, 40):
        buf = bytearray(size)
        writer = MessageBuilder(memoryview(buf)).begin(CON, GET, 1, b"token")
        writer.option(11, b"segment").uint(60, 70000).payload(b"payload")
        assert writer.n == -1 or bytes(buf[: writer.n]) == encode(
            CON, GET, 1, b"token", [(11, b"segment"), (60, uint(70000))], b"payload"
        )


def test_resume_behind_a_header():
    buf = bytearray(encode(ACK, 0x45, 9, b"tok") + bytes(16))
    n = MessageBuilder(buf).resume(7).uint(12, 50).payload(b"{}").n
    assert bytes(buf[:n]) == encode(ACK, 0x45, 9, b"tok", [(12, b"\x32")], b"{}")


# View


def test_view_of_a_request():
    options = [(3, b"host"), (11, b"a"), (11, b"b"), (12, b"\x32"), (15, b"x=1"), (17, b"\x3c")]
    view = viewed(encode(CON, POST, 77, b"tok", options, b"payload"))
    assert view.has(IX_URI_HOST) and view.has(IX_URI_PATH) and not view.has(IX_OBSERVE)
    assert view.token() == b"tok"
    assert view.uint(IX_CONTENT_FORMAT) == 50
    assert view.uint(IX_ACCEPT) == 60
    assert view.uint(IX_OBSERVE) is None
    assert view.uint(IX_OBSERVE, 7) == 7
    assert bytes(view.payload()) == b"payload"
    assert view.values(IX_URI_PATH) == [b"a", b"b"]
    assert view.values(IX_URI_HOST) == [b"host"]
    assert view.values(IX_IF_MATCH) == []


def test_view_of_a_bare_request():
    view = viewed(encode(CON, GET, 1))
    assert view.token() == b""
    assert bytes(view.payload()) == b""
    assert view.values(IX_URI_PATH) == []


def test_values_of_all_lengths():
    values = [b"", b"x", bytes(12), bytes(13), bytes(14), bytes(255)]
    view = viewed(encode(CON, GET, 1, b"", [(15, value) for value in values], b"p"))
    assert view.values(IX_URI_QUERY) == values


def test_holds():
    view = viewed(encode(CON, GET, 1, b"", [(4, b"one"), (4, b"three"), (4, b"3")]))
    assert (
        view.has_value(IX_ETAG, b"one")
        and view.has_value(IX_ETAG, b"three")
        and view.has_value(IX_ETAG, b"3")
    )
    assert not view.has_value(IX_ETAG, b"two")
    assert not view.has_value(IX_ETAG, b"")
    assert not view.has_value(IX_IF_MATCH, b"one")


def test_an_extended_token():
    token = bytes(range(30))
    view = viewed(encode(CON, GET, 1, token, [], b"x"), token_max=30)
    assert view.token() == token
