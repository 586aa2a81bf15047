"""What the message layer looks through for each request: the ring, and random numbers."""

from array import array

from coap.codec import ABSENT, new_index, parse
from coap.messaging import DEDUP_FIRST, DEDUP_STEP, deduplicate, random16
from coap.numbers import CON, NON, POST
from support.engine import encode


def indexed(data, **settings):
    r = new_index(**settings)
    parse(data, len(data), r, b"\0")
    return r


def ring_of(entries, peers=4, con_ms=1000, non_ms=400):
    words = [entries, con_ms, non_ms] + [ABSENT, 0, 0] * entries + [0] * peers
    return array("i", words)


def enter(ring, mid, who=0, now_ms=0, kind=CON):
    return deduplicate(ring, indexed(encode(kind, POST, mid)), who, now_ms)


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
    ring[DEDUP_FIRST + 2 * DEDUP_STEP + 1] = 1  # peer 1 is verified
    enter(ring, 1, who=1, now_ms=0)
    enter(ring, 1, who=2, now_ms=10)
    assert enter(ring, 1, who=3, now_ms=20) == 2 * 2 + 1
    assert enter(ring, 1, who=1, now_ms=20) == 0
    enter(ring, 2, who=1, now_ms=30)
    enter(ring, 3, who=1, now_ms=40)
    assert enter(ring, 9, who=3, now_ms=50) == -1
    assert enter(ring, 9, who=1, now_ms=50) == 2 * 2 + 0  # its own kind may


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
