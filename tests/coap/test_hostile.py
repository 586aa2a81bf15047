"""Inputs that broke other implementations, and the right response to each.

The node serves /a (GET "ok", PUT and POST counted). After every input it must still serve.
"""

from binascii import hexlify

from coap import CoapError, Node
from coap.counters import (
    COUNT_HANDLER_ERRORS,
    COUNT_MALFORMED,
    COUNT_PEERS_EVICTED,
    COUNT_RESPONSES_EVICTED,
)
from coap.node import Node as Bare
from coap.numbers import ACK, CHANGED, CON, CONTENT, GET, NON, POST, PUT, RST
from support import cases, hexbytes
from support.engine import answer, ask, decode, encode, get, request


def serving(node=None):
    node = Bare() if node is None else node
    done = []
    node.get("a")(lambda request, reply: b"ok")
    node.put("a")(lambda request, reply: done.append(request.payload_bytes()))
    node.post("a")(lambda request, reply: done.append(request.payload_bytes()))
    return node, done


def survived(node):
    message = get(node, "a", peer="somebody else")
    assert (message.code, message.payload) == (CONTENT, b"ok")


# Each row: the input and the response, as hexadecimal; "" is silence.
# 4x.. is a CON, 5x.. a NON, 6x.. an ACK, 7x.. an RST; MID 1234.

SHORT = [("", ""), ("40", ""), ("4001", ""), ("400112", ""), ("70", ""), ("ffffff", "")]

VERSIONS = [
    ("00011234b161", ""),
    ("80011234b161", ""),
    ("c0011234b161", ""),
    ("00000000", ""),
    ("ffffffff", ""),
]

TOKENS = [
    ("%02x011234" % (0x40 | tkl) + "00" * 20, "70001234") for tkl in range(9, 16)
] + [
    ("%02x011234" % (0x50 | tkl) + "00" * 20, "") for tkl in range(9, 16)
] + [
    ("%02x451234" % (0x60 | tkl) + "00" * 20, "") for tkl in range(9, 16)
]  # fmt: skip

TOKEN_PAST_THE_END = [
    ("41011234", "70001234"),
    ("48011234aabbccddeeff00", "70001234"),
    ("51011234", ""),
    ("4d011234ff", "70001234"),
    ("4e011234ffff", "70001234"),
]

MARKER = [
    ("40011234ff", "70001234"),
    ("40011234b161ff", "70001234"),
    ("50011234b161ff", ""),
    ("42031234aabbb161ff", "70001234"),
    ("60451234ff", ""),
]

NOT_THE_MARKER = [
    ("40011234b161%02x" % first + "00" * 20, "70001234") for first in range(0xF0, 255)
]

OPTIONS = [
    ("40011234f000", "70001234"),  # delta 15
    ("400112340f00", "70001234"),  # length 15
    ("40011234d0", "70001234"),  # the extended delta is cut
    ("40011234e000", "70001234"),
    ("40011234bd", "70001234"),  # the extended length is cut
    ("40011234be00", "70001234"),
    ("40011234b361", "70001234"),  # the value runs past the end
    ("40011234bd0061", "70001234"),
    ("40011234beffff6161", "70001234"),
    ("40011234e0ffff", "70001234"),  # number 65804
    ("40011234e0fef220", "70001234"),  # number 65537 in two steps
    ("50011234f000", ""),
    ("50011234b361", ""),
    ("50011234e0ffff", ""),
]

EMPTY = [
    ("40001234", "70001234"),  # a ping
    ("4000123400", "70001234"),  # with something after the MID
    ("41001234aa", "70001234"),
    ("50001234", ""),
    ("60001234", ""),
    ("70001234", ""),
    ("6000123400", ""),
    ("7000123400", ""),
]

NO_REQUESTS = []
for _kind in (0x60, 0x70):
    for _code in ("01", "02", "03", "04", "1f", "20", "41", "45", "84", "a0", "bf", "c0", "e1"):
        NO_REQUESTS.append(("%02x%s1234b161" % (_kind, _code), ""))
for _code in ("41", "44", "45", "5f", "80", "84", "a0", "20", "3f", "c0", "df", "e1", "ff"):
    NO_REQUESTS.append(("40%s1234b161" % _code, "70001234"))
    NO_REQUESTS.append(("50%s1234b161" % _code, ""))

