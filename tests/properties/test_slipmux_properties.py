"""Frames on a serial line, any bytes: the decoder on CPython is bounds-checked."""

from array import array

from hypothesis import given
from hypothesis import strategies as st

from coap.transports import slipmux

END, ESC = 0xC0, 0xDB
MESSAGE = st.binary(max_size=60) | st.binary(max_size=20).map(
    lambda data: data + b"\xc0\xdb\xdc\xdd\x03"
)
TEXT = st.text(max_size=20).map(str.encode)  # UTF-8 has no END
CUTS = st.lists(st.integers(1, 9), min_size=1, max_size=20)
ROOM = 80


def slip_encode(content):
    """RFC 1055, byte by byte."""
    escapes = {END: b"\xdb\xdc", ESC: b"\xdb\xdd"}
    body = b"".join(escapes.get(byte, bytes((byte,))) for byte in content)
    return bytes((END,)) + body + bytes((END,))


def decode(data, cuts, accept=True):
    """([(kind, content)], text, dropped) of the bytes, which come in pieces of these lengths."""
    words = array("i", [0] * slipmux.SLIP_WORDS)
    words[slipmux.SLIP_ROOM] = ROOM
    frame = bytearray(ROOM)
    frames, text, at, turn = [], b"", 0, 0
    while at < len(data):
        chunk = bytearray(data[at : at + cuts[turn % len(cuts)]])
        at += len(chunk)
        turn += 1
        words[slipmux.SLIP_AT] = words[slipmux.SLIP_TEXT] = 0
        while slipmux.unslip(chunk, len(chunk), frame, words):
            assert words[slipmux.SLIP_SIZE] <= ROOM
            frames.append((words[slipmux.SLIP_KIND], bytes(frame[: words[slipmux.SLIP_SIZE]])))
            if accept:
                words[slipmux.SLIP_MODE] = slipmux.SLIP_OUTSIDE
        assert words[slipmux.SLIP_AT] == len(chunk)
        text += chunk[: words[slipmux.SLIP_TEXT]]
    return frames, text, words[slipmux.SLIP_DROPPED]


@given(st.binary(max_size=300), CUTS, st.booleans())
def test_any_bytes_do_no_harm_and_the_next_frame_comes_through(data, cuts, accept):
    decode(data, cuts, accept)
    # a frame is lost to the noise at most: the one whose END was taken for the end of the noise
    frames, _, _ = decode(data + slip_encode(b"\xa9one") + slip_encode(b"\xa9two"), cuts, False)
    assert (0xA9, b"two") in frames


@given(st.binary(max_size=300), CUTS, CUTS)
def test_how_the_bytes_come_makes_no_difference(data, cuts, others):
    assert decode(data, cuts) == decode(data, others)


@given(st.lists(st.tuples(TEXT, MESSAGE), max_size=6), CUTS)
def test_frames_and_text_are_told_apart(parts, cuts):
    line = b"".join(text + slip_encode(b"\xa9" + message) for text, message in parts)
    frames, text, dropped = decode(line, cuts)
    assert frames == [(0xA9, message) for _, message in parts]
    assert text == b"".join(text for text, _ in parts)
    assert dropped == 0


@given(MESSAGE, st.integers(3, 70))
def test_what_is_sent_is_what_rfc_1055_says(message, room):
    words = array("i", [0] * slipmux.SLIP_WORDS)
    words[slipmux.SLIP_SIZE] = len(message)
    words[slipmux.SLIP_ROOM] = room
    sent = b""
    while True:
        out = bytearray(room)
        sent += out[: slipmux.slip(out, 0, message, words)]
        if words[slipmux.SLIP_AT] == len(message):
            break
    assert sent == slip_encode(message)[1:-1]


@given(st.binary(max_size=100), st.data())
def test_no_short_burst_of_errors_passes_the_check(data, draws):
    """CRC-16 finds every burst of at most 16 bits."""
    value = slipmux.fcs16(data, len(data), 0xFFFF) ^ 0xFFFF
    whole = bytearray(data + value.to_bytes(2, "little"))
    assert slipmux.fcs16(whole, len(whole), 0xFFFF) == 0xF0B8
    burst = draws.draw(st.integers(1, 0xFFFF))
    shift = draws.draw(st.integers(0, 8 * len(whole) - 16))
    bits = int.from_bytes(whole, "little") ^ burst << shift
    damaged = bits.to_bytes(len(whole), "little")
    assert slipmux.fcs16(damaged, len(damaged), 0xFFFF) != 0xF0B8
