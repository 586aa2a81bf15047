"""Requests of ours: sent, repeated, matched with what comes, and given up (RFC 7252 4, 5)."""

from coap import SEPARATE, CoapError
from coap.codec import ABSENT
from coap.counters import COUNT_GIVEN_UP, COUNT_HANDLER_ERRORS, COUNT_NO_EXCHANGE
from coap.numbers import CON, DELETE, FETCH, GET, NON, POST, PUT, SENML_CBOR
from coap.peers import AUTHENTICATED
from support import cases, raises
from support.client_node import Told, acknowledge, asking, piggyback, reset, respond, sent
from support.engine import Peer, ask, due, encode, silent
from support.features import option, seeded
from support.lossy_link import LossyLink

PATH, FORMAT, QUERY, ACCEPT = 11, 12, 15, 17


def test_all_attributes_of_a_request_are_written():
    node, client, told = asking()
    call = client.post("server", "r/door?x=1&y", b"pack", told)
    call.content_format = SENML_CBOR
    call.accept = 60
    call.option(QUERY, b"z")
    call.option(292, b"tag")
    message = sent(node)
    assert (message.kind, message.code, message.payload) == (CON, POST, b"pack")
    assert message.options == [
        (PATH, b"r"),
        (PATH, b"door"),
        (FORMAT, b"\x70"),
        (QUERY, b"x=1"),
        (QUERY, b"y"),
        (QUERY, b"z"),
        (ACCEPT, b"\x3c"),
        (292, b"tag"),
    ]
    assert len(message.token) == 4


@cases(("get", GET, ()), ("delete", DELETE, ()), ("put", PUT, (b"x",)), ("fetch", FETCH, (b"x",)))
def test_each_method(name, code, payload):
    node, client, told = asking()
    getattr(client, name)("server", "v", *payload, told)
    message = sent(node)
    assert message.code == code and message.payload == (payload[0] if payload else b"")


def test_text_is_a_payload_too():
    node, client, _ = asking()
    client.put("server", "v", "on")
    assert sent(node).payload == b"on"


def test_a_piggybacked_response_ends_the_exchange():
    node, client, told = asking()
    client.get("server", "v", told)
    request = sent(node)
    piggyback(node, request, 0x45, b"open")
    assert told.only == ("2.05", b"open", True)
    assert client.has_free() and node.messaging.has_free_exchange() and due(node, 100000) == []
    assert node.messaging.is_verified("server")
    piggyback(node, request, 0x45, b"again")
    assert len(told.all) == 1


def test_attributes_of_a_response():
    node, client, _ = asking()
    found = []

    def take(response):
        found.append((response.code, response.content_format, response.max_age_s, response.etag))
        found.append((response.location(), response.peer, response.failure))

    client.post("server", "v", b"", take)
    options = [(4, b"e"), (8, b"reg"), (8, b""), (12, b"\x3c"), option(14, 300), (20, b"q")]
    piggyback(node, sent(node), 0x41, b"x", options)
    assert found == [(0x41, 60, 300, b"e"), ("reg/?q", "server", 0)]


def test_on_response_is_optional():
    node, client, _ = asking()
    client.get("server", "v")
    piggyback(node, sent(node), 0x45, b"open")
    assert client.has_free()


def test_tokens_and_mids_differ():
    node, client, told = asking(requests=3, nstart=3)
    for _ in range(3):
        client.get("server", "v", told)
    messages = [message for _, message in due(node, 0)]
    assert len({message.token for message in messages}) == 3
    assert len({message.mid for message in messages}) == 3
    for i in (1, 2, 0):
        piggyback(node, messages[i], 0x45, b"%d" % i)
    assert [payload for _, payload, _ in told.all] == [b"1", b"2", b"0"]


@cases(
    ({"token": b"abcd"}, "rst"),
    ({"token": b""}, "rst"),
    ({"peer": "other"}, "rst"),
    ({"kind": NON, "token": b"abcd"}, None),
    ({"kind": NON, "peer": "other"}, None),
)
def test_an_unexpected_response_is_rejected(where, answer):
    node, client, told = asking()
    client.get("server", "v", told)
    request = sent(node)
    assert respond(node, request, 0x45, b"lie", **where) == answer
    assert told.all == [] and not node.messaging.is_verified("other")
    piggyback(node, request, 0x45, b"truth")
    assert told.only[1] == b"truth"


