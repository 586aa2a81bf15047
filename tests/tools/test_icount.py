"""The engine's cost in instructions, against tools/bench/icount.json."""

import json
import sys

import pytest

from host import device
from setup import packages, qemu

sys.path.append(str(device.ROOT / "tools" / "bench"))

import icount  # noqa: E402

BASELINE = json.loads(icount.BASELINE.read_text())
KNOWN = {"m": {"get": 1000, "put": 2000}}


def test_no_operation_has_become_dearer():
    machines = [qemu.MACHINES[name] for name in icount.MACHINES]
    missing = [name for machine in machines for name in packages.missing(machine.needs)]
    if missing:
        pytest.skip("not installed: " + ", ".join(missing))
    lines = icount.complaints(
        BASELINE, {machine.title: icount.count(machine.name) for machine in machines}
    )
    assert not lines, icount.advice(lines)


def test_five_percent_more_are_too_much():
    assert icount.complaints(KNOWN, {"m": {"get": 1050, "put": 10}}) == []
    assert icount.complaints(KNOWN, {"m": {"get": 1051, "put": 2000}}) == [
        "get takes 1,051 instructions on m, it was 1,000"
    ]
    assert "RENEW=1" in icount.advice(["get ..."])


def test_each_machine_counts():
    both = {"m": {"get": 1000}, "r": {"get": 2000}}
    assert len(icount.complaints(both, {"m": {"get": 1080}, "r": {"get": 1900}})) == 1


def test_an_operation_that_is_not_in_the_baseline_is_noticed():
    assert icount.complaints(KNOWN, {"m": {"get": 1000}})
    assert icount.complaints({}, KNOWN)


def test_the_clock_is_read_in_instructions():
    output = "calibration 800000 1000000\nnothing 8000 100\nget 160000 10\n"
    assert icount.parse(output) == {"nothing": 100, "get": 20000}
