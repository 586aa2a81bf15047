"""The request/response layer: RFC 7252 section 5 as a client sees it."""

from coap import CoapError, Node, Resource
from coap.counters import COUNT_HANDLER_ERRORS, COUNT_TOO_LONG
from coap.node import Node as Bare
from coap.numbers import (
    ACK,
    BAD_OPTION,
    BAD_REQUEST,
    CHANGED,
    CON,
    CONFLICT,
    CONTENT,
    CREATED,
    DELETE,
    DELETED,
    FETCH,
    FORBIDDEN,
    GET,
    INTERNAL_SERVER_ERROR,
    IPATCH,
    METHOD_NOT_ALLOWED,
    NON,
    NOT_ACCEPTABLE,
    NOT_FOUND,
    PATCH,
    POST,
    PRECONDITION_FAILED,
    PROXYING_NOT_SUPPORTED,
    PUT,
    RST,
    SERVICE_UNAVAILABLE,
    UNSUPPORTED_CONTENT_FORMAT,
    VALID,
)
from support import cases, hexbytes, raises
from support.engine import answer, ask, decode, due, encode, get, next_mid, request, uint


class Thing(Resource):
    """A resource that keeps what was done to it."""

    def __init__(self, **attributes):
        super().__init__()
        self.done = []
        self.result = None
        for name, value in attributes.items():
            setattr(self, name, value)

    def get(self, request, reply):
        return self._do("get")

    def post(self, request, reply):
        return self._do("post")

    def put(self, request, reply):
        return self._do("put")

    def delete(self, request, reply):
        return self._do("delete")

    def fetch(self, request, reply):
        return self._do("fetch")

    def patch(self, request, reply):
        return self._do("patch")

    def ipatch(self, request, reply):
        return self._do("ipatch")

    def _do(self, what):
        self.done.append(what)
        return self.result


def serving(path="a/b", **attributes):
    node = Bare()
    return node, node.add(path, Thing(**attributes))


# Messages


def test_a_confirmable_request_is_answered_in_its_ack():
    node, thing = serving()
    thing.result = b"hello"
    reply = answer(node, encode(CON, GET, 0x1234, b"token", [(11, b"a"), (11, b"b")]))
    assert reply == encode(ACK, CONTENT, 0x1234, b"token", [(12, b"")], b"hello")


def test_a_non_confirmable_request_is_answered_by_a_non_with_a_mid_of_ours():
    node, thing = serving()
    thing.result = b"hello"
    mids = []
    for method in (GET, PUT, FETCH):
        message = ask(node, request(method, "a/b", NON, 0x1234, b"tok"))
        assert (message.kind, message.token) == (NON, b"tok")
        mids.append(message.mid)
    assert mids[1] == (mids[0] + 1) & 0xFFFF and mids[2] == (mids[1] + 1) & 0xFFFF
    message = ask(node, request(GET, "nowhere", NON, 0x1234, b"tok"))
    assert (message.kind, message.code, message.mid) == (NON, NOT_FOUND, (mids[2] + 1) & 0xFFFF)


@cases((0,), (1,), (2,), (7,), (8,))
def test_tokens_come_back(length):
    node, thing = serving()
    token = bytes(range(200, 200 + length))
    thing.result = b"x"
    for path, code in (("a/b", CONTENT), ("nowhere", NOT_FOUND)):
        message = ask(node, request(GET, path, token=token))
        assert (message.code, message.token) == (code, token)
    thing.result = BAD_REQUEST
    assert ask(node, request(GET, "a/b", token=token)).token == token
    thing.result = None
    assert ask(node, request(PUT, "a/b", token=token)).token == token


@cases((9,), (12,), (13,), (14,), (32,))
def test_extended_tokens_come_back(length):
    token = bytes(range(length))
    node = Bare(token_max=32)
    thing = node.add("a", Thing(result=b"x" * 1024))
    message = ask(node, request(GET, "a", token=token))
    assert (message.code, message.token, message.payload) == (CONTENT, token, b"x" * 1024)
    thing.result = None
    message = ask(node, request(PUT, "a", token=token, kind=NON))
    assert (message.code, message.token) == (CHANGED, token)
    assert ask(node, request(GET, "b", token=token)).token == token


def test_extended_tokens_are_format_errors_where_not_configured():
    node, thing = serving()
    data = request(GET, "a/b", token=bytes(9), mid=0x0A0B)
    assert answer(node, data) == b"\x70\x00\x0a\x0b"
    assert thing.done == []


