"""The contact's events: /s/contact/events, and the SenML pack of a report."""

import json

import board
from machine import clock, wire

from apps import device, door, door_events
from coap import Node
from coap.numbers import GET, SENML_CBOR, SENML_JSON
from config import Settings
from power.event_log import CLOCK_MASK, LID, PIN, TIMER, EventLog
from sensors import reed
from support import cases
from support.request_helpers import Asker

BASE = "urn:dev:mac:a0b1c2fffed3e4f5:"


class Clock:
    s = 1000


def asked(edges=3, slots=8, **settings):
    """(client, journal, clock): a node that only has the resource."""
    node = Node(**settings)
    log, now = EventLog(slots), Clock()
    for i in range(edges):
        log.record(1 - i % 2, PIN if i else TIMER, 900 + 10 * i)
    node.add("s/contact/events", door_events.Events(log, lambda: now.s))
    return Asker(node), log, now


def records(answer):
    assert (answer.code, answer.content_format) == ("2.05", SENML_JSON)
    return json.loads(answer.payload)


def numbers(found):
    return [one["n"] for one in found[3:]]


def test_every_event_has_number_reason_and_age():
    ask, _, _ = asked()
    found = records(ask.get("s/contact/events"))
    assert found[:2] == [
        {"bn": BASE, "n": "contact_n", "u": "count", "v": 3},
        {"n": "lost", "u": "count", "v": 0},
    ]
    assert len(found[2]["vs"]) == 8 and found[2]["n"] == "epoch"
    assert found[3:] == [
        {"n": "contact/1", "vb": True, "t": -100},
        {"n": "contact/1/wake", "vs": "timer", "t": -100},
        {"n": "contact/2", "vb": False, "t": -90},
        {"n": "contact/2/wake", "vs": "pin", "t": -90},
        {"n": "contact/3", "vb": True, "t": -80},
        {"n": "contact/3/wake", "vs": "pin", "t": -80},
    ]


def test_cbor_has_as_many_records_as_json():
    ask, _, _ = asked()
    answer = ask.get("s/contact/events", SENML_CBOR)
    assert answer.content_format == SENML_CBOR and answer.payload[0] == 0x89


@cases(("0", [1, 2, 3]), ("1", [2, 3]), ("2", [3]), ("3", []), ("4", []), ("536870911", []))
def test_since_filters_older_events(since, wanted):
    ask, _, _ = asked()
    found = records(ask.get("s/contact/events?since=" + since))
    assert [int(name[8:]) for name in numbers(found)[::2]] == wanted


@cases("", "x", "-1", "1.5", "1073741824", "99999999999", "1&since")
def test_since_without_a_number_is_refused(since):
    ask, _, _ = asked()
    answer = ask.get("s/contact/events?since=" + since)
    if since == "1&since":
        assert answer.code == "2.05"
    else:
        assert answer.code == "4.00" and b"since" in answer.payload


def test_since_works_across_number_wrap():
    ask, log, _ = asked(0)
    log.number = log.acknowledged = CLOCK_MASK - 1
    for i in range(3):
        log.record(i & 1, PIN, 999)
    found = records(ask.get("s/contact/events?since={}".format(CLOCK_MASK)))
    assert numbers(found)[::2] == ["contact/0", "contact/1"]


def test_lost_events_are_reported_and_unknown_is_never_zero():
    ask, log, _ = asked(11)
    assert records(ask.get("s/contact/events"))[1]["v"] == 3
    log.mark_gap()
    assert records(ask.get("s/contact/events"))[1] == {"n": "lost", "vs": "unknown"}


def test_event_log_blocks_come_from_one_snapshot():
    ask, log, now = asked(8)
    whole = ask.get("s/contact/events").payload
    assert len(whole) > 256
    got = b""
    num = 0
    while True:
        request = ask.request(GET, "s/contact/events")
        request += bytes((0xC1, num << 4 | 3))  # Block2 (23 = 11 + 12): blocks of 128 bytes
        n = ask.node.datagram(request, len(request), "peer", 0)
        message = bytes(ask.node.tx_view(n))
        assert message[1] == 0x45
        at = message.find(b"\xff[") if not num else message.find(b"\xff")
        got += message[at + 1 :]
        if len(got) >= len(whole):
            break
        num += 1
        now.s += 1  # time passes between the blocks
        if num == 1:
            log.record(1, PIN, now.s)  # and another edge comes
    assert len(got) == len(whole) and num >= 2
    assert got[:80] == whole[:80]


def test_powered_node_has_an_event_log():
    board.power_on()
    clock.hold(0)
    reed.ticks_ms = clock.ms
    node = Node()
    door.setup(node, board, Settings())
    ask = Asker(node)
    for is_open in (True, False):
        board.set_door(is_open)
        ask.run(200)
    found = records(ask.get("s/contact/events"))
    assert found[0]["v"] == 2 and [one.get("vb") for one in found[3::2]] == [True, False]
    assert {one.get("vs") for one in found[4::2]} == {"awake"}
    clock.release()


