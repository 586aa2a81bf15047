"""Separate responses: promised in a handler, given when the application has them (RFC 7252 5.2.2).

A promise keeps who asked, the token and, once it is answered, the parts of the response; the
message layer has the response written anew for each retransmission.
"""

from array import array

from micropython import const

from coap.codec import ABSENT, FLAGS, IX_NO_RESPONSE, MID, TYPE
from coap.counters import COUNT_DUPLICATES, COUNT_REFUSED
from coap.message import MessageBuilder
from coap.numbers import (
    CLOCK_HALF,
    CLOCK_MASK,
    CON,
    CONTENT,
    CONTENT_FORMAT,
    ETAG,
    MAX_AGE,
    NON,
    SERVICE_UNAVAILABLE,
)

# Words of a promise
_STATE = const(0)
_MID = const(1)  # of the request
_TYPE = const(2)  # of the request
_SINCE_MS = const(3)
_CODE = const(4)
_FORMAT = const(5)
_MAX_AGE = const(6)
_SLOT = const(7)  # in the message layer
_UNWANTED = const(8)  # classes of answers that nobody wants to hear, as in No-Response (RFC 7967)
_WORDS = const(9)

# What else belongs to one
_TOKEN = const(0)
_PAYLOAD = const(1)
_TAG = const(2)  # its ETag
_SECURED = const(3)  # how to protect the response
_PARTS = const(4)

_FREE = const(0)
_MADE = const(1)
_KEPT = const(2)  # answered, and not yet settled

_TO_GROUP = const(0x118)  # unwanted of a group: 4.xx, 5.xx, and what has no payload (RFC 7252 8.2)
_EMPTY = const(0x100)

RESPONSE_TIMEOUT_MS = const(247000)


