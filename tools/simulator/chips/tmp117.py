"""TMP117 temperature sensor: four words of 16 bits, most significant byte first.

The pointer selects a word, whose bytes a longer burst repeats. Until the first conversion after
power-on the temperature is -256 degrees. Data sheet SNOSD82, section 7.6.
"""

from micropython import const

from chips import Chip

_TEMPERATURE = const(0x00)
_CONFIGURATION = const(0x01)
_DEVICE_ID = const(0x0F)
_CONFIGURATION_RESET = const(0x0220)
_DATA_READY = const(0x2000)
_MODE_SHUTDOWN = const(0x0400)
_MODE_MASK = const(0x0C00)
_NO_DATA = const(0x8000)


class Tmp117(Chip):
    """A temperature sensor; in shutdown it keeps its last value."""

    def __init__(self, address=0x48):
        super().__init__(address, 0)
        self.milli_celsius = 36_600
        self._reset()

    def _reset(self):
        self.words = {
            _TEMPERATURE: _NO_DATA,
            _CONFIGURATION: _CONFIGURATION_RESET,
            _DEVICE_ID: 0x0117,
        }
        self.start_sampling()
        self._convert()

    def set_mc(self, milli_celsius):
        """Set the temperature in thousandths of a degree Celsius."""
        self.milli_celsius = milli_celsius
        self._convert()

    def read(self, buffer):
        """Fill the buffer with the bytes of the selected word, again and again."""
        if self.pointer == _TEMPERATURE:
            self._convert()
        word = self.words.get(self.pointer, 0)
        for i in range(len(buffer)):
            buffer[i] = word & 0xFF if i & 1 else word >> 8
        if self.pointer == _TEMPERATURE or self.pointer == _CONFIGURATION:
            self.words[_CONFIGURATION] &= ~_DATA_READY

    def write(self, data):
        """Write the selected word if it can be written and the data has its length."""
        if self.pointer == _CONFIGURATION and len(data) == 2:
            self._convert()
            if self._is_shut_down():
                self.start_sampling()
            self.words[_CONFIGURATION] = (data[0] << 8 | data[1]) & 0x0FFC
            self._convert()

    def _is_shut_down(self):
        return self.words[_CONFIGURATION] & _MODE_MASK == _MODE_SHUTDOWN

    def _convert(self):
        """Write the temperature to its register, if a conversion is done."""
        if self._is_shut_down() or not self.samples():
            return
        raw = (self.milli_celsius * 16 + 62) // 125  # 7.8125 m-Celsius a step
        self.words[_TEMPERATURE] = raw & 0xFFFF
        self.words[_CONFIGURATION] |= _DATA_READY
