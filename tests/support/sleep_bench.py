"""A door's duty cycle on a simulated clock, and the memory between its starts."""

from power.door_cycle import DoorCycle
from power.event_log import PIN, POWER_ON, EventLog
from power.retained_state import DoubleBuffer, NumberReservation
from power.wake_schedule import WakeSchedule
from power.wifi_fast import FAILED, JOINING, UP

START_S = 50_000


class Asleep(Exception):
    """Raised when the chip sleeps; the next wake is a new cycle on the same Bench."""


class Bench:
    """Clock, chip, contact, link and report session of a node, and the memory between its wakes.

    moves: when the contact moves, in ms of the clock; joins_ms: how long a join takes, None:
    without end; answers_ms: time to the response of a report, None: never; queued: ms of lingering
    after it
    """

    slot_bytes = 1024

    def __init__(self):
        self.link = Link
        self.contact = self
        self.lid = None  # a Lid
        self.woke_lid = None  # what the chip says of its wake
        self.slept_lid = []  # levels of the lid that were armed
        self.images = []  # was it the newest that talk was restored from?
        self.now_ms = 0
        self.zero_s = START_S
        self.halves = [bytes(1024), bytes(1024)]
        self.level = 0
        self.moves = []
        self.joins_ms = 700
        self.answers_ms = 30
        self.taken = True
        self.lingers_ms = 0
        self.reports = []  # (now_ms, what the pack would tell)
        self.slept = []  # (span_ms, level)
        self.on_ms = 0  # with the radio on
        self.fed_ms = 0
        self.longest_ms = 0  # between two feeds
        self.told = 0
        self.measures = []
        self.failures = []
        self.lines = []
        self.reserve = NumberReservation(None)

    # As the memory

    def read(self, i):
        return self.halves[i]

    def write(self, i, data):
        self.halves[i] = data + self.halves[i][len(data) :]

    # As the clock

    def ticks_ms(self):
        return self.now_ms & 0x3FFFFFFF

    def seconds(self):
        return (self.zero_s + self.now_ms // 1000) & 0x3FFFFFFF

    def sleep_ms(self, ms):
        self.now_ms += ms

    # As the contact

    open_level = 1
    edges = 0

    def is_open(self):
        self._move()
        return self.level == 1

    def poll(self):
        before = self.edges
        self._move()
        return self.edges != before or self._polled()

    def _polled(self):
        return False

    def _move(self):
        while self.moves and self.moves[0] <= self.now_ms:
            self.moves.pop(0)
            self.level = 1 - self.level
            self.edges += 1

    # As the chip

    def wake_reason(self):
        return self.why

    def woken_by_lid(self):
        return self.woke_lid

    def sleep(self, span_ms, level, lid_level=None):
        self.slept.append((span_ms, level))
        self.slept_lid.append(lid_level)
        raise Asleep

    # A life

    def live(self, why, **limits):
        """From the start to sleep: the Cycle."""
        self.why = why
        self.edges = 0
        while self.moves and self.moves[0] <= self.now_ms:  # nobody watched
            self.moves.pop(0)
            self.level = 1 - self.level
        self.fed_ms = self.now_ms
        log = EventLog(8)
        if self.lid is not None:
            self.lid.edges = 0
        cycle = DoorCycle(
            contact=self.contact,
            lid=self.lid,
            reservation=self.reserve,
            clock=self,
            sleep_mode=self,
            link=self.link(self),
            reporter=Reporter(self, log),
            log=log,
            schedule=WakeSchedule(3600),
            memory=DoubleBuffer(self),
            feed=self.feed,
            measure=self.measures.append,
            say=self.lines.append,
            on_reported=self.count,
            on_failed=self.failures.append,
            **limits,
        )
        try:
            cycle.run()
        except Asleep:
            pass
        return cycle

    def feed(self):
        self.longest_ms = max(self.longest_ms, self.now_ms - self.fed_ms)
        self.fed_ms = self.now_ms

    def count(self):
        self.told += 1

    def pin_wakes(self, **limits):
        """Move the contact, which wakes the node."""
        self.now_ms += 600_000
        self.level = 1 - self.level
        return self.live(PIN, **limits)


class Lid:
    """The lid switch; moves: as the bench's, edges while the node is awake."""

    open_level = 1

    def __init__(self, bench, pin="pin"):
        self.bench = bench
        self.pin = pin
        self.level = 0
        self.moves = []
        self.edges = 0

    def is_open(self):
        return self.level == 1

    def poll(self):
        before = self.edges
        while self.moves and self.moves[0] <= self.bench.now_ms:
            self.moves.pop(0)
            self.level = 1 - self.level
            self.edges += 1
        return self.edges != before


class Link:
    def __init__(self, bench):
        self.bench = bench
        self.since_ms = None

    def start(self, now_ms, now_s):
        self.stop()
        self.since_ms = self.bench.now_ms

    def poll(self, now_ms, now_s):
        spent_ms = self.bench.now_ms - self.since_ms
        if self.bench.joins_ms is None:
            return FAILED if spent_ms >= 3000 else JOINING
        return UP if spent_ms >= self.bench.joins_ms else JOINING

    def on_report(self, is_acknowledged):
        pass

    def stop(self):
        if self.since_ms is not None:
            self.bench.on_ms += self.bench.now_ms - self.since_ms
            self.since_ms = None

    def state(self):
        return b"link"

    def restore(self, blob):
        assert blob == b"link"


class Reporter:
    def __init__(self, bench, log):
        self.bench = bench
        self.log = log
        self.is_open = False
        self.answered_ms = None
        self.lingers_until_ms = 0

    def open(self):
        self.is_open = True

    def close(self):
        self.is_open = False

    def send(self, offer, on_done):
        assert self.is_open
        first, last, dropped, blanks = offer
        bench = self.bench
        levels = [self.log.event(n, bench.seconds())[0] for n in range(first, last + 1)]
        bench.reports.append((levels, last, dropped, blanks))
        self.on_done = on_done
        if bench.answers_ms is not None:
            self.answered_ms = bench.now_ms + bench.answers_ms

    def step(self, ms):
        bench = self.bench
        bench.now_ms += ms
        if self.answered_ms is not None and bench.now_ms >= self.answered_ms:
            self.answered_ms = None
            self.lingers_until_ms = bench.now_ms + bench.lingers_ms
            self.on_done(bench.taken)

    def is_waiting(self):
        return self.bench.now_ms < self.lingers_until_ms

    def state(self):
        return b"talk"

    def restore(self, blob, newest):
        assert blob == b"talk"
        self.bench.images.append(newest)


def settled(bench=None):
    """Return a bench whose node has started, reported that, and sleeps."""
    bench = bench or Bench()
    bench.live(POWER_ON)
    assert bench.reports == [([], 0, 0, 0)] and bench.told == 1
    bench.reports.clear()
    bench.slept.clear()
    bench.on_ms = 0
    return bench
