"""Random and mutated datagrams against a node with all extensions, on any interpreter.

A Fuzzer makes each datagram from its seed alone, so a failure names the seed and repeats. Most are
valid messages, from few peers, tokens, MIDs and block numbers, so that exchanges, transfers and
observations come about; the others are such messages broken in one or more places.
"""

import gc
import sys
from array import array

from coap import Resource
from coap.blockwise import Blockwise
from coap.counters import COUNT_HANDLER_ERRORS, COUNTER_NAMES
from coap.echo import Echo
from coap.link_format import WellKnownCore
from coap.multicast import Multicast
from coap.no_response import NoResponse
from coap.node import Node
from coap.observe import Observe
from coap.problem_details import ProblemDetails
from coap.rate_limit import RateLimit
from coap.resource import SEPARATE, CoapError
from support.engine import decode, encode, uint

MASK = 0x3FFFFFFF
BUDGET_BYTES = 300
CHECK_EVERY = 5000
# Blocks of memory that may differ between two looks: caches of the interpreter, lengths of tokens
SLACK = 60

# (number, kind of value): what a request may carry, and what it may not
OPTIONS = (
    (1, "tag"), (3, "text"), (4, "tag"), (5, "none"), (6, "observe"), (7, "uint"), (8, "text"),
    (9, "text"), (11, "path"), (12, "form"), (14, "uint"), (15, "query"), (16, "uint"),
    (17, "form"), (19, "block"), (20, "text"), (21, "none"), (23, "block"), (27, "block"),
    (28, "uint"), (31, "block"), (35, "text"), (39, "text"), (60, "uint"), (61, "text"),
    (62, "uint"), (63, "tag"), (252, "tag"), (258, "uint"), (292, "tag"), (2048, "text"),
    (65535, "text"),
)  # fmt: skip
PATHS = (
    "value",
    "large",
    "written",
    "part",
    "stream",
    "later",
    "fails",
    "echo",
    "gone",
    "under/a/b",
)
QUERIES = (b"a=1", b"rt=x*", b"href=/*", b"obs", b"", b"ct=0", b'title=a"', b"if=a b")


class Value(Resource):
    """A resource with every method and every kind of response."""

    content_formats = (0, 50, 60)
    observable = True
    rt = "x y"
    title = 'a "quoted" title'
    body = bytes(range(256)) * 8

    def get(self, request, reply):
        if self.path == "large":
            return self.body
        if self.path == "written":
            for at in range(0, 2000, 25):
                reply.write(self.body, at, 25)
            return None
        if self.path == "part":
            return reply.part(self.body[reply.offset : reply.offset + reply.wanted], 2048)
        if self.path == "fails":
            raise CoapError(0xA3, "it fails", 3)
        return reply.number(-12345, 3)

    def put(self, request, reply):
        request.payload_bytes()
        request.queries()
        self.changed()

    def post(self, request, reply):
        if self.path == "later":
            self.tickets.append(request.defer())
            return SEPARATE
        if self.path == "large":
            return request.payload
        if self.path == "written":
            return self.get(request, reply)
        reply.location(*request.path())
        return None

    def delete(self, request, reply):
        self.exists = not self.exists
        self.changed()

    fetch = post
    patch = ipatch = put


def serving():
    """Return a node with all extensions in small sizes, so that its tables are often full."""
    node = Node(
        RateLimit(rate=1, burst=12),
        WellKnownCore(),
        Echo(),
        Observe(slots=4, con_every=3, con_ms=60000),
        Blockwise(slots=2, bytes=512, lifetime_ms=20000),
        Multicast(slots=2),
        ProblemDetails(),
        NoResponse(),
        max_payload=256,
        dedup_entries=8,
        cached_response_bytes=48,
        peers=8,
        exchanges=3,
        separate_responses=2,
        amplification_bytes=BUDGET_BYTES,
    )
    node.seed(b"fuzz")
    for path in PATHS:
        resource = Value()
        resource.tickets = []
        resource.streams = path == "stream"
        resource.echo = path == "echo"
        resource.exists = path != "gone"
        resource.prefix = path == "under/a/b"
        resource.confirmable = True if path == "part" else None
        resource.etag = b"etag" if path == "part" else b""
        node.add("under" if resource.prefix else path, resource)
    return node


