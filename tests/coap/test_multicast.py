"""Requests to a group (RFC 7252 section 8): responses, leisure and suppression."""

from coap.blockwise import Blockwise
from coap.counters import COUNT_GROUP_DROPPED
from coap.link_format import WellKnownCore
from coap.multicast import Multicast
from coap.numbers import ACK, CLOCK_MASK, CON, DELETE, FETCH, GET, NON, POST, PUT, RST
from coap.observe import Observe
from coap.resource import SEPARATE, CoapError
from support import cases
from support.engine import ask, due, encode, request
from support.features import (
    ACCEPT,
    BLOCK1,
    ETAG,
    OBSERVE,
    QUERY,
    Value,
    block,
    one,
    option,
    seeded,
)

LEISURE_MS = 5000


def serving(*features, **settings):
    node = seeded(Multicast(**settings), WellKnownCore(), Observe(), Blockwise(), *features)
    node.add("v", Value(b"value", rt="x"))
    return node


def tell(node, datagram, peer="peer", now_ms=0):
    """Hand the node what was sent to its group."""
    assert node.group.arrive(datagram, len(datagram), peer, now_ms) is None


def answers(node, now_ms=0, span_ms=2 * LEISURE_MS):
    """All that the node sends from now on: [(when, peer, message)]."""
    found = []
    end = now_ms + span_ms
    while now_ms <= end:
        found += [(now_ms, peer, message) for peer, message in due(node, now_ms & CLOCK_MASK)]
        now_ms += max(1, min(node.wait_ms(now_ms & CLOCK_MASK), end - now_ms + 1))
    return found


@cases("v", ".well-known/core")
def test_a_non_request_is_answered_within_the_leisure(path):
    node = serving()
    tell(node, request(GET, path, NON, token=b"\7\7"))
    ((when, peer, message),) = answers(node)
    assert 0 <= when <= LEISURE_MS and peer == "peer"
    assert (message.kind, message.code, message.token) == (NON, 0x45, b"\7\7")
    assert b"value" in message.payload or message.payload == b'</v>;rt="x";ct=0;obs'


def test_the_time_is_random_over_the_whole_leisure():
    node = serving()
    times = []
    for i in range(100):
        tell(node, request(GET, "v", NON), now_ms=i * 10000)
        ((when, _, _),) = answers(node, i * 10000, 9999)
        times.append(when - i * 10000)
    assert min(times) < 500 and max(times) > LEISURE_MS - 500 and max(times) <= LEISURE_MS
    assert len(set(times)) > 50


def test_the_answers_have_mids_of_their_own():
    node = serving()
    for _i in range(4):
        tell(node, request(GET, "v", NON), now_ms=0)
    mids = [message.mid for _, _, message in answers(node)]
    assert len(set(mids)) == 4


@cases(
    request(GET, "v", CON),
    request(PUT, "v", NON, payload=b"1"),
    request(POST, "v", NON),
    request(DELETE, "v", NON),
    request(GET, "nothing", NON),
    request(GET, None, NON),
    request(FETCH, "v", NON),
    request(GET, "v", NON, options=[option(ACCEPT, 50)]),
    request(GET, "v", NON, options=[(9, b"")]),
    request(GET, "v", NON, options=[(99, b"")]),
    request(GET, "v", NON, options=[(35, b"coap://x/")]),
    request(GET, ".well-known/core", NON, options=[(QUERY, b"rt=none")]),
    request(GET, "fails", NON),
    request(GET, "raises", NON),
    request(GET, "empty", NON),
    request(GET, "tagged", NON, options=[(ETAG, b"t")]),
    request(GET, "quiet", NON),
    request(FETCH, "fetched", NON, options=[block(BLOCK1, 0, 1, 0)], payload=b"x" * 16),
    encode(CON, 0, 1),
    encode(ACK, 0, 1),
    encode(RST, 0, 1),
    encode(CON, 0x45, 1, b"", [], b"x"),
    encode(NON, 0x45, 1, b"", [], b"x"),
    encode(CON, 0xE0, 1),
    b"",
    b"\x50",
    b"\x50\x01\x00",
    b"\x4f\x01\x00\x01",
    b"\x50\x01\x00\x01\xff",
    b"\x10\x01\x00\x01",
)
def test_what_is_not_answered(datagram):
    node = serving()
    value = node.resource_at("v")

    def fails(request, reply):
        raise CoapError(0xA3, "no")

    node.get("fails")(fails)
    node.get("raises")(lambda request, reply: {}["x"])
    node.get("empty")(lambda request, reply: b"")
    node.get("tagged", etag=b"t")(lambda request, reply: b"x")
    node.get("quiet", multicast=False)(lambda request, reply: b"x")
    node.fetch("fetched")(lambda request, reply: b"x")
    mid = node.messaging.mid
    before = bytes(node.messaging.cached_responses)
    tell(node, datagram)
    assert answers(node) == []
    assert value.value == b"value" and value.exists
    assert bytes(node.messaging.cached_responses) == before and node.messaging.mid - mid < 2


