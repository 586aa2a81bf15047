"""A CoAP client written from the text of RFC 7252 alone, which shares nothing with what it tests.

It retransmits nothing and hides nothing: a check sees each message as it came.
"""

import os
import socket

from clocks import Wall

CON, NON, ACK, RST = range(4)
KINDS = ("CON", "NON", "ACK", "RST")
EMPTY = "0.00"
METHODS = ("GET", "POST", "PUT", "DELETE", "FETCH", "PATCH", "iPATCH")

IF_MATCH = 1
URI_HOST = 3
ETAG = 4
IF_NONE_MATCH = 5
OBSERVE = 6
URI_PORT = 7
LOCATION_PATH = 8
OSCORE = 9
URI_PATH = 11
CONTENT_FORMAT = 12
MAX_AGE = 14
URI_QUERY = 15
ACCEPT = 17
LOCATION_QUERY = 20
BLOCK2 = 23
BLOCK1 = 27
SIZE2 = 28
PROXY_URI = 35
PROXY_SCHEME = 39
SIZE1 = 60
ECHO = 252
NO_RESPONSE = 258
REQUEST_TAG = 292

TEXT, LINK_FORMAT, XML, JSON, MERGE_PATCH, CBOR, PROBLEM = 0, 40, 41, 50, 52, 60, 257

ANSWER_S = 3.0  # longer than what any server here needs for an answer that is not to come later
SILENCE_S = 0.25  # what has not come by then, on one machine, is not coming


class Failed(Exception):
    """The server did not do what the RFC says; the text tells what it did."""


class Message:
    """A message: kind 0 to 3, code as "2.05", mid, token, options [(number, bytes)], payload."""

    def __init__(self, kind, code, mid, token=b"", options=(), payload=b""):
        self.kind = kind
        self.code = code
        self.mid = mid
        self.token = token
        self.options = list(options)
        self.payload = payload

    def all(self, number):
        """Return the values of an option in their order."""
        return [value for other, value in self.options if other == number]

    def uint(self, number):
        """Return the value of a uint option, None when it is absent."""
        values = self.all(number)
        return int.from_bytes(values[0], "big") if values else None

    def block(self, number):
        """Return (block number, more, SZX) of a Block option, None when it is absent."""
        value = self.uint(number)
        return None if value is None else (value >> 4, value >> 3 & 1, value & 7)

    def encode(self):
        """Return the message as bytes (section 3)."""
        detail = METHODS.index(self.code) + 1 if self.code in METHODS else None
        first, _, second = ("0", "", detail) if detail else self.code.partition(".")
        out = bytearray([0x40 | self.kind << 4 | len(self.token), int(first) << 5 | int(second)])
        out += self.mid.to_bytes(2, "big") + self.token
        before = 0
        for number, value in sorted(self.options, key=lambda option: option[0]):
            high, delta = _nibble(number - before)
            low, length = _nibble(len(value))
            out += bytes([high << 4 | low]) + delta + length + value
            before = number
        return bytes(out + (b"\xff" + self.payload if self.payload else b""))

    def __str__(self):
        options = ", ".join(f"{number}={value.hex() or '-'}" for number, value in self.options)
        payload = f" {len(self.payload)} B" if self.payload else ""
        return f"{KINDS[self.kind]} {self.code} [{options}]{payload}"


def decode(data):
    """Return the message in `data`; Failed when it breaks section 3."""
    if len(data) < 4 or data[0] >> 6 != 1:
        raise Failed(f"no CoAP message: {data.hex()}")
    tkl = data[0] & 15
    if tkl > 8 or 4 + tkl > len(data):
        raise Failed(f"wrong token length: {data.hex()}")
    at, number, options, payload = 4 + tkl, 0, [], b""
    try:
        while at < len(data):
            first = data[at]
            at += 1
            if first == 0xFF:
                payload = data[at:]
                if not payload:
                    raise Failed(f"payload marker without payload: {data.hex()}")
                break
            delta, at = _extended(data, at, first >> 4)
            length, at = _extended(data, at, first & 15)
            if at + length > len(data):
                raise IndexError
            number += delta
            options.append((number, data[at : at + length]))
            at += length
    except IndexError:
        raise Failed(f"malformed options: {data.hex()}") from None
    code = f"{data[1] >> 5}.{data[1] & 31:02}"
    mid = int.from_bytes(data[2:4], "big")
    return Message(data[0] >> 4 & 3, code, mid, data[4 : 4 + tkl], options, payload)


def uint(value):
    """Return a uint option's value (section 3.2)."""
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def block(number, more, szx):
    """Return the value of a Block option (RFC 7959 section 2.2)."""
    return uint(number << 4 | more << 3 | szx)