def test_ping():
    node = Bare()
    assert answer(node, "40 00 1234") == hexbytes("70 00 1234")
    assert answer(node, "50 00 1234") is None


def test_nobody_answers_answers():
    node, _ = serving()
    for code in (CHANGED, CONTENT, NOT_FOUND, INTERNAL_SERVER_ERROR):
        assert answer(node, encode(CON, code, 0x0102, b"t")) == b"\x70\x00\x01\x02"
        for kind in (NON, ACK, RST):
            assert answer(node, encode(kind, code, 0x0102, b"t")) is None
    for code in (GET, PUT):
        for kind in (ACK, RST):
            assert answer(node, request(code, "a/b", kind)) is None


# Methods and codes


@cases(
    (GET, "get", CONTENT),
    (POST, "post", CHANGED),
    (PUT, "put", CHANGED),
    (DELETE, "delete", DELETED),
    (FETCH, "fetch", CONTENT),
    (PATCH, "patch", CHANGED),
    (IPATCH, "ipatch", CHANGED),
)
def test_default_codes(method, name, code):
    for result, payload in (
        (None, b""),
        (b"payload", b"payload"),
        ("p\u00e4", "p\u00e4".encode()),
    ):
        node, thing = serving()
        thing.result = result
        message = ask(node, request(method, "a/b"))
        assert thing.done == [name]
        assert (message.code, message.payload) == (code, payload)


@cases((CREATED,), (DELETED,), (CHANGED,), (CONTENT,), (BAD_REQUEST,), (CONFLICT,), (NOT_FOUND,))
def test_codes_that_handlers_return(code):
    node, thing = serving()
    thing.result = code
    message = ask(node, request(POST, "a/b"))
    assert (message.code, message.payload, message.all(12)) == (
        code,
        b"",
        [b""] if code == CONTENT else [],
    )


def test_not_found():
    node, thing = serving()
    for path in ("a", "b", "a/b/c", "a/b/", "/a/b", "ab", None, "", "A/B"):
        message = get(node, path)
        assert (message.kind, message.code, message.options) == (ACK, NOT_FOUND, []), path
    assert thing.done == []


def test_method_not_allowed():
    node = Bare()
    node.get("a")(lambda request, reply: b"x")
    for method in (POST, PUT, DELETE, FETCH, PATCH, IPATCH, 8, 31):
        assert ask(node, request(method, "a")).code == METHOD_NOT_ALLOWED
        assert ask(node, request(method, "b")).code == NOT_FOUND


@cases(
    (BAD_REQUEST, "name: 1 to 32 characters"),
    (FORBIDDEN, ""),
    (CONFLICT, "caf\u00e9"),
    (SERVICE_UNAVAILABLE, "busy"),
)
def test_errors_that_handlers_raise(code, why):
    node = Bare()

    @node.get("a", max_age_s=7, etag=b"tag")
    @node.put("a")
    def handler(request, reply):
        reply.location("x")
        reply.write(b"half an answer")
        raise CoapError(code, why)

    for method in (GET, PUT):
        message = ask(node, request(method, "a"))
        assert (message.code, message.payload) == (code, why.encode())
        assert message.options == []
    assert node.counters[COUNT_HANDLER_ERRORS] == 0


def test_a_diagnostic_may_be_cut():
    node = Bare()

    @node.get("a")
    def handler(request, reply):
        raise CoapError(BAD_REQUEST, "x" * 2000)

    message = get(node, "a")
    assert (message.code, message.payload) == (BAD_REQUEST, b"x" * 1024)


def test_an_error_with_max_age():
    node = Bare()

    @node.get("a")
    def handler(request, reply):
        raise CoapError(SERVICE_UNAVAILABLE, "starting", max_age_s=300)

    message = get(node, "a")
    assert message.code == SERVICE_UNAVAILABLE
    assert message.options == [(14, uint(300))]
    assert message.payload == b"starting"


def test_a_handler_that_raises():
    node = Bare()

    @node.get("a")
    def broken(request, reply):
        reply.max_age_s = 3
        return {}["missing"]

    @node.get("b")
    def works(request, reply):
        return b"still here"

    for number in (1, 2):
        message = get(node, "a")
        assert (message.code, message.options, message.payload) == (INTERNAL_SERVER_ERROR, [], b"")
        assert node.counters[COUNT_HANDLER_ERRORS] == number
        assert "KeyError" in node.last_error
        assert get(node, "b").payload == b"still here"


