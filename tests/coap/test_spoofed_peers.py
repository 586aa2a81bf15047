"""Forged source addresses: nobody is made to receive what he has not asked for, or kept from
being served (RFC 7252 section 11.3, RFC 9175 section 2.4).
"""

from coap.access import OPEN
from coap.numbers import ACK, CHANGED, CON, CONTENT, GET, NON, PUT, RST
from coap.presets import default_extensions
from support import cases
from support.engine import answer, ask, decode, due, encode, request
from support.features import BLOCK2, Value, plain, register, seeded, text
from support.forged_messages import target
from support.oscore_peer import End

HEAP = "2m"
START_MS = 500000
SAFE_BYTES = 136  # RFC 9175 section 2.4
FACTOR = 3
BUDGET_BYTES = 8192
BUDGET_MS = 10000


def serving(**settings):
    node = seeded(*default_extensions(**settings))
    node.add("large", Value(text(1000)))
    node.v = node.add("v", Value())
    for i in range(20):
        node.add("rooms/{}/temperature".format(i), Value(rt="oic.r.temperature"))
    return node


# Amplification


@cases("large", ".well-known/core")
def test_a_flood_of_forged_addresses_is_not_amplified(path):
    node = serving(rate=20)
    beyond = 0
    for i in range(200):
        datagram = request(GET, path)
        now_ms = START_MS + i * BUDGET_MS // 200
        response = answer(node, datagram, "victim {}".format(i), now_ms)
        if response:
            beyond += max(0, len(response) - max(FACTOR * len(datagram), SAFE_BYTES))
    assert beyond <= BUDGET_BYTES + 1152, "{} bytes within 10 s".format(beyond)


def test_under_a_flood_strangers_get_a_first_block():
    node = serving(rate=20)
    assert plain(node, "large", peer="early", now_ms=START_MS).payload == text(1000)
    for i in range(50):
        plain(node, "large", peer="victim {}".format(i), now_ms=START_MS + i * BUDGET_MS // 50)
    data = answer(node, request(GET, "large"), "late", START_MS + BUDGET_MS - 100)
    assert len(data) <= SAFE_BYTES
    message = decode(data)
    assert message.code == CONTENT and message.uint(BLOCK2) & 8


# What verifies an address


def test_the_mids_of_others_do_not_tell_that_of_a_notification():
    node = serving()
    for i in range(4):
        assert register(node, "v", peer="victim {}".format(i), now_ms=START_MS).code == CONTENT
    before = ask(node, request(GET, "v", NON), "attacker", START_MS).mid
    node.v.become(b"1")
    sent = due(node, START_MS)
    after = ask(node, request(GET, "v", NON), "attacker", START_MS).mid
    assert len(sent) == 4 and all(message.kind == CON for _, message in sent)
    for _, message in sent:
        for known in (before, after):
            distance = (message.mid - known) & 0xFFFF
            assert 64 < distance < 65536 - 64, "guessed at once: {}".format(distance)


@cases(ACK, RST)
def test_who_guesses_mids_verifies_nobody(kind):
    node = serving()
    assert register(node, "v", peer="victim", now_ms=START_MS).code == CONTENT
    node.v.become(b"1")
    ((_, message),) = due(node, START_MS)
    assert message.kind == CON
    for wrong in range(1, 9):
        guess = encode(kind, 0, message.mid + wrong & 0xFFFF)
        assert ask(node, guess, "victim", START_MS + wrong) is None
    ask(node, encode(ACK, 0, message.mid), "victim", START_MS + 100)
    node.v.become(b"2")
    assert due(node, START_MS + 1000) == [], "a stream of notifications to a forged address"


def test_a_registration_that_nobody_confirms_ends():
    node = serving()
    node.v.confirmable = False
    assert register(node, "v", peer="victim", now_ms=START_MS).code == CONTENT
    count = 0
    for i in range(60):
        node.v.become(b"%d" % i)
        for now_ms in range(START_MS + 60000 * i, START_MS + 60000 * (i + 1), 1000):
            count += len(due(node, now_ms))
    assert count <= 5, "more than the transmissions of one exchange"


# Duplicates of messages that are no duplicates


@cases((b"forg", b"1 genuine"), (b"genu", b"forged"))
def test_a_forged_request_does_not_block_one_with_its_mid(token, payload):
    node = serving()
    forged = request(PUT, "v", mid=77, token=token, payload=payload)
    assert ask(node, forged, "peer", START_MS).code == CHANGED
    genuine = request(PUT, "v", mid=77, token=b"genu", payload=b"1 genuine")
    message = ask(node, genuine, "peer", START_MS + 100)
    assert message.token == b"genu", "the response to another request"
    assert node.v.value == b"1 genuine"
    assert ask(node, genuine, "peer", START_MS + 200).token == b"genu"


def test_a_forged_request_does_not_block_a_protected_one_with_its_mid():
    node, end = target(), End(b"\x02", b"\x01")
    node.add("v", Value(access=OPEN))
    for path in ("lock", "v"):  # refused, and not
        assert ask(node, request(PUT, path, mid=77, token=b"f"), "peer", START_MS) is not None
    genuine = end.request(request(PUT, "lock", mid=77, token=b"g", payload=b"1"))
    message = ask(node, genuine, "peer", START_MS + 100)
    assert end.inner(message).code == CHANGED and message.token == b"g"
    assert len(node.done) == 1
