"""A limit for each host: requests a second. Beyond it there is 4.29 with Max-Age (RFC 8516).

A host counts as one, however many ports it sends from; a peer with keys counts by its security
context. All who have not shown that they receive at their addresses share a further limit, 32
times as high, so that a flood from forged addresses leaves others their share. Requests under
OSCORE have such a limit of their own, since a client with keys may come from a new address.
"""

from array import array

import micropython
from micropython import const

from coap.codec import FIELD_MAX_AGE, FLAGS, IX_BLOCK2, IX_OSCORE, REQUEST, TYPE
from coap.counters import COUNT_RATE_LIMITED
from coap.extension import Extension
from coap.numbers import CLOCK_MASK, TOO_MANY_REQUESTS
from coap.peers import CONTEXT_HOST

_SHARED = const(32)  # times the limit of a host: for all unverified peers
# The table: for machine code, how many entries there are, requests a second, and thousandths of a
# request in a burst. Then for each entry the host, thousandths that it may send, the time of that.
_COUNT = const(0)
_RATE = const(1)
_BURST = const(2)
_FIRST = const(3)
_STEP = const(3)
_SHARED_ENTRIES = const(2)  # the first ones: plain requests, requests under OSCORE


class RateLimit(Extension):
    """The rate limit: `rate` requests a second for each host, 0 for no limit; `burst` at once."""

    message_mask = REQUEST

    def __init__(self, rate=20, burst=40):
        self.rate = rate
        self.burst = burst
        if not rate:
            self.message_mask = 0

    def attach(self, node):
        """Start with a full burst for all unverified peers, and no host."""
        self.node = node
        hosts = len(node.messaging.peers)
        table = [_SHARED_ENTRIES + hosts, self.rate, self.burst * 1000]
        table += [0, _SHARED * self.burst * 1000, 0] * _SHARED_ENTRIES
        self.table = array("i", table + [0] * (_STEP * hosts))
        if self.rate:
            node.messaging.rate_limiter = self

    # As the rate limiter of the message layer

    def admits(self, view):  # hot
        """Return True if the request may be served, and count it."""
        messaging = self.node.messaging
        cost = 1000
        if view.index[FLAGS] >> IX_BLOCK2 & 1 and view.index[IX_BLOCK2] > 15:
            cost = 125  # a later block of a response: strangers may get it in 64 bytes each
        host = messaging.host_of_peer(view.peer)
        if not self._take_own(host, cost, view.now_ms):
            return False
        if host > CONTEXT_HOST or messaging.is_verified(view.peer):
            return True
        return self._take_shared(view, cost) != 0

    def _take_own(self, host, cost, now_ms):  # hot
        entry = find_host(self.table, host, now_ms)
        return take(self.table, entry, cost, 1, now_ms)

    def _take_shared(self, view, cost):  # hot
        entry = view.index[FLAGS] >> IX_OSCORE & 1
        return take(self.table, entry, cost, _SHARED, view.now_ms)

    def refuse(self, view):
        """Write 4.29 into tx; return its length, 0 for a NON."""
        self.node.counters[COUNT_RATE_LIMITED] += 1
        if view.index[TYPE]:
            return 0
        builder = self.node.builder
        builder.set_code(TOO_MANY_REQUESTS)
        builder.fields[FIELD_MAX_AGE] = 1 + 1 // self.rate
        return builder.finish(view)


@micropython.viper
def find_host(table: ptr32, host: int, now_ms: int) -> int:
    """Return the entry of a host. A new one takes that of the host that has sent nothing for
    longest, with a full burst.
    """
    i = _SHARED_ENTRIES
    at = _FIRST + _STEP * _SHARED_ENTRIES
    oldest = -1
    found = 0
    while i < table[_COUNT]:
        if table[at] == host:
            return i
        age = int(CLOCK_MASK)  # of an entry without a host
        if table[at]:
            age = (now_ms - table[at + 2]) & int(CLOCK_MASK)
        if age > oldest:
            oldest = age
            found = i
        at += _STEP
        i += 1
    at = _FIRST + _STEP * found
    table[at] = host
    table[at + 1] = table[_BURST]
    table[at + 2] = now_ms
    return found


@micropython.viper
def take(table: ptr32, entry: int, cost: int, times: int, now_ms: int) -> int:
    """Take `cost` thousandths of a request from an entry, whose limit is `times` that of a host;
    return 0 if it has not that much left, else 1.
    """
    at = _FIRST + _STEP * entry
    rate = table[_RATE] * times
    left = table[_BURST] * times
    span_ms = (now_ms - table[at + 2]) & int(CLOCK_MASK)
    table[at + 2] = now_ms
    if span_ms < left // rate:  # beyond that the burst is full
        more = table[at + 1] + span_ms * rate
        if more < left:
            left = more
    if left < cost:
        table[at + 1] = left
        return 0
    table[at + 1] = left - cost
    return 1