def test_a_put_that_raises_is_not_executed_again():
    node = Bare()
    calls = []

    @node.put("a")
    def broken(request, reply):
        calls.append(1)
        raise RuntimeError("once")

    data = request(PUT, "a")
    first = answer(node, data)
    assert decode(first).code == INTERNAL_SERVER_ERROR
    assert answer(node, data) == first
    assert len(calls) == 1


@cases(
    (1.5,), ([1],), ({},), (object,), (0,), (1,), (31,), (0x3F,), (0xC0,), (205,), (404,), (-1,)
)
def test_a_handler_that_returns_nonsense(result):
    node, thing = serving()
    thing.result = result
    for kind in (CON, NON):
        message = ask(node, request(PUT, "a/b", kind))
        assert (message.code, message.payload) == (INTERNAL_SERVER_ERROR, b"")
    assert node.counters[COUNT_HANDLER_ERRORS] == 2
    thing.result = b"fine"
    assert get(node, "a/b").payload == b"fine"


def test_kinds_of_bytes_that_handlers_return():
    node, thing = serving()
    for result in (b"abc", bytearray(b"abc"), memoryview(b"xabcx")[1:4], "abc"):
        thing.result = result
        assert get(node, "a/b").payload == b"abc"
        assert ask(node, request(PUT, "a/b")).payload == b"abc"


def test_a_payload_can_be_the_request_s_own():
    node = Bare()

    @node.post("echo")
    def echo(request, reply):
        return request.payload

    assert ask(node, request(POST, "echo", payload=b"back and forth")).payload == b"back and forth"


def test_a_handler_may_add_resources():
    node = Bare()

    @node.post("things")
    def create(request, reply):
        name = str(request.payload_bytes(), "utf-8")
        node.add("things/" + name, Thing(result=b"I am " + request.payload_bytes()))
        reply.location("things", name)

    message = ask(node, encode(CON, POST, 0xBEEF, b"token", [(11, b"things")], b"lamp"))
    assert (message.kind, message.mid, message.token) == (ACK, 0xBEEF, b"token")
    assert message.code == CREATED
    assert message.all(8) == [b"things", b"lamp"]
    assert get(node, "things/lamp").payload == b"I am lamp"


# Options


@cases((9,), (13,), (19,), (21,), (31,), (65,), (1001,))
def test_an_unknown_critical_option_is_refused_before_anything_acts(number):
    node, thing = serving()
    for method in (GET, PUT):
        message = ask(node, request(method, "a/b", options=[(number, b"x")]))
        assert (message.kind, message.code) == (ACK, BAD_OPTION)
        assert ask(node, request(method, "a/b", NON, options=[(number, b"x")])) is None
        assert ask(node, request(method, "nowhere", options=[(number, b"x")])).code == BAD_OPTION
    assert thing.done == []
    thing.result = b"fine"
    for kind in (CON, NON):
        ask(node, request(PUT, "a/b", kind, options=[(number, b"x")]))
        assert get(node, "a/b").payload == b"fine"


@cases((23,), (27,))
def test_block_options_are_refused_without_the_feature(number):
    node, thing = serving()
    assert ask(node, request(PUT, "a/b", options=[(number, b"\x08")])).code == BAD_OPTION
    assert ask(node, request(PUT, "a/b", NON, options=[(number, b"\x08")])) is None
    assert thing.done == []


@cases(
    (1, b"123456789"),
    (3, b""),
    (5, b"x"),
    (7, b"\0\0\1"),
    (11, bytes(256)),
    (15, bytes(256)),
    (17, b"\0\0\0"),
)
def test_a_critical_option_out_of_its_length_range_is_refused(number, value):
    node, thing = serving()
    assert ask(node, request(PUT, "a/b", options=[(number, value)])).code == BAD_OPTION
    assert ask(node, request(PUT, "a/b", NON, options=[(number, value)])) is None
    assert thing.done == []


@cases(
    (2, b"x"),
    (4, bytes(9)),
    (6, b"\0\0\0\0"),
    (6, b""),
    (12, b"\0\0\1"),
    (14, b"\0\0\0\0\0"),
    (16, b"\x10"),
    (28, b"\0"),
    (60, b"\xff\xff\xff\xff"),
    (258, b"\0\0"),
    (292, b"tag"),
    (252, b"echo"),
    (65000, b"far"),
)
def test_elective_options_do_not_matter(number, value):
    node, thing = serving()
    thing.result = b"x"
    message = get(node, "a/b", (number, value))
    assert (message.code, message.options, message.payload) == (CONTENT, [(12, b"")], b"x")


