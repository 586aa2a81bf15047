"""Requests to a group of nodes: RFC 7252 section 8.

Everyone answers, so nobody answers at once: a request waits for a random part of the leisure, is
then answered from the unicast socket, and only when there is something to say. What changes a
resource is not taken from a group: its sender is whoever says so, and its effect is everywhere.
"""

from array import array

import coap.counters as count
import coap.scan as s
from coap.exchange import HALF, MASK
from coap.feature import Feature
from coap.scan import copy, random16, scan

# Words of a slot
_LENGTH = 0  # of the request; 0: answered, or never used
_MID = 1
_WHEN_MS = 2
_WORDS = 3


class Multicast(Feature):
    """slots: requests that wait at a time; leisure_ms: the longest wait; request_bytes: the
    longest request. Transports hand what comes to a group to arrive().
    """

    timed = True

    def __init__(self, slots=4, leisure_ms=5000, request_bytes=64):
        self.slots = slots
        self.leisure_ms = leisure_ms
        self.request_bytes = request_bytes
        self.words = array("i", [0] * (_WORDS * slots))
        self.peers = [None] * slots
        self.requests = [bytearray(request_bytes) for _ in range(slots)]
        self.waiting = 0

    def attach(self, node):
        self.node = node
        node.group = self

    def arrive(self, buf, n, peer, now_ms):
        """Take a datagram that was sent to the group. It is never answered at once."""
        view = self.node.view
        view.buf = buf
        view.peer = peer
        view.now_ms = now_ms
        if not self._concerns(view, scan(buf, n, view.r)):
            return
        i = self._room(view)
        if i < 0 or n > self.request_bytes:
            self.node.counters[count.GROUP_DROPPED] += 1
            return
        copy(self.requests[i], 0, buf, 0, n)
        self.peers[i] = peer
        self._enter(i * _WORDS, view, n)

    def due(self, now_ms):
        i = self.slots if self.waiting else 0
        while i:
            i -= 1
            at = i * _WORDS
            if self.words[at] and (now_ms - self.words[at + _WHEN_MS]) & MASK < HALF:
                n = self._answer(i, at)
                if n:
                    return n
        return 0

    def wait_ms(self, now_ms):
        nearest = HALF
        i = self.slots if self.waiting else 0
        while i:
            i -= 1
            if self.words[i * _WORDS]:
                left = (self.words[i * _WORDS + _WHEN_MS] - now_ms) & MASK
                if left >= HALF:
                    return 0
                if left < nearest:
                    nearest = left
        return nearest

    def _concerns(self, view, flags):
        if flags & (s.SILENT | s.REFUSE | s.OTHER | s.UNSAFE | s.ODD) or not flags & s.NON:
            return False
        resource = self.node.find(view)
        return resource is not None and resource.multicast

    def _room(self, view):
        # a slot keeps peer and MID when it is done: the same request may come by two ways
        free = -1
        i = self.slots
        while i:
            i -= 1
            at = i * _WORDS
            if self.words[at + _MID] == view.r[s.MID] and self.peers[i] == view.peer:
                return -1
            if self.words[at] == 0:
                free = i
        return free

    def _enter(self, at, view, n):
        wait_ms = self.leisure_ms * (random16(self.node.exchange.random) >> 6) >> 10
        self.words[at] = n
        self.words[at + _MID] = view.r[s.MID]
        self.words[at + _WHEN_MS] = (view.now_ms + wait_ms) & MASK
        self.waiting += 1
        self.node.hurry()

    def _answer(self, i, at):
        node = self.node
        view = node.view
        view.buf = self.requests[i]
        view.peer = self.peers[i]
        view.group = True
        n = node.replay(self.words[at])
        view.group = False
        self.words[at] = 0
        self.waiting -= 1
        n = node.exchange.depart(view, n)
        node.peer = self.peers[i]
        return n if n and self._is_worth(node.tx, n) else 0

    def _is_worth(self, tx, n):
        # no error, and no "there is nothing", in answer to a question to all
        r = self.node.view.r
        scan(tx, n, r)
        return 0x40 < tx[1] < 0x60 and r[s.PAYLOAD] < r[s.SIZE]
