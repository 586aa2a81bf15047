"""No-Response (RFC 7967): responses that the client does not want."""

from coap import SEPARATE
from coap.blockwise import Blockwise
from coap.no_response import NoResponse
from coap.node import Node
from coap.numbers import ACK, CON, GET, NON, PUT
from coap.resource import CoapError
from coap.separate import RESPONSE_TIMEOUT_MS
from support import cases
from support.engine import answer, ask, decode, due, request, uint
from support.features import BLOCK2, NO_RESPONSE, Value, block, plain, text

CODES = {2: 0x44, 4: 0x84, 5: 0xA0}


def serving():
    node = Node(NoResponse(), Blockwise())
    value = node.add("v", Value())
    value.handlers[1] = lambda request, reply: _answer(request)
    value.handlers[3] = lambda request, reply: _answer(request)
    return node


def _answer(request):
    code = CODES[int(request.query("class"))]
    if code == 0xA0:
        raise CoapError(code)
    return code


@cases(*[(bits, family) for bits in range(32) for family in (2, 4, 5)])
def test_every_value_for_every_class(bits, family):
    node = serving()
    wanted = not bits >> (family - 1) & 1
    for method in (GET, PUT):
        for kind in (CON, NON):
            options = [(15, b"class=%d" % family), (NO_RESPONSE, uint(bits))]
            datagram = request(method, "v", kind, options=options)
            data = answer(node, datagram)
            if wanted:
                assert decode(data).code == CODES[family]
            elif kind == CON:
                message = decode(data)
                assert (message.kind, message.code, message.token) == (ACK, 0, b"")
                assert message.mid == decode(datagram).mid and len(data) == 4
            else:
                assert data is None
            # and the next one hears again
            assert ask(node, request(GET, "v", options=[(15, b"class=2")])).code == 0x44


def test_errors_of_the_engine_are_answers_too():
    node = serving()
    assert ask(node, request(GET, "none", options=[(NO_RESPONSE, b"\x08")])).code == 0
    assert ask(node, request(2, "v", options=[(NO_RESPONSE, b"\x08")])).code == 0
    assert ask(node, request(GET, "none", options=[(NO_RESPONSE, b"\x02")])).code == 0x84


def test_it_is_executed_all_the_same_and_once():
    node = serving()
    done = []
    node.resource_at("v").handlers[3] = lambda request, reply: done.append(request.payload_bytes())
    datagram = request(PUT, "v", options=[(NO_RESPONSE, b"\x1a")], payload=b"1")
    first = answer(node, datagram)
    assert answer(node, datagram) == first and len(first) == 4 and done == [b"1"]


def test_a_value_too_long_is_as_none():
    node = serving()
    options = [(15, b"class=2"), (NO_RESPONSE, b"\0\x1a")]
    assert ask(node, request(GET, "v", options=options)).code == 0x44


def test_a_large_answer_is_heard_by_who_did_not_say_otherwise():
    node = serving()
    node.add("large", Value(text(3000)))
    assert ask(node, request(GET, "large", options=[(NO_RESPONSE, b"\x1a")])).code == 0
    message = plain(node, "large")
    assert message.code == 0x45 and len(message.payload) == 1024


def test_the_class_is_that_of_the_answer_after_all_features():
    from coap import Node

    node = Node()
    node.add("large", Value(text(3000)))
    options = [block(BLOCK2, 1000), (NO_RESPONSE, b"\x02")]
    assert ask(node, request(GET, "large", options=options)).code == 0x80
    options = [block(BLOCK2, 1000), (NO_RESPONSE, b"\x08")]
    assert ask(node, request(GET, "large", options=options)).code == 0


@cases(*[(kind, bits, family) for kind in (CON, NON) for bits in (0, 2, 8, 16, 26)
         for family in (2, 4, 5)])  # fmt: skip
def test_a_separate_response_of_every_class(kind, bits, family):
    node, tickets = promising(NoResponse())
    datagram = request(PUT, "slow", kind, options=[(NO_RESPONSE, uint(bits))])
    first = answer(node, datagram)
    # the empty ACK is of the message layer: it comes whatever is wanted
    assert first is None if kind == NON else decode(first).code == 0
    assert node.respond(tickets[0], CODES[family]) is True
    sent = [(message.kind, message.code) for _, message in due(node, 1)]
    wanted = not bits >> (family - 1) & 1
    assert sent == ([(kind, CODES[family])] if wanted else [])
    assert wanted and kind == CON or node.separate.open_count == node.messaging.open_count == 0
    # a repeat is acknowledged, not executed
    assert answer(node, datagram, now_ms=2) == first and len(tickets) == 1
    assert node.respond(tickets[0], b"twice") is False


def test_a_separate_response_that_never_came_is_silent_too():
    node, tickets = promising(NoResponse())
    ask(node, request(GET, "slow", options=[(NO_RESPONSE, b"\x10")]))
    assert due(node, RESPONSE_TIMEOUT_MS) == [] and node.separate.open_count == 0
    # and the promise made next hears again
    ask(node, request(GET, "slow", mid=2), now_ms=RESPONSE_TIMEOUT_MS)
    node.respond(tickets[1], 0xA0)
    assert [message.code for _, message in due(node, RESPONSE_TIMEOUT_MS)] == [0xA0]


def test_without_the_feature_the_option_is_ignored_in_separate_responses_too():
    node, tickets = promising()
    ask(node, request(GET, "slow", options=[(NO_RESPONSE, b"\x1a")]))
    node.respond(tickets[0], b"here")
    assert [message.code for _, message in due(node, 1)] == [0x45]


def promising(*features):
    """Return a node whose /slow defers its response, and the list of its handles."""
    node = Node(*features)
    tickets = []

    def slow(request, reply):
        tickets.append(request.defer())
        return SEPARATE

    node.get("slow")(slow)
    node.put("slow")(slow)
    return node, tickets
