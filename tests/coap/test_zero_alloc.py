"""Nothing is allocated between a request and its response, once warm.

Three measures, because each one alone is blind to something: with the heap locked an allocation is
a MemoryError; `allocated` counts the bytes allocated, frames of large functions included;
`retained` counts those that remain in use.
"""

from coap import Resource
from coap.codec import new_index, parse, write_content, write_empty
from coap.node import Node
from coap.numbers import ACK, CBOR, CON, CONTENT, DELETE, GET, JSON, NON, POST, PUT, RST
from coap.resource import route_table
from support import allocated, cases, locked, only, retained
from support.engine import encode, request, uint


class Value(Resource):
    """A resource of all that does not allocate."""

    content_formats = (0, 50, 60)
    max_age_s = 300
    etag = b"v1"

    def __init__(self):
        super().__init__()
        self.value = -1234

    def get(self, request, reply):
        return reply.number(self.value, 2)

    def put(self, request, reply):
        self.value = request.payload_length

    def post(self, request, reply):
        reply.write(b"one ")
        reply.write(b"two")
        reply.max_age_s = 5

    def delete(self, request, reply):
        reply.boolean(self.value > 0)


def serving(**settings):
    node = Node(**settings)
    node.get("plain")(lambda request, reply: b"open")
    node.get("coded")(lambda request, reply: 0x86)
    node.put("only-put")(lambda request, reply: None)
    node.add("a/longer/path", Value())
    gone = node.add("gone", Value())
    gone.exists = False
    gone.changed()
    return node


def turn(node, data, peer="peer"):
    """A function that hands the datagram to the node, each time with another MID."""
    data = bytearray(data)

    def once():
        data[3] = data[3] + 1 & 255
        if not data[3]:
            data[2] = data[2] + 1 & 255
        n = node.datagram(data, len(data), peer, 1000)
        if n:
            node.tx_view(n)

    return once


def hand(node, data, peer="peer"):
    n = node.datagram(data, len(data), peer, 1000)
    if n:
        node.tx_view(n)


def same(node, data):
    """A function that hands the very same datagram to the node."""
    return lambda: hand(node, data)


def check(once):
    for _ in range(40):  # until all memory of peers, requests and lengths is taken
        once()
    locked(once)
    assert allocated(once, 10) == 0
    assert retained(once, 10) == 0


REQUESTS = (
    ("get", request(GET, "plain")),
    ("get-non", request(GET, "plain", NON)),
    ("get-with-host", request(GET, "plain", options=[(3, b"mote"), (7, b"\x16\x33")])),
    ("get-with-query", request(GET, "plain", options=[(15, b"a=1")])),
    ("number", request(GET, "a/longer/path")),
    ("number-json", request(GET, "a/longer/path", options=[(17, uint(JSON))])),
    ("number-cbor", request(GET, "a/longer/path", options=[(17, uint(CBOR))])),
    ("number-cbor-non", request(GET, "a/longer/path", NON, options=[(17, uint(CBOR))])),
    ("valid", request(GET, "a/longer/path", options=[(4, b"v0"), (4, b"v1")])),
    ("put", request(PUT, "a/longer/path", payload=b"12345")),
    ("put-non", request(PUT, "a/longer/path", NON, payload=b"12345")),
    ("put-with-format", request(PUT, "a/longer/path", options=[(12, b"")], payload=b"1")),
    ("put-if-match", request(PUT, "a/longer/path", options=[(1, b"v1")], payload=b"1")),
    ("pieces", request(POST, "a/longer/path")),
    ("boolean", request(DELETE, "a/longer/path")),
    ("code", request(GET, "coded")),
    ("not-found", request(GET, "nowhere/at/all")),
    ("not-found-non", request(PUT, "nowhere/at/all", NON)),
    ("not-there", request(GET, "gone")),
    ("not-allowed", request(GET, "only-put")),
    ("not-allowed-put", request(PUT, "plain")),
    ("not-acceptable", request(GET, "plain", options=[(17, uint(JSON))])),
    ("precondition", request(PUT, "a/longer/path", options=[(1, b"v0")])),
    ("bad-option", request(GET, "plain", options=[(65, b"")])),
    ("bad-option-non", request(PUT, "plain", NON, options=[(65, b"")])),
    ("proxy", request(GET, "plain", options=[(39, b"coap")])),
    ("too-long", request(PUT, "a/longer/path", payload=bytes(1200))),
    ("odd-method", request(31, "plain")),
    ("ping", encode(CON, 0, 1)),
    ("malformed", encode(CON, GET, 1) + b"\xf0"),
    ("malformed-non", encode(NON, GET, 1) + b"\xf0"),
    ("short", b"\x40\x01\x00\x01"[:3] + b""),
    ("ack", encode(ACK, 0, 1)),
    ("rst", encode(RST, 0, 1)),
    ("response", encode(CON, CONTENT, 1)),
)


@cases(*REQUESTS)
@only("micropython")
def test_requests(name, data):
    node = serving()
    check(same(node, data) if len(data) < 4 else turn(node, data))


@cases(*[row for row in REQUESTS if row[0].split("-")[0] in ("put", "pieces", "not", "too")])
@only("micropython")
def test_duplicates(name, data):
    check(same(serving(), data))