def test_a_repeated_critical_option_is_refused():
    node, thing = serving()
    for number, value in ((3, b"h"), (7, b"\x01"), (17, b""), (5, b"")):
        message = get(node, "a/b", (number, value), (number, value))
        assert message.code == BAD_OPTION, number
    assert thing.done == []


@cases((35, b"coap://elsewhere/a"), (39, b"coap"))
def test_no_proxy(number, value):
    node, thing = serving()
    assert get(node, "a/b", (number, value)).code == PROXYING_NOT_SUPPORTED
    message = ask(node, request(PUT, "a/b", NON, options=[(number, value)]))
    assert (message.kind, message.code) == (NON, PROXYING_NOT_SUPPORTED)
    assert thing.done == []


def test_the_node_answers_to_any_name():
    node, thing = serving()
    thing.result = b"x"
    assert get(node, "a/b", (3, b"mote.local"), (7, b"\x16\x33")).code == CONTENT


def test_so_many_options():
    node, thing = serving()
    thing.result = b"x"
    options = [(15, b"q%d" % i) for i in range(120)]
    assert get(node, "a/b", *options).code == CONTENT
    assert get(node, "a/b", *(options + [(19, b"")])).code == BAD_OPTION


# Paths


@cases((None,), ("",))
def test_the_root(path):
    node, thing = serving("")
    thing.result = b"root"
    assert get(node, path).payload == b"root"
    assert ask(node, request(PUT, path)).code == CHANGED
    assert get(node, "/").code == NOT_FOUND
    assert get(node, "a").code == NOT_FOUND


def test_paths_are_compared_segment_by_segment():
    node = Bare()
    for path in ("a/b", "a/b/", "a", "a/b/c"):
        node.get(path)(lambda request, reply, path=path: path)
    for path in ("a/b", "a/b/", "a", "a/b/c"):
        assert get(node, path).payload == path.encode()
    assert ask(node, encode(CON, GET, 1, b"", [(11, b"a/b")])).code == NOT_FOUND
    assert ask(node, encode(CON, GET, 2, b"", [(11, b"a"), (11, b"b/c")])).code == NOT_FOUND


def test_paths_beyond_ascii():
    node, thing = serving("t\u00fcr")
    thing.result = b"x"
    assert get(node, "t\u00fcr").code == CONTENT
    assert get(node, "tur").code == NOT_FOUND


def test_paths_with_the_same_hash():
    # the hash of two characters is ((66 ^ first) * 33 ^ second) & 255
    node = Bare()
    node.add("ai", Thing(result=b"first"))
    assert get(node, "ia").code == NOT_FOUND
    assert ask(node, request(PUT, "ia")).code == NOT_FOUND
    node.add("ia", Thing(result=b"second"))
    assert get(node, "ai").payload == b"first"
    assert get(node, "ia").payload == b"second"


def test_a_path_is_taken_once():
    node, _ = serving("x")
    for path in ("x", ""):
        if path == "":
            node.add("", Thing(result=b"root"))
        assert "taken" in str(raises(ValueError, node.add, path, Thing()))
    assert get(node, "x").code == CONTENT


def test_what_was_removed_leaves_the_others_alone():
    node = Node()
    first, second = node.add("a", Thing()), node.add("b", Thing())
    first.exists = False  # told to the table by changed()
    node.remove("a")
    assert get(node, "b").code == CONTENT
    table = bytes(node.route_table)
    for first.exists in (True, False):
        first.changed()
    assert bytes(node.route_table) == table and node.resource_at("a") is None
    assert get(node, "b").code == CONTENT
    assert node.add("c", first) is first and get(node, "c").code == NOT_FOUND
    first.exists = True
    first.changed()
    assert get(node, "c").code == CONTENT and second.node is node


def test_a_node_has_255_resources():
    node = Bare()
    for i in range(255):
        node.add("r/%d" % i, Thing(result=b"%d" % i))
    assert "255" in str(raises(ValueError, node.add, "more", Thing()))
    for i in (0, 1, 127, 128, 254):
        assert get(node, "r/%d" % i).payload == b"%d" % i
    node.remove("r/3")
    assert get(node, "r/3").code == NOT_FOUND
    assert get(node, "r/254").payload == b"254"


