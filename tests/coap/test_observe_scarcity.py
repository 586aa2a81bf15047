"""More observers than entries: who is asked whether it listens, who leaves, and who stays."""

from coap.access import OPEN
from coap.counters import COUNT_GIVEN_UP, COUNT_OBSERVERS_EVICTED, COUNT_OBSERVERS_REFUSED
from coap.numbers import ACK, CON, CONTENT, GET, NON, SERVICE_UNAVAILABLE
from coap.observe import Observe
from coap.peers import VERIFIED
from support import cases
from support.engine import ask, due, encode, request
from support.features import OBSERVE, Value, acknowledge, option, plain, register, seeded, verify
from support.forged_messages import target
from support.oscore_peer import End

HEAP = "2m"
START_MS = 500000
MINUTE_MS = 60000


def full(peers, verified=(), slots=4, **settings):
    """A node whose entries these peers have taken, one each second: (node, its Observe, /v)."""
    node = seeded(Observe(slots), **settings)
    value = node.add("v", Value())
    for i, peer in enumerate(peers):
        if peer in verified:
            verify(node, peer, START_MS)
        assert registers(node, peer, START_MS + 1000 * i)
    return node, node.extensions[0], value


def registers(node, peer, now_ms, token=b"\1"):
    """Return True if the peer observes now."""
    return register(node, "v", token, peer, now_ms).uint(OBSERVE) is not None


def lasting(node, now_ms, span_ms, alive=()):
    """Let time pass; the peers in `alive` acknowledge: [(now_ms, peer, message)] of the node."""
    found = []
    for at_ms in range(now_ms, now_ms + span_ms, 100):
        for peer, message in due(node, at_ms):
            found.append((at_ms, peer, message))
            if message.kind == CON and peer in alive:
                ask(node, encode(ACK, 0, message.mid), peer, at_ms)
    return found


def observing(observe):
    return sorted([peer for peer in observe.peers if peer is not None])


# Probes


@cases((4, 2), (2, 1), (1, 1), (8, 4))
def test_probes_take_half_of_the_exchanges(exchanges, most):
    node, observe, _ = full("abcd", exchanges=exchanges)
    assert registers(node, "new", START_MS + 5000)
    for now_ms in range(START_MS + 5000, START_MS + 90000, 100):
        due(node, now_ms)
        assert node.messaging.open_count <= most
    assert len(observing(observe)) <= 4


def test_a_probe_is_transmitted_three_times():
    node, observe, _ = full("abcd", verified="abcd", ack_random_pct=100)
    assert registers(node, "new", START_MS + 5000)
    sent = lasting(node, START_MS + 5000, 20000, "bcd")
    assert observing(observe) == ["b", "c", "d"] and node.counters[COUNT_GIVEN_UP] == 2
    times = [at_ms - START_MS - 5000 for at_ms, peer, _ in sent if peer == "a"]
    assert [round(ms / 1000) for ms in times] == [0, 2, 6]
    messages = [message for _, peer, message in sent if peer == "a"]
    assert len({message.mid for message in messages}) == 1
    assert messages[0].kind == CON and messages[0].code == CONTENT
    assert messages[0].payload == b"0" and messages[0].uint(OBSERVE) is not None


def test_notifications_in_flight_when_a_newcomer_comes_are_probes():
    node, observe, value = full("abcd", ack_random_pct=100)
    value.become(b"1")
    start_ms = START_MS + 5000
    assert len(lasting(node, start_ms, 1000)) == 4
    assert registers(node, "new", start_ms + 1000)
    sent = lasting(node, start_ms + 1000, 20000, ["new"])
    assert observing(observe) == ["new"]
    assert len(sent) == 4 * 2


def test_strangers_are_asked_first_and_of_a_rank_the_oldest():
    node, observe, _ = full("abcde", verified="bd", slots=5, exchanges=2)
    assert registers(node, "new", START_MS + 9000)
    sent = lasting(node, START_MS + 9000, 1000, ["a", "b", "c", "d", "e", "new"])
    asked = [peer for _, peer, message in sent if message.kind == CON]
    assert asked == ["a", "c", "e", "new", "b", "d"]


