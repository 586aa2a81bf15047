"""Heart rate and oxygen saturation from raw red and infrared light: integers only.

For interest and for sport, **not a medical device**: nothing here is calibrated on people.

One pipeline for both colours:

1. *Smooth*: the sum of the last eight samples (160 ms).
2. *Slope*: that sum less what it was 160 ms ago, less its own mean of the last half second. The
   pulse passes; the breath, a slow drift and the level of the light hardly do. More blood lets
   less light through, so a beat is a steep fall.
3. *Beat*: the steepest point of a stretch that is over half as steep as the beats before. Too soon
   after the last it is none, nor is it when it is weaker than the others and out of their time
   (the dicrotic wave). Its place between two samples comes from a parabola.
4. *Rate*: from the median of the last intervals and those near it, so one beat missed, invented
   or out of turn does not show.
5. *Saturation*: how strongly red swings against infrared, each relative to its level, the ratio
   of ratios R = (ACred / DCred) / (ACir / DCir), and the usual straight line 110 - 25 R.

Every sample costs a few dozen bytecodes and no allocation.
"""

from array import array

from micropython import const

_FINGER_COUNTS = const(30000)  # of infrared light; without a finger a few hundred come back
_SETTLE_SAMPLES = const(25)  # after a finger came: the level is still moving
_LEVEL_SHIFT = const(7)  # averages reach back 2**7 samples, 2.6 s
_DRIFT_SHIFT = const(5)  # a slope that lasts over 2**5 samples, 0.6 s, is no pulse
_PEAK_START = const(40)  # slopes below this are noise
_STEEPEST = const(1 << 16)  # a greater slope is motion

_INTERVALS = const(12)
_ENOUGH = const(4)  # intervals before there is a rate
_FINE = const(16)  # parts of a sample
_SHORTEST = const(13 * 16)  # 0.26 s: 230 a minute
_LONGEST = const(100 * 16)  # 2 s: 30 a minute
_LOST_SAMPLES = const(200)  # 4 s without a beat


