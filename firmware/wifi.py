"""The Wi-Fi link of a node that does not sleep: joined, and joined again after a loss.

poll() never blocks for long. `network` (the module) and the time are arguments, so that a test can
simulate a night of losses. Differences between the radios' drivers:

- ESP32 and CYW43 keep their state over a soft reset, and on ESP32 connect() raises "Wifi Internal
  Error" while an earlier attempt is under way (github.com/micropython/micropython/issues/17661):
  every attempt starts with the radio switched off. Up to 1.25 the Pico W stays associated when it
  is switched off (pull 17305 there), so disconnect() comes first.
- The Pico W reads country and host name when the radio is switched on, ESP32 gives its name to
  mDNS at the first address after power-on: both are set before anything else.
- ESP32 reports the reason of an earlier failure until the new attempt has one of its own
  (wifi_sta_disconn_reason in ports/esp32/network_wlan.c): the reason is ignored at first.
"""

from roaming import Roaming

_WRAP = 0x3FFFFFFF  # time.ticks_ms() wraps at 2**30
_SETTLE_MS = 4000  # during this time a reason may be that of the previous attempt
_JOIN_MS = 20000  # limit of scan, handshake and DHCP
_RETRY_MIN_MS = 1000
_RETRY_MAX_MS = 60000
_REASONS = (
    ("STAT_WRONG_PASSWORD", "wrong password"),
    ("STAT_NO_AP_FOUND", "no such network in reach"),
    ("STAT_CONNECT_FAIL", "refused by the access point"),
)


class WifiLink:
    """A station's link to one access point, driven by poll().

    access         {"ssid", "password", "country"}, see config.load_secrets()
    hostname       name for DHCP and mDNS, without ".local"
    options        keywords for WLAN.config() of this board
    random_below   random_below(n) returns 0 to n-1: spreads the retries of many nodes
    say            say(line) writes to the log

    up             True while the link has an address
    address        its last address, "" before the first one
    joins, losses  how often the link came up and was lost
    is_idle        returns True if no exchange is open, set by the main loop: the link may then
                   look for a better access point
    """

    step_ms = 250  # interval of poll() while the link is down
    is_idle = None

    def __init__(self, network, access, hostname, options=None, random_below=None, say=print):
        self.up = False
        self.address = ""
        self.joins = 0
        self.losses = 0
        self._network = network
        self._wlan = network.WLAN(network.WLAN.IF_STA)
        self._access = access
        self._hostname = hostname
        self._options = options or {}
        self._random_below = random_below
        self._say = say
        self._roaming = Roaming(self._wlan, access["ssid"], say)
        self._bssid = None  # of the access point to move to
        self._joining = False
        self._since_ms = 0
        self._wait_ms = 0  # until the next attempt
        self._retry_ms = _RETRY_MIN_MS
        self._reasons = [
            (getattr(network, name), text) for name, text in _REASONS if hasattr(network, name)
        ]

    def poll(self, now_ms):
        """Join or check the link; return True while it is up. Call it several times a second."""
        if self.up:
            if not self._wlan.isconnected():
                self._lost(now_ms)
            elif not self._moves(now_ms):
                return True
        elif self._joining:
            if self._wlan.isconnected():
                return self._joined(now_ms)
            reason = self._failure(now_ms)
            if reason:
                self._failed(reason, now_ms)
        if not self._joining and _elapsed_ms(now_ms, self._since_ms) >= self._wait_ms:
            self._join(now_ms)
        return False

    def close(self):
        """Leave the network and switch the radio off."""
        self.up = self._joining = False
        self._radio_off()

    def _join(self, now_ms):
        self._since_ms = now_ms
        self._joining = True
        try:
            self._radio_off()
            country = self._access["country"]
            if country:
                self._network.country(country)
            self._network.hostname(self._hostname)
            self._wlan.active(True)
            if self._options:
                self._wlan.config(**self._options)
            ssid, password = self._access["ssid"], self._access["password"]
            if self._bssid is None:
                self._wlan.connect(ssid, password)
            else:
                self._wlan.connect(ssid, password, bssid=self._bssid)
        except OSError as error:
            self._failed(str(error), now_ms)

    def _joined(self, now_ms):
        self._joining = False
        self._bssid = None
        self._roaming.joined(now_ms)
        self.up = True
        self.joins += 1
        self._retry_ms = _RETRY_MIN_MS
        self.address = self._wlan.ipconfig("addr4")[0]
        self._say("Wi-Fi: {} is {}.local".format(self.address, self._hostname))
        return True

    def _moves(self, now_ms):
        """Return True if the link leaves its access point for a better one."""
        if self.is_idle is None:
            return False
        self._bssid = self._roaming.find_better(now_ms, self.is_idle)
        if self._bssid is None:
            return False
        self.up = False
        self._since_ms = now_ms
        self._wait_ms = 0
        return True

    def _lost(self, now_ms):
        self.up = False
        self.losses += 1
        self._say("Wi-Fi: link lost")
        self._since_ms = now_ms
        self._wait_ms = 0

    def _failure(self, now_ms):
        elapsed_ms = _elapsed_ms(now_ms, self._since_ms)
        if elapsed_ms >= _JOIN_MS:
            return "no response for {} s".format(_JOIN_MS // 1000)
        if elapsed_ms >= _SETTLE_MS:
            status = self._wlan.status()
            for value, text in self._reasons:
                if status == value:
                    return text
        return None

    def _failed(self, reason, now_ms):
        self._joining = False
        self._since_ms = now_ms
        if self._bssid is not None:
            self._bssid = None  # the better one does not take the node: back to any
            self._wait_ms = 0
            self._say("Wi-Fi: {}; back to any access point".format(reason))
            return
        self._wait_ms = self._retry_ms
        if self._random_below:
            self._wait_ms += self._random_below(self._retry_ms // 2)
        self._retry_ms = min(2 * self._retry_ms, _RETRY_MAX_MS)
        self._say("Wi-Fi: {}; next try in {} s".format(reason, (self._wait_ms + 500) // 1000))

    def _radio_off(self):
        try:
            self._wlan.disconnect()
        except OSError:
            pass  # it was off already
        self._wlan.active(False)


def _elapsed_ms(now_ms, then_ms):
    return (now_ms - then_ms) & _WRAP