def test_who_has_keys_is_asked_last():
    node, end = target(Observe(2), exchanges=2), End(b"\x02", b"\x01")
    node.add("v", Value(access=OPEN))
    first = request(GET, "lock", token=b"k", options=[option(OBSERVE, 0)])
    assert end_of(node, end, first, "phone", START_MS).all(OBSERVE)
    verify(node, "a", START_MS)
    assert registers(node, "a", START_MS + 1000)
    assert registers(node, "new", START_MS + 2000)
    sent = lasting(node, START_MS + 2000, 1000, ["a", "phone", "new"])
    assert [peer for _, peer, message in sent if message.kind == CON] == ["new", "a", "phone"]


def end_of(node, end, datagram, peer, now_ms):
    return end.inner(ask(node, end.request(datagram), peer, now_ms))


def test_nobody_is_asked_twice_within_a_minute():
    node, observe, _ = full("abcd")
    asked = {}
    now_ms = START_MS + 5000
    for i in range(300):
        register(node, "v", b"\2", "new %d" % i, now_ms)
        for at_ms, peer, message in lasting(node, now_ms, 1000, "abcd"):
            if message.kind == CON and message.code == CONTENT and peer in "abcd":
                assert at_ms - asked.get(peer, -MINUTE_MS) >= MINUTE_MS - 100, peer
                asked[peer] = at_ms
        now_ms += 1000
    assert [peer for peer in "abcd" if peer in observing(observe)] == list("abcd")


def test_who_was_asked_before_the_newcomer_came_is_asked_again_after_a_minute():
    node, observe, value = full("abcd")
    value.become(b"1")
    lasting(node, START_MS + 5000, 1000, "abcd")
    assert registers(node, "new", START_MS + 7000)
    # meanwhile "c" has died
    sent = lasting(node, START_MS + 7000, 55000, ["a", "b", "d", "new"])
    assert [(peer, message.code) for _, peer, message in sent] == [("new", CONTENT)]
    assert len(observing(observe)) == 5
    lasting(node, START_MS + 62000, 30000, ["a", "b", "d", "new"])
    assert sorted(observing(observe)) == ["a", "b", "d", "new"]


def test_an_exchange_that_yields_to_a_better_rank_leaves_its_observation():
    node, observe, value = full("abcd", exchanges=2)
    value.become(b"1")
    due(node, START_MS + 5000)
    verify(node, "keys", START_MS + 5000)
    assert node.messaging.open_exchange(Waiting(), "keys", VERIFIED) >= 0
    assert sorted(observing(observe)) == list("abcd")
    sent = lasting(node, START_MS + 6000, 60000, "abcd")
    assert sorted(observing(observe)) == list("abcd")
    assert {peer for _, peer, _ in sent} == set("abcd")


class Waiting:
    """An owner of an exchange with nothing to send."""

    def transmit(self, exchange, mid):
        return 0

    def on_exchange_done(self, exchange, outcome):
        pass


# Who leaves


def test_a_newcomer_that_none_makes_room_for_is_told_so():
    node, observe, value = full("abcd", verified="abcd")
    assert registers(node, "new", START_MS + 5000, b"tok")
    sent = lasting(node, START_MS + 5000, 2000, ["a", "b", "c", "d", "new"])
    assert observing(observe) == list("abcd")
    ((peer, message),) = [(one[1], one[2]) for one in sent if one[2].code != CONTENT]
    assert (peer, message.code, message.kind) == ("new", SERVICE_UNAVAILABLE, NON)
    assert message.token == b"tok" and message.options == [] and message.payload == b""
    assert node.counters[COUNT_OBSERVERS_EVICTED] == 1
    value.become(b"1")
    assert len(due(node, START_MS + 8000)) == 4


def test_a_newcomer_that_is_not_there_leaves_without_a_word():
    node, observe, _ = full("abcd", verified="abcd")
    assert registers(node, "forged", START_MS + 5000)
    sent = lasting(node, START_MS + 5000, 30000, "abcd")
    assert observing(observe) == list("abcd")
    assert [message.code for _, peer, message in sent if peer == "forged"] == [CONTENT] * 3


