"""Observers who asked the same are told with one notification written once: the same bytes as if
each had its own.
"""

from coap.blockwise import Blockwise
from coap.conditional_observe import ConditionalObserve
from coap.no_response import NoResponse
from coap.numbers import ACK, CON, GET, NOT_FOUND
from coap.observe import Observe
from support import cases
from support.engine import encode, request
from support.features import (
    ACCEPT,
    BLOCK2,
    ETAG,
    NO_RESPONSE,
    OBSERVE,
    QUERY,
    Value,
    block,
    option,
    seeded,
    text,
    verify,
)

URI_HOST = 3
GROUP = 3  # word of Observe.written

# What observers may ask beside the path
WISHES = (
    ((), b"\1"),
    ((), b"\2"),
    ((), b""),
    ((), b""),
    ((), b"\1\2\3\4\5\6\7\x08"),
    ((), b"\1\2\3\4\5\6\7\x09"),
    ((), b"\1" * 12),
    ((), b"\2" * 12),
    ([option(ACCEPT, 50)], b"\1"),
    ([option(ACCEPT, 50)], b"\2"),
    ([(QUERY, b"c.pmin=0.001")], b"\1"),
    ([(QUERY, b"c.pmin=0.001")], b"\2"),
    ([block(BLOCK2, 0, szx=0)], b"\1"),
    ([block(BLOCK2, 0, szx=0)], b"\2"),
    ([(ETAG, b"tag1")], b"\1"),
    ([(ETAG, b"tag1")], b"\2"),
    ([(URI_HOST, b"a")], b"\1"),
    ([(URI_HOST, b"b")], b"\2"),
    ([option(NO_RESPONSE, 0)], b"\1"),
    ([(2048, b"x")], b"\1"),
    ([(2048, b"y")], b"\2"),
)


class Mixed(Value):
    """Its GET says what `way` wants."""

    content_formats = (0, 50)

    def get(self, request, reply):
        self.asked += 1
        if self.way == "peer":
            return request.peer.encode() + self.value
        if self.way == "token":
            return request.token + self.value
        if self.way == "location":
            reply.location("a", "b")
        if self.way == "etag":
            reply.etag = b"tag" + self.value[:1]
            reply.max_age_s = 300
        if self.way == "error":
            return NOT_FOUND if self.value == b"7" else self.value
        return self.value


def serving(way, number):
    node = seeded(
        ConditionalObserve(),
        Observe(24),
        Blockwise(),
        NoResponse(),
        token_max=16,
        peers=32,
        exchanges=24,
    )
    node.add("v", Mixed(way=way))
    node.extensions[1].value = number
    for i in range(len(WISHES)):
        options, token = WISHES[i]
        peer = "p%02d" % i
        verify(node, peer)
        data = request(GET, "v", CON, i, token, [(OBSERVE, b"")] + list(options))
        node.datagram(data, len(data), peer, 0)
    return node


def told(node, now_ms, slowly):
    """[(peer, bytes)] of what the node sends; each confirmable one is acknowledged."""
    sent = []
    while True:
        if slowly:
            node.extensions[1].written[GROUP] = 0
        n = node.due(now_ms)
        if not n:
            return sent
        data = bytes(node.tx_view(n))
        sent.append((node.peer, data))
        if data[0] >> 4 & 3 == CON:
            ack = encode(ACK, 0, data[2] << 8 | data[3])
            node.datagram(ack, len(ack), sent[-1][0], now_ms)


@cases(
    ("plain", 0),
    ("plain", 65400),
    ("plain", 0xFFFF80),
    ("etag", 200),
    ("peer", 0),
    ("token", 0),
    ("location", 0),
    ("error", 0),
    ("long", 200),
)
def test_the_bytes_are_those_of_the_slow_way(way, number):
    nodes = [serving(way, number) for _ in range(2)]
    values = [b"%d" % i for i in range(25)]
    if way == "long":
        values = [text(1500, 10 * i) for i in range(5)]
    count = 0
    for i in range(len(values)):
        streams = []
        for node in nodes:
            node.resource_at("v").become(values[i])
            streams.append(told(node, 10 * i, node is nodes[1]))
        assert streams[0] == streams[1], (i, streams)
        count += len(streams[0])
    asked = [node.resource_at("v").asked for node in nodes]
    if way in ("plain", "etag", "long"):
        assert asked[0] < asked[1], asked  # else it is not shared
    elif way != "error":
        assert asked[0] == asked[1] == count + len(WISHES)


def between(happens):
    """Call `happens` after 1 to 11 notifications; yield the node and the later notifications."""
    for sent in range(1, 12):
        node = serving("plain", 1000)
        told(node, 0, False)
        node.resource_at("v").become(b"new")
        for _ in range(sent):
            data = node.tx_view(node.due(10))
            if data[0] >> 4 & 3 == CON:
                ack = encode(ACK, 0, data[2] << 8 | data[3])
                node.datagram(ack, len(ack), node.peer, 10)
        happens(node)
        yield node, told(node, 10, False)


def test_a_datagram_in_between_makes_it_be_written_anew():
    def come(node):
        node.resource_at("v").value = b"newer"  # without changed(): whoever comes later sees it
        data = request(GET, "none")
        assert node.datagram(data, len(data), "other", 10)

    for _, later in between(come):
        seen = [data[-5:] for _, data in later if data[0] >> 4 & 3 != CON]
        assert seen and seen == [b"newer"] * len(seen)


def test_a_change_in_between_is_told_at_once():
    for node, later in between(lambda node: node.resource_at("v").become(b"other")):
        last = dict(later + told(node, 100_000, False))  # pmin may have held one back
        assert len(last) == node.extensions[1].used
        assert all(data[-5:] == b"other" for data in last.values())
