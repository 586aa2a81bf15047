"""What a handler sees of a request."""

from coap.node import Node
from coap.numbers import CON, GET, NON, POST, PUT
from support import cases
from support.engine import ask, encode, get, request, uint


def seen(look, data, peer="peer", now_ms=0, **settings):
    """What `look(request)` returns inside of a handler that gets the request in `data`."""
    node = Node(**settings)
    found = []

    def handler(request, reply):
        found.append(look(request))

    for method in (node.get, node.put, node.post):
        method("a/b")(handler)
    ask(node, data, peer, now_ms)
    assert len(found) == 1, found
    return found[0]


def test_method():
    for code in (GET, PUT, POST):
        assert seen(lambda r: r.method, request(code, "a/b")) == code


def test_where_it_comes_from():
    data = request(GET, "a/b", mid=0xFEDC, token=b"tok")
    assert seen(lambda r: (r.mid, r.token, r.peer, r.now_ms), data, ("10.0.0.1", 5), 77) == (
        0xFEDC,
        b"tok",
        ("10.0.0.1", 5),
        77,
    )
    assert seen(lambda r: r.token, request(GET, "a/b", token=b"")) == b""


def test_an_extended_token():
    data = request(GET, "a/b", token=bytes(range(20)))
    assert seen(lambda r: r.token, data, token_max=20) == bytes(range(20))


def test_confirmable():
    assert seen(lambda r: r.confirmable, request(GET, "a/b", CON)) is True
    assert seen(lambda r: r.confirmable, request(GET, "a/b", NON)) is False


def test_payload():
    data = request(PUT, "a/b", payload=b"pay\xff\x00load")
    assert seen(lambda r: bytes(r.payload), data) == b"pay\xff\x00load"
    assert seen(lambda r: r.payload_bytes(), data) == b"pay\xff\x00load"
    assert seen(lambda r: type(r.payload_bytes()), data) is bytes
    assert seen(lambda r: r.payload_length, data) == 9
    data = request(PUT, "a/b")
    assert seen(lambda r: (bytes(r.payload), r.payload_bytes(), r.payload_length), data) == (
        b"",
        b"",
        0,
    )


def test_formats():
    data = request(PUT, "a/b", options=[(12, b"\x32"), (17, b"")], payload=b"{}")
    assert seen(lambda r: (r.content_format, r.accept), data) == (50, 0)
    assert seen(lambda r: (r.content_format, r.accept), request(PUT, "a/b")) == (None, None)
    # 3 bytes are no Content-Format, and that option is elective
    data = request(PUT, "a/b", options=[(12, b"\0\0\x32")])
    assert seen(lambda r: r.content_format, data) is None


def test_path():
    assert seen(lambda r: r.path(), request(GET, "a/b")) == ["a", "b"]
    node = Node()
    found = []
    node.get("", prefix=True)(lambda request, reply: found.append(request.path()))
    for path in (None, "", "a/", "caf\u00e9/b"):
        get(node, path)
    ask(node, encode(CON, GET, 1, b"", [(11, b"\xffx"), (11, b"y/z")]))
    assert found == [[], [""], ["a", ""], ["caf\u00e9", "b"], ["?x", "y/z"]]


QUERIES = [(15, text) for text in (b"a=1", b"b", b"a=2", b"c=", b"d=x=y", b"e=\xc3\xa9")]


def test_queries():
    data = request(GET, "a/b", options=QUERIES)
    assert seen(lambda r: r.queries(), data) == ["a=1", "b", "a=2", "c=", "d=x=y", "e=\u00e9"]
    assert seen(lambda r: r.queries(), request(GET, "a/b")) == []


@cases(
    ("a", "1"), ("b", ""), ("c", ""), ("d", "x=y"), ("e", "\u00e9"), ("", None), ("a=1", ""),
    ("x", None), ("A", None),
)  # fmt: skip
def test_a_query(name, value):
    assert seen(lambda r: r.query(name), request(GET, "a/b", options=QUERIES)) == value


def test_a_query_that_is_no_text():
    data = request(GET, "a/b", options=[(15, b"a=\xff\xfe")])
    assert seen(lambda r: r.query("a"), data) == "??"


def test_any_option():
    options = [(3, b"h"), (60, b"\1\2"), (2000, b"one"), (2000, bytes(300)), (2002, b"")]
    data = request(PUT, "a/b", options=options, payload=b"x")
    for number, values in (
        (2000, [b"one", bytes(300)]),
        (2002, [b""]),
        (60, [b"\1\2"]),
        (3, [b"h"]),
        (11, [b"a", b"b"]),
        (4, []),
    ):
        assert seen(lambda r, number=number: r.option(number), data) == values, number
    assert seen(lambda r: r.option(2), request(PUT, "a/b")) == []
    data = request(PUT, "a/b", options=[(2002, b"")])
    assert seen(lambda r: r.option(2002), data) == [b""]
    data = request(PUT, "a/b", options=[(12, b"")])
    assert seen(lambda r: r.option(12), data) == [b""]


def test_negotiate():
    def look(request):
        return request.negotiate((50, 60))

    def handler(request, reply):
        found.append(look(request))

    found = []
    node = Node()
    node.get("a", content_formats=None)(handler)
    assert get(node, "a").code == 0x45
    assert get(node, "a", (17, uint(60))).code == 0x45
    assert get(node, "a", (17, uint(0))).code == 0x86
    assert found == [50, 60]


@cases(
    ([], b"v1", True),
    ([], None, True),
    ([(1, b"v1")], b"v1", True),
    ([(1, b"v0"), (1, b"v1")], b"v1", True),
    ([(1, b"v0")], b"v1", False),
    ([(1, b"")], b"v1", True),
    ([(1, b"")], None, False),
    ([(1, b"v1")], None, False),
    ([(5, b"")], b"v1", False),
    ([(5, b"")], None, True),
)
def test_if_match_for_those_who_look_themselves(options, etag, expected):
    node = Node()
    found = []

    @node.put("a", conditional=True)
    def handler(request, reply):
        found.append(request.satisfies_if_match(etag))

    ask(node, request(PUT, "a", options=options))
    assert found == [expected]


def test_a_request_shows_the_datagram_at_hand():
    node = Node()
    found = []
    node.put("a")(lambda request, reply: found.append((request.mid, request.payload_bytes())))
    ask(node, request(PUT, "a", mid=700, payload=b"first"))
    ask(node, request(PUT, "a", mid=701, payload=b""))
    assert found == [(700, b"first"), (701, b"")]


def test_is_the_payload_these_bytes():
    node = Node()
    found = []
    node.put("a")(
        lambda request, reply: found.append(
            [request.payload_is(one) for one in (b"", b"ab", b"ac")]
        )
    )
    for mid, payload in enumerate((b"", b"ab", b"ac", b"abc", b"a")):
        ask(node, request(PUT, "a", mid=mid, payload=payload))
    assert found == [
        [True, False, False],
        [False, True, False],
        [False, False, True],
        [False, False, False],
        [False, False, False],
    ]
