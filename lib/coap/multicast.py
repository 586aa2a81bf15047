"""Requests to a group of nodes: RFC 7252 section 8.

Everyone answers, so nobody answers at once: a request waits for a random part of the leisure, is
then answered from the unicast socket, and only when there is something to say. What changes a
resource is not taken from a group: its sender is whoever says so, and its effect is everywhere.
"""

from array import array

from micropython import const

from coap.copying import copy
from coap.feature import Feature
from coap.ring import random16
from coap.scan import scan

# Numbers of other files: the compiler folds only the constants of the file at hand
_GROUP_DROPPED = const(16)  # counters.GROUP_DROPPED
_COUNT = const(63)  # scan.COUNT
_FLAGS = const(48)  # scan.FLAGS
_SCAN_MID = const(51)  # scan.MID
_PAYLOAD = const(55)  # scan.PAYLOAD
_SIZE = const(56)  # scan.SIZE
_NON = const(1 << 25)  # scan.NON
_OTHER = const(1 << 26)  # scan.OTHER
_ODD = const(1 << 27)  # scan.ODD
_REFUSE = const(1 << 28)  # scan.REFUSE
_SILENT = const(1 << 29)  # scan.SILENT
_ONCE = const(1 << 24 | 1 << 12 | 1 << 16)  # scan.UNSAFE, scan.BLOCK1, scan.OSCORE
_HALF = const(0x20000000)  # exchange.HALF
_MASK = const(0x3FFFFFFF)  # exchange.MASK

# Words of a slot
_LENGTH = const(0)  # of the request; 0: answered, or never used
_MID = const(1)
_WHEN_MS = const(2)
_WORDS = const(3)

_KNOWN_MS = const(145000)  # NON_LIFETIME


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
        self.turn = 0

    def attach(self, node):
        self.node = node
        node.group = self

    def arrive(self, buf, n, peer, now_ms):
        """Take a datagram that was sent to the group. It is never answered at once."""
        view = self.node.view
        view.buf = buf
        view.peer = peer
        view.now_ms = now_ms
        scan(buf, n, view.r, self.node.table)
        if self._concerns(view, view.r[_FLAGS]) and not self._knows(view):
            self._keep(view, n)

    def due(self, now_ms):
        i = self.slots if self.waiting else 0
        while i:
            i -= 1
            at = i * _WORDS
            if self.words[at] and (now_ms - self.words[at + _WHEN_MS]) & _MASK < _HALF:
                n = self._answer(i, at)
                if n:
                    return n
        return 0

    def wait_ms(self, now_ms):
        nearest = _HALF
        i = self.slots if self.waiting else 0
        while i:
            i -= 1
            if self.words[i * _WORDS]:
                left = (self.words[i * _WORDS + _WHEN_MS] - now_ms) & _MASK
                if left >= _HALF:
                    return 0
                if left < nearest:
                    nearest = left
        return nearest

    def _concerns(self, view, flags):
        if flags & (_SILENT | _REFUSE | _OTHER | _ONCE | _ODD) or not flags & _NON:
            return False
        resource = self.node.find(view)
        return resource is not None and resource.multicast

    def _knows(self, view):
        # a slot keeps peer and MID when it is done: the same request may come by two ways
        i = self.slots
        while i:
            i -= 1
            at = i * _WORDS
            if self.words[at + _MID] == view.r[_SCAN_MID] and self.peers[i] == view.peer:
                if self.words[at] or (view.now_ms - self.words[at + _WHEN_MS]) & _MASK < _KNOWN_MS:
                    return True
        return False

    def _keep(self, view, n):
        tries = self.slots if n <= self.request_bytes else 0
        while tries:
            tries -= 1
            # in turns, so that what was answered last is known longest
            self.turn = self.turn + 1 if self.turn + 1 < self.slots else 0
            if not self.words[self.turn * _WORDS]:
                copy(self.requests[self.turn], 0, view.buf, 0, n)
                self._enter(self.turn, view, n)
                return
        self.node.counters[_GROUP_DROPPED] += 1

    def _enter(self, i, view, n):
        wait_ms = self.leisure_ms * (random16(self.node.exchange.random) >> 6) >> 10
        self.peers[i] = view.peer
        i *= _WORDS
        self.words[i] = n
        self.words[i + _MID] = view.r[_SCAN_MID]
        self.words[i + _WHEN_MS] = (view.now_ms + wait_ms) & _MASK
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
        scan(tx, n, r, self.node.table)
        r[_COUNT] -= 1  # nothing came
        return 0x40 < tx[1] < 0x60 and r[_PAYLOAD] < r[_SIZE]
