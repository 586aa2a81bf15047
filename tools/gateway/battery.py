"""How long a battery will last, from what a node told of it.

The slope is that of Theil and Sen, the median of the slopes between all pairs of days, each day
by its median: an odd reading has no say. The range is the 95 % interval of Sen (1968), by ranks.
Before seven days are known there is no forecast, and for a level that has not been seen to fall
there is none either: the percentage of a lithium cell stays flat for months.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

DAY_S = 86400
WINDOW_DAYS = 30
DAYS_MIN = 7
NEW_BATTERY_PCT = 15  # a rise by more within a day is another battery, or a charge
NORMAL_95 = 1.96
LONGEST_DAYS = 3650  # beyond that the cell's own age decides


@dataclass(frozen=True)
class Forecast:
    """Days until a battery is empty.

    Attributes:
        days: by the median slope.
        low: the soonest of the 95 % interval.
        high: the latest; None when the interval holds a level that does not fall at all.
    """

    days: int
    low: int
    high: int | None


def daily_medians(readings: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return (days, percent) of each day that has readings, oldest first.

    Args:
        readings: (seconds since 1970, percent), in any order.
    """
    by_day: dict[int, list[tuple[float, float]]] = {}
    for at_s, level_pct in readings:
        by_day.setdefault(int(at_s // DAY_S), []).append((at_s / DAY_S, level_pct))
    return [
        (median(at for at, _ in day), median(level for _, level in day))
        for _, day in sorted(by_day.items())
    ]


def same_battery(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the points since the battery was last changed or charged."""
    start = 0
    for index in range(1, len(points)):
        if points[index][1] - points[index - 1][1] > NEW_BATTERY_PCT:
            start = index
    return points[start:]


def slopes(points: list[tuple[float, float]]) -> list[float]:
    """Return the slopes between all pairs of points in percent per day, sorted."""
    return sorted(
        (later[1] - earlier[1]) / (later[0] - earlier[0])
        for index, earlier in enumerate(points)
        for later in points[index + 1 :]
    )


def slope_range(ordered: list[float], count: int) -> tuple[float, float]:
    """Return the ends of the 95 % interval of the slope of `count` points (Sen 1968)."""
    width = NORMAL_95 * math.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    below = max(0, math.floor((len(ordered) - width) / 2))
    above = min(len(ordered) - 1, math.ceil((len(ordered) + width) / 2))
    return ordered[below], ordered[above]


def forecast(readings: Iterable[tuple[float, float]], now_s: float) -> Forecast | None:
    """Return when a battery will be empty, or None while that is not to be seen.

    Args:
        readings: (seconds since 1970, percent) of one node.
        now_s: the present; what is older than 30 days does not count.
    """
    recent = (point for point in readings if now_s - point[0] <= WINDOW_DAYS * DAY_S)
    points = same_battery(daily_medians(recent))
    if len(points) < DAYS_MIN or points[-1][0] - points[0][0] < DAYS_MIN - 1:
        return None
    ordered = slopes(points)
    slope = median(ordered)
    steepest, flattest = slope_range(ordered, len(points))
    if slope >= 0:
        return None
    now_days = now_s / DAY_S
    level_pct = median(level - slope * (at - now_days) for at, level in points)
    level_pct = min(100.0, max(0.0, level_pct))
    return Forecast(
        _days(level_pct, slope),
        _days(level_pct, steepest),
        _days(level_pct, flattest) if flattest < 0 else None,
    )


def _days(level_pct: float, slope_pct: float) -> int:
    return min(LONGEST_DAYS, round(level_pct / -slope_pct))
