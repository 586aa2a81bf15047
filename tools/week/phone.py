"""Somebody who observes the node of a simulated week: registers once and acknowledges what comes.

The node is there for moments only, so the phone asks when it sees a report go by, until it has an
answer. It never asks again, however often the node sleeps: it hears of the door because the node
remembers it. Its messages are put together by hand.
"""

from radio import ADDRESS

HOST = ("192.168.1.9", 40000)
NODE = (ADDRESS, 5683)
REGISTER = b"\x41\x01\x12\x34\x07\x60"  # GET, token 07, Observe 0


class Phone:
    """told: [(when, number, text, confirmable)] of the notifications, repeats left out."""

    def __init__(self, world, air, path):
        self._register = REGISTER
        delta = 5
        for part in path.split("/"):  # Uri-Path: option 11, after Observe and after itself
            self._register += bytes((delta << 4 | len(part),)) + part.encode()
            delta = 0
        self.registered = False
        self.told = []
        self._world = world
        self._air = air
        self._mids = []
        air.peers[HOST] = self

    def ask(self):
        """A report went by: the node is awake."""
        if not self.registered:
            self._send(self._register)

    def take(self, data, peer):
        kind = data[0] >> 4 & 3
        if data[1] != 0x45 or data[4:5] != b"\x07":
            return
        if kind == 2:
            self.registered = data[5:6] in (b"\x60", b"\x61", b"\x62", b"\x63")
            return
        if kind == 0:
            self._send(b"\x60\0" + data[2:4])
        if data[2:4] in self._mids:
            return
        self._mids.append(bytes(data[2:4]))
        length = data[5] & 15
        number = int.from_bytes(data[6 : 6 + length], "big")
        text = data[data.find(b"\xff") + 1 :].decode()
        self.told.append((self._world.now_ms, number, text, kind == 0))

    def account(self):
        """What it came to, as a dict."""
        numbers = [number for _, number, _, _ in self.told]
        steps = [numbers[i + 1] - numbers[i] & 0xFFFFFF for i in range(len(numbers) - 1)]
        return {
            "registered": self.registered,
            "told": len(self.told),
            "confirmable": sum([1 for one in self.told if one[3]]),
            "stale": sum([1 for step in steps if not 0 < step < 1 << 23]),
            "last": self.told[-1][2] if self.told else "",
        }

    def _send(self, data):
        self._air.fly(self._arrive, data)

    def _arrive(self, data):
        end = self._air.peers.get(NODE)
        if end is not None:
            end.take(data, HOST)
