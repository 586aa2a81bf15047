"""Echo (RFC 9175): freshness of a request, and reachability of its sender."""

from coap.blockwise import Blockwise
from coap.echo import Echo
from coap.node import Node
from coap.numbers import CLOCK_MASK, DELETE, GET, NON, POST, PUT
from coap.problem_details import ProblemDetails
from support import cases, raises
from support.engine import ask, request
from support.features import ACCEPT, BLOCK1, ECHO, Value, block, option, plain, seeded, text

FRESH_MS = 30000


def serving(*features, seed=b"secret01"):
    node = Node(*(features or (Echo(),)))
    node.seed(seed)
    node.add("v", Value(b"old", echo=True))
    return node


def put(node, payload=b"new", value=None, peer="peer", now_ms=0, options=(), **more):
    options = list(options) + ([] if value is None else [(ECHO, value)])
    return ask(node, request(PUT, "v", options=options, payload=payload, **more), peer, now_ms)


def challenge(node, peer="peer", now_ms=0):
    message = put(node, peer=peer, now_ms=now_ms)
    assert message.code == 0x81 and message.payload == b""
    (value,) = message.all(ECHO)
    assert 1 <= len(value) <= 40
    return value


@cases(PUT, DELETE)
def test_what_changes_needs_a_value_and_what_reads_does_not(code):
    node = serving()
    value = node.resource_at("v")
    message = ask(node, request(code, "v", payload=b"new"))
    assert message.code == 0x81 and len(message.all(ECHO)) == 1
    assert value.value == b"old" and value.exists
    assert plain(node).payload == b"old"
    assert (
        ask(node, request(code, "v", payload=b"new", options=[(ECHO, message.all(ECHO)[0])])).code
        < 0x60
    )
    assert value.value == b"new" or not value.exists


def test_other_resources_do_not_ask():
    node = serving()
    node.add("w", Value())
    assert ask(node, request(PUT, "w", payload=b"1")).code == 0x44


@cases(
    (0, True),
    (1, True),
    (FRESH_MS, True),
    (FRESH_MS + 1, False),
    (1 << 29, False),
    (CLOCK_MASK, False),
)
def test_a_value_is_good_for_a_while(age, good):
    for start in (0, 12345678, CLOCK_MASK - 5):
        node = serving()
        value = challenge(node, now_ms=start)
        message = put(node, value=value, now_ms=(start + age) & CLOCK_MASK)
        assert message.code == (0x44 if good else 0x81)
        assert (node.resource_at("v").value == b"new") == good
        if not good:
            assert message.all(ECHO) != [value]


def test_the_time_is_a_setting():
    node = serving(Echo(fresh_ms=100))
    value = challenge(node)
    assert put(node, value=value, now_ms=101).code == 0x81
    assert put(node, value=value, now_ms=100).code == 0x44


def test_the_value_of_another_peer_is_no_good():
    node = serving()
    value = challenge(node, "one")
    assert put(node, value=value, peer="two").code == 0x81
    assert not node.messaging.is_verified("two")
    for peer in (b"\2\0\x16\x33", ("127.0.0.1", 5683), "one"):
        value = challenge(node, peer)
        assert put(node, value=value, peer=peer).code == 0x44


def test_the_value_of_another_node_is_no_good():
    value = challenge(serving(seed=b"secret02"))
    assert put(serving(), value=value).code == 0x81


def test_a_forged_value_is_no_good():
    node = serving()
    value = challenge(node, now_ms=1000)
    for i in range(len(value)):
        for bit in (1, 0x80):
            forged = value[:i] + bytes((value[i] ^ bit,)) + value[i + 1 :]
            assert put(node, value=forged, now_ms=1000).code == 0x81
    for forged in (b"\0", value[:-1], value + b"\0", value * 3, b"\xff" * 12, b"\xff" * 40):
        assert put(node, value=forged, now_ms=1000).code == 0x81
    assert not node.messaging.is_verified("peer") and node.resource_at("v").value == b"old"


def test_an_empty_or_too_long_value_is_as_none():
    node = serving()
    for value in (b"", b"x" * 41):
        assert put(node, value=value).code == 0x81


def test_whoever_returns_a_value_is_verified():
    node = serving()
    value = challenge(node)
    assert not node.messaging.is_verified("peer")
    assert plain(node, options=[(ECHO, value)]).code == 0x45
    assert node.messaging.is_verified("peer")


def test_one_value_does_for_several_requests_but_freshness_is_not_kept():
    node = serving()
    value = challenge(node)
    assert put(node, b"1", value).code == put(node, b"2", value).code == 0x44
    assert put(node, b"3").code == 0x81 and node.resource_at("v").value == b"2"


def test_a_non_is_challenged_too():
    node = serving()
    message = put(node, kind=NON)
    assert (message.kind, message.code) == (NON, 0x81)
    assert put(node, value=message.all(ECHO)[0], kind=NON).code == 0x44


@cases((Echo, Blockwise), (Blockwise, Echo))
def test_a_transfer_is_challenged_at_its_first_block(first, second):
    node = serving(first(), second())
    body = text(150)
    value = None
    for num in (0, 1, 2):
        options = [block(BLOCK1, num, 1 if num < 2 else 0, 2)]
        piece = body[64 * num : 64 * num + 64]
        message = put(node, piece, options=options)
        assert message.code == 0x81 and message.uint(BLOCK1) is not None
        value = message.all(ECHO)[0]
        assert put(node, piece, value, options=options).code == (0x5F if num < 2 else 0x44)
    assert node.resource_at("v").value == body


def test_a_challenge_may_be_a_problem():
    node = serving(Echo(), ProblemDetails())
    message = put(node, options=[option(ACCEPT, 257)])
    assert message.code == 0x81 and message.payload == b"\xa1\x23\x18\x81"
    assert put(node, value=message.all(ECHO)[0]).code == 0x44


def test_a_resource_with_echo_needs_the_feature():
    error = raises(ValueError, Node().add, "v", Value(echo=True))
    assert "Echo()" in str(error)


def test_methods_that_are_not_there_are_not_challenged():
    node = serving()
    assert ask(node, request(POST, "v")).code == 0x85
    assert ask(node, request(GET, "nothing")).code == 0x84
    seeded(Echo())
