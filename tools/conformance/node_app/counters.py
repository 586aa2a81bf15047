"""Counters, which show a request that was executed twice or should not have been."""

from coap import Resource
from coap.numbers import CBOR, JSON, TEXT


class Counter(Resource):
    """GET returns how many POST requests there were."""

    content_formats = (TEXT, JSON, CBOR)

    def __init__(self):
        super().__init__()
        self.value = 0

    def get(self, request, response):
        """Return the count."""
        response.number(self.value)

    def post(self, request, response):
        """Add one and return the count."""
        self.value = (self.value + 1) & 0x3FFFFFFF
        response.number(self.value)


class GuardedCounter(Counter):
    """The engine rejects a POST without a current Echo value: 4.01 and such a value (RFC 9175)."""

    echo = True


def setup(node):
    """Add the counters to the node."""
    node.add("counter", Counter())
    node.add("echo-required", GuardedCounter())
