"""Collects the results of the conformance checks and prints them as a matrix.

`make conformance` names the servers and the topics; without them these are Mote's simulated nodes
and the checks that take seconds, or the emulated Pico's with --emulated all.
"""

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path += [str(ROOT / "tests" / "interop"), str(ROOT / "tools" / "conformance")]

from processes import simulated  # noqa: E402

from conformance import matrix  # noqa: E402
from conformance.check import CHECKS, FAIL, PASS, Result, unless_applicable  # noqa: E402
from conformance.checks import __all__ as TOPICS  # noqa: E402
from conformance.runs import Runs  # noqa: E402
from conformance.targets import ON_A_PICO, SIMULATED, TARGETS  # noqa: E402
from host import device  # noqa: E402
from setup import firmware, packages  # noqa: E402
from setup.console import Problem  # noqa: E402

INTERPRETERS = ("micropython", "cpython")
PLUGTEST = re.compile(r"::test_.*?(core|obs|block|link)((?:_\d\d)+)_")
CLIENT = re.compile(r"[\[-](aiocoap|libcoap|node)[-\]]")
seen = {}  # (test description, client, test): outcome and why
results = {}  # (check's name, target's name): outcome and why


def pytest_addoption(parser):
    parser.addoption("--servers", help="of the conformance checks; the matrix is printed")
    parser.addoption("--only", default=",".join(TOPICS), help="topics of the conformance checks")


def pytest_generate_tests(metafunc):
    if "check" in metafunc.fixturenames:
        pairs = [
            pytest.param(check, target, id=f"{check.name}-{target.name}", marks=marks)
            for check in selected_checks(metafunc.config)
            for target, marks in selected_targets(metafunc.config)
            if unless_applicable(check, target) is None
        ]
        metafunc.parametrize(("check", "target"), pairs)


def selected_checks(config):
    """The checks of the topics; unless servers are named, those that do not take minutes."""
    named = config.getoption("--servers", None)
    topics = config.getoption("--only", ",".join(TOPICS)).split(",")
    on_pico = config.getoption("--emulated") == "all"
    return [c for c in CHECKS if c.topic in topics and (named or on_pico or not c.slow)]


def selected_targets(config):
    """Pairs of a target and the marks of its tests."""
    named = config.getoption("--servers", None)
    if named:
        return [(TARGETS[name], ()) for name in named.split(",")]
    if config.getoption("--emulated") != "all":
        return [(TARGETS[name], ()) for name in SIMULATED]
    if packages.missing(packages.RP2):
        return []
    return [(TARGETS[name], pytest.mark.emulated) for name in ON_A_PICO]


def pytest_runtest_logreport(report):
    """Note what a test of this folder has found; in the process that prints the summary."""
    for name, value in report.user_properties:
        if name == "conformance" and report.when == "call":
            check, target, outcome, why = value
            results[check, target] = Result(outcome, why)
    described, client = PLUGTEST.search(report.nodeid), CLIENT.search(report.nodeid)
    if described and client and (report.when == "call" or report.failed):
        lines = str(getattr(report.longrepr, "reprcrash", report.longrepr)).splitlines()
        result = Result(FAIL, lines[0]) if report.failed else Result(PASS)
        for number in described[2].strip("_").split("_"):
            seen[f"{described[1].upper()}_{number}", client[1], report.nodeid] = result


def pytest_terminal_summary(terminalreporter, config):
    if config.getoption("--servers", None):
        checks = selected_checks(config)
        targets = [target for target, _ in selected_targets(config)]
        for text in matrix.report(checks, targets, results, seen):
            terminalreporter.write_line(text)


@pytest.fixture(scope="session")
def runs(request):
    """All selected checks, under way in the background."""
    calls = [getattr(item, "callspec", None) for item in request.session.items]
    params = [call.params for call in calls if call and "check" in call.params]
    pairs = [(one["check"], one["target"]) for one in params]
    if any(target.name in ON_A_PICO for _, target in pairs):
        try:
            firmware.build_from_debian(device.find_board("PICO_EMU"))
        except Problem as problem:
            pytest.exit(str(problem), returncode=2)
    under_way = Runs(pairs)
    yield under_way
    under_way.close()


@pytest.fixture(scope="session", params=INTERPRETERS)
def plugtest(request):
    """A simulated node with the plugtest's resources, on each interpreter."""
    with simulated(request.param, "plugtest") as process:
        yield process
