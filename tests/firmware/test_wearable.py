"""The wearable's resources as a client sees them, failing sensors, and no allocation."""

import json

import board
from machine import bus, clock

import senml
from apps import alerts, device, door, wearable
from coap import Node
from coap.numbers import CBOR, GET, JSON, SENML_CBOR, SENML_JSON, TEXT
from config import Settings
from sensors import max30205
from support import allocated, cases, locked
from support.engine import ask as ask_once
from support.engine import request
from support.request_helpers import Asker, Timers

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
    body.temperature.turn_on_ms = 125  # eight conversions
    body.motion.turn_on_ms = 76  # two samples at 26 Hz
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


def test_without_a_finger_heart_rate_is_5_03():
    ask, body = worn()
    assert ask.get("s/hr").code == "2.05"
    body.light.finger = False
    ask.run(500)
    for path in ("s/hr", "s/spo2"):
        answer = ask.get(path)
        assert (answer.code, answer.max_age_s) == ("5.03", device.RETRY_S)
        assert answer.payload == b"no value yet"


def test_heart_rate_is_unavailable_at_the_start():
    ask, _ = worn(1)
    assert ask.get("s/hr").code == "5.03"
    ask.run(10_000)
    assert ask.get("s/hr").payload == b"72"


def test_delayed_sampling_restarts_the_heart_rate():
    ask, _ = worn()
    clock.advance(3000)
    ask.now_ms += 3000
    ask.run(500)
    assert ask.get("s/hr").code == "5.03"
    ask.run(10_000)
    assert ask.get("s/hr").payload == b"72"


@cases(*CHIPS)
def test_missing_sensor(name):
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
                assert answer.max_age_s == device.RETRY_S
                assert answer.payload == b"sensor does not respond"
    assert ask.get("s/batt").code == "2.05"


@cases(5, 19)
def test_temporarily_failing_sensor_recovers(errno):
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


def test_hanging_i2c_bus():
    ask, _ = worn()
    bus(board.SDA_PIN).stuck = True
    ask.run(2_000)
    assert ask.get("s/temp").code == "5.03" and ask.get("s/hr").code == "5.03"
    bus(board.SDA_PIN).stuck = False
    ask.run(20_000)
    assert ask.get("s/temp").code == "2.05" and ask.get("s/hr").payload == b"72"


def test_only_significant_changes_notify():
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


@cases(0x18, 0x19)
def test_alternative_thermometer_and_accelerometer(address):
    from chips.lis3dh import Lis3dh
    from chips.max30205 import Max30205

    max30205.ticks_ms = clock.ms
    board.power_on()
    clock.hold(0)
    node = Node()
    wearable.setup(node, board, Settings())  # nothing is there yet
    ask = Asker(node)
    ask.run(1_000)
    assert ask.get("s/temp").code == "5.03"
    bus(board.SDA_PIN).attach(Max30205()).set_mc(37_000)
    bus(board.SDA_PIN).attach(Lis3dh(address)).set_mg(0, -1000, 0)
    ask.run(2_000)
    assert ask.get("s/temp").payload == b"37.00"
    assert ask.get("s/accel").payload == b"0.000 -1.000 0.000"
    assert ask.get("s/steps").code == "5.03"  # it counts none


def test_diag_lists_failing_sensors():
    ask, body = worn()

    def told():
        lines = ask.get("diag").payload.decode().split("\n")
        facts = dict([line.split(": ", 1) for line in lines if line])
        return facts["sensor_faults"], facts["sensors_silent"]

    assert told() == ("0", "")
    for faults in ("1", "2"):
        body.temperature.fault = 5
        ask.run(5_000)
        assert told() == (faults, "s/temp")
        body.temperature.fault = 0
        ask.run(2_000)
        assert told() == (faults, "")
    body.motion.fault = 5
    ask.run(2_000)
    assert told() == ("4", "s/accel s/steps") or told() == ("4", "s/steps s/accel")


def test_sensors_that_lose_their_registers_go_on():
    """Each value shown is one that was measured, or there is none for a while."""
    ask, body = worn()
    body.motion.walk(500)
    assert ask.get("s/steps").payload == b"500"
    for _ in range(4):
        for name in CHIPS:
            getattr(body, name).lose_registers()
        for _ in range(100):
            ask.run(30)
            for path, values in (
                ("s/hr", (b"72",)),
                ("s/spo2", (b"97",)),
                ("s/temp", (b"36.60",)),
                ("s/accel", (b"0.000 0.000 1.000",)),
            ):
                answer = ask.get(path)
                assert answer.payload in values or answer.code == "5.03"
            assert ask.get("s/steps").payload == b"500"
        for path in ("s/temp", "s/accel"):
            assert ask.get(path).code == "2.05"
        ask.run(12_000)
        assert ask.get("s/hr").payload == b"72"
    told = ask.get("diag").payload
    assert b"sensor_faults: 0\n" in told and b"sensors_silent: \n" in told


