"""Problem details (RFC 9290): errors as CBOR for who accepts them."""

from coap.blockwise import Blockwise
from coap.node import Node
from coap.numbers import GET, PUT
from coap.problem_details import ProblemDetails, problem
from coap.resource import CoapError
from support import cases
from support.cbor import decode_cbor
from support.engine import ask, request
from support.features import (
    ACCEPT,
    BLOCK1,
    BLOCK2,
    CONTENT_FORMAT,
    MAX_AGE,
    SIZE1,
    Value,
    block,
    option,
)

WHY = {
    "none": "",
    "short": "no",
    "23": "x" * 23,
    "24": "x" * 24,
    "255": "x" * 255,
    "256": "x" * 256,
    "umlauts": "\xe4" * 200,
}


def serving(*features):
    node = Node(*(features or (ProblemDetails(),)))
    node.add("v", Value(b"value"))

    @node.put("fails")
    def fails(request, reply):
        raise CoapError(0xA3, WHY[request.query("why")], 9)

    return node


def put(node, path="fails", why="short", accept=257, options=(), payload=b""):
    options = [(15, b"why=" + why.encode()), option(ACCEPT, accept)] + list(options)
    return ask(node, request(PUT, path, options=options, payload=payload))


@cases(*sorted(WHY))
def test_an_error_is_a_map_of_title_and_code(why):
    message = put(serving(), why=why)
    assert (message.code, message.uint(CONTENT_FORMAT), message.uint(MAX_AGE)) == (0xA3, 257, 9)
    details = decode_cbor(message.payload)
    assert details.pop(-4) == 0xA3
    title = details.pop(-1, "")
    assert details == {}
    assert title == WHY[why] or (len(title.encode()) >= 254 and WHY[why].startswith(title))


def test_the_bytes():
    assert problem(0x84, b"") == b"\xa1\x23\x18\x84"
    assert problem(0xA3, b"no") == b"\xa2\x20\x62no\x23\x18\xa3"
    assert problem(0xA3, b"x" * 24) == b"\xa2\x20\x78\x18" + b"x" * 24 + b"\x23\x18\xa3"
    assert put(serving()).payload == b"\xa2\x20\x62no\x23\x18\xa3"


@cases(
    (GET, "none", 0x84, "no such resource"),
    (4, "fails", 0x85, "no such method here"),
    (GET, "v", 0x86, "not in this format"),
)
def test_errors_of_the_engine(method, path, code, title):
    message = ask(serving(), request(method, path, options=[option(ACCEPT, 257)]))
    assert (message.code, message.uint(CONTENT_FORMAT)) == (code, 257)
    assert decode_cbor(message.payload) == {-4: code, -1: title}


def test_who_accepts_something_else_gets_text():
    for options in ([], [option(ACCEPT, 0)]):
        options = options + [(15, b"why=short")]
        message = ask(serving(), request(PUT, "fails", options=options))
        assert (message.code, message.payload, message.all(CONTENT_FORMAT)) == (0xA3, b"no", [])


def test_a_request_that_changes_something_may_accept_problems_only():
    node = serving()
    message = put(node, "v", payload=b"new")
    assert (message.code, message.payload, message.all(CONTENT_FORMAT)) == (0x44, b"", [])
    assert node.resource_at("v").value == b"new"
    assert put(node, "v", accept=50, payload=b"other").code == 0x86


def test_an_answer_of_blocks_is_no_problem():
    node = serving(ProblemDetails(), Blockwise(bytes=1024))
    message = put(node, "v", options=[option(SIZE1, 5000), block(BLOCK1, 0, 1)], payload=b"x" * 64)
    assert (message.code, message.uint(SIZE1), message.uint(BLOCK1)) == (0x8D, 1024, 0x0A)
    assert decode_cbor(message.payload) == {-4: 0x8D}
    message = put(node, options=[block(BLOCK2, 0, 0, 0)], why="23")
    assert decode_cbor(message.payload) == {-4: 0xA3, -1: "x" * 23}


@cases("umlauts", "256", "short")
def test_a_small_message_holds_a_whole_map(why):
    node = Node(ProblemDetails(), max_payload=64)
    node.put("fails")(serving().resource_at("fails").handlers[PUT])
    message = put(node, why=why)
    details = decode_cbor(message.payload)
    assert len(message.payload) <= 64 and WHY[why].startswith(details[-1]) and details[-1]


def test_without_the_feature_it_is_a_format_like_others():
    node = Node()
    node.add("v", Value(b"value"))
    message = put(node, "v", payload=b"new")
    assert (message.code, message.payload) == (0x86, b"not in this format")
