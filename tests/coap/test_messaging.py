"""The message layer: duplicates, MIDs, retransmission (RFC 7252 section 4), in virtual time."""

from coap.counters import (
    COUNT_DUPLICATES,
    COUNT_GIVEN_UP,
    COUNT_NO_EXCHANGE,
    COUNT_PEERS_EVICTED,
    COUNT_REFUSED,
    COUNT_RESPONSES_EVICTED,
    COUNT_RETRANSMISSIONS,
)
from coap.node import Node
from coap.numbers import ACK, CHANGED, CON, CONTENT, GET, NON, POST, PUT, RST, SERVICE_UNAVAILABLE
from support import cases
from support.engine import (
    Peer,
    answer,
    ask,
    decode,
    due,
    encode,
    next_mid,
    reject,
    request,
    silent,
)
from support.lossy_link import LossyLink

WRAP = 1 << 30


def counting(**settings):
    """A node whose /n counts what is done to it, and the list of that."""
    node = Node(**settings)
    done = []

    def handler(request, reply):
        done.append(request.method)
        return b"%d" % len(done)

    for method in (node.get, node.put, node.post, node.delete):
        method("n")(handler)
    return node, done


# Duplicates


@cases((POST,), (PUT,), (4,))
def test_a_repeat_is_answered_and_not_executed(method):
    node, done = counting()
    data = request(method, "n", payload=b"x")
    first = answer(node, data)
    assert decode(first).payload == b"1"
    for now_ms in (1, 2000, 246999):
        assert answer(node, data, now_ms=now_ms) == first
    assert done == [method]
    assert node.counters[COUNT_DUPLICATES] == 3


def test_a_get_may_be_answered_anew():
    node, done = counting(dedup_entries=1)
    post = request(POST, "n")
    first = answer(node, post)
    data = request(GET, "n")
    assert ask(node, data).payload == b"2"
    assert ask(node, data).payload == b"3"
    assert answer(node, post) == first  # a GET takes no place


def test_other_requests_in_between_leave_the_reply_as_it_was():
    node, done = counting()
    data = request(POST, "n")
    first = answer(node, data)
    for kind in (CON, NON):
        for path in ("n", "nowhere"):
            answer(node, request(GET, path, kind))
    answer(node, encode(CON, 0, 1))
    answer(node, encode(NON, GET, 1) + b"\xf0")
    assert answer(node, data) == first


def test_the_same_mid_of_another_peer_is_another_request():
    node, done = counting()
    data = request(POST, "n")
    for peer in (("10.0.0.1", 1), ("10.0.0.1", 2), ("10.0.0.2", 1), b"\x02\x00packed"):
        assert ask(node, data, peer).payload == b"%d" % len(done)
    assert len(done) == 4
    assert ask(node, data, ("10.0.0.1", 2)).payload == b"2"
    assert len(done) == 4


@cases((b"two", b""), (b"one", b"x"))
def test_another_message_with_the_same_mid_is_another_request(token, payload):
    node, done = counting()
    first = answer(node, request(POST, "n", mid=5, token=b"one"))
    other = request(POST, "n", mid=5, token=token, payload=payload)
    assert ask(node, other).token == token
    assert len(done) == 2
    assert answer(node, request(POST, "n", mid=5, token=b"one")) == first
    assert len(done) == 2


def test_a_repeated_non_is_dropped():
    node, done = counting()
    data = request(POST, "n", NON)
    assert ask(node, data).payload == b"1"
    assert answer(node, data) is None
    assert answer(node, data, now_ms=144999) is None
    assert len(done) == 1
    assert ask(node, data, now_ms=145000).payload == b"2"


def test_a_non_is_not_the_first_to_be_pushed_out():
    node, done = counting(dedup_entries=4)
    for i in range(4):
        answer(node, request(POST, "n"), now_ms=i)
    data = request(POST, "n", NON)
    answer(node, data, now_ms=10)
    answer(node, request(POST, "n"), peer="another", now_ms=11)
    assert answer(node, data, now_ms=12) is None
    assert len(done) == 6


