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
4. *Ratio*: how far red falls in that stretch against infrared, each relative to its level: the
   ratio of ratios R = (ACred / DCred) / (ACir / DCir). Noise cancels in such a sum.
5. *Agreement*: beats that are alike give the rate, and from R the usual straight line 110 - 25 R
   gives the saturation; see `sensors.ppg`. Steep slopes all of a sudden are motion, no beat.

What this cannot tell from a pulse is a motion that is stronger than the pulse and as regular, for
the light alone does not show it. Motion moves both colours alike (R near 1), so while `moving` is
set, by who watches an accelerometer, such beats are none.

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

_FINE = const(16)  # parts of a sample
_SHORTEST = const(13 * 16)  # 0.26 s: 230 a minute
_LONGEST = const(100 * 16)  # 2 s: 30 a minute
_FAST = const(22 * 16)  # 136 a minute
_LOST_SAMPLES = const(200)  # 4 s without a beat
_BURST = const(3)  # times as steep as the beats before: motion...
_BURSTS = const(4)  # ...unless it comes so often in a row
_MOTION_RATIO = const(700)  # 0.68: above, while moving, it is not blood that moves
_LARGEST = const(1 << 19)


class Pulse:
    """Feed it with `add(red, infrared)`, `samples_per_s` times a second (50 by default).

    `finger` tells whether there is something to measure; `moving` is for the caller to set.
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
        """Forget everything: samples were lost, or the finger went away."""
        self.beats.clear()
        self._count = 0  # samples since the finger came, then since _SETTLE_SAMPLES
        self._peak = 0  # recent steepest slopes, averaged
        self._since = 0  # samples since the last beat
        self._fraction = 0  # and that beat's place after its sample, in 1/16
        self._deepest = 0  # of the stretch at hand; 0 outside of one
        self._before = self._after = self._previous = 0
        self._age = 0  # samples since the deepest
        self._falls_red = self._falls_infrared = 0  # of the stretch
        self._rise = 0  # the steepest since the last beat
        self._bursts = 0
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
        red = -self._red.add(red)
        infrared = -self._infrared.add(infrared)
        if self._count < _SETTLE_SAMPLES:
            self._count += 1
            return
        self._track(red, infrared)

    def heart_rate(self):
        """Beats a minute, or None: no finger, too few beats yet, or too irregular to tell."""
        interval = self.beats.interval
        if interval == 0 or self._since >= _LOST_SAMPLES:
            return None
        return (60 * _FINE * self.samples_per_s + (interval >> 1)) // interval

    def spo2(self):
        """Oxygen saturation in percent, 70 to 100; None where it cannot be told."""
        if self.heart_rate() is None:
            return None
        pct = 110 - (25 * self.beats.ratio + 512) // 1024
        return min(pct, 100) if pct >= 70 else None

    def _track(self, red, fall):
        """Follow the slope of the infrared light, turned up: find the top of each beat."""
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
            self._peak -= self._peak >> 5  # so that a weaker pulse is found within seconds
        self._previous = fall

    def _beat(self):
        """The stretch is over: its top was `_age` samples ago."""
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
        self._take(interval, top, ratio)

    def _take(self, interval, top, ratio):
        """A beat: remember it, if there was one before to measure from."""
        self._peak += (top - self._peak) >> (1 if top > self._peak else 3)
        odd = self._rises_too(interval, top) or (self.moving and ratio > _MOTION_RATIO)
        self._rise = 0
        if interval > _LONGEST:
            self.beats.clear()  # the pulse was lost: what it was before says nothing
        elif self._regular:
            self.beats.add(interval, top, ratio, odd)
        self._regular = True

    def _rises_too(self, interval, top):
        """Has the light risen clearly steeper than it falls? No pulse does so."""
        # one that is fast comes close, for there is little left of its shape
        return self._rise * 8 > top * (10 if interval > _FAST else 13)

    def _is_burst(self, top):
        """Far steeper than the beats before, and not yet often enough to be the pulse?"""
        if self.beats.median == 0 or top < _BURST * self._peak:
            self._bursts = 0
            return False
        self._bursts += 1
        return self._bursts < _BURSTS

    def _ratio(self):
        """Red by infrared in the stretch, in 1/1024."""
        red = self._red.relative(self._falls_red)
        infrared = self._infrared.relative(self._falls_infrared)
        self._falls_red = self._falls_infrared = 0
        return (red << 10) // infrared if infrared else 0

    def _refine(self, top):
        """Where the parabola through the top and its neighbours is highest, in 1/16 sample."""
        curve = 2 * (2 * top - self._before - self._after)
        return (self._after - self._before) * _FINE // curve if curve > 0 else 0

    def _is_echo(self, top, interval):
        """Weaker than three quarters of the beats, and after less than 5/8 of their time?"""
        if top * 4 >= self._peak * 3 or self.beats.median == 0:
            return False
        return interval * 8 < self.beats.median * 5


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

    def add(self, light):
        """The slope after one more sample: the last eight samples less the eight before."""
        recent = self._recent
        at = self._at
        self._slope += light - 2 * recent[at ^ 8] + recent[at]
        recent[at] = light
        self._at = (at + 1) & 15
        self._level += light - (self._level >> _LEVEL_SHIFT)
        self._drift += self._slope - (self._drift >> _DRIFT_SHIFT)
        return _clip(self._slope - (self._drift >> _DRIFT_SHIFT))

    def relative(self, falls):
        """A sum of slopes by the level, in a unit of its own."""
        falls = min(max(falls, 0), _LARGEST << 3) << 6
        return min(falls // max(1, self._level >> 14), _LARGEST)


def _clip(slope):
    return max(-_STEEPEST, min(slope, _STEEPEST))


# The last beats of a pulse, and whether they are of one kind: the rate is told only then.
#
# A heart beats evenly, each beat as strong as the other, and takes from red light the same share
# of
# what it takes from infrared. Motion does so only by chance. So each beat is compared with the
# medians of the last dozen in its time, strength and ratio of colours; those that agree give rate
# and saturation, and when less than two thirds agree there is none. A beat missed, invented or out
# of turn does not show.

_BEATS = const(12)
_ENOUGH = const(5)  # beats before anything is told
_RATIO_MAX = const(0xFFFF)


class Beats:
    """`interval` is the mean of those that agree, `ratio` that of red by infrared; 0: none.

    Intervals come and go in the same unit, whatever it is; ratios in 1/1024.
    """

    def __init__(self):
        self._intervals = array("H", [0] * _BEATS)
        self._ratios = array("H", [0] * _BEATS)
        self._tops = array("i", [0] * _BEATS)
        self._sorted = array("i", [0] * _BEATS)
        self.clear()

    def clear(self):
        self.interval = 0
        self.ratio = 0
        self.median = 0  # of the intervals; 0 while there are too few
        self._stored = 0
        self._next = 0
        self._odd = 0  # a bit each

    def add(self, interval, top, ratio, odd):
        """Take a beat: the time since the last one, its strength, its ratio of colours.

        An odd one counts as a beat, but agrees with none.
        """
        at = self._next
        self._intervals[at] = interval
        self._tops[at] = top
        self._ratios[at] = min(ratio, _RATIO_MAX)
        self._odd = self._odd & ~(1 << at) | (1 if odd else 0) << at
        self._next = (at + 1) % _BEATS
        if self._stored < _BEATS:
            self._stored += 1
        self._settle()

    def _settle(self):
        """Look which beats agree, and what they say."""
        self.interval = self.ratio = self.median = 0
        if self._stored < _ENOUGH:
            return
        self.median = self._median(self._intervals)
        self._sum(self._median(self._ratios), self._median(self._tops))

    def _sum(self, ratio, top):
        """The mean interval of the beats that agree, if those are two thirds of all."""
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
