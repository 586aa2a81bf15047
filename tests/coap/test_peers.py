"""The tables of peers and requests in machine code, MIDs, hosts, random numbers."""

from array import array

from coap.codec import ABSENT, new_index, parse
from coap.messaging import random16
from coap.numbers import CON, NON, POST
from coap.peers import (
    AUTHENTICATED,
    CONTEXT_HOST,
    DEDUP_FIRST,
    DEDUP_NON,
    DEDUP_SECURE,
    DEDUP_STEP,
    STRANGER,
    VERIFIED,
    choose_peer,
    find_entry,
    host_key,
    permute,
    take_entry,
)
from coap.transports import address
from support import cases
from support.engine import encode
from support.features import seeded

A = CONTEXT_HOST


def indexed(data, **settings):
    r = new_index(**settings)
    parse(data, len(data), r, b"\0")
    return r


def ring_of(entries, peers=4, con_ms=1000, non_ms=400):
    words = [entries, peers, con_ms, non_ms, 0x12345, 0] + [ABSENT, 0, 0, 0] * entries
    return array("i", words + [0] * peers + [2 * i + 1 for i in range(peers)])


def enter(ring, mid, who=0, now_ms=0, kind=CON, secure=0, token=b""):
    """The entry of a duplicate, below the size; from there on a free one, then an evicted one."""
    data = encode(kind, POST, mid, token)
    entry = find_entry(ring, data, indexed(data), who, now_ms)
    if entry < 0:
        flags = (DEDUP_NON if kind == NON else 0) | (DEDUP_SECURE if secure else 0)
        entry = take_entry(ring, who << 16 | mid, flags, now_ms)
        entry = entry if entry < 0 else ring[0] + entry
    return entry


def verify_peer(ring, who, at_ms=1):
    ring[DEDUP_FIRST + DEDUP_STEP * ring[0] + who] = at_ms


def test_the_ring_knows_a_request_again():
    ring = ring_of(3)
    assert enter(ring, 1) == 3 + 0
    assert enter(ring, 2) == 3 + 1
    assert enter(ring, 1) == 0
    assert enter(ring, 2) == 1
    assert enter(ring, 1, who=1) == 3 + 2  # the same MID of somebody else


def test_the_oldest_entry_goes():
    ring = ring_of(2)
    enter(ring, 1, now_ms=0)
    enter(ring, 2, now_ms=10)
    assert enter(ring, 3, now_ms=20) == 2 * 2 + 0
    assert enter(ring, 2, now_ms=30) == 1
    assert enter(ring, 4, now_ms=30) == 2 * 2 + 1
    assert enter(ring, 1, now_ms=30) == 2 * 2 + 0


def test_entries_die_after_their_lifetime():
    ring = ring_of(2)
    enter(ring, 1, now_ms=0)
    assert enter(ring, 1, now_ms=999) == 0
    assert enter(ring, 1, now_ms=1000) == 2 + 0
    enter(ring, 5, now_ms=1000, kind=NON)
    assert enter(ring, 5, now_ms=1399, kind=NON) == 1
    assert enter(ring, 5, now_ms=1400, kind=NON) == 2 + 1


def test_entries_across_the_wrap_of_the_clock():
    ring = ring_of(2)
    enter(ring, 1, now_ms=(1 << 30) - 100)
    assert enter(ring, 1, now_ms=899) == 0
    assert enter(ring, 1, now_ms=900) == 2 + 0
    ring = ring_of(2)
    enter(ring, 2, now_ms=100, kind=NON)  # entered as if before the wrap
    assert enter(ring, 2, now_ms=499, kind=NON) == 0
    assert enter(ring, 2, now_ms=500, kind=NON) == 2 + 0


def test_a_stranger_pushes_out_strangers_only():
    ring = ring_of(2)
    verify_peer(ring, 1)
    enter(ring, 1, who=1, now_ms=0)
    enter(ring, 1, who=2, now_ms=10)
    assert enter(ring, 1, who=3, now_ms=20) == 2 * 2 + 1
    assert enter(ring, 1, who=1, now_ms=20) == 0
    enter(ring, 2, who=1, now_ms=30)
    verify_peer(ring, 2)
    enter(ring, 3, who=2, now_ms=40)
    assert enter(ring, 9, who=3, now_ms=50) == -1
    assert enter(ring, 9, who=1, now_ms=50) == 2 * 2 + 1  # its own kind may


