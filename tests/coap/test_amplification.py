"""The budget for what peers that are not verified get beyond the bytes of their requests: its
sum, what it counts, and what stands in the place of a long response.
"""

from coap import Resource
from coap.access import OPEN, Access
from coap.blockwise import Blockwise
from coap.codec import FIELD_USED
from coap.counters import COUNT_SHORTENED
from coap.echo import Echo
from coap.link_format import WellKnownCore
from coap.multicast import Multicast
from coap.node import Node
from coap.numbers import (
    ACK,
    BAD_REQUEST,
    CHANGED,
    CLOCK_MASK,
    CON,
    CONTENT,
    CREATED,
    GET,
    NON,
    POST,
    PUT,
    SERVICE_UNAVAILABLE,
    UNAUTHORIZED,
)
from coap.observe import Observe
from coap.resource import SEPARATE, CoapError
from support import cases
from support.engine import answer, ask, decode, due, encode, request
from support.features import (
    ACCEPT,
    BLOCK2,
    ECHO,
    Value,
    block,
    notice,
    option,
    plain,
    register,
    seeded,
    text,
    verify,
)
from support.forged_messages import target
from support.oscore_peer import End

START_MS = 500000
BUDGET_BYTES = 8192
BUDGET_MS = 10000
SAFE_BYTES = 136
FACTOR = 3
LONG = 500
LOCATION_PATH = 8


class Ways(Resource):
    """A long response in each way that a handler can give it."""

    observable = True
    content_formats = (0, 50)
    executed = 0

    def __init__(self, way):
        super().__init__()
        self.way = way

    def get(self, request, response):
        body = text(LONG)
        if self.way == "bytes":
            return body
        if self.way == "str":
            return body.decode()
        if self.way == "error":
            raise CoapError(BAD_REQUEST, body)
        if self.way == "written":
            response.write(body)
        elif self.way == "pieces":
            for i in range(0, LONG, 10):
                response.write(body, i, 10)
        elif self.way == "part":
            response.etag = b"same"
            response.part(body[response.offset : response.offset + response.wanted], LONG)
        elif self.way == "location":
            response.location(*[body[i : i + 50] for i in range(0, 200, 50)])
            response.code = CONTENT
            response.write(body)
        return None

    def post(self, request, response):
        self.executed += 1
        return self.get(request, response)


BODIES = ("bytes", "str", "written", "pieces", "part")


def serving(*features, amplification_bytes=0, **settings):
    """A node whose budget is used up from the start, unless it gets another."""
    features = features or (Echo(), Observe(), Blockwise(), Multicast(), WellKnownCore())
    node = seeded(*features, amplification_bytes=amplification_bytes, **settings)
    for way in BODIES + ("error", "location"):
        node.add(way, Ways(way))
    node.v = node.add("v", Value(text(LONG)))
    return node


def beyond(datagram, data):
    """The bytes of a response that count."""
    return max(0, len(data) - max(FACTOR * len(datagram), SAFE_BYTES))


# The sum


def spent(node, start_ms, end_ms, step_ms=50, path="v"):
    """The bytes beyond that a flood from ever new addresses gets."""
    total = 0
    for now_ms in range(start_ms, end_ms, step_ms):
        datagram = request(GET, path)
        data = answer(node, datagram, "victim {}".format(now_ms), now_ms & CLOCK_MASK)
        total += beyond(datagram, data)
    return total


@cases(0, START_MS, CLOCK_MASK - 4000)
def test_the_budget_is_for_10_s_and_for_all_together(start_ms):
    node = serving(amplification_bytes=BUDGET_BYTES)
    first = spent(node, start_ms, start_ms + BUDGET_MS)
    assert BUDGET_BYTES <= first <= BUDGET_BYTES + LONG
    assert spent(node, start_ms + BUDGET_MS, start_ms + 2 * BUDGET_MS) <= BUDGET_BYTES + LONG
    assert node.counters[COUNT_SHORTENED] > 300


