"""The modules network, socket and select of a simulated ESP32 or Pico W, and the access point.

Quirks of an ESP32: connect() during an attempt is an error, and with arguments it forgets the
channel that was set; status and settings are lost when the radio is switched off; nothing can be
sent before the link is up. Of a Pico W: connect() takes the channel; the radio draws its current
until deinit(), even when it is not active. Runs on MicroPython.
"""

from clock import Brownout
from fake_modules import Module

SCAN_MS = 2100
SEARCH_MS = 1700  # to find the access point where the channel is not known
ASSOCIATE_MS = 620
DHCP_MS = 890
SAG_MS = 100  # from the start of the radio until the voltage of a cold cell is too low
NODE_HOST = "192.168.1.77"
BSSID = b"\x02\x11\x22\x33\x44\x55"
SSID = "attic"
_ENETUNREACH = 118
_NEVER_MS = -1  # of up_ms: this attempt will not succeed


class AccessPoint:
    """The access point, and the datagrams on their way.

    endpoints: {(host, port): object with receive(data, peer)}; loss_pct: of datagrams;
    stuck_pct: of attempts to join; present: False during an outage; cell_is_cold: the supply of
    the node drops out when its radio transmits
    """

    def __init__(self, clock, loss_pct, stuck_pct, is_cyw43):
        self.clock = clock
        self.loss_pct = loss_pct
        self.stuck_pct = stuck_pct
        self.is_cyw43 = is_cyw43
        self.channel = 6
        self.present = True
        self.cell_is_cold = False
        self.endpoints = {}
        self.station = None
        self.radio_wakes = 0
        self.sent = self.received = self.sent_bytes = self.received_bytes = 0  # by the node
        self.stuck_joins = 0
        self.linked_ms = 0  # with an address

    def radio_draws(self):
        """Return True while the radio draws its current."""
        return self.station is not None and (self.station.on or self.station.powered)

    def transmit(self, function, argument):
        """Call function(argument) after a random delay, or lose the datagram."""
        random = self.clock.random
        if not random.happens(self.loss_pct):
            self.clock.at(self.clock.now_ms + 4 + random.below(30), function, argument)

    def modules(self):
        """Return {name: module} for a new boot of the node."""
        self.station = station = Station(self)
        network = Module()
        network.WLAN = _Wlan(station)
        network.country = lambda code: None
        network.hostname = lambda name: None
        network.ipconfig = lambda what=None, dns=None: "192.168.1.1" if what == "dns" else None
        socket = Module()
        socket.SOCK_DGRAM, socket.SOL_SOCKET, socket.SO_REUSEADDR = 2, 1, 2
        socket.getaddrinfo = lambda host, port, *hints: [(2, 2, 0, "", (host, port))]
        socket.socket = lambda *kinds: Socket(self)
        select = Module()
        select.poll = lambda: Poll(self.clock)
        return {"network": network, "socket": socket, "select": select}


class _Wlan:
    """The class network.WLAN."""

    IF_STA = 0

    def __init__(self, station):
        self._station = station

    def __call__(self, interface):
        return self._station


