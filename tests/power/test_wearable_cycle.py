"""Wake cycles of a wearable in virtual time: when the radio is switched on."""

from power.retained_state import DoubleBuffer
from power.wake_schedule import WakeSchedule
from power.wearable_cycle import WearableCycle
from support import cases

PERIOD_MS = 480


class Bench:
    """Clock, chip, link, talk, sensors, rows and memory of a wearable, all in one."""

    slot_bytes = 1024
    room = 1014

    def __init__(self):
        self.now_ms = 0
        self.halves = [bytes(1024), bytes(1024)]
        self.joins = self.reaches = True
        self.work_ms = -1
        self.worked = []
        self.dues = []  # when the node's timers had their turn
        self.full = self.called = False
        self.radio = False
        self.reports = []
        self.measured = []
        self.failures = []
        self.napped_ms = 0

    def read(self, i):
        return self.halves[i]

    def write(self, i, data):
        self.halves[i] = data + self.halves[i][len(data) :]

    def ticks_ms(self):
        return self.now_ms & 0x3FFFFFFF

    def seconds(self):
        return self.now_ms // 1000

    def sleep_ms(self, ms):
        self.now_ms += ms

    # The chip

    def sleep(self, span_ms, level):
        assert level is None and not self.radio
        self.napped_ms += span_ms
        self.now_ms += span_ms

    # The sensors

    def wait_ms(self, now_ms):
        if self.work_ms < 0:
            return 0
        return max(PERIOD_MS - (self.now_ms - self.work_ms), 0)

    def work(self, now_ms):
        self.work_ms = self.now_ms
        self.worked.append(self.now_ms)

    def radio_wait_ms(self, now_ms):
        return 0 if self.called else 0x3FFFFFFF

    def due(self, now_ms):
        assert now_ms == self.ticks_ms()
        self.dues.append(self.now_ms)

    # The link

    def start(self, now_ms, now_s):
        self.radio = True
        self.since_ms = self.now_ms

    def poll(self, now_ms, now_s):
        return 1 if self.joins and self.now_ms - self.since_ms >= 700 else 0

    def on_report(self, is_acknowledged):
        pass

    def stop(self):
        self.radio = False

    # As the log

    def has_pending(self):
        return self.full

    def pending_batch(self):
        return self.now_ms

    def acknowledge(self, offer):
        assert offer == self.reports[-1]
        self.full = self.called = False

    # As the reporter

    def open(self):
        self.pending = None

    def send(self, offer, on_done):
        self.reports.append(offer)
        self.pending = on_done

    def step(self, max_ms):
        self.now_ms += max_ms
        if max_ms and self.pending is not None and self.reaches:
            done, self.pending = self.pending, None
            done(True)

    def is_waiting(self):
        return self.pending is not None

    def close(self):
        self.pending = None

    def state(self):
        return b"kept"

    def restore(self, blob, newest=True):
        self.newest = newest
        return blob == b"kept"

    def nap(self):
        life = WearableCycle(
            wearable=self,
            timers=self,
            clock=self,
            sleep_mode=self,
            link=self,
            reporter=self,
            log=self,
            schedule=WakeSchedule(3600),
            memory=DoubleBuffer(self),
            feed=lambda: None,
            measure=self.measured.append,
            say=lambda line: None,
            on_failed=self.failures.append,
        )
        life.restore()
        return life

    def live(self, life, span_ms):
        end_ms = self.now_ms + span_ms
        while self.now_ms < end_ms:
            life.step()
            life.rest()


def started():
    bench = Bench()
    life = bench.nap()
    bench.live(life, 10_000)
    return bench, life


def test_first_report_then_naps_between_fifo_batches():
    bench, life = started()
    assert len(bench.reports) == life.radio_wakes == 1 and bench.measured == [False, True]
    bench.live(life, 600_000)
    assert life.radio_wakes == 1 and bench.napped_ms > 600_000
    gaps = {bench.worked[i + 1] - bench.worked[i] for i in range(len(bench.worked) - 1)}
    assert max(gaps) <= PERIOD_MS + 20  # the FIFO holds 640 ms, also while the radio joins


def test_a_full_pack_an_observer_and_a_heartbeat_wake_the_radio():
    bench, life = started()
    bench.full = True
    bench.live(life, 5_000)
    assert life.radio_wakes == 2
    bench.called = True
    bench.live(life, 5_000)
    assert life.radio_wakes == 3
    bench.live(life, 3_600_000)
    assert life.radio_wakes == 4


@cases((True, True), (False, True), (True, False))
def test_node_timers_run_with_the_radio_on_or_off(joins, reaches):
    bench, life = started()
    bench.joins, bench.reaches, bench.full = joins, reaches, True
    began_ms = bench.now_ms
    bench.live(life, 60_000)
    dues = [began_ms] + [due_ms for due_ms in bench.dues if due_ms >= began_ms]
    assert life.radio_wakes > 1 and bench.now_ms - dues[-1] <= PERIOD_MS
    assert max([dues[i + 1] - dues[i] for i in range(len(dues) - 1)]) <= PERIOD_MS


@cases((False, True), (True, False))
def test_failing_network_gets_bounded_and_rarer_radio_time(joins, reaches):
    bench, life = started()
    bench.joins, bench.reaches, bench.full = joins, reaches, True
    bench.live(life, 3_600_000)
    assert 5 <= life.radio_wakes - 1 <= 9 and bench.failures[-1] == life.radio_wakes - 1
    bench.joins = bench.reaches = True
    bench.live(life, 3_600_000)
    assert not bench.full and life.schedule.failures == 0


def test_radio_use_for_an_observer_is_rate_limited():
    bench, life = started()
    acknowledge, bench.acknowledge = bench.acknowledge, lambda offer: None
    bench.called = True
    bench.live(life, 300_000)
    resting = life.radio_wakes
    assert resting <= 64
    bench.acknowledge = acknowledge


def test_schedule_survives_a_reset_and_torn_memory_resets_it():
    bench, life = started()
    again = bench.nap()
    assert not again.schedule.heartbeat_is_due(bench.seconds())
    bench.halves = [b"\xff" * 1024, b"\xff" * 1024]
    assert bench.nap().schedule.heartbeat_is_due(bench.seconds())


def test_state_with_any_flipped_bit_is_survived():
    bench, life = started()
    for half in (0, 1):
        kept = bench.halves[half]
        for at in range(44):
            for bit in range(8):
                spoiled = bytearray(kept)
                spoiled[at] ^= 1 << bit
                bench.halves[half] = bytes(spoiled)
                bench.nap()
        bench.halves[half] = kept
    assert not bench.nap().schedule.heartbeat_is_due(bench.seconds())
