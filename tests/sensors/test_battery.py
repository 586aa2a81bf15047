"""Battery: millivolts through the divider on either kind of ADC, percent by chemistry."""

import machine
from machine import ADC, Pin, wire

from sensors.battery import CURVES, Battery
from support import allocated, cases, locked, raises


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