def test_one_gateway_has_all_entries_until_somebody_else_comes():
    node = seeded(Observe(4))
    node.add("v", Value())
    observe = node.extensions[0]
    alive = ["gateway", "phone"]
    now_ms = START_MS
    for i in range(4):
        assert registers(node, "gateway", now_ms, bytes((i,)))
        assert lasting(node, now_ms, 1000, alive) == []
        now_ms += 1000
    for _ in range(5):
        assert registers(node, "gateway", now_ms, b"\5") and registers(node, "phone", now_ms)
        sent = lasting(node, now_ms, 30000, alive)
        told = [peer for _, peer, message in sent if message.code == SERVICE_UNAVAILABLE]
        assert told and not [peer for peer in told if peer != "gateway"]
        assert observing(observe) == ["gateway"] * 3 + ["phone"]
        now_ms += 90000


@cases(3000, 5000, 15000)
def test_a_program_that_is_started_again_and_again_always_observes(pause_ms):
    """Each time it leaves a registration behind, which it has confirmed while it ran."""
    node, observe, _ = full("ab", verified="ab", slots=8)
    now_ms = START_MS + 2000
    refused = 0
    for i in range(40):
        peer = ("host", i)
        verify(node, peer, now_ms)
        refused += not registers(node, peer, now_ms)
        lasting(node, now_ms, pause_ms, ["a", "b", peer])
        now_ms += pause_ms
    assert refused == 0
    assert "a" in observe.peers and "b" in observe.peers


def test_an_entry_is_safe_from_its_own_host_for_ten_seconds():
    peers = [("host", i) for i in range(4)]
    node, observe, _ = full(peers, verified=peers)
    verify(node, ("x", 1), START_MS)
    verify(node, ("host", 9), START_MS)
    assert registers(node, ("x", 1), START_MS + 3000)
    assert not registers(node, ("host", 9), START_MS + 4000)
    assert registers(node, ("host", 9), START_MS + 10500)
    assert peers[0] not in observe.peers and ("x", 1) in observe.peers


def test_a_forged_address_takes_no_entry_of_the_host_that_it_names():
    peers = [("host", i) for i in range(5)]
    node, observe, _ = full(peers[:4], verified=peers[:4])
    verify(node, peers[4], START_MS)
    assert registers(node, peers[4], START_MS + 5000)
    for i in range(100, 120):
        assert not registers(node, ("host", i), START_MS + 40000 + i)
    assert observing(observe) == peers


def test_who_has_keys_evicts_at_once_while_others_are_asked():
    node, end = target(Observe(2)), End(b"\x02", b"\x01")
    node.add("v", Value(access=OPEN))
    for peer in "abc":
        verify(node, peer, START_MS)
        assert registers(node, peer, START_MS)
    for i in range(3):
        first = request(GET, "lock", token=bytes((i,)), options=[option(OBSERVE, 0)])
        assert end_of(node, end, first, "phone", START_MS + i).all(OBSERVE)
    sent = due(node, START_MS + 10)
    assert sorted([peer for peer, one in sent if one.code == SERVICE_UNAVAILABLE]) == list("abc")
    assert observing(node.extensions[0]) == ["phone"] * 3
    assert register(node, "v", peer="d", now_ms=START_MS + 20).uint(OBSERVE) is None
    assert node.counters[COUNT_OBSERVERS_REFUSED] == 1


def test_who_has_keys_is_told_under_them():
    node, end = target(Observe(1)), End(b"\x02", b"\x01")
    other = End(b"\x02", b"\x01")
    pivs = []
    for i, peer in enumerate(("phone", "tablet")):
        first = request(GET, "lock", token=bytes((i,)), options=[option(OBSERVE, 0)])
        assert end.inner(ask(node, end.request(first), peer, START_MS + i)).all(OBSERVE)
        pivs.append(end.piv)
    sent = lasting(node, START_MS + 10, 3000, ["phone", "tablet"])
    codes = []
    for _, peer, message in sent:
        inner = other.read(message, pivs[peer == "tablet"])
        codes.append((peer, inner.code))
    assert codes == [("tablet", CONTENT), ("phone", CONTENT), ("tablet", SERVICE_UNAVAILABLE)] or (
        codes == [("phone", CONTENT), ("tablet", CONTENT), ("tablet", SERVICE_UNAVAILABLE)]
    )


