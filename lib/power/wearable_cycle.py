"""The life of a wearable on a battery: its sensors work while the core naps, the radio is off.

    empty the FIFO -> is there somebody to tell? -> light sleep until the FIFO needs the core again

The radio is switched on, for one errand (errand.py), when

- a pack is full, or rows were lost;
- an observer is to be told: its conditions (c.pmin, c.pmax, c.gt, c.lt, ...) decide;
- a heartbeat is due, at the latest.

After a failure pauses grow, and observers who would have the radio on all the time get a rest
(pace.py). Light sleep keeps the RAM. What a reset would lose (the access point, message ids, the
observers) is kept like a door's (slots.py), while rows that nobody has taken are lost with it.

What it works with is that of life.py, and:

    journal    owes(), offer(), release(offer): rows, see firmware/apps/rows.py
    worn       wait_ms(now_ms), work(now_ms), radio_wait_ms(now_ms): see firmware/apps/wearable.py
    timers     due(now_ms), of the node: its radio is off, so nothing else of it may run
"""

from micropython import const

from power import retained_state
from power.duty_cycle import DutyCycle

_PARTS = const(3)
_SHORTEST_MS = const(5)  # of a light sleep that is worth it


class WearableCycle(DutyCycle):
    """As Life. radio_wakes: errands so far"""

    def __init__(self, parts, say=print, told=None, failed=None, **limits):
        super().__init__(parts, say, told, failed, **limits)
        self.worn = parts["worn"]
        self.timers = parts["timers"]
        self.radio_wakes = 0

    def run(self):
        """Live for ever."""
        self.restore()
        while True:
            self.step()
            self.rest()

    def restore(self):
        """Take up what was kept over a reset."""
        parts = self.recall(_PARTS)
        if parts is None or not self.pace.restore(parts[0]):
            self.pace.begin(self.clock.seconds())
        if parts is not None:
            self.resume(parts[1], parts[2])

    def step(self):
        """Do what is due."""
        self.watch()
        now_s = self.clock.seconds()
        self.pace.look(now_s)
        if not self.pace.may_try(now_s):
            return
        if not (self.owes() or self.pace.beat_due(now_s)):
            if not self._is_called():
                return
            self.pace.edge(now_s)  # too many of these, and observers get a rest
        self.radio_wakes += 1
        self.errand.begin()
        what = self.errand.run()
        if what:
            self.vain(what)
        self.save()

    def rest(self):
        """Sleep until the sensors need the core."""
        span_ms = self.worn.wait_ms(self.clock.ticks_ms())
        if span_ms >= _SHORTEST_MS:
            self.chip.sleep(span_ms, None)
        elif span_ms:
            self.clock.sleep_ms(span_ms)

    def _is_called(self):
        """Does an observer want to be told?"""
        return not self.pace.resting and self.worn.radio_wait_ms(self.clock.ticks_ms()) == 0

    # For the errand

    def watch(self):
        """Empty the FIFO in time, whatever the network does."""
        self.feed()
        now_ms = self.clock.ticks_ms()
        if self.worn.wait_ms(now_ms) == 0:
            self.worn.work(now_ms)
        self.timers.due(now_ms)

    def owes(self):
        """Is there a pack to send?"""
        return self.journal.owes()

    # Across a reset

    def keep(self):
        """As in Life."""
        self.slots.save(
            retained_state.pack(self.pace.state(), self.link.state(), self.talk.state())
        )
