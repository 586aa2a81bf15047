"""The event log: numbers, evictions, batches, acknowledgements and its encoded state."""

from power.event_log import (
    AWAKE,
    CLOCK_MASK,
    FAULTS,
    JOIN_FAILED,
    LID,
    PIN,
    REASONS,
    TIMER,
    EventLog,
    age_s,
)
from support import allocated, cases, locked, only, raises, retained


def filled(edges, slots=8):
    journal = EventLog(slots)
    for i in range(edges):
        journal.note(1 - i % 2, PIN, 100 + i)
    return journal


def numbers(journal):
    return [event[0] for event in journal.events]


def test_new_event_log_is_empty():
    journal = EventLog()
    assert (journal.number, journal.pending, journal.level) == (0, 0, -1)
    assert journal.event(1, 0) is None and journal.offer() == (1, 0, 0, 0)


def test_events_have_number_level_reason_and_age():
    journal = filled(3)
    assert journal.number == 3 and journal.pending == 3 and journal.level == 1
    assert journal.event(1, 105) == (1, PIN, 5)
    assert journal.event(2, 105) == (0, PIN, 4)
    assert journal.event(3, 105) == (1, PIN, 3)
    assert journal.event(0, 105) is None and journal.event(4, 105) is None


@cases((1, 1, [1]), (0, 2, [1, 0]), (1, 3, [1, 0, 1]), (0, 0, []))
def test_unwatched_edges_alternate(level, edges, levels):
    journal = EventLog()
    journal.catch_up(level, edges, TIMER, 7)
    assert [what & 1 for _, _, what in journal.events] == levels


@cases(0, 5, 101, CLOCK_MASK - 50)
def test_restarted_clock_keeps_order_and_intervals(now_s):
    journal = filled(3)
    journal.fault(JOIN_FAILED, 160)
    journal.rebase(now_s)
    assert [journal.event(n, now_s + 7)[2] for n in (1, 2, 3)] == [67, 66, 65]
    assert journal.faults == [(JOIN_FAILED, now_s)]
    journal.rebase(now_s + 7)
    assert journal.event(3, now_s + 7)[2] == 65


def test_continuous_clock_keeps_times():
    journal = EventLog()
    journal.rebase(3)
    journal = filled(3)
    before = journal.state()
    journal.rebase(102)
    journal.rebase(5000)
    assert journal.state() == before


def test_only_unacknowledged_events_count_as_lost():
    journal = filled(8)
    journal.release(journal.offer())
    for i in range(8):
        journal.note(i % 2, PIN, 0)
    assert journal.dropped == 0 and numbers(journal) == list(range(9, 17))
    journal.note(0, PIN, 0)
    journal.note(1, PIN, 0)
    assert journal.dropped == 2 and journal.offer() == (11, 18, 2, 0)


def test_acknowledgement_covers_only_the_batch():
    journal = filled(11)
    journal.blank(1)
    offer = journal.offer()
    assert offer == (4, 11, 3, 1)
    journal.note(0, AWAKE, 0)
    journal.blank(1)
    journal.release(offer)
    assert (journal.pending, journal.dropped, journal.blanks) == (1, 1, 1)
    assert journal.offer()[:2] == (12, 12)


def test_late_acknowledgement_restores_nothing():
    journal = filled(2)
    early = journal.offer()
    journal.note(1, PIN, 0)
    journal.release(journal.offer())
    journal.release(early)
    assert journal.released == 3 and journal.pending == 0


def test_batch_size_is_bounded():
    journal = filled(8)
    assert journal.offer(3)[:2] == (1, 3)
    journal.release(journal.offer(3))
    assert journal.offer(3)[:2] == (4, 6)


def test_batch_stops_at_a_gap_in_the_numbers():
    journal = filled(2)
    journal.skip(16)
    journal.note(1, PIN, 0)
    assert journal.offer()[:2] == (1, 2)
    journal.release(journal.offer())
    assert journal.offer()[:2] == (19, 19)


