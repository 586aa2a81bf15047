"""CoAP messages encoded and decoded by a codec of the tests' own, and scripted peers.

Independent of lib/coap's parser and serializer, since these are under test.
"""

from coap.numbers import ACK, CON, GET, RST
from support import at_the_start

URI_PATH = 11

_state = [0]  # the last MID


class Message:
    """A decoded message: kind (type), code, mid, token, options [(number, bytes)], payload."""

    def __init__(self, kind, code, mid, token, options, payload):
        self.kind = kind
        self.code = code
        self.mid = mid
        self.token = token
        self.options = options
        self.payload = payload

    def all(self, number):
        """Return the values of an option, in order."""
        return [value for other, value in self.options if other == number]

    def uint(self, number):
        """Return the value of a uint option, None when absent; assert that it is not repeated."""
        values = self.all(number)
        assert len(values) <= 1, values
        return int.from_bytes(values[0], "big") if values else None

    def __repr__(self):
        return "{} {}.{:02} mid={} token={} {} {}".format(
            ("CON", "NON", "ACK", "RST")[self.kind],
            self.code >> 5,
            self.code & 31,
            self.mid,
            self.token.hex(),
            self.options,
            self.payload,
        )


@at_the_start
def start_mids():
    """Restart the MIDs for each test, so that their order does not matter."""
    _state[0] = 0x4000


def next_mid():
    """Return a MID that is new within the test; fixed ones in tables are lower."""
    _state[0] = (_state[0] + 1) & 0xFFFF
    return _state[0]


def encode(kind, code, mid, token=b"", options=(), payload=b""):
    """Return a message as bytes. Options are sorted by number, stable for repeated ones."""
    tkl, extension = _nibble(len(token))
    out = bytes((0x40 | kind << 4 | tkl, code, mid >> 8, mid & 255)) + extension + token
    before = 0
    ranked = sorted([(options[i][0], i) for i in range(len(options))])
    for number, i in ranked:
        value = options[i][1]
        high, delta = _nibble(number - before)
        low, length = _nibble(len(value))
        out += bytes((high << 4 | low,)) + delta + length + value
        before = number
    return out + (b"\xff" + payload if payload else b"")


def decode(data):
    """Return the Message in `data`. AssertionError: it is malformed."""
    data = bytes(data)
    assert len(data) >= 4 and data[0] >> 6 == 1, data
    tkl = data[0] & 15
    assert tkl <= 13, data
    at = 4
    if tkl == 13:
        tkl = 13 + data[4]
        at = 5
    token = data[at : at + tkl]
    assert len(token) == tkl, data
    at += tkl
    number = 0
    options = []
    payload = b""
    while at < len(data):
        first = data[at]
        at += 1
        if first == 0xFF:
            payload = data[at:]
            assert payload, "a marker without payload"
            break
        delta, at = _extended(data, at, first >> 4)
        length, at = _extended(data, at, first & 15)
        number += delta
        assert at + length <= len(data), data
        options.append((number, data[at : at + length]))
        at += length
    return Message(data[0] >> 4 & 3, data[1], data[2] << 8 | data[3], token, options, payload)


def uint(value):
    """Return the shortest encoding of a uint option's value."""
    out = b""
    while value:
        out = bytes((value & 255,)) + out
        value >>= 8
    return out


def request(code, path=None, kind=CON, mid=None, token=b"\xa1\xb2", options=(), payload=b""):
    """Return a request as bytes. path: None for no Uri-Path, else segments separated by "/"."""
    segments = [] if path is None else [(URI_PATH, part.encode()) for part in path.split("/")]
    if mid is None:
        mid = next_mid()
    return encode(kind, code, mid, token, segments + list(options), payload)


def answer(node, datagram, peer="peer", now_ms=0):
    """Return the node's response to a datagram (bytes or hexadecimal text) as bytes, or None."""
    if isinstance(datagram, str):
        datagram = bytes.fromhex(datagram.replace(" ", ""))
    n = node.datagram(datagram, len(datagram), peer, now_ms)
    assert n >= 0, n
    return bytes(node.tx_view(n)) if n else None


def ask(node, datagram, peer="peer", now_ms=0):
    """Return the node's response to a datagram as a Message, or None."""
    data = answer(node, datagram, peer, now_ms)
    return None if data is None else decode(data)


def get(node, path, *options, peer="peer", now_ms=0):
    """Return the node's response to a confirmable GET as a Message."""
    return ask(node, request(GET, path, options=options), peer, now_ms)


def due(node, now_ms):
    """Return all that the node has to send at that time: [(peer, message)]."""
    found = []
    n = node.due(now_ms)
    while n:
        found.append((node.peer, decode(node.tx_view(n))))
        n = node.due(now_ms)
    return found


class Peer:
    """An end of a Wire that keeps what it gets; `reply(message)` may return bytes to send.

    Without one it acknowledges what is confirmable.
    """

    peer = None

    def __init__(self, wire, reply=None):
        self.wire = wire
        self.reply = self._acknowledge if reply is None else reply
        self.got = []  # (elapsed_ms, message)
        self.tx = b""

    def datagram(self, buf, n, _sender, _now_ms):
        message = decode(buf[:n])
        self.got.append((self.wire.elapsed_ms, message))
        self.tx = self.reply(message) or b""
        return len(self.tx)

    def tx_view(self, _n):
        return self.tx

    def due(self, _now_ms):
        return 0

    def wait_ms(self, _now_ms):
        return -1

    def _acknowledge(self, message):
        return encode(ACK, 0, message.mid) if message.kind == CON else None


def silent(_message):
    """Return None for every message: a peer that never responds."""


def reject(message):
    """Return an RST for every message."""
    return encode(RST, 0, message.mid)


def _nibble(value):
    if value < 13:
        return value, b""
    if value < 269:
        return 13, bytes((value - 13,))
    return 14, bytes(((value - 269) >> 8, (value - 269) & 255))


def _extended(data, at, nibble):
    assert nibble < 15, data
    if nibble == 13:
        return 13 + data[at], at + 1
    if nibble == 14:
        return 269 + (data[at] << 8 | data[at + 1]), at + 2
    return nibble, at
