"""Writer against the reference encoder, and back through the reference parser."""

import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from strategies import BORDER_LENGTHS, messages

from coap.message import MessageBuilder

MARGIN = 5  # the longest header of an option: Writer may call a buffer full this much too early


def write(writer, message):
    writer.begin(message.type, message.code, message.mid, message.token)
    for number, value in message.options:
        writer.option(number, value)
    return writer.payload(message.payload)


@given(message=messages(longest_token=300))
def test_writes_what_the_reference_encodes(message):
    wanted = reference.encode(message)
    buf = bytearray(len(wanted) + MARGIN)
    writer = write(MessageBuilder(buf), message)
    assert buf[: writer.n] == wanted


@given(message=messages())
def test_what_is_written_parses_to_the_same_message(message):
    buf = bytearray(8192)
    writer = write(MessageBuilder(buf), message)
    assert reference.parse(bytes(buf[: writer.n])) == message


@pytest.mark.parametrize("number", [0, 12, 13, 14, 268, 269, 270, 65_535])
def test_borders_of_the_option_header(number):
    for length in (*BORDER_LENGTHS, 65_804):
        message = reference.Message(0, 1, 0, options=((number, bytes(length)),))
        buf = bytearray(length + 16)
        writer = write(MessageBuilder(buf), message)
        assert buf[: writer.n] == reference.encode(message)
        assert reference.parse(bytes(buf[: writer.n])) == message


@given(number=st.integers(0, 65_535), value=st.integers(0, 2**32 - 1))
def test_uint_is_as_short_as_it_goes(number, value):
    message = reference.Message(1, 2, 3, options=((number, reference.uint(value)),))
    buf = bytearray(32)
    writer = MessageBuilder(buf).begin(1, 2, 3).uint(number, value)
    assert buf[: writer.n] == reference.encode(message)


@pytest.mark.parametrize("value", [0, 1, 255, 256, 65_535, 65_536, 2**24 - 1, 2**24, 2**30 - 1])
def test_uint_borders(value):
    buf = bytearray(32)
    writer = MessageBuilder(buf).begin(1, 2, 3).uint(6, value)
    ((number, written),) = reference.parse(bytes(buf[: writer.n])).options
    assert (number, written) == (6, reference.uint(value))


@given(message=messages(), room=st.integers(0, 200))
def test_overflow_is_sticky_and_never_wrong(message, room):
    wanted = reference.encode(message)
    buf = bytearray(room)
    writer = write(MessageBuilder(buf), message)
    if room >= len(wanted) + MARGIN:
        assert writer.n == len(wanted)
    if room < len(wanted):
        assert writer.n == -1
    if writer.n == -1:
        before = bytes(buf)
        writer.option(65_535, b"").payload(b"x")
        assert (writer.n, bytes(buf)) == (-1, before)
    else:
        assert buf[: writer.n] == wanted


@given(message=messages(), start=st.integers(0, 40), length=st.integers(0, 40))
def test_payload_may_be_a_part_of_a_buffer(message, start, length):
    start = min(start, len(message.payload))
    length = min(length, len(message.payload) - start)
    buf = bytearray(64)
    writer = MessageBuilder(buf).begin(0, 1, 2).payload(message.payload, start, length)
    assert (
        reference.parse(bytes(buf[: writer.n])).payload == message.payload[start : start + length]
    )


@given(message=messages())
def test_options_may_follow_a_head_that_is_there(message):
    head = reference.encode(
        reference.Message(message.type, message.code, message.mid, message.token)
    )
    buf = bytearray(head) + bytearray(8192)
    writer = MessageBuilder(buf).resume(len(head))
    for number, value in message.options:
        writer.option(number, value)
    writer.payload(message.payload)
    assert buf[: writer.n] == reference.encode(message)


@pytest.mark.parametrize("write_one", [lambda w: w.option(11, b"a"), lambda w: w.uint(11, 1)])
def test_descending_options_are_refused(write_one):
    writer = MessageBuilder(bytearray(32)).begin(0, 1, 2).option(12, b"")
    with pytest.raises(ValueError, match="ascending order"):
        write_one(writer)
