"""One duty cycle of a node on a battery: wake, use the radio, save, sleep.

DutyCycle is the base of DoorCycle and WearableCycle. RadioSession switches the radio on, reports,
lingers for queued requests and switches it off again. Everything that they need is passed in, so
that a test runs them on a clock of its own:

    clock       ticks_ms(), sleep_ms(ms), and seconds(), which also runs while the node sleeps
    sleep_mode  sleep(span_ms, level, ...): see power.sleep_modes
    link        start(), poll(), stop(), on_report(), state(), restore(): see power.wifi_fast
    reporter    open(), send(batch, on_done), step(max_ms), is_waiting(), close(), state() and
                restore(blob, is_latest): the node with its report and observers, see
                firmware/battery.py
    log         pending_batch() and acknowledge(batch): what is to be reported
    schedule    a WakeSchedule
    memory      a DoubleBuffer: what outlives a sleep
    feed        feeds the watchdog; called only by a loop that makes progress
    measure     measure(is_sending): called before the radio is switched on, and while it sends

A wake always ends, whatever the network does: each step has a time limit, and after a failure the
pause until the next attempt grows.
"""

from micropython import const

from power import retained_state
from power.event_log import AWAKE_TOO_LONG, BROWN_OUT, FAULTS, JOIN_FAILED, REPORT_FAILED
from power.wifi_fast import FAILED, UP

_MASK = const(0x3FFFFFFF)
_STEP_MS = const(20)


class DutyCycle:
    """Common part of the cycles of a door and of a wearable.

    say(text) takes a line for the log; on_reported() is called after each acknowledged report;
    on_failed(failures) after a failed one, with the number of failures in a row. hold_s: seconds
    before the radio may be started, after brown-outs. limits: those of RadioSession.
    """

    def __init__(
        self,
        clock,
        sleep_mode,
        link,
        reporter,
        log,
        schedule,
        memory,
        feed,
        measure,
        say=print,
        on_reported=None,
        on_failed=None,
        hold_s=0,
        **limits,
    ):
        self.clock = clock
        self.sleep_mode = sleep_mode
        self.link = link
        self.reporter = reporter
        self.log = log
        self.schedule = schedule
        self.memory = memory
        self.feed = feed
        self.measure = measure
        self.say = say
        self._reported = on_reported
        self._failed = on_failed
        self._hold_s = hold_s
        self.radio = RadioSession(self, **limits)

    def load_state(self, count):
        """Return the `count` parts of the newest retained image, None if there is none."""
        image = self.memory.load()
        return None if image is None else retained_state.unpack(image, count)

    def restore_link(self, link, reporter):
        """Restore link and reporter from their parts of the image.

        When a newer image was lost, the reporter must not reuse numbers that may have been used.
        """
        self.link.restore(link)
        self.reporter.restore(reporter, not self.memory.is_damaged)

    def hold_radio(self):
        """Keep the radio off at first, if it brought the supply down before."""
        if self._hold_s:
            self.schedule.hold(self.clock.seconds(), self._hold_s)
            self.say("{}; next try in {} s".format(FAULTS[BROWN_OUT], self._hold_s))

    def on_failed(self, fault):
        """Note that the radio session ended with `fault`, an index into event_log.FAULTS."""
        now_s = self.clock.seconds()
        self.schedule.on_failed(now_s)
        self.say("{}; next try in {} s".format(FAULTS[fault], self.schedule.sleep_s(now_s, True)))
        if self._failed is not None:
            self._failed(self.schedule.failures)

    def on_reported(self):
        """Note that the receiver acknowledged a report."""
        self.schedule.on_reported(self.clock.seconds())
        if self._reported is not None:
            self._reported()

    def write_state(self):
        """Write the retained image. Subclasses choose its parts.

        Raises OSError when it cannot be written, ValueError when it does not fit.
        """
        raise NotImplementedError

    def save_state(self):
        """Write the retained image; log an error instead of raising it.

        What cannot be written is lost at the next reset.
        """
        try:
            self.write_state()
        except (OSError, ValueError) as error:
            self.say("state: {}".format(error))


