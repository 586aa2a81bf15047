"""Full tables: what one party has taken in the node yields to others.

Whoever comes under OSCORE ranks before a verified peer, and that before a stranger. Deduplication
entries, observers, block-wise transfers, peers and separate responses are attacked in turn.
"""

from coap.access import OPEN
from coap.counters import COUNT_SEPARATE_EVICTED
from coap.numbers import ACK, CHANGED, CON, CONTENT, CONTINUE, GET, NON, PUT, SERVICE_UNAVAILABLE
from coap.presets import default_extensions
from coap.resource import SEPARATE
from support import cases
from support.engine import ask, due, encode, request
from support.features import (
    BLOCK1,
    OBSERVE,
    Value,
    block,
    option,
    plain,
    register,
    seeded,
    text,
    verify,
)
from support.forged_messages import target
from support.oscore_peer import OSCORE, End

HEAP = "2m"
START_MS = 500000
HOST = "10.0.0.9"


def attacked(*features, **settings):
    """A node with keys and an open resource /v, and the other end of its keys."""
    node = target(*features, **settings)
    node.v = node.add("v", Value(access=OPEN))
    return node, End(b"\x02", b"\x01")


def lasting(node, now_ms, span_ms, alive=()):
    """Let time pass; the peers in `alive` acknowledge: [(now_ms, peer, message)] of the node."""
    found = []
    for at_ms in range(now_ms, now_ms + span_ms, 100):
        for peer, message in due(node, at_ms):
            found.append((at_ms, peer, message))
            if message.kind == CON and peer in alive:
                ask(node, encode(ACK, 0, message.mid), peer, at_ms)
    return found


# Deduplication entries


def test_a_client_that_polls_leaves_room_for_others():
    node, end = attacked()
    verify(node, "dashboard", START_MS)
    for i in range(16):
        poll = end.request(request(GET, "lock"))
        assert end.inner(ask(node, poll, "dashboard", START_MS + 1000 * i)).code == CONTENT
    other = ask(node, end.request(request(GET, "lock")), "phone", START_MS + 16000)
    assert end.inner(other).code == CONTENT


def test_requests_without_keys_do_not_lock_out_who_has_keys():
    node, end = attacked()
    verify(node, "attacker", START_MS)
    for _ in range(16):
        assert ask(node, request(PUT, "lock"), "attacker", START_MS).code == 0x81
    assert end.inner(ask(node, end.request(request(PUT, "lock")), "phone", START_MS + 1000)).code
    assert len(node.done) == 1


def test_what_can_not_be_decrypted_is_not_remembered():
    node, _ = attacked()
    verify(node, "attacker", START_MS)
    for _ in range(16):
        forged = request(2, options=[(OSCORE, b"\x09\x05\x02")], payload=b"forged" * 4)
        assert ask(node, forged, "attacker", START_MS).code == 0x80
    assert ask(node, request(PUT, "v"), "stranger", START_MS + 1000).code == CHANGED


def crowded_out(node, now_ms):
    """Take all deduplication entries with requests of other peers."""
    verify(node, "other", now_ms)
    for _ in range(16):
        assert ask(node, request(PUT, "v"), "other", now_ms).code == CHANGED


def test_a_repeated_get_without_its_entry_is_served_again():
    node, end = attacked()
    datagram = end.request(request(GET, "lock"))
    request_piv = end.piv
    verify(node, "peer", START_MS)
    assert end.inner(ask(node, datagram, "peer", START_MS)).code == CONTENT
    pivs = []
    for i in range(3):
        crowded_out(node, START_MS + 1000 * i)
        again = end.inner(ask(node, datagram, "peer", START_MS + 1000 * i), request_piv)
        assert (again.code, again.payload) == (CONTENT, b"locked")
        assert again.piv is not None and again.piv not in pivs, "the nonce was used before"
        pivs.append(again.piv)


def test_a_repeated_get_is_served_five_times():
    node, end = attacked()
    datagram = end.request(request(GET, "lock"))
    verify(node, "peer", START_MS)
    served = 0
    for i in range(9):
        message = ask(node, datagram, "peer", START_MS + 1000 * i)
        served += message is not None and message.all(OSCORE) != []
        crowded_out(node, START_MS + 1000 * i)
    assert served == 1 + 5