def test_a_fetch_is_answered():
    node = serving()
    node.fetch("f")(lambda request, reply: request.payload)
    tell(node, request(FETCH, "f", NON, payload=b"what"))
    assert [message.payload for _, _, message in answers(node)] == [b"what"]


def test_the_same_request_by_two_ways_is_answered_once():
    node = serving()
    again = request(GET, "v", NON)
    tell(node, again)
    tell(node, again, now_ms=10)
    tell(node, again, "somebody else", now_ms=10)
    found = answers(node, 10)
    assert sorted([peer for _, peer, _ in found]) == ["peer", "somebody else"]
    for _ in range(3):  # a duplicate is recognised until its entry is reused
        tell(node, again, now_ms=20000)
        assert answers(node, 20000) == []
        tell(node, request(GET, "v", NON), now_ms=20000)
        assert len(answers(node, 20000)) == 1
    assert node.counters[COUNT_GROUP_DROPPED] == 0


def test_a_mid_may_come_again_after_its_lifetime():
    node = serving()
    again = request(GET, "v", NON)
    tell(node, again)
    assert len(answers(node)) == 1
    tell(node, again, now_ms=144000)
    assert answers(node, 144000) == []
    tell(node, again, now_ms=151000)
    assert len(answers(node, 151000)) == 1


def test_more_than_the_slots_hold_is_dropped_and_counted():
    node = serving(slots=2)
    for i in range(5):
        tell(node, request(GET, "v", NON), "peer %d" % i)
    assert len(answers(node)) == 2 and node.counters[COUNT_GROUP_DROPPED] == 3
    tell(node, request(GET, "v", NON), now_ms=20000)
    assert len(answers(node, 20000)) == 1


def test_a_long_request_is_dropped_and_counted():
    node = serving(request_bytes=32)
    tell(node, request(GET, "v", NON, options=[(QUERY, b"q" * 32)]))
    assert answers(node) == [] and node.counters[COUNT_GROUP_DROPPED] == 1


def test_nobody_observes_by_a_group():
    node = serving()
    tell(node, request(GET, "v", NON, options=[option(OBSERVE, 0)]))
    ((_, _, message),) = answers(node)
    assert message.payload == b"value" and message.all(OBSERVE) == []
    assert node.extensions[2].count() == 0


def test_a_large_answer_is_a_first_block():
    node = serving()
    node.resource_at("v").value = b"v" * 3000
    tell(node, request(GET, "v", NON))
    ((_, _, message),) = answers(node)
    assert message.payload == b"v" * 1024 and message.uint(23) == 0x0E


def test_unicast_requests_go_on_in_between():
    node = serving()
    tell(node, request(GET, "v", NON, token=b"group"))
    answer = ask(node, request(PUT, "v", token=b"put", payload=b"new"), "other")
    assert (answer.code, answer.token) == (0x44, b"put")
    ((_, peer, message),) = answers(node)
    assert (peer, message.token, message.payload) == ("peer", b"group", b"new")
    # and afterwards, as if no group had been
    assert one(due(node, 20000)) is None
    answer = ask(node, request(GET, "v", options=[option(OBSERVE, 0)]))
    assert answer.uint(OBSERVE) is not None


def test_no_leisure_is_at_once():
    node = serving(leisure_ms=0)
    tell(node, request(GET, "v", NON))
    assert [when for when, _, _ in answers(node)] == [0]


def test_the_clock_may_wrap_in_between():
    node = serving()
    start = CLOCK_MASK - 10
    tell(node, request(GET, "v", NON), now_ms=start)
    found = answers(node, start)
    assert len(found) == 1 and found[0][0] > start


@cases((b"late", 0x45), (0x84, None), (0xA0, None), (b"", None), (0x45, None))
def test_a_separate_response_is_neither_error_nor_empty(out, code):
    node = serving()
    tickets = []

    def slow(request, reply):
        tickets.append(request.defer())
        return SEPARATE

    node.get("slow")(slow)
    tell(node, request(GET, "slow", NON, token=b"\7"))
    assert answers(node) == [] and len(tickets) == 1
    assert node.respond(tickets[0], out) is True
    sent = [(message.kind, message.code, message.token) for _, _, message in answers(node)]
    assert sent == ([(NON, code, b"\7")] if code else [])
    assert node.separate.open_count == 0
