"""A client that observes a resource of the simulated node.

The node is awake for moments only, so the observer registers when it sees a report pass, until
the registration is acknowledged. It never registers again: notifications arrive because the node
keeps its observers over sleep. Runs on MicroPython.
"""

from fake_wifi import NODE_HOST

from coap.numbers import ACK, CON, CONTENT, GET, OBSERVE
from support.engine import decode, encode, request

ADDRESS = ("192.168.1.9", 40000)
NODE = (NODE_HOST, 5683)
TOKEN = b"\x07"


class Observer:
    """notifications: [(when_ms, observe value, text, is confirmable)], each MID once."""

    def __init__(self, clock, access_point, path):
        self.registered = False
        self.notifications = []
        self._registration = request(GET, path, token=TOKEN, options=((OBSERVE, b""),))
        self._clock = clock
        self._access_point = access_point
        self._mids = []
        access_point.endpoints[ADDRESS] = self

    def on_report(self):
        """Register unless that is done: a report has passed, so the node is awake."""
        if not self.registered:
            self._send(self._registration)

    def receive(self, data, peer):
        """Receive the response to the registration, or acknowledge and store a notification."""
        message = decode(data)
        if message.code != CONTENT or message.token != TOKEN:
            return
        if message.kind == ACK:
            self.registered = message.uint(OBSERVE) is not None
            return
        if message.kind == CON:
            self._send(encode(ACK, 0, message.mid))
        if message.mid in self._mids:
            return
        self._mids.append(message.mid)
        entry = (message.uint(OBSERVE), message.payload.decode(), message.kind == CON)
        self.notifications.append((self._clock.now_ms,) + entry)

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