def test_of_a_verified_host_with_all_entries_the_oldest_yields():
    ring = ring_of(3)
    verify_peer(ring, 1)
    verify_peer(ring, 2)
    ring[DEDUP_FIRST + 3 * DEDUP_STEP + 4 + 2] = 3  # peer 2 has the host of peer 1
    for mid, who in ((1, 1), (2, 2), (3, 1)):
        enter(ring, mid, who=who, now_ms=10 * mid)
    assert enter(ring, 9, who=3, now_ms=50) == 2 * 3 + 0
    assert enter(ring, 9, who=0, now_ms=50) == 2 * 3 + 0, "strangers yield to each other first"
    assert enter(ring, 2, who=2, now_ms=60) == 1


def test_an_entry_under_oscore_may_always_be_taken():
    ring = ring_of(2)
    verify_peer(ring, 1)
    enter(ring, 1, who=1, now_ms=0)
    enter(ring, 2, who=1, now_ms=10, secure=1)
    assert enter(ring, 3, who=3, now_ms=20) == 2 * 2 + 1
    enter(ring, 4, who=1, now_ms=30)
    assert enter(ring, 5, who=3, now_ms=40, secure=1) == 2 * 2 + 0


def test_a_message_that_differs_is_no_duplicate():
    ring = ring_of(4)
    assert enter(ring, 1, token=b"a") == 4 + 0
    assert enter(ring, 1, token=b"b") == 4 + 1
    assert enter(ring, 1, token=b"a") == 0 and enter(ring, 1, token=b"b") == 1


def peers_of(*shown):
    """A table of peers: (host, second in which it was verified) each."""
    table = ring_of(1, len(shown), con_ms=1000000)
    for i, (host, verified_s) in enumerate(shown):
        verify_peer(table, i, 1000 * verified_s)
        table[DEDUP_FIRST + DEDUP_STEP + len(shown) + i] = host
    return table


@cases(
    (((7, 0), (ABSENT, 0), (9, 0)), STRANGER, 5, 1),  # a free one
    (((7, 0), (9, 0), (9, 0)), STRANGER, 5, 2),  # of the host with most
    (((7, 0), (9, 0), (11, 0)), STRANGER, 5, 2),  # else the first from `start` on
    (((7, 5), (9, 0), (11, 5)), VERIFIED, 5, 1),  # strangers first
    (((7, 90), (9, 80), (11, 99)), VERIFIED, 5, 1),  # then the one verified first
    (((7, 90), (9, 80), (11, 99)), STRANGER, 5, -1),
    (((7, 90), (9, 80), (9, 99)), STRANGER, 5, 1),  # the excess of a host
    (((7, 90), (9, 80), (9, 99)), STRANGER, 9, -1),  # not for itself
    (((A + 1, 0), (A + 2, 80), (7, 99)), VERIFIED, 5, 2),
    (((A + 1, 0), (A + 2, 80), (A + 3, 99)), VERIFIED, 5, -1),
    (((A + 1, 0), (A + 1, 80), (A + 3, 99)), VERIFIED, 5, 1),
    (((A + 1, 0), (A + 2, 80), (A + 3, 99)), AUTHENTICATED, A + 4, 1),
)
def test_which_peer_yields(shown, rank, host, index):
    assert choose_peer(peers_of(*shown), 2, rank, host, 100000) == index


def test_a_verified_peer_yields_after_its_lifetime():
    table = peers_of((7, 90), (9, 80), (11, 99))
    assert choose_peer(table, 0, STRANGER, 5, 1079999) == -1
    assert choose_peer(table, 0, STRANGER, 5, 1080000) == 1


