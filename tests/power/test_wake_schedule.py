"""The wake schedule: heartbeats, back-off, rate limit, and clocks that are set or wrap."""

from power.wake_schedule import WakeSchedule
from support import cases

START_S = 1000


def begun(heartbeat_s=3600, now_s=START_S):
    schedule = WakeSchedule(heartbeat_s)
    schedule.start(now_s)
    return schedule


def test_first_heartbeat_is_due_at_once():
    assert begun().heartbeat_is_due(START_S) and begun().may_try(START_S)


def test_report_restarts_the_heartbeat_interval():
    schedule = begun()
    schedule.on_reported(START_S)
    assert not schedule.heartbeat_is_due(START_S + 3599) and schedule.heartbeat_is_due(
        START_S + 3600
    )
    assert schedule.sleep_s(START_S + 600, False) == 3000
    assert schedule.sleep_s(START_S + 600, True) == 1


def test_back_off_doubles_up_to_a_heartbeat():
    schedule = begun()
    pauses = []
    now_s = START_S
    for _ in range(10):
        schedule.on_failed(now_s)
        pause_s = schedule.sleep_s(now_s, True)
        assert not schedule.may_try(now_s + pause_s - 1) and schedule.may_try(now_s + pause_s)
        pauses.append(pause_s)
        now_s += pause_s
    assert pauses == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]
    schedule.on_reported(now_s)
    assert schedule.failures == 0 and schedule.may_try(now_s)


def test_back_off_is_capped_by_a_short_heartbeat():
    schedule = begun(40)
    for _ in range(9):
        schedule.on_failed(START_S)
    assert schedule.sleep_s(START_S, True) == 40


def test_unsteady_contact_is_ignored_for_growing_times():
    schedule = begun()
    schedule.on_reported(START_S)
    now_s = START_S
    rests = []
    for _ in range(4):
        wakes = 0
        while not schedule.count_wake(now_s):
            wakes += 1
            now_s += 1
        assert wakes <= 30 and schedule.is_resting
        rest_s = schedule.sleep_s(now_s, False)
        assert not schedule.rest_is_over(now_s + rest_s - 1) and schedule.rest_is_over(
            now_s + rest_s
        )
        assert not schedule.is_resting
        rests.append(rest_s)
        now_s += rest_s
    assert rests == [60, 120, 240, 480]


def test_twenty_edges_a_day_are_never_rate_limited():
    schedule = begun()
    for i in range(1000):
        assert not schedule.count_wake(START_S + 40 * i)


@cases(-100_000, -90_000, -20_000, -3700, -5, 200_000, 1 << 29, (1 << 30) - 7)
def test_clock_step_does_not_silence_the_node(jump_s):
    schedule = begun()
    schedule.on_reported(START_S)
    schedule.on_failed(START_S)
    now_s = START_S + jump_s
    assert 1 <= schedule.sleep_s(now_s, True) <= 3700
    assert 1 <= schedule.sleep_s(now_s, False) <= 3700
    tries = 0
    while not (schedule.may_try(now_s) and schedule.heartbeat_is_due(now_s)):
        now_s += schedule.sleep_s(now_s, False)
        tries += 1
        assert tries < 3


def test_schedule_survives_clock_wrap():
    schedule = begun(3600, (1 << 30) - 100)
    schedule.on_reported((1 << 30) - 100)
    assert schedule.sleep_s((1 << 30) - 50, False) == 3550
    assert not schedule.heartbeat_is_due(3499) and schedule.heartbeat_is_due(3500)


def test_state_round_trip():
    schedule = begun()
    schedule.on_reported(START_S)
    schedule.on_failed(START_S + 5)
    while not schedule.count_wake(START_S + 9):
        pass
    again = WakeSchedule(3600)
    assert again.restore(schedule.state()) and again.state() == schedule.state()
    assert (again.failures, again.is_resting) == (1, True)
    assert again.sleep_s(START_S + 10, True) == schedule.sleep_s(START_S + 10, True)


def test_no_flipped_bit_keeps_the_node_asleep():
    schedule = begun()
    schedule.on_reported(START_S)
    schedule.on_failed(START_S + 5)
    blob = schedule.state()
    for at in range(len(blob)):
        for bit in range(8):
            bad = bytearray(blob)
            bad[at] ^= 1 << bit
            again = WakeSchedule(3600)
            if again.restore(bad):
                assert 1 <= again.sleep_s(START_S + 10, True) <= 3600
                again.count_wake(START_S)
                again.on_failed(START_S)
    assert not WakeSchedule(3600).restore(blob[:-1]) and not WakeSchedule(3600).restore(b"")
