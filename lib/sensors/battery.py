"""A battery behind a voltage divider on an ADC: millivolts, and what they mean in percent.

The percentage comes from a table by chemistry, for a cell at rest or under the light load of a
node; voltage against charge is anything but a straight line.
"""

from micropython import const

_SAMPLES = const(4)
_CONNECTED_MV = const(1000)  # no board runs below this, so less means: nothing is connected

# Millivolts a cell, falling, with the percentage left.
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

    def read_pct(self):
        """Percent left, 0 to 100; None when there is no battery."""
        mv = self.read()
        return None if mv is None else self.percent(mv)

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
