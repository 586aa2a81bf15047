"""The gateway of a simulated week: a Mote node that takes reports, and keeps what they told."""

from radio import ADDRESS

from coap import CoapError, Node, Resource
from coap.numbers import BAD_REQUEST

HOST = ("192.168.1.2", 5683)
LID = 2  # added to a level of the lid
ROW = ("hr", "spo2", "steps", "temp")


class Receiver:
    """told: {number: (level, when it happened in ms, when it was told)}, each number once.

    unknowns: when the node said that nobody knows what is missing; repeats: events that came again
    """

    def __init__(self, world, air, name):
        self.told = {}
        self.unknowns = []
        self.rows = {}  # of a wearable: {number: (names, when measured in ms, when told)}
        self.lost = 0
        self.repeats = 0
        self.reports = 0
        self.last_ms = 0  # when the last one came
        self.batteries = []
        self.beats = []
        self.on_report = None  # called when one has come
        self.longest = 0  # bytes of a report's datagram
        self._world = world
        self._air = air
        self._node = Node()
        self._node.seed(b"\5\6\7\x08")
        self._node.add("r/" + name, _Mailbox(self))
        air.peers[HOST] = self

    def take(self, data, peer):
        self.longest = max(self.longest, len(data))
        n = self._node.datagram(data, len(data), peer, self._world.now_ms & 0x3FFFFFFF)
        if n:
            self._air.fly(self._arrive, (peer, bytes(self._node.tx_view(n))))

    def report(self, records):
        """Take one pack, a list of maps."""
        self.reports += 1
        self.last_ms = self._world.now_ms
        if self.on_report is not None:
            self.on_report()
        now_ms = self._world.now_ms
        events = []
        number = None
        base_ms = now_ms + 1000 * records[0].get(-3, 0)
        rows = {}  # names by the time of their row
        row_number = None
        for record in records:
            name = record[0]
            if name in ROW:
                when_ms = base_ms + 1000 * record.get(6, 0)
                rows.setdefault(when_ms, []).append(name)
            elif name == "row_n":
                row_number = record[2]
            if name in ("contact", "tamper"):
                level = LID * (name == "tamper") + record[4]
                events.append((level, now_ms + 1000 * record.get(6, 0)))
            elif name == "contact_n":
                number = record[2]
            elif name == "batt":
                self.batteries.append(record[2])
            elif name == "beat":
                self.beats.append(record[2])
            elif name == "lost" and 3 in record:
                self.unknowns.append(now_ms)
            elif name == "lost":
                self.lost += record[2]
        for back, when_ms in enumerate(sorted(rows, reverse=True)):
            if row_number - back in self.rows:
                self.repeats += 1
            else:
                self.rows[row_number - back] = (rows[when_ms], when_ms, now_ms)
        if number is None:
            return  # a heartbeat: the present state
        for back, (level, when_ms) in enumerate(reversed(events)):
            self._event(number - back, level, when_ms)

    def _event(self, number, level, when_ms):
        if number in self.told:
            self.repeats += 1
        else:
            self.told[number] = (level, when_ms, self._world.now_ms)

    def _arrive(self, item):
        peer, data = item
        end = self._air.peers.get(peer)
        if end is not None and peer[0] == ADDRESS:
            end.take(data, HOST)


class _Mailbox(Resource):
    accepts = (112,)

    def __init__(self, receiver):
        super().__init__()
        self._receiver = receiver

    def post(self, request, reply):
        try:
            records, end = decode(request.payload_bytes(), 0)
        except (IndexError, ValueError):
            raise CoapError(BAD_REQUEST)
        if end != request.payload_length:
            raise CoapError(BAD_REQUEST)
        self._receiver.report(records)


def decode(data, at):
    """(value, where it ends) of the CBOR item at `at`: what SenML packs are made of."""
    major, n = data[at] >> 5, data[at] & 31
    at += 1
    if n > 23 and major != 7:
        size = 1 << (n - 24)
        n = int.from_bytes(data[at : at + size], "big")
        at += size
    if major == 0:
        return n, at
    if major == 1:
        return -1 - n, at
    if major == 3:
        return data[at : at + n].decode(), at + n
    if major == 4:
        out = []
        for _ in range(n):
            value, at = decode(data, at)
            out.append(value)
        return out, at
    if major == 5:
        out = {}
        for _ in range(n):
            key, at = decode(data, at)
            out[key], at = decode(data, at)
        return out, at
    if major == 6 and n == 4:
        (exponent, mantissa), at = decode(data, at)
        return mantissa * 10**exponent, at
    if major == 7 and n in (20, 21):
        return n == 21, at
    raise ValueError("no CBOR that a report has")
