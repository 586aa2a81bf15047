"""The door's resources as a client sees them, /config, and no allocation."""

import json

import board
from machine import Pin, clock, wire

from apps import device, door
from coap import Node
from coap.numbers import CBOR, GET, JSON, LINK_FORMAT, OCTET_STREAM, SENML_CBOR, SENML_JSON, TEXT
from config import Settings
from sensors import reed
from support import allocated, cases, locked
from support.request_helpers import Asker, Timers


class Saved(Settings):
    """Settings that count how often they were saved, and can fail to."""

    saves = 0
    broken = False

    def save(self):
        if self.broken:
            raise OSError(28, "no space")
        self.saves += 1


def asker(settings=None, board=board):
    """A client of a door node on a fresh board, in virtual time."""
    board.power_on()
    clock.hold(0)
    reed.ticks_ms = clock.ms
    node = Node()
    door.setup(node, board, settings or Settings())
    ask = Asker(node)
    ask.run(20)
    return ask


def observe(node):
    """The list of the paths whose change the node is told from now on."""
    told = []
    node.changed = lambda resource: told.append(resource.path)
    return told


def test_contact_and_tamper_in_all_formats():
    ask = asker()
    for path, turn, closed, opened in (
        ("s/contact", board.set_door, b"closed", b"open"),
        ("s/tamper", board.set_lid, b"ok", b"tampered"),
    ):
        for state, text, json_text, cbor in (
            (False, closed, b"false", b"\xf4"),
            (True, opened, b"true", b"\xf5"),
        ):
            turn(state)
            clock.advance(30)
            for accept, wanted, content_format in (
                (None, text, TEXT),
                (TEXT, text, TEXT),
                (JSON, json_text, JSON),
                (CBOR, cbor, CBOR),
            ):
                answer = ask.get(path, accept)
                assert (answer.code, answer.payload) == ("2.05", wanted)
                assert (answer.content_format or 0) == content_format
            assert ask.get(path, OCTET_STREAM).code == "4.06"
            assert ask.put(path, b"1", TEXT).code == "4.05"


BASE = "urn:dev:mac:a0b1c2fffed3e4f5:"


def pack(ask, path):
    """The records of a resource, from JSON; in CBOR it has as many."""
    answer = ask.get(path, SENML_JSON)
    assert (answer.code, answer.content_format) == ("2.05", SENML_JSON)
    records = json.loads(answer.payload)
    answer = ask.get(path, SENML_CBOR)
    assert (answer.code, answer.content_format) == ("2.05", SENML_CBOR)
    assert answer.payload[0] == 0x80 | len(records)
    return records


def test_contacts_in_senml():
    ask = asker()
    for path, name, turn in (
        ("s/contact", "contact", board.set_door),
        ("s/tamper", "tamper", board.set_lid),
    ):
        for edges, state in enumerate((False, True, False)):
            turn(state)
            clock.advance(30)
            assert pack(ask, path) == [
                {"bn": BASE, "n": name, "vb": state},
                {"n": name + "_n", "u": "count", "v": edges},
            ]
    assert ask.get("s/contact", SENML_CBOR).payload == (
        b"\x82\xa3\x21\x78\x1durn:dev:mac:a0b1c2fffed3e4f5:\x00\x67contact\x04\xf4"
        b"\xa3\x00\x69contact_n\x01\x65count\x02\x02"
    )


@cases("s/contact", "s/tamper")
def test_cached_senml_is_current(path):
    ask = asker()
    resource = ask.node.resource_at(path)

    def told():
        state, count = json.loads(ask.get(path, SENML_JSON).payload)
        return [state["vb"], count["v"]]

    assert told() == [False, 0] == told()
    resource.reed.edges = 2  # opened and closed since
    assert told() == [False, 2] == told()
    resource.reed.open_level = 0  # it is open, and has not been counted yet
    assert told() == [True, 2] == told()
    resource.reed.edges = (1 << 30) - 1
    resource.reed.open_level = 1
    assert told() == [False, (1 << 30) - 1]


def test_battery_in_senml():
    ask = asker()
    board.set_battery(3910)
    assert pack(ask, "s/batt") == [
        {"bn": BASE, "n": "batt", "u": "%EL", "v": int(ask.get("s/batt").payload)},
        {"n": "vbat", "u": "V", "v": 3.910},
    ]
    board.set_battery(0)
    assert ask.get("s/batt", SENML_JSON).code == "5.03"


