"""Limits of a wearer's readings: a reading beyond one is reported at once, not with a full pack.

    "hr>150 hr<40 temp>38.5"        the setting `alert`

An alert is raised once when the limit is crossed, and again only after the reading was clearly
within the limit for a minute: by two of its steps, which are 8 beats a minute, 0.2 degrees or 2 %
of SpO2. A value near the limit must not keep the radio on. Not for medical alarms.
"""

from micropython import const

NAMES = ("hr", "spo2", "steps", "temp")
LENGTH_MAX = 64  # characters
_REARM = const(60)  # checks within the limit, one per second, until the next alert
_MARGIN = const(2)  # steps of the reading by which it must be within

WRONG = 'must be "" or bounds like "hr>150 hr<40 temp>38.5" of {}, at most {} characters'.format(
    ", ".join(NAMES), LENGTH_MAX
)


class Alert:
    """A limit of a device.Reading. limit: in units of its last digit."""

    def __init__(self, reading, is_above, limit):
        self._reading = reading
        self._is_above = is_above
        self._limit = limit
        self._margin = _MARGIN * reading.step
        self._within = _REARM  # checks clearly within the limit in a row

    def check(self):
        """Return True if the alert is raised now; to be called once per second."""
        value = self._reading.value()
        if value is None:
            return False
        beyond = value - self._limit if self._is_above else self._limit - value
        if beyond > 0:
            is_new = self._within == _REARM
            self._within = 0
            return is_new
        if self._within < _REARM:
            self._within = self._within + 1 if beyond <= -self._margin else 0
        return False


def parse(text):
    """Return [(name, is_above, digits of the number as an int, its decimals)] of the setting.

    Raises ValueError if it is invalid.
    """
    if len(text) > LENGTH_MAX:
        raise ValueError(WRONG)
    found = []
    for part in text.split():
        is_above = ">" in part
        sides = part.split(">" if is_above else "<")
        if len(sides) != 2 or sides[0] not in NAMES:
            raise ValueError(WRONG)
        found.append((sides[0], is_above) + _number(sides[1]))
    return found


def make_alerts(text, readings):
    """Return the alerts of the setting. readings: {name: device.Reading}. Raises ValueError."""
    found = []
    for name, is_above, digits, decimals in parse(text):
        reading = readings[name]
        # decimals that the reading does not have are cut off
        limit = digits * 10**reading.decimals // 10**decimals
        found.append(Alert(reading, is_above, limit))
    return found


def _number(text):
    sides = text.split(".")
    whole = sides[0][1:] if text.startswith("-") else sides[0]
    decimals = sides[1] if len(sides) == 2 else "0"
    if len(sides) > 2 or not (whole.isdigit() and decimals.isdigit()):
        raise ValueError(WRONG)
    if len(whole) > 5 or len(decimals) > 3:
        raise ValueError(WRONG)
    digits = int(whole + decimals)
    return -digits if text.startswith("-") else digits, len(decimals)
