"""A battery behind a voltage divider on an ADC: its voltage and its charge in percent.

The percentage comes from a table for each chemistry, for a cell at rest; voltage is not linear in
charge. A radio pulls the voltage down while it sends, so the rest voltage is noted before it is
switched on, and the load voltage while it sends:

    battery.note_rest()         radio off: the percentage is derived from this voltage
    battery.note_load()         radio on
    battery.sag_mv              the difference; it grows with age and cold, and shows that a cell
                                must be replaced long before the percentage does
"""

from micropython import const

_SAMPLES = const(4)
_SAG_SHIFT = const(3)  # a drop of more than an eighth is no sag, but another battery
_CONNECTED_MV = const(1000)  # no board runs below this voltage: nothing is connected

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
        self._curve = None
        for name, curve in CURVES:
            if name == chemistry:
                self._curve = curve
        if self._curve is None:
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
        total_mv = 0
        i = _SAMPLES
        while i:
            i -= 1
            total_mv += self._pin_mv()
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
        rest_mv = self.rest_mv
        if rest_mv is not None and 0 <= rest_mv - mv <= rest_mv >> _SAG_SHIFT:
            mv = rest_mv
        return self.percent(mv)

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

    def _pin_mv(self):
        if self._calibrated:
            return (self.adc.read_uv() + 500) // 1000
        return (self.adc.read_u16() * self.full_scale_mv + 32767) // 65535


def _between(mv, curve, i):
    """Interpolate between the pair at i, which is the lower one, and the pair before it."""
    span_mv, span_pct = curve[i - 2] - curve[i], curve[i - 1] - curve[i + 1]
    return curve[i + 1] + (mv - curve[i]) * span_pct // span_mv
