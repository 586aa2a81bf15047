"""Reports to a receiver that is not ours, over a wire that does its worst."""

import time

import aiocoap
import pytest
from processes import HOST, free_port
from report_receiver import Receiver

from coap.presets import Node, default_extensions
from coap.transports.udp import Udp, peer
from power.report import Report

PATIENCE_S = 120
LONG_MS = 60_000
SOON_S = 40  # on any computer, and long before LONG_MS
PACK = bytes.fromhex("81a20064646f6f7204f5")  # [{0: "door", 4: true}]


def report_to(receiver, **settings):
    """Send one report, stay awake as long as there is a reason: (report, seconds awake)."""
    report = Report(peer(HOST, receiver.port), "door-1", **settings)
    node = Node(*default_extensions(requests=1), report, ack_timeout_ms=300)
    node.get("s/door")(lambda request, reply: b"open")
    node.get("dev")(lambda request, reply: b"mote")
    udp = Udp(node, HOST, free_port())
    done = []
    start = time.monotonic()
    try:
        report.send(PACK, lambda one: done.append(one.released))
        while report.busy:
            assert time.monotonic() < start + PATIENCE_S, "the node does not come to rest"
            udp.step(20)
    finally:
        udp.close()
    assert done == [report.released]
    return report, time.monotonic() - start


def is_ack(data):
    return data[0] >> 4 & 3 == 2


def test_nothing_queued():
    with Receiver("door-1") as receiver:
        report, awake_s = report_to(receiver, limit_ms=LONG_MS)
    assert report.released and receiver.reports == [PACK] and awake_s < SOON_S


def test_late_response():
    with Receiver("door-1", late_s=1.5) as receiver:
        report, awake_s = report_to(receiver)
        acks = [data for data in receiver.passed["out"] if is_ack(data)]
        assert any(len(data) == 4 for data in acks), "the receiver did not send an empty ACK"
    assert report.released and awake_s >= 1.5 and receiver.reports == [PACK]


def test_a_bare_ack_does_not_release():
    def lose_responses(direction, count, data):
        return () if direction == "out" and len(data) > 4 else (0,)

    with Receiver("door-1", late_s=0.5, fate=lose_responses) as receiver:
        report, awake_s = report_to(receiver, limit_ms=3000)
        assert any(is_ack(data) for data in receiver.passed["out"])
    assert not report.released and report.error == "timeout" and 2.9 < awake_s < SOON_S
    assert receiver.reports == [PACK]


@pytest.mark.parametrize("queue", [["s/door"], ["s/door", "dev", "s/door"]])
def test_queued_requests_are_served_before_the_node_sleeps(queue):
    with Receiver("door-1", queue=queue) as receiver:
        report, awake_s = report_to(receiver, linger_ms=LONG_MS)
        assert receiver.has([b"open" if path == "s/door" else b"mote" for path in queue])
    assert report.released and awake_s < SOON_S


def test_queued_requests_that_never_come():
    def lose_requests(direction, count, data):
        return () if direction == "out" and 0 < data[1] < 32 else (0,)

    with Receiver("door-1", queue=["s/door"], fate=lose_requests) as receiver:
        report, awake_s = report_to(receiver, linger_ms=1500)
    assert report.released and 1.4 < awake_s < SOON_S and receiver.answers == []


def test_lost_reports_and_acks():
    def lose_the_first(direction, count, data):
        return () if count == 1 else (0,)

    with Receiver("door-1", queue=["dev"], fate=lose_the_first) as receiver:
        report, _ = report_to(receiver)
        assert receiver.has([b"mote"])
    assert report.released and receiver.reports == [PACK]
    assert len(receiver.passed["in"]) >= 3


def test_doubled_and_delayed_datagrams():
    def double(direction, count, data):
        return (0.05, 0.15, 0.2) if count % 2 else (0.4, 0.45)

    with Receiver("door-1", late_s=0.3, queue=["dev", "s/door"], fate=double) as receiver:
        report, _ = report_to(receiver, linger_ms=LONG_MS)
        assert receiver.has([b"mote", b"open"])
    assert report.released and receiver.reports == [PACK]


@pytest.mark.parametrize("code", [aiocoap.NOT_FOUND, aiocoap.SERVICE_UNAVAILABLE, aiocoap.CONTENT])
def test_other_answers_do_not_release(code):
    with Receiver("door-1", code=code) as receiver:
        report, _ = report_to(receiver)
    assert not report.released and report.error == str(code)[:4]


def test_nobody_there():
    def lose_all(direction, count, data):
        return ()

    with Receiver("door-1", fate=lose_all) as receiver:
        report, awake_s = report_to(receiver, limit_ms=1000)
    assert not report.released and 0.9 < awake_s < SOON_S and receiver.reports == []
