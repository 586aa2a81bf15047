"""The search for a better access point, on fake radios in virtual time."""

import roaming
from support import cases
from support.fake_radio import (
    ABSENT,
    SCAN_MS,
    SILENT,
    AccessPoint,
    Esp32Radio,
    FakeNetwork,
    PicoRadio,
)
from wifi import WifiLink

ACCESS = {"ssid": "attic", "password": "correct horse", "country": "DE"}
STEP_MS = 250
MINUTE_MS = 60000
HOUR_MS = 60 * MINUTE_MS
NEAR, FAR = b"\2\0\0\0\0\2", b"\2\0\0\0\0\1"
START_MS = 2**30 - 2 * HOUR_MS  # the clock wraps


class House:
    """A link that has joined an access point far away, and others."""

    def __init__(self, radio, far_dbm=-80, near_dbm=-60, is_idle=lambda: True):
        self.network = FakeNetwork(radio)
        self.radio = self.network.radio
        self.far = self.network.access_point = AccessPoint(dbm=far_dbm, bssid=FAR, channel=1)
        self.near = AccessPoint(dbm=near_dbm, bssid=NEAR, channel=11)
        self.lines = []
        self.link = WifiLink(self.network, ACCESS, "mote-c0de", say=self.lines.append)
        self.link.is_idle = is_idle
        self.play(5000)
        self.network.others = [self.near]

    def play(self, ms):
        """Poll for so long; return the time in which the link was down."""
        down_ms = 0
        end_ms = self.network.now_ms + ms
        while self.network.now_ms < end_ms:
            if not self.link.poll((START_MS + self.network.now_ms) & 0x3FFFFFFF):
                down_ms += STEP_MS
            self.network.now_ms += STEP_MS
        return down_ms


@cases(Esp32Radio, PicoRadio)
def test_a_node_moves_to_the_better_access_point(radio):
    house = House(radio)
    down_ms = house.play(10 * MINUTE_MS)
    assert house.network.access_point is house.near
    assert house.radio.bssids == [None, NEAR]
    assert down_ms < 5000  # a confirmable message is transmitted for 45 s
    assert house.link.up and house.link.losses == 0
    assert house.lines[1] == "Wi-Fi: -80 dBm, moves to -60 dBm"


@cases(Esp32Radio, PicoRadio)
def test_with_a_good_signal_nothing_is_scanned(radio):
    house = House(radio, far_dbm=-70, near_dbm=-40)
    house.play(24 * HOUR_MS)
    assert house.radio.scans == [] and len(house.radio.attempts) == 1


@cases(Esp32Radio, PicoRadio)
def test_a_short_weakness_is_waited_out(radio):
    house = House(radio)
    for _ in range(20):
        house.far.dbm = -80
        house.play(2 * MINUTE_MS)
        house.far.dbm = -60
        house.play(2 * MINUTE_MS)
    assert house.radio.scans == []


@cases(Esp32Radio, PicoRadio)
def test_a_little_better_is_not_enough_and_scans_become_rare(radio):
    house = House(radio, near_dbm=-71)
    house.play(24 * HOUR_MS)
    assert len(house.radio.attempts) == 1
    scans = house.radio.scans
    assert 7 <= len(scans) <= 10
    assert scans[1] - scans[0] >= roaming.PAUSE_MIN_MS
    assert scans[-1] - scans[-2] >= roaming.PAUSE_MAX_MS
    assert len(scans) * SCAN_MS < 30000  # of a day


@cases(Esp32Radio, PicoRadio)
def test_an_open_exchange_delays_the_scan(radio):
    busy = [True]
    house = House(radio, is_idle=lambda: not busy[0])
    house.play(20 * MINUTE_MS)
    assert house.radio.scans == []
    busy[0] = False
    house.play(1000)
    assert len(house.radio.scans) == 1


@cases((Esp32Radio, ABSENT), (Esp32Radio, SILENT), (PicoRadio, ABSENT), (PicoRadio, SILENT))
def test_a_better_one_that_does_not_take_the_node_is_left(radio, answer):
    house = House(radio)
    house.play(3 * MINUTE_MS)
    scan = house.radio.scan

    def scan_and_break():
        found = scan()
        house.near.answer = answer
        return found

    house.radio.scan = scan_and_break
    house.play(2 * MINUTE_MS)
    house.radio.scan = scan
    assert house.radio.bssids[1] == NEAR
    if answer == SILENT and radio is PicoRadio:
        house.near.answer = ABSENT  # a Pico W would choose it again
        house.play(MINUTE_MS)
    assert house.radio.bssids[2] is None
    house.play(MINUTE_MS)
    assert house.link.up and house.network.access_point is house.far


@cases(Esp32Radio, PicoRadio)
def test_a_driver_that_refuses_to_scan_is_named(radio):
    house = House(radio)

    def refuse():
        raise OSError("Wifi Internal Error")

    house.radio.scan = refuse
    house.play(10 * MINUTE_MS)
    assert house.lines[1] == "Wi-Fi: no scan: Wifi Internal Error"
    assert house.link.up


@cases(Esp32Radio, PicoRadio)
def test_networks_of_other_names_do_not_count(radio):
    house = House(radio)
    house.near.ssid = b"cellar"
    house.play(HOUR_MS)
    assert house.radio.scans and house.radio.bssids == [None]


def test_a_link_without_a_main_loop_does_not_scan():
    house = House(Esp32Radio, is_idle=None)
    house.play(HOUR_MS)
    assert house.radio.scans == []