def test_empty_batch_acknowledges_nothing():
    journal = filled(2)
    journal.release(journal.offer())
    first, last, _, _ = journal.offer()
    assert (first, last) == (3, 2)
    journal.release(journal.offer())
    assert journal.released == 2


def test_event_numbers_wrap():
    journal = EventLog(8)
    journal.number = journal.released = CLOCK_MASK - 2
    for i in range(6):
        journal.note(i & 1, PIN, i)
    assert numbers(journal) == [CLOCK_MASK - 1, CLOCK_MASK, 0, 1, 2, 3]
    assert journal.pending == 6 and journal.offer(4)[:2] == (CLOCK_MASK - 1, 1)
    journal.release(journal.offer(4))
    assert journal.offer()[:2] == (2, 3)
    again = EventLog(8)
    assert again.restore(journal.state()) and again.events == journal.events


@cases(
    (0, 0, 0),
    (5, 9, 4),
    (CLOCK_MASK, 4, 5),
    (9, 5, 0),
    (0, CLOCK_MASK, 0),
    (CLOCK_MASK - 9, CLOCK_MASK, 9),
)
def test_ages_after_a_clock_wrap_or_step_back(then_s, now_s, wanted):
    assert age_s(then_s, now_s) == wanted


def test_clock_value_is_reduced_to_the_mask():
    journal = EventLog()
    journal.note(1, PIN, (1 << 30) + 5)
    assert journal.event(1, (3 << 30) + 9) == (1, PIN, 4)


def test_fault_list_evicts_the_oldest():
    journal = EventLog(8, 2)
    for i in range(3):
        journal.fault(JOIN_FAILED, i)
    assert journal.faults == [(JOIN_FAILED, 1), (JOIN_FAILED, 2)]


def everything():
    journal = filled(11)
    journal.fault(JOIN_FAILED, 5)
    journal.blank(0)
    return journal


def test_state_round_trip():
    journal = everything()
    again = EventLog(8)
    assert again.restore(journal.state())
    names = ("number", "released", "dropped", "blanks", "level", "lid", "lid_moves")
    for name in names + ("events", "faults"):
        assert getattr(again, name) == getattr(journal, name), name
    assert again.state() == journal.state() and len(journal.state()) == 24 + 8 * 9 + 5
    assert len(EventLog(8).state()) == 24


def test_state_of_wrong_length_is_refused():
    blob = everything().state()
    for n in range(len(blob)):
        journal = EventLog(8)
        assert not journal.restore(blob[:n]), n
        assert journal.state() == EventLog(8).state()
    assert not EventLog(8).restore(blob + b"\0")
    assert not EventLog(4).restore(blob), "a smaller ring"


def test_state_with_any_flipped_bit_is_refused_or_consistent():
    # there is a CRC around it: here nothing but its own checks
    blob = everything().state()
    taken = 0
    for at in range(len(blob)):
        for bit in range(8):
            bad = bytearray(blob)
            bad[at] ^= 1 << bit
            journal = EventLog(8)
            if journal.restore(bad):
                taken += 1
                assert journal.state() == bytes(bad)
                journal.offer()
                journal.note(1, PIN, 3)
                for number, _, what in journal.events:
                    assert (
                        0 <= number <= CLOCK_MASK
                        and what >> 1 & 7 < len(REASONS)
                        and what < 4 * LID
                    )
                for what, _ in journal.faults:
                    assert FAULTS[what]
    assert 0 < taken < 8 * len(blob)


@cases(0, 256, -1)
def test_impossible_sizes_are_refused(slots):
    assert "slots" in str(raises(ValueError, EventLog, slots))


@cases(0, LID)
@only("micropython")
def test_recording_an_event_allocates_nothing(source):
    journal = filled(3, 4)
    journal.blank(0)
    level = 0

    def edge():
        nonlocal level
        level = 1 - level
        journal.catch_up(level, 1, AWAKE | source, 1000)
        assert journal.pending == 4

    for _ in range(4):
        edge()
    locked(edge)
    assert allocated(edge, 20) == 0 and retained(edge, 20) == 0
    assert journal.number > 40 and journal.kept == 4
