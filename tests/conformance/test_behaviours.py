"""Each behaviour that is checked, of each server: what a foreign server fails is a fact."""

import pytest

from conformance.check import FAIL


def test_behaviour(check, target, runs, record_property):
    result = runs.result(check, target)
    record_property("conformance", [check.name, target.name, result.outcome, result.why])
    if result.outcome == FAIL:
        (pytest.fail if target.is_ours else pytest.xfail)(result.why)
