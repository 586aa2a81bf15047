# A node, run by test_observe_restarts.py on each interpreter, with four observers, whose resource
# counts. It gives silent peers up after 1.4 to 2.1 s. Argument: PORT.
import sys

from coap.presets import Node, default_extensions
from coap.transports.udp import run

PERIOD_MS = 300

node = Node(*default_extensions(observers=4), ack_timeout_ms=200)
count = [0]


@node.get("count", observable=True)
def get(request, reply):
    return str(count[0])


def advance(now_ms):
    count[0] += 1
    node.resource_at("count").changed()


node.every(PERIOD_MS, advance)
run(node, "127.0.0.1", int(sys.argv[1]))
