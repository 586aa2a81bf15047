"""Settings and Wi-Fi credentials: accepted and refused values, power cuts during save."""

import json
import os

import config
from config import Settings
from support import cases, raises

PATH = "build-test-config.json"
FIELDS = ("name", "kind", "heartbeat_s", "gateway", "app")


def remove(path=PATH):
    for name in (path, path + ".new"):
        try:
            os.remove(name)
        except OSError:
            pass


def write(content, path=PATH):
    with open(path, "wb") as file:
        file.write(content)


def read(path=PATH):
    with open(path, "rb") as file:
        return file.read()


def kept(content, function):
    """Run the function on a file with that content, then remove it."""
    remove()
    if content is not None:
        write(content)
    try:
        return function()
    finally:
        remove()


def test_missing_file_gives_defaults():
    settings = kept(None, lambda: Settings.load(PATH))
    assert [getattr(settings, field) for field in FIELDS] == ["mote", "door", 3600, "", "both"]


def test_missing_fields_keep_their_defaults():
    settings = kept(b'{"kind": "window"}', lambda: Settings.load(PATH))
    assert settings.kind == "window"
    assert settings.heartbeat_s == 3600


# As version 0.1.0 saved it.
VERSION_0_1 = (
    b'{"name":"K\xc3\xbcche","kind":"window","heartbeat_s":7200,"gateway":"coap://192.168.1.2:5683",'
    b'"app":"wearable","power":"battery","alert":"hr>150 hr<40 temp>38.5"}'
)


def test_file_of_an_earlier_version_loads_and_is_saved_alike():
    def load_and_save():
        settings = Settings.load(PATH)
        assert settings.name == "K\u00fcche" and settings.kind == "window"
        assert settings.heartbeat_s == 7200 and settings.gateway == "coap://192.168.1.2:5683"
        assert settings.app == "wearable" and settings.power == "battery"
        assert settings.alert == "hr>150 hr<40 temp>38.5"
        settings.save()
        assert read() == VERSION_0_1

    kept(VERSION_0_1, load_and_save)


def test_settings_round_trip():
    def round_trip():
        settings = Settings.load(PATH)
        settings.update(
            {"name": 'K\u00fcche "2" \\', "heartbeat_s": 60, "gateway": "coap://gw:5684"}
        )
        settings.save()
        assert json.loads(read().decode())["name"] == 'K\u00fcche "2" \\'
        again = Settings.load(PATH)
        assert [getattr(again, field) for field in FIELDS] == [
            'K\u00fcche "2" \\',
            "door",
            60,
            "coap://gw:5684",
            "both",
        ]

    kept(None, round_trip)


def test_json_field_order_is_fixed():
    assert Settings().as_json() == (
        b'{"name":"mote","kind":"door","heartbeat_s":3600,"gateway":"","app":"both",'
        b'"power":"mains","alert":""}'
    )


def test_save_replaces_the_file_atomically():
    def save_over():
        Settings(PATH).save()
        assert read() == Settings().as_json()
        return PATH + ".new" in os.listdir()

    assert not kept(b"x" * 5000, save_over)


def test_power_cut_during_save_leaves_the_old_file():
    def cut():
        write(b'{"name": "half', PATH + ".new")
        assert Settings.load(PATH).name == "old"
        Settings.load(PATH).save()
        assert Settings.load(PATH).name == "old"

    kept(b'{"name": "old"}', cut)


def test_failed_write_leaves_no_temporary_file():
    settings = Settings("no-such-folder/config.json")
    raises(OSError, settings.save)
    assert settings.name == "mote"


def test_failed_rename_removes_the_temporary_file():
    def into_a_folder():
        raises(OSError, Settings(PATH).save)
        return PATH + ".new" in os.listdir()

    remove()
    os.mkdir(PATH)
    try:
        assert not into_a_folder()
    finally:
        os.rmdir(PATH)
        remove()


def test_settings_without_a_path_stay_in_memory():
    before = sorted(os.listdir())
    settings = Settings()
    settings.update({"name": "attic"})
    settings.save()
    assert settings.name == "attic" and sorted(os.listdir()) == before


def test_missing_file_is_no_error_but_one_that_can_not_be_read_is():
    assert str(raises(ValueError, Settings.load, ".")).startswith(".: ")


