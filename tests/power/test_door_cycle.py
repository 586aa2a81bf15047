"""Wake cycles of a door in virtual time: what is reported, and when an attempt ends."""

import power.event_log as j
from power.event_log import PIN, POWER_ON, RESET, TIMER
from support import cases
from support.sleep_bench import START_S, Asleep, Bench, Link, settled

HEAP = "32m"


def test_the_first_start_reports_the_state_and_sleeps_until_the_heartbeat():
    bench = Bench()
    bench.live(POWER_ON)
    assert bench.reports == [([], 0, 0, 0)]
    ((span_ms, level),) = bench.slept
    assert 3_598_000 <= span_ms <= 3_600_000 and level == 1


def test_edge_is_reported_once_and_the_opposite_level_armed():
    bench = settled()
    for level in (1, 0, 1):
        bench.pin_wakes()
        levels, number, _, _ = bench.reports.pop()
        assert levels == [level] and bench.reports == []
        assert bench.slept.pop()[1] == 1 - level
    assert number == 3


def test_pin_wake_at_the_old_level_records_both_edges():
    bench = settled()
    bench.now_ms += 600_000
    bench.live(PIN)
    assert bench.reports == [([1, 0], 2, 0, 0)]
    assert bench.slept[-1][1] == 1


def test_normally_open_switch_arms_the_right_level():
    bench = settled()
    bench.open_level = 0
    bench.level = 0
    bench.now_ms += 1000
    bench.live(TIMER)
    # is_open() of the bench knows 1 for open: closed, and the pin is high while closed
    assert bench.slept[-1][1] == 0


def test_timer_wake_at_another_level_records_one_edge():
    bench = settled()
    bench.now_ms += 600_000
    bench.level = 1
    cycle = bench.live(TIMER)
    assert bench.reports == [([1], 1, 0, 0)]
    assert cycle.log.event(1, bench.seconds())[1] == TIMER


def test_edge_during_the_join_is_in_the_report():
    bench = settled()
    bench.moves = [bench.now_ms + 600_000 + 300]
    bench.pin_wakes()
    assert bench.reports == [([1, 0], 2, 0, 0)]


def test_edge_during_the_report_gets_a_second_report():
    bench = settled()
    bench.answers_ms = 500
    bench.moves = [bench.now_ms + 600_000 + 900]
    bench.pin_wakes()
    assert bench.reports == [([1], 1, 0, 0), ([0], 2, 0, 0)]
    assert bench.slept[-1][1] == 1 and len(bench.slept) == 1


def test_edge_while_lingering_is_reported():
    bench = settled()
    bench.lingers_ms = 2000
    bench.moves = [bench.now_ms + 600_000 + 1500]
    bench.pin_wakes()
    assert bench.reports == [([1], 1, 0, 0), ([0], 2, 0, 0)]


def test_wake_without_pending_work_keeps_the_radio_off():
    bench = settled()
    bench.now_ms += 600_000
    bench.live(TIMER)
    assert bench.reports == [] and bench.on_ms == 0
    assert bench.slept[-1][0] < 3_001_000


def test_heartbeat_reports_no_events():
    bench = settled()
    bench.now_ms += 3_600_000
    bench.live(TIMER)
    assert bench.reports == [([], 0, 0, 0)]


class Unplugged(Bench):
    """A bench whose power goes at `cut_ms`."""

    cut_ms = None

    def ticks_ms(self):
        if self.cut_ms is not None and self.now_ms >= self.cut_ms:
            raise Asleep
        return super().ticks_ms()

    def loses_power_at(self, ms):
        """Woken by the contact: what it tells before, and when power is back."""
        self.cut_ms = self.now_ms + 600_000 + ms
        self.pin_wakes()
        assert not self.slept
        before = len(self.reports)
        self.cut_ms = None
        self.live(POWER_ON)
        told = [report[:2] for report in self.reports]
        return told[:before], told[before:]


def test_events_recorded_while_awake_survive_power_loss():
    bench = settled(Unplugged())
    bench.joins_ms = 3000
    start_ms = bench.now_ms + 600_000
    bench.moves = [start_ms + 1500, start_ms + 1600]
    assert bench.loses_power_at(2000) == ([], [([1, 0, 1], 3)])


def test_acknowledged_events_are_not_repeated_after_power_loss():
    bench = settled(Unplugged())
    bench.lingers_ms = 3000
    assert bench.loses_power_at(1500) == ([([1], 1)], [([], 1)])


def test_linger_time_is_bounded():
    bench = settled()
    bench.lingers_ms = 3_600_000
    bench.pin_wakes(linger_ms=5000)
    assert 5000 <= bench.on_ms < 6000 and bench.told == 2


