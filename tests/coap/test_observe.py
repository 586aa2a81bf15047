"""Observe (RFC 7641): registration, notifications, and the end of an observation."""

import gc

from coap.blockwise import Blockwise
from coap.counters import COUNT_GIVEN_UP, COUNT_OBSERVERS_EVICTED, COUNT_OBSERVERS_REFUSED
from coap.no_response import NoResponse
from coap.numbers import CLOCK_MASK, CON, FETCH, GET, NON, POST
from coap.observe import Observe
from coap.resource import SEPARATE
from support import cases, raises
from support.engine import ask, due, request
from support.features import (
    ACCEPT,
    BLOCK2,
    ETAG,
    MAX_AGE,
    NO_RESPONSE,
    OBSERVE,
    QUERY,
    SIZE2,
    Value,
    acknowledge,
    block,
    notice,
    one,
    option,
    plain,
    register,
    reject,
    seeded,
    text,
    verify,
)

DAY_MS = 86400000


def serving(*features, value=b"0", attributes=None, **settings):
    node = seeded(*(features or (Observe(),)), **settings)
    return node, node.add("v", Value(value, **(attributes or {})))


def watched(*features, peer="peer", now_ms=0, **settings):
    """A node, its resource, and the Observe of a verified peer that observes it."""
    node, value = serving(*features, **settings)
    verify(node, peer, now_ms)
    answer = register(node, peer=peer, now_ms=now_ms)
    assert answer.uint(OBSERVE) is not None
    return node, value, answer.uint(OBSERVE)


def observers(node):
    return node.extensions[0].count()


# Registration


def test_a_registration_is_answered_with_a_number_and_the_state():
    node, _ = serving()
    answer = register(node)
    assert (answer.kind, answer.code, answer.payload) == (2, 0x45, b"0")
    assert answer.uint(OBSERVE) is not None
    assert observers(node) == 1 and due(node, 0) == []


def test_a_notification_has_token_number_and_state():
    node, value, first = watched()
    message = notice(node, value, b"1")
    assert (message.code, message.token, message.payload) == (0x45, b"\1", b"1")
    assert message.uint(OBSERVE) > first
    assert notice(node, value, b"2").uint(OBSERVE) > message.uint(OBSERVE)
    assert due(node, 0) == []


@cases(({"observable": False}, 0), ({}, 2), ({}, 255))
def test_no_registration(attributes, wish):
    node, value = serving(attributes=attributes)
    answer = register(node, value=wish)
    assert answer.code == 0x45 and answer.all(OBSERVE) == [] and observers(node) == 0


def test_only_what_reads_is_observed():
    node, value = serving()
    value.handlers[POST] = lambda request, reply: b"posted"
    value.handlers[FETCH] = lambda request, reply: b"fetched " + request.payload_bytes()
    answer = ask(node, request(POST, "v", options=[option(OBSERVE, 0)]))
    assert answer.payload == b"posted" and answer.all(OBSERVE) == [] and observers(node) == 0
    verify(node)
    answer = ask(node, request(FETCH, "v", options=[option(OBSERVE, 0)], payload=b"x"))
    assert answer.payload == b"fetched x" and answer.uint(OBSERVE) is not None
    assert notice(node, value, b"1").payload == b"fetched x"


def test_a_registration_may_be_a_non():
    node, value = serving()
    verify(node)
    assert register(node, kind=NON).uint(OBSERVE) is not None
    assert notice(node, value, b"1").token == b"\1"


def test_the_same_token_refreshes_and_another_adds():
    node, value, first = watched()
    again = register(node)
    assert again.uint(OBSERVE) > first and observers(node) == 1
    assert len(due(node, 0)) == 0
    register(node, token=b"\2")
    assert observers(node) == 2
    value.become(b"1")
    sent = due(node, 0)
    assert sorted([message.token for _, message in sent]) == [b"\1", b"\2"]


def test_a_refresh_may_name_another_resource():
    node, value, _ = watched()
    other = node.add("w", Value(b"w"))
    register(node, "w")
    value.become(b"1")
    assert due(node, 0) == [] and observers(node) == 1
    assert notice(node, other, b"2").payload == b"2"