EPOCH = b"\xa2\x00\x65epoch\x03\x68a1b2c3d4"


def told(log, charge_pct=83, now_s=1000):
    log.epoch = b"\xa1\xb2\xc3\xd4"
    return door_events.report(log, log.pending_batch(), now_s, charge_pct, 3600)


def test_a_report_of_one_event():
    log = EventLog(8)
    log.record(1, PIN, 998)
    assert told(log) == (
        b"\x84\xa4\x21\x78\x1d" + BASE.encode() + b"\x00\x67contact\x06\x21\x04\xf5"
        b"\xa3\x00\x69contact_n\x01\x65count\x02\x01"
        + EPOCH
        + b"\xa3\x00\x64batt\x01\x63%EL\x02\x18\x53"
    )


def test_report_of_several_events_is_ordered_with_one_number():
    log = EventLog(8)
    for i in range(3):
        log.record(1 - i % 2, PIN, 1000)
    pack = told(log)
    assert pack[0] == 0x86 and pack.count(b"\x67contact") == 3
    assert pack.find(b"\x04\xf5") < pack.find(b"\x04\xf4") < pack.rfind(b"\x04\xf5")
    assert b"contact_n\x01\x65count\x02\x03" in pack


def test_heartbeat_has_state_and_next_report_time():
    log = EventLog(8)
    log.level = 1
    pack = told(log, None)
    assert pack == (
        b"\x82\xa3\x21\x78\x1d" + BASE.encode() + b"\x00\x67contact\x04\xf5"
        b"\xa3\x00\x64beat\x01\x61s\x02\x19\x0e\x10"
    )


def test_report_counts_lost_events():
    log = EventLog(2)
    for i in range(5):
        log.record(i & 1, PIN, 1000)
    assert b"\xa3\x00\x64lost\x01\x65count\x02\x03" in told(log)
    log.mark_gap(1)
    assert b"\xa2\x00\x64lost\x03\x67unknown" in told(log)


def test_report_tells_of_brown_outs():
    log = EventLog(8)
    assert b"brown_outs" not in told(log)
    pack = door_events.report(log, log.pending_batch(), 1000, 83, 3600, 2)
    assert pack[0] == told(log)[0] + 1 and b"\x6abrown_outs\x01\x65count\x02\x02" in pack


def test_report_contains_only_the_batch():
    log = EventLog(16)
    for i in range(12):
        log.record(i & 1, PIN, 1000)
    pack = told(log)
    assert pack[0] == 0x80 | 8 + 3 and b"contact_n\x01\x65count\x02\x08" in pack
    log.acknowledge(log.pending_batch())
    assert told(log)[0] == 0x80 | 4 + 3


def test_the_pack_has_the_name_of_the_board():
    assert device.PACK.base_name == BASE


def test_lid_events_are_reported_in_order():
    log = EventLog(8)
    log.record(1, PIN, 1000)
    log.record(1, PIN | LID, 1000)
    pack = told(log)
    assert pack[0] == 0x85 and b"contact_n\x01\x65count\x02\x02" in pack
    assert pack.find(b"\x67contact") < pack.find(b"\x66tamper\x04\xf5")
    log.acknowledge(log.pending_batch())
    # a heartbeat says so as long as it is off
    assert b"\x66tamper\x04\xf5" in told(log)
    log.record(0, PIN | LID, 1000)
    log.acknowledge(log.pending_batch())
    assert b"tamper" not in told(log)


def test_lid_is_in_the_event_log():
    ask, log, _ = asked(1)
    log.record(1, PIN | LID, 990)
    assert records(ask.get("s/contact/events"))[5:] == [
        {"n": "tamper/2", "vb": True, "t": -10},
        {"n": "tamper/2/wake", "vs": "pin", "t": -10},
    ]


def test_powered_node_logs_lid_events():
    board.power_on()
    clock.hold(0)
    reed.ticks_ms = clock.ms
    node = Node()
    door.setup(node, board, Settings())
    ask = Asker(node)
    for is_off in (True, False):
        board.set_lid(is_off)
        ask.run(200)
    found = records(ask.get("s/contact/events"))
    assert numbers(found)[::2] == ["tamper/1", "tamper/2"]
    assert ask.get("s/tamper", SENML_JSON).payload.endswith(b'"v":2}]')
    clock.release()


class Looped:
    """A board whose housing has a loop in its wires."""

    TAMPER_ADC_PIN = 33


for _name in dir(board):
    if _name.isupper():
        setattr(Looped, _name, getattr(board, _name))


def test_tamper_loop_replaces_the_lid_switch():
    board.power_on()
    clock.hold(0)
    reed.ticks_ms = clock.ms
    wire(33).microvolts = 1_100_000
    node = Node()
    door.setup(node, Looped, Settings())
    ask = Asker(node)
    assert ask.get("s/tamper").payload == b"ok"
    wire(33).microvolts = 3_300_000  # cut
    ask.run(200)
    assert ask.get("s/tamper").payload == b"tampered"
    assert numbers(records(ask.get("s/contact/events")))[::2] == ["tamper/1"]
    clock.release()
