"""What the engine's operations cost in instructions, and how that grows."""

import sys

import pytest

from host import device
from setup import packages, qemu
from size import budget

sys.path.append(str(device.ROOT / "tools" / "bench"))

import icount  # noqa: E402

MACHINES = [f"instructions of {qemu.MACHINES[name].title}" for name in icount.MACHINES]


@pytest.fixture(scope="module")
def counted():
    needs = [need for name in icount.MACHINES for need in qemu.MACHINES[name].needs]
    missing = packages.missing(needs)
    if missing:
        pytest.skip("not installed: " + ", ".join(missing))
    return icount.count()


def test_no_operation_exceeds_its_budget(counted):
    assert list(counted) == MACHINES
    lines = budget.exceeded(counted, icount.MAY_GROW_PCT)
    assert not lines, "; ".join([*lines, icount.FIX])


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize(
    ("more", "most"), [("64-resources", 1.25), ("32-observers", 1.01), ("32-options", 1.6)]
)
def test_a_get_costs_little_more_where_there_is_more(counted, machine, more, most):
    rows = counted[machine]
    assert 1 <= rows[f"get-{more}"] / rows["get"] <= most


def test_the_clock_is_read_in_instructions():
    output = "calibration 800000 1000000\nnothing 8000 100\nget 160000 10\n"
    assert icount.parse(output) == {"nothing": 100, "get": 20000}


def test_the_table_stands_beside_the_budget(capsys):
    icount.print_table(dict.fromkeys(MACHINES, {"get": 16000}), {MACHINES[0]: {"get": 15000}})
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["get", "16,000", "15,000", "16,000", "-"]
