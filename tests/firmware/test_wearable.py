"""The wearable: its resources as a client sees them, sensors that fail, and no allocation."""

import json

import board
from machine import bus, clock

from apps import common, door, wearable
from asking import Asker, Timers
from coap import Node
from coap.numbers import CBOR, GET, JSON, SENML_CBOR, SENML_JSON, TEXT
from config import Settings
from support import allocated, cases, locked

CHIPS = ("light", "temperature", "motion")
PATHS = {
    "light": ("s/hr", "s/spo2"),
    "temperature": ("s/temp",),
    "motion": ("s/steps", "s/accel"),
}


def worn(seconds=12):
    """(client, body): a wearable that has been worn for a while, in virtual time."""
    board.power_on()
    clock.hold(0)
    node = Node()
    body = board.Body()
    wearable.setup(node, board, Settings())
    ask = Asker(node)
    ask.run(seconds * 1000)
    return ask, body


def test_values_as_text_json_and_cbor():
    ask, body = worn()
    body.temperature.set_mc(36_617)
    body.motion.set_mg(12, -4, 1001)
    ask.get("s/steps")
    body.motion.walk(8123)
    for path, text, cbor in (
        ("s/hr", b"72", b"\x18\x48"),
        ("s/spo2", b"97", b"\x18\x61"),
        ("s/temp", b"36.62", b"\xc4\x82\x21\x19\x0e\x4e"),
        ("s/steps", b"8123", b"\x19\x1f\xbb"),
        ("s/batt", b"83", b"\x18\x53"),
    ):
        for accept, wanted in ((None, text), (TEXT, text), (JSON, text), (CBOR, cbor)):
            answer = ask.get(path, accept)
            assert (answer.code, answer.payload) == ("2.05", wanted)
            assert (answer.content_format or 0) == (accept or 0)


BASE = b"urn:dev:mac:a0b1c2fffed3e4f5:"


def test_values_in_senml():
    ask, body = worn()
    body.temperature.set_mc(36_617)
    ask.get("s/steps")
    body.motion.walk(8123)
    for path, json_text, cbor in (
        ("s/hr", b'"n":"hr","u":"beat/min","v":72', b"\x62hr\x01\x68beat/min\x02\x18\x48"),
        ("s/spo2", b'"n":"spo2","u":"/","v":0.97', b"\x64spo2\x01\x61/\x02\xc4\x82\x21\x18\x61"),
        (
            "s/temp",
            b'"n":"temp","u":"Cel","v":36.62',
            b"\x64temp\x01\x63Cel\x02\xc4\x82\x21\x19\x0e\x4e",
        ),
        (
            "s/steps",
            b'"n":"steps","u":"count","v":8123',
            b"\x65steps\x01\x65count\x02\x19\x1f\xbb",
        ),
    ):
        answer = ask.get(path, SENML_JSON)
        assert (answer.code, answer.content_format) == ("2.05", SENML_JSON)
        assert answer.payload == b'[{"bn":"' + BASE + b'",' + json_text + b"}]"
        answer = ask.get(path, SENML_CBOR)
        assert (answer.code, answer.content_format) == ("2.05", SENML_CBOR)
        assert answer.payload == b"\x81\xa4\x21\x78\x1d" + BASE + b"\x00" + cbor


@cases((1000, 9.807), (-1000, -9.807), (0, 0.0), (1, 0.010), (-1, -0.010), (3997, 39.197))
def test_acceleration_in_senml(mg, m_s2):
    ask, body = worn(1)
    body.motion.set_mg(mg, 0, -mg)
    assert json.loads(ask.get("s/accel", SENML_JSON).payload) == [
        {"bn": BASE.decode(), "n": "accel_x", "u": "m/s2", "v": m_s2},
        {"n": "accel_y", "u": "m/s2", "v": 0.0},
        {"n": "accel_z", "u": "m/s2", "v": -m_s2},
    ]
    answer = ask.get("s/accel", SENML_CBOR)
    assert answer.payload[:2] == b"\x83\xa4" and answer.payload.count(b"\x02\xc4\x82\x22") == 3


def test_acceleration():
    ask, body = worn(1)
    body.motion.set_mg(122, -1000, 0)
    assert ask.get("s/accel").payload == b"0.122 -1.000 0.000"
    assert json.loads(ask.get("s/accel", JSON).payload) == [0.122, -1.0, 0.0]
    cbor = b"\x83\xc4\x82\x22\x19\x00\x7a\xc4\x82\x22\x39\x03\xe7\xc4\x82\x22\x19\x00\x00"
    assert ask.get("s/accel", CBOR).payload == cbor


