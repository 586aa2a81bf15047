"""Responses and resources: what handlers write, and the message that is sent."""

from coap import CoapError, Resource
from coap.node import Node
from coap.numbers import (
    CBOR,
    CHANGED,
    CONTENT,
    CREATED,
    DELETED,
    GET,
    INTERNAL_SERVER_ERROR,
    JSON,
    NOT_FOUND,
    POST,
    PUT,
    TEXT,
)
from support import cases, hexbytes, only, raises
from support.engine import ask, get, request, uint

OF_ALL = (TEXT, JSON, CBOR)


def answered(handler, *options, method=GET, **attributes):
    """What a client gets from a resource with this handler."""
    node = Node()
    {GET: node.get, PUT: node.put, POST: node.post}[method]("a", **attributes)(handler)
    return ask(node, request(method, "a", options=options))


# Payloads


@cases(
    (0, 0, "0", "00"),
    (23, 0, "23", "17"),
    (24, 0, "24", "1818"),
    (255, 0, "255", "18ff"),
    (256, 0, "256", "190100"),
    (65535, 0, "65535", "19ffff"),
    (65536, 0, "65536", "1a00010000"),
    ((1 << 30) - 1, 0, "1073741823", "1a3fffffff"),
    (-1, 0, "-1", "20"),
    (-24, 0, "-24", "37"),
    (-25, 0, "-25", "3818"),
    (-256, 0, "-256", "38ff"),
    (-257, 0, "-257", "390100"),
    (1 - (1 << 30), 0, "-1073741823", "3a3ffffffe"),
    (3662, 2, "36.62", "c48221190e4e"),
    (-5, 1, "-0.5", "c4822024"),
    (0, 2, "0.00", "c4822100"),
    (1000, 3, "1.000", "c482221903e8"),
)
def test_numbers(value, decimals, text, cbor):
    def handler(request, reply):
        return reply.number(value, decimals)

    for form, payload in ((TEXT, text.encode()), (JSON, text.encode()), (CBOR, hexbytes(cbor))):
        message = answered(handler, (17, uint(form)), content_formats=OF_ALL)
        assert (message.code, message.uint(12), message.payload) == (CONTENT, form, payload)
    assert answered(handler, content_formats=OF_ALL).payload == text.encode()


@cases((True, b"1", b"true", b"\xf5"), (False, b"0", b"false", b"\xf4"))
def test_booleans(flag, text, json, cbor):
    def handler(request, reply):
        return reply.boolean(flag)

    for form, payload in ((TEXT, text), (JSON, json), (CBOR, cbor)):
        message = answered(handler, (17, uint(form)), content_formats=OF_ALL)
        assert (message.uint(12), message.payload) == (form, payload)


def test_pieces():
    def handler(request, reply):
        reply.write(b"one")
        reply.write(b"..two..", 2, 3)
        reply.write(b"..three", 2)
        reply.write(b"")
        reply.write(memoryview(b"four"))

    assert answered(handler).payload == b"onetwothreefour"
    assert answered(handler, method=PUT).payload == b"onetwothreefour"


def test_pieces_after_a_number():
    def handler(request, reply):
        reply.number(1234, 1)
        reply.write(b" mV")

    assert answered(handler).payload == b"123.4 mV"


def test_bytes_win_over_pieces():
    def handler(request, reply):
        reply.write(b"half an ")
        return b"answer"

    assert answered(handler).payload == b"answer"


def test_a_code_keeps_the_pieces():
    def handler(request, reply):
        reply.write(b"made")
        return CREATED

    message = answered(handler, method=POST)
    assert (message.code, message.payload) == (CREATED, b"made")


def test_an_error_code_keeps_no_pieces_but_a_diagnostic():
    def half(request, reply):
        reply.write(b"half an answer")
        reply.max_age_s = 5
        return request.payload_bytes()[0]

    def diagnosed(request, reply):
        reply.code = request.payload_bytes()[0]
        reply.content_format = None
        reply.write(b"why")
        return request.payload_bytes()[0]

    node = Node()
    node.post("half")(half)
    node.post("diagnosed")(diagnosed)
    for code in (0x80, 0x84, 0xA3):
        message = ask(node, request(POST, "half", payload=bytes((code,))))
        assert (message.code, message.options, message.payload) == (code, [], b"")
        message = ask(node, request(POST, "diagnosed", payload=bytes((code,))))
        assert (message.code, message.options, message.payload) == (code, [], b"why")


def test_parts():
    def handler(request, reply):
        assert (reply.offset, reply.wanted) == (0, 1024)
        reply.part(b"abcdef", 6)

    for method in (GET, PUT):
        message = answered(handler, method=method)
        assert (message.payload, message.options) == (b"abcdef", [(12, b"")])
    # without Block2 the rest of it could not be had
    message = answered(lambda request, reply: reply.part(b"abcdef", 2000))
    assert (message.code, message.payload) == (INTERNAL_SERVER_ERROR, b"")


