"""The gateway of tools/gateway at the other end of stdin and stdout, see real_gateway.py.

Runs on MicroPython. Each datagram of the node is a line on stdout, `send MILLISECONDS HEX`; what
comes back are lines on stdin, `HEX`, the last one empty. The node's time stands still meanwhile.
"""

import json
import sys
from binascii import hexlify, unhexlify

from fake_gateway import ADDRESS, NODE_HOST

_POST = 2


class PipedGateway:
    """Passes datagrams on. The attributes are those of fake_gateway.Gateway, of a door."""

    def __init__(self, clock, access_point):
        self.events = {}
        self.rows = {}
        self.unknown_ms = []
        self.discarded = 0
        self.repeats = 0
        self.reports = 0
        self.last_ms = 0
        self.on_report = None
        self.longest_bytes = 0
        self._clock = clock
        self._access_point = access_point
        self._mid = b""
        access_point.endpoints[ADDRESS] = self

    def receive(self, data, peer):
        """Pass a datagram to the gateway and send what it sends back."""
        self.longest_bytes = max(self.longest_bytes, len(data))
        print("send", self._clock.now_ms, hexlify(data).decode())
        for response in lines():
            response = unhexlify(response)
            self._access_point.transmit(self._arrive, (peer, response))
            is_success = response[1] >> 5 == 2 and response[2:4] == data[2:4]
            if data[1] == _POST and is_success and data[2:4] != self._mid:
                self._mid = data[2:4]
                self.reports += 1
                self.last_ms = self._clock.now_ms

    def fetch_events(self):
        """Fetch what the gateway has stored."""
        print("events")
        (text,) = lines()
        told = json.loads(text)
        self.unknown_ms = told["unknown_ms"]
        self.discarded = told["discarded"]
        self.repeats = told["repeats"]
        for epoch, number, source, level, when_ms, received_ms in told["events"]:
            self.events[epoch, number] = (source, level, when_ms, received_ms)

    def _arrive(self, item):
        peer, data = item
        endpoint = self._access_point.endpoints.get(peer)
        if endpoint is not None and peer[0] == NODE_HOST:
            endpoint.receive(data, ADDRESS)


def lines():
    """Return the lines on stdin up to an empty one."""
    found = []
    while True:
        line = sys.stdin.readline().strip()
        if not line:
            return found
        found.append(line)
