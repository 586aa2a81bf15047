"""A contact on a GPIO: the reed switch of a door or window, or the lid switch of the housing.

Debounced without a timer: every interrupt notes how long the level before it had lasted, and a
level counts once it lasted `debounce_ms`. So an opening and closing that the application was too
busy to see is counted, both edges of it, and a contact that bounces is counted once.

    door = Reed(Pin(14, Pin.IN))
    if door.poll():                       # from the main loop or a timer, now and then
        print(door.is_open(), door.edges)
"""

from micropython import const

from sensors.ticks import span_ms, ticks_ms

_COUNTER_MASK = const(0x3FFFFFFF)


class Reed:
    """`open_level` is the pin's level while the contact is apart: 1 with a pull-up resistor.

    `edges` counts the openings and closings since the start, modulo 2**30.
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
        self._level = pin.value()  # at the last edge
        self._state = self._level  # the last that lasted
        pin.irq(handler=self._edge, trigger=pin.IRQ_RISING | pin.IRQ_FALLING)

    def probe(self):
        """True: a contact cannot be told from a wire."""
        return True

    def read(self):
        """1 while open, 0 while closed."""
        return 1 if self.is_open() else 0

    def is_open(self):
        """The debounced state."""
        if self._level != self._state:
            self._look()
        return self._state == self.open_level

    def poll(self):
        """Has the contact opened or closed, even both, since the last poll?"""
        if self._level != self._state or self.pin.value() != self._level:
            self._look()
        if self._changed:
            self._changed = False
            return True
        return False

    def sleep(self):
        """Listen no more; the level can still be read."""
        self.pin.irq(handler=None)

    def _edge(self, _pin):
        # An interrupt may come between any two steps of _look(), which then sees to it.
        if self._polling:
            self._interrupted = True
        else:
            self._note()

    def _look(self):
        self._polling = True
        if self.pin.value() != self._level:
            self._note()  # an edge whose interrupt is still to come, or was lost
        else:
            self._settle(ticks_ms())
        self._polling = False
        if self._interrupted:
            self._interrupted = False
            self._note()

    def _note(self):
        now_ms = ticks_ms()
        self._settle(now_ms)
        self._level = self.pin.value()
        self._since_ms = now_ms

    def _settle(self, now_ms):
        if self._level == self._state:
            return
        lasted_ms = span_ms(self._since_ms, now_ms)
        if lasted_ms >= self.debounce_ms or lasted_ms < 0:  # below 0: for over six days
            self._state = self._level
            self.edges = (self.edges + 1) & _COUNTER_MASK
            self._changed = True
