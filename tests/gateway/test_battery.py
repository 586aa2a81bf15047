"""The forecast of a battery: when there is one, what it says, and how sure it is."""

import random

from tools.gateway.battery import DAY_S, daily_medians, forecast, same_battery

NOW_S = 1_800_000_000.0


def falling(days, pct_per_day, level=80.0, noise=0.0, a_day=4, seed=1):
    """Return readings of a battery that falls evenly to `level`, which is its level now."""
    chance = random.Random(seed)
    return [
        (
            NOW_S - step * DAY_S / a_day,
            level + step / a_day * pct_per_day + chance.uniform(-noise, noise),
        )
        for step in range(days * a_day)
    ]


def test_no_forecast_before_seven_days():
    assert forecast(falling(6, 1.0), NOW_S) is None
    assert forecast(falling(8, 1.0), NOW_S) is not None
    assert forecast([], NOW_S) is None


def test_an_even_fall():
    found = forecast(falling(30, 0.5), NOW_S)
    assert found is not None
    assert abs(found.days - 160) <= 1
    assert abs(found.low - 160) <= 1
    assert found.high is not None and abs(found.high - 160) <= 1


def test_the_range_holds_the_truth():
    inside = 0
    for seed in range(40):
        found = forecast(falling(30, 0.2, noise=1.5, seed=seed), NOW_S)
        assert found is not None
        assert found.low <= found.days <= (found.high or found.days)
        inside += found.low <= 400 <= (found.high or 10**6)
    assert inside >= 36


def test_odd_readings_have_no_say():
    readings = falling(30, 0.5)
    readings += [(at - 60, 3.0) for at, _ in readings[::8]]  # a weak moment while sending
    found = forecast(readings, NOW_S)
    assert found is not None and abs(found.days - 160) <= 2


def test_a_flat_level_is_not_extrapolated():
    assert forecast([(at, 80.0) for at, _ in falling(30, 0)], NOW_S) is None
    assert forecast(falling(30, -0.5, level=95.0), NOW_S) is None


def test_a_level_that_hardly_falls_has_no_latest_day():
    found = None
    for seed in range(20):
        found = forecast(falling(20, 0.03, noise=1.0, seed=seed), NOW_S)
        if found is not None and found.high is None:
            break
    assert found is not None and found.high is None


def test_a_new_battery_begins_anew():
    old = [(at - 10 * DAY_S, level) for at, level in falling(15, 2.0, level=5.0)]
    new = falling(9, 1.0, level=90.0)
    found = forecast(old + new, NOW_S)
    assert found is not None and abs(found.days - 90) <= 1
    assert len(same_battery(daily_medians(old + new))) <= 10


def test_old_readings_do_not_count():
    assert forecast([(at - 40 * DAY_S, level) for at, level in falling(20, 1.0)], NOW_S) is None


def test_an_empty_battery_has_no_days():
    found = forecast(falling(20, 1.0, level=0.0), NOW_S)
    assert found is not None and found.days == 0 and found.low == 0