NOBODYS = "60841234ff" + hexlify(b"no such resource").decode()
NOT_FOUND = [
    ("40011234b2fffe", NOBODYS),  # a segment that is not UTF-8
    ("40011234b3612f61", NOBODYS),  # "a/a" in one segment
    ("40011234b15c", NOBODYS),
    ("40011234b35c7861", NOBODYS),
    ("40011234b0", NOBODYS),
    ("40011234b16100", NOBODYS),  # /a/ is not /a
    ("4001123400", NOBODYS),
    ("40011234b22e2e0161", NOBODYS),
    ("40011234b100", NOBODYS),
]


@cases(*SHORT)
def test_shorter_than_a_header(data, expected):
    check(data, expected)


@cases(*VERSIONS)
def test_other_versions(data, expected):
    check(data, expected)


@cases(*TOKENS)
def test_token_lengths_9_to_15(data, expected):
    check(data, expected)


@cases(*TOKEN_PAST_THE_END)
def test_a_token_larger_than_the_datagram(data, expected):
    check(data, expected)


@cases(*MARKER)
def test_a_marker_without_payload(data, expected):
    check(data, expected)


@cases(*NOT_THE_MARKER)
def test_other_bytes_fx_are_not_the_marker(data, expected):
    check(data, expected)


@cases(*OPTIONS)
def test_malformed_options(data, expected):
    check(data, expected)


@cases(*EMPTY)
def test_empty_messages(data, expected):
    check(data, expected)


@cases(*NO_REQUESTS)
def test_what_is_no_request(data, expected):
    check(data, expected)


@cases(*NOT_FOUND)
def test_paths_that_are_nobodys(data, expected):
    check(data, expected)


def check(data, expected):
    for node in (Bare(), Node()):
        node, done = serving(node)
        reply = answer(node, hexbytes(data))
        assert (reply.hex() if reply else "") == expected
        assert done == []
        survived(node)


@cases((255,), (269,), (300,), (1000,))
def test_long_options(length):
    node, done = serving()
    # elective: it does not matter, whatever its length
    message = ask(node, request(GET, "a", options=[(2, bytes(length))]))
    assert (message.code, message.payload) == (CONTENT, b"ok")
    # in a path: a segment has 255 bytes at most
    message = ask(node, request(GET, "x" * length))
    assert message.code == (0x84 if length == 255 else 0x82)
    # and what we send is encoded as exactly
    node.post("long")(lambda request, reply: reply.location("x" * length))
    message = ask(node, request(POST, "long"))
    assert message.all(8) == [b"x" * length]
    survived(node)


def test_an_option_of_65804_bytes():
    node, done = serving(Bare(max_payload=70000))
    data = request(PUT, "a", options=[(2048, bytes(65804))], payload=b"behind it")
    assert ask(node, data).code == CHANGED
    assert done == [b"behind it"]
    node.post("long")(lambda request, reply: reply.location("x" * 60000))
    assert ask(node, request(POST, "long")).all(8) == [b"x" * 60000]
    survived(node)


@cases((50,), (200,), (400,))
def test_so_many_options(number):
    node, done = serving()
    options = [(15, b"")] * number
    # all of them are seen, and the payload behind them
    assert ask(node, request(PUT, "a", options=options, payload=b"kept")).code == CHANGED
    assert done == [b"kept"]
    # and so is a critical one behind all others
    message = ask(node, request(PUT, "a", options=options + [(65001, b"")], payload=b"x"))
    assert message.code == 0x82
    assert done == [b"kept"]
    survived(node)


@cases((9,), (13,), (19,), (21,), (31,), (65,), (271,), (65001,))
def test_an_unknown_critical_option(number):
    for node in (Bare(), Node()):
        node, done = serving(node)
        for method in (GET, PUT):
            assert ask(node, request(method, "a", options=[(number, b"x")])).code == 0x82
            assert ask(node, request(method, "a", NON, options=[(number, b"x")])) is None
            # in responses: a CON is rejected, an ACK ignored
            data = encode(CON, CONTENT, 0x1234, b"t", [(number, b"x")])
            assert answer(node, data) == b"\x70\x00\x12\x34"
            assert answer(node, encode(NON, CONTENT, 0x1234, b"t", [(number, b"x")])) is None
            assert answer(node, encode(ACK, CONTENT, 0x1234, b"t", [(number, b"x")])) is None
        assert done == []
        survived(node)


@cases((35, b"coap://[::1]/a"), (39, b"coap"))
def test_proxy_options_are_not_ignored(number, value):
    for node in (Bare(), Node()):
        node, done = serving(node)
        assert ask(node, request(PUT, "a", options=[(number, value)])).code == 0xA5
        assert done == []
        survived(node)


def test_if_match_is_not_ignored():
    for node in (Bare(), Node()):
        node, done = serving(node)
        assert ask(node, request(PUT, "a", options=[(1, b"other")])).code == 0x8C
        assert ask(node, request(PUT, "a", options=[(5, b"")])).code == 0x8C
        assert done == []
        survived(node)


