"""MAX30102 pulse oximeter: registers, a FIFO of 32 samples, and a finger with a pulse.

A burst from FIFO_DATA stays on that register while the read pointer moves on after each whole
sample: red, then infrared, three bytes each, most significant first. With roll-over, new samples
replace the oldest, and OVF_COUNTER counts these up to 31.

The light is a steady level minus the blood's absorption at each beat (a systolic wave and a
smaller dicrotic one), a slow swing with the breath, and noise. The oxygen saturation determines
how much more of red is absorbed than of infrared. Samples are integers, computed when needed.
"""

from machine import clock
from micropython import const

from chips import Chip

_FIFO_WR_PTR = const(0x04)
_OVF_COUNTER = const(0x05)
_FIFO_RD_PTR = const(0x06)
_FIFO_DATA = const(0x07)
_FIFO_CONFIG = const(0x08)
_ROLLOVER = const(0x10)
_MODE_CONFIG = const(0x09)
_RESET = const(0x40)
_SHUTDOWN = const(0x80)
_MODE_SPO2 = const(3)
_SPO2_CONFIG = const(0x0A)
_LED1_PA = const(0x0C)
_LED2_PA = const(0x0D)
_REVISION_ID = const(0xFE)
_PART_ID = const(0xFF)

_SLOTS = const(32)
_SAMPLE_RATES = (50, 100, 200, 400, 800, 1000, 1600, 3200)
_FULL_SCALE = const(0x3FFFF)
_AMBIENT = const(900)  # counts without a finger
# Absorption over one beat in 64 parts: the sum of two bells, 250 at the top. Bytes, since a frozen
# module keeps such a literal in flash.
_BEAT = (
    b"\x04\x08\x10\x1e\x34\x52\x79\xa4\xcc\xec\xfa\xf8\xef\xe0\xcb\xb3"
    b"\x9a\x81\x6a\x57\x49\x40\x3d\x3e\x44\x4c\x54\x5b\x60\x60\x5f\x5c"
    b"\x59\x55\x50\x4b\x45\x3e\x38\x32\x2b\x26\x20\x1b\x16\x12\x0f\x0c"
    b"\x09\x07\x06\x04\x03\x02\x02\x01\x01\x00\x00\x00\x00\x00\x00\x01"
)