def test_prefixes():
    node = Bare()
    node.add("r", Thing(result=b"r", prefix=True))
    node.add("r/x/y", Thing(result=b"r/x/y", prefix=True))
    node.add("r/x", Thing(result=b"r/x"))
    for path, expected in (
        ("r", b"r"),
        ("r/", b"r"),
        ("r/one", b"r"),
        ("r/one/two", b"r"),
        ("r/x", b"r/x"),
        ("r/x/z", b"r"),
        ("r/x/y", b"r/x/y"),
        ("r/x/y/z/z", b"r/x/y"),
    ):
        assert get(node, path).payload == expected, path
    assert get(node, "rx").code == NOT_FOUND
    assert get(node, "q/r").code == NOT_FOUND
    assert get(node, None).code == NOT_FOUND


def test_a_prefix_at_the_root_takes_everything():
    node, thing = serving("", prefix=True)
    thing.result = b"x"
    for path in (None, "", "a", "a/b/c"):
        assert get(node, path).payload == b"x"


# Content negotiation


def test_accept():
    node, thing = serving(content_formats=(0, 50, 60))
    thing.result = b"x"
    assert get(node, "a/b").uint(12) == 0
    for number in (0, 50, 60):
        assert get(node, "a/b", (17, uint(number))).uint(12) == number
    for number in (42, 110, 65533, 65534, 65535):
        message = get(node, "a/b", (17, uint(number)))
        assert (message.code, message.options) == (NOT_ACCEPTABLE, [])
    assert get(node, "a/b").uint(12) == 0
    assert len(thing.done) == 5


def test_accept_of_a_resource_with_one_format():
    node, thing = serving(content_formats=(50,))
    thing.result = b"{}"
    assert get(node, "a/b").uint(12) == 50
    assert get(node, "a/b", (17, b"\x32")).uint(12) == 50
    assert get(node, "a/b", (17, b"")).code == NOT_ACCEPTABLE
    assert ask(node, request(PUT, "a/b", options=[(17, b"")])).code == NOT_ACCEPTABLE
    assert thing.done == ["get", "get"]


def test_a_resource_may_see_to_its_formats_itself():
    node = Bare()

    @node.get("a", content_formats=None)
    def handler(request, reply):
        reply.content_format = request.negotiate((110, 112))
        return b"x"

    assert get(node, "a").uint(12) == 110
    assert get(node, "a", (17, b"\x70")).uint(12) == 112
    assert get(node, "a", (17, b"\x32")).code == NOT_ACCEPTABLE


def test_unsupported_content_format():
    node, thing = serving(accepts=(50, 60))
    for form, code in ((50, CHANGED), (60, CHANGED), (0, UNSUPPORTED_CONTENT_FORMAT)):
        data = request(PUT, "a/b", options=[(12, uint(form))], payload=b"x")
        assert ask(node, data).code == code
    assert ask(node, request(PUT, "a/b", payload=b"x")).code == CHANGED
    assert thing.done == ["put", "put", "put"]


def test_any_content_format():
    node, thing = serving()
    assert ask(node, request(PUT, "a/b", options=[(12, b"\x32")], payload=b"x")).code == CHANGED


# ETag and preconditions


def test_etag():
    node, thing = serving(etag=b"v1", max_age_s=90)
    thing.result = b"state"
    message = get(node, "a/b")
    assert message.options == [(4, b"v1"), (12, b""), (14, b"\x5a")]
    message = get(node, "a/b", (4, b"v0"), (4, b"v1"))
    assert (message.code, message.payload) == (VALID, b"")
    assert message.options == [(4, b"v1"), (14, b"\x5a")]
    for other in (b"v2", b"v", b"v11"):
        message = get(node, "a/b", (4, other))
        assert (message.code, message.payload) == (CONTENT, b"state")


def test_an_etag_that_changed():
    node, thing = serving(etag=b"v1")
    thing.result = b"state"
    thing.etag = b"v2-longer"[:8]
    thing.changed()
    assert get(node, "a/b").all(4) == [b"v2-longe"]
    assert get(node, "a/b", (4, b"v1")).code == CONTENT
    assert get(node, "a/b", (4, b"v2-longe")).code == VALID


def test_a_resource_without_etag_is_never_valid():
    node, thing = serving()
    other = node.add("other", Thing(etag=b"x"))
    other.result = thing.result = b"state"
    assert get(node, "other").all(4) == [b"x"]
    assert get(node, "a/b", (4, b"x")).code == CONTENT