def test_observers_of_one_resource_and_of_one_peer():
    node, value = serving()
    other = node.add("w", Value(b"w"))
    for peer in ("one", "two", "three"):
        verify(node, peer)
        register(node, peer=peer)
        register(node, "w", b"\2", peer)
    assert observers(node) == 6 and node.extensions[0].count(value) == 3
    value.become(b"1")
    sent = due(node, 0)
    assert sorted([peer for peer, _ in sent]) == ["one", "three", "two"]
    assert {message.payload for _, message in sent} == {b"1"}
    other.become(b"2")
    assert {message.payload for _, message in due(node, 0)} == {b"2"}


@cases(("peer", b"\1", 0), ("peer", b"\2", 1), ("peer", b"", 1), ("other", b"\1", 1))
def test_deregistration(peer, token, left):
    node, value, _ = watched()
    answer = register(node, token=token, peer=peer, value=1)
    assert answer.payload == b"0" and answer.all(OBSERVE) == []
    assert observers(node) == left
    value.become(b"1")
    assert len(due(node, 0)) == left


def test_a_full_table_answers_plainly():
    node, value = serving(Observe(slots=2))
    for token in (b"\1", b"\2", b"\3", b"\4"):
        answer = register(node, token=token)
        assert answer.payload == b"0"
        assert (answer.uint(OBSERVE) is None) == (token > b"\3")  # one entry is spare
    assert observers(node) == 3 and node.counters[COUNT_OBSERVERS_REFUSED] == 1


def test_a_verified_peer_evicts_a_stranger_and_nobody_else():
    node, value = serving(Observe(slots=2))
    for peer in ("stranger 1", "stranger 2", "stranger 3"):
        assert register(node, peer=peer).uint(OBSERVE) is not None
    assert register(node, peer="stranger 4").uint(OBSERVE) is None
    for peer in ("good 1", "good 2", "good 3"):
        verify(node, peer)
        assert register(node, peer=peer).uint(OBSERVE) is not None
    assert node.counters[COUNT_OBSERVERS_EVICTED] == 3
    verify(node, "good 4")
    assert register(node, peer="good 4").uint(OBSERVE) is None
    told = [peer for peer, message in due(node, 0) if message.code == 0xA3]
    assert sorted(told) == ["stranger 1", "stranger 2", "stranger 3"]


def test_a_long_registration_is_answered_plainly():
    node, value = serving(Observe(request_bytes=40))
    answer = register(node, options=[(QUERY, b"q" * 40)])
    assert answer.payload == b"0" and answer.uint(OBSERVE) is None
    assert node.counters[COUNT_OBSERVERS_REFUSED] == 1 and observers(node) == 0
    register(node)
    assert observers(node) == 1
    # as a refresh it leaves no observer whose registration is out of date
    assert register(node, options=[(QUERY, b"q" * 40)]).uint(OBSERVE) is None
    assert observers(node) == 0


def test_a_large_answer_registers_nobody_who_does_not_ask():
    node, value = serving(Observe(), Blockwise())
    register(node, peer="asked")
    value.value = text(3000)
    answer = plain(node, peer="did not")
    assert answer.all(OBSERVE) == [] and answer.uint(BLOCK2) is not None
    assert observers(node) == 1


# Confirmable or not


def test_a_stranger_is_told_confirmably_until_it_acknowledges():
    node, value = serving()
    register(node)
    first = notice(node, value, b"1", kind=CON)
    assert acknowledge(node, first) == []
    assert notice(node, value, b"2").payload == b"2"


@cases(20, 5, 2)
def test_every_so_many_is_confirmable(every):
    node, value, _ = watched(Observe(con_every=every))
    kinds = []
    for i in range(3 * every):
        value.become(b"%d" % i)
        message = one(due(node, 0))
        kinds.append(message.kind)
        if message.kind == CON:
            acknowledge(node, message)
    assert kinds == ([NON] * (every - 1) + [CON]) * 3
    assert Observe().con_every == 20


