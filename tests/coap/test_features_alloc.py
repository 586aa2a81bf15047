"""Once warm, no feature allocates on its way: neither objects nor frames.

`allocated` counts all that is asked of the heap, frames of large functions included; with the heap
locked an allocation is a MemoryError.
"""

from coap import Resource
from coap.blockwise import Blockwise
from coap.counters import (
    COUNT_BLOCKS_REFUSED,
    COUNT_DUPLICATES,
    COUNT_RATE_LIMITED,
    COUNT_RETRANSMISSIONS,
)
from coap.link_format import WellKnownCore
from coap.multicast import Multicast
from coap.no_response import NoResponse
from coap.numbers import ACK, CON, FETCH, GET, NON, POST, PUT, RST
from coap.observe import Observe
from coap.rate_limit import RateLimit
from support import allocated, cases, locked
from support.engine import encode, request, uint
from support.features import (
    ACCEPT,
    BLOCK1,
    BLOCK2,
    ETAG,
    NO_RESPONSE,
    OBSERVE,
    QUERY,
    REQUEST_TAG,
    SIZE1,
    block,
    option,
    seeded,
    text,
    verify,
)

BODY = text(700)


class Things(Resource):
    """A resource for each way to write a response, without allocation."""

    observable = True
    content_formats = (0, 50)

    def __init__(self, way):
        super().__init__()
        self.way = way

    def get(self, request, reply):
        if self.way == "bytes":
            return BODY
        if self.way == "number":
            return reply.number(1234, 2)
        if self.way == "part":
            return reply.part(BODY, 700)
        i = 0
        while i < 700:
            reply.write(BODY, i, 35)
            i += 35
        return None

    fetch = get

    def post(self, request, reply):
        self.get(request, reply)
        return BODY if self.way == "bytes" else None

    def put(self, request, reply):
        pass


class Streamed(Things):
    streams = True


WAYS = ("bytes", "number", "part", "written")


def serving(*features, **settings):
    features = features or (WellKnownCore(), Observe(), Blockwise(), Multicast(), NoResponse())
    node = seeded(*features, **settings)
    for way in WAYS:
        node.add(way, Things(way))
    node.add("streamed", Streamed("number"))
    return node


def nothing_is_allocated(once):
    for _ in range(300):
        once()
    assert allocated(once, 50) == 0
    locked(once)


# The functions that are measured have frames of 11 words at most, as the engine's.


class Turn:
    """Hands over the datagrams, each time with other MIDs, and sends what is due."""

    def __init__(self, node, *datagrams, peer="peer"):
        self.node = node
        self.data = [bytearray(datagram) for datagram in datagrams]
        self.peer = peer
        for i in range(len(datagrams)):
            self.data[i][2] = i

    def once(self):
        for data in self.data:
            data[3] = data[3] + 1 & 255
            hand(self.node, data, self.peer)
        drain(self.node, 1000)


def turn(node, *datagrams, **more):
    return Turn(node, *datagrams, **more).once


def hand(node, data, peer="peer"):
    n = node.datagram(data, len(data), peer, 1000)
    if n:
        node.tx_view(n)


def drain(node, now_ms, sent=None, ack=None):
    """Send what is due; count it, and acknowledge it or reject it, where that is wanted."""
    n = node.due(now_ms)
    while n:
        if sent:
            sent[0] += 1
        if ack:
            settle(node, node.tx_view(n), ack)
        n = node.due(now_ms)
    node.wait_ms(now_ms)


def settle(node, message, ack):
    if ack[0] & 0x10 or not message[0] & 0x30:
        ack[2] = message[2]
        ack[3] = message[3]
        node.datagram(ack, 4, "peer", 1000)


@cases(*[(way, verified) for way in WAYS for verified in (True, False)])
def test_notifications(way, verified):
    node = serving()
    if verified:
        verify(node, now_ms=1000)
    once = turn(node, request(GET, way, options=[option(OBSERVE, 0), option(ACCEPT, 50)]))
    once()
    resource = node.resource_at(way)
    ack = bytearray(encode(ACK, 0, 0))
    told = bytearray(b"\1")

    def change():
        resource.changed()
        told[0] = 1
        drain(node, 1000, told, ack)
        assert told[0] == 2

    nothing_is_allocated(change)
    assert told[0] == 2 and node.extensions[1].count() == 1


def test_a_confirmable_one_that_is_sent_again_and_replaced():
    node = serving(Observe(), exchanges=2, max_retransmit=1000, ack_timeout_ms=1)
    turn(node, request(GET, "number", options=[option(OBSERVE, 0)]))()
    resource = node.resource_at("number")
    now = [1000]
    sent = [2]
    slots = node.messaging.exchanges

    def again():
        slots[3] = slots[10] = 1  # the timeouts: they double with each attempt
        now[0] += 100
        sent[0] += 1
        if sent[0] & 1:
            resource.changed()
        sent[0] -= 1
        drain(node, now[0], sent)

    resource.changed()
    node.due(1000)
    nothing_is_allocated(again)
    assert sent[0] > 300 and node.counters[COUNT_RETRANSMISSIONS] > 300


