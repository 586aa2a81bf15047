"""Load and abuse: requests a second for each peer, and no large answers to strangers.

A peer beyond its rate gets 4.29 with Max-Age (RFC 8516). A peer that has not shown that it
receives at its address gets small answers: a victim whose address is forged is hit by little more
than the attacker sends (RFC 9175 section 2.3, RFC 7252 section 11.3).
"""

from array import array

from micropython import const

from coap.feature import Feature

# Numbers of other files: the compiler folds only the constants of the file at hand
_LIMITED = const(15)  # counters.LIMITED
_TOO_MANY_REQUESTS = const(0x9D)  # numbers.TOO_MANY_REQUESTS
_TYPE = const(49)  # scan.TYPE
_REQUEST = const(1 << 0)  # scan.REQUEST
_Q_MAX_AGE = const(4)  # compose.Q_MAX_AGE
_Q_LIMIT = const(14)  # compose.Q_LIMIT
_MASK = const(0x3FFFFFFF)  # exchange.MASK

_SMALL = const(64)  # payload that keeps an answer within 136 bytes


class Limit(Feature):
    """rate: requests a second for each peer, 0 for no limit; burst: so many at once;
    amplification: True: answers to unverified peers hold at most 64 bytes of payload, and go on
    with Block2.
    """

    watches = _REQUEST

    def __init__(self, rate=20, burst=40, amplification=False):
        self.rate = rate
        self.burst = burst
        if amplification:
            self.wants = self.special = _REQUEST
        if not rate:
            self.watches = 0

    def attach(self, node):
        self.node = node
        # thousandths of a request that a peer has left, and since when; the last is for all who
        # got no number (-1)
        peers = len(node.exchange.names) + 1
        self.left = array("i", [self.burst * 1000] * peers)
        self.when_ms = array("i", [0] * peers)
        if self.rate:
            node.exchange.gate = self

    def forget(self, who):
        # the newcomer begins with half a burst: a flood from many ports gains little by it
        self.left[who] = self.burst * 500
        self.when_ms[who] = self.node.view.now_ms

    def before(self, view, resource):
        if not self.node.exchange.trusts(view.peer):
            reply = self.node.reply
            reply.most = _SMALL
            if reply.q[_Q_LIMIT] > _SMALL:
                reply.q[_Q_LIMIT] = _SMALL
        return 0

    # As the gate of the message layer

    def admits(self, view):
        """May the request at hand be served?"""
        exchange = self.node.exchange
        who = exchange.numbers.get(view.peer)
        if who is None:
            who = exchange.meet(view.peer)
        span_ms = (view.now_ms - self.when_ms[who]) & _MASK
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
        self.node.counters[_LIMITED] += 1
        if view.r[_TYPE]:
            return 0
        reply = self.node.reply
        reply.clear(_TOO_MANY_REQUESTS)
        reply.q[_Q_MAX_AGE] = 1 + 1 // self.rate
        return reply.finish(view)
