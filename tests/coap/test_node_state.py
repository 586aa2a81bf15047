"""The state blob: what must not begin anew after a deep sleep or a reset."""

from coap.blockwise import Blockwise
from coap.codec import DATAGRAM_COUNT
from coap.conditional_observe import ConditionalObserve
from coap.echo import Echo
from coap.link_format import WellKnownCore
from coap.multicast import Multicast
from coap.no_response import NoResponse
from coap.node import Node
from coap.numbers import CON
from coap.observe import Observe
from coap.problem_details import ProblemDetails
from coap.rate_limit import RateLimit
from coap.transports.address import pack, unpack
from support import cases, raises
from support.engine import ask, decode, due, request
from support.features import OBSERVE, QUERY, Value, notice, register, seeded, verify


def serving():
    node = seeded(WellKnownCore(), Observe(), Blockwise())
    return node, node.add("v", Value())


def newer(number, than):
    """RFC 7641 section 3.4."""
    return (than < number and number - than < 1 << 23) or (
        than > number and than - number > 1 << 23
    )


@cases(0, 5, 255, 256, 0xFFFF, 0x7FFFFF, 0xFFFF00, 0xFFFFFF)
def test_numbers_go_on_across_a_restart(start):
    node, value = serving()
    observe = node.extensions[1]
    observe.value = start
    verify(node)
    last = register(node).uint(OBSERVE)
    blob = node.state()
    for i in range(200):
        # notified after the state was saved, before the power failed
        message = notice(node, value, b"%d" % i, kind=None)
        assert newer(message.uint(OBSERVE), last)
        last = message.uint(OBSERVE)
        if message.kind == 0:
            ask(node, b"\x60\0" + bytes((message.mid >> 8, message.mid & 255)))
    again, value = serving()
    assert again.restore(blob)
    verify(again)
    number = register(again).uint(OBSERVE)
    assert newer(number, last)
    assert newer(notice(again, value, b"x").uint(OBSERVE), number)


@cases(0, 1, 0x1234, 0xFFFF)
def test_mids_go_on(mid):
    node, _ = serving()
    node.messaging.mid = mid
    blob = node.state()
    again, _ = serving()
    again.messaging.mid = 7
    # those that were used after the state was saved must not come again
    assert again.restore(blob) and again.messaging.mid == (mid + 256) & 0xFFFF


def test_a_blob_that_is_not_ours_changes_nothing():
    node, _ = serving()
    node.messaging.mid = 77
    node.extensions[1].value = 99
    blob = node.state()
    for bad in (
        b"",
        blob[:1],
        blob[:2],
        blob[:-1],
        blob + b"\0",
        blob + b"\0\0",
        bytes((blob[0] + 1,)) + blob[1:],
        bytes(len(blob)),
        b"\xff" * len(blob),
    ):
        assert not node.restore(bad), bad
        assert (node.messaging.mid, node.extensions[1].value) == (77, 99)
    assert not Node(Observe()).restore(blob)
    assert node.restore(blob)


def test_every_feature_takes_its_own_part():
    def make():
        return seeded(
            RateLimit(),
            WellKnownCore(),
            Observe(),
            Blockwise(),
            Multicast(),
            Echo(),
            ProblemDetails(),
            NoResponse(),
        )

    node = make()
    node.extensions[2].value = 1000
    again = make()
    assert again.restore(node.state())
    assert again.extensions[2].value >= 1000
    assert ask(again, request(1, ".well-known/core")).code == 0x45


def test_the_blob_is_small():
    assert len(serving()[0].state()) < 32


def keeping(slots=4):
    """A node whose observers outlive it, with two resources."""
    node = seeded(WellKnownCore(), ConditionalObserve(), Observe(slots))
    node.pack_peer, node.unpack_peer = pack, unpack
    return node, node.add("v", Value()), node.add("w", Value())


def wakes(blob, now_ms=5000, slots=4):
    node, value, other = keeping(slots)
    assert node.restore(blob, now_ms)
    return node, value, other


PEERS = ("peer", b"\x02\0\x16\x33\x7f\0\0\1", ("192.0.2.7", 5683), ("fe80::1", 5683, 0, 2))


