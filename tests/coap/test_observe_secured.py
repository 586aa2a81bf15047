"""Observers under OSCORE: notified under their own keys, restored with them after a restart."""

from coap.access import READ_ONLY, Access
from coap.codec import DATAGRAM_COUNT
from coap.node import Node
from coap.observe import Observe
from coap.oscore.context import Context
from coap.presets import default_extensions
from support import cases
from support.engine import ask, due, request
from support.oscore_peer import OBSERVE, SALT, SECRET, End, volatile

HEAP = "2m"
OTHER_SECRET = bytes(range(50, 66))
OWN, CLIENT = b"\1", b"\2"


def context(secret=SECRET):
    return Context(secret, OWN, CLIENT, SALT)


def observed(*contexts):
    """A node whose observers outlive it: (node, its Observe)."""
    features = default_extensions() + ([volatile(contexts)] if contexts else [])
    node = Node(*features, Access(READ_ONLY))
    node.seed(b"12345678")
    node.get("o", observable=True)(lambda request, reply: b"open")
    node.pack_peer, node.unpack_peer = str.encode, lambda packed: str(packed, "utf-8")
    return node, [one for one in node.extensions if isinstance(one, Observe)][0]


def registers(node, end, token=b"ob", peer="peer"):
    """`end` observes: the Partial IV of its registration, which notifications are bound to."""
    datagram = end.request(request(1, "o", token=token, options=[(OBSERVE, b"")]))
    assert end.read(ask(node, datagram, peer=peer)).all(OBSERVE) == [b""]
    return end.piv


def woken(part, *contexts):
    """A node with these contexts that got the part of the other's Observe."""
    node, observe = observed(*contexts)
    observe.restore(part)
    assert node.view.context == 0
    node.resource_at("o").changed()
    return node, observe


def test_who_asked_the_same_to_the_byte_is_told_under_other_keys():
    """Names and numbers of two contexts may be the same: their observers are no group."""
    node, observe = observed(context(OTHER_SECRET), context())
    node.resource_at("o").confirmable = False
    ends = {"first": End(CLIENT, OWN, secret=OTHER_SECRET), "second": End(CLIENT, OWN)}
    for peer in ends:
        assert registers(node, ends[peer], peer[:1].encode(), peer) == b"\0"
    n = observe.words[0]
    assert observe.requests[0][5:n] == observe.requests[1][5:n], "all but MID and token"
    node.resource_at("o").changed()
    told = dict(due(node, 5000))
    assert sorted(told) == ["first", "second"]
    for peer in ends:
        assert ends[peer].read(told[peer]).payload == b"open"


def test_an_observer_keeps_its_context_wherever_that_stands():
    node, observe = observed(context(OTHER_SECRET), context())
    end = End(CLIENT, OWN)
    piv = registers(node, end)
    for contexts in (
        (context(OTHER_SECRET), context()),
        (context(), context(OTHER_SECRET)),
        (context(),),
        (context(OTHER_SECRET), context(bytes(16)), context()),
    ):
        again, observe_ = woken(observe.state(), *contexts)
        assert observe_.used == 1
        ((peer, message),) = due(again, 5000)
        assert peer == "peer" and end.read(message, piv).payload == b"open"
        assert observe_.state()[3:] == observe.state()[3:]


@cases(0, 1, 2)
def test_observers_whose_keys_are_gone_are_left_out(i):
    node, observe = observed(context(OTHER_SECRET), context())
    registers(node, End(CLIENT, OWN))
    fewer = (), (context(OTHER_SECRET),), (context(OTHER_SECRET), context(bytes(16)))
    again, observe_ = woken(observe.state(), *fewer[i])
    assert observe_.used == 0 and due(again, 5000) == []


def test_the_others_are_kept():
    node, observe = observed(context(OTHER_SECRET), context())
    kept = End(CLIENT, OWN, secret=OTHER_SECRET)
    registers(node, End(CLIENT, OWN), b"1", "first")
    piv = registers(node, kept, b"2", "second")
    ask(node, request(1, "o", token=b"3", options=[(OBSERVE, b"")]), peer="third")
    again, observe_ = woken(observe.state(), context(bytes(16)), context(OTHER_SECRET))
    assert observe_.used == 2 and again.view.index[DATAGRAM_COUNT] == 0
    told = dict(due(again, 5000))
    assert sorted(told) == ["second", "third"] and told["third"].payload == b"open"
    assert kept.read(told["second"], piv).payload == b"open"


def test_a_state_from_before_contexts_had_names_is_not_taken():
    node, observe = observed(context())
    registers(node, End(CLIENT, OWN))
    blob = node.state()
    before = observe.value
    for version in (1, 2, 3):
        assert not node.restore(bytes((version,)) + blob[1:])
        assert (observe.value, observe.used) == (before, 1)


def test_no_flipped_bit_crashes():
    node, observe = observed(context())
    registers(node, End(CLIENT, OWN))
    part = observe.state()
    again, _ = observed(context())
    for at in range(3, 3 + 3 + 4 + len("peer")):
        for bit in range(8):
            bad = bytearray(part)
            bad[at] ^= 1 << bit
            again, observe_ = woken(bytes(bad), context())
            assert 0 <= observe_.used <= 1
            due(again, 0)