def test_an_ack_with_another_token_or_mid_or_from_another_is_ignored():
    node, client, told = asking()
    client.get("server", "v", told)
    request = sent(node)
    for mid, token, peer in (
        (request.mid, b"abcd", "server"),
        (request.mid ^ 1, request.token, "server"),
        (request.mid, request.token, "other"),
    ):
        assert ask(node, encode(2, 0x45, mid, token, (), b"lie"), peer) is None
    assert told.all == []
    assert sent(node, 3000).mid == request.mid  # it is still sent again


def test_an_ack_with_the_token_of_another_request_is_ignored():
    node, client, told = asking(nstart=2)
    client.get("server", "1", told)
    client.get("server", "2", told)
    first, second = [message for _, message in due(node, 0)]
    assert first.token != second.token
    assert ask(node, encode(2, 0x45, first.mid, second.token, (), b"lie"), "server") is None
    assert told.all == []
    piggyback(node, second, 0x45, b"true")
    assert told.only == ("2.05", b"true", True)


@cases((9, b""), (65, b""), (11, b"x"), (3, b"h"), (19, b"\1"))
def test_an_unknown_critical_option_in_a_response(number, value):
    node, client, told = asking()
    client.get("server", "v", told)
    request = sent(node)
    piggyback(node, request, 0x45, b"x", [(number, value)])
    assert told.all == []
    acknowledge(node, request)
    assert respond(node, request, 0x45, b"x", [(number, value)]) == "rst"
    assert respond(node, request, 0x45, b"x", [(number, value)], kind=NON, mid=901) is None
    assert told.all == []
    assert respond(node, request, 0x45, b"y", [(66, b"")], mid=902) == "ack"
    assert told.only == ("2.05", b"y", True)


def test_a_separate_response_is_acknowledged_and_so_is_its_repeat():
    node, client, told = asking()
    client.get("server", "v", told)
    request = sent(node)
    acknowledge(node, request)
    assert due(node, 20000) == [] and told.all == []
    assert respond(node, request, 0x45, b"late", now_ms=20000) == "ack"
    assert told.only == ("2.05", b"late", True)
    assert respond(node, request, 0x45, b"late", now_ms=22000) == "ack"
    assert len(told.all) == 1
    assert respond(node, request, 0x45, b"late", now_ms=22000, peer="other") == "rst"
    assert respond(node, request, 0x45, b"late", now_ms=22000, mid=901) == "rst"
    assert due(node, 20000 + 247000) == []
    assert respond(node, request, 0x45, b"late", now_ms=20000 + 247000) == "rst"


def test_a_separate_non_response_is_taken_once():
    node, client, told = asking()
    client.get("server", "v", told)
    request = sent(node)
    acknowledge(node, request)
    for _ in range(2):
        assert respond(node, request, 0x45, b"late", kind=NON) is None
    assert told.only[1] == b"late"


def test_a_response_overtakes_its_ack():
    node, client, told = asking()
    client.get("server", "v", told)
    request = sent(node)
    assert respond(node, request, 0x45, b"early") == "ack"
    assert told.only[1] == b"early" and node.messaging.has_free_exchange()
    acknowledge(node, request)
    assert due(node, 100000) == []


def test_a_duplicate_response_is_known_when_the_clock_wraps():
    node, client, told = asking()
    start = 0x3FFFFFFF - 1000
    client.get("server", "v", told)
    request = sent(node, start)
    acknowledge(node, request, start)
    assert respond(node, request, 0x45, b"late", now_ms=start) == "ack"
    assert respond(node, request, 0x45, b"late", now_ms=5000) == "ack"
    assert len(told.all) == 1
    assert due(node, 300000) == []  # forgotten: it must not be known when the clock is here again
    assert respond(node, request, 0x45, b"late", now_ms=start + 10) == "rst"


def test_a_request_without_response_times_out():
    node, client, told = asking()
    client.get("server", "v", told)
    wire = LossyLink()
    wire.join("node", node)
    server = wire.join("server", Peer(wire, silent))
    wire.run(120000)
    assert told.only == ("timeout", b"", True) and client.has_free()
    assert len(server.got) == 5 and node.counters[COUNT_GIVEN_UP] == 1
    assert len({message.mid for _, message in server.got}) == 1
    assert len({message.token for _, message in server.got}) == 1