@cases(
    (b"\xa0\xb1\xc2\xd3\xe4\xf5", "a0b1c2fffed3e4f5"),
    (b"\xe6\x61\x38\x52\x83\x12\x0a\x05", "e661385283120a05"),
    (b"\xff\x61\x38\x52\x83\x12\x0a\x05", "fe61385283120a05"),
    (b"0123456789ab", "3635363738396162"),
    (b"\x01\x02\x03", "0200000000010203"),
)
def test_the_name_in_senml_comes_from_the_id(unique_id, name):
    assert device.eui64(unique_id) == name


def test_battery_in_all_formats():
    ask = asker()
    assert ask.get("s/batt").payload == b"83"
    assert ask.get("s/batt", CBOR).payload == b"\x18\x53"
    board.set_battery(2900)
    assert ask.get("s/batt", JSON).payload == b"0"
    board.set_battery(0)
    answer = ask.get("s/batt")
    assert (answer.code, answer.max_age_s) == ("5.03", device.RETRY_S)
    assert answer.payload == b"no value yet"


def test_each_edge_notifies_once_even_of_a_short_opening():
    ask = asker()
    told = observe(ask.node)
    ask.run(1000)
    assert told == []
    board.set_door(True)
    ask.run(100)
    assert told == ["s/contact"]
    ask.run(1000)
    assert told == ["s/contact"]
    board.set_lid(True)
    ask.run(100)
    assert told == ["s/contact", "s/tamper"]
    told.clear()
    board.set_door(False)
    clock.advance(30)
    board.set_door(True)
    ask.run(100)
    assert told == ["s/contact"] and ask.get("s/contact").payload == b"open"


def test_falling_battery_notifies():
    ask = asker()
    ask.run(20_000)
    told = observe(ask.node)
    ask.run(20_000)
    assert told == []
    board.set_battery(3700)
    ask.run(20_000)
    assert told == ["s/batt"]
    board.set_battery(0)
    ask.run(30_000)
    assert told == ["s/batt", "s/batt"]


def test_links_of_a_door():
    links = asker().get(".well-known/core").payload
    for part in (
        b'</s/contact>;rt="oic.r.sensor.contact urn:oma:lwm2m:ext:3200"',
        b'</s/batt>;rt="oic.r.energy.battery urn:oma:lwm2m:ext:3411"',
        b'</dev>;rt="urn:oma:lwm2m:oma:3";if="core.rp"',
        b"</config>",
        b"</s/tamper>",
        b'title="door";ct="0 50 60 110 112";obs',
        b'</diag>;rt="mote.diag";if="core.rp";ct="0 110 112"',
        b'</diag/log>;rt="mote.log";if="core.rp";ct=0',
    ):
        assert part in links
    assert asker().get(".well-known/core", LINK_FORMAT).code == "2.05"


def test_title_names_the_kind_of_device():
    ask = asker()
    assert ask.put("config", b'{"kind":"window"}', JSON).code == "2.04"
    assert b'title="window"' in ask.get(".well-known/core").payload


def test_device_resource():
    ask = asker()
    ask.run(12_500)
    answer = ask.get("dev")
    assert (answer.code, answer.content_format) == ("2.05", JSON)
    fields = json.loads(answer.payload)
    assert fields == {
        "manufacturer": "Mote",
        "model": "SIMULATOR",
        "serial": "a0b1c2d3e4f5",
        "firmware": "0.2.0",
        "uptime_s": 12,
        "battery_mv": 4032,
    }
    text = ask.get("dev", TEXT).payload.decode().split("\n")
    assert text[0] == "manufacturer: Mote" and "uptime_s: 12" in text
    assert ask.get("dev", CBOR).code == "4.06"


def test_battery_sag_is_reported_once_measured():
    ask = asker()
    battery = ask.node.resource_at("s/batt").battery
    full = ask.get("s/batt").payload
    battery.note_rest()
    board.set_battery(3832)
    battery.note_load()
    assert json.loads(ask.get("dev").payload)["battery_sag_mv"] == 200
    assert ask.get("s/batt").payload == full == b"83"  # what it has at rest counts


def test_uptime_survives_clock_wrap():
    uptime = device.Uptime()
    now_ms = 0x3FFFFFFF - 1500
    uptime.tick(now_ms)
    for _ in range(10):
        now_ms = (now_ms + 700) & 0x3FFFFFFF
        uptime.tick(now_ms)
    assert uptime.s == 7
    assert uptime.tick(now_ms - 1500) == 7