@cases(
    ({"name": ""}, "name"),
    ({"name": "x" * 33}, "name"),
    ({"name": 5}, "name"),
    ({"name": None}, "name"),
    ({"name": "a\nb"}, "name"),
    ({"name": "a\x7fb"}, "name"),
    ({"kind": "gate"}, "kind"),
    ({"kind": ["door"]}, "kind"),
    ({"kind": True}, "kind"),
    ({"heartbeat_s": 9}, "heartbeat_s"),
    ({"alert": "hr=40"}, "alert"),
    ({"alert": "pulse>40"}, "alert"),
    ({"alert": "hr>"}, "alert"),
    ({"alert": "hr>40>30"}, "alert"),
    ({"alert": "temp>38.5.1"}, "alert"),
    ({"alert": "temp>--3"}, "alert"),
    ({"alert": "temp>.5"}, "alert"),
    ({"alert": "hr>999999"}, "alert"),
    ({"alert": "hr>40 " * 11}, "alert"),
    ({"alert": "hr>40\nhr<30"}, "alert"),
    ({"alert": "hr>40\t"}, "alert"),
    ({"alert": "\x1chr>40"}, "alert"),
    ({"alert": "hr>40\x7f"}, "alert"),
    ({"alert": "\n"}, "alert"),
    ({"alert": 5}, "alert"),
    ({"alert": None}, "alert"),
    ({"alert": ["hr>40"]}, "alert"),
    ({"heartbeat_s": 86401}, "heartbeat_s"),
    ({"heartbeat_s": -60}, "heartbeat_s"),
    ({"heartbeat_s": "60"}, "heartbeat_s"),
    ({"heartbeat_s": 60.0}, "heartbeat_s"),
    ({"heartbeat_s": True}, "heartbeat_s"),
    ({"heartbeat_s": None}, "heartbeat_s"),
    ({"gateway": "gw"}, "gateway"),
    ({"gateway": "http://gw"}, "gateway"),
    ({"gateway": "coap://"}, "gateway"),
    ({"gateway": "coap://gw/"}, "gateway"),
    ({"gateway": "coap://gw:"}, "gateway"),
    ({"gateway": "coap://gw:0"}, "gateway"),
    ({"gateway": "coap://gw:65536"}, "gateway"),
    ({"gateway": "coap://gw:+80"}, "gateway"),
    ({"gateway": "coap://gw:5 "}, "gateway"),
    ({"gateway": "coap://:5683"}, "gateway"),
    ({"gateway": "coap://g w"}, "gateway"),
    ({"gateway": "coap://user@gw"}, "gateway"),
    ({"gateway": "coap://[fe80::1"}, "gateway"),
    ({"gateway": "coap://[]"}, "gateway"),
    ({"gateway": "coap://[fe80::1]x"}, "gateway"),
    ({"gateway": "coap://" + "h" * 58}, "gateway"),
    ({"gateway": 5}, "gateway"),
    ({"gateway": None}, "gateway"),
    ({"app": "window"}, "app"),
    ({"app": None}, "app"),
    ({"colour": "red"}, "colour"),
    ({"": 1}, ""),
)
def test_invalid_field_is_named_and_nothing_changes(wrong, field):
    settings = Settings()
    fields = {"name": "front", "kind": "window", "heartbeat_s": 60, "app": "door"}
    fields.update(wrong)
    before = settings.as_json()
    error = raises(ValueError, settings.update, fields)
    assert str(error).startswith(field + ": "), str(error)
    assert settings.as_json() == before


@cases([], None, 5, "name", b"{}")
def test_only_a_json_object_is_accepted(fields):
    raises(ValueError, Settings().update, fields)


@cases(
    {"name": "x" * 32},
    {"name": "\u00fc" * 32},
    {"heartbeat_s": 10},
    {"heartbeat_s": 86400},
    {"gateway": ""},
    {"gateway": "coap://10.0.0.7"},
    {"gateway": "coap://gw-1.local:65535"},
    {"gateway": "coap://[2001:db8::7]:5683"},
    {"gateway": "coap://" + "h" * 57},
    {"app": "wearable"},
    {},
)
def test_valid_field_is_accepted(fields):
    settings = Settings()
    settings.update(fields)
    for field in fields:
        assert getattr(settings, field) == fields[field]
    assert json.loads(settings.as_json().decode())


@cases(b"", b"{", b'{"name": "x"', b"[]", b"\xff\xfe", b'"door"', b"{'name': 'x'}", b"{} x")
def test_broken_file_is_named(content):
    error = kept(content, lambda: raises(ValueError, Settings.load, PATH))
    assert str(error).startswith(PATH + ": "), str(error)


def test_invalid_field_in_a_file_is_named_with_the_file():
    error = kept(b'{"heartbeat_s": 5}', lambda: raises(ValueError, Settings.load, PATH))
    assert str(error).startswith(PATH + ": heartbeat_s: "), str(error)


def test_secrets_are_complete_or_absent():
    assert kept(None, lambda: config.load_secrets(PATH)) is None
    secrets = kept(b'{"ssid": "attic"}', lambda: config.load_secrets(PATH))
    assert secrets == {"ssid": "attic", "password": "", "country": ""}


@cases(
    ({}, "ssid"),
    ({"ssid": ""}, "ssid"),
    ({"ssid": "x" * 33}, "ssid"),
    ({"ssid": "\u00fc" * 17}, "ssid"),
    ({"ssid": 5}, "ssid"),
    ({"ssid": "a", "password": "seven77"}, "password"),
    ({"ssid": "a", "password": "x" * 64}, "password"),
    ({"ssid": "a", "password": "0" * 65}, "password"),
    ({"ssid": "a", "password": None}, "password"),
    ({"ssid": "a", "country": "de"}, "country"),
    ({"ssid": "a", "country": "DEU"}, "country"),
    ({"ssid": "a", "country": "D1"}, "country"),
    ({"ssid": "a", "pasword": "x"}, "pasword"),
)
def test_invalid_secret_is_named(fields, field):
    error = str(raises(ValueError, config.check_secrets, fields))
    assert error.startswith(field + ": "), error


def test_an_error_does_not_show_the_password():
    error = str(raises(ValueError, config.check_secrets, {"ssid": "a", "password": "hunter2"}))
    assert "hunter2" not in error


@cases(
    {"ssid": "x" * 32, "password": "", "country": ""},
    {"ssid": "a", "password": "eight888"},
    {"ssid": "a", "password": "p" * 63},
    {"ssid": "a", "password": "0123456789abcdefABCDEF" + "0" * 42, "country": "GB"},
)
def test_valid_secrets_are_accepted(fields):
    secrets = kept(json.dumps(fields).encode(), lambda: config.load_secrets(PATH))
    assert secrets == dict({"country": ""}, **fields)


def test_example_config_is_valid():
    folder = config.__file__[: config.__file__.rfind("/") + 1]
    assert config.load_secrets(folder + "secrets.example.json")["country"] == "DE"
