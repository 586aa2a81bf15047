# A node on the serial line that is its console, as on a board, and on UDP beside it; run by
# test_serial_line.py on each interpreter. Argument: UDP-PORT.
import sys

from coap.numbers import CHANGED
from coap.presets import node_for_board
from coap.resource import Resource
from coap.transports.slipmux import Slipmux
from coap.transports.udp import Udp

SLOTS = {"dedup_entries": 16, "exchanges": 4, "peers": 4, "observers": 4, "blocks": 2}


class Count(Resource):
    """How often it was posted to."""

    observable = True
    count = 0

    def get(self, request, reply):
        return str(self.count).encode()

    def post(self, request, reply):
        self.count += 1
        self.changed()
        print("posted", self.count)
        return CHANGED


node = node_for_board(SLOTS, 1152)
node.add("count", Count())
node.get("all")(lambda request, reply: bytes(range(256)) * 5)
line = Slipmux(node, open(0, "rb", buffering=0), open(1, "wb", buffering=0), shared=True)
line.say("at your service")
udp = Udp(node, "127.0.0.1", int(sys.argv[1]))
line.beside(udp)
try:
    while not line.ended:
        udp.step()
except KeyboardInterrupt:
    print("interrupted")
finally:
    line.close()
    udp.close()
