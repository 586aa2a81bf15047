"""Heart rate and oxygen saturation from raw red and infrared light, with integers only.

For interest and for sport, **not a medical device**: nothing here is calibrated on people.

Both colours pass the same steps (Channel, Pulse, Beats):

1. *Smooth*: the sum of the last eight samples (160 ms).
2. *Slope*: that sum less the sum 160 ms ago, less the slope's own mean of the last half second.
   The pulse passes this filter; breathing, slow drift and the level of the light hardly do. More
   blood lets less light through, so a beat is a steep fall.
3. *Beat*: the steepest point of a stretch that is more than half as steep as the last beats. It is
   ignored if it comes too soon after a beat, or is weaker than the others and out of their rhythm
   (the dicrotic wave). A parabola gives its position between two samples.
4. *Ratio*: how far red falls in that stretch against infrared, each relative to its level: the
   ratio of ratios R = (ACred / DCred) / (ACir / DCir). Noise cancels in such a sum.
5. *Agreement*: a heart beats evenly, each beat as strong as the next and with the same R; motion
   does so only by chance. Each beat is compared with the medians of the last twelve in interval,
   strength and R. The beats that agree give the rate, and R the saturation by the usual straight
   line 110 - 25 R; if fewer than two thirds agree, there is no value. A single beat that is
   missed or wrong has no effect. Sudden steep slopes are motion, not beats.

A motion that is stronger than the pulse and as regular cannot be told from a pulse by light alone.
Motion moves both colours alike (R near 1), so such beats are ignored while `moving` is set, which
the caller derives from an accelerometer.

Each sample takes a few dozen bytecodes and no allocation.
"""

from array import array

from micropython import const

_FINGER_COUNTS = const(30000)  # of infrared light; without a finger a few hundred are reflected
_SETTLE_SAMPLES = const(25)  # after a finger came, while the level still moves
_LEVEL_SHIFT = const(7)  # averages over 2**7 samples, 2.6 s
_DRIFT_SHIFT = const(5)  # a slope that lasts more than 2**5 samples, 0.6 s, is no pulse
_PEAK_START = const(40)  # slopes below this are noise
_STEEPEST = const(1 << 16)  # a greater slope is motion

_FINE = const(16)  # parts of a sample
_SHORTEST = const(13 * 16)  # 0.26 s: 230 a minute
_LONGEST = const(100 * 16)  # 2 s: 30 a minute
_STEEP_RISE = const(14)  # eighths of the fall; up to 13 in recordings of fingers
_LOST_SAMPLES = const(200)  # 4 s without a beat
_BURST = const(3)  # times as steep as the last beats: motion...
_BURSTS = const(4)  # ...unless there are so many in a row
_MOTION_RATIO = const(700)  # 0.68: a higher ratio, while moving, is not blood
_LARGEST = const(1 << 19)

_BEATS = const(12)  # that are compared
_ENOUGH = const(5)  # beats before there is a value
_HALVES = const(2)  # intervals of half the median: there is no value
_RATIO_MAX = const(0xFFFF)