class Pulse:
    """Feed it with `add(red, infrared)`, `samples_per_s` times a second (50 by default).

    `finger` tells whether there is something to measure.
    """

    def __init__(self, samples_per_s=50):
        self.samples_per_s = samples_per_s
        self.finger = False
        self._red = Channel()
        self._infrared = Channel()
        self._intervals = array("H", [0] * _INTERVALS)
        self._sorted = array("H", [0] * _INTERVALS)
        self.restart()

    def restart(self):
        """Forget everything: samples were lost, or the finger went away."""
        self._count = 0  # samples since the finger came, then since _SETTLE_SAMPLES
        self._stored = 0  # intervals in the ring
        self._next = 0
        self._peak = 0  # recent steepest slopes, averaged
        self._since = 0  # samples since the last beat
        self._fraction = 0  # and that beat's place after its sample, in 1/16
        self._deepest = 0  # of the stretch at hand; 0 outside of one
        self._before = self._after = self._previous = 0
        self._age = 0  # samples since the deepest
        self._regular = False  # is the last beat one to measure from?

    def add(self, red, infrared):
        """Take one sample: 18-bit counts of the two colours."""
        if infrared < _FINGER_COUNTS:
            if self.finger:
                self.finger = False
                self.restart()
            return
        if not self.finger:
            self.finger = True
            self._red.restart(red)
            self._infrared.restart(infrared)
        self._red.add(red)
        fall = -self._infrared.add(infrared)
        if self._count < _SETTLE_SAMPLES:
            self._count += 1
            return
        self._track(fall)

    def heart_rate(self):
        """Beats a minute, or None: no finger, too few beats yet, or too irregular to tell."""
        if self._stored < _ENOUGH or self._since >= _LOST_SAMPLES:
            return None
        median = self._median()
        near = total = 0
        i = self._stored
        while i:
            i -= 1
            interval = self._intervals[i]
            if abs(interval - median) * 5 <= median:
                near += 1
                total += interval
        if near * 5 < self._stored * 3:
            return None
        return (60 * _FINE * self.samples_per_s * near + total // 2) // total

    def spo2(self):
        """Oxygen saturation in percent, 70 to 100; None where it cannot be told."""
        if self.heart_rate() is None:
            return None
        red = self._red.perfusion()
        infrared = self._infrared.perfusion()
        if infrared == 0 or red == 0:
            return None
        pct = 110 - (25 * red + infrared // 2) // infrared
        return min(pct, 100) if pct >= 70 else None

    def _track(self, fall):
        """Follow the slope of the infrared light, turned up: find the top of each beat."""
        if self._since < _LOST_SAMPLES:
            self._since += 1
        threshold = self._peak >> 1
        if fall > threshold and fall > _PEAK_START and fall > self._deepest:
            self._deepest = fall
            self._before = self._previous
            self._age = 0
        elif self._deepest:
            self._age += 1
            if self._age == 1:
                self._after = fall
            if fall < self._deepest >> 1:
                self._beat()
        elif self._since > _LONGEST // _FINE:
            self._peak -= self._peak >> 5  # so that a weaker pulse is found within seconds
        self._previous = fall

    def _beat(self):
        """The stretch is over: its top was `_age` samples ago."""
        top = self._deepest
        self._deepest = 0
        fraction = self._refine(top)
        interval = (self._since - self._age) * _FINE + fraction - self._fraction
        if self._regular and (interval < _SHORTEST or self._is_echo(top, interval)):
            return
        self._since = self._age
        self._fraction = fraction
        self._peak += (top - self._peak) >> (1 if top > self._peak else 3)
        if interval > _LONGEST:
            self._stored = 0  # the pulse was lost: what it was before says nothing
        elif self._regular:
            self._store(interval)
        self._regular = True

    def _refine(self, top):
        """Where the parabola through the top and its neighbours is highest, in 1/16 sample."""
        curve = 2 * (2 * top - self._before - self._after)
        return (self._after - self._before) * _FINE // curve if curve > 0 else 0

    def _is_echo(self, top, interval):
        """Weaker than three quarters of the beats, and after less than 5/8 of their time?"""
        if top * 4 >= self._peak * 3 or self._stored < _ENOUGH:
            return False
        return interval * 8 < self._median() * 5

    def _store(self, interval):
        self._intervals[self._next] = interval
        self._next = (self._next + 1) % _INTERVALS
        if self._stored < _INTERVALS:
            self._stored += 1

    def _median(self):
        ordered = self._sorted
        i = 0
        while i < self._stored:
            value = self._intervals[i]
            j = i
            while j and ordered[j - 1] > value:
                ordered[j] = ordered[j - 1]
                j -= 1
            ordered[j] = value
            i += 1
        return ordered[self._stored >> 1]


class Channel:
    """One colour: its level, and the slope of its smoothed light."""

    def __init__(self):
        self._recent = array("i", [0] * 16)
        self.restart(0)

    def restart(self, light):
        """Begin as if the light had been at this level for ever."""
        for i in range(16):
            self._recent[i] = light
        self._at = 0
        self._slope = 0
        self._drift = 0
        self._level = light << _LEVEL_SHIFT
        self._swing = 0

    def add(self, light):
        """The slope after one more sample: the last eight samples less the eight before."""
        recent = self._recent
        at = self._at
        self._slope += light - 2 * recent[at ^ 8] + recent[at]
        recent[at] = light
        self._at = (at + 1) & 15
        self._level += light - (self._level >> _LEVEL_SHIFT)
        self._drift += self._slope - (self._drift >> _DRIFT_SHIFT)
        return self._follow(self._slope - (self._drift >> _DRIFT_SHIFT))

    def _follow(self, slope):
        self._swing += min(abs(slope), _STEEPEST) - (self._swing >> _LEVEL_SHIFT)
        return slope

    def perfusion(self):
        """The mean slope by the level: what swings with the pulse, in a unit of its own."""
        return (self._swing << 4) // max(1, self._level >> 14)
