"""FETCH, PATCH and iPATCH (RFC 8132), and how each method is treated."""

from coap import Resource
from coap.blockwise import Blockwise
from coap.node import Node
from coap.numbers import DELETE, FETCH, GET, IPATCH, MERGE_PATCH_JSON, NON, PATCH, POST, PUT
from support import cases
from support.engine import ask, request
from support.features import ACCEPT, CONTENT_FORMAT, ETAG, MAX_AGE, option

ALL = (GET, POST, PUT, DELETE, FETCH, PATCH, IPATCH)
IF_MATCH, IF_NONE_MATCH = 1, 5


class Document(Resource):
    """All methods; keeps what was done."""

    content_formats = (50, 60)
    accepts = (0, MERGE_PATCH_JSON)
    etag = b"e1"
    max_age_s = 30

    def __init__(self):
        super().__init__()
        self.done = []

    def _do(self, request, reply):
        self.done.append((request.method, request.payload_bytes(), request.content_format))

    get = post = put = delete = patch = ipatch = _do

    def fetch(self, request, reply):
        self._do(request, reply)
        return b"%d" % reply.content_format


def serving():
    node = Node(Blockwise())
    return node, node.add("d", Document())


@cases(
    (GET, 0x45),
    (POST, 0x44),
    (PUT, 0x44),
    (DELETE, 0x42),
    (FETCH, 0x45),
    (PATCH, 0x44),
    (IPATCH, 0x44),
)
def test_each_method_has_its_code(method, code):
    node, document = serving()
    message = ask(node, request(method, "d", payload=b"body"))
    assert message.code == code and document.done == [(method, b"body", None)]


@cases(*ALL)
def test_decorators_and_methods_that_are_missing(method):
    node = Node()
    name = (None, "get", "post", "put", "delete", "fetch", "patch", "ipatch")[method]
    getattr(node, name)("x")(lambda request, reply: b"%d" % request.method)
    for other in ALL:
        message = ask(node, request(other, "x"))
        if other == method:
            assert message.payload == b"%d" % method
        else:
            assert message.code == 0x85


@cases(8, 9, 15, 31)
def test_a_method_that_has_no_name(method):
    node, document = serving()
    assert ask(node, request(method, "d")).code == 0x85 and document.done == []


@cases((POST, 1), (PUT, 1), (DELETE, 1), (PATCH, 1), (IPATCH, 1), (GET, 2), (FETCH, 2))
def test_what_changes_is_executed_once(method, times):
    node, document = serving()
    for kind in (0, NON):
        del document.done[:]
        datagram = request(method, "d", kind)
        first, second = ask(node, datagram), ask(node, datagram)
        assert len(document.done) == times
        assert kind == NON or second.code == first.code


@cases(*[(method, form) for method in ALL for form in (None, 0, MERGE_PATCH_JSON, 50)])
def test_the_format_of_what_is_sent(method, form):
    node, document = serving()
    options = [] if form is None else [option(CONTENT_FORMAT, form)]
    message = ask(node, request(method, "d", options=options, payload=b"x"))
    if form == 50:
        assert message.code == 0x8F and document.done == []
    else:
        assert document.done == [(method, b"x", form)]


@cases((None, 50), (50, 50), (60, 60))
def test_a_fetch_negotiates(accept, form):
    node, document = serving()
    options = [] if accept is None else [option(ACCEPT, accept)]
    message = ask(node, request(FETCH, "d", options=options, payload=b"q"))
    assert (message.code, message.uint(CONTENT_FORMAT)) == (0x45, form)
    assert message.payload == b"%d" % form
    assert ask(node, request(FETCH, "d", options=[option(ACCEPT, 0)])).code == 0x86


def test_a_fetch_answers_with_max_age_and_etag_and_can_be_valid():
    node, document = serving()
    message = ask(node, request(FETCH, "d"))
    assert (message.uint(MAX_AGE), message.all(ETAG)) == (30, [b"e1"])
    message = ask(node, request(FETCH, "d", options=[(ETAG, b"e1")]))
    assert (message.code, message.payload) == (0x43, b"")


@cases(*[(method, match) for method in ALL for match in (b"e1", b"e2", b"")])
def test_if_match(method, match):
    node, document = serving()
    message = ask(node, request(method, "d", options=[(IF_MATCH, match)]))
    assert (message.code == 0x8C) == (match == b"e2") == (document.done == [])


@cases(PUT, PATCH, IPATCH, POST)
def test_if_none_match(method):
    node, document = serving()
    options = [(IF_NONE_MATCH, b"")]
    assert ask(node, request(method, "d", options=options)).code == 0x8C and not document.done
    document.exists = False
    document.changed()
    assert ask(node, request(method, "d", options=options)).code == 0x44 and document.done


@cases((GET, 0x84), (FETCH, 0x84), (PUT, 0x44), (POST, 0x44), (DELETE, 0x42), (PATCH, 0x44))
def test_a_resource_that_does_not_exist(method, code):
    node, document = serving()
    document.exists = False
    document.changed()
    assert ask(node, request(method, "d")).code == code
    assert len(document.done) == (code != 0x84)


def test_what_changes_inherits_neither_etag_nor_max_age():
    node, document = serving()
    for method in (POST, PUT, DELETE, PATCH, IPATCH):
        message = ask(node, request(method, "d"))
        assert message.options == [], message
