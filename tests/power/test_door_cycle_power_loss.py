"""Power returns to a node whose memory was retained while its clock restarted (a Pico)."""

from power.event_log import POWER_ON, RESET, TIMER
from support import cases
from support.sleep_bench import settled

OFF_MS = 60_000


def failing(tries):
    """A bench with an event that nobody has taken after so many tries, asleep."""
    bench = settled()
    bench.joins_ms = None
    bench.pin_wakes()
    for _ in range(tries - 1):
        bench.now_ms += bench.slept[-1][0]
        bench.live(TIMER)
    return bench


def powered_anew(bench, why, clock_too=True):
    """The power was gone for a minute: the Cycle of the life that follows."""
    bench.now_ms += OFF_MS
    if clock_too:
        bench.zero_s = 3 - bench.now_ms // 1000
    bench.joins_ms = 700
    return bench.live(why)


@cases((1, POWER_ON, True), (9, POWER_ON, True), (9, POWER_ON, False), (9, RESET, False))
def test_pending_events_are_reported_as_soon_as_power_returns(tries, why, clock_too):
    bench = failing(tries)
    powered_anew(bench, why, clock_too)
    assert bench.reports == [([1], 1, 0, 1)]
    assert 3_500_000 < bench.slept[-1][0] <= 3_600_000


@cases(2, 5, 9)
def test_age_after_power_loss_is_a_lower_bound(tries):
    bench = failing(tries)
    happened_s = bench.seconds() - sum([span_ms // 1000 for span_ms, _ in bench.slept[:-1]])
    tried_s = bench.seconds()
    cycle = powered_anew(bench, POWER_ON)
    age_s = cycle.log.event(1, bench.seconds())[2]
    spent_s = bench.seconds() - 3
    # of the time after the last try nothing is known; a try took some seconds, too
    assert 0 <= age_s - spent_s - (tried_s - happened_s) <= 30 * tries
