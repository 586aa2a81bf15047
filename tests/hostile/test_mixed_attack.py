"""What clients notice of a mixed attack: for 20 s, in `make test-hostile` for SECONDS."""

import os

import pytest
from mixed_attack import attack, share

from keys import make as make_keys

SECONDS = float(os.environ.get("SECONDS") or (600 if "HOSTILE" in os.environ else 20))
LEAST = 0.97
LONGEST_WAIT_S = 25
BUDGET_BYTES, BUDGET_S, MESSAGE_BYTES = 8192, 10, 1152
pytestmark = pytest.mark.takes(SECONDS)


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    """What came of the attack."""
    made = make_keys.make("door-1", keys=tmp_path_factory.mktemp("mixed") / "keys")
    found = attack(made, SECONDS)
    print(found)
    return found


# A newcomer without keys is one of the strangers, and observes when one of these has gone.
@pytest.mark.parametrize("kind", ["open", "oscore", "upload", "oscore newcomer"])
def test_clients_are_served(outcome, kind):
    assert share(*outcome.requests[kind]) >= LEAST, outcome


@pytest.mark.parametrize("observer", ["open observer", "oscore observer"])
def test_who_observes_is_told(outcome, observer):
    assert outcome.waits_s[observer] <= LONGEST_WAIT_S, outcome


def test_nobody_else_gets_much(outcome):
    periods = SECONDS // BUDGET_S + 1
    assert outcome.beyond <= periods * (BUDGET_BYTES + MESSAGE_BYTES), outcome