class SeparateResponses:
    """The promises of a node: a fixed number of them."""

    def __init__(self, node, slots):
        self.node = node
        self.words = array("i", [0] * (_WORDS * slots))
        self.peers = [None] * slots
        self.parts = [b""] * (_PARTS * slots)  # type: list
        self.open_count = 0
        self.handle_count = 0  # makes each ticket a new one
        self.writer = MessageBuilder(node.tx)

    def defer(self, view, code):
        """A ticket for the request at hand, an int; -1 when no promise can be made.

        `code` is the response's unless respond() names another.
        """
        for i in range(len(self.peers)):
            at = i * _WORDS
            if self.words[at] == _FREE:
                self.handle_count = (self.handle_count + 1) & 0xFFFF
                self.words[at] = _MADE
                self.words[at + _MID] = view.index[MID]
                self.words[at + _TYPE] = view.index[TYPE]
                self.words[at + _SINCE_MS] = view.now_ms
                self.words[at + _CODE] = code
                self.words[at + _SLOT] = self.handle_count
                self.words[at + _UNWANTED] = self._unwanted(view)
                self.peers[i] = view.peer
                at = i * _PARTS
                self.parts[at + _TOKEN] = view.token()
                self.parts[at + _SECURED] = (
                    self.node.oscore.save_request_id(view) if view.context else None
                )
                self.open_count += 1
                self.node.update_message_mask()
                self.node.reschedule()  # its patience may end first
                return self.handle_count * len(self.peers) + i
        self.node.counters[COUNT_REFUSED] += 1
        return -1

    def acknowledge_duplicate(self, view):  # hot
        """Is the request at hand one whose answer is promised? Then its ACK, in tx; else -1."""
        if self.find(view) < 0:
            return -1
        self.node.counters[COUNT_DUPLICATES] += 1
        return self.node.messaging.write_ack(view)

    def find(self, view):  # hot
        """Which promise was made to the request at hand; -1: none."""
        i = len(self.peers) if self.open_count else 0
        while i:
            i -= 1
            at = i * _WORDS
            if self.words[at] and self.words[at + _MID] == view.index[MID]:
                if self.peers[i] == view.peer:
                    return i
        return -1

    def cancel(self, view):  # hot
        """The request at hand has been answered after all: nothing is owed to it."""
        i = self.find(view)
        if i >= 0 and self.words[i * _WORDS] == _MADE:
            self._free(i)

    def respond(self, ticket, code, payload, content_format, max_age_s, etag):
        """Answer a promise; code 0: the one it was made with. False: the ticket is not open."""
        i = ticket % len(self.peers)
        at = i * _WORDS
        words = self.words
        if words[at] != _MADE or words[at + _SLOT] != ticket // len(self.peers):
            return False
        code = code or words[at + _CODE]
        unwanted = words[at + _UNWANTED]
        if unwanted >> ((code >> 5) - 1) & 1 or (unwanted & _EMPTY and not payload):
            self._free(i)  # a CON request has its empty ACK, and that is all
            return True
        words[at] = _KEPT
        words[at + _SLOT] = -1
        words[at + _CODE] = code
        words[at + _FORMAT] = ABSENT if content_format is None else content_format
        words[at + _MAX_AGE] = ABSENT if max_age_s is None else max_age_s
        self.parts[i * _PARTS + _PAYLOAD] = payload
        self.parts[i * _PARTS + _TAG] = etag
        self.node.update_message_mask()
        self.node.reschedule()
        return True

    def due(self, now_ms):  # hot
        """Send responses to NON requests, and hand those to CON requests to the message layer."""
        i = 0
        while self.open_count and i < len(self.peers):
            n = self._service(i, i * _WORDS, now_ms)
            if n:
                return n
            i += 1
        return 0

    def wait_ms(self, now_ms):  # hot
        nearest = CLOCK_HALF >> 2
        i = len(self.peers) if self.open_count else 0
        while i:
            i -= 1
            left = self._left_ms(i * _WORDS, now_ms)
            if left < nearest:
                nearest = left
        return nearest

    def _service(self, i, at, now_ms):
        words = self.words
        if words[at] == _MADE and self._left_ms(at, now_ms) == 0:
            ticket = words[at + _SLOT] * len(self.peers) + i
            self.respond(ticket, SERVICE_UNAVAILABLE, b"", None, None, b"")
        if words[at] != _KEPT or words[at + _SLOT] >= 0:
            return 0
        if words[at + _TYPE] != NON:
            words[at + _SLOT] = self.node.messaging.open_exchange(self, self.peers[i])
            return 0
        n = self._write(i, NON, self.node.messaging.next_mid())
        self.node.peer = self.peers[i]
        self._free(i)
        return n

    def _left_ms(self, at, now_ms):  # hot
        if self.words[at] == _MADE:
            left = (self.words[at + _SINCE_MS] + RESPONSE_TIMEOUT_MS - now_ms) & CLOCK_MASK
            return left if left < CLOCK_HALF else 0
        if self.words[at] == _KEPT and self.words[at + _SLOT] < 0:
            # it waits for a free exchange: whoever frees one hurries the node
            return 0 if self.node.messaging.has_free_exchange() else CLOCK_MASK
        return CLOCK_MASK

    # As an owner of exchanges

    def transmit(self, slot, mid):
        i = self._holder(slot)
        return self._write(i, CON, mid)

    def on_exchange_done(self, slot, _how):
        self._free(self._holder(slot))

    def _unwanted(self, view):
        unwanted = _TO_GROUP if view.group else 0
        # only where the feature is: without it the option is one of those that are ignored
        if view.index[FLAGS] & self.node.option_mask & 1 << IX_NO_RESPONSE:
            unwanted |= view.index[IX_NO_RESPONSE]
        return unwanted

    def _holder(self, slot):
        for i in range(len(self.peers)):
            if self.words[i * _WORDS] == _KEPT and self.words[i * _WORDS + _SLOT] == slot:
                return i
        raise ValueError("no promise has this exchange")

    def _free(self, i):
        self.words[i * _WORDS] = _FREE
        self.peers[i] = None
        for part in range(i * _PARTS, (i + 1) * _PARTS):
            self.parts[part] = b""
        self.open_count -= 1
        self.node.update_message_mask()

    def _write(self, i, kind, mid):
        at = i * _WORDS
        i *= _PARTS
        words = self.words
        payload = self.parts[i + _PAYLOAD]
        secured = self.parts[i + _SECURED]
        writer = self.writer.begin(kind, words[at + _CODE], mid, self.parts[i + _TOKEN])
        if self.parts[i + _TAG]:
            writer.option(ETAG, self.parts[i + _TAG])
        if words[at + _FORMAT] != ABSENT and (payload or words[at + _CODE] == CONTENT):
            writer.uint(CONTENT_FORMAT, words[at + _FORMAT])
        if words[at + _MAX_AGE] != ABSENT:
            writer.uint(MAX_AGE, words[at + _MAX_AGE])
        n = max(writer.payload(payload).n, 0)
        return self.node.oscore.protect_separate(secured, n) if secured and n else n