def test_the_default_is_8_KB():
    node = seeded(Blockwise())
    node.add("v", Value(text(1000)))
    assert BUDGET_BYTES <= spent(node, 0, BUDGET_MS) <= BUDGET_BYTES + 1000


def test_no_budget_is_no_limit():
    node = serving(amplification_bytes=None)
    assert spent(node, 0, BUDGET_MS) > 200 * (LONG - SAFE_BYTES)
    assert node.counters[COUNT_SHORTENED] == 0


def test_small_responses_are_not_counted():
    node = serving(amplification_bytes=1)
    node.add("small", Value(text(64)))
    for _ in range(100):
        message = plain(node, "small")
        assert message.payload == text(64) and message.all(BLOCK2) == []
    assert len(plain(node).payload) == LONG, "the budget is not used yet"
    assert len(plain(node).payload) == 64


def test_a_response_to_a_long_request_is_not_counted():
    node = serving(amplification_bytes=1)
    node.add("mirror", Value(text(600))).handlers[POST] = lambda request, response: text(600)
    for _ in range(10):
        message = ask(node, request(POST, "mirror", payload=text(200)))
        assert message.payload == text(600)
    assert len(plain(node).payload) == LONG


# What counts, and what comes instead


@cases(*BODIES)
def test_a_body_goes_in_short_blocks(way):
    node = serving()
    body = b""
    options = []
    while True:
        datagram = request(GET, way, options=options)
        message = decode(answer(node, datagram))
        body += message.payload
        if not message.uint(BLOCK2) & 8:
            break
        assert len(message.payload) == 64 and beyond(datagram, answer(node, datagram)) == 0
        options = [block(BLOCK2, len(body) >> 6, 0, 2)]
    assert body == text(LONG)


@cases(*BODIES)
def test_with_accept_too(way):
    node = serving()
    datagram = request(GET, way, options=[option(ACCEPT, 50)])
    data = answer(node, datagram)
    assert beyond(datagram, data) == 0 and decode(data).uint(BLOCK2) == 8 | 2


@cases(*BODIES)
def test_a_transfer_under_way_goes_on_in_short_blocks(way):
    node = serving(amplification_bytes=1)
    first = plain(node, way, options=[block(BLOCK2, 0, 0, 4)])
    assert len(first.payload) == 256
    body = first.payload
    options = [block(BLOCK2, 1, 0, 4)]
    while True:
        message = plain(node, way, options=options)
        assert message.uint(BLOCK2) >> 4 == len(body) >> 6
        body += message.payload
        if not message.uint(BLOCK2) & 8:
            break
        options = [block(BLOCK2, len(body) >> 6, 0, 2)]
    assert body == text(LONG)


@cases(0, 1, 2, 3, 4, 5, 6)
def test_no_larger_block_than_one_of_64_bytes(szx):
    message = plain(serving(), options=[block(BLOCK2, 0, 0, szx)])
    assert len(message.payload) == min(64, 16 << szx)


@cases("bytes", "written", "pieces")
def test_a_long_response_to_a_post_is_short_and_it_is_executed_once(way):
    node = serving()
    resource = node.resource_at(way)
    for options in ([], [block(BLOCK2, 0, 0, 6)]):
        resource.executed = 0
        message = ask(node, request(POST, way, options=options))
        body = message.payload
        while message.uint(BLOCK2) & 8:
            assert len(message.payload) == 64
            options = [block(BLOCK2, len(body) >> 6, 0, 2)]
            message = ask(node, request(POST, way, options=options))
            body += message.payload
        assert body == text(LONG) and resource.executed == 1


def test_a_cached_response_is_repeated_without_its_payload():
    node = serving(Echo(), cached_response_bytes=600, amplification_bytes=300)
    datagram = request(POST, "bytes")
    assert decode(answer(node, datagram)).payload == text(LONG)
    message = decode(answer(node, datagram))
    assert (message.code, message.payload, message.options) == (CHANGED, b"", [])
    assert message.token == decode(datagram).token