def test_a_non_confirmable_get_takes_no_entry():
    node, end = attacked()
    verify(node, "peer", START_MS)
    done = []
    node.put("count", access=OPEN)(lambda request, reply: done.append(1))
    change = request(PUT, "count")
    assert ask(node, change, "peer", START_MS).code == CHANGED
    for _ in range(16):
        assert end.inner(ask(node, end.request(request(GET, "lock", NON)), "peer", START_MS + 100))
    ask(node, change, "peer", START_MS + 200)
    assert done == [1], "executed again"


# Observers


def watched(slots=4, alive=()):
    """A node all of whose observers are taken; those in `alive` have confirmed a notification."""
    node, end = attacked(*default_extensions(observers=slots))
    for peer in ["a", "b", "c", "d"]:
        assert register(node, "v", b"\1", peer, START_MS).all(OBSERVE)
    if alive:
        node.v.become(b"1")
        lasting(node, START_MS, 1000, alive)
    return node, end


def test_who_has_keys_observes_before_who_has_none():
    node, end = watched()
    registration = request(GET, "lock", token=b"k", options=[option(OBSERVE, 0)])
    message = ask(node, end.request(registration), "phone", START_MS + 1000)
    assert end.inner(message).all(OBSERVE), "refused"


def test_a_newcomer_observes_and_those_who_are_gone_leave():
    node, _ = watched()
    start_ms = START_MS + 1000
    assert register(node, "v", b"n", "new", start_ms).all(OBSERVE), "refused"
    at_once = [message for _, message in due(node, start_ms) if message.kind == CON]
    assert 1 <= len(at_once) <= 2, "probes take at most half of the exchanges"
    sent = lasting(node, start_ms + 100, 30000, ["new"])
    for peer in ["a", "b", "c", "d"]:
        probes = [message for _, other, message in sent if other == peer]
        assert len(probes) <= 3, "more than 2 retransmissions of a probe"
    node.v.become(b"2")
    told = [peer for _, peer, message in lasting(node, start_ms + 31000, 1000, ["new"])]
    assert "new" in told


def test_a_dashboard_that_restarts_observes_each_time():
    node, _ = attacked(*default_extensions(observers=4))
    now_ms = START_MS
    for i in range(9):
        peer = "dashboard {}".format(i)  # from another port, the one before is gone
        assert register(node, "v", b"d%d" % i, peer, now_ms).all(OBSERVE), peer
        node.v.become(b"%d" % i)
        told = [other for _, other, _ in lasting(node, now_ms, 60000, [peer])]
        assert peer in told
        now_ms += 600000


def test_where_all_live_one_leaves_and_is_told_so():
    alive = ["a", "b", "c", "d"]
    node, end = watched(alive=alive)
    start_ms = START_MS + 120000
    registration = request(GET, "lock", token=b"k", options=[option(OBSERVE, 0)])
    message = ask(node, end.request(registration), "phone", start_ms)
    assert end.inner(message).all(OBSERVE), "refused"
    sent = lasting(node, start_ms, 59000, alive + ["phone"])
    left = [peer for _, peer, message in sent if message.code == SERVICE_UNAVAILABLE]
    assert len(left) == 1 and left[0] in alive
    for peer in alive:
        probes = [one for _, other, one in sent if other == peer and one.code == CONTENT]
        assert len(probes) <= 1, "probed more than once a minute"


# Block-wise transfers


def upload(node, peer, now_ms, end=None, path="v"):
    """Begin an upload of several blocks: the response to the first one."""
    first = request(PUT, path, options=[block(BLOCK1, 0, 1, 2)], payload=text(64))
    if end is None:
        return ask(node, first, peer, now_ms)
    return end.inner(ask(node, end.request(first), peer, now_ms))


def test_an_abandoned_upload_yields_after_25_s():
    node, _ = attacked(*default_extensions(blocks=2))
    for peer in ("a", "b"):
        assert upload(node, peer, START_MS).code == CONTINUE
    assert upload(node, "c", START_MS + 24000).code == SERVICE_UNAVAILABLE
    assert upload(node, "c", START_MS + 26000).code == CONTINUE


