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
    log = EventLog(slots)
    for i in range(edges):
        log.record(1 - i % 2, PIN, 100 + i)
    return log


def numbers(log):
    return [event[0] for event in log.events]


def test_new_event_log_is_empty():
    log = EventLog()
    assert (log.number, log.pending, log.level) == (0, 0, -1)
    assert log.event(1, 0) is None and log.pending_batch() == (1, 0, 0, 0)


def test_events_have_number_level_reason_and_age():
    log = filled(3)
    assert log.number == 3 and log.pending == 3 and log.level == 1
    assert log.event(1, 105) == (1, PIN, 5)
    assert log.event(2, 105) == (0, PIN, 4)
    assert log.event(3, 105) == (1, PIN, 3)
    assert log.event(0, 105) is None and log.event(4, 105) is None


@cases((1, 1, [1]), (0, 2, [1, 0]), (1, 3, [1, 0, 1]), (0, 0, []))
def test_unwatched_edges_alternate(level, edges, levels):
    log = EventLog()
    log.record_many(level, edges, TIMER, 7)
    assert [what & 1 for _, _, what in log.events] == levels


@cases(0, 5, 101, CLOCK_MASK - 50)
def test_restarted_clock_keeps_order_and_intervals(now_s):
    log = filled(3)
    log.record_fault(JOIN_FAILED, 160)
    log.clock_changed(now_s)
    assert [log.event(n, now_s + 7)[2] for n in (1, 2, 3)] == [67, 66, 65]
    assert log.faults == [(JOIN_FAILED, now_s)]
    log.clock_changed(now_s + 7)
    assert log.event(3, now_s + 7)[2] == 65


def test_continuous_clock_keeps_times():
    log = EventLog()
    log.clock_changed(3)
    log = filled(3)
    before = log.state()
    log.clock_changed(102)
    log.clock_changed(5000)
    assert log.state() == before


def test_only_unacknowledged_events_count_as_lost():
    log = filled(8)
    log.acknowledge(log.pending_batch())
    for i in range(8):
        log.record(i % 2, PIN, 0)
    assert log.dropped == 0 and numbers(log) == list(range(9, 17))
    log.record(0, PIN, 0)
    log.record(1, PIN, 0)
    assert log.dropped == 2 and log.pending_batch() == (11, 18, 2, 0)


def test_acknowledgement_covers_only_the_batch():
    log = filled(11)
    log.mark_gap(1)
    offer = log.pending_batch()
    assert offer == (4, 11, 3, 1)
    log.record(0, AWAKE, 0)
    log.mark_gap(1)
    log.acknowledge(offer)
    assert (log.pending, log.dropped, log.gaps) == (1, 1, 1)
    assert log.pending_batch()[:2] == (12, 12)


def test_late_acknowledgement_restores_nothing():
    log = filled(2)
    early = log.pending_batch()
    log.record(1, PIN, 0)
    log.acknowledge(log.pending_batch())
    log.acknowledge(early)
    assert log.acknowledged == 3 and log.pending == 0


def test_batch_size_is_bounded():
    log = filled(8)
    assert log.pending_batch(3)[:2] == (1, 3)
    log.acknowledge(log.pending_batch(3))
    assert log.pending_batch(3)[:2] == (4, 6)


def test_batch_stops_at_a_gap_in_the_numbers():
    log = filled(2)
    log.skip_numbers(16)
    log.record(1, PIN, 0)
    assert log.pending_batch()[:2] == (1, 2)
    log.acknowledge(log.pending_batch())
    assert log.pending_batch()[:2] == (19, 19)


def test_empty_batch_acknowledges_nothing():
    log = filled(2)
    log.acknowledge(log.pending_batch())
    first, last, _, _ = log.pending_batch()
    assert (first, last) == (3, 2)
    log.acknowledge(log.pending_batch())
    assert log.acknowledged == 2


def test_event_numbers_wrap():
    log = EventLog(8)
    log.number = log.acknowledged = CLOCK_MASK - 2
    for i in range(6):
        log.record(i & 1, PIN, i)
    assert numbers(log) == [CLOCK_MASK - 1, CLOCK_MASK, 0, 1, 2, 3]
    assert log.pending == 6 and log.pending_batch(4)[:2] == (CLOCK_MASK - 1, 1)
    log.acknowledge(log.pending_batch(4))
    assert log.pending_batch()[:2] == (2, 3)
    again = EventLog(8)
    assert again.restore(log.state()) and again.events == log.events


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
    log = EventLog()
    log.record(1, PIN, (1 << 30) + 5)
    assert log.event(1, (3 << 30) + 9) == (1, PIN, 4)


def test_fault_list_evicts_the_oldest():
    log = EventLog(8, 2)
    for i in range(3):
        log.record_fault(JOIN_FAILED, i)
    assert log.faults == [(JOIN_FAILED, 1), (JOIN_FAILED, 2)]


def everything():
    log = filled(11)
    log.record_fault(JOIN_FAILED, 5)
    log.mark_gap(0)
    return log


def test_state_round_trip():
    log = everything()
    again = EventLog(8)
    assert again.restore(log.state())
    names = ("epoch", "number", "acknowledged", "dropped", "gaps", "level", "lid", "lid_moves")
    for name in names + ("events", "faults"):
        assert getattr(again, name) == getattr(log, name), name
    assert again.state() == log.state() and len(log.state()) == 28 + 8 * 9 + 5
    assert len(EventLog(8).state()) == 28


def test_state_of_wrong_length_is_refused():
    blob = everything().state()
    for n in range(len(blob)):
        log = EventLog(8)
        before = log.state()
        assert not log.restore(blob[:n]), n
        assert log.state() == before
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
            log = EventLog(8)
            if log.restore(bad):
                taken += 1
                assert log.state() == bytes(bad)
                log.pending_batch()
                log.record(1, PIN, 3)
                for number, _, what in log.events:
                    assert (
                        0 <= number <= CLOCK_MASK
                        and what >> 1 & 7 < len(REASONS)
                        and what < 4 * LID
                    )
                for what, _ in log.faults:
                    assert FAULTS[what]
    assert 0 < taken < 8 * len(blob)


@cases(0, 256, -1)
def test_impossible_sizes_are_refused(slots):
    assert "capacity" in str(raises(ValueError, EventLog, slots))


@cases(0, LID)
@only("micropython")
def test_recording_an_event_allocates_nothing(source):
    log = filled(3, 4)
    log.mark_gap(0)
    level = 0

    def edge():
        nonlocal level
        level = 1 - level
        log.record_many(level, 1, AWAKE | source, 1000)
        assert log.pending == 4

    for _ in range(4):
        edge()
    locked(edge)
    assert allocated(edge, 20) == 0 and retained(edge, 20) == 0
    assert log.number > 40 and log.kept == 4
