"""Heart rate and oxygen saturation from a MAX30102, computed by sensors.ppg.

Call sample() every BATCH_MS; after 0.64 s without a call the sensor's FIFO overflows and the pulse
detection restarts. Set `pulse.moving` while an accelerometer reports that the wearer moves.

After ten seconds without a finger the light is switched off and on again for one batch every three
seconds, which takes a fiftieth of the current. A finger is thus noticed after three seconds.
For interest and for sport, not a medical device.
"""

from errno import ENODEV

from micropython import const

from sensors.max30102 import BATCH_MS, SAMPLES_PER_S, Max30102
from sensors.ppg import Pulse

_PAUSE_MS = const(5000)  # until a sensor that failed is tried again
_EMPTY = const(2)  # calls of sample() without a sample, until the sensor is started again
_AWAY_MS = const(10_000)  # without a finger, until the light is switched off
_DARK = const(4)  # calls of sample() with the light off, between two batches with light


class Oximeter:
    """An oximeter on an I2C bus. light: the Max30102; pulse: the Pulse."""

    unit = "beat/min"

    def __init__(self, i2c):
        self.light = Max30102(i2c)
        self.pulse = Pulse(SAMPLES_PER_S)
        self._lost = 0
        self._empty = 0  # calls of sample() in a row that found no sample
        self._pause = 0  # calls of sample() until the sensor is tried again
        self._away = 0  # calls of sample() without a finger
        self._dark = 0  # calls of sample() until the light is switched on

    def probe(self):
        """Start the sensor; return True if it is there."""
        return self.light.probe()

    def sample(self, now_ms=0):
        """Process the samples in the FIFO. Never raises. now_ms, passed by timers, is not used."""
        if self._pause:
            self._pause -= 1  # a bus that hangs costs its timeout each time
            return
        try:
            if self._dark:
                self._stay_dark()
            else:
                self._drain()
                self._adapt_light()
        except OSError:
            self._pause = _PAUSE_MS // BATCH_MS
            self._dark = self._empty = 0
            self.pulse.restart()

    def read(self):
        """Return heart_rate()."""
        return self.heart_rate()

    def heart_rate(self):
        """Return beats per minute; None without a finger or a clear pulse. Raises OSError."""
        self._require_sensor()
        return self.pulse.heart_rate()

    def spo2(self):
        """Return the oxygen saturation in percent; None if it is not known. Raises OSError."""
        self._require_sensor()
        return self.pulse.spo2()

    def sleep(self):
        """Switch the LEDs off. Raises OSError."""
        self.pulse.restart()
        self.light.sleep()

    def _require_sensor(self):
        if not self.light.ready and not self._dark:
            raise OSError(ENODEV, "no sensor")

    def _stay_dark(self):
        self._dark -= 1
        if self._dark == 0:
            self.light.wake()

    def _adapt_light(self):
        """Use full light only while there is a finger."""
        light = self.light
        if self.pulse.finger:
            self._away = 0
            if light.sparing:
                light.sleep()
                light.sparing = False
                light.wake()
        elif self._away < _AWAY_MS // BATCH_MS:
            self._away += 1
        else:
            light.sleep()
            light.sparing = True
            self._dark = _DARK + 1

    def _drain(self):
        light = self.light
        self._empty += 1
        while light.read():
            self._empty = 0
            self._note_lost()
            self.pulse.add(light.red, light.infrared)
        self._note_lost()
        if self._empty >= _EMPTY:
            light.ready = False
            raise OSError(ENODEV, "no samples")

    def _note_lost(self):
        """Measure the pulse anew when samples were lost."""
        if self.light.lost != self._lost:
            self._lost = self.light.lost
            self.pulse.restart()