def test_registrations_and_their_end():
    node = serving()
    verify(node, now_ms=1000)
    nothing_is_allocated(
        turn(
            node,
            request(GET, "number", options=[option(OBSERVE, 0)]),
            request(GET, "number", options=[option(OBSERVE, 1)]),
            request(GET, "number", NON, options=[option(OBSERVE, 0)]),
            request(GET, "number", options=[option(OBSERVE, 0), (QUERY, b"q" * 60)]),
        )
    )


def test_an_rst_ends_an_observation():
    node = serving()
    verify(node, now_ms=1000)
    register = turn(node, request(GET, "number", options=[option(OBSERVE, 0)]))
    resource = node.resource_at("number")
    rst = bytearray(encode(RST, 0, 0))

    def once():
        register()
        resource.changed()
        drain(node, 1000, None, rst)

    nothing_is_allocated(once)
    assert node.extensions[1].count() == 0


@cases(*[(way, num) for way in WAYS for num in (None, 0, 1, 5, 90)])
def test_blocks_of_answers(way, num):
    options = [] if num is None else [block(BLOCK2, num, 0, 2)]
    node = serving(max_payload=256)
    nothing_is_allocated(turn(node, request(GET, way, options=options)))
    nothing_is_allocated(turn(node, request(FETCH, way, options=options, payload=b"x")))


@cases("bytes", "written")
def test_blocks_of_answers_that_are_kept(way):
    node = serving(max_payload=256)
    asks = [request(POST, way)] + [
        request(POST, way, options=[block(BLOCK2, num, 0, 4)]) for num in (1, 2)
    ]
    nothing_is_allocated(turn(node, *asks))
    assert node.extensions[2].transfers.used == 1


@cases("bytes", "streamed")
def test_blocks_of_requests(path):
    node = serving()
    parts = [
        request(
            PUT,
            path,
            options=[block(BLOCK1, num, 1 if num < 3 else 0, 2), (REQUEST_TAG, b"t")],
            payload=BODY[64 * num : 64 * num + 64],
        )
        for num in range(4)
    ]
    late = request(PUT, path, options=[block(BLOCK1, 9)], payload=b"x")
    large = request(PUT, "bytes", options=[block(BLOCK1, 0), option(SIZE1, 99999)], payload=b"x")
    wrong = request(PUT, path, options=[block(BLOCK1, 0, 1)], payload=b"x")
    nothing_is_allocated(turn(node, *(parts + [late, large, wrong])))


def test_no_slot_for_a_request():
    node = serving(Blockwise(slots=1))
    first = [block(BLOCK1, 0, 1, 0)]
    turn(node, request(PUT, "bytes", options=first, payload=b"x" * 16), peer="other")()
    nothing_is_allocated(turn(node, request(PUT, "bytes", options=first, payload=b"x" * 16)))
    assert node.counters[COUNT_BLOCKS_REFUSED] > 300


@cases(None, b"rt=x", b"href=/n*", b"obs", b"ct=5", b"title=none")
def test_discovery(query):
    node = serving(max_payload=64)
    for num in range(3):
        options = [block(BLOCK2, num, 0, 2)] + ([] if query is None else [(QUERY, query)])
        nothing_is_allocated(turn(node, request(GET, ".well-known/core", options=options)))
    nothing_is_allocated(turn(node, request(GET, ".well-known/core")))


def test_duplicates():
    node = serving()
    data = request(PUT, "bytes", payload=b"x", options=[block(BLOCK1, 0, 0)])
    long = request(POST, "bytes")

    def once():
        hand(node, data)
        hand(node, long)

    nothing_is_allocated(once)
    assert node.counters[COUNT_DUPLICATES] > 600


@cases(CON, NON)
def test_too_many_requests(kind):
    node = serving(RateLimit(rate=1, burst=1))
    nothing_is_allocated(turn(node, request(GET, "bytes", kind)))
    assert node.counters[COUNT_RATE_LIMITED] > 300


def test_small_answers_to_strangers():
    node = serving(Blockwise(), amplification_bytes=0)
    nothing_is_allocated(turn(node, request(GET, "written"), request(GET, "bytes")))


def test_answers_that_nobody_wants():
    node = serving()
    silent = [(NO_RESPONSE, uint(26))]
    nothing_is_allocated(
        turn(
            node,
            request(GET, "number", options=silent),
            request(PUT, "number", NON, options=silent),
            request(GET, "none", options=silent),
        )
    )


@cases("number", ".well-known/core")
def test_requests_to_a_group(path):
    node = serving()
    data = bytearray(request(GET, path, NON))
    now = [0]
    sent = [1]

    def once():
        now[0] += 200000
        data[3] = data[3] + 1 & 255
        node.group.arrive(data, len(data), "peer", now[0])
        drain(node, now[0] + 6000, sent)

    nothing_is_allocated(once)
    assert sent[0] > 300


def test_a_valid_etag():
    node = serving()
    node.resource_at("bytes").etag = b"e"
    node.resource_at("bytes").refresh()
    nothing_is_allocated(
        turn(node, request(GET, "bytes", options=[(ETAG, b"e"), block(BLOCK2, 1)]))
    )