class Pulse:
    """Pulse detection. Call add(red, infrared) `samples_per_s` times a second.

    finger: True while there is something to measure.
    moving: set by the caller while the wearer moves.
    """

    def __init__(self, samples_per_s=50):
        self.samples_per_s = samples_per_s
        self.finger = False
        self.moving = False
        self.beats = Beats()
        self._red = Channel()
        self._infrared = Channel()
        self.restart()

    def restart(self):
        """Reset to the start: samples were lost, or the finger was removed."""
        self.beats.clear()
        self._count = 0  # samples since the finger came, then since _SETTLE_SAMPLES
        self._peak = 0  # average of recent steepest slopes
        self._since = 0  # samples since the last beat
        self._fraction = 0  # position of that beat after its sample, in 1/16
        self._deepest = 0  # slope of the current stretch; 0 outside of one
        self._before = self._after = self._previous = 0
        self._age = 0  # samples since the deepest
        self._falls_red = self._falls_infrared = 0  # of the stretch
        self._rise = 0  # the steepest since the last beat
        self._bursts = 0
        self._regular = False  # the next interval may be measured from the last beat

    def add(self, red, infrared):
        """Process one sample: 18-bit counts of the two colours."""
        if infrared < _FINGER_COUNTS:
            if self.finger:
                self.finger = False
                self.restart()
            return
        if not self.finger:
            self.finger = True
            self._red.restart(red)
            self._infrared.restart(infrared)
        red = -self._red.add(red)
        infrared = -self._infrared.add(infrared)
        if self._count < _SETTLE_SAMPLES:
            self._count += 1
            return
        self._track(red, infrared)

    def heart_rate(self):
        """Return beats per minute; None without a finger, with too few beats or irregular ones."""
        interval = self.beats.interval
        if interval == 0 or self._since >= _LOST_SAMPLES:
            return None
        return (60 * _FINE * self.samples_per_s + (interval >> 1)) // interval

    def spo2(self):
        """Return the oxygen saturation in percent, 70 to 100; None if it is not known."""
        if self.heart_rate() is None:
            return None
        pct = 110 - (25 * self.beats.ratio + 512) // 1024
        return min(pct, 100) if pct >= 70 else None

    def _track(self, red, fall):
        """Find the steepest point of each beat. fall: negative slope of the infrared light."""
        if self._since < _LOST_SAMPLES:
            self._since += 1
        if -fall > self._rise:
            self._rise = -fall
        threshold = self._peak >> 1
        if fall > threshold and fall > _PEAK_START:
            self._falls_red += red
            self._falls_infrared += fall
            if fall > self._deepest:
                self._deepest = fall
                self._before = self._previous
                self._age = -1
        if self._deepest:
            self._age += 1
            if self._age == 1:
                self._after = fall
            if fall < self._deepest >> 1:
                self._beat()
        elif self._since > _LONGEST // _FINE:
            self._peak -= self._peak >> 5  # to find a weaker pulse within seconds
        self._previous = fall

    def _beat(self):
        """Evaluate a stretch that ended; its steepest point was `_age` samples ago."""
        top = self._deepest
        self._deepest = 0
        ratio = self._ratio()
        if self._is_burst(top):
            self._regular = False
            return
        fraction = self._refine(top)
        interval = (self._since - self._age) * _FINE + fraction - self._fraction
        if self._regular and (interval < _SHORTEST or self._is_echo(top, interval)):
            return
        self._since = self._age
        self._fraction = fraction
        self._add_beat(interval, top, ratio)

    def _add_beat(self, interval, top, ratio):
        """Store a beat, if its interval could be measured from the one before."""
        self._peak += (top - self._peak) >> (1 if top > self._peak else 3)
        odd = self._is_steep_rise(top) or (self.moving and ratio > _MOTION_RATIO)
        self._rise = 0
        if interval > _LONGEST:
            self.beats.clear()  # the pulse was lost: what it was before says nothing
        elif self._regular:
            self.beats.add(interval, top, ratio, odd)
        self._regular = True

    def _is_steep_rise(self, top):
        """Return True if the light rose clearly steeper than it fell, which no pulse does."""
        return self._rise * 8 > top * _STEEP_RISE

    def _is_burst(self, top):
        """Return True if it is far steeper than the last beats, until it was so several times."""
        if self.beats.median == 0 or top < _BURST * self._peak:
            self._bursts = 0
            return False
        self._bursts += 1
        return self._bursts < _BURSTS

    def _ratio(self):
        """Return red / infrared in the stretch, in 1/1024."""
        red = self._red.relative(self._falls_red)
        infrared = self._infrared.relative(self._falls_infrared)
        self._falls_red = self._falls_infrared = 0
        return (red << 10) // infrared if infrared else 0

    def _refine(self, top):
        """Return the vertex of the parabola through the top and its neighbours, in 1/16 sample."""
        curve = 2 * (2 * top - self._before - self._after)
        return (self._after - self._before) * _FINE // curve if curve > 0 else 0

    def _is_echo(self, top, interval):
        """Return True if it is weaker than 3/4 of the beats, within 5/8 of their interval."""
        if top * 4 >= self._peak * 3 or self.beats.median == 0:
            return False
        return interval * 8 < self.beats.median * 5


