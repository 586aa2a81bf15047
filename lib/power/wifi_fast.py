"""Joining a Wi-Fi network in a second: no scan and no DHCP as long as nothing has changed.

Access point (BSSID), channel, address, mask, gateway and name server of the last full join are
kept. With them a station neither scans nor requests an address. After two fast attempts in a row
that failed, or with an address that is a day old, a full join follows.

The order of calls differs by port:

- ESP32: connect(ssid, key) overwrites the channel that config(channel=) has set
  (github.com/micropython/micropython/pull/11819). So connect() is called with everything and
  broken off, then the channel is set, then connect() is called again without arguments.
- RP2: connect() itself takes bssid= and channel=. The radio draws current until deinit().
- Both: an attempt starts with the radio switched off; country and host name are set before it is
  switched on, and the address after that.
"""

from micropython import const

UP = 1
JOINING = 0
FAILED = -1

_MASK = const(0x3FFFFFFF)
_FAST_MS = const(3000)  # limit of a fast attempt
_FULL_MS = const(10000)  # limit of a full join, after its scan
_TRIES = const(2)  # fast attempts in a row
_LEASE_S = const(86400)
_BYTES = const(28)
_HIDDEN = bytes(6)  # in place of the BSSID of a hidden network
_VERSION = const(1)


class FastJoin:
    """A Wi-Fi link that is started and stopped at each wake.

    network: the module; access: {"ssid", "password", "country"}; platform: sys.platform;
    hostname: for DHCP and mDNS; options: keywords for WLAN.config(); say(line): writes to the log.

    address: of the node while the link is up, else "".
    joins, fast_joins: how often the link came up, and how often of these by a fast attempt.
    fast: the current attempt is a fast one.
    """

    def __init__(self, network, access, hostname, platform, options=None, say=print):
        self.address = ""
        self.joins = self.fast_joins = 0
        self.fast = False
        self._network = network
        self._access = access
        self._hostname = hostname
        self._rp2 = platform == "rp2"
        self._options = options or {}
        self._say = say
        self._wlan = None
        self._since_ms = 0
        self._failures = 0  # fast attempts in a row
        self._leased_s = 0
        self._point = None  # (bssid, channel)
        self._net = None  # (address, mask, gateway, name server)

    def start(self, now_ms, now_s):
        """Begin an attempt."""
        self._since_ms = now_ms
        known = self._point is not None and self._net is not None
        fresh = (now_s - self._leased_s) & _MASK < _LEASE_S
        self.fast = known and fresh and self._failures < _TRIES
        if self._wlan is None:
            self._wlan = self._network.WLAN(self._network.WLAN.IF_STA)
        self._radio_off()
        if self._access["country"]:
            self._network.country(self._access["country"])
        self._network.hostname(self._hostname)
        self._wlan.active(True)
        if self._options:
            self._wlan.config(**self._options)
        if self.fast:
            self._start_fast(self._point, self._net)
        else:
            self._start_full()
            self._since_ms = -1  # the time limit starts after the scan, which may take long

    def poll(self, now_ms, now_s):
        """Return UP, JOINING or FAILED; after FAILED call start() or stop()."""
        if self._wlan.isconnected():
            if not self.address:
                self._joined(now_s)
            return UP
        if self._since_ms < 0:
            self._since_ms = now_ms
        if (now_ms - self._since_ms) & _MASK < (_FAST_MS if self.fast else _FULL_MS):
            return JOINING
        if self.fast:
            self._failures += 1
        return FAILED

    def on_report(self, is_acknowledged):
        """Note whether a report over this link got a response.

        One without counts as a failed attempt: the address may be another node's by now, or of a
        router that is gone.
        """
        if is_acknowledged:
            self._failures = 0
        elif self.fast:
            self._failures += 1

    def stop(self):
        """Switch the radio off, so that it draws no current."""
        self.address = ""
        if self._wlan is not None:
            self._radio_off()
            if self._rp2:
                self._wlan.deinit()
            self._wlan = None

    def _start_fast(self, point, net):
        bssid, channel = point
        named = {} if bssid == _HIDDEN else {"bssid": bssid}
        address, mask, gateway, dns = net
        self._wlan.ipconfig(addr4=(address, mask), gw4=gateway)
        self._network.ipconfig(dns=dns)
        ssid, password = self._access["ssid"], self._access["password"]
        if self._rp2:
            if channel:
                named["channel"] = channel
            self._wlan.connect(ssid, password, **named)
        else:
            self._wlan.connect(ssid, password, **named)
            self._wlan.disconnect()
            self._wlan.config(channel=channel)
            self._wlan.connect()

    def _start_full(self):
        ssid = self._access["ssid"]
        self._point = best(self._wlan.scan(), ssid.encode())
        self._wlan.ipconfig(dhcp4=True)
        if self._point is None:  # a hidden network, or none
            self._wlan.connect(ssid, self._access["password"])
        else:
            self._wlan.connect(ssid, self._access["password"], bssid=self._point[0])

    def _joined(self, now_s):
        address, mask = self._wlan.ipconfig("addr4")[:2]
        self.address = address
        self.joins += 1
        if self.fast:
            self.fast_joins += 1
        else:
            self._failures = 0
            if self._point is None:
                # a hidden network: no scan names its access point. A Pico W only knows the
                # channel of an access point of its own.
                self._point = (_HIDDEN, 0 if self._rp2 else self._wlan.config("channel"))
            dns = self._network.ipconfig("dns")
            self._net = (address, mask, self._wlan.ipconfig("gw4"), dns)
            self._leased_s = now_s & _MASK
            self._say("Wi-Fi: {} is {}.local".format(address, self._hostname))

    def _radio_off(self):
        try:
            self._wlan.disconnect()
        except OSError:
            pass  # it was off already
        self._wlan.active(False)

    # Across a sleep

    def state(self):
        """Return what a fast join needs as bytes; b"" if nothing is known."""
        if self._point is None or self._net is None:
            return b""
        out = bytes((_VERSION, min(self._failures, _TRIES), self._point[1])) + self._point[0]
        for number in self._net:
            out += packed(number)
        # minutes are exact enough: the limit is a day
        return out + (self._leased_s // 60).to_bytes(3, "big")

    def restore(self, blob):
        """Restore what state() returned. Return False if it is not usable."""
        if len(blob) != _BYTES or blob[0] != _VERSION:
            return False
        self._failures = blob[1]
        self._point = (bytes(blob[3:9]), blob[2])
        self._net = tuple([".".join([str(n) for n in blob[i : i + 4]]) for i in (9, 13, 17, 21)])
        self._leased_s = int.from_bytes(blob[25:28], "big") * 60
        return True


def best(found, ssid):
    """Return (bssid, channel) of the network's access point with the best signal, or None."""
    strongest = None
    for point in found:
        if point[0] == ssid and (strongest is None or point[3] > strongest[3]):
            strongest = point
    return None if strongest is None else (bytes(strongest[1]), strongest[2])


def packed(address):
    """Return a numeric IPv4 address as 4 bytes."""
    return bytes([int(part) for part in address.split(".")])