def test_a_stranger_gets_in_and_stays_though_many_are_forged():
    """Twenty forged registrations a second; one client tries every two seconds."""
    node, observe, value = full("ab", verified="ab", slots=4)
    now_ms = START_MS + 2000
    tries = []
    for i in range(60 * 20):
        gap_ms = 10 + i * 37 % 83
        register(node, "v", b"\3", "forged %d" % i, now_ms)
        if i % 40 == 39 and "phone" not in observe.peers:
            tries.append(registers(node, "phone", now_ms + gap_ms - 5))
        for at_ms in range(now_ms, now_ms + gap_ms, 5):
            lasting(node, at_ms, 1, ["a", "b", "phone"])
        now_ms += gap_ms
    assert "phone" in observe.peers and node.messaging.is_verified("phone"), tries
    assert len(tries) <= 8, tries
    assert "a" in observe.peers and "b" in observe.peers


def test_registrations_that_are_forged_again_prove_nothing():
    node, observe, _ = full("abcd", verified="a")
    assert registers(node, "new", START_MS + 5000)
    for second in range(5, 27):
        now_ms = START_MS + 1000 * second
        for peer in "bcd":
            if peer in observe.peers:
                assert registers(node, peer, now_ms)
        lasting(node, now_ms, 1000, ["a", "new"])
    assert "b" not in observe.peers and "a" in observe.peers and "new" in observe.peers


def test_an_observer_restored_after_sleep_is_not_restored_into_the_spare_entry():
    node, observe, _ = full("abcd")
    node.pack_peer, node.unpack_peer = str.encode, lambda packed: str(packed, "utf-8")
    assert registers(node, "new", START_MS + 5000)
    again, _ = seeded(Observe(4)), node.extensions
    again.add("v", Value())
    again.unpack_peer = node.unpack_peer
    assert again.restore(node.state(), START_MS)
    assert observing(again.extensions[0]) == list("abcd")
    less = seeded(Observe(2))
    less.add("v", Value())
    less.unpack_peer = node.unpack_peer
    assert less.restore(node.state(), START_MS)
    assert len(observing(less.extensions[0])) == 2


def test_settling_keeps_who_acknowledged():
    node, observe, value = full("abcd")
    value.become(b"1")
    lasting(node, START_MS + 5000, 4000, "abd")  # c is silent
    assert registers(node, "new", START_MS + 9000)
    observe.settle()
    observe.settle()
    assert observing(observe) == ["a", "b", "d", "new"]


# A new representation has a new MID


def test_a_state_that_changes_in_silence_has_a_new_mid():
    node = seeded(Observe())
    value = node.add("v", Value(b"1"))
    register(node, now_ms=START_MS)
    value.become(b"2")
    ((_, first),) = due(node, START_MS)
    ((_, again),) = due(node, START_MS + 3000)
    assert again.mid == first.mid and again.payload == first.payload
    value.value = b"3"  # without changed()
    ((_, other),) = due(node, START_MS + 9000)
    assert other.payload == b"3" and other.mid != first.mid
    assert other.uint(OBSERVE) > first.uint(OBSERVE)
    assert acknowledge(node, other, now_ms=START_MS + 9000) == [] and node.extensions[0].used == 1


def test_an_rst_for_what_came_before_a_new_registration_does_not_end_it():
    node = seeded(Observe())
    value = node.add("v", Value(b"1"))
    register(node, now_ms=START_MS)
    value.become(b"2")
    ((_, first),) = due(node, START_MS)
    register(node, now_ms=START_MS + 100)
    ask(node, encode(3, 0, first.mid), "peer", START_MS + 200)
    assert node.extensions[0].used == 1 and node.messaging.open_count == 0
    assert plain(node).code == CONTENT