def by_hand():
    """(node, wearable, body): nothing runs but what the test does; it begins at 0 ms."""
    board.power_on()
    clock.hold(0)
    node = Node()
    body = board.Body()
    wearable_ = wearable.setup(node, board, Settings())
    wearable_.stop_timer()
    node.due(0)
    return node, wearable_, body


def test_processor_is_idle_between_fifo_batches():
    node, worn_, body = by_hand()
    assert worn_.wait_ms(0) == 0
    woken = 0
    while clock.ms() < 60_000:
        assert worn_.wait_ms(clock.ms()) == 0
        worn_.work(clock.ms())
        woken += 1
        wait_ms = worn_.wait_ms(clock.ms())
        assert wait_ms == wearable.PERIOD_MS
        clock.advance(wait_ms)
    assert woken == 125 and worn_.oximeter.light.lost == 0  # a little more than two a second
    assert worn_.oximeter.heart_rate() == 72
    assert worn_.wait_ms(clock.ms() + 100) == 0  # late is due, not far ahead
    assert allocated(lambda: worn_.radio_wait_ms(clock.ms()) + worn_.wait_ms(0), 10) == 0


@cases(0x3FFFFFFF, 0x3FFFFF00)
def test_next_work_time_survives_clock_wrap(now_ms):
    _, worn_, _ = by_hand()
    worn_.work(now_ms)
    assert worn_.wait_ms(now_ms) == wearable.PERIOD_MS
    assert worn_.wait_ms((now_ms + wearable.PERIOD_MS) & 0x3FFFFFFF) == 0


def test_observe_conditions_decide_when_the_radio_wakes():
    node, worn_, body = by_hand()
    worn_.work(0)
    worn_.work(0)
    for mid, path, query in (
        (1, "s/temp", b"c.gt=37.5"),
        (2, "s/hr", b"c.lt=50"),
        (3, "s/batch", b"c.pmin=1"),
    ):
        options = ((6, b""), (15, query))
        registration = request(GET, path, mid=mid, token=bytes((mid,)), options=options)
        assert 0x45 <= ask_once(node, registration, "peer", 0).code <= 0xA3
    sent = []

    def live(seconds):
        until_ms = clock.ms() + seconds * 1000
        while clock.ms() < until_ms:
            now_ms = clock.ms()
            if worn_.wait_ms(now_ms) == 0:
                worn_.work(now_ms)
            while worn_.radio_wait_ms(now_ms) == 0:
                n = node.due(now_ms)
                if not n:
                    break
                sent.append(bytes(node.tx_view(n)))
                acknowledge(node, sent[-1], now_ms)
            clock.advance(max(1, min(worn_.wait_ms(now_ms), worn_.radio_wait_ms(now_ms))))

    worn_.batch.period_s = 10
    live(40)
    assert sent == []
    body.temperature.set_mc(37_200)
    live(10)
    assert sent == []
    body.temperature.set_mc(37_800)
    live(5)
    assert len(sent) == 1 and b"37.80" in sent[0]
    live(100)
    assert len(sent) == 2 and sent[1].count(b"temp") == 10  # a batch, as one pack


def acknowledge(node, message, now_ms):
    if message[0] & 0x30 == 0:
        ack = b"\x60\x00" + message[2:4]
        node.datagram(ack, 4, "peer", now_ms)


def rows(pack):
    """[(when in s, name, value)] of a pack in JSON."""
    base_s = pack[0].get("bt", 0)
    return [(base_s + record.get("t", 0), record["n"], record["v"]) for record in pack]


def with_rows(seconds):
    """(client, body): a wearable that keeps a row every 10 s, from the start on."""
    ask, body = worn(0)
    ask.node.resource_at("s/batch").period_s = 10
    ask.run(seconds * 1000)
    return ask, body