def test_an_ack_without_a_response_is_given_up():
    node, client, told = asking()
    client.get("server", "v", told)
    acknowledge(node, sent(node), now_ms=1000)
    assert due(node, 93999) == [] and told.all == [] and node.wait_ms(93999) == 1
    assert due(node, 94000) == []
    assert told.only == ("timeout", b"", True) and client.has_free()


def test_response_timeout_of_a_request():
    node, client, told = asking()
    client.get("server", "v", told).response_timeout_ms = 5000
    acknowledge(node, sent(node))
    assert due(node, 5000) == [] and told.only[0] == "timeout"


@cases(0, 1, 2)
def test_timeout_ends_the_request_in_every_state(stage):
    node, client, told = asking(exchanges=1)
    if stage == 0:
        # takes the only exchange: the call is not sent
        node.messaging.open_exchange(Told(), "blocker", AUTHENTICATED)
        node.messaging.owners[0].transmit = lambda exchange, mid: 4
        due_now = node.due(0)
        assert due_now == 4
    client.get("server", "v", told).timeout_ms = 1500
    if stage:
        request = sent(node)
        if stage == 2:
            acknowledge(node, request, 500)
    else:
        assert node.due(0) == 0
    assert node.due(1499) == 0 and told.all == []
    node.due(1500)
    assert told.only == ("timeout", b"", True) and client.has_free()


def test_rst():
    node, client, told = asking()
    client.get("server", "v", told)
    reset(node, sent(node))
    assert (
        told.only == ("reset", b"", True)
        and client.has_free()
        and node.messaging.has_free_exchange()
    )


def test_non():
    node, client, told = asking()
    client.get("server", "v", told).confirmable = False
    request = sent(node)
    assert request.kind == NON and due(node, 60000) == []
    assert respond(node, request, 0x45, b"x", kind=NON, now_ms=60000) is None
    assert told.only == ("2.05", b"x", True)


def test_a_non_may_be_answered_by_a_con():
    node, client, told = asking()
    client.get("server", "v", told).confirmable = False
    request = sent(node)
    assert respond(node, request, 0x45, b"x") == "ack"
    assert respond(node, request, 0x45, b"x") == "ack"
    assert told.only[1] == b"x"


def test_a_non_is_rejected_or_never_answered():
    node, client, told = asking()
    client.get("server", "v", told).confirmable = False
    request = sent(node)
    reset(node, request, peer="other")
    assert told.all == []
    reset(node, request)
    assert told.only[0] == "reset"
    client.get("server", "v", told).confirmable = False
    sent(node)
    assert due(node, 92999) == [] and len(told.all) == 1
    assert due(node, 93000) == [] and told.all[1][0] == "timeout"


def test_one_request_at_a_time_to_a_peer():
    node, client, told = asking(requests=3)
    client.get("server", "1", told)
    client.get("server", "2", told)
    client.get("other", "3", told)
    messages = due(node, 0)
    assert sorted([peer for peer, _ in messages]) == ["other", "server"]
    first = [message for peer, message in messages if peer == "server"][0]
    acknowledge(node, first)  # the response may come later: nothing is outstanding any more
    second = sent(node)
    assert second.options != first.options
    piggyback(node, second, 0x45, b"second")
    assert respond(node, first, 0x45, b"first") == "ack"
    assert [payload for _, payload, _ in told.all] == [b"second", b"first"]


@cases((False, False), (False, True))
def test_a_non_is_outstanding_until_answered_or_an_ack_would_be_late(first, second):
    node, client, told = asking()
    client.get("server", "1", told).confirmable = first
    request = sent(node)
    client.get("server", "2", told).confirmable = second
    assert due(node, 1999) == [] and node.wait_ms(1999) == 1
    assert sent(node, 2000).options == [(PATH, b"2")]
    assert respond(node, request, 0x45, b"x", kind=NON, now_ms=2000) is None


def test_a_non_waits_for_the_exchange_before_it():
    node, client, told = asking()
    client.get("server", "1", told)
    request = sent(node)
    client.get("server", "2", told).confirmable = False
    assert due(node, 100) == []
    piggyback(node, request, 0x45, b"", now_ms=200)
    assert sent(node, 200).kind == NON


def test_a_request_beyond_the_last_is_refused():
    node, client, told = asking(requests=1)
    assert client.has_free()
    client.get("server", "v", told)
    assert not client.has_free()
    error = raises(CoapError, client.get, "server", "w", told)
    assert error.code == 0xA3 and "requests" in error.why
    assert len(due(node, 0)) == 1 and node.counters[COUNT_NO_EXCHANGE] == 1


