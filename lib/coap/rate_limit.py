"""Load and abuse: requests a second for each peer, and no large answers to strangers.

A peer beyond its rate gets 4.29 with Max-Age (RFC 8516). A peer that has not shown that it
receives at its address gets small answers: a victim whose address is forged is hit by little more
than the attacker sends (RFC 9175 section 2.3, RFC 7252 section 11.3).
"""

from array import array

from micropython import const

from coap.codec import FIELD_LIMIT, FIELD_MAX_AGE, REQUEST, TYPE
from coap.counters import COUNT_RATE_LIMITED
from coap.extension import Extension
from coap.numbers import CLOCK_MASK, TOO_MANY_REQUESTS

_SMALL = const(64)  # payload that keeps an answer within 136 bytes


class RateLimit(Extension):
    """rate: requests a second for each peer, 0 for no limit; burst: so many at once;
    amplification: True: answers to unverified peers hold at most 64 bytes of payload, and go on
    with Block2.
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
        self.node = node
        # thousandths of a request that a peer has left, and since when; the last is for all who
        # got no number (-1)
        peers = len(node.messaging.peers) + 1
        self.left = array("i", [self.burst * 1000] * peers)
        self.when_ms = array("i", [0] * peers)
        if self.rate:
            node.messaging.rate_limiter = self

    def on_peer_evicted(self, who):
        # the newcomer begins with half a burst: a flood from many ports gains little by it
        self.left[who] = self.burst * 500
        self.when_ms[who] = self.node.view.now_ms

    def before_handler(self, view, resource):
        if not self.node.messaging.is_verified(view.peer):
            builder = self.node.builder
            builder.max_payload = _SMALL
            if builder.fields[FIELD_LIMIT] > _SMALL:
                builder.fields[FIELD_LIMIT] = _SMALL
        return 0

    # As the gate of the message layer

    def admits(self, view):
        """May the request at hand be served?"""
        exchange = self.node.messaging
        who = exchange.peer_indexes.get(view.peer)
        if who is None:
            who = exchange.intern_peer(view.peer)
        span_ms = (view.now_ms - self.when_ms[who]) & CLOCK_MASK
        self.when_ms[who] = view.now_ms
        left = self.burst * 1000
        if span_ms < left // self.rate:  # beyond that the product may leave the small ints
            left = min(left, self.left[who] + span_ms * self.rate)
        if left < 1000:
            self.left[who] = left
            return False
        self.left[who] = left - 1000
        return True

    def refuse(self, view):
        """4.29 for the request at hand: bytes in tx, 0 for a NON."""
        self.node.counters[COUNT_RATE_LIMITED] += 1
        if view.index[TYPE]:
            return 0
        builder = self.node.builder
        builder.set_code(TOO_MANY_REQUESTS)
        builder.fields[FIELD_MAX_AGE] = 1 + 1 // self.rate
        return builder.finish(view)
