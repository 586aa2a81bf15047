"""Heart rate and oxygen saturation: a MAX30102 and what `sensors.ppg` makes of its light.

Call `sample()` every BATCH_MS; after 0.6 s without it the sensor's FIFO overflows and the pulse
starts anew. Set `pulse.moving` while an accelerometer says that the wearer moves.

Ten seconds without a finger, and the light goes off but for a glimpse every three seconds, which
takes a fiftieth of its current: it is back three seconds after the finger.
For interest and for sport, not a medical device.
"""

from errno import ENODEV

from micropython import const

from sensors.max30102 import BATCH_MS, SAMPLES_PER_S, Max30102
from sensors.ppg import Pulse

_PAUSE_MS = const(5000)  # until a sensor that failed is asked again
_AWAY_MS = const(10_000)  # without a finger, until the light goes off
_DARK = const(4)  # calls of sample() in the dark, between two glimpses


class Oximeter:
    unit = "beat/min"

    def __init__(self, i2c):
        self.light = Max30102(i2c)
        self.pulse = Pulse(SAMPLES_PER_S)
        self._lost = 0
        self._pause = 0
        self._away = 0  # calls of sample() without a finger
        self._dark = 0  # that are left in the dark

    def probe(self):
        """Is the sensor there? Starts it when it is."""
        return self.light.probe()

    def sample(self, now_ms=0):
        """Take what the sensor has collected; never raises. The argument is a timer's."""
        if self._pause:
            self._pause -= 1  # a bus that hangs costs its timeout each time
            return
        try:
            if self._dark:
                self._wait()
            else:
                self._drain()
                self._spare()
        except OSError:
            self._pause = _PAUSE_MS // BATCH_MS
            self._dark = 0
            self.pulse.restart()

    def read(self):
        """Beats a minute, as heart_rate()."""
        return self.heart_rate()

    def heart_rate(self):
        """Beats a minute; None without a finger, or a pulse to tell. Raises OSError."""
        self._answering()
        return self.pulse.heart_rate()

    def spo2(self):
        """Oxygen saturation in percent; None where it cannot be told. Raises OSError."""
        self._answering()
        return self.pulse.spo2()

    def sleep(self):
        """LEDs off. Raises OSError."""
        self.pulse.restart()
        self.light.sleep()

    def _answering(self):
        if not self.light.ready and not self._dark:
            raise OSError(ENODEV, "no sensor")

    def _wait(self):
        self._dark -= 1
        if self._dark == 0:
            self.light.wake()

    def _spare(self):
        """Have the light on only while there is a finger to shine on."""
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
        while light.read():
            if light.lost != self._lost:
                self._lost = light.lost
                self.pulse.restart()
            self.pulse.add(light.red, light.infrared)
