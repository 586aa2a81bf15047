"""A contact on a GPIO: the reed switch of a door or window, or the lid switch of the housing.

It is debounced without a timer: each interrupt checks how long the previous level lasted, and a
level is valid after `debounce_ms`. Thus both edges are counted when a contact opens and closes
while the application is busy, and a contact that bounces is counted once.

    door = Reed(Pin(14, Pin.IN))
    if door.poll():                       # from the main loop or a timer
        print(door.is_open(), door.edges)
"""

from micropython import const

from sensors.ticks import span_ms, ticks_ms

_COUNTER_MASK = const(0x3FFFFFFF)

PULL_MS = const(2)  # a capacitor of 4.7 nF follows an internal resistor of 45 kOhm in less
RISE_MS = const(10)  # and an external one of 1 MOhm in 7 ms


def lacks_pull_up(pin, sleep_ms):
    """Return True if an external pull-up is missing; leave the pin without an internal one.

    pin: an input whose contact is to ground. Only an open contact shows what pulls its wire: the
    result is False while it is closed, and for a changeover contact. After the return the pin can
    be read at once. sleep_ms: the function.
    """
    is_driven = (
        _with_pull(pin, pin.PULL_UP, sleep_ms) == 0
        or _with_pull(pin, pin.PULL_DOWN, sleep_ms) == 1
    )
    pin.init(pin.IN, None)
    if is_driven:
        return False
    sleep_ms(RISE_MS)
    if pin.value():
        return False
    is_open = _with_pull(pin, pin.PULL_UP, sleep_ms)  # it may have closed meanwhile
    pin.init(pin.IN, None)
    return is_open == 1


def _with_pull(pin, pull, sleep_ms):
    pin.init(pin.IN, pull)
    sleep_ms(PULL_MS)
    return pin.value()


class Reed:
    """A contact on a pin, a machine.Pin.

    open_level: the pin's level while the contact is open: 1 with a pull-up resistor.
    edges: openings and closings since the start, modulo 2**30.
    """

    unit = ""

    def __init__(self, pin, open_level=1, debounce_ms=25):
        self.pin = pin
        self.open_level = open_level
        self.debounce_ms = debounce_ms
        self.edges = 0
        self._changed = False
        self._polling = False
        self._interrupted = False
        self._since_ms = ticks_ms()
        self._level = pin.value()  # since the last edge
        self._state = self._level  # debounced
        pin.irq(handler=self._interrupt, trigger=pin.IRQ_RISING | pin.IRQ_FALLING)

    def probe(self):
        """Return True: a contact cannot be told from a wire."""
        return True

    def read(self):
        """Return 1 while open, 0 while closed."""
        return 1 if self.is_open() else 0

    def is_open(self):
        """Return True if the debounced state is open."""
        if self._level != self._state:
            self._update()
        return self._state == self.open_level

    def poll(self):
        """Return True if the contact opened, closed or did both since the last poll."""
        if self._level != self._state or self.pin.value() != self._level:
            self._update()
        if self._changed:
            self._changed = False
            return True
        return False

    def sleep(self):
        """Stop the interrupt; the level can still be read."""
        self.pin.irq(handler=None)

    def _interrupt(self, _pin):
        # An interrupt may come between any two steps of _update(), which then handles the edge.
        if self._polling:
            self._interrupted = True
        else:
            self._on_edge()

    def _update(self):
        self._polling = True
        if self.pin.value() != self._level:
            self._on_edge()  # an edge whose interrupt is pending or was lost
        else:
            self._settle(ticks_ms())
        self._polling = False
        if self._interrupted:
            self._interrupted = False
            self._on_edge()

    def _on_edge(self):
        now_ms = ticks_ms()
        self._settle(now_ms)
        self._level = self.pin.value()
        self._since_ms = now_ms

    def _settle(self, now_ms):
        if self._level == self._state:
            return
        lasted_ms = span_ms(self._since_ms, now_ms)
        if lasted_ms >= self.debounce_ms or lasted_ms < 0:  # below 0: more than six days
            self._state = self._level
            self.edges = (self.edges + 1) & _COUNTER_MASK
            self._changed = True
