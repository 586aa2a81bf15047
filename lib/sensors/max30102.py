"""MAX30102: raw red and infrared light of a finger, from the chip's FIFO.

Published drivers poll with sleeps and allocate a list for each sample. sensors.ppg computes the
pulse from the light.

    while oximeter.read():
        pulse.add(oximeter.red, oximeter.infrared)

The core may sleep while the FIFO fills: empty it every BATCH_MS, when it is three quarters full.
It is read in bursts of eight samples.
"""

from micropython import const

from sensors.driver import Chip

_FIFO_WR_PTR = const(0x04)  # OVF_COUNTER and FIFO_RD_PTR follow
_FIFO_DATA = const(0x07)
_FIFO_CONFIG = const(0x08)  # the registers below follow
_MODE_CONFIG = const(0x09)
_SPO2_CONFIG = const(0x0A)
_LED1_PA = const(0x0C)  # red
_LED2_PA = const(0x0D)  # infrared
_PART_ID = const(0xFF)

_IDENTITY = const(0x15)
_RESET = const(0x40)
_SHUTDOWN = const(0x80)
_MODE_SPO2 = const(3)
_AVERAGE_8_ROLLOVER = const(0x70)
_RANGE_4096_RATE_400_WIDTH_411 = const(0x2F)
_SINGLE_ROLLOVER = const(0x10)
_RANGE_4096_RATE_50_WIDTH_411 = const(0x23)
_SLOTS = const(32)
_RESET_POLLS = const(10)
_BURST = const(8)  # samples
_SAMPLE = const(6)  # bytes

SAMPLES_PER_S = 50  # 400 a second, eight of them averaged
BATCH_MS = _SLOTS * 3 // 4 * 1000 // SAMPLES_PER_S


class Max30102(Chip):
    """A MAX30102. red, infrared: the sample of the last read().

    led_ma_x5: the LED current in fifths of a milliampere: 36 is 7.2 mA.
    lost: how many samples the FIFO dropped because it was not read for 0.64 s. When the chip has
    lost its registers it is not known how many there were: this counts as a full FIFO.
    sparing: when True at wake(), the same rate of samples takes an eighth of the light, which is
    enough to detect a finger.
    """

    unit = ""

    def __init__(self, i2c, address=0x57, led_ma_x5=36):
        super().__init__(i2c, address)
        self.led_ma_x5 = led_ma_x5
        self.red = 0
        self.infrared = 0
        self.lost = 0
        self.sparing = False
        self._waiting = 0
        self._pointers = bytearray(3)
        self._settings = bytearray(_LED2_PA - _FIFO_CONFIG + 1)
        self._one = bytearray(_SAMPLE)
        self._burst = bytearray(_SAMPLE * _BURST)
        self._samples = self._one  # read last; _at: offset of the next sample in it
        self._at = _SAMPLE

    def start(self):
        """Reset and configure the chip, with an empty FIFO. Raises OSError."""
        self.expect(self.load_byte(_PART_ID), _IDENTITY)
        self.store_byte(_MODE_CONFIG, _RESET)
        polls = _RESET_POLLS
        while self.load_byte(_MODE_CONFIG) & _RESET and polls:
            polls -= 1  # a reset takes less than 1 ms, as long as one such poll
        self.store_byte(_FIFO_CONFIG, self._fifo_config())
        self.store_byte(_SPO2_CONFIG, self._spo2_config())
        self.store_byte(_LED1_PA, self.led_ma_x5)
        self.store_byte(_LED2_PA, self.led_ma_x5)
        self.store(_FIFO_WR_PTR, b"\0\0\0")
        self.store_byte(_MODE_CONFIG, _MODE_SPO2)
        self._clear()

    def is_set_up(self):
        """Return True if mode, rates and LED currents are those of start(). Raises OSError."""
        settings = self._settings
        self.load(_FIFO_CONFIG, settings)
        return (
            settings[_MODE_CONFIG - _FIFO_CONFIG] == _MODE_SPO2
            and settings[0] == self._fifo_config()
            and settings[_SPO2_CONFIG - _FIFO_CONFIG] == self._spo2_config()
            and settings[_LED1_PA - _FIFO_CONFIG] == self.led_ma_x5
            and settings[_LED2_PA - _FIFO_CONFIG] == self.led_ma_x5
        )

    def read(self):
        """Read the next sample into `red` and `infrared`; return 1, or None if there is none.

        Raises OSError if the chip does not respond.
        """
        if self._at == len(self._samples) and not self._fetch():
            return None
        at = self._at
        samples = self._samples
        self.red = (samples[at] & 3) << 16 | samples[at + 1] << 8 | samples[at + 2]
        self.infrared = (samples[at + 3] & 3) << 16 | samples[at + 4] << 8 | samples[at + 5]
        self._at = at + _SAMPLE
        return 1

    def sleep(self):
        """Switch the LEDs off; the registers are kept. Raises OSError."""
        self.store_byte(_MODE_CONFIG, _SHUTDOWN)
        self.ready = False
        self._clear()

    def _fetch(self):
        """Read one sample or a burst from the FIFO; return False if it is empty."""
        if self._waiting == 0 or not self.ready:
            self._clear()
            if not self.ready:
                self.start()
            self._waiting = self._read_count()
            if self._waiting == 0:
                self._check()
                return False
        samples = self._burst if self._waiting >= _BURST else self._one
        self.load(_FIFO_DATA, samples)
        self._waiting -= len(samples) // _SAMPLE
        self._samples = samples
        self._at = 0
        return True

    def _check(self):
        """Start the chip again if it has lost its registers; called when the FIFO is empty."""
        if not self.is_set_up():
            self.lost = (self.lost + _SLOTS) & 0x3FFFFFFF
            self.start()

    def _fifo_config(self):
        return _SINGLE_ROLLOVER if self.sparing else _AVERAGE_8_ROLLOVER

    def _spo2_config(self):
        if self.sparing:
            return _RANGE_4096_RATE_50_WIDTH_411
        return _RANGE_4096_RATE_400_WIDTH_411

    def _clear(self):
        self._waiting = 0
        self._at = len(self._samples)

    def _read_count(self):
        pointers = self._pointers
        self.load(_FIFO_WR_PTR, pointers)
        waiting = (pointers[0] - pointers[2]) & (_SLOTS - 1)
        overflow = pointers[1] & 31
        if overflow and waiting == 0:
            waiting = _SLOTS
        self.lost = (self.lost + overflow) & 0x3FFFFFFF
        return waiting
