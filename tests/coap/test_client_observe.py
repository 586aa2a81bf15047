"""Observations of ours (RFC 7641 section 3)."""

from coap.blockwise import Blockwise
from coap.numbers import CON, GET, NON
from coap.observe import Observe
from support import cases
from support.client_node import (
    BLOCK2,
    OBSERVE,
    acknowledge,
    asking,
    notify,
    piggyback,
    reset,
    respond,
    sent,
)
from support.engine import due
from support.features import Value, block, option, seeded, text
from support.lossy_link import LossyLink


def observing(number=10, now_ms=0, max_age_s=None):
    """Return a node that observes v, as (node, client, told, its registration)."""
    node, client, told = asking()
    client.observe("server", "v", told)
    request = sent(node, now_ms)
    assert request.code == GET and request.uint(OBSERVE) == 0
    options = [option(OBSERVE, number)]
    if max_age_s is not None:
        options.append(option(14, max_age_s))
    piggyback(node, request, 0x45, b"first", options, now_ms)
    assert told.all == [("2.05", b"first", False)]
    return node, client, told, request


def payloads(told):
    return [payload for _, payload, _ in told.all]


def test_notifications_are_delivered():
    node, client, told, request = observing()
    assert notify(node, request, 11, b"second", 1000) is None
    assert notify(node, request, 12, b"third", 2000, kind=CON) == "ack"
    assert notify(node, request, 12, b"third", 3000, kind=CON) == "ack"
    assert payloads(told) == [b"first", b"second", b"third"]
    assert client.active_count == 1 and node.messaging.has_free_exchange()


@cases(
    (10, 10, 1000, False),
    (10, 9, 1000, False),
    (10, 9, 128000, False),
    (10, 9, 128001, True),
    (0xFFFFFF, 0, 1000, True),
    (0, 0xFFFFFF, 1000, False),
    (5, 5 + (1 << 23) - 1, 1000, True),
    (5, 5 + (1 << 23), 1000, False),
    (6 + (1 << 23), 5, 1000, True),
    (5 + (1 << 23), 5, 1000, False),
)
def test_which_notification_is_newer(before, number, now_ms, newer):
    node, client, told, request = observing(before, max_age_s=3600)
    assert notify(node, request, number, b"second", now_ms, kind=CON, mid=77) == "ack"
    assert (payloads(told)[1:] == [b"second"]) == newer


def test_a_server_that_does_not_observe():
    node, client, told = asking()
    client.observe("server", "v", told)
    request = sent(node)
    piggyback(node, request, 0x45, b"only")
    assert told.only == ("2.05", b"only", True) and client.has_free()
    assert notify(node, request, 11, b"?", kind=CON) == "rst"


@cases(0x84, 0xA0)
def test_an_error_ends_an_observation(code):
    node, client, told, request = observing()
    assert respond(node, request, code, b"gone") == "ack"
    assert told.all[-1][1:] == (b"gone", True) and client.active_count == 0
    assert notify(node, request, 13, b"?", kind=CON) == "rst"


def test_a_registration_may_get_a_separate_response():
    node, client, told = asking()
    client.observe("server", "v", told)
    request = sent(node)
    acknowledge(node, request)
    assert notify(node, request, 5, b"late", 3000, kind=CON) == "ack"
    assert notify(node, request, 6, b"later", 4000) is None
    assert payloads(told) == [b"late", b"later"]


def test_cancel_deregisters():
    node, client, told, request = observing()
    client.cancel(client.requests[-1])
    goodbye = sent(node, 1000)
    assert goodbye.uint(OBSERVE) == 1 and goodbye.token == request.token
    assert goodbye.all(11) == request.all(11) and goodbye.kind == CON
    assert notify(node, request, 11, b"crossed", 1000, kind=CON) == "rst"
    assert notify(node, request, 12, b"crossed", 1000) is None
    assert client.active_count == 1
    piggyback(node, goodbye, 0x45, b"state")
    assert client.active_count == 0 and payloads(told) == [b"first"]


def test_cancel_before_it_is_sent_says_nothing():
    node, client, told = asking()
    client.cancel(client.observe("server", "v", told))
    assert due(node, 0) == [] and client.active_count == 0


def test_cancel_before_the_response_deregisters():
    node, client, told = asking()
    call = client.observe("server", "v", told)
    request = sent(node)
    client.cancel(call)
    goodbye = sent(node)
    assert goodbye.uint(OBSERVE) == 1 and goodbye.token == request.token
    assert goodbye.mid != request.mid
    reset(node, goodbye)
    assert client.active_count == 0 and told.all == []


def test_on_response_may_cancel():
    node, client, told, request = observing()
    told.at_once = lambda response: client.cancel(response.request)
    assert notify(node, request, 11, b"enough", 1000, kind=CON) == "ack"
    assert sent(node, 1000).uint(OBSERVE) == 1


