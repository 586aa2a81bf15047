"""How cost grows: routing hardly slows with more resources, and the plots are written."""

import sys
import xml.etree.ElementTree as ET

import device

sys.path.append(str(device.ROOT / "tools" / "bench"))

import plots  # noqa: E402

ROUTING_LOSS = 0.20  # at most, from 4 to 64 resources


def test_routing_with_64_resources_is_nearly_as_fast_as_with_4():
    rows = plots.grown(60, "resources", 4, 64)
    assert [row[:2] for row in rows] == [("resources", 4), ("resources", 64)]
    few, many = rows
    assert many[2] >= (1 - ROUTING_LOSS) * few[2]
    assert many[3] > few[3] > 0


def test_observers_cost_a_request_nothing():
    rows = plots.grown(60, "observers", 0, 32)
    assert rows[1][2] >= 0.8 * rows[0][2]


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
