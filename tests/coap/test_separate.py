"""Separate responses (RFC 7252 section 5.2.2), in virtual time."""

from coap import SEPARATE, CoapError
from coap.blockwise import Blockwise
from coap.client import Client
from coap.counters import COUNT_DUPLICATES, COUNT_GIVEN_UP, COUNT_HANDLER_ERRORS, COUNT_REFUSED
from coap.node import Node
from coap.numbers import (
    ACK,
    CHANGED,
    CON,
    CONTENT,
    DELETE,
    DELETED,
    FETCH,
    GET,
    INTERNAL_SERVER_ERROR,
    NON,
    POST,
    PUT,
    RST,
    SERVICE_UNAVAILABLE,
)
from support import cases, only
from support.engine import Peer, answer, ask, due, encode, reject, request, silent, uint
from support.features import BLOCK2, ETAG, block, text
from support.lossy_link import LossyLink


def promising(**settings):
    """Return a node whose /slow defers its response, and the list of its handles."""
    node = Node(**settings)
    tickets = []

    def slow(request, reply):
        tickets.append(request.defer())
        return SEPARATE

    for method in (node.get, node.put, node.post, node.delete, node.fetch):
        method("slow")(slow)
    return node, tickets


def on_a_wire(reply=None, **settings):
    node, tickets = promising(**settings)
    wire = LossyLink()
    wire.join("node", node)
    return wire, node, tickets, wire.join("client", Peer(wire, reply))


def test_empty_ack_then_a_confirmable_response():
    wire, node, tickets, client = on_a_wire()
    wire.send("client", "node", request(GET, "slow", mid=0x1234, token=b"tok"))
    wire.run(5000)
    assert len(client.got) == 1
    message = client.got[0][1]
    assert (message.kind, message.code, message.mid) == (ACK, 0, 0x1234)
    assert (message.token, message.options, message.payload) == (b"", [], b"")
    assert node.respond(tickets[0], b"at last") is True
    wire.run(200000)
    assert len(client.got) == 2  # it was acknowledged
    message = client.got[1][1]
    assert (message.kind, message.code, message.token) == (CON, CONTENT, b"tok")
    assert (message.options, message.payload) == ([(12, b"")], b"at last")
    assert node.separate.open_count == 0 and node.messaging.open_count == 0


def test_a_non_request_gets_a_non_response():
    wire, node, tickets, client = on_a_wire()
    wire.send("client", "node", request(GET, "slow", NON, 0x1234, b"tok"))
    wire.run(5000)
    assert client.got == []
    node.respond(tickets[0], b"at last")
    wire.run(200000)
    assert len(client.got) == 1
    message = client.got[0][1]
    assert (message.kind, message.code, message.token) == (NON, CONTENT, b"tok")
    assert message.mid != 0x1234
    assert node.separate.open_count == 0


def test_a_response_given_at_once_follows_the_ack():
    node = Node()

    @node.get("slow")
    def slow(request, reply):
        node.respond(request.defer(), b"quick")
        return SEPARATE

    message = ask(node, request(GET, "slow"))
    assert (message.kind, message.code) == (ACK, 0)
    sent = due(node, 0)
    assert [(peer, one.kind, one.payload) for peer, one in sent] == [("peer", CON, b"quick")]


def test_an_empty_token():
    node, tickets = promising()
    ask(node, request(GET, "slow", token=b""))
    node.respond(tickets[0], b"x")
    assert due(node, 0)[0][1].token == b""


def test_the_longest_token_and_payload():
    node, tickets = promising(token_max=32)
    ask(node, request(GET, "slow", token=bytes(range(32))))
    node.respond(tickets[0], bytes(1024), content_format=65000, max_age_s=1 << 24, etag=bytes(8))
    message = due(node, 0)[0][1]
    assert message.token == bytes(range(32)) and message.payload == bytes(1024)
    assert message.options == [(4, bytes(8)), (12, uint(65000)), (14, uint(1 << 24))]


@cases((GET, None), (GET, 0x44), (FETCH, None), (POST, None), (GET, 0x84))
def test_what_is_too_long_for_a_node_without_blocks_is_an_error_that_is_logged(method, code):
    node, tickets = promising(max_payload=64)
    ask(node, request(method, "slow"))
    if code is None:
        assert node.respond(tickets[0], bytes(65))
    else:
        node.separate.respond(tickets[0], code, bytes(65), None, None, b"")
    assert due(node, 0)[0][1].code == INTERNAL_SERVER_ERROR and "64" in node.last_error
    assert node.counters[COUNT_HANDLER_ERRORS] == 1


