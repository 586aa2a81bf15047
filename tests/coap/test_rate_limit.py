"""The rate limit: strangers are held down, the others go on."""

from coap.blockwise import Blockwise
from coap.counters import COUNT_RATE_LIMITED
from coap.numbers import ACK, CLOCK_MASK, DELETE, GET, NON, POST, PUT
from coap.observe import Observe
from coap.rate_limit import RateLimit
from support import cases
from support.engine import answer, ask, due, encode, request
from support.features import (
    BLOCK1,
    BLOCK2,
    MAX_AGE,
    OBSERVE,
    Value,
    block,
    plain,
    register,
    seeded,
    text,
    verify,
)

START_MS = 500000


def serving(*features, peers=16, **settings):
    node = seeded(*features, peers=peers, **settings)
    value = node.add("v", Value(b"value"))
    value.handlers[POST] = lambda request, reply: b"posted"
    return node


def burst(node, n, now_ms=START_MS, peer="peer", code=GET):
    """How many of n requests at once are served."""
    served = 0
    for _ in range(n):
        code_of_answer = ask(node, request(code, "v"), peer, now_ms).code
        assert code_of_answer in (0x45, 0x44, 0x9D)
        served += code_of_answer != 0x9D
    return served


@cases(GET, POST)
def test_a_burst_then_the_rate(code):
    node = serving(RateLimit(rate=10, burst=20))
    assert burst(node, 30, code=code) == 20
    assert node.counters[COUNT_RATE_LIMITED] == 10
    assert burst(node, 5, START_MS + 99, code=code) == 0
    assert burst(node, 5, START_MS + 100, code=code) == 1
    assert burst(node, 5, START_MS + 1100, code=code) == 5
    assert burst(node, 9, START_MS + 1100, code=code) == 5


@cases((1, 2), (1, 5), (3, 7), (20, 40), (1000, 1), (100, 1000))
def test_over_time_the_rate_is_what_is_served(rate, most):
    node = serving(RateLimit(rate=rate, burst=most))
    burst(node, most, START_MS)
    now = START_MS
    served = tries = 0
    while tries < 3000:
        now += 1 + 300 // rate
        tries += 1
        served += burst(node, 1, now)
    expected = (now - START_MS) * rate // 1000
    assert expected - 1 <= served <= min(expected + 1, tries), (served, expected)


def test_an_answer_of_4_29_says_when_to_come_back():
    for rate, seconds in ((1, 2), (2, 1), (50, 1)):
        node = serving(RateLimit(rate=rate, burst=1))
        assert burst(node, 1) == 1
        message = plain(node, now_ms=START_MS)
        assert (message.code, message.uint(MAX_AGE), message.payload) == (0x9D, seconds, b"")
        assert plain(node, now_ms=START_MS + 1000 * seconds).code == 0x45


def test_a_non_is_dropped_silently():
    node = serving(RateLimit(rate=1, burst=1))
    burst(node, 1)
    assert answer(node, request(GET, "v", NON), now_ms=START_MS) is None
    assert answer(node, request(POST, "v", NON), now_ms=START_MS) is None
    assert node.counters[COUNT_RATE_LIMITED] == 2


def test_acknowledgements_pings_and_nonsense_are_not_counted():
    node = serving(RateLimit(rate=1, burst=1))
    for _ in range(5):
        assert answer(node, encode(ACK, 0, 5), now_ms=START_MS) is None
        assert answer(node, "40 00 00 01", now_ms=START_MS) == b"\x70\0\0\1"
        assert answer(node, "4f 01 00 01", now_ms=START_MS) == b"\x70\0\0\1"
    assert burst(node, 2) == 1


def test_what_was_refused_was_not_executed():
    node = serving(RateLimit(rate=1, burst=1))
    burst(node, 1)
    assert ask(node, request(DELETE, "v"), now_ms=START_MS).code == 0x9D
    assert node.resource_at("v").exists


def test_each_peer_has_its_own():
    node = serving(RateLimit(rate=1, burst=3))
    assert burst(node, 5, peer="one") == 3
    assert burst(node, 5, peer="two") == 3


