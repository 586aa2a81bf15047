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

# Millivolts a cell at rest and at room temperature, falling, with the percentage left. Rounded
# from the curves that makers publish; cells differ, so take it for +-10 points where it is steep,
# and for little more than full or empty where it is flat (LiFePO4 from 20 to 90 %).
#   liion     LiCoO2 and NMC cells up to 4.2 V: open-circuit voltage; empty at 3.0 V
#   lifepo4   open-circuit voltage of LiFePO4 cells; empty at 2.5 V
#   alkaline  AA cells under some 25 mA, as in the data sheet of Energizer's E91; empty at 0.9 V
CURVES = {
    "liion": (
        (4180, 100),
        (4060, 90),
        (3980, 80),
        (3920, 70),
        (3870, 60),
        (3820, 50),
        (3790, 40),
        (3770, 30),
        (3740, 20),
        (3680, 10),
        (3450, 5),
        (3000, 0),
    ),
    "lifepo4": (
        (3400, 100),
        (3340, 90),
        (3320, 80),
        (3300, 70),
        (3280, 60),
        (3270, 50),
        (3260, 40),
        (3240, 30),
        (3210, 20),
        (3100, 10),
        (2500, 0),
    ),
    "alkaline": (
        (1580, 100),
        (1500, 90),
        (1420, 80),
        (1360, 70),
        (1310, 60),
        (1270, 50),
        (1230, 40),
        (1190, 30),
        (1150, 20),
        (1060, 10),
        (900, 0),
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
        if mv >= curve[0][0]:
            return 100
        i = 1
        while i < len(curve):
            if mv >= curve[i][0]:
                return _between(mv, curve[i - 1], curve[i])
            i += 1
        return 0

    def sleep(self):
        """An ADC draws nothing between two readings."""

    def _pin_mv(self):
        if self._calibrated:
            return (self.adc.read_uv() + 500) // 1000
        return (self.adc.read_u16() * self.full_scale_mv + 32767) // 65535


def _between(mv, above, below):
    return below[1] + (mv - below[0]) * (above[1] - below[1]) // (above[0] - below[0])