@only("micropython")
def test_the_answers_are_right_as_well():
    # or nothing would be easy not to allocate
    codes = {}
    for name, data in REQUESTS:
        node = serving()
        n = node.datagram(data, len(data), "peer", 0)
        codes[name] = (node.tx[0] >> 4 & 3, node.tx[1]) if n else None
    assert codes["get"] == codes["number-cbor"] == (ACK, 0x45)
    assert codes["get-non"] == (NON, 0x45)
    assert codes["valid"] == (ACK, 0x43)
    assert codes["put"] == codes["put-if-match"] == codes["pieces"] == (ACK, 0x44)
    assert codes["boolean"] == (ACK, 0x42)
    assert codes["not-found"] == codes["not-there"] == (ACK, 0x84)
    assert codes["not-allowed"] == (ACK, 0x85)
    assert codes["precondition"] == (ACK, 0x8C)
    assert codes["bad-option"] == (ACK, 0x82)
    assert codes["too-long"] == (ACK, 0x8D)
    assert codes["ping"] == codes["malformed"] == codes["response"] == (RST, 0)
    for name in ("bad-option-non", "malformed-non", "short", "ack", "rst"):
        assert codes[name] is None


@only("micropython")
def test_peers_that_come_and_go():
    node = serving(peers=8)
    peers = [("10.0.0.1", port) for port in range(40)]
    data = request(PUT, "a/longer/path", payload=b"x")
    at = [0]

    def once():
        at[0] = (at[0] + 1) % 40
        hand(node, data, peers[at[0]])

    check(once)


@only("micropython")
def test_the_first_requests_of_peers():
    # not even while the tables fill up
    node = serving(peers=16)
    peers = [("10.0.0.1", port) for port in range(17)]
    data = request(PUT, "a/longer/path", payload=b"x")
    at = [0]

    def once():
        hand(node, data, peers[at[0]])
        at[0] += 1

    once()
    assert allocated(once, 15) == 0


@only("micropython")
def test_two_tokens_of_two_lengths_by_turns():
    node = serving()
    first = turn(node, request(GET, "plain", token=b""))
    second = turn(node, request(GET, "plain", token=b"12345678"))

    def once():
        first()
        second()

    check(once)


@only("micropython")
def test_nothing_due():
    node = serving()
    node.every(60000, lambda now_ms: None)

    def once():
        node.due(1000)
        node.wait_ms(1000)

    check(once)


@only("micropython")
def test_timers():
    node = serving()
    now_ms = [0]
    ran = [0]

    def count(now_ms):
        ran[0] += 1

    for period_ms in (100, 200, 300):
        node.every(period_ms, count)

    def once():
        now_ms[0] += 50
        while node.due(now_ms[0]):
            pass
        node.wait_ms(now_ms[0])

    check(once)
    assert ran[0] > 20


@only("micropython")
def test_a_change_that_nobody_observes():
    node = serving()
    resource = node.resource_at("a/longer/path")
    check(resource.changed)


@only("micropython")
def test_confirmable_messages():
    node = serving()

    class Owner:
        def transmit(self, slot, mid):
            node.tx[0] = 0x40
            node.tx[1] = 0x45
            node.tx[2] = mid >> 8
            node.tx[3] = mid & 255
            return 4

        def on_exchange_done(self, slot, how):
            pass

    owner = Owner()
    ack = bytearray(b"\x60\x00\x00\x00")

    def once():
        node.messaging.open_exchange(owner, "peer")
        assert node.due(1000) == 4
        ack[2] = node.tx[2]
        ack[3] = node.tx[3]
        node.datagram(ack, 4, "peer", 1000)
        assert node.messaging.open_count == 0

    check(once)


@only("micropython")
def test_what_allocates_is_noticed():
    # the measures themselves, on a handler that does allocate
    node = serving()
    node.get("wasteful")(lambda request, reply: bytes(100))
    once = turn(node, request(GET, "wasteful"))
    once()
    assert allocated(once, 10) >= 1000
    try:
        locked(once)
    except MemoryError:
        return
    # the handler met the MemoryError, and the node made 5.00 of it
    assert node.tx[1] == 0xA0


@only("micropython")
def test_scan_and_reply_alone():
    r = new_index()
    data = request(GET, "plain", options=[(17, b"\x32")])
    tx = bytearray(64)
    routes = route_table([("plain", 0, 0)])

    def once():
        parse(data, len(data), r, routes)
        write_empty(tx, data, r, 0x84, b"text")

    def again():
        write_content(tx, data, r, b"\x00", b"open")

    check(once)
    check(again)


# The applications' own handlers


def application(name):
    import board
    import machine

    from config import Settings

    board.power_on()
    node = Node()
    body = None
    if name == "wearable":
        from apps import wearable as app

        body = board.Body()
    else:
        from apps import door as app
    app.setup(node, board, Settings())
    return node, machine, body


@cases(
    ("door", "s/contact"), ("door", "s/tamper"), ("door", "s/batt"), ("wearable", "s/batt"),
    ("wearable", "s/hr"), ("wearable", "s/spo2"), ("wearable", "s/temp"), ("wearable", "s/steps"),
    ("wearable", "s/accel"),
)  # fmt: skip
@only("micropython")
def test_sensors(app, path):
    node, _machine, body = application(app)
    now_ms = 0
    while now_ms < 20000:
        if body:
            body.light.advance(200)
        now_ms += 200
        while node.due(now_ms):
            pass
    for options in ([], [(17, uint(JSON))], [(17, uint(CBOR))]):
        data = request(GET, path, options=options)
        assert node.datagram(data, len(data), "peer", now_ms)
        assert node.tx[1] == CONTENT, (path, hex(node.tx[1]))
        check(turn(node, data))
