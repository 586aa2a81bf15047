"""Counts what the engine costs on this machine, operation by operation; frozen into its image.

Run it under QEMU's -icount, where time passes with instructions alone: the clock then counts
them. The ticks of one instruction are measured with a loop of known length. Nothing is
subtracted: the row "nothing" is the cost of the measuring loop itself.
"""

import gc

import board
from clocks import COUNTER, spin
from umachine import mem32

from apps import door
from coap.access import READ_ONLY, Access
from coap.numbers import GET, JSON, PUT
from coap.oscore import Oscore
from coap.oscore.context import Context
from coap.presets import node_for_board
from config import Settings
from support.engine import request, uint
from support.features import verify
from support.oscore_peer import SALT, SECRET, End

WARM = 50
TIMES = 200
SPIN = 500000  # turns of the loop of known length
OBSERVE, CONTENT_FORMAT, URI_QUERY, ACCEPT, BLOCK2 = 6, 12, 15, 17, 23
SENML_CBOR = 112
BODY = bytes(range(256)) * 16
MORE_RESOURCES = 64
OBSERVERS = 32
QUERIES = 30
# As recvfrom() gives them: equal, but not the same objects.
PEERS = [(".".join(["192", "168", "4", "2"]), port) for port in (56830, 56830)]


class Turns:
    """Passes one datagram to a node repeatedly, with a new MID each time if `fresh`."""

    def __init__(self, node, datagram, fresh=True):
        self.node = node
        self.data = bytearray(datagram)
        self.step = 1 if fresh else 0
        self.peer = 0

    def once(self):
        """Process the next datagram; return its response or None."""
        data = self.data
        data[3] = data[3] + self.step & 255
        self.peer ^= 1
        n = self.node.datagram(data, len(data), PEERS[self.peer], 1000)
        return self.node.tx_view(n) if n else None


class Renewed:
    """Passes PUTs of two different configurations to a node, alternately."""

    def __init__(self, node):
        json = [(CONTENT_FORMAT, uint(JSON))]
        self.turns = [
            Turns(node, request(PUT, "config", options=json, payload=b'{"heartbeat_s": %d}' % s))
            for s in (60, 61)
        ]
        self.turn = 0

    def once(self):
        """Process the next PUT; return its response or None."""
        self.turn ^= 1
        turns = self.turns[self.turn]
        turns.data[2] = self.turn  # high byte of the MID: else both would use the same MIDs
        return turns.once()


class Protected:
    """Passes requests to a node, each protected with a Partial IV of its own."""

    def __init__(self, node, datagram):
        self.node = node
        end = End(b"\x02", b"\x01")
        self.made = [
            end.request(datagram[:3] + bytes((i & 255,)) + datagram[4:])
            for i in range(WARM + TIMES)
        ]
        self.at = 0

    def once(self):
        """Process the next request; return its response or None."""
        data = self.made[self.at]
        self.at += 1
        n = self.node.datagram(data, len(data), PEERS[self.at & 1], 1000)
        return self.node.tx_view(n) if n else None


class Change:
    """Changes an observed resource and acknowledges its notification if that is confirmable."""

    def __init__(self, node, path, peer):
        self.node = node
        self.resource = node.resource_at(path)
        self.peer = peer
        self.ack = bytearray(b"\x60\0\0\0")

    def once(self):
        """Change the resource; return the notification or None."""
        self.resource.changed()
        n = self.node.due(1000)
        if not n:
            return None
        message = self.node.tx_view(n)
        if not message[0] & 0x10:
            self.ack[2] = message[2]
            self.ack[3] = message[3]
            self.node.datagram(self.ack, 4, self.peer, 1000)
        return message


def nothing():
    """Do nothing: what is counted is the measuring loop itself."""


def serving(more=(), slots=board.SLOTS, resources=0):
    """Return a door with all features, as firmware/startup.py makes it, without a rate limit.

    resources: how many other resources come before its own in the table.
    """
    board.power_on()
    # The clock stands still: a budget that is large enough to count the whole time.
    slots = dict(slots, amplification_bytes=1 << 29)
    node = node_for_board(slots, board.RECV_MAX, 0, True, more)
    for i in range(resources):
        node.get("r/{}".format(i))(lambda request, reply: b"21.5")
    door.setup(node, board, Settings(None))
    node.get("large")(lambda request, reply: BODY)
    node.seed(b"\1\2\3\4")
    return node


