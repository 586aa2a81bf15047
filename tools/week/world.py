"""The world around a simulated board: time that only passes when somebody waits, and chance.

Runs on MicroPython. Everything that is to happen stands in an agenda; until() lets time pass and
makes it happen in its order. What ends the present life of the board is an exception, thrown where
the board happens to be: Cut, Brownout and Over by the agenda, Asleep by the board itself.
"""

PHASES = ("off", "sleep", "nap", "glimpse", "dark", "boot", "window", "awake", "radio")


class Cut(BaseException):
    """The power is gone."""


class Brownout(BaseException):
    """The voltage has dipped: a reset, and perhaps the retained memory is spoiled."""


class Over(BaseException):
    """The simulation ends; a node that light-sleeps lives one life until then."""


class Asleep(BaseException):
    """The board sleeps: for span_ms, or until a wire of those that are armed is at its level.

    armed: [(wire, level, wake reason)]
    """

    def __init__(self, span_ms, armed):
        super().__init__()
        self.span_ms = span_ms
        self.armed = armed

    def woken(self):
        """The wake reason, 0 while nothing wakes the board."""
        for wire, level, reason in self.armed:
            if wire.level == level:
                return reason
        return 0


class Chance:
    """A random source that gives the same for the same seed, everywhere."""

    def __init__(self, seed):
        self._state = (seed * 2654435761 + 12345) & 0xFFFFFFFF
        for _ in range(8):
            self.below(2)

    def below(self, n):
        """0 to n - 1."""
        self._state = (self._state * 1664525 + 1013904223) & 0xFFFFFFFF
        return (self._state >> 8) * n >> 24

    def percent(self, pct):
        """True in so many cases of a hundred."""
        return self.below(10000) < pct * 100


class World:
    """now_ms: since the beginning; spent: milliseconds by phase; phase: the present one."""

    def __init__(self, seed):
        self.chance = Chance(seed)
        self.now_ms = 0
        self.phase = "off"
        self.spent = dict.fromkeys(PHASES, 0)
        self._agenda = []  # (when, order, function, argument), the next one last
        self._order = 0

    def at(self, when_ms, function, argument=None):
        """Call function(argument) then."""
        self._order += 1
        entry = (max(when_ms, self.now_ms), self._order, function, argument)
        agenda = self._agenda
        at = len(agenda)
        while at and agenda[at - 1][:2] < entry[:2]:
            at -= 1
        agenda.insert(at, entry)

    def pass_ms(self, span_ms):
        """Let time pass."""
        self.until(self.now_ms + span_ms)

    def until(self, end_ms, ready=None):
        """Let time pass until then, or until ready() is true: True."""
        if ready is not None and ready():
            return True
        while self._agenda and self._agenda[-1][0] <= end_ms:
            when_ms, _, function, argument = self._agenda.pop()
            self._go(when_ms)
            function(argument)
            if ready is not None and ready():
                return True
        self._go(end_ms)
        return False

    def _go(self, when_ms):
        if when_ms > self.now_ms:
            self.spent[self.phase] += when_ms - self.now_ms
            self.now_ms = when_ms
