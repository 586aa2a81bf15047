"""Register models of I2C chips, byte by byte as a driver sees them on the bus."""

from machine import clock


class Chip:
    """`size` byte registers and a pointer that moves on by one after every byte.

    A model overrides `get`, `put` and `after` where its chip differs. Every transfer raises the
    errno `fault` while that is not 0; a chip that does not acknowledge is 5 (EIO) or 19 (ENODEV),
    depending on the port.

    turn_on_ms: from the start of a chip to its first sample. 0 unless a test sets what the chip
    takes, so that a test of registers need not move the clock.
    """

    turn_on_ms = 0
    period_ms = 1000  # between two samples

    def __init__(self, address, size=256):
        self.address = address
        self._started_ms = 0
        self.pointer = 0
        self.fault = 0
        self.registers = bytearray(size)

    def read(self, buffer):
        """Fill the buffer from the pointer on."""
        for i in range(len(buffer)):
            buffer[i] = self.get(self.pointer)
            self.pointer = self.after(self.pointer)

    def write(self, data):
        """Write bytes from the pointer on."""
        for i in range(len(data)):
            self.put(self.pointer, data[i])
            self.pointer = self.after(self.pointer)

    def lose_registers(self):
        """Return to the power-on values, as in a brown-out, and still acknowledge."""
        self._reset()

    def _reset(self):
        raise NotImplementedError

    def start_sampling(self):
        """Note the time from which on samples are made."""
        self._started_ms = clock.ms()

    def samples(self):
        """Return how many samples were made since the start."""
        span_ms = (clock.ms() - self._started_ms) & 0x3FFFFFFF
        return (
            0 if span_ms < self.turn_on_ms else 1 + (span_ms - self.turn_on_ms) // self.period_ms
        )

    def get(self, register):
        """Return a register's value as a read finds it."""
        return self.registers[register]

    def put(self, register, value):
        """Write a register."""
        self.registers[register] = value

    def after(self, register):
        """Return where the pointer moves after a byte of this register."""
        return (register + 1) % len(self.registers)
