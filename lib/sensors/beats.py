"""The last beats of a pulse, and whether they are of one kind: the rate is told only then.

A heart beats evenly, each beat as strong as the other, and takes from red light the same share of
what it takes from infrared. Motion does so only by chance. So each beat is compared with the
medians of the last dozen in its time, strength and ratio of colours; those that agree give rate
and saturation, and when less than two thirds agree there is none. One beat missed, invented or out
of turn does not show.
"""

from array import array

from micropython import const

_BEATS = const(12)
_ENOUGH = const(5)  # beats before anything is told
_LARGEST = const(0xFFFF)


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
        self._ratios[at] = min(ratio, _LARGEST)
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
