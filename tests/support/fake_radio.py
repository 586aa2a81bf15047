"""Fake `network` modules with the quirks of the ESP32 and Pico W radios, in virtual time."""

UP = "up"
WRONG_PASSWORD = "wrong password"
ABSENT = "no access point"
SILENT = "accepts and never gives an address"


SCAN_MS = 2400  # an ESP32 of one band; the program stands still
NOT_FOUND_DBM = -92  # a weaker signal is not seen


class AccessPoint:
    """The outcome of a join: `answer`, one of the four above, after `delay_ms`.

    ssid, bssid, channel: by which it is found; dbm: strength of its signal at the node.
    """

    def __init__(self, answer=UP, delay_ms=2000, dbm=-60, bssid=b"\2\0\0\0\0\1", channel=6):
        self.answer = answer
        self.delay_ms = delay_ms
        self.dbm = dbm
        self.ssid = b"attic"
        self.bssid = bssid
        self.channel = channel


class Radio:
    """A station interface. Subclasses add the quirks of their driver."""

    def __init__(self, network):
        self.network = network
        self.on = False
        self.joining_since_ms = None
        self.associated = False
        self.attempts = []  # (when, ssid, password)
        self.bssids = []  # those of the attempts, None for any
        self.scans = []  # when
        self.options = {}
        self.log = []  # the order of calls

    def active(self, on):
        self.log.append("on" if on else "off")
        self.on = on

    def config(self, **options):
        if not self.on:
            raise OSError("inactive")
        for name in options:
            if name not in self.known_options:
                raise ValueError("unknown config param")
        self.options.update(options)

    def connect(self, ssid, password, bssid=None):
        self.log.append("connect")
        if not self.on:
            raise OSError("inactive")
        self.bssids.append(bssid)
        self.network.choose(bssid, self.takes_first)
        self.attempts.append((self.network.now_ms, ssid, password))
        self.joining_since_ms = self.network.now_ms

    def disconnect(self):
        self.log.append("disconnect")
        self.joining_since_ms = None
        self.associated = False

    def isconnected(self):
        self._advance()
        return self.on and self.associated

    def scan(self):
        """Return what is on the air; blocks, and the driver drops an attempt under way."""
        if not self.on:
            raise OSError("STA must be active")
        self.scans.append(self.network.now_ms)
        self.network.now_ms += SCAN_MS
        found = []
        for point in self.network.access_points:
            if point.answer != ABSENT and point.dbm >= NOT_FOUND_DBM:
                found.append((point.ssid, point.bssid, point.channel, point.dbm, 3, False))
        return found

    def rssi(self):
        """Return the strength of the signal of the access point that was joined."""
        if not self.associated:
            raise OSError("Wifi Not Connected")
        return self.network.access_point.dbm

    def ipconfig(self, what):
        assert what == "addr4"
        return ("10.0.0.7", "255.255.255.0")

    def answered(self):
        """Return the outcome of the present attempt, None while it is under way."""
        point = self.network.access_point
        since_ms = self.joining_since_ms
        if since_ms is None or self.network.now_ms - since_ms < point.delay_ms:
            return None
        return point.answer

    def _advance(self):
        if self.network.access_point.answer == ABSENT:
            self.associated = False
        if self.answered() == UP:
            self.associated = True
            self.joining_since_ms = None
            self.got_address()

    def got_address(self):
        pass


class Esp32Radio(Radio):
    takes_first = True  # of those with the name, by channel: its scan ends there
    known_options = ("reconnects", "pm", "txpower")

    def __init__(self, network):
        super().__init__(network)
        self.last_reason = 0  # kept until there is another one, or an address

    def connect(self, ssid, password, bssid=None):
        if self.joining_since_ms is not None or self.associated:
            raise OSError("Wifi Internal Error")
        super().connect(ssid, password, bssid)

    def disconnect(self):
        if not self.on:
            raise OSError("Wifi Not Started")
        super().disconnect()

    def active(self, on):
        super().active(on)
        if not on:
            self.joining_since_ms = None
            self.associated = False

    def status(self, what=None):
        if what == "rssi":
            return self.rssi()
        answer = self.answered()
        if answer == WRONG_PASSWORD:
            self.last_reason = self.network.STAT_WRONG_PASSWORD
        elif answer == ABSENT:
            self.last_reason = self.network.STAT_NO_AP_FOUND
        return self.last_reason or self.network.STAT_CONNECTING

    def got_address(self):
        self.last_reason = 0
        if not self.network.mdns_name:
            self.network.mdns_name = self.network.name


class PicoRadio(Radio):
    takes_first = False
    known_options = ("pm", "txpower")

    def active(self, on):
        if on and not self.on:
            self.network.country_in_use = self.network.country_code
            self.network.mdns_name = self.network.name
        if on != self.on:
            # Up to 1.25 a station that is switched off stays with its access point.
            super().active(on)

    def isconnected(self):
        self._advance()
        return self.associated

    def status(self, what=None):
        if what == "rssi":
            return self.rssi()
        answer = self.answered()
        if answer == WRONG_PASSWORD:
            return self.network.STAT_WRONG_PASSWORD
        return self.network.STAT_NO_AP_FOUND if answer == ABSENT else 1


class Station:
    """The class network.WLAN."""

    IF_STA = 0

    def __init__(self, radio):
        self._radio = radio

    def __call__(self, interface):
        assert interface == self.IF_STA
        return self._radio


class FakeNetwork:
    """The module `network`; now_ms is the radio's virtual time."""

    def __init__(self, radio=Esp32Radio):
        self.now_ms = 0
        self.access_point = AccessPoint()  # the chosen one
        self.others = []
        self.country_code = "XX"
        self.country_in_use = "XX"
        self.name = "mpy"
        self.mdns_name = ""
        self.radio = radio(self)
        if radio is PicoRadio:
            self.STAT_WRONG_PASSWORD, self.STAT_NO_AP_FOUND, self.STAT_CONNECT_FAIL = -3, -2, -1
        else:
            # This one has no STAT_CONNECT_FAIL.
            self.STAT_WRONG_PASSWORD, self.STAT_NO_AP_FOUND, self.STAT_CONNECTING = 202, 201, 1001
        self.WLAN = Station(self.radio)

    @property
    def access_points(self):
        return [self.access_point] + self.others

    def choose(self, bssid, takes_first):
        """Take an access point for an attempt: the one with a BSSID, the first or the best."""
        found = [one for one in self.access_points if one.answer != ABSENT]
        if bssid is not None:
            found = [one for one in self.access_points if one.bssid == bssid]
        if not found:
            return
        key = (lambda one: one.channel) if takes_first else (lambda one: -one.dbm)
        chosen = sorted(found, key=key)[0]
        self.others = [one for one in self.access_points if one is not chosen]
        self.access_point = chosen

    def country(self, code):
        self.country_code = code

    def hostname(self, name):
        self.name = name