class Client:
    """A socket that talks to one server.

    Messages that are no answer to the request at hand wait in `others`: notifications, mostly.
    Its waiting takes time of `clock`.
    """

    def __init__(self, address, clock=Wall):
        self.clock = clock
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.connect(address)
        self.mid = int.from_bytes(os.urandom(2), "big")
        self.others = []

    def close(self):
        self.sock.close()

    def next_mid(self):
        self.mid = (self.mid + 1) & 0xFFFF
        return self.mid

    def raw(self, data):
        """Send bytes as they are."""
        self.clock.make_room()
        self.sock.send(data)

    def receive(self, seconds=ANSWER_S):
        """Return the next message, None when none comes in time."""
        if not self.clock.wait(self.sock, seconds):
            return None
        try:
            return self.decode(self.sock.recv(65536))
        except ConnectionRefusedError:
            raise Failed("the server is gone") from None

    def decode(self, data):
        """The message in a datagram; Failed when it is none."""
        return decode(data)

    def request(self, method, path, kind=CON, token=None, mid=None, payload=b"", **options):
        """Return a request. path: segments separated by "/", then "?" and queries by "&", or a
        list of segments as bytes. options: see `options_of`.
        """
        token = os.urandom(4) if token is None else token
        mid = self.next_mid() if mid is None else mid
        return Message(kind, method, mid, token, options_of(path, **options), payload)

    def send(self, message):
        """Send a message and return it."""
        self.raw(message.encode())
        return message

    def ask(self, method, path, **parts):
        """Send a request and return its response, piggybacked or separate."""
        return self.answer(self.send(self.request(method, path, **parts)))

    def answer(self, request, seconds=ANSWER_S):
        """Return the response to a request that was sent; Failed when it does not come."""
        response = self.reaction(request, seconds)
        if response is None:
            raise Failed(f"no answer to {request}")
        if response.kind == ACK and response.code == EMPTY:
            response = self.reaction(request, seconds)
            if response is None:
                raise Failed("an empty ACK, and no response after it")
        if response.kind == RST:
            raise Failed(f"RST to {request}")
        if response.kind == CON:
            self.acknowledge(response)
        return response

    def reaction(self, request, seconds=ANSWER_S):
        """Return the next message that belongs to a request: by its MID, or by its token."""
        deadline = self.clock.now_s() + seconds
        while (left := deadline - self.clock.now_s()) > 0:
            message = self.receive(left)
            if message is None:
                break
            if message.kind in (ACK, RST) and message.mid == request.mid:
                if message.code != EMPTY and message.token != request.token:
                    raise Failed(f"the token of {request} did not come back: {message}")
                return message
            if message.kind in (CON, NON) and message.token == request.token:
                return message
            self.others.append(message)
        return None

    def acknowledge(self, message):
        self.send(Message(ACK, EMPTY, message.mid))

    def reset(self, message):
        self.send(Message(RST, EMPTY, message.mid))

    def notification(self, token, seconds=ANSWER_S, acknowledge=True):
        """Return the next message with an observation's token; None when none comes in time."""
        deadline = self.clock.now_s() + seconds
        while True:
            for message in self.others:
                if message.token == token and message.kind in (CON, NON):
                    self.others.remove(message)
                    if message.kind == CON and acknowledge:
                        self.acknowledge(message)
                    return message
            message = self.receive(deadline - self.clock.now_s())
            if message is None:
                return None
            self.others.append(message)


def options_of(
    path, accept=None, content_format=None, observe=None, block1=None, block2=None, options=()
):
    """Return the options of a request. block1, block2: (number, more, SZX); options: others."""
    found = list(options)
    if isinstance(path, str):
        path, _, query = path.partition("?")
        found += [(URI_PATH, part.encode()) for part in path.split("/") if path]
        found += [(URI_QUERY, part.encode()) for part in query.split("&") if query]
    else:
        found += [(URI_PATH, part) for part in path]
    for number, value in ((ACCEPT, accept), (CONTENT_FORMAT, content_format), (OBSERVE, observe)):
        if value is not None:
            found.append((number, uint(value)))
    for number, value in ((BLOCK1, block1), (BLOCK2, block2)):
        if value is not None:
            found.append((number, block(*value)))
    return found


def _nibble(value):
    if value < 13:
        return value, b""
    if value < 269:
        return 13, bytes([value - 13])
    return 14, (value - 269).to_bytes(2, "big")


def _extended(data, at, nibble):
    if nibble == 15:
        raise IndexError
    if nibble == 13:
        return data[at] + 13, at + 1
    if nibble == 14:
        return (data[at] << 8 | data[at + 1]) + 269, at + 2
    return nibble, at
