"""MAX30205 temperature sensor: four words of 16 bits, most significant byte first, no identity.

The two low bits of the pointer select a word, whose bytes a longer burst repeats. The
configuration is a single byte. The temperature is 0 from power-on until the first conversion is
done. Data sheet 19-8505.
"""

from micropython import const

from chips import Chip

_TEMPERATURE = const(0)
_CONFIGURATION = const(1)
_T_HYST = const(2)
_T_OS = const(3)
_ONE_SHOT = const(0x80)
_EXTENDED = const(0x20)  # temperatures are reported minus 64 degrees
_SHUTDOWN = const(0x01)


class Max30205(Chip):
    """A temperature sensor; in shutdown it keeps its last value."""

    turn_on_ms = 50
    period_ms = 50

    def __init__(self, address=0x48):
        super().__init__(address, 0)
        self.milli_celsius = 36_600
        self._reset()

    def _reset(self):
        self.words = [0, 0, 0x4B00, 0x5000]
        self.start_sampling()

    def set_mc(self, milli_celsius):
        """Set the temperature in thousandths of a degree Celsius."""
        self.milli_celsius = milli_celsius
        self._convert()

    def read(self, buffer):
        """Fill the buffer with the bytes of the selected word, again and again."""
        register = self.pointer & 3
        self._convert()
        word = self.words[register]
        for i in range(len(buffer)):
            if register == _CONFIGURATION:
                buffer[i] = word
            else:
                buffer[i] = word & 0xFF if i & 1 else word >> 8

    def write(self, data):
        """Write the selected word if it can be written and the data has its length."""
        register = self.pointer & 3
        if register == _CONFIGURATION and len(data) == 1:
            self._convert()
            if self.words[_CONFIGURATION] & _SHUTDOWN:
                self.start_sampling()
            self.words[_CONFIGURATION] = data[0] & ~_ONE_SHOT
        elif register >= _T_HYST and len(data) == 2:
            self.words[register] = data[0] << 8 | data[1]

    def _convert(self):
        """Write the temperature to its register, if a conversion is done."""
        if self.words[_CONFIGURATION] & _SHUTDOWN or not self.samples():
            return
        milli_celsius = self.milli_celsius
        if self.words[_CONFIGURATION] & _EXTENDED:
            milli_celsius -= 64_000
        raw = (milli_celsius * 32 + 62) // 125  # 1/256 of a degree a step
        self.words[_TEMPERATURE] = max(-32768, min(32767, raw)) & 0xFFFF