@cases((0,), (CLOCK_MASK - DAY_MS // 2,), (CLOCK_MASK,))
def test_every_day_one_is_confirmable_without_any_change(start):
    node, value, _ = watched(now_ms=start)
    now = (start + DAY_MS - 1) & CLOCK_MASK
    assert due(node, now) == [] and node.wait_ms(now) == 1
    now = (now + 1) & CLOCK_MASK
    message = one(due(node, now), CON)
    assert message.payload == b"0"
    acknowledge(node, message, now_ms=now)
    assert due(node, (now + DAY_MS - 1) & CLOCK_MASK) == []
    assert one(due(node, (now + DAY_MS) & CLOCK_MASK), CON) is not None


def test_the_day_may_be_shorter_but_not_longer():
    node, value, _ = watched(Observe(con_ms=60000))
    assert due(node, 59999) == []
    assert one(due(node, 60000), CON) is not None
    raises(ValueError, Observe, con_ms=DAY_MS + 1)


def test_a_resource_may_want_all_confirmable():
    node, value, _ = watched(attributes={"confirmable": True})
    for i in range(3):
        message = notice(node, value, b"%d" % i, kind=CON)
        acknowledge(node, message)


def test_a_resource_may_want_none_confirmable_but_those_that_must():
    node, value = serving(attributes={"confirmable": False})
    register(node)  # a stranger: the first one verifies its address
    acknowledge(node, notice(node, value, b"0", kind=CON))
    for i in range(19):
        notice(node, value, b"%d" % i)
    notice(node, value, b"19", kind=CON)


def test_notifications_in_flight_are_one_for_each_peer():
    node, value = serving(attributes={"confirmable": True})
    register(node, token=b"\1")
    register(node, token=b"\2")
    value.become(b"1")
    first = one(due(node, 0), CON)
    second = one(acknowledge(node, first), CON)
    assert {first.token, second.token} == {b"\1", b"\2"}


def test_without_a_free_exchange_a_notification_waits():
    node, value = serving(attributes={"confirmable": True}, exchanges=1)
    register(node, peer="one")
    register(node, peer="two")
    value.become(b"1")
    sent = due(node, 0)
    assert len(sent) == 1
    peer, message = sent[0]
    sent = acknowledge(node, message, peer)
    assert len(sent) == 1 and {peer, sent[0][0]} == {"one", "two"}


# Retransmission, and the newest state


def test_a_confirmable_one_is_sent_again_as_it_was():
    node, value = serving()
    register(node)
    first = notice(node, value, b"1", kind=CON)
    again = one(due(node, 3000), CON)
    assert (again.mid, again.uint(OBSERVE)) == (first.mid, first.uint(OBSERVE))
    assert again.payload == b"1"


def test_the_newest_state_takes_the_place_of_one_in_flight():
    node, value = serving()
    register(node)
    first = notice(node, value, b"1", kind=CON)
    value.become(b"2")
    value.become(b"3")
    assert due(node, 100) == []  # it waits for its turn: RFC 7641 section 4.5.2
    second = one(due(node, 3000), CON)
    assert second.payload == b"3" and second.mid != first.mid
    assert second.uint(OBSERVE) > first.uint(OBSERVE)
    assert acknowledge(node, first, now_ms=3000) == []  # the old one: it proves nothing now
    assert one(due(node, 20000), CON).mid == second.mid
    assert acknowledge(node, second, now_ms=20000) == [] and observers(node) == 1
    assert due(node, 60000) == []


def test_the_newest_state_inherits_the_attempts():
    node, value = serving(ack_random_pct=100)
    register(node)
    value.become(b"1")
    times = []
    for now in range(0, 100000, 500):
        for _ in due(node, now):
            times.append(now)
            value.become(b"%d" % now)
    assert times == [0, 2000, 6000, 14000, 30000]
    assert observers(node) == 0 and node.counters[COUNT_GIVEN_UP] == 1


def test_a_change_after_the_acknowledgement_is_told():
    node, value = serving()
    register(node)
    first = notice(node, value, b"1", kind=CON)
    value.become(b"2")
    second = one(acknowledge(node, first), NON)
    assert second.payload == b"2"


def test_many_changes_at_once_are_one_notification():
    node, value, _ = watched()
    for i in range(50):
        value.become(b"%d" % i)
    assert one(due(node, 0)).payload == b"49"


def test_the_turns_are_fair():
    node, value = serving()
    busy = node.add("w", Value())
    verify(node)
    register(node, token=b"\1")
    register(node, "w", token=b"\2")
    value.become(b"1")
    tokens = []
    for _i in range(4):
        busy.changed()
        assert node.due(0)
        tokens.append(bytes(node.tx[4:5]))
    assert b"\1" in tokens


# The end of an observation


def test_an_rst_to_a_confirmable_one_ends_this_observation_alone():
    node, value = serving(attributes={"confirmable": True})
    other = node.add("w", Value())
    register(node)
    register(node, "w", b"\2")
    assert reject(node, notice(node, value, b"1", kind=CON)) == []
    value.become(b"2")
    assert due(node, 0) == [] and observers(node) == 1
    assert notice(node, other, b"1", kind=CON).token == b"\2"


def test_an_rst_to_a_non_ends_this_observation_alone():
    node, value, _ = watched()
    other = node.add("w", Value())
    register(node, "w", b"\2")
    message = notice(node, value, b"1")
    reject(node, message, "somebody else")
    assert observers(node) == 2
    reject(node, message)
    value.become(b"2")
    assert due(node, 0) == [] and observers(node) == 1
    assert notice(node, other, b"1").token == b"\2"


def test_giving_up_ends_all_observations_of_the_peer():
    node, value = serving()
    verify(node, "alive")
    register(node, peer="alive")
    register(node, token=b"\1")
    register(node, "v", b"\2")
    other = node.add("w", Value())
    register(node, "w", b"\3")
    value.become(b"1")
    for now in range(0, 200000, 1000):
        due(node, now)
    assert observers(node) == 1 and node.counters[COUNT_GIVEN_UP] == 1
    other.become(b"2")
    assert due(node, 200000) == []
    assert notice(node, value, b"3", 200000, peer="alive").payload == b"3"


@cases(True, False)
def test_an_error_is_the_last_notification(verified):
    node, value = serving()
    if verified:
        verify(node)
    register(node)
    value.delete(None, None)
    message = one(due(node, 0), NON if verified else CON)
    assert (message.code, message.token, message.all(OBSERVE)) == (0x84, b"\1", [])
    if not verified:
        assert observers(node) == 1
        acknowledge(node, message)
    assert observers(node) == 0
    value.exists = True
    value.become(b"back")
    assert due(node, 0) == []


def test_who_comes_back_while_the_last_is_in_flight_stays():
    node, value = serving()
    register(node)
    value.delete(None, None)
    last = one(due(node, 0), CON)
    value.exists = True
    value.become(b"back")
    assert register(node).uint(OBSERVE) is not None
    acknowledge(node, last)
    assert observers(node) == 1
    assert notice(node, value, b"1").payload == b"1"


def test_another_content_format_ends_with_not_acceptable():
    node, value, _ = watched(attributes={"content_formats": None})
    kind = [0]

    def get(request, reply):
        reply.content_format = kind[0]
        return b"x"

    value.handlers[GET] = get
    register(node)
    value.changed()
    assert one(due(node, 0), NON).code == 0x45
    kind[0] = 50
    value.changed()
    message = one(due(node, 0))
    assert (message.code, message.all(OBSERVE)) == (0x86, []) and observers(node) == 0


def test_an_error_to_a_refresh_ends_it():
    node, value, _ = watched()
    assert register(node, options=[option(ACCEPT, 50)]).code == 0x86
    assert observers(node) == 0


def test_a_handler_that_answers_later_can_not_notify():
    node, value, _ = watched()

    def later(request, reply):
        request.defer()
        return SEPARATE

    value.handlers[GET] = later
    value.changed()
    message = one(due(node, 0))
    assert (message.code, message.token) == (0xA0, b"\1")
    assert observers(node) == 0 and node.separate.open_count == 0


def test_a_resource_that_is_removed_ends_it():
    node, value, _ = watched()
    node.remove("v")
    message = one(due(node, 0))
    assert (message.code, message.all(OBSERVE)) == (0x84, []) and observers(node) == 0


def test_observed_resources_that_come_and_go_keep_no_memory():
    node, _ = serving()
    verify(node)

    def come_and_go(times):
        for _ in range(times):
            node.add("name", Value(b"x"))
            register(node, "name")
            node.remove("name")
            acknowledge(node, one(due(node, 0)))
        gc.collect()
        return getattr(gc, "mem_alloc", int)()

    before = come_and_go(20)
    assert come_and_go(100) - before < 1024  # a resource takes about as much
    assert len(node.resources) == 1 and observers(node) == 0


# What a notification says


def test_max_age_and_etag_are_those_of_the_resource():
    node, value, _ = watched(attributes={"max_age_s": 7, "etag": b"e1"})
    message = notice(node, value, b"1")
    assert (message.uint(MAX_AGE), message.all(ETAG)) == (7, [b"e1"])


def test_accept_and_query_of_the_registration_hold():
    node, value = serving(attributes={"content_formats": (0, 50)})
    verify(node)

    def get(request, reply):
        return "{}/{}".format(reply.content_format, request.query("u"))

    value.handlers[GET] = get
    register(node, options=[option(ACCEPT, 50), (QUERY, b"u=a")])
    register(node, token=b"\2", options=[(QUERY, b"u=b")])
    value.changed()
    found = {message.token: message for _, message in due(node, 0)}
    assert (found[b"\1"].payload, found[b"\1"].uint(12)) == (b"50/a", 50)
    assert (found[b"\2"].payload, found[b"\2"].uint(12)) == (b"0/b", 0)


@cases((None, 1024), (0, 16), (3, 128), (6, 1024))
def test_a_large_notification_is_a_first_block(szx, size):
    node, value = serving(Observe(), Blockwise())
    verify(node)
    options = [] if szx is None else [block(BLOCK2, 0, 0, szx)]
    register(node, options=options)
    state = text(2000)
    message = notice(node, value, state)
    assert message.payload == state[:size] and message.uint(OBSERVE) is not None
    assert message.uint(BLOCK2) & 8 and 16 << (message.uint(BLOCK2) & 7) == size
    assert message.uint(SIZE2) == 2000
    # the rest is fetched without Observe, and belongs together by its ETag
    rest = plain(node, token=b"\7", options=[block(BLOCK2, 1, 0, message.uint(BLOCK2) & 7)])
    assert rest.payload == state[size : 2 * size] and rest.all(OBSERVE) == []
    assert rest.all(ETAG) == message.all(ETAG)


def test_a_later_block_registers_nobody():
    node, value = serving(Observe(), Blockwise(), value=text(500))
    answer = register(node, options=[block(BLOCK2, 1)])
    assert answer.payload == text(500)[64:128] and answer.all(OBSERVE) == []
    assert observers(node) == 0


def test_a_block_of_a_request_registers_nobody():
    node, value = serving(Observe(), Blockwise())
    value.handlers[FETCH] = lambda request, reply: request.payload_bytes()
    options = [option(OBSERVE, 0), block(27, 0, 1, 0)]
    answer = ask(node, request(FETCH, "v", options=options, payload=text(16)))
    assert answer.code == 0x5F and answer.all(OBSERVE) == []
    options = [option(OBSERVE, 0), block(27, 1, 0, 0)]
    answer = ask(node, request(FETCH, "v", options=options, payload=b"end"))
    assert answer.payload == text(16) + b"end" and answer.all(OBSERVE) == []
    assert observers(node) == 0


@cases((Observe, NoResponse), (NoResponse, Observe))
def test_who_wants_no_answer_is_not_told(first, second):
    node = seeded(first(), second())
    value = node.add("v", Value())
    answer = register(node, options=[option(NO_RESPONSE, 2)])
    assert answer.code == 0
    value.become(b"1")
    assert due(node, 0) == []


def test_the_clock_may_wrap_in_between():
    start = CLOCK_MASK - 1000
    node, value = serving(ack_random_pct=100)
    register(node, now_ms=start)
    value.become(b"1")
    first = one(due(node, start), CON)
    assert due(node, 0) == []
    again = one(due(node, 1000), CON)
    assert again.mid == first.mid
    acknowledge(node, again, now_ms=1001)
    assert notice(node, value, b"2", 1002).payload == b"2"