def test_a_diagnostic_payload_is_left_out():
    node = serving()
    for code in (GET, POST):
        message = ask(node, request(code, "error"))
        assert (message.code, message.payload) == (BAD_REQUEST, b"")


def test_options_that_are_too_long_are_left_out():
    node = serving()
    message = ask(node, request(POST, "location"))
    assert message.code == CONTENT and message.all(LOCATION_PATH) == []
    node.resource_at("location").handlers[PUT] = _created
    message = ask(node, request(PUT, "location"))
    assert message.code == CREATED and len(message.all(LOCATION_PATH)) == 4


def _created(request, response):
    response.location("a", "b", "c", "d")


@cases("bytes", "written")
def test_without_blocks_the_client_has_to_return_an_echo(way):
    node = serving(Echo())
    datagram = request(GET, way)
    message = ask(node, datagram, "client", START_MS)
    assert (message.kind, message.code, message.payload) == (ACK, UNAUTHORIZED, b"")
    again = request(GET, way, options=[(ECHO, message.all(ECHO)[0])])
    assert ask(node, again, "client", START_MS + 10).payload == text(LONG)
    assert ask(node, request(GET, way), "client", START_MS + 20).payload == text(LONG)
    assert ask(node, again, "another", START_MS + 30).code == UNAUTHORIZED


def test_without_blocks_and_echo_it_is_5_03():
    node = serving(WellKnownCore())
    assert plain(node, "bytes").code == SERVICE_UNAVAILABLE


def test_a_non_is_short_too():
    datagram = request(GET, "bytes", NON)
    data = answer(serving(), datagram)
    assert beyond(datagram, data) == 0 and decode(data).uint(BLOCK2) == 8 | 2


# Notifications and the group


def test_a_notification_is_short():
    node = serving()
    register(node)
    for body in (text(300), text(400)):
        message = notice(node, node.v, body, kind=CON)
        assert len(message.payload) == 64 and message.uint(BLOCK2) == 8 | 2
        assert node.messaging.open_count == 1
        ask(node, encode(3, 0, message.mid))
        register(node)


def test_many_notifications_share_the_budget():
    node = serving(Observe(slots=8), Blockwise(), amplification_bytes=1000, exchanges=8)
    for i in range(8):
        register(node, peer="victim {}".format(i))
    node.v.become(text(LONG, 1))
    sizes = [len(message.payload) for _, message in due(node, START_MS)]
    assert len(sizes) == 8 and sum(sizes) <= 3 * LONG + 5 * 64


def test_what_a_verified_observer_gets_is_not_passed_on_to_others():
    node = serving(Observe(slots=4), Blockwise())
    node.v.confirmable = False
    for peer in ("known", "stranger", "known too", "another"):
        register(node, peer=peer)
    verify(node, "known")
    verify(node, "known too")
    for size in (LONG, 400):
        node.v.become(text(size))
        for peer, message in due(node, START_MS):
            assert len(message.payload) == (size if "known" in peer else 64), peer


@cases("bytes", ".well-known/core")
def test_a_response_to_a_group_request_is_short(path):
    node = serving()
    for i in range(20):
        node.add("more/{}".format(i), Value())
    datagram = request(GET, path, NON)
    node.group.arrive(datagram, len(datagram), "victim", START_MS)
    sent = due(node, START_MS + 6000)
    assert [peer for peer, _ in sent] == ["victim"]
    assert len(sent[0][1].payload) == 64 and sent[0][1].uint(BLOCK2) & 8


# Separate responses


class Deferred(Resource):
    """Keeps its requests for separate responses."""

    def __init__(self):
        super().__init__()
        self.handles = []

    def get(self, request, response):
        self.handles.append(request.defer())
        return SEPARATE

    post = get


def deferring(*features, **settings):
    node = serving(*(features or (Echo(), Blockwise())), **settings)
    node.later = node.add("later", Deferred())
    return node


