"""OSCORE, the client's side: its requests and observations, and forged or invalid responses."""

from coap.access import SECURED, Access
from coap.client_request import OBSERVING
from coap.echo import Echo
from coap.node import Node
from coap.numbers import *
from coap.oscore.context import Context
from coap.presets import default_extensions
from power.report import Report
from support import cases, raises
from support.client_node import Told
from support.engine import Peer, decode, due, encode, silent
from support.lossy_link import LossyLink
from support.oscore_peer import SALT, SECRET, volatile

HEAP = "2m"
OSCORE = 9


class Memory:
    content = None

    def load(self):
        return self.content

    def save(self, content):
        self.content = bytes(content)


def server_node(flash=None):
    context = Context(SECRET, b"\x01", b"\x02", SALT)
    node = Node(*default_extensions(), Access(SECURED), volatile([context], flash))
    node.seed(b"server-entropy")
    node.state = b"open"
    node.taken = []
    node.get("s", observable=True)(lambda request, reply: node.state)
    node.get("long", etag=b"1")(lambda request, reply: bytes(range(256)) * 8)

    @node.put("s")
    def put(request, reply):
        node.taken.append(request.payload_bytes())
        node.state = node.taken[-1]
        node.resource_at("s").changed()

    return node


def client_node(flash=None, extra=()):
    context = Context(SECRET, b"\x02", b"\x01", SALT)
    oscore = volatile([context], flash)
    node = Node(*default_extensions(requests=3), oscore, *extra, nstart=2)
    node.seed(b"client-entropy")
    oscore.bind("server", context)
    return node


def pair(server=None, client=None, **wire):
    wire = LossyLink(**wire)
    wire.join("server", server or server_node())
    wire.join("client", client or client_node())
    told = Told()
    return wire, wire.ends["server"], wire.ends["client"], told


def is_hidden(wire, *secrets):
    """Return True if none of these bytes appears on the wire."""
    return not any(secret in datagram for _, _, _, datagram in wire.log for secret in secrets)


def test_get_and_put():
    wire, server, client, told = pair()
    client.client.get("server", "s", told)
    wire.run(1000)
    assert told.only == ("2.05", b"open", True)
    client.client.put("server", "s", b"closed-by-us", told)
    wire.run(1000)
    assert told.all[-1] == ("2.04", b"", True) and server.taken == [b"closed-by-us"]
    assert is_hidden(wire, b"open", b"closed-by-us", b"\xb1s")
    assert all(decode(datagram).all(OSCORE) for _, _, _, datagram in wire.log)


def test_a_non():
    wire, server, client, told = pair()
    client.client.put("server", "s", b"1", told).confirmable = False
    wire.run(1000)
    assert told.only == ("2.04", b"", True) and server.taken == [b"1"]


def test_requests_to_other_peers_are_plain():
    wire, server, client, told = pair()
    wire.join("other", Peer(wire, silent))
    client.client.get("other", "s", told)
    wire.run(10)
    assert decode(wire.log[0][3]).code == GET and not decode(wire.log[0][3]).all(OSCORE)


def test_blocks_both_ways():
    wire, server, client, told = pair()
    call = client.client.get("server", "long", told)
    call.into = bytearray(2048)
    wire.run(5000)
    assert told.only == ("2.05", bytes(range(256)) * 8, True)
    long = bytes(range(250)) * 6
    client.client.put("server", "s", long, told)
    wire.run(5000)
    assert told.all[-1] == ("2.04", b"", True) and server.taken == [long]


def test_a_retransmission_is_the_same_to_the_byte():
    wire, server, client, told = pair()
    client.client.put("server", "s", b"1", told)
    first = bytes(client.tx_view(client.due(0)))
    second = bytes(client.tx_view(client.due(5000)))
    assert first == second