def test_text():
    message = answered(lambda request, reply: "\u00fcber")
    assert (message.uint(12), message.payload) == (TEXT, "\u00fcber".encode())


def test_an_empty_content_has_its_format():
    assert answered(lambda request, reply: b"", content_formats=(JSON,)).uint(12) == JSON
    assert answered(lambda request, reply: None, content_formats=(JSON,)).uint(12) == JSON


def test_a_change_without_payload_has_no_format():
    assert answered(lambda request, reply: None, method=PUT).options == []
    assert answered(lambda request, reply: b"", method=PUT).options == []
    assert answered(lambda request, reply: CHANGED, method=PUT).options == []


# Options


def test_setters():
    def handler(request, reply):
        assert (reply.code, reply.content_format, reply.max_age_s, reply.etag) == (0, 0, 60, b"r")
        reply.code = DELETED
        reply.content_format = 42
        reply.max_age_s = 70000
        reply.etag = b"12345678"
        assert (reply.code, reply.content_format) == (DELETED, 42)
        assert (reply.max_age_s, reply.etag) == (70000, b"12345678")
        return b"payload"

    message = answered(handler, etag=b"r", max_age_s=60)
    assert message.code == DELETED
    assert message.options == [(4, b"12345678"), (12, b"\x2a"), (14, uint(70000))]
    assert message.payload == b"payload"


def test_setters_take_things_away():
    def handler(request, reply):
        reply.content_format = None
        reply.max_age_s = None
        reply.etag = b""
        assert (reply.content_format, reply.max_age_s, reply.etag) == (None, None, b"")
        return b"x"

    assert answered(handler, etag=b"r", max_age_s=60).options == []


def test_one_setter_leaves_the_constants():
    def handler(request, reply):
        reply.max_age_s = 0
        return b"x"

    message = answered(handler, etag=b"r", max_age_s=60, content_formats=(JSON,))
    assert message.options == [(4, b"r"), (12, b"\x32"), (14, b"")]


def test_one_answer_owes_nothing_to_the_one_before():
    node = Node()
    plan = []

    @node.get("a")
    @node.put("a")
    def handler(request, reply):
        return plan.pop(0)(reply)

    def rich(reply):
        reply.code = CREATED
        reply.etag = b"tag"
        reply.max_age_s = 1
        reply.content_format = 42
        reply.location("x")
        reply.write(b"rich")

    for poor in (lambda reply: b"poor", lambda reply: reply.write(b"poor")):
        for method in (GET, PUT):
            for follower in (GET, PUT):
                plan[:] = [rich, poor]
                assert ask(node, request(method, "a")).code == CREATED
                message = ask(node, request(follower, "a"))
                assert message.code == (CONTENT if follower == GET else CHANGED)
                assert (message.options, message.payload) == ([(12, b"")], b"poor")


def test_negotiated_format_is_forgotten():
    node = Node()
    found = []

    @node.get("a", content_formats=OF_ALL)
    def handler(request, reply):
        found.append(reply.content_format)
        return b"x"

    for accept in (CBOR, JSON, TEXT):
        assert get(node, "a", (17, uint(accept))).uint(12) == accept
        assert get(node, "a").uint(12) == TEXT
    assert found == [CBOR, TEXT, JSON, TEXT, TEXT, TEXT]


def test_max_age_sizes():
    for seconds in (0, 1, 255, 256, 300, 86400, 1 << 24):
        assert answered(lambda request, reply: b"x", max_age_s=seconds).uint(14) == seconds


def test_changes_inherit_neither_etag_nor_max_age():
    message = answered(lambda request, reply: b"x", method=PUT, etag=b"v1", max_age_s=5)
    assert message.options == [(12, b"")]


def test_a_valid_answer_needs_the_etag_that_is_given():
    def handler(request, reply):
        reply.etag = b"now"
        return b"state"

    message = answered(handler, (4, b"now"))
    assert (message.code, message.options, message.payload) == (0x43, [(4, b"now")], b"")
    assert answered(handler, (4, b"old")).payload == b"state"


def test_etags_have_a_length():
    def handler(request, reply):
        raises(ValueError, lambda: setattr(reply, "etag", bytes(9)))
        return b"x"

    assert answered(handler).payload == b"x"


# Locations


def test_location():
    def handler(request, reply):
        reply.location("things", "caf\u00e9", "")
        reply.location_query("x=1", b"raw")

    message = answered(handler, method=POST)
    assert message.code == CREATED
    assert message.options == [
        (8, b"things"),
        (8, "caf\u00e9".encode()),
        (8, b""),
        (20, b"x=1"),
        (20, b"raw"),
    ]