def test_lifetimes():
    node, done = counting()
    data = request(POST, "n")
    answer(node, data, now_ms=0)
    assert ask(node, data, now_ms=246999).payload == b"1"
    assert ask(node, data, now_ms=247000).payload == b"2"
    node, done = counting(exchange_lifetime_ms=100, non_lifetime_ms=50)
    answer(node, data, now_ms=0)
    assert ask(node, data, now_ms=99).payload == b"1"
    assert ask(node, data, now_ms=100).payload == b"2"


def test_lifetimes_across_the_wrap_of_the_clock():
    for kind, lifetime_ms in ((CON, 247000), (NON, 145000)):
        node, done = counting()
        data = request(POST, "n", kind)
        answer(node, data, now_ms=WRAP - 1000)
        answer(node, data, now_ms=lifetime_ms - 1001)
        assert len(done) == 1
        answer(node, data, now_ms=lifetime_ms - 1000)
        assert len(done) == 2


def test_what_is_forgotten_does_not_come_back_when_the_clock_comes_round():
    node, done = counting()
    data = request(POST, "n")
    answer(node, data, now_ms=5)
    now_ms = 5
    slept = 0
    while slept < WRAP:  # 12 days, woken only when the node says
        due(node, now_ms)
        span = node.wait_ms(now_ms)
        assert 0 < span <= WRAP - slept or slept + span > WRAP
        span = min(span, WRAP - slept)
        slept += span
        now_ms = (now_ms + span) % WRAP
    assert now_ms == 5
    assert ask(node, data, now_ms=now_ms + 1).payload == b"2"


def test_a_reply_of_64_bytes_is_kept_and_a_longer_one_as_its_code():
    node = Node()
    size = [0]
    done = []

    @node.post("n")
    def handler(request, reply):
        done.append(1)
        return b"x" * size[0]

    for length, whole in ((64, True), (65, False)):
        size[0] = length - 4 - 2 - 1 - 1  # header, token, Content-Format, marker
        data = request(POST, "n")
        first = answer(node, data)
        assert len(first) == length
        again = answer(node, data)
        if whole:
            assert again == first
        else:
            assert again == encode(ACK, CHANGED, decode(first).mid, b"\xa1\xb2")
    assert len(done) == 2


def test_the_longest_reply_that_is_kept_is_a_setting():
    node, done = counting(cached_response_bytes=8)
    data = request(POST, "n")
    assert ask(node, data).payload == b"1"
    assert ask(node, data).payload == b""
    node, done = counting(cached_response_bytes=9)
    data = request(POST, "n")
    assert answer(node, data) == answer(node, data)
    assert len(done) == 1


def test_refusals_are_kept_like_answers():
    node, done = counting()
    node.get("read-only")(lambda request, reply: b"")
    for data in (
        request(PUT, "nowhere"),
        request(PUT, "read-only"),
        request(PUT, "n", options=[(19, b"")]),
        request(PUT, "n", options=[(35, b"coap://x")]),
        request(PUT, "n", options=[(1, b"x")]),
    ):
        first = answer(node, data)
        assert decode(first).code >= 0x80
        assert answer(node, data) == first
    assert node.counters[COUNT_DUPLICATES] == 5
    assert done == []


def test_a_full_memory_gives_up_its_oldest():
    node, done = counting(dedup_entries=3)
    data = [request(POST, "n") for _ in range(4)]
    for i in range(3):
        answer(node, data[i], now_ms=i)
    assert node.counters[COUNT_RESPONSES_EVICTED] == 0
    answer(node, data[3], now_ms=3)
    assert node.counters[COUNT_RESPONSES_EVICTED] == 1
    assert len(done) == 4
    for i in (1, 2, 3):
        assert ask(node, data[i], now_ms=4).payload == b"%d" % (i + 1)
    assert len(done) == 4
    assert ask(node, data[0], now_ms=4).payload == b"5"  # forgotten: executed once more


