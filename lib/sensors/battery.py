"""A battery behind a voltage divider on an ADC: its voltage and its charge in percent.

The percentage comes from a table for each chemistry, for a cell at rest; voltage is not linear in
charge. A radio pulls the voltage down while it sends, so the rest voltage is noted before it is
switched on, and the load voltage while it sends:

    battery.note_rest()         radio off: the percentage is derived from this voltage
    battery.note_load()         radio on
    battery.sag_mv              the difference; it grows with age and cold, and shows that a cell
                                must be replaced long before the percentage does

A node that never switches its radio off knows the voltage under load alone, and shows a few
percent less than there are. An ADC has some millivolts of noise, which is ten percent where the
curve of a cell is flat: SteadyCharge removes it.
"""

from array import array

from micropython import const

_SAMPLES = const(4)
_SAG_SHIFT = const(3)  # a drop of more than an eighth is no sag, but another battery
_CONNECTED_MV = const(1000)  # no board runs below this voltage: nothing is connected

_READINGS = const(30)  # one every ten seconds: the median of five minutes
_PER_HOUR = const(12)  # medians
_FALL_PCT = const(2)  # a smaller fall is not shown...
_FALL_MEDIANS = const(6)  # ...nor is one that did not last half an hour: the median has noise, too
_RISE_PCT = const(10)  # ...nor is a smaller rise, or one that did not last an hour
_SUDDEN = const(2)  # readings in a row of a sudden change, until it is taken over
_SUDDEN_FALL_SHIFT = const(4)  # a sixteenth of the voltage: more than any noise

# Pairs of millivolts of a cell and percent left, falling. Each table was measured with one cell at
# room temperature: expect an error of 10 points where the curve is steep, and little more than
# full or empty where it is flat (lifepo4, limno2). To do better, discharge a cell of your own as
# the node does, note its millivolts at rest and put them in place of these.
#   liion     LiCoO2, as in most pouches: open-circuit voltage, table 1 of application note 4189 of
#             Maxim (Analog Devices), as quoted with Zephyr's BATTERY_OCV_CURVE_*
#   nmc       cells of nickel, manganese, cobalt, as most 18650: open-circuit voltage of a Sony
#             US18650VTC6, mean of charge and discharge at C/20,
#             github.com/derlucae98/US18650VTC6_OCV_SOC_Curve
#   lifepo4   open-circuit voltage of a Lithium Werks APR18650M1B, C/32, from the points of
#             github.com/soorajsunil/Piecewise-Battery-OCV (IEEE Trans. Instrum. Meas., 2025)
#   limno2    CR123, CR2: from the data sheet of FDK's CR14250SE, by way of Zephyr's
#             include/zephyr/dt-bindings/battery/battery.h (BATTERY_OCV_CURVE_LITHIUM_MANGANESE)
#   alkaline  typical AA cells: the shape of the curves in data sheets at about 25 mA, empty at
#             0.9 V; no measured table was found
# Nested literals stay in flash; a dict would take heap.
# fmt: off
CURVES = (
    ("liion", (
        4177, 100, 4086, 90, 4008, 80, 3945, 70, 3884, 60, 3821, 50, 3793, 40, 3775, 30,
        3741, 20, 3687, 10, 3306, 0
    )),
    ("nmc", (
        4175, 100, 4090, 90, 4037, 80, 3922, 70, 3840, 60, 3752, 50, 3662, 40, 3558, 30,
        3411, 20, 3268, 10, 3129, 5, 2535, 0
    )),
    ("lifepo4", (
        3598, 100, 3418, 99, 3351, 98, 3277, 30, 3194, 9, 3087, 5, 2930, 3, 2741, 1,
        2010, 0
    )),
    ("limno2", (
        2985, 100, 2962, 80, 2955, 70, 2949, 60, 2927, 50, 2882, 40, 2812, 30, 2689, 20,
        2444, 10, 1906, 0
    )),
    ("alkaline", (
        1580, 100, 1500, 90, 1420, 80, 1360, 70, 1310, 60, 1270, 50, 1230, 40, 1190, 30,
        1150, 20, 1060, 10, 900, 0
    )),
)
# fmt: on


