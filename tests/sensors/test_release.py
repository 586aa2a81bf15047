"""Release of an I2C bus that a chip holds: clocks until SDA is free, then a stop."""

from sensors.driver import release
from support import cases


class Held:
    """SCL and SDA of a bus on which a chip still has `bits` to send, all of them 0."""

    OPEN_DRAIN = 2

    def __init__(self, bits):
        self.bits = bits
        self.clocks = 0
        self.scl = Line(self)
        self.sda = Line(self)

    def level(self, line):
        return 0 if line is self.sda and self.bits > 0 else line.driven

    def fell(self, line):
        if line is self.scl:
            self.clocks += 1
            self.bits -= 1


class Line:
    OPEN_DRAIN = 2

    def __init__(self, bus):
        self.bus = bus
        self.driven = 0
        self.edges = []

    def init(self, mode, value):
        assert mode == self.OPEN_DRAIN
        self.driven = value

    def value(self, level=None):
        if level is None:
            return self.bus.level(self)
        if self.driven and not level:
            self.bus.fell(self)
        self.edges.append(level)
        self.driven = level
        return None


@cases((0, 0, True), (1, 1, True), (8, 8, True), (9, 9, True), (100, 9, False))
def test_a_held_bus_is_clocked_until_it_is_free(bits, clocks, freed):
    bus = Held(bits)
    assert release(bus.scl, bus.sda) == freed
    assert bus.clocks == clocks
    assert bus.sda.edges == [0, 1] and bus.scl.driven == 1  # a stop
