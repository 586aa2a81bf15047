"""The conformance checks against the plugtest's resources on the emulated Pico, in its time."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / "tools" / "conformance"))

import checks  # noqa: E402, F401  registers them
import targets  # noqa: E402
from registry import CHECKS, NOT_APPLICABLE, PASS, run  # noqa: E402

pytestmark = pytest.mark.emulated

# Under OSCORE, some of each: `make conformance-emulated` does them all
SECURED = """methods.con_get methods.non_put methods.con_delete methods.create methods.not_found
    methods.whole_segments options.critical options.critical_non options.if_match options.accept
    options.if_none_match options.validate options.many observe.updated observe.deleted
    observe.several observe.reset block.put block.both_ways block.two message.separate
    message.duplicate extensions.fetch extensions.echo extensions.no_response link.core""".split()


@pytest.fixture(scope="module")
def plugtest(image):
    """An emulated Pico with the plugtest's resources."""
    yield from started("mote-pico")


@pytest.fixture(scope="module")
def secured(image):
    """One with keys, and clients that have those of the other end."""
    yield from started("mote-pico-oscore")


def started(name):
    target = targets.TARGETS[name]()
    try:
        target.start()
        yield target
    finally:
        target.stop()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_a_check_passes(plugtest, check):
    result = run(check, plugtest)
    applies = "group" not in check.needs  # there is no multicast on its PPP link
    assert result.outcome == (PASS if applies else NOT_APPLICABLE), result.why


@pytest.mark.parametrize("name", SECURED)
def test_a_check_passes_under_oscore(secured, name):
    (check,) = [check for check in CHECKS if check.name == name]
    result = run(check, secured)
    assert result.outcome == PASS, result.why