def test_uploads_of_strangers_yield_at_once_to_who_has_keys():
    node, end = attacked(*default_extensions(blocks=2))
    for peer in ("a", "b"):
        assert upload(node, peer, START_MS).code == CONTINUE
    assert upload(node, "phone", START_MS + 100, end, "lock").code == CONTINUE


def test_uploads_of_verified_peers_yield_at_once_to_who_has_keys():
    node, end = attacked(*default_extensions(blocks=2))
    for peer in ("a", "b"):
        verify(node, peer, START_MS)
        assert upload(node, peer, START_MS).code == CONTINUE
    assert upload(node, "phone", START_MS + 100, end, "lock").code == CONTINUE


def test_a_get_with_block1_is_refused():
    node, _ = attacked(*default_extensions(blocks=2))
    first = request(GET, "v", options=[block(BLOCK1, 0, 1, 2)], payload=text(64))
    assert ask(node, first, "stranger", START_MS).code in (0x80, 0x82)


# Peers and the rate limit


def test_ever_new_ports_do_not_escape_the_rate_limit():
    node = seeded(*default_extensions(rate=20))
    node.add("v", Value())
    served = 0
    for i in range(4000):
        peer = (HOST, 1024 + i % 400)
        message = plain(node, peer=peer, now_ms=START_MS + i // 2)
        served += message is not None and message.code == CONTENT
    assert served <= 1000, "{} of 4000 within 2 s at a rate of 20".format(served)


def test_who_has_keys_is_served_when_one_host_holds_all_peer_entries():
    node, end = attacked(*default_extensions(rate=20))
    for i in range(16):
        verify(node, (HOST, 1024 + i), START_MS)
    for i in range(25 * 15):
        now_ms = START_MS + 40 * i
        ask(node, request(GET, "v", NON), (HOST, 9999), now_ms)
        if i >= 25 * 5 and i % 25 == 0:
            phone = ("10.0.0.7", 40000 + i)
            message = ask(node, end.request(request(GET, "lock")), phone, now_ms)
            assert end.inner(message).code == CONTENT


# Separate responses


def promising():
    """A node whose /slow responds later: (node, end, tickets)."""
    node, end = attacked()
    tickets = []

    @node.get("slow", access=OPEN)
    def slow(request, reply):
        tickets.append(request.defer())
        return SEPARATE

    return node, end, tickets


def test_separate_responses_of_strangers_yield_to_who_has_keys():
    node, end, tickets = promising()
    for peer in ("a", "b", "c", "d"):
        assert ask(node, request(GET, "slow"), peer, START_MS).code == 0
    message = ask(node, end.request(request(GET, "slow")), "phone", START_MS + 1000)
    assert message.code == 0, "refused"
    assert len(tickets) == 5


@cases("verified", "with keys")
def test_separate_responses_of_strangers_yield_though_they_are_being_sent(who):
    """Their retransmissions end, too, and the exchange is free again."""
    node, end, tickets = promising()
    for peer in ("a", "b", "c", "d"):
        ask(node, request(GET, "slow"), peer, START_MS)
    for ticket in tickets:
        node.respond(ticket, b"x")
    assert len(due(node, START_MS)) == 4
    datagram = request(GET, "slow")
    if who == "verified":
        verify(node, "phone", START_MS)
    else:
        datagram = end.request(datagram)
    assert ask(node, datagram, "phone", START_MS + 100).code == 0
    assert node.messaging.open_count == 3
    assert node.counters[COUNT_SEPARATE_EVICTED] == 1
    assert node.respond(tickets[4], b"at last")
    sent = lasting(node, START_MS + 200, 5000, ["phone"])
    assert [peer for _, peer, _ in sent].count("phone") == 1


def test_the_lowest_rank_yields_and_of_it_the_oldest():
    node, end, tickets = promising()
    for i, peer in enumerate(("a", "b", "c", "d")):
        if peer in "ac":
            verify(node, peer, START_MS)
        ask(node, request(GET, "slow"), peer, START_MS + 10 * i)
    for i in range(4):
        datagram = end.request(request(GET, "slow"))
        assert ask(node, datagram, ("phone", i), START_MS + 100).code == 0
    assert [node.respond(ticket, b"x") for ticket in tickets] == [False] * 4 + [True] * 4


def test_nobody_yields_to_a_lower_rank_or_at_once_to_its_own():
    node, end, tickets = promising()
    for peer in ("a", "b", "c", "d"):
        ask(node, request(GET, "slow"), peer, START_MS)
    assert ask(node, request(GET, "slow"), "e", START_MS + 24000).code == SERVICE_UNAVAILABLE
    assert ask(node, request(GET, "slow"), "e", START_MS + 25000).code == 0
    assert not node.respond(tickets[0], b"x") and node.respond(tickets[1], b"x")
    for peer in ("b", "c", "d", "e"):
        verify(node, peer, START_MS)
    for now_ms in (START_MS + 30000, START_MS + 200000):
        message = ask(node, request(GET, "slow"), "f", now_ms)
        assert message.code == SERVICE_UNAVAILABLE and message.uint(14) == 5
    for _ in range(4):
        assert ask(node, end.request(request(GET, "slow")), "phone", START_MS + 200000).code == 0
    verify(node, "f", START_MS)
    assert ask(node, request(GET, "slow"), "f", START_MS + 240000).code == SERVICE_UNAVAILABLE


def test_a_client_that_holds_most_separate_responses_yields_to_its_equals():
    """One may fill a table that nobody else wants; then all have their share."""
    node, end, tickets = promising()
    for peer in ("a", "b", "c", "d", "e"):
        verify(node, peer, START_MS)
    for i in range(4):
        ask(node, request(GET, "slow"), "a", START_MS + i)
    assert ask(node, request(GET, "slow"), "a", START_MS + 5).code == SERVICE_UNAVAILABLE
    for peer in ("b", "c", "d"):
        assert ask(node, request(GET, "slow"), peer, START_MS + 10).code == 0
    assert ask(node, request(GET, "slow"), "e", START_MS + 11).code == SERVICE_UNAVAILABLE
    assert [node.respond(ticket, b"x") for ticket in tickets] == [False] * 3 + [True] * 4


def test_a_client_with_keys_counts_by_them_and_not_by_its_addresses():
    node, end, tickets = promising()
    for i in range(4):
        ask(node, end.request(request(GET, "slow")), ("phone", i), START_MS)
    message = ask(node, end.request(request(GET, "slow")), ("phone", 5), START_MS + 1)
    assert end.inner(message).code == SERVICE_UNAVAILABLE


def test_a_separate_response_does_not_wait_for_silent_strangers():
    node, end, tickets = promising()
    for peer in ("a", "b", "c", "d"):
        assert register(node, "v", b"\1", peer, START_MS).all(OBSERVE)
    node.v.become(b"1")
    assert len(due(node, START_MS)) >= 1
    assert ask(node, end.request(request(GET, "slow")), "phone", START_MS + 100).code == 0
    assert node.respond(tickets[0], b"at last")
    sent = lasting(node, START_MS + 200, 25000, ["phone"])
    assert [peer for _, peer, _ in sent].count("phone") == 1


@cases("stranger", "verified")
def test_one_host_does_not_evict_the_requests_of_others(rank):
    """Executed once, though a host floods the table: its own entries yield first."""
    node, _ = attacked()
    done = []
    node.put("count", access=OPEN)(lambda request, reply: done.append(request.payload_bytes()))
    if rank == "verified":
        verify(node, "peer", START_MS)
    genuine = request(PUT, "count", payload=b"genuine")
    ask(node, genuine, "peer", START_MS)
    for i in range(40):
        peer = (HOST, 5000 + i % 8)
        if rank == "verified":
            verify(node, peer, START_MS)
        ask(node, request(PUT, "count", payload=b"flood"), peer, START_MS + 10 + i)
    ask(node, genuine, "peer", START_MS + 2000)
    assert done.count(b"genuine") == 1
