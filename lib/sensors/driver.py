"""The common parts of I2C drivers.

Chip         register access without allocation, and a restart after a failure
FirstOf      the first of several chips that is there: boards have one or another thermometer
release()    frees a bus that a chip holds after a reset of the board
"""

from errno import ENODEV

from micropython import const

_CLOCKS = const(9)  # the rest of a byte and its acknowledgement, at most


class Chip:
    """One chip on an I2C bus. A driver adds start() and is_set_up().

    ready: the chip was started and responds.
    """

    def __init__(self, i2c, address):
        self.i2c = i2c
        self.address = address
        self.ready = False
        self._byte = bytearray(1)

    def probe(self):
        """Start the chip; return True if it is there."""
        self.ready = False
        try:
            self.wake()
        except OSError:
            pass
        return self.ready

    def wake(self):
        """Start the chip unless it runs and has kept its registers.

        Raises OSError if it does not respond as it should.
        """
        if not (self.ready and self.is_set_up()):
            self.ready = False
            self.start()

    def start(self):
        """Check the chip's identity and configure it. Raises OSError."""
        raise NotImplementedError

    def is_set_up(self):
        """Return True if registers that start() has written still have these values.

        After a brown-out a chip responds as before, but has the values of power-on. Raises
        OSError.
        """
        raise NotImplementedError

    def load(self, register, buffer):
        """Read registers into the buffer. After an OSError the chip is started again."""
        # Not with try: the frame would be too large for the stack, and be allocated on the heap.
        self.ready = False
        self.i2c.readfrom_mem_into(self.address, register, buffer)
        self.ready = True

    def store(self, register, data):
        """Write the bytes of `data` to registers. After an OSError the chip is started again."""
        self.ready = False
        self.i2c.writeto_mem(self.address, register, data)
        self.ready = True

    def load_byte(self, register):
        """Return the value of a register. Raises OSError."""
        self.load(register, self._byte)
        return self._byte[0]

    def store_byte(self, register, value):
        """Write a register. Raises OSError."""
        self._byte[0] = value
        self.store(register, self._byte)

    def expect(self, value, wanted):
        """Raise OSError (ENODEV) if the identity `value` is that of another chip."""
        if value != wanted:
            self.ready = False
            raise OSError(ENODEV, "not the chip that was expected")


class FirstOf:
    """Read the chip in `chosen`; when it does not respond, probe the others."""

    def __init__(self, *chips):
        self.unit = chips[0].unit
        self.chosen = chips[0]
        self._chips = chips

    def probe(self):
        """Start the first chip that is there; return False if there is none."""
        for chip in self._chips:
            if chip.probe():
                self.chosen = chip
                return True
        return False

    def read(self):
        """Return what read() of the chip returns. Raises OSError."""
        if not self.chosen.ready:
            self.probe()
        return self.chosen.read()

    def moved(self):
        """Return what moved() of the chip returns, for chips that have it. Raises OSError."""
        if not self.chosen.ready:
            self.probe()
        return self.chosen.moved()

    def sleep(self):
        """Stop the chip. Raises OSError."""
        self.chosen.sleep()


def release(scl, sda):
    """Free an I2C bus: clock until SDA is high, then send a stop. Return True if the bus is free.

    A board that is reset in the middle of a byte leaves the chip waiting for clocks, with SDA low,
    and then no transfer works (NXP UM10204 section 3.1.16). Call it before I2C() is made; scl and
    sda are machine.Pin objects.
    """
    sda.init(sda.OPEN_DRAIN, value=1)
    scl.init(scl.OPEN_DRAIN, value=1)
    clocks = _CLOCKS
    while sda.value() == 0 and clocks:
        clocks -= 1
        scl.value(0)  # a call takes more than 1 us: slow enough for any chip
        scl.value(1)
    sda.value(0)
    sda.value(1)
    return sda.value() == 1