def test_a_request_may_be_begun_in_on_response():
    node, client, told = asking(requests=1)

    def again(response):
        told.at_once = None
        client.get("server", "w", told)

    told.at_once = again
    client.get("server", "v", told)
    piggyback(node, sent(node), 0x45, b"1")
    second = sent(node)
    assert second.options == [(PATH, b"w")]
    piggyback(node, second, 0x45, b"2")
    assert told.all == [("2.05", b"1", True), ("2.05", b"2", True)]


def test_a_function_that_raises_is_logged():
    node, client, told = asking()

    def fails(response):
        raise ValueError("mine")

    client.get("server", "v", fails)
    request = sent(node)
    acknowledge(node, request)
    assert respond(node, request, 0x45, b"x") == "ack"
    assert client.has_free() and node.counters[COUNT_HANDLER_ERRORS] == 1


def test_a_cancelled_request_is_forgotten():
    node, client, told = asking()
    call = client.get("server", "v", told)
    request = sent(node)
    client.cancel(call)
    client.cancel(call)
    assert client.has_free() and node.messaging.has_free_exchange() and due(node, 3000) == []
    piggyback(node, request, 0x45, b"x")
    assert respond(node, request, 0x45, b"x") == "rst"
    assert told.all == []


def test_requests_wait_for_an_exchange():
    node, client, told = asking(requests=2, exchanges=1)
    client.get("one", "v", told)
    client.get("two", "v", told)
    first = due(node, 0)
    assert len(first) == 1 and node.wait_ms(0) > 1000
    piggyback(node, first[0][1], 0x45, b"", peer=first[0][0])
    second = due(node, 0)
    assert len(second) == 1 and second[0][0] != first[0][0]


def test_a_request_that_is_too_long_fails():
    node, client, told = asking(max_payload=64)
    client.get("server", "a" * 200, told)
    assert due(node, 0) == [] and told.only == ("too long", b"", True)
    client.get("server", "a" * 200, told).confirmable = False
    assert due(node, 0) == [] and client.has_free() and node.messaging.has_free_exchange()


def test_paths_are_kept_as_options():
    node, client, told = asking()
    for i in range(40):
        client.get("server", "p/%d" % i, told)
        request = sent(node)
        assert request.options == [(PATH, b"p"), (PATH, b"%d" % i)]
        piggyback(node, request, 0x45, b"")
    assert len(client.paths) <= 16


def test_no_format_without_a_payload_to_have_it():
    node, client, told = asking()
    assert client.get("server", "v", told).content_format == ABSENT
    assert sent(node).options == [(PATH, b"v")]


def counting(executed):
    def handle(request, reply):
        executed.append(request.payload_bytes())
        return request.payload_bytes()

    return handle


def answering_late(server):
    def handle(request, reply):
        ticket = request.defer()
        server.after(8000, lambda now_ms: server.respond(ticket, b"at last"))
        return SEPARATE

    return handle


@cases((30, 20, (1, 1)), (50, 0, (10, 900)), (0, 60, (0, 3000)), (45, 45, (100, 2500)))
def test_over_a_bad_wire_each_request_is_executed_once(loss_pct, duplicate_pct, delay_ms):
    for seed in range(6):
        wire = LossyLink(loss_pct, duplicate_pct, delay_ms, seed=seed + 1)
        node, client, told = asking(requests=4)
        server = seeded()
        executed = []

        server.post("count")(counting(executed))
        wire.join("node", node)
        wire.join("server", server)
        for i in range(4):
            client.post("server", "count", b"%d" % i, told)
        wire.run(400000)
        assert client.has_free() and node.messaging.has_free_exchange() and len(told.all) == 4
        answered = sorted([payload for why, payload, _ in told.all if why != "timeout"])
        assert len(set(answered)) == len(answered)
        assert sorted(executed) == sorted(set(executed))
        assert set(answered) <= set(executed)
        if loss_pct < 40:
            assert len(answered) == 4, (seed, told.all)


def test_separate_responses_over_a_bad_wire():
    for seed in range(6):
        wire = LossyLink(25, 25, (10, 700), seed=seed + 1)
        node, client, told = asking()
        server = seeded()

        server.get("late")(answering_late(server))
        wire.join("node", node)
        wire.join("server", server)
        client.get("server", "late", told)
        wire.run(400000)
        assert told.only == ("2.05", b"at last", True), seed
        assert server.separate.open_count == 0 and client.has_free()
