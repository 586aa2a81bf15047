"""How cost grows: routing hardly slows with more resources, and the plots are written."""

import sys
import xml.etree.ElementTree as ET

import pytest

from host import device
from setup import packages, qemu

sys.path.append(str(device.ROOT / "tools" / "bench"))

import icount  # noqa: E402
import plots  # noqa: E402

LOSS = 0.20  # at most, from 4 to 64 resources, or from none to 32 observers
MACHINE = "MPS2_AN385"
# In place of the clock: what moves with instructions alone, so that the ratio repeats.
COUNTED = """
from clocks import COUNTER
from umachine import mem32

class time:
    ticks_us = lambda: mem32[COUNTER]
    ticks_diff = lambda later, earlier: later - earlier & 0xFFFFFFFF

main(["1", {what!r}, {few}, {many}])
"""


def grown(what, few, many):
    """Rows of growth.py on a Cortex-M3, and how fast the last one is beside the first."""
    missing = packages.missing(qemu.MACHINES[MACHINE].needs)
    if missing:
        pytest.skip("not installed: " + ", ".join(missing))
    source, _, _ = plots.GROWTH.read_text().rpartition("main(")
    rows = plots.rows(
        icount.printed(MACHINE, source + COUNTED.format(what=what, few=few, many=many))
    )
    assert [row[:2] for row in rows] == [(what, few), (what, many)]
    return rows, rows[1][2] / rows[0][2]


def test_routing_with_64_resources_is_nearly_as_fast_as_with_4():
    (few, many), ratio = grown("resources", 4, 64)
    assert ratio >= 1 - LOSS
    assert many[3] > few[3] > 0


def test_observers_cost_a_request_nothing():
    _, ratio = grown("observers", 0, 32)
    assert ratio >= 1 - LOSS


def test_a_longer_request_takes_longer():
    _, ratio = grown("options", 1, 32)
    assert ratio < 1


def test_rates_are_measured_on_this_computer():
    rows = plots.grown(1, "resources", 4, 64)
    assert [row[:2] for row in rows] == [("resources", 4), ("resources", 64)]
    assert all(rate > 0 and size > 0 for _, _, rate, size in rows)


def test_plots_are_pictures(tmp_path):
    rows = [(what, number, 1000 - number, number) for what in plots.TITLES for number in (1, 2)]
    plots.draw(rows, tmp_path)
    files = sorted(tmp_path.iterdir())
    assert len(files) == 2 * len(plots.TITLES)
    for file in files:
        assert ET.parse(file).getroot().tag.endswith("svg")
        assert "src=" not in file.read_text()
    text = plots.table(rows)
    for title in plots.TITLES.values():
        assert title in text
