"""What the I2C drivers share: registers without allocating, and a new start after a failure."""

from errno import ENODEV


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
