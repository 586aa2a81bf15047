"""The report of a node that sleeps: what releases it, and how long the node stays awake."""

from coap import CoapError
from coap.client import Client
from coap.codec import SLOW_PATH
from coap.numbers import CON, GET, POST, PUT
from power.report import Report, unsigned
from support import cases, raises
from support.client_node import BLOCK2, acknowledge, piggyback, reset, respond, sent
from support.engine import ask, due, request
from support.features import Value, block, seeded


def reporting(slots=1, **settings):
    """A node, its Report, and the list of what on_done was told."""
    report = Report("server", "door-1", **settings)
    node = seeded(Client(slots), report)
    node.add("v", Value(b"0"))
    done = []
    return node, report, lambda one: done.append((one.released, one.error, one.queued)), done


def test_a_204_releases():
    node, report, on_done, done = reporting()
    report.send(b"pack", on_done)
    message = sent(node)
    assert (message.kind, message.code, message.payload) == (CON, POST, b"pack")
    assert message.options == [(11, b"r"), (11, b"door-1"), (12, b"\x70")]
    assert report.busy and not done
    piggyback(node, message, 0x44)
    assert done == [(True, "", 0)] and not report.busy


def test_a_bare_ack_releases_nothing():
    node, report, on_done, done = reporting()
    report.send(b"pack", on_done)
    message = sent(node)
    acknowledge(node, message)
    assert not done and report.busy and not report.released
    assert respond(node, message, 0x44, now_ms=9000) == "ack"
    assert done == [(True, "", 0)]


def test_an_ack_and_no_more_fails_in_time():
    node, report, on_done, done = reporting(limit_ms=12000)
    report.send(b"pack", on_done)
    acknowledge(node, sent(node))
    assert due(node, 11999) == [] and not done
    assert due(node, 12000) == [] and done == [(False, "timeout", 0)] and not report.busy


@cases(0x40, 0x41, 0x45, 0x43, 0x84, 0x8D, 0xA3)
def test_only_a_204(code):
    node, report, on_done, done = reporting()
    report.send(b"pack", on_done)
    piggyback(node, sent(node), code)
    assert done == [(False, "{}.{:02}".format(code >> 5, code & 31), 0)]


def test_a_receiver_that_responds_without_end_is_heard_once():
    node, report, on_done, done = reporting()
    report.send(b"pack", on_done)
    piggyback(node, sent(node), 0x44, b"\x02" + bytes(15), [block(BLOCK2, 0, 1, 0)])
    assert done == [(True, "", 0)] and node.client.has_free()
    assert due(node, 100) == []


def test_rst_and_silence():
    node, report, on_done, done = reporting(limit_ms=10000)
    report.send(b"pack", on_done)
    reset(node, sent(node))
    report.send(b"pack", on_done)
    assert len(due(node, 0)) == 1 and len(due(node, 3000)) == 1 and len(due(node, 9000)) == 1
    assert due(node, 10000) == []
    assert done == [(False, "reset", 0), (False, "timeout", 0)]


@cases(
    (b"", 0),
    (b"\0", 0),
    (b"\1", 1),
    (b"\x17", 23),
    (b"\x18\x18", 24),
    (b"\x19\1\0", 256),
    (b"\x20", 0),
    (b"\x18", 0),
    (b"\x01\x01", 0),
    (b"text", 0),
    (b"\xf6", 0),
)
def test_what_is_queued(payload, count):
    assert unsigned(payload) == count
    node, report, on_done, done = reporting()
    report.send(b"pack", on_done)
    piggyback(node, sent(node), 0x44, payload)
    assert done == [(True, "", count)] and report.busy == (count > 0)


def queued(count, **settings):
    node, report, on_done, _ = reporting(**settings)
    report.send(b"pack", on_done)
    piggyback(node, sent(node), 0x44, bytes((count,)))
    return node, report


def test_the_node_stays_awake_for_what_is_queued():
    node, report = queued(3)
    for left, (method, path) in ((2, (GET, "v")), (1, (PUT, "v")), (0, (GET, "v"))):
        assert report.busy
        assert ask(node, request(method, path), "server", 1000).code in (0x44, 0x45)
        assert report.queued == left
    assert not report.busy
    assert ask(node, request(GET, "v"), "server", 1000).code == 0x45


def test_repeats_and_others_do_not_count():
    node, report = queued(2)
    for method in (GET, PUT):
        data = request(method, "v")
        for _ in range(3):
            assert ask(node, data, "server", 1000)
        ask(node, request(GET, "v"), "other", 1000)
    assert report.queued == 0
    assert not report.busy


def test_the_wait_for_what_is_queued_ends():
    node, report = queued(2, linger_ms=4000)
    assert due(node, 3999) == [] and node.wait_ms(3999) == 1 and report.busy
    assert ask(node, request(GET, "v"), "server", 3999) and report.queued == 1
    assert due(node, 7998) == [] and report.busy
    assert due(node, 7999) == [] and not report.busy


def test_another_report_begins_anew():
    node, report = queued(1)
    report.send(b"more")
    assert not report.released
    piggyback(node, sent(node), 0x44, b"\2")
    assert report.released and report.queued == 2
    ask(node, request(GET, "v"), "server")
    ask(node, request(GET, "v"), "server")
    assert not report.busy
    plain = seeded(Client(1), Report("server", "x"))
    assert node.option_mask == plain.option_mask
    assert node.view.index[SLOW_PATH] == plain.view.index[SLOW_PATH]


def test_one_report_at_a_time():
    node, report, on_done, done = reporting()
    report.send(b"pack", on_done)
    assert "under way" in str(raises(ValueError, report.send, b"pack"))
    piggyback(node, sent(node), 0x44)
    node.client.get("other", "v")
    assert raises(CoapError, report.send, b"pack").code == 0xA3
    assert not report.busy
