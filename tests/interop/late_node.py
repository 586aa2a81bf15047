# A node, run by test_separate.py on each interpreter, whose answers come late (RFC 7252 section
# 5.2.2). Argument: PORT.
import sys

from coap import SEPARATE, Node
from coap.transports.udp import run

DELAY_MS = 200

node = Node()


@node.get("late")
def late(request, reply):
    ticket = request.defer()
    node.after(DELAY_MS, lambda now_ms: node.respond(ticket, b"at last"))
    return SEPARATE


@node.put("late")
def refused(request, reply):
    ticket = request.defer()
    node.after(DELAY_MS, lambda now_ms: node.respond(ticket, 0x83))
    return SEPARATE


run(node, "127.0.0.1", int(sys.argv[1]))
