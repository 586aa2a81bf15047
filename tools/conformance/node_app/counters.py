"""Counters: a request that is executed twice, or should not have been, shows."""

from coap import Resource
from coap.numbers import CBOR, JSON, TEXT


class Counter(Resource):
    """POST adds one, GET tells how many there were."""

    content_formats = (TEXT, JSON, CBOR)

    def __init__(self):
        super().__init__()
        self.value = 0

    def get(self, request, reply):
        reply.number(self.value)

    def post(self, request, reply):
        self.value = (self.value + 1) & 0x3FFFFFFF
        reply.number(self.value)


class GuardedCounter(Counter):
    """The engine answers a POST with 4.01 and an Echo value until one brings it (RFC 9175)."""

    echo = True


def setup(node):
    node.add("counter", Counter())
    node.add("echo-required", GuardedCounter())