def test_batch_is_one_pack_with_relative_times():
    ask, body = with_rows(15)
    body.temperature.set_mc(37_500)
    ask.run(14_000)
    answer = ask.get("s/batch", SENML_JSON)
    assert (answer.code, answer.content_format) == ("2.05", SENML_JSON)
    pack = json.loads(answer.payload)
    assert pack[0]["bn"] == BASE.decode() and "bn" not in pack[1]
    told = rows(pack)
    names = [name for _, name, _ in told]
    assert names == ["steps", "temp"] + ["hr", "spo2", "steps", "temp"] * 2  # no pulse at first
    times = sorted({when for when, _, _ in told})
    assert len(times) == 3 and -29 <= times[0] <= -27 and times[1] - times[0] in (10, 11)
    assert [value for _, name, value in told if name == "hr"] == [72, 72]
    assert [value for _, name, value in told if name == "temp"] == [36.6, 36.6, 37.5]
    assert ask.get("s/batch").payload[0] == 0x80 | len(pack)


def test_acknowledged_rows_are_not_repeated():
    ask, body = with_rows(25)
    batch = ask.node.resource_at("s/batch")
    number = batch.number
    ask.run(10_000)
    batch.release(number)
    names = [name for _, name, _ in rows(json.loads(ask.get("s/batch", SENML_JSON).payload))]
    assert names == ["hr", "spo2", "steps", "temp"]
    batch.release(number)  # twice is no harm
    assert len(json.loads(ask.get("s/batch", SENML_JSON).payload)) == 4
    batch.release(batch.number)
    answer = ask.get("s/batch", SENML_JSON)
    left_s = batch._next_s - batch._uptime.s
    assert (answer.code, answer.max_age_s) == ("5.03", left_s) and 0 < left_s <= 10


def test_empty_batch_has_a_max_age_until_the_first_row():
    board.power_on()
    clock.hold(0)
    node = Node()
    wearable.setup(node, board, Settings())  # nothing is there yet
    ask = Asker(node)
    ask.run(2_000)
    answer = ask.get("s/batch")
    assert answer.code == "5.03" and 0 < answer.max_age_s <= device.RETRY_S
    board.Body()
    ask.run(answer.max_age_s * 1000 + 1000)
    told = rows(json.loads(ask.get("s/batch", SENML_JSON).payload))
    assert {name for _, name, _ in told} == {"steps", "temp"}
    assert node.resource_at("s/batch").dropped == 0


def test_rows_survive_failing_sensors():
    ask, _ = worn()
    batch_ = ask.node.resource_at("s/batch")
    fill(batch_, 12)
    kept = [record[1:] for record in rows(whole(batch_))]
    for reading in batch_._readings:
        reading._take = lambda: None
    batch_.tick(20_000 + 13 * 60_000)
    assert [record[1:] for record in rows(whole(batch_))] == kept


def fill(batch_, count):
    """Keep rows for so many minutes."""
    for minute in range(1, count + 1):
        batch_.tick(20_000 + minute * 60_000)


@cases(0, (10 << 24) - 3)
def test_oldest_row_is_evicted_and_numbers_wrap(number):
    ask, _ = worn()
    batch_ = ask.node.resource_at("s/batch")
    batch_.number = number
    batch_.rows = 0
    fill(batch_, 4)
    assert [when for when, _, _ in rows(whole(batch_))] == [-180] * 4 + [-120] * 4 + [-60] * 4 + [
        0
    ] * 4
    fill(batch_, 16)
    told = rows(whole(batch_))
    assert len(told) == 40 and told[0][0] == -540 and told[-1][0] == 0


def whole(batch_):
    """The pack as it would be reported, without blocks."""
    sink = senml.Buffer(bytearray(4000))
    batch_.write(sink, SENML_JSON, batch_._uptime.s)
    assert sink.n > 0
    return json.loads(bytes(sink.buf[: sink.n]))


def test_a_full_batch_fits_one_datagram_in_cbor():
    ask, body = worn()
    body.temperature.set_mc(-4_321)
    body.motion.steps = 60_000
    batch_ = ask.node.resource_at("s/batch")
    fill(batch_, 12)
    sink = senml.Buffer(bytearray(1024))
    batch_.write(sink, SENML_CBOR, batch_._uptime.s)
    assert batch_.rows == 10 and sink.n > 600


def bounded(alert):
    """(client, body, batch): what is told of a wearable with such bounds, all of it told."""
    board.power_on()
    clock.hold(0)
    node = Node()
    body = board.Body()
    settings = Settings()
    settings.update({"alert": alert})
    wearable.setup(node, board, settings)
    ask = Asker(node)
    ask.run(12_000)
    batch_ = node.resource_at("s/batch")
    assert batch_.urgent < 0
    batch_.release(batch_.number)
    return ask, body, batch_


