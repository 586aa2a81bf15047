"""The duty cycle of a door or window on a battery.

    wake -> read the pins -> restore -> join -> report -> linger -> save -> arm the pins -> sleep

It needs the following, in addition to what duty_cycle.py lists:

    contact      is_open(), poll(), edges, open_level, pin: see sensors.reed
    lid          the same for the housing, None where it is not watched
    sleep_mode   wake_reason(), woken_by_lid(), sleep(span_ms, level, lid_level)
    reservation  a NumberReservation, for the numbers of events

Failures are recorded in the event log, which is reported.
"""

from micropython import const

from power import retained_state
from power.duty_cycle import DutyCycle
from power.event_log import AWAKE, LID, MEMORY_LOST, MEMORY_TORN, PIN, POWER_ON, RESET, UNSTEADY

_MASK = const(0x3FFFFFFF)
_SETTLE_MS = const(30)
_SKIPPED_NUMBERS = const(16)  # a lost image may have used as many
_PARTS = const(4)


class DoorCycle(DutyCycle):
    """Cycle of a node that wakes for an edge of its contact or lid, or for a heartbeat."""

    def __init__(self, contact, lid, reservation, **parts):
        super().__init__(**parts)
        self.contact = contact
        self.lid = lid
        self.reservation = reservation
        self._edges = 0  # edges of the contact that are in the log
        self._lid_edges = 0

    def run(self):
        """Run without end; on a chip whose deep sleep ends in a reset, until the first sleep."""
        self.restore(self.sleep_mode.wake_reason())
        while True:
            self.wake()
            self.rest()

    # After a start

    def restore(self, reason):
        """Restore the retained state and record what the pins show. Call it once, first."""
        self.radio.begin()
        now_s = self.clock.seconds()
        parts = self.load_state(_PARTS)
        is_known = parts is not None and self.log.restore(parts[1])
        if is_known:
            self.reservation.epoch = self.log.epoch
            if not self.schedule.restore(parts[0]):
                self.schedule.start(now_s)
            self.restore_link(parts[2], parts[3])
        else:
            self._start_without_state(now_s)
        if self.memory.is_damaged:
            self.log.skip_numbers(_SKIPPED_NUMBERS)
            self.log.mark_gap(self.log.level)
            self.log.record_fault(MEMORY_TORN, now_s)
        self._record_wake(reason, now_s, is_known)
        self.hold_radio()
        self.save_state()

    def _start_without_state(self, now_s):
        """Start from the reserved numbers: first start ever, or the memory lost its power."""
        log = self.log
        self.schedule.start(now_s)
        log.epoch = self.reservation.epoch
        if self.reservation.limit >= 0:
            log.number = log.acknowledged = self.reservation.limit
            log.mark_gap()
            log.record_fault(MEMORY_LOST, now_s)

    def _record_wake(self, reason, now_s, is_known):
        """Record what the pins reveal about the time during which the node did not watch them."""
        log = self.log
        level = self._level()
        has_changed = log.level >= 0 and level != log.level
        was_lid = self._record_lid(reason, now_s)
        if reason in (POWER_ON, RESET) and is_known:
            log.mark_gap(log.level)  # how long the power was off is unknown
            log.clock_changed(now_s)
            self.schedule.start(now_s)
        if has_changed:
            log.record(level, reason, now_s)
        elif reason == PIN and log.level >= 0 and not was_lid:
            log.record_many(level, 2, PIN, now_s)  # it moved back before the node had started
        log.level = level
        if reason == PIN and self.schedule.count_wake(now_s):
            log.record_fault(UNSTEADY, now_s)
        if self.schedule.rest_is_over(now_s):
            log.mark_gap(level)
        self._edges = self.contact.edges

    def _record_lid(self, reason, now_s):
        """Record what the lid did meanwhile. Return True if the lid woke the node.

        Where the chip does not report which pin woke it and the lid has not moved, the contact is
        assumed to be the cause: a door that shuts again during the start is common, a lid that
        does so is not.
        """
        log, lid = self.log, self.lid
        if lid is None:
            return False
        level = 1 if lid.is_open() else 0
        has_moved = log.lid >= 0 and level != log.lid
        was_lid = reason == PIN and self.sleep_mode.woken_by_lid()
        if was_lid is None:  # one wake source serves both pins, at one level only
            was_lid = has_moved and self._wake_level() == self._lid_wake_level()
        if has_moved:
            log.record(level, reason | LID, now_s)
        elif was_lid and log.lid >= 0:
            log.record_many(level, 2, PIN | LID, now_s)
        log.lid = level
        self._lid_edges = lid.edges
        return was_lid

    # Awake

    def poll_sensors(self):
        """Record what contact and lid did since the last call, and save it at once."""
        self.feed()
        has_moved = self.contact.poll()
        if has_moved:
            edges = (self.contact.edges - self._edges) & _MASK
            self._edges = self.contact.edges
            self.log.record_many(self._level(), edges, AWAKE, self.clock.seconds())
        lid = self.lid
        if lid is not None and lid.poll():
            has_moved = True
            edges = (lid.edges - self._lid_edges) & _MASK
            self._lid_edges = lid.edges
            level = 1 if lid.is_open() else 0
            self.log.record_many(level, edges, AWAKE | LID, self.clock.seconds())
        if has_moved:
            self.save_state()

    def wake(self):
        """Report what is pending, or a heartbeat, unless a pause after a failure is running."""
        self.poll_sensors()
        now_s = self.clock.seconds()
        if not self.schedule.may_try(now_s):
            return
        if not self.has_pending() and not self.schedule.heartbeat_is_due(now_s):
            return
        fault = self.radio.run()
        if fault:
            self.log.record_fault(fault, self.clock.seconds())
            self.on_failed(fault)

    def has_pending(self):
        """Return True if events, or the fact that some are missing, are not yet acknowledged."""
        return self.log.pending or self.log.dropped or self.log.gaps

    def on_reported(self):
        """Note that the receiver acknowledged a report, and save that."""
        super().on_reported()
        self.save_state()

    # Asleep

    def write_state(self):
        """Write the retained image. Raises OSError or ValueError."""
        self.reservation.reserve(self.log.number)
        self.memory.save(
            retained_state.pack(
                self.schedule.state(), self.log.state(), self.link.state(), self.reporter.state()
            )
        )

    def rest(self):
        """Sleep until there is something to do; return at once if the contact just moved."""
        self.poll_sensors()
        now_s = self.clock.seconds()
        is_pending = self.has_pending()
        if is_pending and self.schedule.may_try(now_s):
            return
        span_ms = self.schedule.sleep_s(now_s, is_pending) * 1000
        self.save_state()
        if self.schedule.is_resting:
            self.sleep_mode.sleep(span_ms, None)
        else:
            self.sleep_mode.sleep(span_ms, self._wake_level(), self._lid_wake_level())
        self.clock.sleep_ms(_SETTLE_MS)  # a level that has just come has to last the debounce
        self.radio.begin()
        if self.schedule.rest_is_over(self.clock.seconds()):
            self.log.mark_gap(self._level())
        if self._has_moved() and self.schedule.count_wake(self.clock.seconds()):
            self.log.record_fault(UNSTEADY, self.clock.seconds())

    def _level(self):
        return 1 if self.contact.is_open() else 0

    def _has_moved(self):
        self.contact.is_open()  # the driver counts an edge in is_open(), once the level has lasted
        has_moved = self.contact.edges != self._edges
        lid = self.lid
        if lid is not None:
            lid.is_open()
            has_moved = has_moved or lid.edges != self._lid_edges
        return has_moved

    def _wake_level(self):
        """Return the level of the contact's pin that differs from the log.

        A contact that moved after it was read is at that level already and wakes the chip at once.
        """
        return _other_level(self.contact, self.log.level)

    def _lid_wake_level(self):
        """Return the level of the lid's pin that differs from the log; None without such a pin."""
        if self.lid is None or self.lid.pin is None:
            return None
        return _other_level(self.lid, self.log.lid)


def _other_level(contact, level):
    return 1 - contact.open_level if level else contact.open_level