def test_who_was_never_seen_has_the_whole_burst_at_any_time():
    for start in (0, 1, 1000, CLOCK_MASK // 2, CLOCK_MASK):
        node = serving(RateLimit(rate=1, burst=3))
        assert burst(node, 5, start) == 3


def test_the_clock_may_wrap_in_between():
    node = serving(RateLimit(rate=10, burst=20))
    assert burst(node, 20, CLOCK_MASK - 99) == 20
    assert burst(node, 1, CLOCK_MASK - 1) == 0
    assert burst(node, 5, 0) == 1
    assert burst(node, 40, 5000) == 20


@cases(2000, 60000, 1 << 20, 1 << 29, CLOCK_MASK - 1)
def test_after_a_long_span_it_is_full_and_not_fuller(span):
    node = serving(RateLimit(rate=10, burst=20))
    assert burst(node, 30, START_MS) == 20
    assert burst(node, 30, (START_MS + span) & CLOCK_MASK) == 20


def test_eight_later_blocks_count_as_a_request():
    node = serving(RateLimit(rate=1, burst=3), Blockwise())
    node.resource_at("v").value = text(4096)
    assert plain(node, options=[block(BLOCK2, 0, 0, 2)], now_ms=START_MS).code == 0x45
    codes = [
        plain(node, options=[block(BLOCK2, 1 + num, 0, 2)], now_ms=START_MS).code
        for num in range(17)
    ]
    assert codes == [0x45] * 16 + [0x9D]


def test_a_rate_of_0_is_no_limit():
    node = serving(RateLimit(rate=0, burst=1))
    assert burst(node, 100) == 100


def test_a_host_has_one_limit_whatever_its_ports():
    node = serving(RateLimit(rate=1, burst=20))
    assert sum([burst(node, 5, peer=("10.0.0.9", 1024 + i)) for i in range(20)]) == 20
    assert burst(node, 20, peer=("10.0.0.8", 5)) == 20


def test_all_unverified_hosts_share_a_limit_and_verified_ones_have_their_own():
    node = serving(RateLimit(rate=1, burst=20))
    verify(node, "friend", START_MS)
    flood = [
        burst(node, 1, START_MS, ("10.0.{}.{}".format(i >> 8, i & 255), 5)) for i in range(800)
    ]
    assert sum(flood) == 32 * 20
    assert burst(node, 1, START_MS, "stranger") == 0
    assert burst(node, 30, START_MS, "friend") == 20
    assert burst(node, 100, START_MS + 1000, ("10.9.9.9", 5)) == 20


def test_ten_clients_of_one_address_are_all_served():
    node = serving(RateLimit(rate=20, burst=40))
    for i in range(10):
        assert burst(node, 4, START_MS, ("10.0.0.9", 1024 + i)) == 4


# A flood


def flood(node, now_ms, n=300):
    """One GET, one POST, a registration and a first block from each of n ports."""
    for port in range(n):
        peer = "stranger %d" % port
        plain(node, peer=peer, now_ms=now_ms)
        ask(node, request(POST, "v"), peer, now_ms)
        register(node, token=b"%d" % port, peer=peer, now_ms=now_ms)
        options = [block(BLOCK1, 0, 1, 0)]
        ask(node, request(PUT, "v", options=options, payload=b"x" * 16), peer, now_ms)


@cases(0, 5)
def test_a_flood_from_300_peers_leaves_a_verified_one_working(rate):
    node = serving(
        RateLimit(rate=rate, burst=40), Observe(slots=2), Blockwise(slots=2), dedup_entries=4
    )
    value = node.resource_at("v")
    verify(node, "good", START_MS)
    assert register(node, peer="good", now_ms=START_MS).uint(OBSERVE) is not None
    post = request(PUT, "v", payload=b"once")
    assert ask(node, post, "good", START_MS).code == 0x44
    body = text(64)

    def send(num):
        options = [block(BLOCK1, num, 1 if num < 3 else 0, 0)]
        piece = body[16 * num : 16 * num + 16]
        return ask(node, request(PUT, "v", options=options, payload=piece), "good", START_MS)

    assert send(0).code == 0x5F and send(1).code == 0x5F
    flood(node, START_MS)
    assert len(node.messaging.peer_indexes) == 16
    # its response is cached,
    value.value = b"since"
    assert ask(node, post, "good", START_MS).code == 0x44 and value.value == b"since"
    # its transfer goes on, its observation stands, and it is served
    assert send(2).code == 0x5F and send(3).code == 0x44 and value.value == body
    sent = [message for peer, message in due(node, START_MS) if peer == "good"]
    assert [message.payload for message in sent] == [body]
    assert plain(node, peer="good", now_ms=START_MS).payload == body
    assert node.messaging.is_verified("good")
    if rate:
        assert burst(node, 40, peer="good") > 20
