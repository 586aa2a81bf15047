"""Fast Wi-Fi join: the order of driver calls per port, and the fall-back to a scan."""

from power.wifi_fast import FAILED, JOINING, UP, FastJoin, best, packed
from support import cases

BSSID = b"\x02\x11\x22\x33\x44\x55"
ACCESS = {"ssid": "attic", "password": "12345678", "country": "DE"}
FULL = ["country DE", "hostname mote-1", "on", "config pm", "scan", "dhcp"]
STATIC = ["static 10.0.0.7 255.255.255.0 10.0.0.1", "dns 10.0.0.2"]


class Network:
    """The module and its station; `log` has the calls. It joins `after` polls, None: never."""

    def __init__(self):
        self.log = []
        self.after = 0
        self.polls = 0
        self.found = [(b"attic", BSSID, 6, -50, 4, False)]
        self.WLAN = self
        self.IF_STA = 0

    def __call__(self, interface):
        return self

    def country(self, code):
        self.log.append("country " + code)

    def hostname(self, name):
        self.log.append("hostname " + name)

    def active(self, on):
        self.log.append("on" if on else "off")

    def config(self, what=None, **options):
        self.log += ["config " + name for name in sorted(options)]
        return 11 if what == "channel" else None

    def scan(self):
        self.log.append("scan")
        return self.found

    def connect(self, *args, **named):
        words = ["connect"] + [str(arg) for arg in args] + sorted(named)
        self.log.append(" ".join(words))
        self.polls = 0

    def disconnect(self):
        self.log.append("disconnect")
        raise OSError("Wifi Not Started")

    def deinit(self):
        self.log.append("deinit")

    def isconnected(self):
        self.polls += 1
        return self.after is not None and self.polls > self.after

    def ipconfig(self, what=None, **settings):
        if "addr4" in settings:
            words = list(settings["addr4"]) + [settings["gw4"]]
            self.log.append("static " + " ".join(words))
        elif "dhcp4" in settings:
            self.log.append("dhcp")
        elif "dns" in settings:
            self.log.append("dns " + settings["dns"])
        return {"addr4": ("10.0.0.7", "255.255.255.0"), "gw4": "10.0.0.1"}.get(what, "10.0.0.2")


class Quiet(Network):
    def disconnect(self):
        self.log.append("disconnect")


def joined(platform="esp32", now_s=5000):
    """A link that knows its network, and that network, whose log is empty again."""
    network = Quiet()
    link = FastJoin(network, ACCESS, "mote-1", platform, {"pm": 1}, lambda line: None)
    link.start(0, now_s)
    assert link.poll(0, now_s) == UP
    link.stop()
    network.log.clear()
    return link, network


def test_first_join_scans_and_uses_dhcp():
    network = Network()
    said = []
    link = FastJoin(network, ACCESS, "mote-1", "esp32", {"pm": 1}, said.append)
    assert link.state() == b""
    link.start(0, 0)
    assert network.log[:2] == ["disconnect", "off"]
    assert network.log[2:] == FULL + ["connect attic 12345678 bssid"]
    assert link.poll(5, 0) == UP and link.address == "10.0.0.7"
    assert said == ["Wi-Fi: 10.0.0.7 is mote-1.local"]
    assert (link.joins, link.fast_joins) == (1, 0)


def test_a_fast_join_on_an_esp32_sets_the_channel_between_two_connects():
    link, network = joined()
    link.start(0, 5000)
    assert link.fast
    assert network.log[6:] == STATIC + [
        "connect attic 12345678 bssid",
        "disconnect",
        "config channel",
        "connect",
    ]
    assert link.poll(0, 5000) == UP and link.fast_joins == 1


def test_fast_join_on_a_pico_passes_everything_to_connect():
    link, network = joined("rp2")
    link.start(0, 5000)
    assert network.log[6:] == STATIC + ["connect attic 12345678 bssid channel"]


@cases(
    ("esp32", ["connect attic 12345678", "disconnect", "config channel", "connect"]),
    ("rp2", ["connect attic 12345678"]),
)
def test_a_hidden_network_is_joined_fast_too(platform, calls):
    network = Quiet()
    network.found = []
    link = FastJoin(network, ACCESS, "mote-1", platform, None, lambda line: None)
    link.start(0, 5000)
    assert not link.fast and link.poll(0, 5000) == UP
    link.on_report(True)
    link.stop()
    again = FastJoin(network, ACCESS, "mote-1", platform, None, lambda line: None)
    assert again.restore(link.state())
    network.log.clear()
    again.start(0, 5000)
    assert again.fast and network.log[5:] == STATIC + calls