def test_a_changed_payload_takes_another_sequence_number():
    wire, server, client, told = pair()
    payload = bytearray(b"first")
    client.client.put("server", "s", payload, told)
    first = decode(client.tx_view(client.due(0)))
    payload[:] = b"other"
    second = decode(client.tx_view(client.due(5000)))
    assert first.mid == second.mid
    assert first.all(OSCORE) != second.all(OSCORE), "one nonce for two texts"


@cases(1, 2, 3)
def test_over_a_lossy_link_each_request_is_executed_once(seed):
    wire, server, client, told = pair(loss_pct=30, duplicate_pct=20, delay_ms=(5, 900), seed=seed)
    for i in range(12):
        call = client.client.put("server", "s", b"value-%d" % i, told)
        call.timeout_ms = 0
        wire.run(100000)
    assert len(told.all) == 12
    good = [one for one in told.all if one[0] == "2.04"]
    assert len(good) >= 10
    assert len(server.taken) == len(set(server.taken)) >= len(good)
    assert is_hidden(wire, b"value-")


def test_observe():
    wire, server, client, told = pair()
    call = client.client.observe("server", "s", told)
    wire.run(1000)
    for value in (b"one", b"two", b"three"):
        server.state = value
        server.resource_at("s").changed()
        wire.run(1000)
    assert [payload for _, payload, _ in told.all] == [b"open", b"one", b"two", b"three"]
    # a notification that was received before is rejected, however old
    old = [data for _, sender, _, data in wire.log if sender == "server" and len(data) > 4][1:]
    assert len(old) == 3
    for data in old[2], old[0], old[1]:
        # another MID, so that the message layer does not know it
        for mid in (decode(data).mid, 0x6000):
            wire.send(
                "server",
                "client",
                bytes((data[0] | 0x10, data[1], mid >> 8, mid & 255)) + data[4:],
            )
            wire.run(100)
    for data in old:
        repeated = separately(data, 0x6001)
        n = client.datagram(repeated, len(repeated), "server", wire.now_ms)
        assert client.tx_view(n) == encode(ACK, 0, 0x6001), "else it is sent again and again"
    assert len(told.all) == 4
    wire.run(300000)
    told.all.clear()
    for data in old:
        wire.send("server", "client", data)
        wire.run(100)
    assert told.all == []
    client.client.cancel(call)
    wire.run(1000)
    server.resource_at("s").changed()
    wire.run(1000)
    assert told.all == [] and client.client.active_count == 0
    assert is_hidden(wire, b"three")


@cases(CON, NON)
def test_a_plain_error_does_not_end_an_observation(kind):
    """Who is on the way sees the token, and could say so at any time (section 8.4.2)."""
    wire, server, client, told = pair()
    client.client.observe("server", "s", told)
    wire.run(1000)
    token = decode(wire.log[-1][3]).token
    data = encode(kind, UNAUTHORIZED, 0x7777, token, (), b"Security context not found")
    assert client.datagram(data, len(data), "server", wire.now_ms) == 0
    server.state = b"closed"
    server.resource_at("s").changed()
    wire.run(1000)
    assert [payload for _, payload, _ in told.all] == [b"open", b"closed"]


def test_a_plain_error_while_a_notification_is_fetched():
    wire, server, client, told = pair()
    call = client.client.observe("server", "s", told)
    call.into = bytearray(2000)
    server.state = bytes(1500)
    wire.run(5000)
    watch = bytes(call.observe_token)
    server.state = b"x" * 1400
    server.resource_at("s").changed()
    while call.state == OBSERVING:
        wire.run(1)
    data = encode(NON, UNAUTHORIZED, 0x7777, watch)
    client.datagram(data, len(data), "server", wire.now_ms)
    wire.run(5000)
    assert [payload for _, payload, _ in told.all] == [bytes(1500), b"x" * 1400]


def test_a_plain_error_to_a_renewed_observation_is_delivered():
    wire, server, client, told = pair()
    client.client.observe("server", "s", told)
    wire.run(1000)
    wire.join("server", Node())  # it has lost its keys
    wire.run(100000)
    assert told.all[-1] == ("not under OSCORE", b"", True)