class Max30102(Chip):
    """An oximeter on a finger. Set `pulse_per_min`, `spo2_pct`, `finger` and `noise` (counts)."""

    def __init__(self, address=0x57, seed=1):
        super().__init__(address)
        self.pulse_per_min = 72
        self.spo2_pct = 97
        self.finger = True
        self.noise = 40
        self.swing = 600
        self.ahead_ms = 0
        self.fifo = bytearray(_SLOTS * 6)
        self._byte = 0
        self._phase = 0  # within a beat of 2**16
        self._breath = 0
        self._seed = seed % 65521 or 1
        self._reset()

    def advance(self, span_ms):
        """Advance the time of this chip alone, so that a demonstration need not wait."""
        self.ahead_ms += span_ms

    def get(self, register):
        """Return a register; the FIFO's registers are brought up to date first."""
        if _FIFO_WR_PTR <= register <= _FIFO_DATA:
            self._sample()
        if register == _FIFO_DATA:
            return self._pop()
        return self.registers[register]

    def put(self, register, value):
        """Write a register; a reset and new FIFO pointers take effect at once."""
        if register == _MODE_CONFIG and value & _RESET:
            self._reset()
        elif register == _FIFO_DATA or register >= _REVISION_ID:
            return
        elif _FIFO_WR_PTR <= register <= _FIFO_RD_PTR:
            self._sample()
            self.registers[register] = value & 31
            self._byte = 0
            self._full = False
        else:
            self._sample()  # the time until now had the old settings
            self.registers[register] = value

    def after(self, register):
        """Return the next register; a burst stays on FIFO_DATA."""
        return register if register == _FIFO_DATA else (register + 1) & 0xFF

    def _reset(self):
        """Set all registers to their values after power-on; empty the FIFO."""
        for i in range(256):
            self.registers[i] = 0
        self.registers[_PART_ID] = 0x15
        self.registers[_REVISION_ID] = 0x03
        self._full = False
        self._byte = 0
        self._last_ms = clock.ms() + self.ahead_ms
        self._due = 0  # thousandths of a sample that are due

    def _sample(self):
        """Add the samples that are due since the last call."""
        now_ms = clock.ms() + self.ahead_ms
        span_ms = (now_ms - self._last_ms) & 0x3FFFFFFF
        self._last_ms = now_ms
        if self.registers[_MODE_CONFIG] & 0x87 != _MODE_SPO2:
            return
        self._due += min(span_ms, 60_000) * self._rate()
        while self._due >= 1000:
            self._due -= 1000
            self._push()

    def _rate(self):
        """Return the samples per second that reach the FIFO."""
        average = min(self.registers[_FIFO_CONFIG] >> 5, 5)
        return _SAMPLE_RATES[self.registers[_SPO2_CONFIG] >> 2 & 7] >> average

    def _push(self):
        """Add one sample to the FIFO."""
        red, infrared = 0, 1
        self._beat()
        if self._full:
            self.registers[_OVF_COUNTER] = min(31, self.registers[_OVF_COUNTER] + 1)
            if not self.registers[_FIFO_CONFIG] & _ROLLOVER:
                return
            self.registers[_FIFO_RD_PTR] = (self.registers[_FIFO_RD_PTR] + 1) & 31
        at = self.registers[_FIFO_WR_PTR]
        self._store(at * 6, self._light(red))
        self._store(at * 6 + 3, self._light(infrared))
        at = (at + 1) & 31
        self.registers[_FIFO_WR_PTR] = at
        self._full = at == self.registers[_FIFO_RD_PTR]

    def _pop(self):
        """Return the next byte of the FIFO; remove its sample after the sixth."""
        at = self.registers[_FIFO_RD_PTR]
        value = self.fifo[at * 6 + self._byte]
        self._byte += 1
        if self._byte == 6:
            self._byte = 0
            if self._full or at != self.registers[_FIFO_WR_PTR]:
                self.registers[_FIFO_RD_PTR] = (at + 1) & 31
                self._full = False
                self.registers[_OVF_COUNTER] = 0
        return value

    def _store(self, offset, value):
        """Write three bytes of the FIFO."""
        self.fifo[offset] = value >> 16 & 3
        self.fifo[offset + 1] = value >> 8 & 0xFF
        self.fifo[offset + 2] = value & 0xFF

    def _beat(self):
        """Advance beat and breath by one sample."""
        rate = self._rate()
        self._phase = (self._phase + self.pulse_per_min * 65536 // (60 * rate)) & 0xFFFF
        self._breath = (self._breath + 65536 // (4 * rate)) & 0xFFFF

    def _light(self, infrared):
        """Return one channel's count: its steady level minus pulse, breath and noise.

        A beat absorbs 1.5 % of infrared, and R times that of red: R = (110 - SpO2) / 25.
        """
        if not self.finger:
            return _AMBIENT + self._random(self.noise + 1)
        if infrared:
            light = self._through(self.registers[_LED2_PA] * 2800, 1500)
        else:
            light = self._through(self.registers[_LED1_PA] * 2300, 60 * (110 - self.spo2_pct))
        light += self._random(2 * self.noise + 1) - self.noise
        return max(0, min(_FULL_SCALE, light))

    def _through(self, steady, share):
        """Return `steady` minus the absorption, which peaks at `share` / 100,000 of it."""
        share = share * self._absorbed() // 1000
        share += abs(self._breath - 32768) * self.swing // 32768
        return steady - steady * share // 100_000

    def _absorbed(self):
        """Return the absorption at this phase of the beat, 0 to 1000."""
        at = self._phase >> 10
        here = _BEAT[at]
        return 4 * here + (_BEAT[(at + 1) & 63] - here) * (self._phase & 1023) // 256

    def _random(self, span):
        """Return a pseudo-random number from 0 to span - 1."""
        self._seed = (self._seed * 1103 + 12345) % 65521
        return self._seed % span if span > 0 else 0
