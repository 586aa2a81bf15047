"""Requests of which an Accept or a Block2 alone needs a look: their short way says the same."""

from coap import CoapError, Resource
from coap.node import Node
from coap.numbers import CON, CONFLICT, DELETE, FETCH, GET, NON, POST, PUT
from coap.presets import default_extensions
from support import cases
from support.engine import encode, uint
from support.features import ACCEPT, CONTENT_FORMAT, ETAG, OBSERVE, block

HEAP = "2m"
FORMATS = (0, 50, 60, 112)
ODD = (1, 51, 65533, 65535)
BLOCK2 = 23
# of what is asked for: none, the first, the same in all sizes, the last ones, beyond, no size
BLOCKS = ((-1, 0), (0, 2), (0, 0), (0, 6), (2, 6), (1, 5), (46, 2), (47, 2), (9, 0), (1, 7))
FEW = (None, 60, 65535)
LONG = bytes([i % 251 for i in range(3000)])


class Thing(Resource):
    content_formats = FORMATS

    def __init__(self, way):
        super().__init__()
        self.way = way
        self.asked = []

    def get(self, request, reply):
        self.asked.append((request.accept, reply.negotiated, reply.content_format))
        if self.way == "bytes":
            return b"as it is"
        if self.way in ("long", "tagged"):
            return LONG
        if self.way == "fresh":
            return LONG[1 + len(self.asked) % 16 :]
        if self.way == "bytearray":
            return bytearray(LONG)
        if self.way == "number":
            return reply.number(3662, 2)
        if self.way == "boolean":
            return reply.boolean(True)
        if self.way == "pieces":
            for _ in range(300):
                reply.write(b"piece of it ")
        elif self.way == "code":
            return CONFLICT
        elif self.way == "error":
            raise CoapError(CONFLICT, "not now", 5)
        elif self.way == "mistake":
            raise ValueError("a mistake")
        elif self.way == "nonsense":
            return 3.5
        elif self.way == "settings":
            reply.etag = b"tag"
            reply.max_age_s = 7
            reply.content_format = 60
            reply.write(b"\xf5")
        return None

    put = post = fetch = get


WAYS = (
    "bytes",
    "long",
    "tagged",
    "fresh",
    "bytearray",
    "number",
    "boolean",
    "pieces",
    "code",
    "error",
    "mistake",
    "nonsense",
    "settings",
    "nothing",
)


def serving(way, by_the_long_way):
    node = Node(*default_extensions())
    node.seed(b"entropy!")
    node.add("a/b", Thing(way))
    node.resource_at("a/b").etag = b"1"
    if way == "tagged":
        node.resource_at("a/b").changed()
    if by_the_long_way:
        node._choose = lambda view, out: node._check(view)
    return node


def requests():
    mid = 0x100
    for kind in (CON, NON):  # GET first: what is kept of a PUT takes the short way from all
        for code in (GET, PUT, POST, FETCH, DELETE):
            for accept in FORMATS + ODD + (None,):
                for more in ((), [(CONTENT_FORMAT, uint(50))], [(OBSERVE, b"")], [(ETAG, b"1")]):
                    for number, szx in BLOCKS if accept in FEW else BLOCKS[:2]:
                        blocks = [] if number < 0 else [block(BLOCK2, number, szx=szx)]
                        options = [(11, b"a"), (11, b"b")] + list(more) + list(blocks)
                        if accept is not None:
                            options.append((ACCEPT, uint(accept)))
                        payload = b"{}" if more and code != GET else b""
                        mid += 1
                        yield encode(kind, code, mid, b"tok", options, payload)


@cases(*WAYS)
def test_both_ways_say_the_same(way):
    nodes = serving(way, False), serving(way, True)
    count = 0
    for now_ms, data in enumerate(requests()):
        answers = [
            bytes(node.tx_view(node.datagram(data, len(data), "p", now_ms))) for node in nodes
        ]
        assert answers[0] == answers[1], (data, answers)
        count += 1
    assert nodes[0].resource_at("a/b").asked == nodes[1].resource_at("a/b").asked
    assert count == 1680 and nodes[0].response.negotiated is None
    # of what is the same again the digest is kept
    assert (nodes[0].builder.blockwise.hashed_payload is LONG) == (way == "long")
    assert any(negotiated == 112 for _, negotiated, _ in nodes[0].resource_at("a/b").asked)
