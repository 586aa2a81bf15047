"""A CoAP client that retransmits nothing and hides nothing: a check sees each message as it came.

Its codec is that of tests/support/engine.py, which shares nothing with what is tested.
"""

import contextlib
import os
import socket

from coap import numbers
from conformance.clocks import Wall
from support import engine

CON, NON, ACK, RST = range(4)
KINDS = ("CON", "NON", "ACK", "RST")
EMPTY = "0.00"
METHODS = ("GET", "POST", "PUT", "DELETE", "FETCH", "PATCH", "iPATCH")
TOKEN_BYTES_MAX = 8

RESPONSE_S = 3.0  # longer than any server here needs for a response that is not separate
SILENCE_S = 0.25  # what has not come by then, on one machine, is not coming


class Failed(Exception):
    """The server did not do what the RFC says; the text says what it did."""


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
        """Return the message as bytes."""
        code = number_of(self.code)
        return engine.encode(self.kind, code, self.mid, self.token, self.options, self.payload)

    def __str__(self):
        options = ", ".join(f"{number}={value.hex() or '-'}" for number, value in self.options)
        payload = f" {len(self.payload)} B" if self.payload else ""
        return f"{KINDS[self.kind]} {self.code} [{options}]{payload}"


def decode(data):
    """Return the message in `data`. Raises Failed when it breaks RFC 7252 section 3."""
    try:
        found = engine.decode(data)
    except (AssertionError, IndexError):
        raise Failed(f"a malformed message: {data.hex()}") from None
    if len(found.token) > TOKEN_BYTES_MAX:
        raise Failed(f"a token of more than 8 bytes: {data.hex()}")
    code = f"{found.code >> 5}.{found.code & 31:02}"
    return Message(found.kind, code, found.mid, found.token, found.options, found.payload)


def number_of(code):
    """Return the byte of a code such as "2.05", or of a method's name."""
    if code in METHODS:
        return METHODS.index(code) + 1
    high, _, low = code.partition(".")
    return int(high) << 5 | int(low)


def block(number, more, szx):
    """Return the value of a Block option (RFC 7959 section 2.2)."""
    return engine.uint(number << 4 | more << 3 | szx)


class Client:
    """A socket that talks to one server, in the time of `clock`.

    Messages that are no response to the latest request, mostly notifications, wait in `others`;
    `endings` are called when it is closed.
    """

    endings = ()

    def __init__(self, address, clock=Wall):
        self.clock = clock
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.connect(address)
        self.mid = int.from_bytes(os.urandom(2), "big")
        self.others = []

    def close(self):
        """End what was begun, as far as the server lets it, and close the socket."""
        for end in self.endings:
            with contextlib.suppress(Failed):
                end()
        self.sock.close()

    def next_mid(self):
        """Return a MID that this client has not used yet."""
        self.mid = (self.mid + 1) & 0xFFFF
        return self.mid

    def raw(self, data):
        """Send bytes as they are."""
        self.clock.make_room()
        self.sock.send(data)

    def receive(self, seconds=RESPONSE_S):
        """Return the next message, None when none comes in time."""
        if not self.clock.wait(self.sock, seconds):
            return None
        try:
            return self.decode(self.sock.recv(65536))
        except ConnectionRefusedError:
            raise Failed("the server is gone") from None

    def decode(self, data):
        """Return the message in a datagram. Raises Failed when there is none."""
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
        return self.response(self.send(self.request(method, path, **parts)))

    def response(self, request, seconds=RESPONSE_S):
        """Return the response to a request that was sent. Raises Failed when none comes."""
        response = self.reaction(request, seconds)
        if response is None:
            raise Failed(f"no response to {request}")
        if response.kind == ACK and response.code == EMPTY:
            response = self.reaction(request, seconds)
            if response is None:
                raise Failed("an empty ACK, and no response after it")
        if response.kind == RST:
            raise Failed(f"RST to {request}")
        if response.kind == CON:
            self.acknowledge(response)
        return response

    def reaction(self, request, seconds=RESPONSE_S):
        """Return the next message that belongs to a request, by its MID or its token."""
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
        """Send an empty ACK."""
        self.send(Message(ACK, EMPTY, message.mid))

    def reset(self, message):
        """Send a Reset."""
        self.send(Message(RST, EMPTY, message.mid))

    def notification(self, token, seconds=RESPONSE_S, acknowledge=True):
        """Return the next message with an observation's token, None when none comes in time."""
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
        found += [(numbers.URI_PATH, part.encode()) for part in path.split("/") if path]
        found += [(numbers.URI_QUERY, part.encode()) for part in query.split("&") if query]
    else:
        found += [(numbers.URI_PATH, part) for part in path]
    for number, value in (
        (numbers.ACCEPT, accept),
        (numbers.CONTENT_FORMAT, content_format),
        (numbers.OBSERVE, observe),
    ):
        if value is not None:
            found.append((number, engine.uint(value)))
    for number, value in ((numbers.BLOCK1, block1), (numbers.BLOCK2, block2)):
        if value is not None:
            found.append((number, block(*value)))
    return found
