"""MAX30205: skin temperature to 0.1 K (Maxim data sheet 19-8505), without allocation.

The chip has no identity register. It is told from others at the same addresses by the limit of its
overtemperature output after power-on.
"""

from micropython import const

from sensors.driver import Chip
from sensors.ticks import span_ms, ticks_ms

_TEMPERATURE = const(0x00)
_CONFIGURATION = const(0x01)
_T_HYST = const(0x02)
_MARK = b"\x4a\x00"  # 74 Celsius: any value but that of power-on, 75; the output is not used
_T_OS = const(0x03)
_T_OS_RESET = const(0x5000)  # 80 Celsius
_CONTINUOUS = const(0x00)
_SHUTDOWN = const(0x01)
_CONVERSION_MS = const(50)


class Max30205(Chip):
    """A MAX30205."""

    unit = "mCel"

    def __init__(self, i2c, address=0x48):
        super().__init__(i2c, address)
        self._word = bytearray(2)
        self._started_ms = 0
        self._converted = False

    def start(self):
        """Start continuous conversion. Raises OSError."""
        self.expect(self._load_word(_T_OS), _T_OS_RESET)
        self.store_byte(_CONFIGURATION, _CONTINUOUS)
        self.store(_T_HYST, _MARK)
        self._started_ms = ticks_ms()
        self._converted = False

    def is_set_up(self):
        """Return True if the chip converts, and was not without power since start().

        Until its first conversion it would measure 0 degrees. Raises OSError.
        """
        if self.load_byte(_CONFIGURATION) != _CONTINUOUS:
            return False
        self.load(_T_HYST, self._word)
        return self._word == _MARK

    def read(self):
        """Return the temperature in mCel; None before the first conversion. Raises OSError."""
        self.wake()
        raw = self._load_word(_TEMPERATURE)
        if not self._converted:
            if 0 <= span_ms(self._started_ms, ticks_ms()) < _CONVERSION_MS:
                return None
            self._converted = True
        if raw >= 0x8000:
            raw -= 0x10000
        return (raw * 125 + 16) >> 5  # 1/256 degree each

    def sleep(self):
        """Stop converting. Raises OSError."""
        self.store_byte(_CONFIGURATION, _SHUTDOWN)
        self.ready = False

    def _load_word(self, register):
        word = self._word
        self.load(register, word)
        return word[0] << 8 | word[1]
