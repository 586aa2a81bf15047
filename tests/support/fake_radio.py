"""Fake `network` modules with the quirks of the ESP32 and Pico W radios, in virtual time."""

UP = "up"
WRONG_PASSWORD = "wrong password"
ABSENT = "no access point"
SILENT = "accepts and never gives an address"


class AccessPoint:
    """The outcome of a join: `answer`, one of the four above, after `delay_ms`."""

    def __init__(self, answer=UP, delay_ms=2000):
        self.answer = answer
        self.delay_ms = delay_ms


class Radio:
    """A station interface. Subclasses add the quirks of their driver."""

    def __init__(self, network):
        self.network = network
        self.on = False
        self.joining_since_ms = None
        self.associated = False
        self.attempts = []  # (when, ssid, password)
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

    def connect(self, ssid, password):
        self.log.append("connect")
        if not self.on:
            raise OSError("inactive")
        self.attempts.append((self.network.now_ms, ssid, password))
        self.joining_since_ms = self.network.now_ms

    def disconnect(self):
        self.log.append("disconnect")
        self.joining_since_ms = None
        self.associated = False

    def isconnected(self):
        self._advance()
        return self.on and self.associated

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
    known_options = ("reconnects", "pm", "txpower")

    def __init__(self, network):
        super().__init__(network)
        self.last_reason = 0  # kept until there is another one, or an address

    def connect(self, ssid, password):
        if self.joining_since_ms is not None:
            raise OSError("Wifi Internal Error")
        super().connect(ssid, password)

    def disconnect(self):
        if not self.on:
            raise OSError("Wifi Not Started")
        super().disconnect()

    def active(self, on):
        super().active(on)
        if not on:
            self.joining_since_ms = None
            self.associated = False

    def status(self):
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

    def status(self):
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
        self.access_point = AccessPoint()
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

    def country(self, code):
        self.country_code = code

    def hostname(self, name):
        self.name = name