class RadioSession:
    """Join the network, report until nothing is pending, linger, switch the radio off.

    The session ends after `join_ms` without a link, after `report_ms` without a response, and in
    any case `awake_ms` after begin(). `linger_ms` limits the time for observers and queued
    requests after the last report. The cycle that owns the session provides:

        poll_sensors()   called all the time, so that no edge and no sample is lost
        has_pending()    return True if there is more to report
        on_reported()    called after each acknowledged report
    """

    def __init__(self, cycle, join_ms=18000, report_ms=20000, linger_ms=8000, awake_ms=45000):
        self.cycle = cycle
        self.join_ms = join_ms
        self.report_ms = report_ms
        self.linger_ms = linger_ms
        self.awake_ms = awake_ms
        self._began_ms = self._sent_ms = 0
        self._is_done = self._is_acknowledged = False
        self._batch = None

    def begin(self):
        """Start to count `awake_ms`: the node has just woken."""
        self._began_ms = self.cycle.clock.ticks_ms()

    def run(self):
        """Report everything that is pending. Return 0, or the fault's index in FAULTS."""
        self.cycle.measure(False)
        fault = 0
        if not self._join():
            fault = JOIN_FAILED
        elif not self._report():
            fault = REPORT_FAILED
            self.cycle.link.on_report(False)
        self.cycle.link.stop()
        return AWAKE_TOO_LONG if fault and self._awake_ms() >= self.awake_ms else fault

    def _join(self):
        cycle, clock, link = self.cycle, self.cycle.clock, self.cycle.link
        since_ms = clock.ticks_ms()
        try:
            link.start(since_ms, clock.seconds())
            while self._elapsed_ms(since_ms) < self.join_ms:
                now_ms = clock.ticks_ms()
                status = link.poll(now_ms, clock.seconds())
                if status == UP:
                    return True
                if status == FAILED:
                    link.start(now_ms, clock.seconds())
                clock.sleep_ms(_STEP_MS)
                cycle.poll_sensors()
        except OSError as error:
            cycle.say("Wi-Fi: {}".format(error))
        return False

    def _report(self):
        reporter = self.cycle.reporter
        try:
            reporter.open()
            return self._exchange(reporter)
        except OSError as error:
            self.cycle.say("CoAP: {}".format(error))
            return False
        finally:
            reporter.close()

    def _exchange(self, reporter):
        """Send reports, serve queued requests. Return False if a report was not acknowledged."""
        cycle = self.cycle
        self._send()
        reporter.step(0)
        cycle.measure(True)
        while self._awake_ms() < self.awake_ms:
            reporter.step(_STEP_MS)
            cycle.poll_sensors()
            if not self._is_done:
                if self._elapsed_ms(self._sent_ms) >= self.report_ms:
                    return False
            elif not self._is_acknowledged:
                return False
            elif cycle.has_pending():
                self._send()
            elif not reporter.is_waiting() or self._elapsed_ms(self._sent_ms) >= self.linger_ms:
                return True
        return self._is_done and self._is_acknowledged

    def _send(self):
        self._batch = self.cycle.log.pending_batch()
        self._is_done = self._is_acknowledged = False
        self._sent_ms = self.cycle.clock.ticks_ms()
        self.cycle.reporter.send(self._batch, self._on_report_done)

    def _on_report_done(self, is_acknowledged):
        self._is_done = True
        self._is_acknowledged = is_acknowledged
        if is_acknowledged:
            self.cycle.log.acknowledge(self._batch)
            self.cycle.link.on_report(True)
            self._sent_ms = self.cycle.clock.ticks_ms()  # lingering counts from here
            self.cycle.on_reported()

    def _elapsed_ms(self, since_ms):
        return (self.cycle.clock.ticks_ms() - since_ms) & _MASK

    def _awake_ms(self):
        return self._elapsed_ms(self._began_ms)
