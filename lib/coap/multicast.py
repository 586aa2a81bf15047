"""Requests to a group of nodes (RFC 7252 section 8).

A request waits for a random part of the leisure, so that not all nodes respond at once; then it is
served from the unicast socket, and only a response with content is sent. Requests with side
effects are not accepted from a group.
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

_NOT_SAFE = UNSAFE | 1 << IX_BLOCK1 | 1 << IX_OSCORE

# Words of an entry
_LENGTH = const(0)  # of the request; 0: served, or never used
_MID = const(1)
_WHEN_MS = const(2)
_WORDS = const(3)

_KNOWN_MS = const(145000)  # NON_LIFETIME


class Multicast(Extension):
    """Delayed responses to requests to a group.

    slots: requests that wait at a time; leisure_ms: the longest wait; request_bytes: the longest
    request. Transports give it the datagrams of the group.
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
        self.next_entry = 0

    def attach(self, node):
        """Keep the node, and be its `group`."""
        self.node = node
        node.group = self

    def arrive(self, buf, n, peer, now_ms):
        """Process a datagram that was sent to the group; the response comes from due()."""
        view = self.node.view
        view.buf = buf
        view.peer = peer
        view.now_ms = now_ms
        parse(buf, n, view.index, self.node.route_table)
        if self._is_for_us(view, view.index[FLAGS]) and not self._is_duplicate(view):
            self._store(view, n)

    def due(self, now_ms):
        """Write the next response that is due into tx; return its length."""
        i = self.slots if self.waiting else 0
        while i:
            i -= 1
            at = i * _WORDS
            if self.words[at] and (now_ms - self.words[at + _WHEN_MS]) & CLOCK_MASK < CLOCK_HALF:
                n = self._respond(i, at)
                if n:
                    return n
        return 0

    def wait_ms(self, now_ms):
        """Return the milliseconds until due() has something to do."""
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

    def _is_for_us(self, view, flags):
        if (
            flags & (DROP | SEND_RESET | NOT_REQUEST | _NOT_SAFE | BAD_METHOD_OR_SIZE)
            or not flags & NON_REQUEST
        ):
            return False
        resource = self.node.match(view)
        return resource is not None and resource.multicast

    def _is_duplicate(self, view):
        # entries keep peer and MID after the response: the request may come twice
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

    def _store(self, view, n):
        tries = self.slots if n <= self.request_bytes else 0
        while tries:
            tries -= 1
            # round robin, so that each entry is kept for as long as possible
            self.next_entry = self.next_entry + 1 if self.next_entry + 1 < self.slots else 0
            if not self.words[self.next_entry * _WORDS]:
                copy(self.requests[self.next_entry], 0, view.buf, 0, n)
                self._enter(self.next_entry, view, n)
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

    def _respond(self, i, at):
        node = self.node
        view = node.view
        view.peer = self.peers[i]
        view.group = True
        n = node.process_stored(self.requests[i], self.words[at], 0)  # resets view.group
        self.words[at] = 0
        self.waiting -= 1
        n = node.messaging.finish_response(view, n)
        node.peer = self.peers[i]
        return n if n and self._is_worth_sending(node.tx, n) else 0

    def _is_worth_sending(self, tx, n):
        # neither errors nor empty content (RFC 7252 section 8.2)
        index = self.node.view.index
        parse(tx, n, index, self.node.route_table)
        index[DATAGRAM_COUNT] -= 1  # nothing came
        return 0x40 < tx[1] < 0x60 and index[PAYLOAD] < index[SIZE]