class Station:
    """network.WLAN(IF_STA). on: active; powered: a CYW43 that was not deinitialised."""

    def __init__(self, access_point):
        self._access_point = access_point
        self._clock = access_point.clock
        self.on = False
        self.powered = False
        self._forget()

    def _forget(self):
        self._knows_network = False
        self._channel = 0
        self._is_static = False
        self._up_ms = None  # when it will get an address; None: no attempt in progress

    def active(self, on):
        """Switch the radio on or off; its settings are lost."""
        self._access_point.radio_wakes += on and not self.on
        self.on = on
        self.powered = self._access_point.is_cyw43 and (on or self.powered)
        self._forget()
        self._clock.phase = "radio" if on else "awake"

    def deinit(self):
        """Cut the supply of a CYW43."""
        assert self._access_point.is_cyw43
        self.active(False)
        self.powered = False

    def config(self, what=None, **options):
        """Set options; only the channel has an effect. Return the access point's channel."""
        self._check_on()
        if "channel" in options:
            self._channel = options["channel"]
        return self._access_point.channel if what == "channel" else None

    def connect(self, ssid=None, key=None, bssid=None, channel=None):
        """Start to join; without arguments with those of the last time."""
        self._check_on()
        if self._up_ms is not None:
            raise OSError("Wifi Internal Error")
        point, random = self._access_point, self._clock.random
        if point.cell_is_cold:
            self._clock.wait_ms(SAG_MS)
            raise Brownout
        assert channel is None or point.is_cyw43
        if ssid is not None:
            self._knows_network = ssid == SSID and bssid in (None, BSSID)
            self._channel = channel or 0
        is_elsewhere = self._channel and self._channel != point.channel
        if not self._knows_network or not point.present or is_elsewhere:
            self._up_ms = _NEVER_MS
        elif random.happens(point.stuck_pct):
            point.stuck_joins += 1
            self._up_ms = _NEVER_MS
        else:
            span_ms = ASSOCIATE_MS + random.below(150)
            span_ms += 0 if self._channel else SEARCH_MS
            span_ms += 0 if self._is_static else DHCP_MS
            self._up_ms = self._clock.now_ms + span_ms

    def disconnect(self):
        """Leave the network, or end the attempt to join it."""
        self._check_on()
        if self.isconnected():
            self._access_point.linked_ms += self._clock.now_ms - self._up_ms
        self._up_ms = None

    def isconnected(self):
        """Return True while the station has an address and its access point."""
        up_ms = self._up_ms
        is_up = up_ms is not None and up_ms != _NEVER_MS and self._clock.now_ms >= up_ms
        return self.on and is_up and self._access_point.present

    def scan(self):
        """Return what a scan finds, after the time that it takes."""
        self._clock.wait_ms(SCAN_MS)
        neighbour = (b"next door", b"\x02\x99\x99\x99\x99\x99", 11, -60, 4, False)
        weak = (SSID.encode(), b"\x02\x77\x77\x77\x77\x77", 1, -88, 4, False)
        ours = (SSID.encode(), BSSID, self._access_point.channel, -51, 4, False)
        return [neighbour, weak, ours] if self._access_point.present else [neighbour]

    def ipconfig(self, what=None, **settings):
        """Set a static address or DHCP, or return a setting."""
        if "addr4" in settings:
            self._is_static = True
        if "dhcp4" in settings:
            self._is_static = False
        return {"addr4": (NODE_HOST, "255.255.255.0"), "gw4": "192.168.1.1"}.get(what)

    def _check_on(self):
        if not self.on:
            raise OSError("Wifi Not Started")


class Socket:
    """A UDP socket of the node; its receive queue holds six datagrams."""

    def __init__(self, access_point):
        self._access_point = access_point
        self._port = 0
        self.queue = []

    def setblocking(self, flag):
        """Accept the call: the socket never blocks."""

    def setsockopt(self, *args):
        """Accept the call: options have no effect."""

    def bind(self, address):
        """Receive on the port of `address`."""
        self._port = address[1]
        self._access_point.endpoints[(NODE_HOST, self._port)] = self

    def close(self):
        """Stop receiving."""
        self._access_point.endpoints.pop((NODE_HOST, self._port), None)

    def sendto(self, data, address):
        """Send a datagram. Raises OSError without a link."""
        point = self._access_point
        if not point.station.isconnected():
            raise OSError(_ENETUNREACH)
        point.sent += 1
        point.sent_bytes += len(data)
        point.transmit(self._arrive, (address, bytes(data)))
        return len(data)

    def recvfrom(self, size):
        """Return (data, peer) of the oldest datagram in the queue."""
        data, peer = self.queue.pop(0)
        return data[:size], peer

    def receive(self, data, peer):
        """Queue a datagram that has arrived, unless the link is down or the queue full."""
        point = self._access_point
        if point.station.isconnected() and len(self.queue) < 6:
            point.received += 1
            point.received_bytes += len(data)
            self.queue.append((data, peer))

    def _arrive(self, item):
        address, data = item
        endpoint = self._access_point.endpoints.get(address)
        if endpoint is not None:
            endpoint.receive(data, (NODE_HOST, self._port))


class Poll:
    """select.poll(): virtual time passes until a datagram arrives."""

    def __init__(self, clock):
        self._clock = clock
        self._sockets = []

    def register(self, sock, events):
        """Watch a socket or a stream; nothing ever arrives on a stream."""
        self._sockets.append(sock)

    def unregister(self, sock):
        """Stop watching the socket."""
        self._sockets.remove(sock)

    def ipoll(self, timeout_ms=-1):
        """Wait; return [(socket, POLLIN)] of those with a datagram. -1: for an hour."""
        if timeout_ms < 0:
            timeout_ms = 3_600_000
        self._clock.run_until(self._clock.now_ms + timeout_ms, self._any_ready)
        return [(sock, 1) for sock in self._sockets if _is_ready(sock)]

    def _any_ready(self):
        return any(_is_ready(sock) for sock in self._sockets)


def _is_ready(sock):
    return bool(getattr(sock, "queue", ()))
