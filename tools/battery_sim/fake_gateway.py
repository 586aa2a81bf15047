"""The gateway of a simulated node: a Mote node that takes reports and keeps what they contain.

Runs on MicroPython.
"""

from fake_wifi import NODE_HOST

from coap import Node, Resource
from coap.numbers import SENML_CBOR
from support.cbor import decode_cbor

ADDRESS = ("192.168.1.2", 5683)
ROW_NAMES = ("hr", "spo2", "steps", "temp")
CONTACTS = ("contact", "tamper")
# Labels of SenML in CBOR (RFC 8428, section 6)
_BASE_TIME, _NAME, _VALUE, _STRING, _BOOLEAN, _TIME = -3, 0, 2, 3, 4, 6


class Gateway:
    """Keeps each number of an event or row once.

    events: {(epoch, number): (contact, level, when_ms, received_ms)}
    rows: {(epoch, number): (names, measured_ms, received_ms)} of a wearable
    unknown_ms: times at which the node said that it does not know what is missing
    discarded: rows or events that the node said it has pushed out
    repeats: events or rows that came again
    """

    def __init__(self, clock, access_point, node_name):
        self.events = {}
        self.rows = {}
        self.unknown_ms = []
        self.discarded = 0
        self.repeats = 0
        self.reports = 0
        self.last_ms = 0  # when the last report came
        self.on_report = None  # called when a report has come
        self.longest_bytes = 0  # of a received datagram
        self._clock = clock
        self._access_point = access_point
        self._node = Node()
        self._node.seed(b"\5\6\7\x08")
        self._node.add("r/" + node_name, _Mailbox(self))
        access_point.endpoints[ADDRESS] = self

    def receive(self, data, peer):
        """Pass a datagram to the node and send its response."""
        self.longest_bytes = max(self.longest_bytes, len(data))
        n = self._node.datagram(data, len(data), peer, self._clock.now_ms & 0x3FFFFFFF)
        if n:
            response = bytes(self._node.tx_view(n))
            self._access_point.transmit(self._arrive, (peer, response))

    def take_report(self, records):
        """Keep one SenML pack, a list of dicts by label."""
        self.reports += 1
        self.last_ms = now_ms = self._clock.now_ms
        if self.on_report is not None:
            self.on_report()
        base_ms = now_ms + 1000 * records[0].get(_BASE_TIME, 0)
        events = []
        rows = {}  # names by the time of their row
        event_number = row_number = epoch = None
        for record in records:
            name = record[_NAME]
            age_ms = 1000 * record.get(_TIME, 0)  # negative
            if name in ROW_NAMES:
                rows.setdefault(base_ms + age_ms, []).append(name)
            elif name in CONTACTS:
                events.append((name, int(record[_BOOLEAN]), now_ms + age_ms))
            elif name == "row_n":
                row_number = record[_VALUE]
            elif name == "epoch":
                epoch = record[_STRING]
            elif name == "contact_n":
                event_number = record[_VALUE]
            elif name == "lost" and _STRING in record:
                self.unknown_ms.append(now_ms)
            elif name == "lost":
                self.discarded += record[_VALUE]
        for back, when_ms in enumerate(sorted(rows, reverse=True)):
            self._keep(self.rows, (epoch, row_number - back), (rows[when_ms], when_ms, now_ms))
        if event_number is not None:  # else a heartbeat: the present state, no events
            for back, event in enumerate(reversed(events)):
                self._keep(self.events, (epoch, event_number - back), event + (now_ms,))

    def _keep(self, table, name, entry):
        if name in table:
            self.repeats += 1
        else:
            table[name] = entry

    def _arrive(self, item):
        peer, data = item
        endpoint = self._access_point.endpoints.get(peer)
        if endpoint is not None and peer[0] == NODE_HOST:
            endpoint.receive(data, ADDRESS)


class _Mailbox(Resource):
    accepts = (SENML_CBOR,)

    def __init__(self, gateway):
        super().__init__()
        self._gateway = gateway

    def post(self, request, response):
        self._gateway.take_report(decode_cbor(request.payload_bytes()))
