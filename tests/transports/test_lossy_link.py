"""The wire in memory that other tests rely on: it loses, doubles, delays, and keeps time."""

from coap import Node
from coap.numbers import CON, CONTENT, GET, RST
from support.engine import Peer, encode, request, silent
from support.lossy_link import LossyLink


def carried(count, span_ms=10000, **settings):
    """When the peer got each of `count` datagrams that were sent 10 ms apart."""
    wire = LossyLink(**settings)
    peer = wire.join("peer", Peer(wire, silent))
    for i in range(count):
        wire.send("me", "peer", encode(CON, GET, i))
        wire.run(10)
    wire.run(span_ms)
    return [(when, message.mid) for when, message in peer.got]


def test_a_good_wire():
    assert carried(5) == [(1, 0), (11, 1), (21, 2), (31, 3), (41, 4)]


def test_delay():
    assert carried(3, delay_ms=(100, 100)) == [(100, 0), (110, 1), (120, 2)]
    for when, mid in carried(100, delay_ms=(20, 50)):
        assert 20 <= when - 10 * mid <= 50


def test_different_delays_reorder():
    mids = [mid for _, mid in carried(100, delay_ms=(1, 500))]
    assert sorted(mids) == list(range(100)) and mids != sorted(mids)


def test_equal_delays_do_not():
    wire = LossyLink(delay_ms=(7, 7))
    peer = wire.join("peer", Peer(wire, silent))
    for i in range(50):
        wire.send("me", "peer", encode(CON, GET, i))
    wire.run(10)
    assert [message.mid for _, message in peer.got] == list(range(50))


def test_loss():
    assert carried(20, loss_pct=100) == []
    assert 250 < len(carried(500, loss_pct=40, span_ms=10)) < 350


def test_duplicates():
    assert len(carried(20, duplicate_pct=100)) == 40
    got = carried(500, duplicate_pct=40, span_ms=10)
    assert 650 < len(got) < 750
    assert {mid for _, mid in got} == set(range(500))


def test_the_same_seed_does_the_same_again():
    settings = {"loss_pct": 30, "duplicate_pct": 30, "delay_ms": (1, 300)}
    assert carried(50, seed=7, **settings) == carried(50, seed=7, **settings)
    assert carried(50, seed=7, **settings) != carried(50, seed=8, **settings)


def test_nodes_answer():
    wire = LossyLink(delay_ms=(10, 10))
    node = wire.join("node", Node())
    node.get("a")(lambda request, reply: b"ok")
    peer = wire.join("me", Peer(wire))
    wire.send("me", "node", request(GET, "a"))
    wire.run(100)
    assert [(when, message.code) for when, message in peer.got] == [(20, CONTENT)]
    assert [(when, sender, to) for when, sender, to, _ in wire.log] == [
        (0, "me", "node"),
        (10, "node", "me"),
    ]


def test_two_nodes():
    wire = LossyLink()
    wire.join("one", Node())
    wire.join("two", Node())
    wire.send("one", "two", encode(CON, CONTENT, 5))  # a response without a request
    wire.run(1000)
    assert [(sender, data[0] >> 4 & 3) for _, sender, _, data in wire.log] == [
        ("one", CON),
        ("two", RST),
    ]


def test_nobody_there():
    wire = LossyLink()
    wire.send("me", "nobody", b"x")
    wire.run(10)
    assert wire.elapsed_ms == 10


def test_time():
    wire = LossyLink(now_ms=(1 << 30) - 50)
    node = wire.join("node", Node())
    ran = []
    node.every(40, lambda now_ms: ran.append((wire.elapsed_ms, now_ms)))
    wire.run(100)
    assert ran == [(40, (1 << 30) - 10), (80, 30)]
    assert (wire.elapsed_ms, wire.now_ms) == (100, 50)
    wire.run(21)
    assert ran[2:] == [(120, 70)]


def test_long_spans_cost_little():
    wire = LossyLink()
    node = wire.join("node", Node())
    ran = []
    node.every(3600000, ran.append)
    wire.run(7 * 24 * 3600000)
    assert len(ran) == 7 * 24