def separate(node, options=(), kind=CON, code=GET, now_ms=START_MS):
    """The separate response to a request, which is acknowledged."""
    ask(node, request(code, "later", kind, options=options), "peer", now_ms)
    assert node.respond(node.later.handles.pop(), text(LONG), 0)
    ((_, message),) = due(node, now_ms)
    if message.kind == CON:
        ask(node, encode(3, 0, message.mid), "peer", now_ms)  # an ACK would verify the peer
    return message


@cases(CON, NON)
def test_a_separate_response_goes_in_short_blocks(kind):
    node = deferring()
    message = separate(node, (), kind)
    body = b""
    while True:
        body += message.payload
        assert len(message.payload) <= 64 and message.uint(BLOCK2) & 7 == 2
        if not message.uint(BLOCK2) & 8:
            break
        message = separate(node, [block(BLOCK2, len(body) >> 6, 0, 2)], kind)
    assert body == text(LONG)


def test_a_later_block_of_a_separate_response_is_short():
    message = separate(deferring(), [block(BLOCK2, 1, 0, 4)])
    assert message.payload == text(LONG)[256:320] and message.uint(BLOCK2) == 4 << 4 | 8 | 2


def test_what_can_not_go_in_blocks_has_no_payload():
    message = separate(deferring(), code=POST)
    assert (message.code, message.payload) == (CHANGED, b"")
    message = separate(deferring(Echo()))
    assert (message.code, message.payload) == (SERVICE_UNAVAILABLE, b"")


def test_retransmissions_count_and_a_short_one_is_a_new_message():
    node = deferring(amplification_bytes=500)
    ask(node, request(GET, "later"), "peer", START_MS)
    node.respond(node.later.handles.pop(), text(LONG), 0)
    sent = []
    for now_ms in range(START_MS, START_MS + 9000, 100):
        sent += [message for _, message in due(node, now_ms)]
    assert [len(message.payload) for message in sent] == [LONG, LONG, 64]
    assert sent[0].mid == sent[1].mid != sent[2].mid
    assert sent[2].uint(BLOCK2) == 8 | 2


def test_a_verified_peer_gets_a_whole_separate_response():
    node = deferring()
    verify(node, "peer", START_MS)
    message = separate(node)
    assert message.payload == text(LONG) and message.all(BLOCK2) == []
    assert node.builder.fields[FIELD_USED] == 0


# Who is not counted


def test_a_verified_peer_gets_all():
    node = serving()
    verify(node)
    message = plain(node)
    assert message.payload == text(LONG) and message.all(BLOCK2) == []
    assert len(plain(node, peer="stranger").payload) == 64
    assert plain(node).payload == text(LONG)
    assert node.builder.fields[FIELD_USED] == 0


def test_whoever_acknowledges_is_verified():
    node = serving()
    register(node)
    message = notice(node, node.v, text(300), kind=CON)
    assert len(plain(node).payload) == 64
    assert ask(node, encode(ACK, 0, message.mid)) is None
    assert len(plain(node).payload) == 300


def test_a_serial_line_gets_all():
    node = serving(Access(OPEN), Blockwise())
    node.access.line = "line"
    assert plain(node, peer="line").payload == text(LONG)


def test_a_peer_under_oscore_gets_all():
    node, end = target(amplification_bytes=0), End(b"\x02", b"\x01")
    node.add("v", Value(text(LONG)))
    assert len(plain(node).payload) == 64
    message = ask(node, end.request(request(GET, "v")), "peer", START_MS)
    assert end.inner(message).payload == text(LONG)


def test_changed_state_does_not_join_blocks():
    node = serving()
    first = plain(node)
    node.v.become(text(LONG, 9))
    second = plain(node, options=[block(BLOCK2, 1, 0, 2)])
    assert first.all(4) != second.all(4)
    assert ask(node, request(PUT, "v", payload=b"1")).code == CHANGED


def test_a_message_shorter_than_a_short_one():
    node = Node(Blockwise(), max_payload=32, amplification_bytes=0)
    node.add("v", Value(text(LONG)))
    assert len(plain(node).payload) == 32