@cases((None, 30, 18_000, j.JOIN_FAILED), (700, None, 20_800, j.REPORT_FAILED))
def test_unreachable_network_ends_the_attempt_in_bounded_time(
    joins_ms, answers_ms, limit_ms, what
):
    bench = settled()
    bench.joins_ms, bench.answers_ms = joins_ms, answers_ms
    cycle = bench.pin_wakes()
    assert limit_ms - 300 <= bench.on_ms <= limit_ms + 100
    assert [fault[0] for fault in cycle.log.faults] == [what]
    assert bench.failures == [1] and cycle.log.pending == 1
    assert bench.slept[-1][0] == 30_000
    # the next tries come later and later, and nothing is lost
    spans = []
    for _ in range(8):
        bench.now_ms += bench.slept[-1][0]
        bench.live(TIMER)
        spans.append(bench.slept[-1][0] // 1000)
    assert spans == [60, 120, 240, 480, 960, 1920, 3600, 3600]
    bench.joins_ms, bench.answers_ms = 700, 30
    bench.reports.clear()
    bench.now_ms += bench.slept[-1][0]
    bench.live(TIMER)
    assert bench.reports == [([1], 1, 0, 0)] and bench.failures[-1] == 9


def test_refused_report_keeps_its_events():
    bench = settled()
    bench.taken = False
    cycle = bench.pin_wakes()
    assert cycle.log.pending == 1 and bench.told == 1 and bench.failures == [1]


def test_edge_during_back_off_is_kept_without_radio():
    bench = settled()
    bench.joins_ms = None
    bench.pin_wakes()
    bench.on_ms = 0
    bench.now_ms += 5000
    bench.level = 0
    cycle = bench.live(PIN)
    assert bench.on_ms == 0 and cycle.log.pending == 2
    assert 20_000 <= bench.slept[-1][0] <= 25_000


def test_events_pushed_out_are_counted():
    bench = settled()
    bench.joins_ms = None
    for _ in range(12):
        bench.pin_wakes()
    bench.joins_ms = 700
    bench.now_ms += 3_600_000
    bench.live(TIMER)
    levels, number, dropped, _ = bench.reports[0]
    assert (len(levels), number, dropped) == (8, 12, 4)


def test_moving_contact_does_not_prolong_a_wake_without_limit():
    bench = settled()
    start_ms = bench.now_ms + 600_000
    bench.moves = [start_ms + 20 * i for i in range(4000)]
    bench.pin_wakes()
    assert 44_000 <= bench.now_ms - start_ms <= 45_000 + 18_000 + 100
    assert len(bench.slept) == 1


def test_unsteady_contact_is_left_unarmed():
    bench = settled()
    wakes = 0
    while not bench.slept or bench.slept[-1][1] is not None:
        bench.now_ms += 1000
        bench.level = 1 - bench.level
        cycle = bench.live(PIN)
        wakes += 1
        assert wakes < 40
    assert j.UNSTEADY in [fault[0] for fault in cycle.log.faults]
    bench.reports.clear()
    assert bench.slept[-1][0] <= 60_000
    bench.now_ms += bench.slept[-1][0]
    bench.level = 1 - bench.level
    bench.live(TIMER)
    # nobody knows how often it moved meanwhile
    assert [report[3] for report in bench.reports] == [1] and bench.slept[-1][1] is not None


def test_lost_memory_reports_a_gap_of_unknown_size_and_skips_numbers():
    bench = settled()
    bench.pin_wakes()
    bench.halves = [bytes(1024), bytes(1024)]
    bench.reports.clear()
    cycle = bench.live(POWER_ON)
    ((levels, number, dropped, blanks),) = bench.reports
    assert (levels, dropped, blanks) == ([], 0, 1) and number >= 64
    assert [fault[0] for fault in cycle.log.faults] == [j.MEMORY_LOST]
    bench.pin_wakes()
    assert bench.reports[-1][1] > number


@cases(0, 1)
def test_damaged_image_keeps_events_and_reuses_no_number(half):
    bench = settled()
    bench.joins_ms = None
    for _ in range(3):
        bench.pin_wakes()
    data = bytearray(bench.halves[half])
    data[20] ^= 4
    bench.halves[half] = bytes(data)
    bench.joins_ms = 700
    bench.reports.clear()
    bench.now_ms += 3_600_000
    cycle = bench.pin_wakes()
    told = [report[1] for report in bench.reports]
    assert bench.reports[0][0] == [1, 0, 1] and bench.reports[0][3] == 1
    assert told[-1] > 16 and j.MEMORY_TORN in [fault[0] for fault in cycle.log.faults]


@cases(POWER_ON, RESET)
def test_reset_reports_a_gap_of_unknown_size(why):
    bench = settled()
    bench.now_ms += 5000
    bench.live(why)
    assert bench.reports == [([], 0, 0, 1)]


@cases(-40_000, 90_000, 1 << 29, (1 << 30) - START_S - 10)
def test_clock_jump_or_wrap_delays_reports_briefly_at_most(jump_s):
    bench = settled()
    bench.zero_s += jump_s
    bench.pin_wakes()
    assert bench.reports == [([1], 1, 0, 0)]
    assert 1000 <= bench.slept[-1][0] <= 3_600_000


def test_ticks_may_wrap_while_awake():
    bench = settled()
    bench.now_ms = (1 << 30) - 400 - 600_000
    bench.joins_ms = None
    bench.pin_wakes()
    assert 17_900 <= bench.on_ms <= 18_100


def test_watchdog_is_fed_every_100_ms():
    bench = settled()
    bench.joins_ms = None
    bench.pin_wakes()
    assert 0 < bench.longest_ms <= 100


def test_exception_of_the_radio_is_a_failed_join():
    bench = settled()

    class Broken(Link):
        def start(self, now_ms, now_s):
            raise OSError("Wifi Internal Error")

    bench.link = Broken
    cycle = bench.pin_wakes()
    assert cycle.log.faults[-1][0] == j.JOIN_FAILED and len(bench.slept) == 1


def test_unwritable_memory_is_logged_and_survived():
    bench = settled()

    def write(i, data):
        raise OSError(28)

    bench.write = write
    bench.pin_wakes()
    assert bench.reports == [([1], 1, 0, 0)] and "state: " in bench.lines[-1]
