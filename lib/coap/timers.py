"""Timers of the application on the node's clock, so that tests need not wait."""

from micropython import const

from coap.extension import call_callback
from coap.numbers import CLOCK_HALF, CLOCK_MASK

_FUNCTION = const(0)
_NEXT_MS = const(1)  # -1: counted from the next due()
_DELAY_MS = const(2)
_REPEATS = const(3)
_LONGEST_MS = const(1 << 29)


class Timers:
    """A fixed number of timers; node.every() and node.after() start them."""

    def __init__(self, node, timers):
        self.node = node
        # entries of [function, next_ms, delay_ms, repeats]; start() puts a new list in
        self.timers = [[None]] * timers  # type: list
        self.running = 0

    def start(self, delay_ms, function, repeats):
        """Call function(now_ms) in delay_ms, 1 to 2**29 - 1; return the timer, for stop().

        Raise ValueError for another delay, or when all timers run.
        """
        if not 0 < delay_ms < _LONGEST_MS:
            raise ValueError("a timer runs 1 to 536870911 ms: count longer spans yourself")
        for i, timer in enumerate(self.timers):
            if timer[_FUNCTION] is None:
                # a new list, so that the handle of an old timer can not stop this one
                self.timers[i] = timer = [function, -1, delay_ms, repeats]
                self.running += 1
                self.node.reschedule()
                return timer
        raise ValueError("all timers are taken: give Node a larger timers=")

    def stop(self, timer):
        """Stop a timer; one that has run out is left alone."""
        if timer[_FUNCTION] is not None:
            timer[_FUNCTION] = None
            self.running -= 1

    def due(self, now_ms):  # hot
        """Run the timers that are due. A period counts from when it was due, unless that is more
        than a period ago.
        """
        if self.running:
            for timer in self.timers:
                if timer[_FUNCTION] is not None:
                    self._run(timer, now_ms)
        return 0

    def wait_ms(self, now_ms):  # hot
        """Return the milliseconds until due() has something to do."""
        nearest = CLOCK_HALF >> 2
        if self.running:
            for timer in self.timers:
                if timer[_FUNCTION] is not None:
                    left = (timer[_NEXT_MS] - now_ms) & CLOCK_MASK
                    if timer[_NEXT_MS] < 0 or left >= CLOCK_HALF:
                        return 0
                    if left < nearest:
                        nearest = left
        return nearest

    def _run(self, timer, now_ms):  # hot
        if timer[_NEXT_MS] < 0:
            timer[_NEXT_MS] = (now_ms + timer[_DELAY_MS]) & CLOCK_MASK
            return
        late = (now_ms - timer[_NEXT_MS]) & CLOCK_MASK
        if late >= CLOCK_HALF:
            return
        function = timer[_FUNCTION]
        if timer[_REPEATS]:
            start = now_ms if late >= timer[_DELAY_MS] else timer[_NEXT_MS]
            timer[_NEXT_MS] = (start + timer[_DELAY_MS]) & CLOCK_MASK
        else:
            self.stop(timer)
        call_callback(function, now_ms, self.node)
