# The simulated door with every feature on, and two resources for the bench. These are not listed,
# so that discovery returns the door's list. Arguments: [--limits] HOST PORT; with limits a node
# counts what each peer sends and gets, as boards do, but its rate is one that no client reaches.
import sys

import board

from apps import door
from coap import Resource
from coap.presets import node_for_board
from coap.transports.udp import run
from config import Settings
from gateway import REQUESTS

BODY = 4096
RATE = 1_000_000  # requests a second


class Body(Resource):
    """A payload of four blocks."""

    listed = False

    def __init__(self):
        super().__init__()
        self.text = bytes([97 + i % 23 for i in range(BODY)])

    def get(self, request, response):
        """Return the body."""
        return self.text


class State(Resource):
    """A value that a PUT writes; its observers are notified."""

    listed = False
    observable = True

    def __init__(self):
        super().__init__()
        self.value = b""

    def get(self, request, response):
        """Return the value."""
        return self.value

    def put(self, request, response):
        """Replace the value and notify the observers."""
        self.value = request.payload_bytes()
        self.changed()


def serving(has_limits=False):
    """Return a node with observe, conditions, block-wise, groups, client and No-Response."""
    board.power_on()
    slots = dict(board.SLOTS)
    slots["requests"] = REQUESTS
    if not has_limits:
        slots["amplification_bytes"] = None
    node = node_for_board(slots, board.RECV_MAX, RATE if has_limits else 0, True)
    door.setup(node, board, Settings())
    node.add("bench/body", Body())
    node.add("bench/state", State())
    return node


if __name__ == "__main__":
    run(serving(sys.argv[1] == "--limits"), sys.argv[-2], int(sys.argv[-1]))