def test_observe_long_values():
    wire, server, client, told = pair()
    call = client.client.observe("server", "s", told)
    call.into = bytearray(2000)
    server.state = bytes(1500)
    wire.run(5000)
    server.state = b"x" * 1400
    server.resource_at("s").changed()
    wire.run(5000)
    assert [payload for _, payload, _ in told.all] == [bytes(1500), b"x" * 1400]


def test_a_separate_response():
    from coap import SEPARATE

    wire, server, client, told = pair()
    tickets = []

    @server.get("later")
    def later(request, reply):
        tickets.append(request.defer())
        return SEPARATE

    client.client.get("server", "later", told)
    wire.run(5000)
    server.respond(tickets[0], b"at last")
    wire.run(5000)
    assert told.only == ("2.05", b"at last", True)
    assert is_hidden(wire, b"at last") and server.separate.open_count == 0


def asked():
    """Return a client that waits for a response, its request, and the record of responses."""
    client, told = client_node(), Told()
    client.client.get("server", "s", told)
    ((_, message),) = due(client, 0)
    return client, message, told


def whole(message):
    return encode(CON, message.code, message.mid, message.token, message.options, message.payload)


def give(client, message, code, options=(), payload=b"", kind=ACK, now_ms=100):
    mid = message.mid if kind == ACK else 0x7777
    data = encode(kind, code, mid, message.token, options, payload)
    return client.datagram(data, len(data), "server", now_ms)


@cases(ACK, CON, NON)
def test_a_plain_response_is_ignored(kind):
    client, message, told = asked()
    give(client, message, CONTENT, payload=b"lie", kind=kind)
    assert told.all == [] and client.client.active_count == 1


@cases(BAD_REQUEST, UNAUTHORIZED, BAD_OPTION)
def test_a_plain_error_fails_the_request(code):
    client, message, told = asked()
    give(client, message, code, payload=b"Security context not found")
    assert told.only == ("not under OSCORE", b"", True)
    client, message, told = asked()
    n = give(client, message, code, kind=CON)
    assert client.tx_view(n) == encode(ACK, 0, 0x7777), "else it is sent again and again"


@cases(b"", b"\x01\x00", b"\x00", b"\x09\x00\x01", b"\xff")
def test_a_forged_response_is_ignored(value):
    client, message, told = asked()
    for payload in (b"", bytes(8), bytes(20)):
        give(client, message, CHANGED, [(OSCORE, value)], payload)
        assert told.all == [] and client.client.active_count == 1


def test_a_response_to_another_request_is_ignored():
    wire, server, client, told = pair()
    client.client.get("server", "s", told)
    n = client.due(0)
    first = bytes(client.tx_view(n))
    answer = bytes(server.tx_view(server.datagram(first, n, "client", 0)))
    client.datagram(answer, len(answer), "server", 10)
    assert told.only[0] == "2.05"
    client.client.get("server", "s", told)
    ((_, second),) = due(client, 100)
    old = decode(answer)
    give(client, second, old.code, old.options, old.payload)
    assert len(told.all) == 1, "an answer of before under the new token"


def test_every_flipped_bit_of_a_response():
    wire, server, client, told = pair()
    client.client.get("server", "s", told)
    n = client.due(0)
    answer = bytearray(server.tx_view(server.datagram(bytes(client.tx_view(n)), n, "client", 0)))
    head = 8
    for bit in range(8 * head, 8 * len(answer)):
        answer[bit >> 3] ^= 1 << (bit & 7)
        client.datagram(bytes(answer), len(answer), "server", 10)
        answer[bit >> 3] ^= 1 << (bit & 7)
        assert told.all == [], bit
    client.datagram(bytes(answer), len(answer), "server", 10)
    assert told.only == ("2.05", b"open", True)