def test_only_a_content_becomes_valid():
    node = Bare()

    @node.get("a")
    @node.post("a")
    def handler(request, reply):
        reply.etag = b"now"
        if request.method == GET:
            reply.code = DELETED
        return b"x"

    for method, code in ((GET, DELETED), (POST, CHANGED)):
        message = ask(node, request(method, "a", options=[(4, b"now")]))
        assert (message.code, message.payload) == (code, b"x")


@cases(
    (b"v1", [(1, b"v1")], True),
    (b"v1", [(1, b"v0"), (1, b"v1")], True),
    (b"v1", [(1, b"")], True),
    (b"v1", [(1, b"v0")], False),
    (b"v1", [(5, b"")], False),
    (b"v1", [(1, b"v1"), (5, b"")], False),
    (b"", [(1, b"")], True),
    (b"", [(1, b"v1")], False),
    (b"", [(5, b"")], False),
)
def test_preconditions_on_what_exists(etag, options, passes):
    for method in (PUT, POST, DELETE, GET):
        node, thing = serving(etag=etag)
        code = ask(node, request(method, "a/b", options=options)).code
        assert (code != PRECONDITION_FAILED) == passes
        assert len(thing.done) == passes


@cases(
    ([(1, b"v1")], False),
    ([(1, b"")], False),
    ([(5, b"")], True),
    ([], True),
)
def test_preconditions_on_what_does_not_exist(options, passes):
    node, thing = serving(exists=False, etag=b"v1")
    message = ask(node, request(PUT, "a/b", options=options))
    assert message.code == (CHANGED if passes else PRECONDITION_FAILED)
    assert len(thing.done) == passes


def test_a_resource_may_see_to_preconditions_itself():
    node, thing = serving(conditional=True, etag=b"v1")
    assert ask(node, request(PUT, "a/b", options=[(1, b"other")])).code == CHANGED


def test_a_resource_that_does_not_exist_at_present():
    node, thing = serving(exists=False)
    thing.result = b"x"
    assert get(node, "a/b").code == NOT_FOUND
    assert ask(node, request(FETCH, "a/b")).code == NOT_FOUND
    assert get(node, "a/b", (17, b"")).code == NOT_FOUND
    assert ask(node, request(PUT, "a/b")).code == CHANGED
    thing.exists = True
    thing.changed()
    assert get(node, "a/b").payload == b"x"
    thing.exists = False
    thing.changed()
    assert get(node, "a/b").code == NOT_FOUND
    assert thing.done == ["put", "get"]


# Sizes


def test_a_request_that_is_too_long():
    node, thing = serving()
    limit = 1152
    head = request(PUT, "a/b", payload=b"x")
    fits = request(PUT, "a/b", payload=bytes(limit - len(head) + 1))
    assert len(fits) == limit
    assert ask(node, fits).code == CHANGED
    fits = request(PUT, "a/b", options=[(12, b"")], payload=bytes(limit - len(head)))
    assert len(fits) == limit
    assert ask(node, fits).code == CHANGED
    for kind in (CON, NON):
        message = ask(node, request(PUT, "a/b", kind, payload=bytes(limit - len(head) + 2)))
        assert (message.code, message.uint(60), message.payload) == (0x8D, 1024, b"")
    assert thing.done == ["put", "put"]
    assert node.counters[COUNT_TOO_LONG] == 2


def test_a_small_node_says_how_small_it_is():
    node = Bare(max_payload=64)
    node.add("a", Thing())
    assert ask(node, request(PUT, "a", payload=bytes(200))).uint(60) == 64


def test_the_longest_answer():
    node, thing = serving()
    thing.result = bytes(1024)
    assert get(node, "a/b").payload == bytes(1024)
    assert ask(node, request(PUT, "a/b")).payload == bytes(1024)
    for result in (bytes(1025), "x" * 1025):
        thing.result = result
        for method in (GET, PUT):
            message = ask(node, request(method, "a/b"))
            assert (message.code, message.payload) == (INTERNAL_SERVER_ERROR, b"")
    assert node.counters[COUNT_TOO_LONG] == 4


