"""TD_COAP_OBS: resources that change by themselves (RFC 7641)."""

from node_app.held import Held

_PERIOD_MS = 5000
_PUMPING_MS = 500  # an ACK may take longer: then a newer state replaces the one in flight
_LARGE = 1536  # bytes: more than a block
_SIZES = (16, _LARGE, 400, 2000)  # of successive states: some need blocks, others do not


class Clock(Held):
    """Changes every period_ms; the state of a PUT lasts one period.

    confirmable: False: notifications are NON, except those that check that the client still
    exists. sizes: lengths of successive states in bytes, repeated.
    """

    observable = True

    def __init__(self, period_ms=_PERIOD_MS, confirmable=True, sizes=(0,)):
        super().__init__()
        self.period_ms = period_ms
        self.max_age_s = (period_ms + 999) // 1000
        self.confirmable = confirmable
        self.sizes = sizes
        self.ticks = 0
        self.timer = None
        self.tick(0)

    def put(self, request, response):
        """Replace or create the state, and restart the period."""
        code = super().put(request, response)
        self.wind()
        return code

    def wind(self):
        """Restart the period."""
        if self.timer:
            self.node.cancel(self.timer)
        self.timer = self.node.every(self.period_ms, self.tick)

    def tick(self, now_ms):
        """Change to the next state, a text."""
        text = f"tick {self.ticks}"
        size = self.sizes[self.ticks % len(self.sizes)]
        self.ticks += 1
        self.hold((text + "." * (size - len(text))).encode())


class RemovableClock(Clock):
    """DELETE ends the observations with 4.04; a PUT brings the resource back."""

    def delete(self, request, response):
        """Remove the state and stop the timer."""
        self.node.cancel(self.timer)
        self.timer = None
        self.drop()


def setup(node):
    """Add the resources to the node and start their timers."""
    for path, clock in (
        ("obs", RemovableClock()),
        ("obs-non", Clock(confirmable=False)),
        ("obs-large", Clock(sizes=(_LARGE,))),
        ("obs-pumping", Clock(_PUMPING_MS, sizes=_SIZES)),
    ):
        node.add(path, clock)
        clock.wind()