class Battery:
    """A battery of `cells` cells in series on an ADC.

    numerator, denominator: battery voltage / pin voltage, 2/1 for two equal resistors.
    full_scale_mv: the pin voltage of the highest reading, for an ADC that is not calibrated.
    rest_mv, load_mv: the voltages noted last, None before that.
    Raises ValueError for a chemistry without a table.
    """

    unit = "mV"

    def __init__(
        self, adc, numerator=1, denominator=1, chemistry="liion", cells=1, full_scale_mv=3300
    ):
        self._curve = ()  # type: tuple
        for name, curve in CURVES:
            if name == chemistry:
                self._curve = curve
        if not self._curve:
            raise ValueError("chemistry: one of " + ", ".join([name for name, _ in CURVES]))
        self.adc = adc
        self.numerator = numerator
        self.denominator = denominator
        self.cells = cells
        self.full_scale_mv = full_scale_mv
        self.rest_mv = None
        self.load_mv = None
        self._calibrated = hasattr(adc, "read_uv")  # ESP32 has it, RP2040 has not

    def probe(self):
        """Return True if there is a voltage that can supply a board."""
        return self.read() is not None

    def read(self):
        """Return the battery voltage in mV, the mean of a few samples; None without a battery."""
        adc = self.adc
        total = 0
        i = _SAMPLES
        if self._calibrated:
            while i:
                i -= 1
                total += adc.read_uv()
            total_mv = (total + 500) // 1000
        else:
            while i:
                i -= 1
                total += adc.read_u16()
            total_mv = (total * self.full_scale_mv + 32767) // 65535
        mv = total_mv * self.numerator // (self.denominator * _SAMPLES)
        return mv if mv >= _CONNECTED_MV else None

    def note_rest(self):
        """Note the voltage while the radio is off; return it in mV, or None."""
        self.rest_mv = self.read()
        return self.rest_mv

    def note_load(self):
        """Note the voltage while the radio sends; return it in mV, or None."""
        self.load_mv = self.read()
        return self.load_mv

    @property
    def sag_mv(self):
        """Return by how much the radio pulls the voltage down; None until both were noted."""
        if self.rest_mv is None or self.load_mv is None:
            return None
        return max(self.rest_mv - self.load_mv, 0)

    def read_pct(self):
        """Return the percentage left, 0 to 100; None without a battery."""
        mv = self.read()
        return None if mv is None else self.charge_pct(mv)

    def charge_pct(self, mv):
        """Return the percentage left of a battery with `mv` now, possibly under load.

        The noted rest voltage is used instead, unless it differs too much: it is of another
        battery, or too old.
        """
        return self.percent(self.at_rest(mv))

    def at_rest(self, mv):
        """Return the voltage at rest of a battery with `mv` now: the noted one where it fits."""
        rest_mv = self.rest_mv
        if rest_mv is not None and 0 <= rest_mv - mv <= rest_mv >> _SAG_SHIFT:
            return rest_mv
        return mv

    def percent(self, mv):
        """Return the percentage of a battery with `mv` at rest, interpolated in the table."""
        mv //= self.cells
        curve = self._curve
        if mv >= curve[0]:
            return 100
        i = 2
        while i < len(curve):
            if mv >= curve[i]:
                return _between(mv, curve, i)
            i += 2
        return 0

    def sleep(self):
        """Do nothing: an ADC draws no current between two readings."""


class SteadyCharge:
    """The charge of a Battery without the noise of its readings.

    Each five minutes have a median. It becomes the charge that is shown, once an hour at most,

    - when it was less by 2 percent or more for half an hour,
    - when it was more by 10 percent or more for an hour: a battery that is charged.

    Before the first median, and when the voltage falls by a sixteenth or rises by an eighth at
    once, as that of another battery, the newest reading counts.
    """

    def __init__(self, battery):
        self.battery = battery
        self.pct = None  # what is shown; None without a battery, or before the first reading
        self._mv = None  # the last median, or the reading that it began with
        self._is_settled = False  # there was a median since
        self._readings = array("H", [0] * _READINGS)
        self._count = 0  # readings since the last median
        self._sudden = _SUDDEN  # sudden changes in a row; the first reading is taken over at once
        self._medians = 0  # since `pct` has changed
        self._risen = 0  # medians in a row that were higher
        self._fallen = 0  # medians in a row that were lower

    def show(self, mv):
        """Return the percentage to show when the battery has `mv` now, None without a battery."""
        if mv is None:
            return None
        if self._is_settled and not self._is_sudden(self.battery.at_rest(mv)):
            return self.pct
        return self.battery.charge_pct(mv)

    def add(self, mv):
        """Add a reading, one every ten seconds; return True if the charge that is shown changed.

        mv: None without a battery.
        """
        if mv is not None:
            mv = self.battery.at_rest(mv)
        if self._is_sudden(mv):
            self._sudden += 1
            return self._sudden >= _SUDDEN and self._restart(mv)
        self._sudden = 0
        if mv is None:
            return False
        self._readings[self._count] = mv
        self._count += 1
        return self._count == _READINGS and self._evaluate()

    def _is_sudden(self, mv):
        """Return True if `mv` can not be noise."""
        if mv is None or self._mv is None:
            return mv is not self._mv
        fall_mv = self._mv - mv
        return fall_mv > self._mv >> _SUDDEN_FALL_SHIFT or -fall_mv > self._mv >> _SAG_SHIFT

    def _restart(self, mv):
        """Begin anew with this reading."""
        self._mv = mv
        self._is_settled = False
        self._count = self._sudden = 0
        return self._set(None if mv is None else self.battery.percent(mv))

    def _evaluate(self):
        """Take the median of the readings; return True if the charge that is shown changed."""
        self._count = 0
        self._mv = mv = self._median()
        pct = self.battery.percent(mv)
        self._medians += 1
        self._risen = self._risen + 1 if pct >= self.pct + _RISE_PCT else 0
        self._fallen = self._fallen + 1 if pct <= self.pct - _FALL_PCT else 0
        if not self._is_settled:
            self._is_settled = True
            return abs(pct - self.pct) >= _FALL_PCT and self._set(pct)
        if self._medians < _PER_HOUR:
            return False
        lasts = self._fallen >= _FALL_MEDIANS or self._risen >= _PER_HOUR
        return lasts and self._set(pct)

    def _set(self, pct):
        self._medians = self._risen = self._fallen = 0
        is_new = pct != self.pct
        self.pct = pct
        return is_new

    def _median(self):
        """Sort the readings; return the middle one."""
        readings = self._readings
        i = 1
        while i < _READINGS:
            mv = readings[i]
            j = i
            while j and readings[j - 1] > mv:
                readings[j] = readings[j - 1]
                j -= 1
            readings[j] = mv
            i += 1
        return readings[_READINGS >> 1]


def _between(mv, curve, i):
    """Interpolate between the pair at i, which is the lower one, and the pair before it."""
    span_mv, span_pct = curve[i - 2] - curve[i], curve[i - 1] - curve[i + 1]
    return curve[i + 1] + (mv - curve[i]) * span_pct // span_mv
