"""Battery: millivolts through the divider on either kind of ADC, percent by chemistry."""

import machine
from machine import ADC, Pin, wire

from sensors.battery import CURVES, Battery, SteadyCharge
from support import allocated, cases, locked, raises
from support.forged_messages import Noise


class PlainADC:
    """An ADC without calibration, as RP2040 has it."""

    def __init__(self, microvolts):
        self.raw = microvolts * 65535 // 3_300_000

    def read_u16(self):
        return self.raw


def battery(mv, numerator=2, denominator=1, **named):
    machine.power_on()
    wire(34).microvolts = mv * 1000 * denominator // numerator
    return Battery(ADC(Pin(34), atten=ADC.ATTN_11DB), numerator, denominator, **named)


@cases(1100, 2900, 3300, 3700, 4200, 6500)
def test_millivolts_through_the_divider(mv):
    assert abs(battery(mv).read() - mv) <= 2
    assert abs(battery(mv, 3, 1).read() - mv) <= 3
    assert abs(battery(mv, 147, 47).read() - mv) <= 4


@cases(1200, 2900, 3700, 4200)
def test_millivolts_without_calibration(mv):
    assert abs(Battery(PlainADC(mv * 500), 2, 1).read() - mv) <= 2


@cases(0, 5, 400, 990)
def test_missing_battery_has_no_value(mv):
    cell = battery(mv)
    assert cell.read() is None and cell.read_pct() is None and not cell.probe()


def test_discharge_tables_fall_from_100_to_0():
    for _, curve in CURVES:
        assert curve[1] == 100 and curve[-1] == 0 and len(curve) % 2 == 0
        for i in range(2, len(curve)):
            assert curve[i - 2] > curve[i]


@cases("liion", "nmc", "lifepo4", "limno2", "alkaline")
def test_percent_rises_with_the_voltage_and_meets_the_table(chemistry):
    cell = battery(3700, chemistry=chemistry)
    curve = dict(CURVES)[chemistry]
    for i in range(0, len(curve), 2):
        assert cell.percent(curve[i]) == curve[i + 1]
    last = 0
    for mv in range(500, 4500):
        pct = cell.percent(mv)
        assert last <= pct <= 100
        last = pct
    assert cell.percent(500) == 0 and last == 100


def test_percent_is_interpolated_between_table_rows():
    assert battery(3700).percent(4047) == 85  # half way from 4008 (80 %) to 4086 (90 %)


def test_percent_uses_the_rest_voltage_and_sag_is_reported():
    cell = battery(3900)
    assert cell.sag_mv is None
    assert abs(cell.note_rest() - 3900) <= 2 and cell.sag_mv is None
    wire(34).microvolts = 3_700_000 // 2
    assert abs(cell.note_load() - 3700) <= 2 and abs(cell.sag_mv - 200) <= 2
    assert cell.read_pct() == cell.percent(cell.rest_mv) > cell.percent(3700)
    cell.note_rest()
    assert cell.sag_mv == 0 and cell.read_pct() == cell.percent(3700)


@cases(3300, 4100)
def test_outdated_rest_voltage_is_ignored(mv):
    cell = battery(3900)
    cell.note_rest()
    wire(34).microvolts = mv * 500
    assert cell.read_pct() == cell.percent(cell.read())


def test_missing_battery_has_neither_rest_nor_sag():
    cell = battery(3900)
    cell.note_rest()
    wire(34).microvolts = 0
    assert cell.note_load() is None and cell.sag_mv is None and cell.read_pct() is None


def test_cells_in_series():
    assert battery(3700, chemistry="alkaline", cells=3).percent(3 * 1230) == 40


def test_unknown_chemistry_lists_the_known_ones():
    error = raises(ValueError, battery, 3700, chemistry="lemon")
    assert "liion, nmc, lifepo4, limno2, alkaline" in str(error)


def test_reading_allocates_nothing():
    cell = battery(3700)
    assert allocated(cell.read_pct, 20) == 0
    assert locked(cell.read_pct) == cell.percent(3700)


