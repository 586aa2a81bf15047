"""A node on a serial line, asked by slipmux: for tools that have one question after the other."""

import select
import time

from coap.client import Client
from coap.node import Node
from coap.transports.slip import fcs16
from coap.transports.slipmux import Slipmux
from host.device import Problem
from host.serial_port import find_device, open_port

PINGS = 3
PING_S = 0.5
ANSWER_S = 10
CON_EMPTY = 0x40
CONTROL = bytes(range(1, 32)) + b"\x7f\xc0\xdb"


class Asker(Node):
    """A node that asks, and notes that its ping was answered."""

    ponged = False

    def rejected(self, view):
        self.ponged = True


class SerialNode:
    """Raises Problem when the line cannot be opened."""

    def __init__(self, dev):
        self.port = open_port(find_device(dev))
        self.client = Client(1)
        self.node = Asker(self.client)
        self.line = Slipmux(self.node, self.port, waits=False)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Gives the line back."""
        self.line.close()
        self.port.close()

    def is_there(self):
        """Does a node answer a ping? Where none runs, the line may lead to a REPL."""
        for _ in range(PINGS):
            self.line.send(harmless_ping())
            if self._wait(lambda: self.node.ponged, PING_S):
                return True
        return False

    def ask(self, method, path, payload=b"", content_format=None):
        """Returns (code, payload) of the answer. Raises Problem when none comes."""
        got = []
        call = self.client.request(self.line, method, path, payload)
        if content_format is not None:
            call.content_format = content_format
        call.tell(lambda response: got.append((response, response.code, response.payload_bytes())))
        if not self._wait(lambda: got, ANSWER_S) or not got[0][1]:
            raise Problem("the node does not answer any more: reset it and try again")
        return got[0][1:]

    def _wait(self, is_so, limit_s):
        end = time.monotonic() + limit_s
        while not is_so() and not self.line.ended and time.monotonic() < end:
            self.line.step(50)
        return is_so()


def harmless_ping():
    """A ping whose frame has no control character but 0: a REPL would do what they say."""
    for mid in range(0x2020, 0x7F7F):
        message = bytes((CON_EMPTY, 0)) + mid.to_bytes(2, "big")
        check = fcs16(b"\xa9" + message, 5, 0xFFFF) ^ 0xFFFF
        if not set(message + check.to_bytes(2, "little")) & set(CONTROL):
            return message
    raise AssertionError("there is one")


def find(dev):
    """The node that answers on this line, open; None where there is none to be heard."""
    if not hasattr(select, "poll"):
        return None  # Windows
    try:
        node = SerialNode(dev)
    except Problem:
        return None
    if node.is_there():
        return node
    node.close()
    return None