def test_an_answer_written_in_pieces_is_never_cut():
    node = Bare()
    pieces = []

    @node.get("a")
    def handler(request, reply):
        for piece in pieces:
            reply.write(piece)

    pieces[:] = [bytes(1000), bytes(24)]
    assert get(node, "a").payload == bytes(1024)
    pieces[:] = [bytes(1000), bytes(25)]
    message = get(node, "a")
    assert (message.code, message.payload) == (INTERNAL_SERVER_ERROR, b"")
    assert node.counters[COUNT_TOO_LONG] == 1


# Set-up


@cases(-1, 11, 3000)
def test_decimals_beyond_measure_are_a_mistake(decimals):
    node = Node()
    node.get("v", content_formats=(0, 60))(lambda request, reply: reply.number(5, decimals))
    for accept in (0, 60):
        answer = get(node, "v", (17, uint(accept)))
        assert (answer.code, answer.payload) == (INTERNAL_SERVER_ERROR, b"")


def test_decorators():
    node = Bare()

    @node.get("a", rt="t", max_age_s=5, content_formats=(50,))
    def read(request, reply):
        return b"1"

    @node.put("a")
    def write(request, reply):
        return None

    @node.post("b")
    def act(request, reply):
        return b"done"

    @node.delete("b")
    def delete(request, reply):
        return None

    @node.fetch("b")
    def fetch(request, reply):
        return b"part"

    assert read(None, None) == b"1"  # a decorated function stays what it is
    assert get(node, "a").options == [(12, b"\x32"), (14, b"\x05")]
    assert ask(node, request(PUT, "a")).code == CHANGED
    assert ask(node, request(POST, "b")).payload == b"done"
    assert ask(node, request(DELETE, "b")).code == DELETED
    assert ask(node, request(FETCH, "b")).payload == b"part"
    assert (
        node.resource_at("a").rt == "t"
        and node.resource_at("b").rt == ""
        and node.resource_at("c") is None
    )


def test_content_format_of_a_decorated_function():
    node = Bare()
    node.get("a", content_format=50)(lambda request, reply: b"{}")
    assert get(node, "a").uint(12) == 50
    assert get(node, "a", (17, b"")).code == NOT_ACCEPTABLE


def test_mistakes_at_set_up():
    node = Bare()
    node.add("a", Thing())
    assert "taken" in str(raises(ValueError, node.add, "a", Thing()))
    assert "colour" in str(raises(ValueError, lambda: node.get("b", colour="red")))
    assert "bind" in str(raises(ValueError, lambda: node.get("b", bind=1)))
    assert "255" in str(raises(ValueError, node.add, "x" * 256, Thing()))
    assert "slash" in str(raises(ValueError, node.add, "/a", Thing()))
    assert "8 bytes" in str(raises(ValueError, node.add, "b", Thing(etag=bytes(9))))
    assert get(node, "b").code == NOT_FOUND


def test_a_node_as_most_want_it():
    node = Node()
    node.get("hello", rt="greeting")(lambda request, reply: b"world")
    assert get(node, "hello").payload == b"world"
    assert b"</hello>" in get(node, ".well-known/core").payload


def test_two_nodes_share_nothing():
    one, thing = serving()
    other, another = serving()
    thing.result = b"1"
    another.result = b"2"
    assert get(one, "a/b").payload == b"1"
    assert get(other, "a/b").payload == b"2"
    one.add("c", Thing())
    assert get(other, "c").code == NOT_FOUND


def test_out_is_a_view_on_the_one_buffer():
    node, thing = serving()
    for size in list(range(120)) + [5, 50]:
        thing.result = b"x" * size
        assert get(node, "a/b").payload == thing.result


def test_nothing_is_due_on_an_idle_node():
    node = Bare()
    assert due(node, 0) == []
    assert node.wait_ms(0) > 3600000
    assert due(node, 1000) == []


def test_any_bytes_are_survived():
    node, thing = serving()
    thing.result = b"x"
    base = bytearray(request(PUT, "a/b", options=[(12, b"\x32"), (60, b"\1\2")], payload=b"pay"))
    state = 1
    for _ in range(2000):
        data = bytearray(base)
        for _ in range(3):
            state = (state * 1103515245 + 12345) & 0x3FFFFFFF
            data[(state >> 8) % len(data)] = state >> 20 & 255
        cut = (state >> 4) % (len(data) + 1)
        reply = answer(node, bytes(data[:cut]) if state & 1 else bytes(data))
        if reply is not None:
            decode(reply)
    message = ask(node, request(PUT, "a/b", mid=next_mid()), peer="another")
    assert message.code == CHANGED
