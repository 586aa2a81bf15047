"""The application's own deadlines, kept on the node's clock so that tests need not wait."""

from micropython import const

from coap.extension import call_callback
from coap.numbers import CLOCK_HALF, CLOCK_MASK

_FUNCTION = const(0)
_NEXT_MS = const(1)  # -1: counted from the next due()
_DELAY_MS = const(2)
_AGAIN = const(3)
_LONGEST_MS = const(1 << 29)


class Timers:
    """A fixed number of timers; node.every() and node.after() set them."""

    def __init__(self, node, slots):
        self.node = node
        # start() makes a list of its own for each
        self.slots = [[None]] * slots  # type: list
        self.running = 0

    def start(self, delay_ms, function, again):
        """Call function(now_ms) in delay_ms, 1 to 2**29 - 1; the timer, which stop() takes."""
        if not 0 < delay_ms < _LONGEST_MS:
            raise ValueError("a timer runs 1 to 536870911 ms: count longer spans yourself")
        for i, slot in enumerate(self.slots):
            if slot[_FUNCTION] is None:
                # a new list: whoever kept the timer that ran out can not stop this one
                self.slots[i] = slot = [function, -1, delay_ms, again]
                self.running += 1
                self.node.reschedule()
                return slot
        raise ValueError("all timers are taken: give Node a larger timers=")

    def stop(self, timer):
        """The timer will not run any more."""
        if timer[_FUNCTION] is not None:
            timer[_FUNCTION] = None
            self.running -= 1

    def due(self, now_ms):  # hot
        """Run what is due. The period counts from when it was due, unless that is long past."""
        if self.running:
            for slot in self.slots:
                if slot[_FUNCTION] is not None:
                    self._run(slot, now_ms)
        return 0

    def wait_ms(self, now_ms):  # hot
        nearest = CLOCK_HALF >> 2
        if self.running:
            for slot in self.slots:
                if slot[_FUNCTION] is not None:
                    left = (slot[_NEXT_MS] - now_ms) & CLOCK_MASK
                    if slot[_NEXT_MS] < 0 or left >= CLOCK_HALF:
                        return 0
                    if left < nearest:
                        nearest = left
        return nearest

    def _run(self, slot, now_ms):  # hot
        if slot[_NEXT_MS] < 0:
            slot[_NEXT_MS] = (now_ms + slot[_DELAY_MS]) & CLOCK_MASK
            return
        late = (now_ms - slot[_NEXT_MS]) & CLOCK_MASK
        if late >= CLOCK_HALF:
            return
        function = slot[_FUNCTION]
        if slot[_AGAIN]:
            start = now_ms if late >= slot[_DELAY_MS] else slot[_NEXT_MS]
            slot[_NEXT_MS] = (start + slot[_DELAY_MS]) & CLOCK_MASK
        else:
            self.stop(slot)
        call_callback(function, now_ms, self.node)
