"""TMP117: skin or air temperature to 0.1 K (TI data sheet SNOSD82), without allocation."""

from micropython import const

from sensors.driver import Chip

_TEMPERATURE = const(0x00)
_CONFIGURATION = const(0x01)
_DEVICE_ID = const(0x0F)
_IDENTITY = const(0x117)  # bits 11:0; the bits above are the revision
_CONTINUOUS = const(0x0220)  # the mean of eight conversions every second, as after power-on
_MODE_MASK = const(0x0FE0)  # what this sets; the other bits are flags and limits
_SHUTDOWN = const(0x0620)
_NO_DATA = const(-32768)  # until the first conversion is done


class Tmp117(Chip):
    """A TMP117."""

    unit = "mCel"

    def __init__(self, i2c, address=0x48):
        super().__init__(i2c, address)
        self._word = bytearray(2)

    def start(self):
        """Start continuous conversion. Raises OSError."""
        self.expect(self._load_word(_DEVICE_ID) & 0xFFF, _IDENTITY)
        self._store_word(_CONFIGURATION, _CONTINUOUS)

    def is_set_up(self):
        """Return True if the chip converts as start() sets it up. Raises OSError."""
        return self._load_word(_CONFIGURATION) & _MODE_MASK == _CONTINUOUS

    def read(self):
        """Return the temperature in mCel; None before the first conversion. Raises OSError."""
        self.wake()
        raw = self._load_word(_TEMPERATURE)
        if raw >= 0x8000:
            raw -= 0x10000
        if raw == _NO_DATA:
            return None
        return (raw * 125 + 8) >> 4  # 1/128 degree each

    def sleep(self):
        """Stop converting. Raises OSError."""
        self._store_word(_CONFIGURATION, _SHUTDOWN)
        self.ready = False

    def _load_word(self, register):
        word = self._word
        self.load(register, word)
        return word[0] << 8 | word[1]

    def _store_word(self, register, value):
        self._word[0] = value >> 8
        self._word[1] = value & 0xFF
        self.store(register, self._word)