@cases(0, 1, 77)
def test_all_mids_come_once(key):
    keys = array("i", [(key * 7919 * (i + 1)) & 0xFFFF | 1 for i in range(12)])
    seen = bytearray(65536)
    for counter in range(65536):
        seen[permute(counter, keys)] += 1
    assert min(seen) == 1


def packed4(port, *address):
    return b"\x02\x00" + bytes((port >> 8, port & 255)) + bytes(address) + bytes(8)


@cases(
    (packed4(1, 10, 0, 0, 7), packed4(2, 10, 0, 0, 7), True),
    (packed4(1, 10, 0, 0, 7), packed4(1, 10, 0, 0, 6), False),
    (packed4(1, 10, 0, 0, 7), packed4(1, 74, 0, 0, 7), False),
    (packed4(1, 127, 0, 0, 7), packed4(1, 127, 0, 1, 7), False),
    (("10.0.0.7", 1), ("10.0.0.7", 2), True),
    (("10.0.0.7", 1), ("10.0.0.8", 1), False),
    (("2001:db8::1", 1, 0, 0), ("2001:db8:0:0:9:8:7:6", 2, 0, 0), True),
    (("2001:db8:0:1::1", 1, 0, 0), ("2001:db8::1", 1, 0, 0), False),
    (("fe80::1%eth0", 1, 0, 2), ("fe80::2%eth0", 1, 0, 2), True),
    (("::ffff:10.0.0.7", 1, 0, 0), ("::ffff:10.0.0.8", 1, 0, 0), False),
    (("::ffff:10.0.0.7", 1, 0, 0), ("10.0.0.7", 1), True),
)
def test_peers_of_one_host_have_its_key(one, other, is_same):
    assert (address.host_key(one) == address.host_key(other)) is is_same
    assert 0 < address.host_key(one) < ABSENT


def packed6(port, *groups):
    return (
        b"\x0a\x00"
        + bytes((port >> 8, port & 255))
        + bytes(4)
        + b"".join([bytes((group >> 8, group & 255)) for group in groups])
        + bytes(4)
    )


def test_packed_ipv6_counts_by_its_prefix():
    one = packed6(1, 0x2001, 0xDB8, 0, 5, 0, 0, 0, 1)
    assert address.host_key(one) == address.host_key(packed6(2, 0x2001, 0xDB8, 0, 5, 9, 9, 9, 9))
    assert address.host_key(one) != address.host_key(packed6(1, 0x2001, 0xDB8, 0, 6, 0, 0, 0, 1))
    mapped = [packed6(1, 0, 0, 0, 0, 0, 0xFFFF, 0x0A00, n) for n in (7, 8)]
    assert address.host_key(mapped[0]) != address.host_key(mapped[1])
    assert address.host_key(mapped[0]) == address.host_key(packed4(1, 10, 0, 0, 7))


def test_a_peer_without_a_port_is_a_host():
    line = object()
    assert host_key(line) == host_key(line) != host_key(object())
    assert host_key(("10.0.0.7", 1)) == host_key(("10.0.0.7", 2)) != host_key(("10.0.0.8", 1))


def test_a_dead_entry_is_taken_before_a_living_one():
    ring = ring_of(3)
    enter(ring, 1, now_ms=0)
    enter(ring, 2, now_ms=10, kind=NON)  # dies at 410
    enter(ring, 3, now_ms=20)
    assert enter(ring, 4, now_ms=500) == 3 + 1


def test_random_numbers_spread():
    state = array("i", [12345])
    found = set()
    low = 0
    for _ in range(1000):
        value = random16(state)
        assert 0 <= value < 65536
        low += value < 32768
        found.add(value)
    assert len(found) > 950
    assert 400 < low < 600


def test_a_peer_finds_no_room_beside_peers_with_keys():
    node = seeded(peers=2)
    messaging = node.messaging
    for i in range(2):
        assert messaging.intern_peer(("10.0.0.1", i), AUTHENTICATED, A + 1 + i) == i
    before = list(messaging.dedup)
    messaging.mark_verified("stranger")
    assert not messaging.is_verified("stranger") and list(messaging.dedup) == before
