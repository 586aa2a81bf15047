"""The wearer of a simulated node: a finger on the oximeter, steps, temperature.

The light of a pulse is a recorded loop, made once: a day has four million samples. Runs on
MicroPython.
"""

from chips.lsm6dsox import Lsm6dsox
from chips.max30102 import Max30102
from chips.tmp117 import Tmp117
from machine import bus
from machine import clock as machine_clock

MEASURE = 0x2F  # SPO2_CONFIG (register 10) while the driver measures and does not probe
_SPO2_MODE = 3
_LOOP_BEATS = 10
_LOOP_SAMPLES = 50 * 60 * _LOOP_BEATS // 72  # 50 samples a second, 72 beats a minute
_SAMPLE_BYTES = 6
_MINUTE_MS = 60_000


class Oximeter(Max30102):
    """A MAX30102 that plays the loop and moves whole FIFO contents; the same registers."""

    def __init__(self):
        super().__init__()
        self._loop = bytearray(_LOOP_SAMPLES * _SAMPLE_BYTES)
        self._taken = 0  # samples that left the FIFO, read or pushed out
        self.dropped = 0  # samples that were pushed out
        self._record()

    def read(self, buffer):
        """Fill the buffer, from the loop where the register is FIFO_DATA."""
        if self.pointer != 7:
            super().read(buffer)
            return
        n = len(buffer)
        start = self._taken * _SAMPLE_BYTES % len(self._loop)
        first = min(n, len(self._loop) - start)
        if self.finger:
            buffer[:first] = self._loop[start : start + first]
            buffer[first:] = self._loop[: n - first]
        else:
            buffer[:] = b"\0\3\x84" * (n // 3)
        self._taken += n // _SAMPLE_BYTES
        self.registers[6] = (self.registers[6] + n // _SAMPLE_BYTES) & 31
        self.registers[5] = 0
        self._full = False

    def phase(self):
        """Return the phase of clock.PHASES that a nap belongs to, by the oximeter's settings."""
        if self.registers[9] & 0x87 != _SPO2_MODE:
            return "dark"
        return "nap" if self.registers[10] == MEASURE else "probe"

    def _record(self):
        for register, value in ((0x0A, MEASURE), (0x08, 0x70), (0x0C, 36), (0x0D, 36)):
            self.registers[register] = value
        for i in range(_LOOP_SAMPLES):
            self._beat()
            for channel in (0, 1):
                light = self._light(channel)
                at = i * _SAMPLE_BYTES + 3 * channel
                self._loop[at : at + 3] = bytes((light >> 16 & 3, light >> 8 & 0xFF, light & 0xFF))
        self._reset()

    def _push(self):
        registers = self.registers
        if self._full:
            registers[5] = min(31, registers[5] + 1)
            registers[6] = (registers[6] + 1) & 31
            self._taken += 1
            self.dropped += 1
        registers[4] = (registers[4] + 1) & 31
        self._full = registers[4] == registers[6]


class Wearer:
    """Wears the board two of every three hours, and walks from time to time.

    produced: [(number, when_ms)] of the rows that the firmware has kept
    """

    def __init__(self, clock, sda_pin):
        self.produced = []
        self._clock = clock
        self._bus = bus(sda_pin)
        machine_clock.ms = lambda: clock.now_ms & 0x3FFFFFFF
        self.set_power(True)
        self._live_a_minute(None)

    def set_power(self, on):
        """Start with new chips when the power returns: they have the board's supply."""
        if on:
            self.oximeter = self._bus.attach(Oximeter())
            self._bus.attach(Tmp117())
            self.motion = self._bus.attach(Lsm6dsox())

    def phase(self):
        """Return the phase that a nap belongs to."""
        return self.oximeter.phase()

    def record_rows(self, batch_class):
        """Record the rows that the batch of the present boot keeps."""
        add = batch_class._add_row
        self.oximeter._last_ms = machine_clock.ms()

        def recorded(batch, now_s):
            added = add(batch, now_s)
            if added:
                self.produced.append((batch.number, self._clock.now_ms))
            return added

        batch_class._add_row = recorded

    def _live_a_minute(self, _):
        random = self._clock.random
        self.oximeter.finger = self._clock.now_ms // 3_600_000 % 3 < 2
        if self.oximeter.finger and random.happens(50):
            self.motion.walk(20 + random.below(80))
        self._clock.at(self._clock.now_ms + _MINUTE_MS, self._live_a_minute)
