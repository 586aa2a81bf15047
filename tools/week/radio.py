"""The modules network, socket and select of a simulated ESP32 or Pico W, and the air in between.

Quirks of an ESP32: connect() while an attempt is under way is an error, and with arguments it
forgets the channel that was set; status and settings are lost when the radio is switched off;
before the link is up there is no way to send. Of a Pico W: connect() takes the channel; the radio
draws its current until deinit(), even when it is not active.
"""

from board_fakes import Module

SCAN_MS = 2100
ALL_CHANNELS_MS = 1700  # until the access point is found, where the channel is not known
ASSOCIATE_MS = 620
DHCP_MS = 890
ADDRESS = "192.168.1.77"
BSSID = b"\x02\x11\x22\x33\x44\x55"
SSID = "attic"
_ENETUNREACH = 118


class Air:
    """The access point, and datagrams on their way. peers: {(host, port): end with take()}."""

    def __init__(self, world, loss_pct=0, stuck_pct=0, is_cyw43=False):
        self.world = world
        self.is_cyw43 = is_cyw43
        self.radio_wakes = 0
        self.loss_pct = loss_pct
        self.stuck_pct = stuck_pct
        self.channel = 6
        self.present = True
        self.peers = {}
        self.station = None
        self.sent = self.came = self.sent_bytes = self.came_bytes = 0
        self.stuck = 0  # attempts that got nowhere
        self.linked_ms = 0  # with an address

    def drains(self):
        """Does the radio draw its current?"""
        return self.station is not None and (self.station.on or self.station.powered)

    def up(self):
        """Does the station have an address?"""
        return self.station is not None and self.station.isconnected()

    def fly(self, where, argument):
        """Carry a datagram, or lose it."""
        if not self.world.chance.percent(self.loss_pct):
            delay_ms = 4 + self.world.chance.below(30)
            self.world.at(self.world.now_ms + delay_ms, where, argument)

    def modules(self):
        """{name: module}, made anew for each life."""
        self.station = Station(self)
        network = Module()
        wlan = lambda interface: self.station  # noqa: E731
        network.WLAN = _Class(wlan)
        network.country = lambda code: None
        network.hostname = lambda name: None
        network.ipconfig = self._ipconfig
        socket = Module()
        socket.SOCK_DGRAM, socket.SOL_SOCKET, socket.SO_REUSEADDR = 2, 1, 2
        socket.getaddrinfo = lambda host, port, *hints: [(2, 2, 0, "", (host, port))]
        socket.socket = lambda *kinds: Socket(self)
        select = Module()
        select.poll = lambda: Poll(self.world)
        return {"network": network, "socket": socket, "select": select}

    def _ipconfig(self, what=None, dns=None):
        return "192.168.1.1" if what == "dns" else None


class _Class:
    IF_STA = 0

    def __init__(self, make):
        self._make = make

    def __call__(self, interface):
        return self._make(interface)


class Station:
    """network.WLAN(IF_STA) of an ESP32."""

    def __init__(self, air):
        self.air = air
        self.on = False
        self.powered = False  # a CYW43 that was not deinitialised
        self.up_ms = None
        self.forget()

    def forget(self):
        self.known = False  # the network's name
        self.channel = 0
        self.static = False
        self.up_ms = None  # when it has an address; None: not trying

    def active(self, on):
        self.air.radio_wakes += on and not self.on
        self.on = on
        self.powered = self.air.is_cyw43 and (on or self.powered)
        self.forget()
        self.air.world.phase = "radio" if on else "awake"

    def deinit(self):
        assert self.air.is_cyw43
        self.active(False)
        self.powered = False

    def config(self, what=None, **options):
        if not self.on:
            raise OSError("Wifi Not Started")
        if "channel" in options:
            self.channel = options["channel"]

    def connect(self, ssid=None, key=None, bssid=None, channel=None):
        if not self.on:
            raise OSError("Wifi Not Started")
        if self.up_ms is not None:
            raise OSError("Wifi Internal Error")
        assert channel is None or self.air.is_cyw43
        if ssid is not None:
            self.known = ssid == SSID and bssid in (None, BSSID)
            self.channel = channel or 0
        air = self.air
        if not self.known or not air.present or (self.channel and self.channel != air.channel):
            self.up_ms = -1
        elif air.world.chance.percent(air.stuck_pct):
            air.stuck += 1
            self.up_ms = -1
        else:
            span_ms = ASSOCIATE_MS + air.world.chance.below(150)
            span_ms += 0 if self.channel else ALL_CHANNELS_MS
            span_ms += 0 if self.static else DHCP_MS
            self.up_ms = air.world.now_ms + span_ms

    def disconnect(self):
        if not self.on:
            raise OSError("Wifi Not Started")
        if self.isconnected():
            self.air.linked_ms += self.air.world.now_ms - self.up_ms
        self.up_ms = None

    def isconnected(self):
        up_ms = self.up_ms
        up = up_ms is not None and up_ms >= 0 and self.air.world.now_ms >= up_ms
        return self.on and up and self.air.present

    def scan(self):
        self.air.world.pass_ms(SCAN_MS)
        neighbour = (b"next door", b"\x02\x99\x99\x99\x99\x99", 11, -60, 4, False)
        weak = (SSID.encode(), b"\x02\x77\x77\x77\x77\x77", 1, -88, 4, False)
        ours = (SSID.encode(), BSSID, self.air.channel, -51, 4, False)
        return [neighbour, weak, ours] if self.air.present else [neighbour]

    def ipconfig(self, what=None, **settings):
        if "addr4" in settings:
            self.static = True
        if "dhcp4" in settings:
            self.static = False
        return {"addr4": (ADDRESS, "255.255.255.0"), "gw4": "192.168.1.1"}.get(what)


class Socket:
    def __init__(self, air):
        self._air = air
        self.queue = []
        self._port = 0

    def setblocking(self, flag):
        pass

    def setsockopt(self, *args):
        pass

    def bind(self, address):
        self._port = address[1]
        self._air.peers[(ADDRESS, self._port)] = self

    def close(self):
        self._air.peers.pop((ADDRESS, self._port), None)

    def sendto(self, data, address):
        air = self._air
        if not air.up():
            raise OSError(_ENETUNREACH)
        air.sent += 1
        air.sent_bytes += len(data)
        air.fly(self._arrive, (address, bytes(data)))
        return len(data)

    def recvfrom(self, size):
        data, peer = self.queue.pop(0)
        return data[:size], peer

    def take(self, data, peer):
        if self._air.up() and len(self.queue) < 6:
            self._air.came += 1
            self._air.came_bytes += len(data)
            self.queue.append((data, peer))

    def _arrive(self, item):
        address, data = item
        end = self._air.peers.get(address)
        if end is not None:
            end.take(data, (ADDRESS, self._port))


class Poll:
    """select.poll(): time passes until a datagram comes."""

    def __init__(self, world):
        self._world = world
        self._sockets = []

    def register(self, sock, events):
        self._sockets.append(sock)

    def unregister(self, sock):
        self._sockets.remove(sock)

    def ipoll(self, timeout_ms=-1):
        if timeout_ms < 0:
            timeout_ms = 3_600_000
        self._world.until(self._world.now_ms + timeout_ms, self._ready)
        return [(sock, 1) for sock in self._sockets if _has_come(sock)]

    def _ready(self):
        return any(_has_come(sock) for sock in self._sockets)


def _has_come(sock):
    return getattr(sock, "queue", ())  # nothing comes over the serial line of safe mode
