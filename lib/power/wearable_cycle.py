"""The duty cycle of a wearable on a battery: its core naps, its radio is off most of the time.

    empty the sensors' FIFO -> report if there is a reason -> light sleep until the FIFO fills up

The radio is switched on for one session when

- a batch is full, or rows were lost;
- the conditions of an observer (c.pmin, c.pmax, c.gt, c.lt, ...) demand a notification;
- a heartbeat is due, at the latest.

After a failure the pauses grow, and observers that would keep the radio on are paused (see
wake_schedule.py). Light sleep keeps the RAM. What a reset would lose (access point, MIDs,
observers) is retained as for a door; unreported rows are lost at a reset.

It needs the following, in addition to what duty_cycle.py lists:

    log        has_pending(), pending_batch(), acknowledge(batch): see firmware/apps/samples.py
    wearable   wait_ms(now_ms), work(now_ms), radio_wait_ms(now_ms): see firmware/apps/wearable.py
    timers     due(now_ms), of the node: while the radio is off nothing else of the node may run
"""

from micropython import const

from power import retained_state
from power.duty_cycle import DutyCycle

_PARTS = const(3)
_SHORTEST_SLEEP_MS = const(5)  # a shorter light sleep costs more than it saves


class WearableCycle(DutyCycle):
    """Cycle of a node that samples all the time. radio_wakes: radio sessions so far."""

    def __init__(self, wearable, timers, **parts):
        super().__init__(**parts)
        self.wearable = wearable
        self.timers = timers
        self.radio_wakes = 0

    def run(self):
        """Run without end."""
        self.restore()
        while True:
            self.step()
            self.rest()

    def restore(self):
        """Restore what was retained over a reset."""
        parts = self.load_state(_PARTS)
        if parts is None or not self.schedule.restore(parts[0]):
            self.schedule.start(self.clock.seconds())
        if parts is not None:
            self.restore_link(parts[1], parts[2])
        self.hold_radio()

    def step(self):
        """Empty the FIFO; run a radio session if there is a reason."""
        self.poll_sensors()
        now_s = self.clock.seconds()
        self.schedule.rest_is_over(now_s)
        if not self.schedule.may_try(now_s):
            return
        if not (self.has_pending() or self.schedule.heartbeat_is_due(now_s)):
            if not self._notification_is_due():
                return
            self.schedule.count_wake(now_s)  # after too many of these observers are paused
        self.radio_wakes += 1
        self.radio.begin()
        fault = self.radio.run()
        if fault:
            self.on_failed(fault)
        self.save_state()

    def rest(self):
        """Sleep until the sensors need the core."""
        span_ms = self.wearable.wait_ms(self.clock.ticks_ms())
        if span_ms >= _SHORTEST_SLEEP_MS:
            self.sleep_mode.sleep(span_ms, None)
        elif span_ms:
            self.clock.sleep_ms(span_ms)

    def poll_sensors(self):
        """Empty the FIFO before it overflows; called during a radio session too."""
        self.feed()
        now_ms = self.clock.ticks_ms()
        if self.wearable.wait_ms(now_ms) == 0:
            self.wearable.work(now_ms)
        self.timers.due(now_ms)

    def has_pending(self):
        """Return True if a batch is to be reported."""
        return self.log.has_pending()

    def write_state(self):
        """Write the retained image. Raises OSError or ValueError."""
        self.memory.save(
            retained_state.pack(self.schedule.state(), self.link.state(), self.reporter.state())
        )

    def _notification_is_due(self):
        if self.schedule.is_resting:
            return False
        return self.wearable.radio_wait_ms(self.clock.ticks_ms()) == 0
