"""The lid switch of a sleeping node: its edges are numbered and reported like the door's."""

import power.event_log as j
from power.event_log import PIN, POWER_ON, TIMER
from support import cases
from support.sleep_bench import Lid, settled

DOOR = 0


def watched(**lid):
    """A bench with a lid whose node has started, told so, and sleeps."""
    bench = settled()
    bench.lid = Lid(bench, **lid)
    bench.live(POWER_ON)
    bench.reports.clear()
    return bench


def whats(cycle):
    """What moved, and how, of all events that are kept."""
    return [(what >> 1 & j.LID, what & 1) for _, _, what in cycle.log.events]


def lift(bench, level=1, why=PIN):
    bench.now_ms += 600_000
    bench.lid.level = level
    return bench.live(why)


def test_opened_lid_wakes_the_node_and_is_reported():
    bench = watched()
    assert bench.slept_lid[-1] == 1 and bench.slept[-1][1] == 1
    cycle = lift(bench)
    assert whats(cycle) == [(j.LID, 1)] and bench.reports == [([1], 1, 0, 0)]
    assert cycle.log.lid_moves == 1 and cycle.log.level == 0
    # the door is still awaited at its own level, the lid at the other one
    assert (bench.slept[-1][1], bench.slept_lid[-1]) == (1, 0)
    bench.woke_lid = True  # the lid has a source of its own
    cycle = lift(bench, 0)
    assert whats(cycle) == [(j.LID, 1), (j.LID, 0)] and cycle.log.lid_moves == 2


def test_door_and_lid_share_event_numbers():
    bench = watched()
    lift(bench)
    cycle = bench.pin_wakes()
    assert [event[0] for event in cycle.log.events] == [1, 2]
    assert whats(cycle) == [(j.LID, 1), (DOOR, 1)] and bench.reports[-1][1] == 2


def test_initial_lid_level_is_no_event():
    bench = settled()
    bench.lid = Lid(bench)
    bench.lid.level = 1
    cycle = bench.live(POWER_ON)
    assert whats(cycle) == [] and cycle.log.lid == 1


def test_lid_edge_while_awake_is_reported():
    bench = watched()
    bench.lid.moves = [bench.now_ms + 600_300, bench.now_ms + 600_350]
    cycle = bench.pin_wakes()
    assert whats(cycle) == [(DOOR, 1), (j.LID, 1), (j.LID, 0)]
    assert bench.reports[-1][1] == 3


@cases(False, None)  # None: the chip can not tell
def test_pin_wake_without_a_change_records_both_edges_of_the_contact(woke_lid):
    bench = watched()
    bench.woke_lid = woke_lid
    assert whats(lift(bench, 0)) == [(DOOR, 1), (DOOR, 0)]


def test_lid_wake_without_a_change_records_both_edges_of_the_lid():
    bench = watched()
    bench.woke_lid = True
    assert whats(lift(bench, 0)) == [(j.LID, 1), (j.LID, 0)]


def test_unarmed_lid_does_not_hide_a_short_opening_of_the_door():
    bench = watched()
    bench.pin_wakes()  # the door is open: it is awaited at 0, and the lid at 1
    assert (bench.slept[-1][1], bench.slept_lid[-1]) == (0, 1)
    cycle = lift(bench)  # it was lifted unseen, and the door closed and opened again
    assert whats(cycle)[1:] == [(j.LID, 1), (DOOR, 0), (DOOR, 1)]


def test_timer_wake_records_one_edge_of_the_lid():
    bench = watched()
    cycle = lift(bench, 1, TIMER)
    assert whats(cycle) == [(j.LID, 1)]
    assert cycle.log.event(1, bench.seconds())[:2] == (1, TIMER | j.LID)


def test_a_lid_without_a_pin_is_not_armed():
    bench = watched(pin=None)
    assert bench.slept_lid[-1] is None
    assert whats(lift(bench, 1, TIMER)) == [(j.LID, 1)]


def test_unsteady_lid_is_left_unarmed():
    bench = watched()
    wakes = 0
    while bench.slept[-1][1] is not None:
        bench.now_ms += 1000
        bench.lid.level = 1 - bench.lid.level
        cycle = bench.live(PIN)
        wakes += 1
        assert wakes < 40
    assert bench.slept_lid[-1] is None
    assert j.UNSTEADY in [fault[0] for fault in cycle.log.faults]


def test_lid_level_survives_sleep_in_the_event_log():
    log = j.EventLog(4)
    log.record_many(1, 3, PIN | j.LID, 7)
    again = j.EventLog(4)
    assert again.restore(log.state()) and again.events == log.events
    assert (again.lid, again.lid_moves, again.level) == (1, 3, -1)
    assert [what & 1 for _, _, what in again.events] == [1, 0, 1]