def test_what_died_is_not_counted_as_pushed_out():
    node, done = counting(dedup_entries=1)
    answer(node, request(POST, "n"), now_ms=0)
    answer(node, request(POST, "n"), now_ms=247000)
    assert node.counters[COUNT_RESPONSES_EVICTED] == 0


# Peers


def verify(node, peer, now_ms=0):
    """Let a peer show that it receives: it acknowledges a CON of the node's."""

    class Owner:
        def transmit(self, slot, mid):
            data = encode(CON, CONTENT, mid)
            node.tx[: len(data)] = data
            return len(data)

        def on_exchange_done(self, slot, how):
            self.how = how

    owner = Owner()
    assert node.messaging.open_exchange(owner, peer) >= 0
    sent = due(node, now_ms)
    assert [one[0] for one in sent] == [peer]
    assert answer(node, encode(ACK, 0, sent[0][1].mid), peer, now_ms) is None
    assert owner.how == 0
    assert node.messaging.is_verified(peer)


def test_only_who_acknowledges_is_verified():
    node, done = counting()
    answer(node, request(POST, "n"), "stranger")
    assert not node.messaging.is_verified("stranger")
    answer(node, encode(ACK, 0, 1), "stranger")
    answer(node, encode(RST, 0, 1), "stranger")
    assert not node.messaging.is_verified("stranger")
    verify(node, "friend")
    assert not node.messaging.is_verified("stranger")


def test_strangers_do_not_push_out_what_a_verified_peer_did():
    node, done = counting(dedup_entries=4)
    verify(node, "friend")
    data = request(POST, "n")
    first = answer(node, data, "friend")
    for i in range(20):
        answer(node, request(POST, "n"), "stranger", i)
    assert len(done) == 21
    assert answer(node, data, "friend", 100) == first
    assert len(done) == 21


def test_a_memory_full_of_verified_peers_refuses_strangers():
    node, done = counting(dedup_entries=2)
    data = [request(POST, "n"), request(POST, "n")]
    for peer in ("friend", "other"):
        verify(node, peer)
    first = [answer(node, data[0], "friend"), answer(node, data[1], "other")]
    message = ask(node, request(POST, "n"), "stranger")
    assert message.code == SERVICE_UNAVAILABLE
    assert len(done) == 2
    assert node.counters[COUNT_REFUSED] == 1
    assert answer(node, data[0], "friend") == first[0]
    assert answer(node, data[1], "other") == first[1]
    # of one who has them all one yields
    verify(node, "greedy")
    for now_ms in (10, 20):
        assert ask(node, request(POST, "n"), "greedy", now_ms).code == 0x44
    assert ask(node, request(POST, "n"), "stranger", 30).code == 0x44
    # reading is still possible, and so is everything when the memory has aged
    assert ask(node, request(GET, "n"), "stranger").code == CONTENT
    assert ask(node, request(POST, "n"), "stranger", 247000).code == CHANGED


def test_a_refusal_of_a_non_has_a_mid_of_ours():
    node, done = counting(dedup_entries=1)
    verify(node, "friend")
    answer(node, request(POST, "n"), "friend")
    mids = [ask(node, request(POST, "n", NON, 77), peer).mid for peer in ("one", "two")]
    assert 77 not in mids and mids[0] != mids[1]


def test_a_flood_from_300_ports():
    node, done = counting(dedup_entries=8, peers=8)
    verify(node, "friend")
    data = request(POST, "n")
    first = answer(node, data, "friend")
    for port in range(300):
        message = ask(node, request(POST, "n", mid=port), ("10.9.8.7", port), port)
        assert message.code in (CHANGED, SERVICE_UNAVAILABLE)
    assert len(node.messaging.peer_indexes) <= 8
    assert node.counters[COUNT_PEERS_EVICTED] == 301 - 8
    assert node.messaging.is_verified("friend")
    executed = len(done)
    assert answer(node, data, "friend", 300) == first
    assert len(done) == executed
    assert ask(node, request(POST, "n", mid=9), "friend", 301).code == CHANGED