def test_block1_is_not_ignored():
    first = request(PUT, "a", options=[(27, b"\x08")], payload=bytes(16))  # there is more
    node, done = serving()
    assert ask(node, first).code == 0x82
    assert done == []
    survived(node)
    node, done = serving(Node())
    assert ask(node, first).code == 0x5F
    assert done == []
    last = request(PUT, "a", options=[(27, b"\x10")], payload=b"end")
    assert ask(node, last).code == CHANGED
    assert done == [bytes(16) + b"end"]
    survived(node)


def test_two_nodes_never_bounce():
    one, _ = serving()
    other, _ = serving(Node())
    for kind in (CON, NON, ACK, RST):
        for code in range(256):
            for options in ((), ((11, b"a"),), ((65, b""),)):
                data = encode(kind, code, code << 8 | kind, b"", list(options))
                turns = 0
                nodes = [one, other]
                while data is not None:
                    data = answer(nodes[turns & 1], data, "the other")
                    turns += 1
                    assert turns < 4, (kind, code)
    survived(one)
    survived(other)


def test_a_handler_that_raises():
    node, done = serving()

    @node.get("broken")
    @node.put("broken")
    def broken(request, reply):
        raise OSError(5)

    for method in (GET, PUT):
        data = request(method, "broken")
        first = answer(node, data)
        assert decode(first).code == 0xA0
        assert answer(node, data) == first
    assert node.counters[COUNT_HANDLER_ERRORS] == 3  # GET is executed again, PUT is not
    assert node.last_error == repr(OSError(5))
    survived(node)


def test_handlers_that_raise_all_kinds_of_things():
    node, done = serving()
    errors = [
        MemoryError(),
        RuntimeError("x" * 3000),
        KeyError(),
        CoapError(0x84),
        StopIteration(),
    ]

    @node.post("broken")
    def broken(request, reply):
        raise errors[0]

    while errors:
        code = ask(node, request(POST, "broken")).code
        assert code == (0x84 if isinstance(errors[0], CoapError) else 0xA0)
        errors.pop(0)
        survived(node)


def test_a_duplicate_is_executed_once():
    for kind in (CON, NON):
        node, done = serving()
        data = request(POST, "a", kind, payload=b"once")
        first = answer(node, data)
        assert decode(first).code == CHANGED
        for _ in range(3):
            assert answer(node, data) == (first if kind == CON else None)
        assert done == [b"once"]


def test_the_same_mid_from_another_port_is_a_new_request():
    node, done = serving()
    for port in (1, 2, 3):
        data = request(POST, "a", mid=0x1234, payload=b"%d" % port)
        assert ask(node, data, ("10.0.0.1", port)).code == CHANGED
    assert done == [b"1", b"2", b"3"]


def test_a_flood_from_300_ports():
    for node in (Bare(), Node()):
        node, done = serving(node)
        for port in range(300):
            peer = ("10.0.0.1", port)
            assert ask(node, request(POST, "a", mid=1), peer, port).code == CHANGED
            assert ask(node, request(GET, "a", options=[(6, b"")]), peer, port).code == CONTENT
            assert ask(node, encode(CON, CONTENT, 2), peer, port).kind == RST
        assert len(done) == 300
        assert node.counters[COUNT_PEERS_EVICTED] > 0
        assert node.counters[COUNT_RESPONSES_EVICTED] + node.counters[COUNT_PEERS_EVICTED] >= 284
        assert len(node.messaging.peer_indexes) <= 16
        survived(node)


def test_malformed_messages_are_counted():
    node, _ = serving()
    for number, data in enumerate((b"", b"\x40", b"\x80\x01\0\0", b"\x40\x01\0\0\xff"), 1):
        answer(node, data)
        assert node.counters[COUNT_MALFORMED] == number
    answer(node, request(GET, "a"))
    answer(node, encode(CON, 0, 1))
    assert node.counters[COUNT_MALFORMED] == 4


def test_every_first_byte_of_an_option():
    node, done = serving()
    for kind in (0x40, 0x50):
        for first in range(256):
            for filler in (b"", b"\xff", b"\x0d", b"\xb1\x61" + bytes(12)):
                data = bytes((kind, 1, 0x12, 0x34, first)) + filler
                reply = answer(node, data)
                if reply is not None:
                    decode(reply)
                    if kind == 0x40:
                        assert reply[2:4] == b"\x12\x34"
                    else:
                        assert reply[0] >> 4 == 5  # never an RST or an ACK to a NON
    survived(node)