def test_config_get_and_put():
    settings = Saved()
    ask = asker(settings)
    answer = ask.get("config")
    assert (answer.code, answer.content_format) == ("2.05", JSON)
    assert answer.payload == settings.as_json() and len(answer.etag) == 8
    assert ask.put("config", b'{"name":"attic","heartbeat_s":60}', JSON).code == "2.04"
    assert (settings.name, settings.heartbeat_s, settings.kind) == ("attic", 60, "door")
    assert settings.saves == 1
    after = ask.get("config")
    assert json.loads(after.payload)["name"] == "attic" and after.etag != answer.etag


def test_config_honours_if_match():
    settings = Saved()
    ask = asker(settings)
    before = ask.get("config").etag
    assert ask.put("config", b'{"name":"a"}', JSON, before).code == "2.04"
    assert ask.put("config", b'{"name":"b"}', JSON, before).code == "4.12"
    assert settings.name == "a"
    assert ask.put("config", b'{"name":"mote"}', JSON).code == "2.04"
    assert ask.get("config").etag == before  # strong: the same bytes, the same tag


@cases(
    (b'{"kind":"wardrobe"}', "kind"),
    (b'{"heartbeat_s":9}', "heartbeat_s"),
    (b'{"heartbeat_s":true}', "heartbeat_s"),
    (b'{"name":""}', "name"),
    (b'{"gateway":"http://x"}', "gateway"),
    (b'{"name":"new","colour":"red"}', "colour"),
    (b'{"name":"new","heartbeat_s":"60"}', "heartbeat_s"),
    (b'["name"]', "JSON object"),
    (b"null", "JSON object"),
    (b"{", "payload"),
    (b'{"name":"a"', "payload"),
    (b'{"name":"a}', "payload"),
    (b'{"name":"\xff\xfe"}', ""),
    (b"", "payload"),
    (b"[" * 1000, ""),
)
def test_invalid_config_is_refused_by_field(payload, named):
    settings = Saved()
    ask = asker(settings)
    before = ask.get("config")
    answer = ask.put("config", payload, JSON)
    assert answer.code == "4.00" and named in answer.payload.decode()
    after = ask.get("config")
    assert (after.payload, after.etag, settings.saves) == (before.payload, before.etag, 0)


def test_unchanged_config_is_accepted_without_flash_access():
    settings = Settings()
    reads, saved = [], []
    settings.save = lambda: saved.append(settings.as_json())
    ask = asker(settings)
    update = settings.update
    settings.update = lambda fields: reads.append(1) or update(fields)
    first, second = b'{"heartbeat_s": 60}', b'{"heartbeat_s": 61}'
    for payload, count in ((first, 1), (first, 1), (second, 2), (second, 2), (first, 3)):
        assert ask.put("config", payload, JSON).code == "2.04"
        assert len(reads) == len(saved) == count
        assert (
            '"heartbeat_s":{}'.format(payload[-3:-1].decode())
            in ask.get("config").payload.decode()
        )
    # somebody else has changed them: the same bytes mean something again
    update({"heartbeat_s": 99})
    assert ask.put("config", first, JSON).code == "2.04"
    assert settings.heartbeat_s == 60
    # what is refused is refused each time, and does not count as taken
    for _ in range(2):
        assert ask.put("config", b'{"heartbeat_s": 1}', JSON).code == "4.00"
    # the same in other words: read, and not written
    count = len(saved)
    assert ask.put("config", b'{ "heartbeat_s":60 }', JSON).code == "2.04"
    assert len(saved) == count


@cases(
    (b'{"power":"battery"}', "both"),
    (b'{"power":"battery","app":"door"}', "gateway"),
    (b'{"power":"battery","app":"door","gateway":"coap://gateway.local"}', "numeric"),
)
def test_config_with_which_the_node_could_not_sleep_is_refused(payload, named):
    ask = asker()
    before = ask.get("config").payload
    answer = ask.put("config", payload, JSON)
    assert answer.code == "4.00" and named in answer.payload.decode()
    assert ask.get("config").payload == before
    whole = b'{"power":"battery","app":"door","gateway":"coap://192.0.2.1"}'
    assert ask.put("config", whole, JSON).code == "2.04"
    assert ask.put("config", b'{"gateway":""}', JSON).code == "4.00"
    assert ask.put("config", b'{"gateway":"","power":"mains"}', JSON).code == "2.04"


def test_config_of_a_board_without_wifi_is_never_battery():
    board.LINK = "slipmux"
    try:
        ask = asker()
        payload = b'{"power":"battery","app":"door","gateway":"coap://192.0.2.1"}'
        answer = ask.put("config", payload, JSON)
        assert answer.code == "4.00" and "no Wi-Fi" in answer.payload.decode()
        assert ask.put("config", b'{"app":"door"}', JSON).code == "2.04"
    finally:
        del board.LINK