def test_a_stranger_never_takes_the_number_of_a_verified_peer():
    node, done = counting(peers=3)
    for peer in ("a", "b", "c"):
        verify(node, peer, 1000)
    for kind in (CON, NON):
        message = ask(node, request(POST, "n", kind), "stranger", 1001)
        assert message.code == SERVICE_UNAVAILABLE
    assert done == []
    assert all(node.messaging.is_verified(peer) for peer in ("a", "b", "c"))
    assert ask(node, request(POST, "n"), "b", 1002).code == CHANGED
    # but nobody is locked out for ever by peers that have gone
    verify(node, "b", 200000)
    assert ask(node, request(POST, "n"), "stranger", 1000 + 247000).code == CHANGED
    assert node.messaging.is_verified("b")


def test_a_verified_peer_finds_room_among_verified_peers():
    node, done = counting(peers=2)
    for peer in ("a", "b", "c"):
        verify(node, peer)
    assert node.messaging.is_verified("c")
    assert len(node.messaging.peer_indexes) == 2


def test_who_lost_its_number_is_a_stranger():
    node, done = counting(peers=2)
    data = request(POST, "n")
    answer(node, data, "a")
    answer(node, request(POST, "n"), "b")
    answer(node, request(POST, "n"), "c")  # "a" goes
    assert len(done) == 3
    # and "c" has its number, but not its past
    assert ask(node, data, "c").payload == b"4"


def test_verification_does_not_outlive_the_clock():
    node, done = counting()
    due(node, 1000)
    verify(node, "friend", 1000)
    now_ms = 1000
    for _ in range(9):  # twelve days, and more than once round
        assert node.messaging.is_verified("friend") == (now_ms - 1000 <= 1 << 27)
        now_ms += (1 << 27) + 1
        due(node, now_ms % WRAP)


# MIDs


def test_mids_of_answers_to_non_count_up_and_wrap():
    node, done = counting()
    node.messaging.mid = 0xFFFD
    mids = [ask(node, request(GET, "n", NON)).mid for _ in range(4)]
    assert mids == [0xFFFE, 0xFFFF, 0, 1]


def test_the_first_mid_comes_from_the_seed():
    mids = []
    for entropy in (b"abcdefgh", b"abcdefgi", b"bbcdefgh", b"\0\0\0\0\0\0\0\0"):
        node, done = counting()
        node.seed(entropy)
        mids.append(ask(node, request(GET, "n", NON)).mid)
    assert all(mids.count(mid) == 1 for mid in mids)


# Confirmable messages of ours


class Sender:
    """Owns exchanges: sends `payload` and keeps how each ended."""

    def __init__(self, node):
        self.node = node
        self.payloads = {}
        self.ended = []

    def send(self, peer, payload):
        slot = self.node.messaging.open_exchange(self, peer)
        if slot >= 0:
            self.payloads[slot] = payload
        return slot

    def transmit(self, slot, mid):
        data = encode(CON, CONTENT, mid, b"t", (), self.payloads[slot])
        self.node.tx[: len(data)] = data
        return len(data)

    def on_exchange_done(self, slot, how):
        self.ended.append((self.payloads.pop(slot), how))


def sending(reply=None, now_ms=0, **settings):
    wire = LossyLink(now_ms=now_ms)
    node = wire.join("node", Node(**settings))
    peer = wire.join("peer", Peer(wire, reply))
    return wire, node, peer, Sender(node)


def test_an_acknowledged_message_is_sent_once():
    wire, node, peer, sender = sending()
    sender.send("peer", b"x")
    wire.run(200000)
    assert len(peer.got) == 1
    assert sender.ended == [(b"x", 0)]
    assert node.messaging.open_count == 0
    assert node.counters[COUNT_RETRANSMISSIONS] == 0