HOUR = 360  # readings, one every ten seconds


def steady(mv):
    """(SteadyCharge, its battery) that has read `mv` for ten minutes."""
    cell = battery(mv)
    charge = SteadyCharge(cell)
    assert charge.show(mv) == cell.percent(mv)
    for i in range(60):
        assert charge.add(mv) == (i == 0)
    assert charge.pct == cell.percent(mv)
    return charge, cell


def changes(charge, readings):
    """The numbers of those readings after which another charge is shown."""
    return [i for i, mv in enumerate(readings) if charge.add(mv)]


def test_a_falling_charge_is_shown_once_an_hour():
    charge, cell = steady(3900)
    shown = []
    for i in range(10 * HOUR):
        mv = 3900 - i * 200 // (10 * HOUR)  # 32 percent
        if charge.add(mv):
            shown.append((i, charge.pct))
            assert abs(charge.pct - cell.percent(mv)) <= 1
    assert 8 <= len(shown) <= 10
    for i in range(1, len(shown)):
        assert shown[i][0] - shown[i - 1][0] >= HOUR and shown[i][1] <= shown[i - 1][1] - 2


@cases((3790, 3780), (3780, 3790), (3900, 3930))
def test_a_small_change_is_not_shown(before, after):
    charge, cell = steady(before)
    if cell.percent(after) <= cell.percent(before) - 2:
        after = before - 1
    assert changes(charge, [after] * (3 * HOUR)) == []


def test_a_rise_is_shown_when_it_lasts_an_hour():
    charge, cell = steady(3800)
    assert changes(charge, [3900] * (HOUR - 40) + [3800] * HOUR) == []
    (at,) = changes(charge, [3900] * (2 * HOUR))
    assert HOUR <= at + 1 <= HOUR + 60 and charge.pct == cell.percent(3900)
    assert changes(charge, [3900] * HOUR) == []


def test_a_sudden_fall_is_shown_at_the_second_reading():
    charge, cell = steady(4000)
    assert changes(charge, [3700]) == [] and charge.pct == cell.percent(4000)
    assert charge.show(3700) == cell.percent(3700)
    assert changes(charge, [4000, 3700, 4000] * 100) == []  # a reading that fails now and then
    assert changes(charge, [3700, 3700]) == [1] and charge.pct == cell.percent(3700)


def test_a_battery_that_is_removed_or_exchanged_is_shown_at_the_second_reading():
    charge, cell = steady(3500)
    assert changes(charge, [None, 3500, None, None, None]) == [3] and charge.pct is None
    assert charge.show(None) is None
    assert changes(charge, [3700, 3700]) == [1] and charge.pct == cell.percent(3700)
    assert changes(charge, [4190] * 10) == [1] and charge.pct == 100


def test_the_first_median_corrects_the_first_reading():
    cell = battery(3785)
    charge = SteadyCharge(cell)
    assert changes(charge, [3800] + [3785] * 59) == [0, 30]
    assert charge.pct == cell.percent(3785) == charge.show(3795)


def test_the_radios_load_is_not_shown():
    """It is on for half of the readings and pulls the cell down by 150 mV."""
    charge, cell = steady(3900)
    cell.rest_mv = 3900
    assert changes(charge, [3750, 3900] * HOUR) == []
    assert charge.show(3750) == cell.percent(3900)


@cases(1, 2, 3)
def test_noise_is_not_shown(seed):
    charge, cell = steady(3785)
    noise = Noise(seed)
    readings = [3785 + noise.below(61) - 30 for _ in range(12 * HOUR)]
    assert len(changes(charge, readings)) <= 6
    assert abs(charge.pct - cell.percent(3785)) <= 4


def test_a_steady_charge_allocates_nothing():
    charge, _ = steady(3785)

    def hour():
        i = HOUR
        while i:
            i -= 1
            charge.add(3770 + (i & 31))

    assert allocated(hour) == 0
