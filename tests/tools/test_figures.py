"""`make figures`: the README's figures are rendered from what was measured."""

import sys

import pytest

from setup.console import ROOT, Problem

sys.path.append(str(ROOT / "tools" / "bench"))

import figures  # noqa: E402
from servers import Server  # noqa: E402
from workloads import WORKLOADS  # noqa: E402

ECHO = Server("echo", "mote", "bare UDP echo on MicroPython", None)
MOTE = Server("mote-micropython", "mote", "Mote on MicroPython", None)
LIBCOAP = Server("libcoap", "libcoap", "libcoap's coap-server", None)
RESULTS = {
    ("get", "echo"): [{"rate": 3000.0}, {"rate": 2000.0}, {"rate": 2000.0}],
    ("get", "mote-micropython"): [{"rate": 1500.0}, {"rate": 1500.0}, {"rate": 1200.0}],
    ("get", "libcoap"): [{"rate": 1000.0}, {"rate": 1200.0}, {"rate": 1000.0}],
    ("put", "mote-micropython"): [{"rate": 500.0}] * 3,
}


def cells(table):
    return [line.strip("| ").split(" | ") for line in table.splitlines()]


def test_rates_are_medians_and_ratios_of_the_same_round():
    rows = cells(figures.by_server(RESULTS, [ECHO, MOTE, LIBCOAP]))
    assert rows[0] == ["GET", "requests/s", "of the echo", "of libcoap"]
    assert rows[2:] == [
        ["bare UDP echo on MicroPython", "2,000", "1.00", "2.00"],
        ["Mote on MicroPython", "1,500", "0.60", "1.25"],
        ["libcoap's coap-server", "1,000", "0.50", "1.00"],
    ]
    rows = cells(figures.by_workload(RESULTS, WORKLOADS))
    assert rows[2:] == [["GET one value", "1,500", "1.25"], ["PUT configuration", "500", "-"]]


def test_instructions_and_heap():
    counted = dict.fromkeys(figures.OPERATIONS.values(), 16021)
    rows = cells(figures.instructions({"instructions of mps2-an385": counted}))
    assert rows[0] == ["instructions (`make bench-icount`)", "mps2-an385"]
    assert rows[2] == ["GET of one value", "16,021"]
    sums = {"modules": 30000, "node": 8000, "application": 4000, "made": 12000, "all": 42000}
    assert cells(figures.bytes_of_heap(sums))[2:] == [
        ["modules", "30,000"],
        ["node", "8,000"],
        ["application", "4,000"],
        ["all", "42,000"],
    ]


def test_the_cost_of_oscore_is_one_sentence():
    found = {"plain_rps": 50000, "protected_rps": 20000, "protected_bytes": 0}
    text = figures.under_oscore({**found, "context_bytes": 2208, "extension_bytes": 4480})
    assert text.startswith("Under OSCORE a GET takes 2.5 times as long")
    assert "a context takes 2,208, the extension 4,480" in text.replace("\n", " ")


def test_only_what_stands_between_the_marks_is_replaced(tmp_path):
    file = tmp_path / "README.md"
    file.write_text(f"before\n{figures.BEGIN}old\n{figures.END}after\n")
    figures.write("new\n", file)
    figures.write("newer\n", file)
    assert file.read_text() == f"before\n{figures.BEGIN}\nnewer\n\n{figures.END}after\n"
    file.write_text(f"before\n{figures.END}{figures.BEGIN}")
    with pytest.raises(Problem, match="README.md lacks the lines"):
        figures.write("new\n", file)


def test_the_readme_has_the_marks_and_figures_between_them():
    text = figures.README.read_text()
    assert text.count(figures.BEGIN) == text.count(figures.END) == 1
    assert "`make figures" in text.partition(figures.BEGIN)[2].partition(figures.END)[0]
