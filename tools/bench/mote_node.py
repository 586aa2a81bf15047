# The simulated door with every feature on and no rate limit, and two resources that only the
# bench asks for. They are not listed, so that discovery is the door's. Arguments: HOST PORT.
import sys

import board

from apps import door
from coap import Resource
from coap.presets import node_for_board
from coap.transports.udp import run
from config import Settings
from gateway import REQUESTS

BODY = 4096


class Body(Resource):
    """A payload of four blocks."""

    listed = False

    def __init__(self):
        super().__init__()
        self.text = bytes([97 + i % 23 for i in range(BODY)])

    def get(self, request, reply):
        return self.text


class State(Resource):
    """What a PUT writes, all observers are told."""

    listed = False
    observable = True

    def __init__(self):
        super().__init__()
        self.value = b""

    def get(self, request, reply):
        return self.value

    def put(self, request, reply):
        self.value = request.payload_bytes()
        self.changed()


def serving():
    """The node: discovery, observe with conditions, block-wise, groups, client, No-Response."""
    board.power_on()
    slots = dict(board.SLOTS)
    slots["requests"] = REQUESTS
    node = node_for_board(slots, board.RECV_MAX, 0, True)
    door.setup(node, board, Settings())
    node.add("bench/body", Body())
    node.add("bench/state", State())
    return node


if __name__ == "__main__":
    run(serving(), sys.argv[1], int(sys.argv[2]))
