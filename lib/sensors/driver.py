"""What the I2C drivers share: registers without allocating, and a new start after a failure."""

from errno import ENODEV

from micropython import const


class Chip:
    """One chip on an I2C bus. A driver adds `start()`, which raises OSError when it cannot."""

    def __init__(self, i2c, address):
        self.i2c = i2c
        self.address = address
        self.ready = False
        self._byte = bytearray(1)

    def probe(self):
        """Is the chip there? Starts it when it is."""
        self.ready = False
        try:
            self.wake()
        except OSError:
            pass
        return self.ready

    def wake(self):
        """Start the chip unless it runs. Raises OSError when it does not answer as it should."""
        if not self.ready:
            self.start()

    def start(self):
        raise NotImplementedError

    def load(self, register, buffer):
        """Fill the buffer from `register` on. Raises OSError, after which the chip starts anew."""
        # Not with try: its frame would be too large for the stack, and come from the heap.
        self.ready = False
        self.i2c.readfrom_mem_into(self.address, register, buffer)
        self.ready = True

    def store(self, register, data):
        """Write the bytes of `data` to `register`. Raises OSError, as load() does."""
        self.ready = False
        self.i2c.writeto_mem(self.address, register, data)
        self.ready = True

    def load_byte(self, register):
        self.load(register, self._byte)
        return self._byte[0]

    def store_byte(self, register, value):
        self._byte[0] = value
        self.store(register, self._byte)

    def expect(self, value, wanted):
        """Raise OSError (ENODEV) when the identity `value` is another chip's."""
        if value != wanted:
            self.ready = False
            raise OSError(ENODEV, "not the chip that was expected")


# The first of several chips that is there: boards are built with one thermometer or another.


class FirstOf:
    """Asks the chip in `chosen`, and looks for another one when that does not answer."""

    def __init__(self, *chips):
        self.unit = chips[0].unit
        self.chosen = chips[0]
        self._chips = chips

    def probe(self):
        """Is one of them there? Starts it when it is."""
        for chip in self._chips:
            if chip.probe():
                self.chosen = chip
                return True
        return False

    def read(self):
        """As read() of the chip. Raises OSError."""
        if not self.chosen.ready:
            self.probe()
        return self.chosen.read()

    def moved(self):
        """As moved() of the chip, where it has that. Raises OSError."""
        if not self.chosen.ready:
            self.probe()
        return self.chosen.moved()

    def sleep(self):
        """Stop the chip. Raises OSError."""
        self.chosen.sleep()


# Free an I2C bus that a chip holds: a board that was reset in the middle of a byte leaves its
# chip waiting for clocks, with SDA low, and then no transfer works (NXP UM10204 section 3.1.16).

_CLOCKS = const(9)  # the rest of a byte and its acknowledgement, at most


def release(scl, sda):
    """Clock until SDA is high, and give a stop. Pins as machine.Pin; before I2C() is made of them.

    Returns whether the bus is free.
    """
    sda.init(sda.OPEN_DRAIN, value=1)
    scl.init(scl.OPEN_DRAIN, value=1)
    clocks = _CLOCKS
    while sda.value() == 0 and clocks:
        clocks -= 1
        scl.value(0)  # a call takes over a microsecond, so this is slow enough for any chip
        scl.value(1)
    sda.value(0)
    sda.value(1)
    return sda.value() == 1
