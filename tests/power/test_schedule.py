"""The wake schedule: heartbeats, back-off, rate limit, and clocks that are set or wrap."""

from power.schedule import WakeSchedule
from support import cases

START_S = 1000


def begun(heartbeat_s=3600, now_s=START_S):
    pace = WakeSchedule(heartbeat_s)
    pace.begin(now_s)
    return pace


def test_first_heartbeat_is_due_at_once():
    assert begun().beat_due(START_S) and begun().may_try(START_S)


def test_report_restarts_the_heartbeat_interval():
    pace = begun()
    pace.told(START_S)
    assert not pace.beat_due(START_S + 3599) and pace.beat_due(START_S + 3600)
    assert pace.sleep_s(START_S + 600, False) == 3000
    assert pace.sleep_s(START_S + 600, True) == 1


def test_back_off_doubles_up_to_a_heartbeat():
    pace = begun()
    pauses = []
    now_s = START_S
    for _ in range(10):
        pace.failed(now_s)
        pause_s = pace.sleep_s(now_s, True)
        assert not pace.may_try(now_s + pause_s - 1) and pace.may_try(now_s + pause_s)
        pauses.append(pause_s)
        now_s += pause_s
    assert pauses == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]
    pace.told(now_s)
    assert pace.failures == 0 and pace.may_try(now_s)


def test_back_off_is_capped_by_a_short_heartbeat():
    pace = begun(40)
    for _ in range(9):
        pace.failed(START_S)
    assert pace.sleep_s(START_S, True) == 40


def test_unsteady_contact_is_ignored_for_growing_times():
    pace = begun()
    pace.told(START_S)
    now_s = START_S
    rests = []
    for _ in range(4):
        wakes = 0
        while not pace.edge(now_s):
            wakes += 1
            now_s += 1
        assert wakes <= 30 and pace.resting
        rest_s = pace.sleep_s(now_s, False)
        assert not pace.look(now_s + rest_s - 1) and pace.look(now_s + rest_s)
        assert not pace.resting
        rests.append(rest_s)
        now_s += rest_s
    assert rests == [60, 120, 240, 480]


def test_twenty_edges_a_day_are_never_rate_limited():
    pace = begun()
    for i in range(1000):
        assert not pace.edge(START_S + 40 * i)


@cases(-100_000, -90_000, -20_000, -3700, -5, 200_000, 1 << 29, (1 << 30) - 7)
def test_clock_step_does_not_silence_the_node(jump_s):
    pace = begun()
    pace.told(START_S)
    pace.failed(START_S)
    now_s = START_S + jump_s
    assert 1 <= pace.sleep_s(now_s, True) <= 3700
    assert 1 <= pace.sleep_s(now_s, False) <= 3700
    tries = 0
    while not (pace.may_try(now_s) and pace.beat_due(now_s)):
        now_s += pace.sleep_s(now_s, False)
        tries += 1
        assert tries < 3


def test_schedule_survives_clock_wrap():
    pace = begun(3600, (1 << 30) - 100)
    pace.told((1 << 30) - 100)
    assert pace.sleep_s((1 << 30) - 50, False) == 3550
    assert not pace.beat_due(3499) and pace.beat_due(3500)


def test_state_round_trip():
    pace = begun()
    pace.told(START_S)
    pace.failed(START_S + 5)
    while not pace.edge(START_S + 9):
        pass
    again = WakeSchedule(3600)
    assert again.restore(pace.state()) and again.state() == pace.state()
    assert (again.failures, again.resting) == (1, True)
    assert again.sleep_s(START_S + 10, True) == pace.sleep_s(START_S + 10, True)


def test_no_flipped_bit_keeps_the_node_asleep():
    pace = begun()
    pace.told(START_S)
    pace.failed(START_S + 5)
    blob = pace.state()
    for at in range(len(blob)):
        for bit in range(8):
            bad = bytearray(blob)
            bad[at] ^= 1 << bit
            again = WakeSchedule(3600)
            if again.restore(bad):
                assert 1 <= again.sleep_s(START_S + 10, True) <= 3600
                again.edge(START_S)
                again.failed(START_S)
    assert not WakeSchedule(3600).restore(blob[:-1]) and not WakeSchedule(3600).restore(b"")
