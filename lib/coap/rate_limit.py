"""A limit for each peer: requests a second. Beyond it there is 4.29 with Max-Age (RFC 8516)."""

from array import array

from coap.codec import FIELD_MAX_AGE, FLAGS, IX_BLOCK2, REQUEST, TYPE
from coap.counters import COUNT_RATE_LIMITED
from coap.extension import Extension
from coap.numbers import CLOCK_MASK, TOO_MANY_REQUESTS


class RateLimit(Extension):
    """The rate limit: `rate` requests a second for each peer, 0 for no limit; `burst` at once."""

    message_mask = REQUEST

    def __init__(self, rate=20, burst=40):
        self.rate = rate
        self.burst = burst
        if not rate:
            self.message_mask = 0

    def attach(self, node):
        """Start with a full burst for each peer."""
        self.node = node
        # thousandths of a request that a peer may send, and the time of that; the last entry is
        # for all peers without an index (-1)
        peers = len(node.messaging.peers) + 1
        self.left = array("i", [self.burst * 1000] * peers)
        self.when_ms = array("i", [0] * peers)
        if self.rate:
            node.messaging.rate_limiter = self

    def on_peer_evicted(self, peer_index):
        """Give the new peer at this index half a burst."""
        # A new peer starts with half its burst: a flood from many ports gains little.
        self.left[peer_index] = self.burst * 500
        self.when_ms[peer_index] = self.node.view.now_ms

    # As the rate limiter of the message layer

    def admits(self, view):
        """Return True if the request may be served, and count it."""
        messaging = self.node.messaging
        index = messaging.peer_indexes.get(view.peer)
        if index is None:
            index = messaging.intern_peer(view.peer)
        # One local in turn for the span and the cost: the frame has no word left.
        n = (view.now_ms - self.when_ms[index]) & CLOCK_MASK
        self.when_ms[index] = view.now_ms
        left = self.burst * 1000
        if n < left // self.rate:  # beyond that the product may be no small int
            left = min(left, self.left[index] + n * self.rate)
        n = 1000
        if view.index[FLAGS] >> IX_BLOCK2 & 1 and view.index[IX_BLOCK2] > 15:
            n = 125  # a later block of a response: strangers may get it in 64 bytes each
        if left < n:
            self.left[index] = left
            return False
        self.left[index] = left - n
        return True

    def refuse(self, view):
        """Write 4.29 into tx; return its length, 0 for a NON."""
        self.node.counters[COUNT_RATE_LIMITED] += 1
        if view.index[TYPE]:
            return 0
        builder = self.node.builder
        builder.set_code(TOO_MANY_REQUESTS)
        builder.fields[FIELD_MAX_AGE] = 1 + 1 // self.rate
        return builder.finish(view)
