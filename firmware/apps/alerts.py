"""Bounds of a wearer's readings: what goes beyond one is told at once, without an observer, by a
radio that else waits until a pack is full.

    "hr>150 hr<40 temp>38.5"        the setting `alert`

A bound is told once when it is crossed, and again only after the reading was back for a minute: a
value on the brink must not keep the radio on. Never an alarm for anybody's health.
"""

from micropython import const

NAMES = ("hr", "spo2", "steps", "temp")
LENGTH_MAX = 64  # characters
_CALM = const(60)  # looks, a second each

WRONG = 'must be "" or bounds like "hr>150 hr<40 temp>38.5" of {}, at most {} characters'.format(
    ", ".join(NAMES), LENGTH_MAX
)


class Bound:
    """reading: a common.Reading; limit: in units of its last digit."""

    def __init__(self, reading, is_above, limit):
        self._reading = reading
        self._is_above = is_above
        self._limit = limit
        self._calm = _CALM  # looks within the bound, in a row

    def look(self):
        """Is there something to tell? Once a second."""
        value = self._reading.value()
        if value is None:
            return False
        if value > self._limit if self._is_above else value < self._limit:
            new = self._calm == _CALM
            self._calm = 0
            return new
        if self._calm < _CALM:
            self._calm += 1
        return False


def parse(text):
    """[(name, is above, the number's digits, how many of them are behind the point)].

    Raises ValueError for anything else.
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


def bounds(text, readings):
    """The bounds of a setting that parse() takes. readings: {name: common.Reading}."""
    found = []
    for name, is_above, digits, behind in parse(text):
        reading = readings[name]
        # what the reading can not show is cut off
        limit = digits * 10**reading.decimals // 10**behind
        found.append(Bound(reading, is_above, limit))
    return found


def _number(text):
    sides = text.split(".")
    whole = sides[0][1:] if text.startswith("-") else sides[0]
    behind = sides[1] if len(sides) == 2 else "0"
    if len(sides) > 2 or not (whole.isdigit() and behind.isdigit()):
        raise ValueError(WRONG)
    if len(whole) > 5 or len(behind) > 3:
        raise ValueError(WRONG)
    digits = int(whole + behind)
    return -digits if text.startswith("-") else digits, len(behind)
