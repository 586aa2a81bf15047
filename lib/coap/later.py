"""Separate responses: promised in a handler, given when the application has them (RFC 7252 5.2.2).

A promise keeps who asked, the token and, once it is answered, the parts of the response; the
message layer has the response written anew for each retransmission.
"""

from array import array

from micropython import const

from coap.message import Writer

# Numbers of other files: the compiler folds only the constants of the file at hand
_DUPLICATES = const(1)  # counters.DUPLICATES
_REFUSED = const(7)  # counters.REFUSED
_CON = const(0)  # numbers.CON
_NON = const(1)  # numbers.NON
_ETAG = const(4)  # numbers.ETAG
_CONTENT_FORMAT = const(12)  # numbers.CONTENT_FORMAT
_OPTION_MAX_AGE = const(14)  # numbers.MAX_AGE
_CONTENT = const(0x45)  # numbers.CONTENT
_SERVICE_UNAVAILABLE = const(0xA3)  # numbers.SERVICE_UNAVAILABLE
_NO_RESPONSE = const(18)  # scan.NO_RESPONSE
_FLAGS = const(48)  # scan.FLAGS
_SCAN_TYPE = const(49)  # scan.TYPE
_SCAN_MID = const(51)  # scan.MID
_ABSENT = const(0x3FFFFFFF)  # scan.ABSENT
_HALF = const(0x20000000)  # exchange.HALF
_MASK = const(0x3FFFFFFF)  # exchange.MASK

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

_PATIENCE_MS = const(247000)


class Later:
    """The promises of a node: a fixed number of them."""

    def __init__(self, node, slots):
        self.node = node
        self.words = array("i", [0] * (_WORDS * slots))
        self.peers = [None] * slots
        self.parts = [b""] * (_PARTS * slots)  # type: list
        self.open = 0
        self.turn = 0  # makes each ticket a new one
        self.writer = Writer(node.tx)

    def promise(self, view, code):
        """A ticket for the request at hand, an int; -1 when no promise can be made.

        `code` is the response's unless respond() names another.
        """
        for i in range(len(self.peers)):
            at = i * _WORDS
            if self.words[at] == _FREE:
                self.turn = (self.turn + 1) & 0xFFFF
                self.words[at] = _MADE
                self.words[at + _MID] = view.r[_SCAN_MID]
                self.words[at + _TYPE] = view.r[_SCAN_TYPE]
                self.words[at + _SINCE_MS] = view.now_ms
                self.words[at + _CODE] = code
                self.words[at + _SLOT] = self.turn
                self.words[at + _UNWANTED] = self._unwanted(view)
                self.peers[i] = view.peer
                at = i * _PARTS
                self.parts[at + _TOKEN] = view.token()
                self.parts[at + _SECURED] = self.node.secure.keep(view) if view.context else None
                self.open += 1
                self.node.rewatch()
                self.node.hurry()  # its patience may end first
                return self.turn * len(self.peers) + i
        self.node.counters[_REFUSED] += 1
        return -1

    def recall(self, view):  # hot
        """Is the request at hand one whose answer is promised? Then its ACK, in tx; else -1."""
        if self.find(view) < 0:
            return -1
        self.node.counters[_DUPLICATES] += 1
        return self.node.exchange.acknowledge(view)

    def find(self, view):  # hot
        """Which promise was made to the request at hand; -1: none."""
        i = len(self.peers) if self.open else 0
        while i:
            i -= 1
            at = i * _WORDS
            if self.words[at] and self.words[at + _MID] == view.r[_SCAN_MID]:
                if self.peers[i] == view.peer:
                    return i
        return -1

    def withdraw(self, view):  # hot
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
        words[at + _FORMAT] = _ABSENT if content_format is None else content_format
        words[at + _MAX_AGE] = _ABSENT if max_age_s is None else max_age_s
        self.parts[i * _PARTS + _PAYLOAD] = payload
        self.parts[i * _PARTS + _TAG] = etag
        self.node.rewatch()
        self.node.hurry()
        return True

    def due(self, now_ms):  # hot
        """Send responses to NON requests, and hand those to CON requests to the message layer."""
        i = 0
        while self.open and i < len(self.peers):
            n = self._attend(i, i * _WORDS, now_ms)
            if n:
                return n
            i += 1
        return 0

    def wait_ms(self, now_ms):  # hot
        nearest = _HALF >> 2
        i = len(self.peers) if self.open else 0
        while i:
            i -= 1
            left = self._left_ms(i * _WORDS, now_ms)
            if left < nearest:
                nearest = left
        return nearest

    def _attend(self, i, at, now_ms):
        words = self.words
        if words[at] == _MADE and self._left_ms(at, now_ms) == 0:
            ticket = words[at + _SLOT] * len(self.peers) + i
            self.respond(ticket, _SERVICE_UNAVAILABLE, b"", None, None, b"")
        if words[at] != _KEPT or words[at + _SLOT] >= 0:
            return 0
        if words[at + _TYPE] != _NON:
            words[at + _SLOT] = self.node.exchange.begin(self, self.peers[i])
            return 0
        n = self._write(i, _NON, self.node.exchange.next_mid())
        self.node.peer = self.peers[i]
        self._free(i)
        return n

    def _left_ms(self, at, now_ms):  # hot
        if self.words[at] == _MADE:
            left = (self.words[at + _SINCE_MS] + _PATIENCE_MS - now_ms) & _MASK
            return left if left < _HALF else 0
        if self.words[at] == _KEPT and self.words[at + _SLOT] < 0:
            # it waits for a free exchange: whoever frees one hurries the node
            return 0 if self.node.exchange.free() else _MASK
        return _MASK

    # As an owner of exchanges

    def transmit(self, slot, mid):
        i = self._holder(slot)
        return self._write(i, _CON, mid)

    def settled(self, slot, _how):
        self._free(self._holder(slot))

    def _unwanted(self, view):
        unwanted = _TO_GROUP if view.group else 0
        # only where the feature is: without it the option is one of those that are ignored
        if view.r[_FLAGS] & self.node.wants & 1 << _NO_RESPONSE:
            unwanted |= view.r[_NO_RESPONSE]
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
        self.open -= 1
        self.node.rewatch()

    def _write(self, i, kind, mid):
        at = i * _WORDS
        i *= _PARTS
        words = self.words
        payload = self.parts[i + _PAYLOAD]
        secured = self.parts[i + _SECURED]
        writer = self.writer.begin(kind, words[at + _CODE], mid, self.parts[i + _TOKEN])
        if self.parts[i + _TAG]:
            writer.option(_ETAG, self.parts[i + _TAG])
        if words[at + _FORMAT] != _ABSENT and (payload or words[at + _CODE] == _CONTENT):
            writer.uint(_CONTENT_FORMAT, words[at + _FORMAT])
        if words[at + _MAX_AGE] != _ABSENT:
            writer.uint(_OPTION_MAX_AGE, words[at + _MAX_AGE])
        n = max(writer.payload(payload).n, 0)
        return self.node.secure.late(secured, n) if secured and n else n
