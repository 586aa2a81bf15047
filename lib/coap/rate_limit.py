"""Limits for each peer: requests a second, and bytes to peers that are not verified.

A peer beyond its rate gets 4.29 with Max-Age (RFC 8516). A peer that has not shown that it
receives at its address gets small responses, so that a victim whose address is forged gets little
more than the attacker sends (RFC 9175 section 2.3, RFC 7252 section 11.3).
"""

from array import array

from micropython import const

from coap.codec import FIELD_LIMIT, FIELD_MAX_AGE, REQUEST, TYPE
from coap.counters import COUNT_RATE_LIMITED
from coap.extension import Extension
from coap.numbers import CLOCK_MASK, TOO_MANY_REQUESTS

_SMALL = const(64)  # bytes of payload that keep a response within 136 bytes


class RateLimit(Extension):
    """The rate limit, and the limit of amplification.

    rate: requests a second for each peer, 0 for no limit; burst: requests at once; amplification:
    True: responses to unverified peers hold at most 64 bytes of payload, and go on with Block2.
    """

    message_mask = REQUEST

    def __init__(self, rate=20, burst=40, amplification=False):
        self.rate = rate
        self.burst = burst
        if amplification:
            self.option_mask = self.slow_path_mask = REQUEST
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

    def before_handler(self, view, resource):
        """Limit the payload for an unverified peer."""
        if not self.node.messaging.is_verified(view.peer):
            builder = self.node.builder
            builder.max_payload = _SMALL
            if builder.fields[FIELD_LIMIT] > _SMALL:
                builder.fields[FIELD_LIMIT] = _SMALL
        return 0

    # As the rate limiter of the message layer

    def admits(self, view):
        """Return True if the request may be served, and count it."""
        messaging = self.node.messaging
        index = messaging.peer_indexes.get(view.peer)
        if index is None:
            index = messaging.intern_peer(view.peer)
        span_ms = (view.now_ms - self.when_ms[index]) & CLOCK_MASK
        self.when_ms[index] = view.now_ms
        left = self.burst * 1000
        if span_ms < left // self.rate:  # beyond that the product may be no small int
            left = min(left, self.left[index] + span_ms * self.rate)
        if left < 1000:
            self.left[index] = left
            return False
        self.left[index] = left - 1000
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