def test_a_rejected_message_is_sent_once():
    wire, node, peer, sender = sending(reject)
    sender.send("peer", b"x")
    wire.run(200000)
    assert len(peer.got) == 1
    assert sender.ended == [(b"x", 1)]
    assert not node.messaging.is_verified("peer")


@cases((0,), (WRAP - 20000,))
def test_back_off_and_give_up(now_ms):
    wire, node, peer, sender = sending(silent, now_ms)
    node.seed(b"seed")
    sender.send("peer", b"x")
    wire.run(120000)
    times = [when for when, _ in peer.got]
    assert len(times) == 5
    first = times[1] - times[0]
    assert 2000 <= first <= 3000
    assert [times[i + 1] - times[i] for i in range(4)] == [first, 2 * first, 4 * first, 8 * first]
    messages = [message for _, message in peer.got]
    assert len({message.mid for message in messages}) == 1
    assert all(message.payload == b"x" and message.kind == CON for message in messages)
    assert sender.ended == [(b"x", 2)]
    assert node.counters[COUNT_RETRANSMISSIONS] == 4
    assert node.counters[COUNT_GIVEN_UP] == 1
    # it was given up when the last wait was over, not before (MAX_TRANSMIT_WAIT)
    wire, node, peer, sender = sending(silent, now_ms)
    node.seed(b"seed")
    sender.send("peer", b"x")
    wire.run(31 * first - 5)
    assert sender.ended == []
    wire.run(10)
    assert sender.ended == [(b"x", 2)]


def test_transmission_parameters_are_settings():
    wire, node, peer, sender = sending(
        silent, ack_timeout_ms=100, ack_random_pct=100, max_retransmit=2
    )
    sender.send("peer", b"x")
    wire.run(5000)
    assert [when for when, _ in peer.got] == [1, 101, 301]
    assert sender.ended == [(b"x", 2)]


def test_first_timeouts_are_spread():
    firsts = set()
    for i in range(30):
        wire, node, peer, sender = sending(silent)
        node.seed(bytes((i, 7, 7 * i & 255, 3)))
        sender.send("peer", b"x")
        wire.run(4000)
        firsts.add(peer.got[1][0] - peer.got[0][0])
    assert len(firsts) > 20
    assert 2000 <= min(firsts) < 2200 and 2800 < max(firsts) <= 3000


def test_an_ack_after_some_loss():
    wire, node, peer, sender = sending(silent)
    sender.send("peer", b"x")
    wire.run(4000)
    assert len(peer.got) == 2
    wire.send("peer", "node", encode(ACK, 0, peer.got[0][1].mid))
    wire.run(200000)
    assert len(peer.got) == 2
    assert sender.ended == [(b"x", 0)]


def test_acks_that_are_not_meant():
    wire, node, peer, sender = sending(silent)
    sender.send("peer", b"x")
    wire.run(10)
    mid = peer.got[0][1].mid
    for who, data in (
        ("peer", encode(ACK, 0, mid + 1 & 0xFFFF)),
        ("other", encode(ACK, 0, mid)),
        ("other", encode(RST, 0, mid)),
        ("peer", encode(ACK, 0, mid) + b"\0"),  # malformed
        ("peer", encode(ACK, GET, mid)),  # an ACK carries no request
        ("peer", encode(RST, CONTENT, mid)),  # an RST is empty
        ("peer", encode(RST, GET, mid)),
        ("peer", encode(NON, CONTENT, mid)),
        ("peer", encode(ACK, 0xE0, mid)),
    ):
        assert answer(node, data, who, wire.now_ms) is None
        assert sender.ended == [], data
    assert not node.messaging.is_verified("other") and not node.messaging.is_verified("peer")
    answer(node, encode(RST, 0, mid), "peer", wire.now_ms)
    assert sender.ended == [(b"x", 1)]
    # a second ACK or RST finds nothing
    answer(node, encode(ACK, 0, mid), "peer", wire.now_ms)
    assert sender.ended == [(b"x", 1)]


