"""Register models of I2C chips: what a driver sees on the bus, byte by byte."""


class Chip:
    """`size` byte registers behind one pointer, which moves on by one after every byte.

    A model overrides `get`, `put` and `after` where its chip differs. `fault` is an errno that
    every transfer raises while it is not 0: 5 (EIO) or 19 (ENODEV) for a chip that does not
    acknowledge, by port.
    """

    def __init__(self, address, size=256):
        self.address = address
        self.pointer = 0
        self.fault = 0
        self.registers = bytearray(size)

    def read(self, buffer):
        for i in range(len(buffer)):
            buffer[i] = self.get(self.pointer)
            self.pointer = self.after(self.pointer)

    def write(self, data):
        for i in range(len(data)):
            self.put(self.pointer, data[i])
            self.pointer = self.after(self.pointer)

    def lose_registers(self):
        """Return to the power-on values, as in a brown-out, and go on answering."""
        self._reset()

    def _reset(self):
        raise NotImplementedError

    def get(self, register):
        return self.registers[register]

    def put(self, register, value):
        self.registers[register] = value

    def after(self, register):
        return (register + 1) % len(self.registers)
