"""Attackers at many addresses of 127.0.0.0/8, and what a node sends to each.

Most stand for forged addresses: they only send. What the node sends there is counted as what a
victim would get. A few are there themselves, and acknowledge and return all that shows so.
"""

import contextlib
import random
import selectors
import socket
import time

from support.engine import decode, encode, uint
from support.hostile_messages import OBSERVE, hostile

SAFE_BYTES = 136  # RFC 9175 section 2.4
FACTOR = 3
ACK, RST = 2, 3
GET, POST, PUT = 1, 2, 3
PATH, BLOCK1, ECHO = 11, 27, 252
RECEIVED_MAX = 2048


def address(number):
    """Return one of 16 million addresses of this computer, never 127.0.0.1."""
    number += 1 << 16
    return f"127.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


class Attacker:
    """One address: `beyond` bytes came there beyond both 3 times what was sent and 136."""

    def __init__(self, number, port, is_there):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address(number), 0))
        self.socket.connect(("127.0.0.1", port))
        self.socket.setblocking(False)
        self.is_there = is_there
        self.sizes = {}  # of the requests by MID, which a response in an ACK has as well
        self.echo = []
        self.beyond = 0
        self.sent_bytes = 0
        self.received_bytes = 0

    def send(self, datagram):
        """Send a datagram; what can not be sent is lost, as in any network."""
        self.sizes[datagram[2:4]] = len(datagram)
        self.sent_bytes += len(datagram)
        with contextlib.suppress(OSError):
            self.socket.send(datagram)

    def receive(self):
        """Count what has come; one that is there acknowledges it, and keeps its Echo."""
        with contextlib.suppress(OSError):
            while True:
                datagram = self.socket.recv(RECEIVED_MAX)
                self.received_bytes += len(datagram)
                is_ack = datagram[0] >> 4 & 3 == ACK
                size = self.sizes.get(datagram[2:4], 0) if is_ack else 0
                self.beyond += max(0, len(datagram) - max(SAFE_BYTES, FACTOR * size))
                if self.is_there:
                    self.prove(decode(datagram))

    def prove(self, message):
        """Show that this address is a real one."""
        if message.kind == 0:
            self.send(encode(ACK, 0, message.mid))
        self.echo = [(ECHO, value) for value in message.all(ECHO)] or self.echo


class Attackers:
    """A number of them, of which `there` are at their addresses."""

    def __init__(self, port, count, there=0, seed=1):
        self.chance = random.Random(seed)
        self.all = [Attacker(number, port, number < there) for number in range(count)]
        self.selector = selectors.DefaultSelector()
        for one in self.all:
            self.selector.register(one.socket, selectors.EVENT_READ, one)
        self.sent = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.selector.close()
        for one in self.all:
            one.socket.close()

    def run(self, per_s, seconds, datagram=None, each_s=None):
        """Send datagram(chance, attacker), as a rule one of any kind, so often for so long.

        each_s(second) is called every second, and may return True to end it.
        """
        datagram = datagram or any_kind
        start = time.monotonic()
        before = self.sent
        second = 0
        while (elapsed := time.monotonic() - start) < seconds:
            while self.sent - before < per_s * elapsed:
                attacker = self.chance.choice(self.all)
                attacker.send(datagram(self.chance, attacker))
                self.sent += 1
            if each_s and elapsed >= second:
                if each_s(second):
                    return
                second += 1
            for key, _ in self.selector.select(0.005):
                key.data.receive()

    @property
    def beyond(self):
        """Bytes to forged addresses beyond both 3 times what was sent from them and 136."""
        return sum(one.beyond for one in self.all if not one.is_there)


def any_kind(chance, attacker):
    """Return a datagram of any kind."""
    mid, token = chance.randrange(65536), chance.randbytes(4)
    kind = chance.randrange(8)
    if attacker.is_there and kind > 3:  # the rest of what only a verified one can do
        return encode(0, POST, mid, token, [*segments("config"), *attacker.echo], b"{}")
    if kind == 0:
        options = [*segments("s/contact"), (OBSERVE, b""), *attacker.echo]
        return encode(0, GET, mid, token, options)
    if kind == 1:
        return encode(chance.choice((ACK, RST)), 0, mid)
    if kind == 2:
        options = [*segments("config"), (BLOCK1, uint(8 | 2)), *attacker.echo]
        return encode(0, PUT, mid, token, options, b"x" * 64)
    if kind == 3:
        options = [*segments("diag"), (17, uint(110)), *attacker.echo]
        return encode(0, GET, mid, token, options)
    return hostile(chance) or b"@"


def segments(path):
    """Return the Uri-Path options of a path."""
    return [(PATH, part.encode()) for part in path.split("/")]