class Channel:
    """The level of one colour, and the slope of its smoothed light."""

    def __init__(self):
        self._recent = array("i", [0] * 16)
        self.restart(0)

    def restart(self, light):
        """Start as if the light had always been at this level."""
        for i in range(16):
            self._recent[i] = light
        self._at = 0
        self._slope = 0
        self._drift = 0
        self._level = light << _LEVEL_SHIFT

    def add(self, light):
        """Add a sample; return the slope: the last eight samples less the eight before."""
        recent = self._recent
        at = self._at
        self._slope += light - 2 * recent[at ^ 8] + recent[at]
        recent[at] = light
        self._at = (at + 1) & 15
        self._level += light - (self._level >> _LEVEL_SHIFT)
        self._drift += self._slope - (self._drift >> _DRIFT_SHIFT)
        return _clip(self._slope - (self._drift >> _DRIFT_SHIFT))

    def relative(self, falls):
        """Return a sum of slopes divided by the level, in a unit of its own."""
        falls = min(max(falls, 0), _LARGEST << 3) << 6
        return min(falls // max(1, self._level >> 14), _LARGEST)


def _clip(slope):
    return max(-_STEEPEST, min(slope, _STEEPEST))


class Beats:
    """The last beats, and what those that agree have in common.

    interval: their mean, in the unit of add(), 0 if too few agree; ratio: median of red / infrared
    in 1/1024; median: of all intervals, 0 while there are too few.
    """

    def __init__(self):
        self._intervals = array("H", [0] * _BEATS)
        self._ratios = array("H", [0] * _BEATS)
        self._tops = array("i", [0] * _BEATS)
        self._sorted = array("i", [0] * _BEATS)
        self.clear()

    def clear(self):
        """Remove all beats."""
        self.interval = 0
        self.ratio = 0
        self.median = 0
        self._stored = 0
        self._next = 0
        self._odd = 0  # a bit for each beat

    def add(self, interval, top, ratio, odd):
        """Add a beat: the interval since the last one, its strength, its ratio of colours.

        odd: it counts as a beat, but agrees with none.
        """
        at = self._next
        self._intervals[at] = interval
        self._tops[at] = top
        self._ratios[at] = min(ratio, _RATIO_MAX)
        self._odd = self._odd & ~(1 << at) | (1 if odd else 0) << at
        self._next = (at + 1) % _BEATS
        if self._stored < _BEATS:
            self._stored += 1
        self._evaluate()

    def _evaluate(self):
        """Evaluate the beats."""
        self.interval = self.ratio = self.median = 0
        if self._stored < _ENOUGH:
            return
        self.median = self._median(self._intervals)
        if self._halves() < _HALVES:
            self._sum(self._median(self._ratios), self._median(self._tops))

    def _halves(self):
        """Return how many intervals are half the median: in the others, beats were missed."""
        halves = 0
        i = self._stored
        while i:
            i -= 1
            if abs(2 * self._intervals[i] - self.median) * 7 <= self.median:
                halves += 1
        return halves

    def _sum(self, ratio, top):
        """Set the mean interval of the beats that agree, if they are at least two thirds."""
        agree = total = 0
        i = self._stored
        while i:
            i -= 1
            if self._agrees(i, ratio, top):
                agree += 1
                total += self._intervals[i]
        if agree * 3 >= self._stored * 2:
            self.interval = (total + (agree >> 1)) // agree
            self.ratio = ratio

    def _agrees(self, i, ratio, top):
        return (
            abs(self._intervals[i] - self.median) * 7 <= self.median
            and abs(self._ratios[i] - ratio) * 2 <= ratio
            and top <= 2 * self._tops[i] <= 4 * top
            and not self._odd >> i & 1
        )

    def _median(self, values):
        ordered = self._sorted
        i = 0
        while i < self._stored:
            value = values[i]
            j = i
            while j and ordered[j - 1] > value:
                ordered[j] = ordered[j - 1]
                j -= 1
            ordered[j] = value
            i += 1
        return ordered[self._stored >> 1]
