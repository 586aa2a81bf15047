"""The conformance checks can fail: each one does, against a node that breaks what it checks."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from conformance.check import CHECKS, FAIL, PASS, run
from conformance.client import Client, Failed
from conformance.clocks import Wall
from conformance.faults import FAULTS, BrokenNode, Fault
from conformance.runs import run_alone
from conformance.targets import NODE, TARGETS, Target

LATE_S = 3
BY_NAME = {check.name: check for check in CHECKS}
# They need a node in a multicast group: a server that is not in it fails them.
GROUP = {name for name in BY_NAME if name.startswith("group.")}


class Patient(Wall):
    """This computer's clock where it is busy: what is to come may come later than usual, and what
    is not to come is awaited for longer.
    """

    @staticmethod
    def wait(sock, seconds):
        return Wall.wait(sock, seconds + LATE_S)


def broken(fault, make_client=Client):
    """Return a target that is a node with this fault."""

    def serve(target):
        node = BrokenNode(fault)
        target.address = node.address
        return node

    target = Target("broken", serve, NODE)
    target.clock = Patient
    target.make_client = make_client
    return target


@pytest.fixture(scope="module")
def results():
    """The results of the checks that fail, all at the same time: by the check's name a future."""
    with ThreadPoolExecutor(64) as pool, ExitStack() as running:
        found = {}
        for fault, failing in FAULTS.values():
            target = broken(fault)
            target.start()
            running.callback(target.stop)
            for name in failing.split():
                found[name] = pool.submit(run_alone, BY_NAME[name], target)
        yield found
        for future in found.values():
            future.exception()


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_broken_is_found(results, fault):
    for name in FAULTS[fault][1].split():
        result = results[name].result()
        assert (result.outcome, name) == (FAIL, name)
        assert result.why


def test_every_check_can_fail():
    names = [name for _, failing in FAULTS.values() for name in failing.split()]
    assert sorted(names) == sorted(set(BY_NAME) - GROUP)


def test_without_a_fault_the_same_checks_pass():
    target = broken(Fault())
    target.start()
    try:
        for check in CHECKS:
            if check.topic in ("methods", "options", "link", "block"):
                result = run(check, target)
                assert (check.name, result.outcome, result.why) == (check.name, PASS, "")
    finally:
        target.stop()


@pytest.fixture(scope="module")
def under_oscore():
    """A node with keys."""
    target = TARGETS["mote-oscore"]
    target.start()
    yield target
    target.stop()


def test_nothing_is_written_without_oscore(under_oscore):
    stranger = Client(under_oscore.address)
    try:
        assert stranger.ask("GET", "test").code == "2.05"
        assert stranger.ask("PUT", "test", payload=b"no").code == "4.01"
    finally:
        stranger.close()


def test_a_response_without_oscore_is_a_failure(under_oscore):
    target = broken(Fault(), under_oscore.make_client)
    target.start()
    try:
        result = run(BY_NAME["methods.con_get"], target)
    finally:
        target.stop()
    assert result.outcome == FAIL
    assert result.why.startswith("a response without OSCORE: ACK 4.02")


def test_a_response_that_was_changed_on_its_way_is_a_failure(under_oscore):
    client = under_oscore.make_client(under_oscore.address, Wall)
    try:
        client.send(client.request("GET", "test"))
        response = client.sock.recv(2048)
        assert client.decode(response).code == "2.05"
        with pytest.raises(Failed, match="cannot be decrypted"):
            client.decode(response[:-1] + bytes([response[-1] ^ 1]))
    finally:
        client.close()