def test_the_servers_echo_is_returned():
    flash = Memory()
    server_node(flash)
    wire, server, client, told = pair(server=server_node(flash))
    client.client.put("server", "s", b"1", told)
    wire.run(5000)
    assert told.only == ("2.04", b"", True) and server.taken == [b"1"]
    client.client.put("server", "s", b"2", told)
    before = len(wire.log)
    wire.run(5000)
    assert server.taken == [b"1", b"2"] and len(wire.log) == before + 2


def separately(answer, mid):
    """Return a piggybacked response as a separate confirmable one."""
    return bytes((answer[0] & 0xCF, answer[1], mid >> 8, mid & 0xFF)) + answer[4:]


def test_a_separate_challenge_is_acknowledged_and_returned_once():
    flash = Memory()
    server_node(flash)
    server, (client, message, told) = server_node(flash), asked()
    request = whole(message)
    n = server.datagram(request, len(request), "client", 0)
    challenge = separately(bytes(server.tx_view(n)), 0x1234)
    for _ in range(2):
        n = client.datagram(challenge, len(challenge), "server", 10)
        assert client.tx_view(n) == encode(ACK, 0, 0x1234)
    ((_, again),) = due(client, 20)
    assert again.token != message.token
    request = whole(again)
    n = server.datagram(request, len(request), "client", 20)
    answer = bytes(server.tx_view(n))
    client.datagram(answer, len(answer), "server", 30)
    assert told.only == ("2.05", b"open", True)


def test_a_resource_with_echo_of_its_own():
    wire, server, client, told = pair()
    fresh = Node(
        *default_extensions(),
        Echo(),
        Access(SECURED),
        volatile([Context(SECRET, b"\x01", b"\x02", SALT)]),
    )
    fresh.seed(b"entropy!")
    fresh.put("lock", echo=True)(lambda request, reply: None)
    wire.join("server", fresh)
    client.client.put("server", "lock", b"1", told)
    wire.run(5000)
    assert told.only[0] == "2.04"


def test_a_second_echo_challenge_is_delivered():
    wire, server, client, told = pair()
    server.put("never")(lambda request, reply: setattr(reply, "code", UNAUTHORIZED))
    client.client.put("server", "never", b"", told)
    wire.run(5000)
    assert told.only[0] == "4.01"


def test_reports_are_protected():
    report = Report("server", "door-1")
    wire, server, client, told = pair(client=client_node(extra=(report,)))
    packs = []
    server.post("r/door-1")(lambda request, reply: packs.append(request.payload_bytes()))
    report.send(b"\x81\xa1\x00\x01pack")
    wire.run(5000)
    assert report.released and packs == [b"\x81\xa1\x00\x01pack"] and is_hidden(wire, b"pack")


def test_bind_refuses_an_unknown_context():
    client = client_node()
    raises(ValueError, client.oscore.bind, "other", Context(SECRET, b"\x05", b"\x06"))


def test_a_peer_may_be_any_address():
    client = client_node()
    first, second = [Context(SECRET, bytes((i,)), b"\x01") for i in (7, 8)]
    client.oscore.contexts += [first, second]
    client.oscore.bind(bytearray(b"\x02\x00\x16\x33"), first)
    assert client.oscore.context_of(bytearray(b"\x02\x00\x16\x33")) is first
    client.oscore.bind(bytearray(b"\x02\x00\x16\x33"), second)
    assert client.oscore.context_of(b"\x02\x00\x16\x33") is second
    assert client.oscore.context_of("server").sender_id == b"\x02"
    assert client.oscore.context_of("other") is None and len(client.oscore.peers) == 2


def test_without_sequence_numbers_the_request_fails():
    class Full(Memory):
        def save(self, content):
            if self.content is not None:
                raise OSError(28)
            self.content = bytes(content)

    wire, server, client, told = pair(client=client_node(Full()))
    client.log = lambda error: None
    client.client.get("server", "s", told)
    wire.run(1000)
    assert told.only[0] == "not under OSCORE" and wire.log == []
    assert client.client.active_count == 0
