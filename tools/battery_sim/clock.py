"""Virtual time, and random numbers that repeat for a seed.

Time passes only within wait_ms() and run_until(), which call the scheduled functions in the order
of their times. The present boot of the board ends by an exception raised wherever the firmware
is: PowerCut, Brownout and SimulationEnd by scheduled functions, DeepSleep by
the board itself. Runs on MicroPython.
"""

# What the board is doing, as far as its supply current is concerned:
#   off      no power
#   sleep    deep sleep of an ESP32, light sleep of an RP2040
#   nap      light sleep, the oximeter measures
#   probe    light sleep, the oximeter looks for a finger with little light
#   dark     light sleep, the oximeter is shut down
#   boot     from reset to the first line of Python
#   window   start after a power-on or reset, which includes five seconds for Ctrl-C
#   awake    Python runs, the radio is off
#   radio    Python runs, the radio is on
PHASES = ("off", "sleep", "nap", "probe", "dark", "boot", "window", "awake", "radio")


class PowerCut(BaseException):
    """The power supply was cut."""


class Brownout(BaseException):
    """The supply voltage dipped: the board resets, and retained memory may be corrupt."""


class SimulationEnd(BaseException):
    """The simulated span is over."""


class DeepSleep(BaseException):
    """The board sleeps for `span_ms`, or until an armed wire has its level.

    armed: [(wire, level, wake reason)]
    """

    def __init__(self, span_ms, armed):
        super().__init__()
        self.span_ms = span_ms
        self.armed = armed

    def wake_reason(self):
        """Return the reason of the wire that wakes the board, 0 while none does."""
        for wire, level, reason in self.armed:
            if wire.read() == level:
                return reason
        return 0


class Random:
    """A linear congruential generator: the same numbers on every interpreter."""

    def __init__(self, seed):
        self._state = (seed * 2654435761 + 12345) & 0xFFFFFFFF
        for _ in range(8):
            self.below(2)

    def below(self, n):
        """Return a number from 0 to n - 1."""
        self._state = (self._state * 1664525 + 1013904223) & 0xFFFFFFFF
        return (self._state >> 8) * n >> 24

    def happens(self, percent):
        """Return True with a probability of `percent`."""
        return self.below(10000) < percent * 100


class Clock:
    """Virtual time. now_ms: since the start; spent_ms: by phase; phase: the present one."""

    def __init__(self, seed):
        self.random = Random(seed)
        self.now_ms = 0
        self.phase = "off"
        self.spent_ms = dict.fromkeys(PHASES, 0)
        self._schedule = []  # (when_ms, order, function, argument), the next one last
        self._order = 0

    def at(self, when_ms, function, argument=None):
        """Schedule a call of function(argument)."""
        self._order += 1
        entry = (max(when_ms, self.now_ms), self._order, function, argument)
        schedule = self._schedule
        at = len(schedule)
        while at and schedule[at - 1][:2] < entry[:2]:
            at -= 1
        schedule.insert(at, entry)

    def wait_ms(self, span_ms):
        """Let time pass."""
        self.run_until(self.now_ms + span_ms)

    def run_until(self, end_ms, ready=None):
        """Let time pass until `end_ms`, or until ready() is true; return True in that case."""
        if ready is not None and ready():
            return True
        while self._schedule and self._schedule[-1][0] <= end_ms:
            when_ms, _, function, argument = self._schedule.pop()
            self._advance(when_ms)
            function(argument)
            if ready is not None and ready():
                return True
        self._advance(end_ms)
        return False

    def _advance(self, when_ms):
        if when_ms > self.now_ms:
            self.spent_ms[self.phase] += when_ms - self.now_ms
            self.now_ms = when_ms
