"""The access point stays while the network behind it changes: joins work, reports fail."""

from power.event_log import TIMER
from power.wifi_fast import FastJoin
from support.sleep_bench import Bench, settled

BSSID = b"\x02\x11\x22\x33\x44\x55"
ACCESS = {"ssid": "attic", "password": "12345678", "country": "DE"}


class Network:
    """The module and its station. lease: the address that DHCP gives; asked: how often it did.

    Reports of the node are answered while it has the address that DHCP gives.
    """

    IF_STA = 0

    def __init__(self, bench):
        self.bench = bench
        self.WLAN = self
        self.lease = "192.168.1.50"
        self.asked = 0
        self.address = None

    def __call__(self, interface):
        return self

    def country(self, code):
        pass

    hostname = active = country

    def config(self, **options):
        pass

    def scan(self):
        return [(b"attic", BSSID, 6, -50, 4, False)]

    def connect(self, *args, **named):
        pass

    def disconnect(self):
        pass

    def isconnected(self):
        return True

    def ipconfig(self, what=None, **settings):
        if "addr4" in settings:
            self.address = settings["addr4"][0]
        elif "dhcp4" in settings:
            self.asked += 1
            self.address = self.lease
        self.bench.answers_ms = 30 if self.address == self.lease else None
        return {"addr4": (self.address, "255.255.255.0")}.get(what, "192.168.1.1")


class Moved(Bench):
    def __init__(self):
        super().__init__()
        self.network = Network(self)
        self.link = lambda bench: FastJoin(self.network, ACCESS, "mote-1", "esp32", None, print)

    def beat(self):
        """Run the next heartbeat; return True if its report was acknowledged."""
        self.now_ms += 4_000_000
        told = self.told
        self.live(TIMER)
        return self.told > told


def test_two_reports_that_nobody_answered_bring_a_whole_join():
    bench = settled(Moved())
    assert bench.beat() and bench.network.asked == 1  # a fast join
    bench.network.lease = "192.168.178.20"  # of another router
    failed = 0
    while failed < 25 and not bench.beat():
        failed += 1
    assert failed <= 2, "{} wakes with an address that is not ours".format(failed)