def test_config_renews_the_title_in_the_links():
    ask = asker()
    assert b'title="door"' in ask.get(".well-known/core").payload
    assert ask.put("config", b'{"kind":"window"}', JSON).code == "2.04"
    assert b'title="window"' in ask.get(".well-known/core").payload


def test_config_accepts_json_only():
    ask = asker()
    for content_format in (TEXT, CBOR):
        assert ask.put("config", b'{"name":"a"}', content_format).code == "4.15"
    assert ask.get("config", TEXT).code == "4.06"


def test_config_that_cannot_be_saved_is_not_applied():
    settings = Saved()
    settings.broken = True
    ask = asker(settings)
    before = ask.get("config")
    answer = ask.put("config", b'{"name":"attic"}', JSON)
    assert (answer.code, answer.payload) == ("5.00", b"settings: cannot be written to flash")
    after = ask.get("config")
    assert (after.payload, after.etag) == (before.payload, before.etag)


class Bare:
    """A board without battery measurement and lid switch."""

    NAME = "BARE"
    REED_PIN = board.REED_PIN
    REED_PULL = board.REED_PULL
    TAMPER_PIN = None
    BATTERY_ADC_PIN = None
    power_on = board.power_on


def test_a_board_without_lid_switch_and_battery():
    ask = asker(board=Bare)
    assert ask.get("s/contact").payload == b"closed"
    assert ask.get("s/batt").code == "4.04" and ask.get("s/tamper").code == "4.04"
    assert "battery_mv" not in json.loads(ask.get("dev").payload)
    ask.run(30_000)


class Wired(Bare):
    """A board for external pull-ups; its door is open, and its pad on hold with a pull-down."""

    REED_PULL = "external"
    has_resistor = False

    @classmethod
    def power_on(cls):
        board.power_on()
        net = wire(board.REED_PIN)
        net.has_resistor = cls.has_resistor
        net.drive(None)
        Pin(board.REED_PIN, Pin.IN, Pin.PULL_DOWN, hold=cls.is_held)


class Fake:
    """Stands in for the modules sys and time of a board."""

    platform = "esp32"
    sleep_ms = clock.advance

    @staticmethod
    def time():
        return 0


def on_esp32(has_resistor, is_held):
    """Return a client of a door node on an ESP32 that was reset with its pad as it is."""
    Wired.has_resistor, Wired.is_held = has_resistor, is_held
    kept = door.sys, door.time
    door.sys = door.time = Fake
    try:
        return asker(board=Wired)
    finally:
        door.sys, door.time = kept


@cases(False, True)
def test_a_pad_on_hold_is_released_before_its_first_read(is_held):
    ask = on_esp32(True, is_held)
    net = wire(board.REED_PIN)
    assert (net.held, net.pull) == (False, 0)
    assert ask.get("s/contact").payload == b"open"
    assert "wiring" not in ask.get("diag").payload.decode()


@cases(False, True)
def test_diag_names_a_contact_without_a_pull_up(is_held):
    ask = on_esp32(False, is_held)
    line = "wiring: GPIO{} has no pull-up\n".format(board.REED_PIN)
    assert line in ask.get("diag").payload.decode()


@cases("s/contact", "s/tamper", "s/batt")
def test_response_allocates_nothing(path):
    ask = asker()
    accepts = (None, CBOR, SENML_JSON, SENML_CBOR)
    requests = [ask.request(GET, path, accept=accept) for accept in accepts]

    def serve():
        ask.again(requests[0])
        ask.again(requests[1])
        ask.again(requests[2])
        return ask.again(requests[3])

    assert allocated(serve, 20) == 0
    assert locked(serve) > 6


def test_polling_allocates_nothing():
    asker()
    node = Node()
    timers = Timers(node)
    door.setup(node, board, Settings())
    told = [0]

    def count(resource):
        told[0] += 1

    node.changed = count

    def pass_time():
        clock.advance(10)
        timers.run(clock.ms())

    def pass_time_at_the_door():
        board.set_door(clock.ms() & 64)
        pass_time()

    for _ in range(640):
        pass_time_at_the_door()
    assert 90 <= told[0] <= 102  # the door moves every 64 ms
    door._seconds, kept = lambda: 1000, door._seconds  # on this port seconds are a float
    assert allocated(pass_time_at_the_door, 640) == 0, "an edge that is noted in the journal"
    door._seconds = kept
    assert told[0] >= 180
    board.set_door(0)
    assert allocated(pass_time, 640) == 0