def test_crossed_alert_bound_is_reported_at_once_and_once():
    ask, body, batch_ = bounded("temp>38.5 hr<40")
    told = []
    ask.node.changed = lambda resource: told.append(resource.path)
    body.temperature.set_mc(38_500)
    ask.run(3_000)
    assert batch_.urgent < 0 and "s/batch" not in told
    body.temperature.set_mc(38_520)
    ask.run(2_000)
    assert batch_.urgent == batch_.number and told.count("s/batch") == 1
    assert ("temp", 38.52) in [(name, value) for _, name, value in rows(whole(batch_))]
    batch_.release(batch_.number)
    assert batch_.urgent < 0
    for mc in (38_400, 38_600, 38_400, 38_600):  # on the brink
        body.temperature.set_mc(mc)
        ask.run(10_000)
        assert batch_.urgent < 0
    body.temperature.set_mc(37_000)
    ask.run(62_000)
    body.temperature.set_mc(39_000)
    ask.run(2_000)
    assert batch_.urgent == batch_.number


def test_alert_is_raised_by_a_sensor_that_had_lost_its_registers():
    ask, body, batch_ = bounded("hr>140 temp>38.5")
    body.light.lose_registers()
    body.temperature.lose_registers()
    ask.run(20_000)
    assert batch_.urgent < 0
    body.light.pulse_per_min = 150
    ask.run(20_000)
    assert batch_.urgent == batch_.number


def test_lower_alert_bound_and_partial_acknowledgement():
    ask, body, batch_ = bounded("hr<60 steps>4")
    body.light.pulse_per_min = 45
    ask.run(15_000)
    number = batch_.urgent
    assert number >= 0
    fill(batch_, 2)
    batch_.release(number - 1)
    assert batch_.urgent == number
    batch_.release(number)
    assert batch_.urgent < 0
    body.motion.walk(5)
    ask.run(2_000)
    assert batch_.urgent >= 0


@cases(("hr>150", ("hr", True, 1500, 1)), ("temp<-5.25", ("temp", False, -525, 2)))
def test_alert_expression_is_parsed(text, wanted):
    assert alerts.parse(text) == [wanted] and alerts.parse("") == []


def test_checking_alerts_allocates_nothing():
    ask, body, batch_ = bounded("temp>38.5 hr<40 hr>150")
    worn_ = [alerts.Alert(ask.node.resource_at("s/temp"), True, 3850)]

    def look():
        for bound in worn_:
            bound.check()

    assert allocated(look, 20) == 0


def test_a_batch_allocates_nothing():
    ask, _ = worn()
    batch_ = ask.node.resource_at("s/batch")
    sink = senml.Buffer(bytearray(1000))

    def report():
        sink.n = 0
        batch_._next_s = 0
        batch_.tick(ask.now_ms)
        batch_.write(sink, SENML_CBOR, batch_._uptime.s)
        return sink.n

    assert allocated(report, 20) == 0
    assert report() > 0


def test_sensors_sleep_and_wake():
    node, worn_, body = by_hand()
    worn_.work(0)
    worn_.sleep()
    assert body.light.registers[0x09] & 0x80 and body.motion.registers[0x10] == 0
    assert body.temperature.words[1] & 0x0C00 == 0x0400
    clock.advance(1000)
    worn_.work(clock.ms())
    worn_.work(clock.ms())
    assert body.light.registers[0x09] == 3 and body.motion.registers[0x10]
    bus(board.SDA_PIN).stuck = True
    worn_.sleep()  # not even a stuck bus stops it


def test_motion_is_detected_and_ends():
    node, worn_, body = by_hand()

    def live(periods, shake=0):
        for i in range(periods):
            body.motion.set_mg(0, shake * (i & 2), 1000)
            clock.advance(wearable.PERIOD_MS)
            worn_.work(clock.ms())

    live(4)
    assert not worn_.oximeter.pulse.moving
    live(8, 200)
    assert worn_.oximeter.pulse.moving
    live(20)
    assert not worn_.oximeter.pulse.moving


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
def test_response_allocates_nothing(path):
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
    oximeter = wearable.setup(node, board, Settings()).oximeter

    def pass_time():
        clock.advance(wearable.PERIOD_MS)
        timers.run(clock.ms())

    assert allocated(pass_time, 100) == 0
    assert oximeter.heart_rate() == 72