@cases((None, 60), (5, 5), (0, 0), (1000, 1000))
def test_no_notification_for_max_age_registers_again(max_age_s, expected_s):
    node, client, told, request = observing(max_age_s=max_age_s)
    low = expected_s * 1000 + 5000
    assert due(node, low - 1) == []
    assert low <= node.wait_ms(0) <= low + 10000
    again = sent(node, low + 10000)
    assert again.uint(OBSERVE) == 0 and again.token == request.token and again.mid != request.mid
    piggyback(node, again, 0x45, b"state", [option(OBSERVE, 11)], low + 10000)
    assert payloads(told) == [b"first", b"state"]
    assert notify(node, request, 12, b"new", low + 11000) is None
    assert payloads(told)[-1] == b"new"


def test_a_notification_puts_the_renewal_off():
    node, client, told, request = observing(max_age_s=10)
    assert notify(node, request, 11, b"second", 9000, max_age_s=10) is None
    assert due(node, 9000 + 14999) == []
    assert sent(node, 9000 + 25000).uint(OBSERVE) == 0


def test_an_endless_max_age():
    node, client, told, request = observing(max_age_s=0xFFFFFFFF)
    assert due(node, 0) == [] and 0 < node.wait_ms(0) < 1 << 28
    assert due(node, 100000000) == []


def test_a_server_that_went_away():
    node, client, told, request = observing(max_age_s=5)
    wire = LossyLink()
    wire.join("node", node)
    wire.run(200000)
    assert told.all[-1] == ("timeout", b"", True) and client.active_count == 0


def test_a_long_notification_is_fetched():
    node, client, told, request = observing()
    whole = text(150)
    data = [option(OBSERVE, 11), block(BLOCK2, 0, 1)]
    assert respond(node, request, 0x45, whole[:64], data, kind=NON) is None
    for i in (1, 2):
        more = sent(node)
        assert more.uint(OBSERVE) is None and more.uint(BLOCK2) == i << 4 | 2
        assert more.token != request.token
        piggyback(node, more, 0x45, whole[64 * i : 64 * i + 64], [block(BLOCK2, i, i < 2)])
    assert b"".join(payloads(told)[1:]) == whole
    assert told.more == [False, True, True, False] and not told.all[-1][2]
    assert notify(node, request, 12, b"short", 100) is None
    assert payloads(told)[-1] == b"short"


def test_a_newer_state_takes_the_place_of_one_that_is_fetched():
    node, client, told, request = observing()
    whole = text(150)
    data = [option(OBSERVE, 11), block(BLOCK2, 0, 1)]
    assert respond(node, request, 0x45, whole[:64], data, kind=NON) is None
    more = sent(node)
    assert notify(node, request, 12, b"newest", 100) is None
    assert payloads(told)[-1] == b"newest" and not told.all[-1][2]
    piggyback(node, more, 0x45, whole[64:128], [block(BLOCK2, 1, 1)])
    assert payloads(told)[-1] == b"newest" and due(node, 3000) == []


def test_blocks_that_do_not_fit_end_the_observation_at_the_server_too():
    node, client, told, request = observing()
    data = [option(OBSERVE, 11), block(BLOCK2, 3, 1)]
    assert respond(node, request, 0x45, text(64), data, kind=NON) is None
    assert told.all[-1] == ("broken transfer", b"", True)
    assert sent(node).uint(OBSERVE) == 1


def following(client, told):
    """A function that observes again what was given up: on such a wire that happens."""

    def follow(response):
        if response.last:
            assert response.failure, response
            client.observe("server", "v", told)

    return follow


@cases((0, 0, (1, 1)), (30, 20, (10, 2000)))
def test_our_own_server_is_followed(loss_pct, duplicate_pct, delay_ms):
    for seed in range(3):
        wire = LossyLink(loss_pct, duplicate_pct, delay_ms, seed=seed + 1)
        node, client, told = asking()
        server = seeded(Observe(), Blockwise())
        value = server.add("v", Value(b"0", max_age_s=20))
        wire.join("node", node)
        wire.join("server", server)
        told.at_once = following(client, told)
        client.observe("server", "v", told)
        for i in range(1, 30):
            wire.run(5000)
            value.become(text(1500, i) if i % 7 == 0 else b"%d" % i)
        wire.run(300000)
        assert payloads(told)[-1] == b"29", seed
        numbers = [int(payload) for payload in payloads(told) if 0 < len(payload) < 3]
        assert numbers == sorted(numbers) and len(numbers) > 15, seed
        client.cancel(client.requests[-1])
        wire.run(100000)
        assert client.active_count == 0, seed
        assert server.extensions[0].count() == 0 or loss_pct, seed


def test_a_server_that_restarts_gets_a_new_registration():
    wire = LossyLink()
    node, client, told = asking()
    wire.join("node", node)
    state = b""
    for life in range(2):
        server = wire.join("server", seeded(Observe()))
        assert server.restore(state) == (life == 1)
        value = server.add("v", Value(b"life %d" % life, max_age_s=20))
        if not life:
            client.observe("server", "v", told)
        wire.run(60000)
        assert payloads(told)[-1] == b"life %d" % life
        value.become(b"changed %d" % life)
        wire.run(1000)
        assert payloads(told)[-1] == b"changed %d" % life
        state = server.state()