# Long responses


def deferring(*extensions, **settings):
    """Return (node, tickets) as promising() does, of a node that has block-wise transfers."""
    node = Node(*extensions, Blockwise(), **settings)
    tickets = []

    def slow(request, reply):
        tickets.append(request.defer())
        return SEPARATE

    for method in (node.get, node.post, node.fetch):
        method("slow")(slow)
    return node, tickets


@cases((GET, 2500, 1), (GET, 1024, 1), (FETCH, 5000, 1), (GET, 2500, 0), (GET, 0, 1))
def test_a_long_response_comes_whole(method, length, etag):
    """To Mote's own client; each of its requests is deferred."""
    node, tickets = deferring()
    client = Client()
    wire = LossyLink()
    wire.join("node", node)
    wire.join("client", Node(client))
    got = []
    whole = text(length)
    call = client.request("node", method, "slow", b"body" if method == FETCH else b"")
    call.deliver_to(lambda response: got.append((response.code, response.payload_bytes())))
    call.into = bytearray(6000)
    for i in range(length // 1024 + 2):
        wire.run(1000)
        if i < len(tickets):
            assert node.respond(tickets[i], whole, etag=b"state" if etag else b"")
    wire.run(5000)
    assert got == [(CONTENT, whole)] and len(tickets) == max(1, (length + 1023) // 1024)
    assert node.separate.open_count == 0


@cases((0, 1, 6), (1, 0, 6), (3, 1, 2), (15, 1, 1), (0, 1, 0))
def test_the_block_that_was_asked_for(num, more, szx):
    node, tickets = deferring()
    whole = text(1500)
    ask(node, request(GET, "slow", options=[block(BLOCK2, num, 0, szx)]))
    node.respond(tickets[0], whole)
    message = due(node, 0)[0][1]
    size = 16 << szx
    assert message.payload == whole[num * size : num * size + size]
    assert message.uint(BLOCK2) == num << 4 | more << 3 | szx and len(message.all(ETAG)[0]) == 4


def test_blocks_of_two_states_have_two_etags():
    node, tickets = deferring()
    tags = []
    for i, whole in enumerate((text(1500), text(1500), text(1500, 1))):
        ask(node, request(GET, "slow", NON, options=[block(BLOCK2, i & 1, 0, 6)]))
        node.respond(tickets[i], whole)
        tags.append(due(node, 0)[0][1].all(ETAG)[0])
    assert tags[0] == tags[1] != tags[2]


def test_a_block_after_the_last_one():
    node, tickets = deferring()
    ask(node, request(GET, "slow", options=[block(BLOCK2, 2, 0, 6)]))
    node.respond(tickets[0], text(1500), etag=b"x")
    message = due(node, 0)[0][1]
    assert (message.code, message.options, message.payload) == (0x80, [], b"")


def test_a_long_response_to_a_post_is_an_error():
    """Its later blocks could only be had by executing it again."""
    node, tickets = deferring()
    ask(node, request(POST, "slow"))
    node.respond(tickets[0], text(1500))
    message = due(node, 0)[0][1]
    assert (message.code, message.payload) == (INTERNAL_SERVER_ERROR, b"") and node.last_error


@only("cpython")
def test_without_memory_for_a_block_it_is_an_error():
    class Scarce(bytes):
        def __getitem__(self, at):
            if isinstance(at, slice):
                raise MemoryError
            return bytes.__getitem__(self, at)

    node, tickets = deferring()
    ask(node, request(GET, "slow"))
    node.respond(tickets[0], Scarce(1500))
    assert due(node, 0)[0][1].code == INTERNAL_SERVER_ERROR
    assert "MemoryError" in node.last_error


def test_what_can_not_be_written_holds_no_entry():
    """As a protected response without a sequence number."""
    node, tickets = promising()
    for i in range(10):
        assert ask(node, request(GET, "slow")).code == 0
        node.separate._write = lambda i, kind, mid: 0
        assert node.respond(tickets[i], b"x") and due(node, 0) == []
        assert node.separate.open_count == 0 and node.messaging.open_count == 0


@cases((GET, CONTENT), (FETCH, CONTENT), (POST, CHANGED), (PUT, CHANGED), (DELETE, DELETED))
def test_default_codes(method, code):
    for out, payload in (
        (None, b""),
        (b"done", b"done"),
        ("d\u00e9j\u00e0", b"d\xc3\xa9j\xc3\xa0"),
    ):
        node, tickets = promising()
        ask(node, request(method, "slow"))
        node.respond(tickets[0], out)
        message = due(node, 0)[0][1]
        assert (message.code, message.payload) == (code, payload)


def test_a_code_as_response():
    node, tickets = promising()
    ask(node, request(PUT, "slow"))
    node.respond(tickets[0], SERVICE_UNAVAILABLE, max_age_s=30)
    message = due(node, 0)[0][1]
    assert (message.code, message.options) == (SERVICE_UNAVAILABLE, [(14, b"\x1e")])


def test_content_format_of_a_response():
    node, tickets = promising()
    ask(node, request(GET, "slow"))
    node.respond(tickets[0], b"{}", content_format=50)
    assert due(node, 0)[0][1].uint(12) == 50


# Retransmission


def test_a_response_is_retransmitted_and_given_up():
    wire, node, tickets, client = on_a_wire(silent)
    wire.send("client", "node", request(GET, "slow", token=b"tok"))
    wire.run(10)
    node.respond(tickets[0], b"answer")
    wire.run(120000)
    responses = [message for _, message in client.got[1:]]
    assert len(responses) == 5
    for message in responses:
        assert (message.kind, message.token, message.payload) == (CON, b"tok", b"answer")
        assert message.mid == responses[0].mid
    assert node.counters[COUNT_GIVEN_UP] == 1
    assert node.separate.open_count == 0 and node.messaging.open_count == 0


def test_a_response_that_is_rejected_is_not_repeated():
    wire, node, tickets, client = on_a_wire(reject)
    wire.send("client", "node", request(GET, "slow"))
    wire.run(10)
    node.respond(tickets[0], b"answer")
    wire.run(120000)
    assert len(client.got) == 2
    assert node.separate.open_count == 0


def test_a_response_reaches_the_client_over_a_bad_wire():
    for seed in range(1, 9):
        wire = LossyLink(loss_pct=40, duplicate_pct=20, delay_ms=(1, 300), seed=seed)
        node, tickets = promising(max_retransmit=8)
        wire.join("node", node)
        client = wire.join("client", Peer(wire))
        wire.send("client", "node", request(GET, "slow", token=b"t"))
        while not tickets:
            wire.run(2000)
            wire.send("client", "node", request(GET, "slow", token=b"t"))
        wire.run(1000)
        for ticket in tickets:
            node.respond(ticket, b"answer")
        wire.run(900000)
        payloads = {message.payload for _, message in client.got if message.code == CONTENT}
        assert payloads == {b"answer"}
        assert node.separate.open_count == 0


# Duplicates of the request


@cases((GET,), (POST,))
def test_a_repeat_gets_the_empty_ack_again(method):
    node, tickets = promising()
    data = request(method, "slow", mid=0x4321)
    ack = bytes((0x60, 0, 0x43, 0x21))
    for _ in range(3):
        assert answer(node, data) == ack
    assert len(tickets) == 1
    assert node.counters[COUNT_DUPLICATES] == 2
    # while the response is under way as well
    node.respond(tickets[0], b"x")
    assert len(due(node, 0)) == 1
    assert answer(node, data) == ack
    assert len(tickets) == 1
    assert len(due(node, 0)) == 0


def test_a_repeated_non_is_silent():
    for method in (GET, POST):
        node, tickets = promising()
        data = request(method, "slow", NON)
        assert answer(node, data) is None
        assert answer(node, data) is None
        assert len(tickets) == 1


def test_the_same_mid_of_another_client_is_another_promise():
    node, tickets = promising()
    data = request(GET, "slow")
    ask(node, data, "one")
    ask(node, data, "two")
    assert len(tickets) == 2
    node.respond(tickets[1], b"2")
    node.respond(tickets[0], b"1")
    assert sorted([(peer, message.payload) for peer, message in due(node, 0)]) == [
        ("one", b"1"),
        ("two", b"2"),
    ]


def test_other_requests_are_served_meanwhile():
    node, tickets = promising()
    node.get("fast")(lambda request, reply: b"x")
    ask(node, request(GET, "slow"))
    assert ask(node, request(GET, "fast")).payload == b"x"
    assert ask(node, request(GET, "nowhere")).code == 0x84
    node.respond(tickets[0], b"slow")
    assert ask(node, request(GET, "fast")).payload == b"x"


# Tickets


def test_a_ticket_is_good_for_one_response():
    node, tickets = promising()
    ask(node, request(GET, "slow"))
    assert node.respond(tickets[0], b"one") is True
    assert node.respond(tickets[0], b"two") is False
    sent = due(node, 0)
    assert [message.payload for _, message in sent] == [b"one"]
    answer(node, encode(ACK, 0, sent[0][1].mid))
    assert node.respond(tickets[0], b"three") is False
    # nor is it good for the promise that follows in its place
    ask(node, request(GET, "slow"))
    assert tickets[0] != tickets[1]
    assert node.respond(tickets[0], b"four") is False
    assert node.respond(tickets[1], b"five") is True


def test_so_many_promises():
    node, tickets = promising(separate_responses=2)
    for _ in range(2):
        assert ask(node, request(GET, "slow")).code == 0
    message = ask(node, request(GET, "slow"))
    assert (message.kind, message.code) == (ACK, SERVICE_UNAVAILABLE)
    assert message.uint(14) == 5
    assert ask(node, request(GET, "slow", NON)).code == SERVICE_UNAVAILABLE
    assert node.counters[COUNT_REFUSED] == 2
    node.respond(tickets[0], b"x")
    answer(node, encode(ACK, 0, due(node, 0)[0][1].mid))
    assert ask(node, request(GET, "slow")).code == 0


def test_more_responses_than_exchanges():
    wire, node, tickets, client = on_a_wire(separate_responses=4, exchanges=1)
    for i in range(4):
        wire.send("client", "node", request(GET, "slow", token=bytes((i,))))
    wire.run(10)
    for i in range(4):
        node.respond(tickets[i], b"%d" % i)
    wire.run(1000)
    responses = [message for _, message in client.got if message.code]
    assert [(message.token[0], message.payload) for message in responses] == [
        (i, b"%d" % i) for i in range(4)
    ]
    assert node.separate.open_count == 0


def test_a_promise_that_is_not_kept():
    wire, node, tickets, client = on_a_wire()
    wire.send("client", "node", request(GET, "slow", token=b"tok"))
    wire.run(240000)
    assert len(client.got) == 1
    wire.run(10000)
    message = client.got[1][1]
    assert (message.kind, message.code, message.token) == (CON, SERVICE_UNAVAILABLE, b"tok")
    assert node.respond(tickets[0], b"too late") is False
    assert node.separate.open_count == 0


def test_separate_without_defer_is_an_error():
    node = Node()
    node.get("slow")(lambda request, reply: SEPARATE)
    assert ask(node, request(GET, "slow")).code == INTERNAL_SERVER_ERROR
    assert "defer()" in node.last_error
    assert node.counters[COUNT_HANDLER_ERRORS] == 1


def test_a_ticket_of_a_request_that_was_answered_is_void():
    node = Node()
    tickets = []

    @node.get("changes-its-mind")
    def answers(request, reply):
        tickets.append(request.defer())
        return b"after all"

    @node.get("fails")
    def fails(request, reply):
        tickets.append(request.defer())
        raise CoapError(0x80)

    assert ask(node, request(GET, "changes-its-mind")).payload == b"after all"
    assert ask(node, request(GET, "fails")).code == 0x80
    assert node.separate.open_count == 0
    for ticket in tickets:
        assert node.respond(ticket, b"x") is False
    assert due(node, 300000) == []


def test_nothing_but_the_client_s_rst_or_ack_ends_a_response():
    node, tickets = promising()
    ask(node, request(GET, "slow"), "client")
    node.respond(tickets[0], b"x")
    mid = due(node, 0)[0][1].mid
    answer(node, encode(RST, 0, mid), "another")
    answer(node, encode(ACK, 0, mid), "another")
    assert len(due(node, 3000)) == 1
    answer(node, encode(RST, 0, mid), "client")
    assert due(node, 100000) == []
