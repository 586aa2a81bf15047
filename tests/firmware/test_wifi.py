"""The Wi-Fi link on fake radios in virtual time, with the quirks of each driver."""

from support import cases
from support.fake_radio import (
    ABSENT,
    SILENT,
    UP,
    WRONG_PASSWORD,
    AccessPoint,
    Esp32Radio,
    FakeNetwork,
    PicoRadio,
)
from wifi import WifiLink

ACCESS = {"ssid": "attic", "password": "correct horse", "country": "DE"}
STEP_MS = 250
START_MS = 2**30 - 60000  # the wrap of the clock comes a minute later


class Scene:
    """A link, its radio, and time."""

    def __init__(self, radio=Esp32Radio, answer=UP, access=ACCESS, options=None, jitter=None):
        self.network = FakeNetwork(radio)
        self.network.access_point = AccessPoint(answer)
        self.radio = self.network.radio
        self.lines = []
        self.link = WifiLink(self.network, access, "mote-c0de", options, jitter, self.lines.append)

    def play(self, ms):
        end_ms = self.network.now_ms + ms
        while self.network.now_ms < end_ms:
            self.link.poll((START_MS + self.network.now_ms) & 0x3FFFFFFF)
            self.network.now_ms += STEP_MS
        return self

    def answer(self, answer):
        self.network.access_point.answer = answer
        return self

    def pauses_s(self):
        """Seconds between the starts of attempts."""
        times = [when_ms for when_ms, _, _ in self.radio.attempts]
        return [(times[i + 1] - times[i] + 500) // 1000 for i in range(len(times) - 1)]


@cases(Esp32Radio, PicoRadio)
def test_station_joins(radio):
    scene = Scene(radio).play(3000)
    assert scene.link.up
    assert scene.link.address == "10.0.0.7"
    assert scene.radio.attempts == [(0, "attic", "correct horse")]
    assert scene.lines == ["Wi-Fi: 10.0.0.7 is mote-c0de.local"]


def test_poll_returns_whether_the_link_is_up():
    scene = Scene()
    assert scene.link.poll(0) is False
    scene.network.now_ms = 5000
    assert scene.link.poll(5000) is True
    assert scene.link.poll(5001) is True


@cases(Esp32Radio, PicoRadio)
def test_link_recovers_after_a_loss(radio):
    scene = Scene(radio).play(5000).answer(ABSENT).play(30000)
    assert not scene.link.up
    assert scene.link.losses == 1
    scene.answer(UP).play(90000)
    assert scene.link.up
    assert scene.link.joins == 2
    assert scene.lines[1] == "Wi-Fi: link lost"


@cases(Esp32Radio, PicoRadio)
def test_link_recovers_after_a_night_without_access_point(radio):
    scene = Scene(radio).play(5000)
    night_ms = 8 * 3600 * 1000
    scene.answer(ABSENT).play(night_ms)
    attempts = len(scene.radio.attempts)
    assert night_ms // 70000 < attempts < night_ms // 55000, attempts
    scene.answer(UP).play(90000)
    assert scene.link.up


def test_retry_pauses_double_up_to_a_minute():
    scene = Scene(answer=ABSENT).play(600000)
    # An attempt without an access point is given up after the 4 s in which reasons may be old.
    assert scene.pauses_s()[:8] == [4 + pause for pause in (1, 2, 4, 8, 16, 32, 60, 60)]


def test_join_resets_the_retry_pause():
    scene = Scene(answer=ABSENT).play(300000).answer(UP).play(90000)
    assert scene.link.up
    scene.radio.attempts = []
    scene.answer(ABSENT).play(20000)
    assert scene.pauses_s()[:2] == [5, 6]


def test_retry_pauses_have_jitter():
    asked = []

    def random_below(n):
        asked.append(n)
        return n - 1

    scene = Scene(answer=ABSENT, jitter=random_below).play(60000)
    assert asked[:3] == [500, 1000, 2000]
    assert scene.pauses_s()[2] == 4 + 4 + 2


@cases(
    (Esp32Radio, WRONG_PASSWORD, "wrong password"),
    (PicoRadio, WRONG_PASSWORD, "wrong password"),
    (Esp32Radio, ABSENT, "no such network in reach"),
    (PicoRadio, ABSENT, "no such network in reach"),
)
def test_failure_reason_is_logged(radio, answer, reason):
    scene = Scene(radio, answer).play(4500)
    assert scene.lines == ["Wi-Fi: " + reason + "; next try in 1 s"]


@cases(Esp32Radio, PicoRadio)
def test_hanging_join_times_out(radio):
    scene = Scene(radio, SILENT).play(20500)
    assert scene.lines == ["Wi-Fi: no response for 20 s; next try in 1 s"]
    assert scene.answer(UP).play(10000).link.up


def test_stale_failure_reason_is_ignored():
    scene = Scene(answer=WRONG_PASSWORD).play(4500)
    scene.network.access_point = AccessPoint(UP, delay_ms=3500)
    scene.play(6000)
    # ESP32 still said "wrong password" while the second attempt was under way.
    assert scene.radio.attempts[1][0] >= 5000
    assert scene.link.up, scene.lines


def test_a_radio_left_connecting_by_a_soft_reset_is_taken_over():
    scene = Scene()
    scene.radio.active(True)
    scene.radio.connect("attic", "correct horse")  # a second connect() would now raise OSError
    scene.play(4000)
    assert scene.link.up
    assert scene.link.joins == 1


def test_station_still_associated_when_off_is_disconnected_first():
    scene = Scene(PicoRadio)
    scene.radio.on = scene.radio.associated = True  # as after a soft reset
    scene.network.access_point.answer = WRONG_PASSWORD
    scene.play(4000)
    assert not scene.link.up
    assert scene.radio.log[:4] == ["disconnect", "off", "on", "connect"]


@cases(Esp32Radio, PicoRadio)
def test_name_and_country_are_set_before_they_are_read(radio):
    scene = Scene(radio).play(3000)
    assert scene.network.mdns_name == "mote-c0de"
    if radio is PicoRadio:
        assert scene.network.country_in_use == "DE"


def test_a_changed_country_reaches_a_radio_that_was_on():
    scene = Scene(PicoRadio)
    scene.network.country_code = "US"
    scene.radio.active(True)
    assert scene.network.country_in_use == "US"
    assert scene.play(3000).network.country_in_use == "DE"


def test_without_country_the_radio_keeps_its_own():
    scene = Scene(PicoRadio, access={"ssid": "attic", "password": "", "country": ""}).play(3000)
    assert scene.network.country_in_use == "XX"
    assert scene.radio.attempts == [(0, "attic", "")]


def test_the_boards_options_are_set_on_every_attempt():
    scene = Scene(options={"reconnects": 2}, answer=ABSENT).play(4500)
    assert scene.radio.options == {"reconnects": 2}
    scene.radio.options = {}
    scene.play(3000)
    assert len(scene.radio.attempts) == 2
    assert scene.radio.options == {"reconnects": 2}


def test_join_is_retried_after_a_driver_exception():
    scene = Scene()
    connect = scene.radio.connect

    def refuse(_ssid, _password):
        raise OSError("Wifi Internal Error")

    scene.radio.connect = refuse
    scene.play(1000)
    assert scene.lines == ["Wi-Fi: Wifi Internal Error; next try in 1 s"]
    scene.radio.connect = connect
    assert scene.play(6000).link.up


def test_closing_leaves_the_network():
    scene = Scene().play(3000)
    scene.link.close()
    assert not scene.link.up
    assert scene.radio.log[-2:] == ["disconnect", "off"]