def test_reports_without_a_response_end_fast_joins():
    link, network = joined()
    for fast in (True, True, False):
        link.start(0, 5000)
        assert link.fast is fast and link.poll(0, 5000) == UP
        link.on_report(False)
        link.stop()
    link.start(0, 5000)
    assert link.fast and link.poll(0, 5000) == UP, "its address is new"
    link.on_report(True)


def test_a_report_with_a_response_clears_the_failures():
    link, network = joined()
    for is_acknowledged in (False, True, False, True, False):
        link.start(0, 5000)
        assert link.fast and link.poll(0, 5000) == UP
        link.on_report(is_acknowledged)
        link.stop()


@cases(("esp32", ["disconnect", "off"]), ("rp2", ["disconnect", "off", "deinit"]))
def test_stop_switches_the_radio_off(platform, calls):
    link, network = joined(platform)
    link.start(0, 5000)
    network.log.clear()
    link.stop()
    assert network.log == calls and link.address == ""
    link.stop()
    assert network.log == calls


def test_two_failed_fast_joins_bring_back_scan_and_dhcp():
    link, network = joined()
    network.after = None
    now_ms = 0
    for fast in (True, True, False, False):
        link.start(now_ms, 5000)
        assert link.fast == fast
        spent_ms = 0
        how = link.poll(now_ms, 5000)
        while how == JOINING:
            now_ms += 100
            spent_ms += 100
            how = link.poll(now_ms, 5000)
        assert how == FAILED and spent_ms == (3000 if fast else 10000)
    assert "scan" in network.log and "dhcp" in network.log
    network.after = 0
    link.start(now_ms, 5000)
    assert link.poll(now_ms, 5000) == UP
    link.start(now_ms, 5000)
    assert link.fast


def test_failure_count_survives_sleep():
    link, network = joined()
    network.after = None
    for _ in range(2):
        link.start(0, 5000)
        assert link.poll(3000, 5000) == FAILED
    again = FastJoin(network, ACCESS, "mote-1", "esp32")
    assert again.restore(link.state())
    again.start(0, 5000)
    assert not again.fast


def test_access_point_and_address_survive_sleep():
    link, network = joined()
    again = FastJoin(network, ACCESS, "mote-1", "esp32", {"pm": 1})
    assert len(link.state()) == 28 and again.restore(link.state())
    again.start(0, 5000)
    assert again.fast and network.log[6:8] == STATIC
    assert again.state() == link.state()


@cases(0, 86000, 86401 + 60, -120)
def test_static_address_is_used_for_a_day(age_s):
    link, _ = joined()
    link.start(0, 5000 + age_s)
    assert link.fast == (0 <= age_s < 86400)


def test_unseen_network_is_joined_without_bssid():
    network = Quiet()
    network.found = [(b"other", BSSID, 6, -50, 4, False)]
    link = FastJoin(network, ACCESS, "mote-1", "esp32", None, lambda line: None)
    link.start(0, 0)
    assert network.log[-1] == "connect attic 12345678"
    assert link.poll(0, 0) == UP and link.state()[3:9] == bytes(6)


def test_strongest_access_point_of_the_network_is_chosen():
    near, far = (b"a", b"near  ", 1, -40, 4, False), (b"a", b"far   ", 6, -80, 4, False)
    louder = (b"b", b"other ", 11, -10, 4, False)
    assert best([far, louder, near], b"a") == (b"near  ", 1)
    assert best([louder], b"a") is None and best([], b"a") is None


def test_ipv4_addresses_are_packed_as_bytes():
    assert packed("192.0.2.7") == b"\xc0\0\2\7"


def test_state_with_any_flipped_bit_is_survived():
    link, network = joined()
    blob = link.state()
    for at in range(len(blob)):
        for bit in range(8):
            bad = bytearray(blob)
            bad[at] ^= 1 << bit
            again = FastJoin(network, ACCESS, "mote-1", "esp32", {"pm": 1})
            if again.restore(bytes(bad)):
                again.start(0, 5000)
                assert again.poll(0, 5000) == UP
    assert not link.restore(b"") and not link.restore(blob + b"\0")
