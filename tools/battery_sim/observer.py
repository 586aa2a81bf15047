"""A client that observes a resource of the simulated node.

The node is awake for moments only, so the observer registers when it sees a report pass, until
the registration is acknowledged. It never registers again: notifications arrive because the node
keeps its observers over sleep. Messages are built by hand. Runs on MicroPython.
"""

from fake_wifi import NODE_HOST

ADDRESS = ("192.168.1.9", 40000)
NODE = (NODE_HOST, 5683)
TOKEN = b"\x07"
REGISTER = b"\x41\x01\x12\x34" + TOKEN + b"\x60"  # CON GET with Observe 0
EMPTY_ACK = b"\x60\0"
ACK, CON = 2, 0
CONTENT = 0x45


class Observer:
    """notifications: [(when_ms, observe value, text, is confirmable)], each MID once."""

    def __init__(self, clock, access_point, path):
        self._request = REGISTER
        delta = 5  # Uri-Path is option 11, Observe option 6
        for part in path.split("/"):
            self._request += bytes((delta << 4 | len(part),)) + part.encode()
            delta = 0
        self.registered = False
        self.notifications = []
        self._clock = clock
        self._access_point = access_point
        self._mids = []
        access_point.endpoints[ADDRESS] = self

    def on_report(self):
        """Register, if not done yet: a report has passed, so the node is awake."""
        if not self.registered:
            self._send(self._request)

    def receive(self, data, peer):
        """Take the response to the registration, or acknowledge a notification and keep it."""
        kind, mid = data[0] >> 4 & 3, bytes(data[2:4])
        if data[1] != CONTENT or data[4:5] != TOKEN:
            return
        if kind == ACK:
            self.registered = data[5:6] in (b"\x60", b"\x61", b"\x62", b"\x63")  # has Observe
            return
        if kind == CON:
            self._send(EMPTY_ACK + mid)
        if mid in self._mids:
            return
        self._mids.append(mid)
        length = data[5] & 15
        value = int.from_bytes(data[6 : 6 + length], "big")
        text = data[data.find(b"\xff") + 1 :].decode()
        self.notifications.append((self._clock.now_ms, value, text, kind == CON))

    def summary(self):
        """Return the counts as a dict; stale: Observe values that do not rise (RFC 7641 3.4)."""
        values = [value for _, value, _, _ in self.notifications]
        steps = [values[i + 1] - values[i] & 0xFFFFFF for i in range(len(values) - 1)]
        return {
            "registered": self.registered,
            "notifications": len(self.notifications),
            "confirmable": sum([1 for one in self.notifications if one[3]]),
            "stale": sum([1 for step in steps if not 0 < step < 1 << 23]),
            "last": self.notifications[-1][2] if self.notifications else "",
        }

    def _send(self, data):
        self._access_point.transmit(self._arrive, data)

    def _arrive(self, data):
        endpoint = self._access_point.endpoints.get(NODE)
        if endpoint is not None:
            endpoint.receive(data, ADDRESS)