def observed():
    """Return a door with many observers of one resource."""
    slots = dict(board.SLOTS)
    slots["observers"], slots["peers"] = OBSERVERS, OBSERVERS + 2
    node = serving((), slots)
    for i in range(OBSERVERS):
        register = request(GET, "s/contact", token=bytes((i,)), options=[(OBSERVE, b"")])
        node.datagram(register, len(register), ("192.168.4.3", i), 1000)
    node.resource_at("s/contact").changed()
    for _ in range(OBSERVERS):
        message = node.tx_view(node.due(1000))
        if message[1] != 0x45:
            raise ValueError("an observer is missing")
        node.datagram(bytes((0x60, 0, message[2], message[3])), 4, node.peer, 1000)
    return node


def operations(node):
    """Yield (name, function, code of the expected response) of what is counted."""
    json = [(CONTENT_FORMAT, uint(JSON))]
    config = request(PUT, "config", options=json, payload=b'{"heartbeat_s": 60}')
    contact = request(GET, "s/contact")
    yield "nothing", nothing, None
    yield "get", Turns(node, contact).once, 0x45
    # The same GET, where there is more of something.
    yield "get-64-resources", Turns(serving(resources=MORE_RESOURCES), contact).once, 0x45
    yield "get-32-observers", Turns(observed(), contact).once, 0x45
    queries = [(URI_QUERY, b"q=1")] * QUERIES
    yield "get-32-options", Turns(node, request(GET, "s/contact", options=queries)).once, 0x45
    yield (
        "get-json",
        Turns(node, request(GET, "s/contact", options=[(ACCEPT, uint(JSON))])).once,
        0x45,
    )
    senml = request(GET, "s/contact", options=[(ACCEPT, uint(SENML_CBOR))])
    yield "senml", Turns(node, senml).once, 0x45
    yield "not-found", Turns(node, request(GET, "no/such")).once, 0x84
    yield "put", Turns(node, config).once, 0x44
    yield "put-new", Renewed(node).once, 0x44
    yield "duplicate", Turns(node, config, False).once, 0x44
    yield "discovery", Turns(node, request(GET, ".well-known/core")).once, 0x45
    yield (
        "block",
        Turns(node, request(GET, "large", options=[(BLOCK2, uint(1 << 4 | 6))])).once,
        0x45,
    )
    observer = Turns(node, request(GET, "s/contact", options=[(OBSERVE, b"")]))
    observer.once()
    verify(node, PEERS[observer.peer], 1000)  # it has acknowledged something before
    yield "notify", Change(node, "s/contact", PEERS[0]).once, 0x45
    # outside, its code is another one; AES is that of mbedtls
    context = Context(SECRET, b"\x01", b"\x02", SALT)
    keys = Oscore([context], volatile=True)
    context.window.valid = True  # as after an Echo
    yield "oscore-get", Protected(serving([Access(READ_ONLY), keys]), contact).once, 0x44


def ticks(function, times):
    """Return the ticks that so many calls take."""
    gc.collect()
    before = mem32[COUNTER]
    while times:
        function()
        times -= 1
    return (mem32[COUNTER] - before) & 0xFFFFFFFF


def spinning(turns):
    """Return the ticks that so many turns of the loop of known length take."""
    before = mem32[COUNTER]
    spin(turns)
    return (mem32[COUNTER] - before) & 0xFFFFFFFF


def main():
    """Print one line per operation: its name, ticks, calls."""
    spinning(10)
    # The difference of two lengths is the loop alone.
    print("calibration", spinning(2 * SPIN) - spinning(SPIN), 2 * SPIN)
    for name, function, code in operations(serving()):
        for _ in range(WARM):
            answer = function()
        if code is not None and (answer is None or answer[1] != code):
            raise ValueError("{}: {}".format(name, answer and bytes(answer)))
        print(name, ticks(function, TIMES), TIMES)