def test_location_among_other_options():
    def handler(request, reply):
        reply.location("a" * 20)
        reply.etag = b"tag"
        reply.max_age_s = 5
        reply.location_query("q")
        reply.content_format = JSON
        reply.write(b"{}")

    message = answered(handler, method=POST)
    assert message.options == [
        (4, b"tag"),
        (8, b"a" * 20),
        (12, b"\x32"),
        (14, b"\x05"),
        (20, b"q"),
    ]
    assert message.payload == b"{}"


def test_a_location_does_not_overrule_a_code():
    def handler(request, reply):
        reply.code = CHANGED
        reply.location("a")
        reply.location("b")

    message = answered(handler, method=POST)
    assert (message.code, message.all(8)) == (CHANGED, [b"a", b"b"])


def test_a_location_longer_than_the_room_before_the_payload():
    def long(count, payload):
        def handler(request, reply):
            for _ in range(count):
                reply.location("x" * 100)
            if payload is None:
                reply.write(b"written")
            return payload

        return answered(handler, method=POST)

    message = long(5, b"elsewhere")
    assert message.all(8) == [b"x" * 100] * 5 and message.payload == b"elsewhere"
    # a payload written into the message buffer would be run over
    assert long(5, None).code == INTERNAL_SERVER_ERROR
    assert long(50, b"").code == INTERNAL_SERVER_ERROR


# Resources


def test_a_resource_of_a_class():
    class Counter(Resource):
        rt = "counter"
        content_formats = (TEXT, CBOR)

        def __init__(self):
            super().__init__()
            self.count = 7

        def get(self, request, reply):
            return reply.number(self.count)

        def put(self, request, reply):
            try:
                self.count = int(request.payload_bytes())
            except ValueError:
                raise CoapError(0x80, "a number")
            self.changed()

    node = Node()
    counter = node.add("n", Counter())
    assert node.resource_at("n") is counter and counter.path == "n" and counter.node is node
    assert get(node, "n").payload == b"7"
    assert ask(node, request(PUT, "n", payload=b"300")).code == CHANGED
    assert get(node, "n", (17, b"\x3c")).payload == b"\x19\x01\x2c"
    message = ask(node, request(PUT, "n", payload=b"many"))
    assert (message.code, message.payload) == (0x80, b"a number")
    assert ask(node, request(POST, "n")).code == 0x85


def test_changed_writes_constants_anew_only_when_they_are():
    node = Node()
    resource = node.add("a", Resource())
    options = resource.options
    resource.changed()
    assert resource.options is options
    resource.max_age_s = 5
    resource.changed()
    assert resource.options != options


def test_change_before_a_resource_is_served_is_in_its_first_response():
    resource = Resource()
    resource.get = lambda request, reply: b"1"
    resource.etag = b"v2"
    resource.changed()
    node = Node()
    node.add("n", resource)
    message = get(node, "n")
    assert message.payload == b"1" and message.all(4) == [b"v2"]
    assert node.due(0) == 0


@only("cpython")
def test_the_table_of_routes_is_built_once():
    import sys

    def calls(resources):
        """Return the calls of Python functions from an empty node to the first response."""
        node = Node()
        paths = ["a/%d" % i for i in range(resources)]
        found = []
        sys.setprofile(lambda frame, event, arg: found.append(event))
        try:
            for path in paths:
                node.add(path, Resource())
            get(node, paths[-1])
        finally:
            sys.setprofile(None)
        return found.count("call")

    few, more, most = calls(1), calls(21), calls(41)
    assert most - more <= more - few <= 20 * 20


def test_a_resource_added_later_is_found_and_a_removed_one_is_not():
    node = Node()
    node.add("a", Resource())
    node.get("b")(lambda request, response: b"first")
    assert get(node, "b").payload == b"first"
    node.get("c")(lambda request, response: b"second")
    assert ask(node, request(GET, "c", options=[(17, uint(TEXT))])).payload == b"second"
    node.remove("b")
    assert [get(node, path).code for path in ("b", "c")] == [NOT_FOUND, CONTENT]


def test_paths_are_too_long_when_they_are_added():
    node = Node()
    assert "255 bytes" in str(raises(ValueError, node.add, "a/" + 256 * "x", Resource()))
    for i in range(3):
        node.add("%d/" % i + "/".join(["x" * 255] * 80), Resource())
    long = "3/" + "/".join(["x" * 255] * 80)
    assert "64 KiB" in str(raises(ValueError, node.add, long, Resource()))
    assert len(node.resources) == 3 and get(node, "3").code == NOT_FOUND
