"""The suite itself: its clocks, its tables, its command line."""

import socket
import subprocess
import sys

import pytest

from conformance import matrix
from conformance.check import (
    CHECKS,
    FAIL,
    NOT_APPLICABLE,
    PASS,
    Check,
    Result,
    unless_applicable,
)
from conformance.client import Client
from conformance.clocks import TAKEN_MS, OfPico
from conformance.targets import TARGETS, Target
from setup.console import ROOT

TOOL = ROOT / "tools" / "conformance"


def behaviour():
    """A check that is never run."""


CHECK = Check("7252 1", "it works", "CORE_01", (), (), False, behaviour)
OURS = Target("ours", None, {}, is_ours=True)


def report(checks, target, results, seen=None):
    """The whole report, as text."""
    return "\n".join(matrix.report(checks, [target], results, seen or {}))


@pytest.mark.parametrize("outcome", [PASS, FAIL])
def test_a_failure_says_why(outcome):
    result = Result(outcome, "because" if outcome == FAIL else "")
    seen = {("CORE_01", "libcoap", "test_x.py::test_core_01_x"): result}
    text = report([CHECK], OURS, {(CHECK.name, "ours"): result}, seen)
    assert "7252 1  it works" in text and f"\nCORE_01   {outcome}    {outcome}\n" in text
    passed = int(outcome == PASS)
    assert f" {passed}/1\n" in text
    assert text.count("because") == 2 * (1 - passed)


def test_a_check_without_a_result_is_a_failure():
    assert "ours: 7252 1, it works: it was not run" in report([CHECK], OURS, {})


def test_what_a_server_does_not_offer_is_left_out_of_its_count():
    checks = [check for check in CHECKS if check.topic == "link"]
    text = report(checks, TARGETS["libcoap"], {(c.name, "libcoap"): Result(PASS) for c in checks})
    assert " 2/2\n" in text and text.count(" -\n") == len(checks) - 2


def test_what_a_server_cannot_have_is_not_applicable_and_says_why():
    checks = [check for check in CHECKS if check.topic == "group"]
    text = report(checks, TARGETS["mote-pico"], {})
    assert len(checks) == 3 and text.count(" n/a\n") == 3
    assert "0/0" in text and "mote-pico: n/a in 3: there is no multicast" in text


def test_what_is_outside_of_oscore_is_not_applicable():
    target = TARGETS["mote-oscore"]
    names = {name for check in CHECKS for name in (*check.needs, check.topic, check.name)}
    assert set(target.lacks) < names
    left_out = {check.topic for check in CHECKS if unless_applicable(check, target)}
    assert left_out == {"hostile", "group", "options", "extensions"}


def test_mote_offers_what_every_check_needs():
    for target in TARGETS.values():
        for check in CHECKS:
            left_out = unless_applicable(check, target)
            assert not target.is_ours or not left_out or left_out.outcome == NOT_APPLICABLE


class SlowPico:
    """Time as an emulated Pico has it: `responses` are (ms, socket, datagram) to come."""

    def __init__(self, *responses):
        self.now_ms = 0
        self.responses = responses

    def run_ms(self, span_ms):
        before_ms = self.now_ms
        self.now_ms += span_ms
        for at_ms, sock, datagram in self.responses:
            if before_ms < at_ms <= self.now_ms:
                sock.send(datagram)


def test_a_client_waits_in_the_time_of_the_pico():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as node:
        node.bind(("127.0.0.1", 0))
        pico = SlowPico((90_000, node, b"\x60\x45\x00\x01"))
        client = Client(node.getsockname(), OfPico(pico))
        node.connect(client.sock.getsockname())
        try:
            assert client.receive(60) is None and pico.now_ms == 60_000
            assert client.receive(60).code == "2.05"
            assert 90_000 <= pico.now_ms < 91_000
            client.clock.sleep(2)
            assert client.clock.now_s() == pico.now_ms / 1000 >= 92
        finally:
            client.close()


def test_what_a_client_sends_to_a_pico_does_not_replace_what_it_sent_before():
    pico = SlowPico()
    clock = OfPico(pico)
    sent_ms = []
    for pause_ms in (0, 0, 0, 10, 1000):
        pico.run_ms(pause_ms)
        clock.make_room()
        sent_ms.append(pico.now_ms)
    assert sent_ms == [n * TAKEN_MS for n in range(4)] + [3 * TAKEN_MS + 1000]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--servers", "none"], "--servers: no 'none': take of mote-micropython, mote-cpython"),
        (["--only", "weather"], "--only: no 'weather'"),
        (["--what"], "--what"),
    ],
)
def test_mistakes_are_one_line(arguments, complaint):
    done = subprocess.run([sys.executable, TOOL, *arguments], capture_output=True, text=True)
    assert done.returncode == 2
    assert complaint in done.stderr and done.stderr.count("\n") == 1
    assert done.stdout == ""