@cases(0, 1, 2, 3)
def test_observers_outlive_a_sleep(i):
    peer = PEERS[i]
    node, value, _ = keeping()
    number = register(node, "v", b"\7\7", peer).uint(OBSERVE)
    again, value, _ = wakes(node.state())
    assert again.extensions[2].count(value) == 1 and again.view.index[DATAGRAM_COUNT] == 0
    value.become(b"open")
    n = again.due(5000)
    assert n and again.peer == peer
    message = decode(again.tx_view(n))
    assert (message.kind, message.code, message.token) == (CON, 0x45, b"\7\7")
    assert message.payload == b"open" and newer(message.uint(OBSERVE), number)
    # nobody acknowledges: it is sent again, and not to a second observer
    assert again.due(5000) == 0 and 2000 <= again.wait_ms(5000) <= 3000


def test_each_observer_keeps_resource_token_and_conditions():
    node, _, _ = keeping()
    register(node, "v", b"\1", "a", options=[(QUERY, b"c.pmin=10")])
    register(node, "w", b"\2", "b")
    blob = node.state()
    again, value, other = wakes(blob)
    value.become(b"1")
    other.become(b"2")
    told = due(again, 5000)
    assert [(message.token, message.payload) for _, message in told] == [(b"\2", b"2")]
    told = [message.token for _, message in due(again, 15000)]
    assert b"\1" in told
    assert len(again.state()) == len(blob)


def test_observers_sleep_twice():
    node, _, _ = keeping()
    register(node, "v", b"\1", "a")
    for _ in range(3):
        node, value, _ = wakes(node.state())
    value.become(b"x")
    assert [message.payload for _, message in due(node, 5000)] == [b"x"]


def test_fewer_slots_keep_fewer_observers():
    node, _, _ = keeping()
    for i in range(4):
        register(node, "v", bytes((i,)), "peer%d" % i)
    again, value, _ = wakes(node.state(), slots=2)
    assert again.extensions[2].count() == 2


def test_a_resource_that_is_gone_has_no_observers():
    node, _, _ = keeping()
    register(node, "w", b"\1", "a")
    again = seeded(WellKnownCore(), ConditionalObserve(), Observe())
    again.pack_peer, again.unpack_peer = pack, unpack
    assert again.restore(node.state()) and again.extensions[2].count() == 0


def test_without_a_way_to_write_peers_down_observers_are_left_out():
    node, _, _ = keeping()
    node.pack_peer = None
    register(node, "v", b"\1", "a")
    assert len(node.extensions[2].state()) == 3


# GET /v with Observe 0 as a frame
REGISTERS_V = b"\xc0\xa9\x42\x01\x124wv`Qv>l\xc0"


class Wire:
    """Bytes that have come over a serial line, and what it was given to send."""

    def __init__(self, came):
        self.came = came
        self.sent = b""

    def readinto(self, buf):
        n = min(len(buf), len(self.came))
        buf[:n] = self.came[:n]
        self.came = self.came[n:]
        return n or None

    def write(self, data):
        self.sent += data
        return len(data)


class NoPoller:
    def register(self, stream, events):
        pass


def test_an_observer_on_a_serial_line_is_left_out_and_the_others_kept():
    try:
        import coap.transports.slipmux as slipmux
    except ImportError:
        return  # a machine without select has no lines either
    node, value, _ = keeping()
    register(node, "v", b"\1", "a")
    kept = slipmux.Poller, slipmux.ticks_ms
    slipmux.Poller, slipmux.ticks_ms = NoPoller, lambda: 0
    try:
        line = slipmux.Slipmux(node, Wire(REGISTERS_V), waits=False)
        line.take(None)
    finally:
        slipmux.Poller, slipmux.ticks_ms = kept
    assert len(line.reads.sent) > 8 and node.extensions[2].count(value) == 2
    again, value, _ = wakes(node.state())
    assert again.extensions[2].count(value) == 1 and again.extensions[2].peers.count("a") == 1


def test_no_flipped_bit_in_observers_crashes():
    node, _, _ = keeping()
    register(node, "v", b"\1\2\3", ("192.0.2.7", 5683))
    register(node, "w", b"\1", "b")
    part = node.extensions[2].state()
    for at in range(3, len(part)):
        for bit in range(8):
            bad = bytearray(part)
            bad[at] ^= 1 << bit
            again, _, _ = keeping()
            again.extensions[2].restore(bytes(bad))
            assert 0 <= again.extensions[2].count() <= 4
            due(again, 0)


@cases(b"", b"x", b"t", b"t1.2.3.4 x", b"s\xff", b"t\xff", None)
def test_what_is_no_packed_peer(packed):
    if packed is None:
        raises(ValueError, pack, 5)
    elif packed != b"t":
        raises(ValueError, unpack, packed)
