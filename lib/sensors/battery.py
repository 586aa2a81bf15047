"""A battery behind a voltage divider on an ADC: millivolts, and what they mean in percent.

The percentage comes from a table by chemistry, for a cell at rest; voltage against charge is
anything but a straight line. A radio pulls the voltage down while it sends, so the rest is noted
before it starts, and the load while it runs:

    battery.note_rest()         radio off: what the percentage is taken from
    battery.note_load()         radio on
    battery.sag_mv              the difference: it grows with age and cold, and long before the
                                percentage tells, a cell that sags is one to replace
"""

from micropython import const

_SAMPLES = const(4)
_SAG_SHIFT = const(3)  # a sag of more than an eighth is none
_CONNECTED_MV = const(1000)  # no board runs below this, so less means: nothing is connected

# Millivolts of a cell and the percentage left, in turn, falling. Every one is of one cell at room
# temperature; yours is another, so take it for +-10 points where it is steep, and for little more
# than full or empty where it is flat (lifepo4, limno2). Who wants better discharges a cell of
# their own as the node does, notes its millivolts at rest and puts them in place of these.
#   liion     LiCoO2, as in most pouches: open-circuit voltage, table 1 of application note 4189 of
#             Maxim (Analog Devices), as quoted with Zephyr's BATTERY_OCV_CURVE_*
#   nmc       cells of nickel, manganese, cobalt, as most 18650: open-circuit voltage of a Sony
#             US18650VTC6, mean of charge and discharge at C/20,
#             github.com/derlucae98/US18650VTC6_OCV_SOC_Curve
#   lifepo4   open-circuit voltage of a Lithium Werks APR18650M1B, C/32, from the points of
#             github.com/soorajsunil/Piecewise-Battery-OCV (IEEE Trans. Instrum. Meas., 2025)
#   limno2    CR123, CR2: from the data sheet of FDK's CR14250SE, by way of Zephyr's
#             include/zephyr/dt-bindings/battery/battery.h (BATTERY_OCV_CURVE_LITHIUM_MANGANESE)
#   alkaline  AA cells, typical: no table was found, and it is the shape that data sheets draw for
#             some 25 mA, empty at 0.9 V
CURVES = {
    "liion": (
        (4177, 100, 4086, 90, 4008, 80, 3945, 70, 3884, 60, 3821, 50)
        + (3793, 40, 3775, 30, 3741, 20, 3687, 10, 3306, 0)
    ),
    "nmc": (
        (4175, 100, 4090, 90, 4037, 80, 3922, 70, 3840, 60, 3752, 50)
        + (3662, 40, 3558, 30, 3411, 20, 3268, 10, 3129, 5, 2535, 0)
    ),
    "lifepo4": (
        (3598, 100, 3418, 99, 3351, 98, 3277, 30, 3194, 9) + (3087, 5, 2930, 3, 2741, 1, 2010, 0)
    ),
    "limno2": (
        (2985, 100, 2962, 80, 2955, 70, 2949, 60, 2927, 50)
        + (2882, 40, 2812, 30, 2689, 20, 2444, 10, 1906, 0)
    ),
    "alkaline": (
        (1580, 100, 1500, 90, 1420, 80, 1360, 70, 1310, 60, 1270, 50)
        + (1230, 40, 1190, 30, 1150, 20, 1060, 10, 900, 0)
    ),
}


class Battery:
    """`numerator`/`denominator` is battery voltage by pin voltage: 2/1 for two equal resistors.

    `full_scale_mv` is the pin voltage of the highest reading, for ADCs that are not calibrated.
    Raises ValueError for a chemistry without a table.
    """

    unit = "mV"

    def __init__(
        self, adc, numerator=1, denominator=1, chemistry="liion", cells=1, full_scale_mv=3300
    ):
        if chemistry not in CURVES:
            raise ValueError("chemistry: one of " + ", ".join(sorted(CURVES)))
        self.adc = adc
        self.numerator = numerator
        self.denominator = denominator
        self.cells = cells
        self.full_scale_mv = full_scale_mv
        self._curve = CURVES[chemistry]
        self.rest_mv = None  # as noted last
        self.load_mv = None
        self._calibrated = hasattr(adc, "read_uv")  # ESP32 has it, RP2040 has not

    def probe(self):
        """Is there a voltage that can feed a board?"""
        return self.read() is not None

    def read(self):
        """Millivolts of the battery, the mean of a few samples; None when there is none."""
        total_mv = 0
        i = _SAMPLES
        while i:
            i -= 1
            total_mv += self._pin_mv()
        mv = total_mv * self.numerator // (self.denominator * _SAMPLES)
        return mv if mv >= _CONNECTED_MV else None

    def note_rest(self):
        """Remember the voltage, while the radio is off. Returns millivolts, or None."""
        self.rest_mv = self.read()
        return self.rest_mv

    def note_load(self):
        """Remember the voltage, while the radio is sending. Returns millivolts, or None."""
        self.load_mv = self.read()
        return self.load_mv

    @property
    def sag_mv(self):
        """How far the radio pulls the voltage down; None until rest and load are noted."""
        if self.rest_mv is None or self.load_mv is None:
            return None
        return max(self.rest_mv - self.load_mv, 0)

    def read_pct(self):
        """Percent left, 0 to 100; None when there is no battery."""
        mv = self.read()
        return None if mv is None else self.charge_pct(mv)

    def charge_pct(self, mv):
        """Percent left when the battery has `mv` now, maybe under load.

        The rest that was noted counts, unless it is too far away for that: another battery, or
        long ago.
        """
        rest_mv = self.rest_mv
        if rest_mv is not None and 0 <= rest_mv - mv <= rest_mv >> _SAG_SHIFT:
            mv = rest_mv
        return self.percent(mv)

    def percent(self, mv):
        """What `mv` millivolts mean for this chemistry, between the table's lines."""
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
        """An ADC draws nothing between two readings."""

    def _pin_mv(self):
        if self._calibrated:
            return (self.adc.read_uv() + 500) // 1000
        return (self.adc.read_u16() * self.full_scale_mv + 32767) // 65535


def _between(mv, curve, i):
    """Between the line at i, the lower one, and the one before it."""
    span_mv, span_pct = curve[i - 2] - curve[i], curve[i - 1] - curve[i + 1]
    return curve[i + 1] + (mv - curve[i]) * span_pct // span_mv
