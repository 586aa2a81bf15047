"""TD_COAP_OBS: resources that change by themselves (RFC 7641)."""

from node_app.held import Held

_PERIOD_MS = 5000
_PUMPING_MS = 500  # an acknowledgement may take longer: newer states replace those in flight
_LARGE = 1536  # bytes: more than a block
_SIZES = (16, _LARGE, 400, 2000)  # in turns; some need blocks and others do not


class Clock(Held):
    """Changes every period_ms; the state that a PUT brings lasts one period.

    confirmable: True: all notifications are CON; False: only those by which the node sees that the
    client is still there. sizes: of its states, in turns.
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

    def put(self, request, reply):
        code = super().put(request, reply)
        self.wind()
        return code

    def wind(self):
        """Start the period anew."""
        if self.timer:
            self.node.cancel(self.timer)
        self.timer = self.node.every(self.period_ms, self.tick)

    def tick(self, now_ms):
        """The next state, as text."""
        text = f"tick {self.ticks}"
        size = self.sizes[self.ticks % len(self.sizes)]
        self.ticks += 1
        self.hold((text + "." * (size - len(text))).encode())


class RemovableClock(Clock):
    """DELETE ends the observations with 4.04; a PUT brings the resource back."""

    def delete(self, request, reply):
        self.node.cancel(self.timer)
        self.timer = None
        self.drop()


def setup(node):
    for path, clock in (
        ("obs", RemovableClock()),
        ("obs-non", Clock(confirmable=False)),
        ("obs-large", Clock(sizes=(_LARGE,))),
        ("obs-pumping", Clock(_PUMPING_MS, sizes=_SIZES)),
    ):
        node.add(path, clock)
        clock.wind()
