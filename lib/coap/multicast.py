"""Requests to a group of nodes: RFC 7252 section 8.

Everyone answers, so nobody answers at once: a request waits for a random part of the leisure, is
then answered from the unicast socket, and only when there is something to say. What changes a
resource is not taken from a group: its sender is whoever says so, and its effect is everywhere.
"""

from array import array

from micropython import const

from coap.codec import (
    BAD_METHOD_OR_SIZE,
    DATAGRAM_COUNT,
    DROP,
    FLAGS,
    IX_BLOCK1,
    IX_OSCORE,
    MID,
    NON_REQUEST,
    NOT_REQUEST,
    PAYLOAD,
    SEND_RESET,
    SIZE,
    UNSAFE,
    copy,
    parse,
)
from coap.counters import COUNT_GROUP_DROPPED
from coap.extension import Extension
from coap.messaging import random16
from coap.numbers import CLOCK_HALF, CLOCK_MASK

_ONCE = UNSAFE | 1 << IX_BLOCK1 | 1 << IX_OSCORE

# Words of a slot
_LENGTH = const(0)  # of the request; 0: answered, or never used
_MID = const(1)
_WHEN_MS = const(2)
_WORDS = const(3)

_KNOWN_MS = const(145000)  # NON_LIFETIME


class Multicast(Extension):
    """slots: requests that wait at a time; leisure_ms: the longest wait; request_bytes: the
    longest request. Transports hand what comes to a group to arrive().
    """

    scheduled = True

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
        parse(buf, n, view.index, self.node.route_table)
        if self._concerns(view, view.index[FLAGS]) and not self._knows(view):
            self._keep(view, n)

    def due(self, now_ms):
        i = self.slots if self.waiting else 0
        while i:
            i -= 1
            at = i * _WORDS
            if self.words[at] and (now_ms - self.words[at + _WHEN_MS]) & CLOCK_MASK < CLOCK_HALF:
                n = self._answer(i, at)
                if n:
                    return n
        return 0

    def wait_ms(self, now_ms):
        nearest = CLOCK_HALF
        i = self.slots if self.waiting else 0
        while i:
            i -= 1
            if self.words[i * _WORDS]:
                left = (self.words[i * _WORDS + _WHEN_MS] - now_ms) & CLOCK_MASK
                if left >= CLOCK_HALF:
                    return 0
                if left < nearest:
                    nearest = left
        return nearest

    def _concerns(self, view, flags):
        if (
            flags & (DROP | SEND_RESET | NOT_REQUEST | _ONCE | BAD_METHOD_OR_SIZE)
            or not flags & NON_REQUEST
        ):
            return False
        resource = self.node.match(view)
        return resource is not None and resource.multicast

    def _knows(self, view):
        # a slot keeps peer and MID when it is done: the same request may come by two ways
        i = self.slots
        while i:
            i -= 1
            at = i * _WORDS
            if self.words[at + _MID] == view.index[MID] and self.peers[i] == view.peer:
                if (
                    self.words[at]
                    or (view.now_ms - self.words[at + _WHEN_MS]) & CLOCK_MASK < _KNOWN_MS
                ):
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
        self.node.counters[COUNT_GROUP_DROPPED] += 1

    def _enter(self, i, view, n):
        wait_ms = self.leisure_ms * (random16(self.node.messaging.random) >> 6) >> 10
        self.peers[i] = view.peer
        i *= _WORDS
        self.words[i] = n
        self.words[i + _MID] = view.index[MID]
        self.words[i + _WHEN_MS] = (view.now_ms + wait_ms) & CLOCK_MASK
        self.waiting += 1
        self.node.reschedule()

    def _answer(self, i, at):
        node = self.node
        view = node.view
        view.peer = self.peers[i]
        view.group = True
        n = node.process_stored(self.requests[i], self.words[at], 0)
        view.group = False
        self.words[at] = 0
        self.waiting -= 1
        n = node.messaging.finish_response(view, n)
        node.peer = self.peers[i]
        return n if n and self._is_worth(node.tx, n) else 0

    def _is_worth(self, tx, n):
        # no error, and no "there is nothing", in answer to a question to all
        index = self.node.view.index
        parse(tx, n, index, self.node.route_table)
        index[DATAGRAM_COUNT] -= 1  # nothing came
        return 0x40 < tx[1] < 0x60 and index[PAYLOAD] < index[SIZE]
