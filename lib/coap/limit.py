"""Load and abuse: requests a second for each peer, and no large answers to strangers.

A peer beyond its rate gets 4.29 with Max-Age (RFC 8516). A peer that has not shown that it
receives at its address gets small answers: a victim whose address is forged is hit by little more
than the attacker sends (RFC 9175 section 2.3, RFC 7252 section 11.3).
"""

from array import array

import coap.counters as count
import coap.scan as s
from coap.exchange import MASK
from coap.feature import Feature
from coap.numbers import TOO_MANY_REQUESTS

_SMALL = 64  # payload that keeps an answer within 136 bytes


class Limit(Feature):
    """rate: requests a second for each peer, 0 for no limit; burst: so many at once;
    amplification: True: answers to unverified peers hold at most 64 bytes of payload, and go on
    with Block2.
    """

    watches = s.REQUEST

    def __init__(self, rate=20, burst=40, amplification=False):
        self.rate = rate
        self.burst = burst
        if amplification:
            self.wants = self.special = s.REQUEST
        if not rate:
            self.watches = 0

    def attach(self, node):
        self.node = node
        # thousandths of a request that a peer has left, and since when
        peers = len(node.exchange.names)
        self.left = array("i", [self.burst * 1000] * peers)
        self.when_ms = array("i", [0] * peers)
        if self.rate:
            node.exchange.gate = self

    def forget(self, who):
        # the newcomer begins with half a burst: a flood from many ports gains little by it
        self.left[who] = self.burst * 500

    def before(self, view, resource):
        if not self.node.exchange.trusts(view.peer):
            reply = self.node.reply
            if reply.limit > _SMALL:
                reply.limit = _SMALL
        return 0

    # As the gate of the message layer

    def admits(self, view):
        """May the request at hand be served?"""
        exchange = self.node.exchange
        who = exchange.numbers.get(view.peer)
        if who is None:
            who = exchange.meet(view.peer)
        span_ms = (view.now_ms - self.when_ms[who]) & MASK
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
        self.node.counters[count.LIMITED] += 1
        if view.r[s.TYPE]:
            return 0
        reply = self.node.reply
        reply.clear(TOO_MANY_REQUESTS)
        reply.q[s.Q_MAX_AGE] = 1 + 1 // self.rate
        return reply.finish(view)