class Fuzzer:
    """Feed one node; run() raises AssertionError, or an exception that leaves the node."""

    def __init__(self, seed=1):
        self.state = seed * 7919 & MASK
        self.node = serving()
        self.now_ms = MASK - 100000
        self.peers = ["peer %d" % i for i in range(12)]
        self.sent = []  # the node's own messages: (peer, MID)
        self.corpus = [self.valid() for _ in range(200)]
        self.done = 0
        self.answered = 0
        self.beyond = []  # (time, bytes) to unverified peers
        self.memory = None

    def run(self, n):
        """n datagrams."""
        while n:
            n -= 1
            datagram = self.datagram()
            try:
                self.feed(datagram)
                if self.below(20) == 0:
                    self.pass_time()
                if self.done % CHECK_EVERY == 0:
                    self.check()
            except Exception:
                print("datagram", self.done, "".join(["%02x" % byte for byte in datagram]))
                raise
            self.done += 1

    def feed(self, datagram):
        node = self.node
        peer = self.peers[self.below(1 + self.below(len(self.peers)))]  # some more often
        if self.sent and self.below(30) == 0:
            peer, mid = self.choice(self.sent)
            datagram = encode(self.choice((2, 2, 3)), 0, mid)
        if self.below(16) == 0:
            node.group.arrive(datagram, len(datagram), peer, self.now_ms)
            return
        n = node.datagram(datagram, len(datagram), peer, self.now_ms)
        if n:
            self.answered += 1
            self.take(n, datagram)

    def take(self, n, datagram=b""):
        """Check what the node sends: a valid message that is no reaction to an ACK or RST."""
        assert 4 <= n <= len(self.node.tx), n
        out = bytes(self.node.tx_view(n))
        self.weigh(n, self.node.view.peer if datagram else self.node.peer, len(datagram))
        message = decode(out)
        assert message.kind == 3 or message.code == 0 or message.code >= 0x40, message
        if datagram:
            assert not datagram[0] & 0x20, "an ACK or RST was answered"
            assert message.kind == 1 or not datagram[0] & 0x10, "an ACK or RST for a NON"
            assert message.kind == 1 or message.mid == datagram[2] << 8 | datagram[3], message
        elif message.kind < 2:
            self.sent = self.sent[-7:] + [(self.node.peer, message.mid)]
        return message

    def weigh(self, n, peer, request_bytes):
        """Check what unverified peers got within two periods of the budget."""
        beyond = n - max(136, 3 * request_bytes)
        if beyond > 0 and not self.node.messaging.is_verified(peer):
            self.beyond = [one for one in self.beyond if (self.now_ms - one[0]) & MASK < 10000]
            self.beyond.append((self.now_ms, beyond))
            most = 2 * (BUDGET_BYTES + len(self.node.tx))
            assert sum([one[1] for one in self.beyond]) <= most, self.beyond

    def pass_time(self):
        node = self.node
        self.now_ms = (self.now_ms + self.below(self.choice((10, 100, 1000, 1000, 100000)))) & MASK
        what = self.below(8)
        if what == 0:
            node.resources[1 + self.below(len(PATHS))].changed()
        elif what == 1:
            tickets = node.resource_at("later").tickets
            while tickets:
                out = self.choice((b"", b"late", 0x84, "text"))
                node.respond(tickets.pop(), out, self.choice((None, 60)))
        elif what == 2:
            assert node.restore(node.state())
        most = 100
        n = node.due(self.now_ms)
        while n:
            self.take(n)
            most -= 1
            assert most, "due() does not come to an end"
            n = node.due(self.now_ms)
        assert node.wait_ms(self.now_ms) >= 0

    def check(self):
        """Check that the node still responds, has raised nothing, and uses no more memory."""
        node = self.node
        self.now_ms = (self.now_ms + 5000) & MASK
        node.messaging.mark_verified("good")
        for path, code in (("value", 0x45), ("none", 0x84)):
            datagram = encode(0, 1, self.below(65536), b"good", [(11, path.encode())])
            node.resource_at("value").exists = True
            node.resource_at("value").changed()
            n = node.datagram(datagram, len(datagram), "good", self.now_ms)
            message = decode(node.tx_view(n))
            assert (message.kind, message.code, message.token) == (2, code, b"good"), message
        assert node.counters[COUNT_HANDLER_ERRORS] == 0, node.last_error
        assert len(node.views) <= len(node.tx) // 48 + 1 and len(node.messaging.peer_indexes) <= 8
        del node.resource_at("later").tickets[:]
        memory = blocks()
        if self.done >= 2 * CHECK_EVERY:  # caches are warm
            self.memory = memory if self.memory is None else self.memory
            assert memory - self.memory < SLACK, (self.memory, memory)

    # Random datagrams

    def datagram(self):
        """The next one."""
        what = self.below(10)
        if what < 5:
            return self.valid()
        if what == 5:
            return bytes([self.below(256) for _ in range(self.below(64))])
        data = bytearray(self.choice(self.corpus) if what < 9 else self.valid())
        for _ in range(1 + self.below(3)):
            data = self.mutate(data)
        return bytes(data[:1400])

    def valid(self):
        """Return a well-formed message of arbitrary meaning."""
        kind = self.choice((0, 0, 0, 1, 1, 2, 3))
        code = self.choice((1, 1, 1, 2, 3, 4, 5, 6, 7, 31, 0x45, 0x84))
        token = bytes([self.below(3) for _ in range(self.choice((0, 1, 1, 2, 8)))])
        options = []
        if self.below(16):
            path = self.choice(PATHS) if self.below(6) else ".well-known/core"
            options = [(11, part.encode()) for part in path.split("/")]
        for _ in range(self.below(5)):
            number, shape = (
                self.choice(OPTIONS) if self.below(3) else (self.choice((6, 23, 27)), "")
            )
            options.append((number, self.value(shape or ("observe" if number == 6 else "block"))))
        payload = b"x" * self.choice((0, 0, 1, 16, 16, 32, 64, 100, 256))
        if self.below(4) == 0:
            # the next block of a transfer, or a registration, as they should be
            szx = self.below(2)
            more = self.below(4) > 0
            options = [(11, self.choice(("value", "written", "stream")).encode())]
            if self.below(3):
                options.append((27, uint(self.below(3) << 4 | more << 3 | szx)))
                code = self.choice((2, 3, 5))
                payload = b"x" * (16 << szx)
            else:
                options.append((6, b""))
                code = 1
            kind = self.below(2)
        return encode(kind, code, self.below(24), token, options, payload)

    def value(self, shape):
        if shape == "none":
            return b""
        if shape == "tag":
            return self.choice((b"", b"etag", b"\1", b"12345678", b"x" * 12))
        if shape == "observe":
            return self.choice((b"", b"", b"\1", b"\2", b"\1\2\3"))
        if shape == "form":
            return uint(self.choice((0, 0, 40, 50, 60, 257, 65535)))
        if shape == "query":
            return self.choice(QUERIES)
        if shape == "block":
            if self.below(8) == 0:
                return uint(self.below(1 << 24))
            return uint(self.below(4) << 4 | self.below(2) << 3 | self.choice((0, 0, 1, 2, 4, 7)))
        if shape == "uint":
            return uint(self.choice((0, 1, 2, 26, 255, 65536, MASK)))
        return b"abcdefgh" * self.choice((0, 1, 1, 2, 34))

    def mutate(self, data):
        at = self.below(len(data) + 1)
        what = self.below(7)
        if what == 0 and data:
            data[at % len(data)] ^= 1 << self.below(8)
        elif what == 1 and data:
            data[at % len(data)] = self.choice((0, 13, 14, 15, 0x60, 0xD0, 0xE0, 0xF0, 0xFF))
        elif what == 2:
            data = data[:at]
        elif what == 3:
            data = data[:at] + bytes([self.below(256)]) + data[at:]
        elif what == 4:
            data = data[:at] + data[at + 1 + self.below(4) :]
        elif what == 5:
            data = data[:at] + data[at // 2 :]
        else:
            other = self.choice(self.corpus)
            data = data[:at] + other[self.below(len(other)) :]
        return data

    def below(self, n):
        self.state = (self.state * 1103515245 + 12345) & MASK
        return (self.state >> 12) * n >> 18

    def choice(self, values):
        return values[self.below(len(values))]


def blocks():
    """Return the memory in use, in blocks of some 32 bytes."""
    gc.collect()
    if hasattr(gc, "mem_alloc"):
        return gc.mem_alloc() // 32
    return sys.getallocatedblocks()


def main(seed, n):
    """Feed n datagrams and print so; print the datagram before an exception passes on."""
    fuzzer = Fuzzer(seed)
    fuzzer.run(n)
    fuzzer.check()
    counters = fuzzer.node.counters
    print("{} datagrams, {} answers, seed {}:".format(n, fuzzer.answered, seed))
    print(
        ", ".join(
            ["{} {}".format(name, value) for name, value in zip(COUNTER_NAMES, counters) if value]
        )
    )
    return array("i", counters)