@cases(40, 55, 88, 120, 180)
def test_heart_rate_and_saturation_through_the_whole_node(bpm):
    ask, body = worn(1)
    body.light.pulse_per_min = bpm
    body.light.spo2_pct = 93
    ask.run(20_000)
    assert abs(int(ask.get("s/hr").payload) - bpm) <= 3
    assert abs(int(ask.get("s/spo2").payload) - 93) <= 2


def test_no_finger():
    ask, body = worn()
    assert ask.get("s/hr").code == "2.05"
    body.light.finger = False
    ask.run(500)
    for path in ("s/hr", "s/spo2"):
        answer = ask.get(path)
        assert (answer.code, answer.max_age_s) == ("5.03", common.RETRY_S)
        assert answer.payload == b"no value yet"


def test_a_fresh_node_has_no_pulse_yet():
    ask, _ = worn(1)
    assert ask.get("s/hr").code == "5.03"
    ask.run(10_000)
    assert ask.get("s/hr").payload == b"72"


def test_sampling_that_was_held_up_starts_anew():
    ask, _ = worn()
    clock.advance(3000)
    ask.now_ms += 3000
    ask.run(500)
    assert ask.get("s/hr").code == "5.03"
    ask.run(10_000)
    assert ask.get("s/hr").payload == b"72"


@cases(*CHIPS)
def test_a_sensor_that_is_missing(name):
    ask, body = worn(1)
    for other in CHIPS:
        if other != name:
            del bus(board.SDA_PIN).chips[getattr(body, other).address]
    ask.run(12_000)
    for other in CHIPS:
        for path in PATHS[other]:
            answer = ask.get(path)
            assert answer.code == ("2.05" if other == name else "5.03")
            assert ask.get(path, SENML_CBOR).code == answer.code
            if other != name:
                assert answer.max_age_s == common.RETRY_S
                assert answer.payload == b"sensor does not answer"
    assert ask.get("s/batt").code == "2.05"


@cases(5, 19)
def test_a_sensor_that_fails_for_a_while(errno):
    ask, body = worn()
    chips = [getattr(body, name) for name in CHIPS]
    for chip in chips:
        chip.fault = errno
    ask.run(2_000)
    for name in CHIPS:
        for path in PATHS[name]:
            assert ask.get(path).code == "5.03"
    for chip in chips:
        chip.fault = 0
    ask.run(20_000)
    for name in CHIPS:
        for path in PATHS[name]:
            assert ask.get(path).code == "2.05"
    assert ask.node.last_error == ""


def test_a_bus_that_hangs():
    ask, _ = worn()
    bus(board.SDA_PIN).stuck = True
    ask.run(2_000)
    assert ask.get("s/temp").code == "5.03" and ask.get("s/hr").code == "5.03"
    bus(board.SDA_PIN).stuck = False
    ask.run(20_000)
    assert ask.get("s/temp").code == "2.05" and ask.get("s/hr").payload == b"72"


def test_changes_are_told_and_small_ones_not():
    ask, body = worn()
    told = []
    ask.node.changed = lambda resource: told.append(resource.path)
    ask.run(3_000)
    assert told == []
    body.temperature.set_mc(body.temperature.milli_celsius + 50)
    ask.run(2_000)
    assert told == []
    body.temperature.set_mc(37_100)
    body.motion.walk(3)
    body.motion.set_mg(900, 0, 1300)
    ask.run(2_000)
    assert sorted(told) == ["s/accel", "s/steps", "s/temp"]


def test_door_and_wearable_on_one_node():
    board.power_on()
    board.Body()
    settings = Settings()
    for first, second in ((door, wearable), (wearable, door)):
        node = Node()
        first.setup(node, board, settings)
        second.setup(node, board, settings)
        paths = [resource.path for resource in node.resources]
        for path in ("s/contact", "s/tamper", "s/batt", "s/hr", "s/accel", "dev", "config"):
            assert paths.count(path) == 1


@cases("s/hr", "s/spo2", "s/temp", "s/steps", "s/accel", "s/batt")
def test_an_answer_allocates_nothing(path):
    ask, _ = worn()
    accepts = (TEXT, JSON, CBOR, SENML_JSON, SENML_CBOR)
    requests = [ask.request(GET, path, accept=accept) for accept in accepts]

    def serve():
        ask.again(requests[0])
        ask.again(requests[1])
        ask.again(requests[2])
        ask.again(requests[3])
        return ask.again(requests[4])

    assert allocated(serve, 20) == 0
    assert locked(serve) > 6


def test_sampling_allocates_nothing():
    worn()
    node = Node()
    timers = Timers(node)
    oximeter = wearable.setup(node, board, Settings())

    def pass_time():
        clock.advance(200)
        timers.run(clock.ms())

    assert allocated(pass_time, 100) == 0
    assert oximeter.heart_rate() == 72