def test_one_at_a_time_for_each_peer():
    wire, node, peer, sender = sending(silent)
    other = wire.join("other", Peer(wire))
    for payload in (b"1", b"2"):
        assert sender.send("peer", payload) >= 0
    assert sender.send("other", b"3") >= 0
    wire.run(1900)
    assert [message.payload for _, message in peer.got] == [b"1"]
    assert [message.payload for _, message in other.got] == [b"3"]
    wire.send("peer", "node", encode(ACK, 0, peer.got[0][1].mid))
    wire.run(10)
    assert [message.payload for _, message in peer.got] == [b"1", b"2"]


def test_the_next_one_goes_when_the_one_before_is_given_up():
    wire, node, peer, sender = sending(silent)
    sender.send("peer", b"1")
    sender.send("peer", b"2")
    wire.run(250000)
    assert [message.payload for _, message in peer.got] == [b"1"] * 5 + [b"2"] * 5
    assert sender.ended == [(b"1", 2), (b"2", 2)]


def test_nstart_is_a_setting():
    wire, node, peer, sender = sending(silent, nstart=2)
    for payload in (b"1", b"2", b"3"):
        sender.send("peer", payload)
    wire.run(1900)
    assert sorted([message.payload for _, message in peer.got]) == [b"1", b"2"]


def test_messages_go_in_the_order_in_which_they_began():
    wire, node, peer, sender = sending(exchanges=4)
    waiting = list(range(12))
    while waiting or sender.payloads:
        while waiting and sender.send("peer", b"%d" % waiting[0]) >= 0:
            waiting.pop(0)
        wire.run(3)
    assert [int(message.payload) for _, message in peer.got] == list(range(12))
    assert len({message.mid for _, message in peer.got}) == 12


def test_so_many_exchanges():
    wire, node, peer, sender = sending(silent, exchanges=2)
    assert sender.send("peer", b"1") >= 0
    assert sender.send("other", b"2") >= 0
    assert not node.messaging.has_free_exchange()
    assert sender.send("third", b"3") == -1
    assert sender.send("fourth", b"4") == -1
    assert node.counters[COUNT_NO_EXCHANGE] == 2
    wire.run(10)
    answer(node, encode(ACK, 0, peer.got[0][1].mid), "peer", wire.now_ms)
    assert node.messaging.has_free_exchange()
    assert sender.send("third", b"3") >= 0


def test_an_owner_may_have_nothing_to_send_any_more():
    class Owner(Sender):
        def transmit(self, slot, mid):
            return 0

    node = Node()
    Owner(node).send("peer", b"x")
    assert due(node, 0) == []
    assert node.messaging.open_count == 0


def test_wait_is_until_the_next_transmission():
    wire, node, peer, sender = sending(silent, ack_random_pct=100)
    sender.send("peer", b"x")
    assert node.wait_ms(0) == 0
    assert len(due(node, 0)) == 1
    assert node.wait_ms(0) == 2000
    assert node.wait_ms(1500) == 500
    assert due(node, 1999) == []
    assert len(due(node, 2000)) == 1
    assert node.wait_ms(2000) == 4000


# A bad network


@cases((1,), (2,), (3,), (4,), (5,))
def test_at_most_once_over_a_bad_wire(seed):
    wire = LossyLink(loss_pct=30, duplicate_pct=30, delay_ms=(1, 700), seed=seed)
    node, done = counting(dedup_entries=64)
    wire.join("node", node)
    answers = []

    def keep(message):
        answers.append(message)

    wire.join("client", Peer(wire, keep))
    for i in range(20):
        data = request(POST, "n", mid=next_mid(), token=bytes((i,)))
        for _ in range(12):  # the client retransmits until it gets a response
            wire.send("client", "node", data)
            wire.run(2500)
            if any(message.token == bytes((i,)) for message in answers):
                break
    assert len(done) == 20
    found = {}
    for message in answers:
        # whatever came several times is the same each time
        assert found.setdefault(message.token, message.payload) == message.payload
    assert len(found) == 20
