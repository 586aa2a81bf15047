"""Separate responses (RFC 7252 section 5.2.2): deferred in a handler, sent when there is a result.

An entry keeps the peer, the token and, once the application has responded, the parts of the
response; the message is written again for each retransmission, so that no entry holds one.

A long response to GET or FETCH goes in blocks (RFC 7959): the entry keeps the block that was asked
for, and the client asks for the next one by a request of its own, which is deferred as well. What
can not be sent becomes a 5.00, and the log says why: a client that waits is never left without.
"""

from struct import pack

from micropython import const

from coap.codec import (
    ABSENT,
    FIELD_SHORT,
    FLAGS,
    IX_BLOCK2,
    IX_NO_RESPONSE,
    MAX_PAYLOAD,
    MID,
    SAFE_BYTES,
    TYPE,
    hash_bytes,
)
from coap.counters import COUNT_DUPLICATES, COUNT_REFUSED, COUNT_SEPARATE_EVICTED, COUNT_SHORTENED
from coap.message import MessageBuilder
from coap.numbers import (
    BAD_REQUEST,
    BLOCK2,
    CLOCK_HALF,
    CLOCK_MASK,
    CON,
    CONTENT,
    CONTENT_FORMAT,
    ETAG,
    INTERNAL_SERVER_ERROR,
    MAX_AGE,
    NON,
    SERVICE_UNAVAILABLE,
)
from coap.peers import STRANGER, ClaimedTable

# Words of an entry
_STATE = const(0)
_MID = const(1)  # of the request
_TYPE = const(2)  # of the request
_DEFERRED_MS = const(3)
_CODE = const(4)
_FORMAT = const(5)
_MAX_AGE = const(6)
_EXCHANGE = const(7)  # in the message layer, -1 for none; a serial number while deferred
_SUPPRESSED = const(8)  # classes of responses that are not sent, as in No-Response
_IN_BLOCKS = const(8)  # then: the response may go in blocks
_BLOCK2 = const(9)  # Block2 of the request, then of the response; ABSENT for none
_CONTEXT = const(10)  # number of the security context, 0 for none
_WORDS = const(11)

# Objects of an entry
_TOKEN = const(0)
_PAYLOAD = const(1)
_ETAG = const(2)
_REQUEST_ID = const(3)  # what OSCORE needs to protect the response; None
_PARTS = const(4)

_FREE = const(0)
_DEFERRED = const(1)
_RESPONDED = const(2)  # and the response is not acknowledged yet

_TO_GROUP = const(0x118)  # 4.xx, 5.xx and empty payloads (RFC 7252 section 8.2)
_EMPTY = const(0x100)

_AROUND_BYTES = const(36)  # of a message beside its payload, at most

_STRANGER_MS = const(25000)  # an application has responded by then, mostly

RESPONSE_TIMEOUT_MS = const(247000)


class SeparateResponses(ClaimedTable):
    """The deferred responses of a node, in a fixed number of entries."""

    ENTRY_WORDS = _WORDS
    CONTEXT_WORD = _CONTEXT

    def __init__(self, node, entries):
        super().__init__(node, entries)
        self.parts = [b""] * (_PARTS * entries)  # type: list
        self.open_count = 0
        self.handle_count = 0  # makes each handle a new one
        self.message = MessageBuilder(node.tx)

    def defer(self, view, code):
        """Return a handle for the response to the request, -1 when no entry is free.

        `code` is that of the response unless respond() names another.
        """
        i = self.claim(view)
        if i < 0:
            self.node.counters[COUNT_REFUSED] += 1
            return -1
        at = i * _WORDS
        if self.words[at] != _FREE:
            # its client has had the empty ACK, and gets no more
            self.node.counters[COUNT_SEPARATE_EVICTED] += 1
            if self.words[at] == _RESPONDED and self.words[at + _EXCHANGE] >= 0:
                self.node.messaging.close_exchange(self.words[at + _EXCHANGE])
            self._free(i)
        self.handle_count = (self.handle_count + 1) & 0xFFFF
        self.words[at] = _DEFERRED
        self.words[at + _MID] = view.index[MID]
        self.words[at + _TYPE] = view.index[TYPE]
        self.words[at + _DEFERRED_MS] = view.now_ms
        self.words[at + _CODE] = code
        self.words[at + _EXCHANGE] = self.handle_count
        self.words[at + _SUPPRESSED] = self._suppressed_classes(view)
        self.words[at + _BLOCK2] = view.uint(IX_BLOCK2, ABSENT)
        self.words[at + _CONTEXT] = view.context
        self.peers[i] = view.peer
        at = i * _PARTS
        self.parts[at + _TOKEN] = view.token()
        self.parts[at + _REQUEST_ID] = (
            self.node.oscore.save_request_id(view) if view.context else None
        )
        self.open_count += 1
        self.node.update_message_mask()
        self.node.reschedule()  # its time limit may be the next that ends
        return self.handle_count * len(self.peers) + i

    def standing(self, i, rank):
        """Return the age of entry i in ms, inverted if it yields: that of a stranger does after
        _STRANGER_MS, since its address may be forged, and each of a thousand addresses would be
        another client.
        """
        age_ms = (self.node.view.now_ms - self.words[i * _WORDS + _DEFERRED_MS]) & CLOCK_MASK
        return ~age_ms if rank == STRANGER and age_ms >= _STRANGER_MS else age_ms

    def acknowledge_duplicate(self, view):  # hot
        """Write an ACK for a duplicate whose response is deferred; return its length, or -1 for a
        request that is none.
        """
        if self.find(view) < 0:
            return -1
        self.node.counters[COUNT_DUPLICATES] += 1
        return self.node.messaging.write_ack(view)

    def find(self, view):  # hot
        """Return the entry of the request, -1 for none."""
        i = len(self.peers) if self.open_count else 0
        while i:
            i -= 1
            at = i * _WORDS
            if self.words[at] and self.words[at + _MID] == view.index[MID]:
                if self.peers[i] == view.peer:
                    return i
        return -1

    def cancel(self, view):  # hot
        """Free the entry of a request that its handler has responded to after all."""
        i = self.find(view)
        if i >= 0 and self.words[i * _WORDS] == _DEFERRED:
            self._free(i)

    def respond(self, handle, code, payload, content_format, max_age_s, etag):
        """Respond with `code`, 0 for the one given to defer(). Return False for a handle that is
        not open.
        """
        i = handle % len(self.peers)
        at = i * _WORDS
        words = self.words
        if words[at] != _DEFERRED or words[at + _EXCHANGE] != handle // len(self.peers):
            return False
        is_safe = words[at + _CODE] == CONTENT  # GET and FETCH have no other default
        code = code or words[at + _CODE]
        suppressed = words[at + _SUPPRESSED]
        if suppressed >> ((code >> 5) - 1) & 1 or (suppressed & _EMPTY and not payload):
            self._free(i)  # a CON request has had its empty ACK
            return True
        words[at] = _RESPONDED
        words[at + _EXCHANGE] = -1
        words[at + _CODE] = code
        words[at + _FORMAT] = ABSENT if content_format is None else content_format
        words[at + _MAX_AGE] = ABSENT if max_age_s is None else max_age_s
        self.parts[i * _PARTS + _PAYLOAD] = payload
        self.parts[i * _PARTS + _ETAG] = etag
        blockwise = self.node.builder.blockwise
        words[at + _IN_BLOCKS] = is_safe and code < BAD_REQUEST and blockwise is not None
        try:
            self._cut(i, at, blockwise)
        except (ValueError, MemoryError) as error:
            self._set_code(i, INTERNAL_SERVER_ERROR)
            self.node.log(error)
        self.node.update_message_mask()
        self.node.reschedule()
        return True

    def _cut(self, i, at, blockwise):
        """Reduce the payload of an entry to the block that was asked for, if it takes blocks.

        Raises ValueError for a payload that is too long and can not go in blocks.
        """
        payload = self.parts[i * _PARTS + _PAYLOAD]
        value = self.words[at + _BLOCK2]
        most = self.node.view.index[MAX_PAYLOAD]
        self.words[at + _BLOCK2] = ABSENT
        if not self.words[at + _IN_BLOCKS] or (value == ABSENT and len(payload) <= most):
            if len(payload) > most:
                raise ValueError("a separate response has at most %d bytes here" % most)
            return
        if value == ABSENT:
            value = blockwise.szx
        start = (value >> 4) << ((value & 7) + 4)
        szx = min(value & 7, blockwise.szx)
        end = start + (16 << szx)
        if start and start >= len(payload):
            self._set_code(i, BAD_REQUEST)
            return
        if start or end < len(payload):
            self._add_etag(i * _PARTS, payload)
        self.parts[i * _PARTS + _PAYLOAD] = payload[start:end]
        self.words[at + _BLOCK2] = start >> (szx + 4) << 4 | (8 if end < len(payload) else 0) | szx

    def _add_etag(self, at, payload):
        # so that blocks of two states are not put together: RFC 7959 section 2.4
        if not self.parts[at + _ETAG]:
            self.parts[at + _ETAG] = pack(">I", hash_bytes(payload, 0, len(payload), 0))

    def _shorten(self, i):
        """Reduce a payload for which there is no budget: see ResponseBuilder. Return True if that
        makes another message of the response.
        """
        at = i * _WORDS
        builder = self.node.builder
        short = builder.fields[FIELD_SHORT]
        payload = self.parts[i * _PARTS + _PAYLOAD]
        beyond = len(payload) + _AROUND_BYTES - SAFE_BYTES
        if beyond <= 0 or len(payload) <= short or self.parts[i * _PARTS + _REQUEST_ID]:
            return False
        if builder.take(self.peers[i], beyond):
            return False
        self.node.counters[COUNT_SHORTENED] += 1
        if not self.words[at + _IN_BLOCKS]:
            code = self.words[at + _CODE]
            self._set_code(i, SERVICE_UNAVAILABLE if code == CONTENT else code)
            return True
        value = self.words[at + _BLOCK2]
        if value == ABSENT:
            self._add_etag(i * _PARTS, payload)
            value = 0
        szx = 0
        while 32 << szx <= short:
            szx += 1
        self.words[at + _BLOCK2] = (value >> 4 << (value & 7)) >> szx << 4 | 8 | szx
        self.parts[i * _PARTS + _PAYLOAD] = payload[: 16 << szx]
        return True

    def _set_code(self, i, code):
        """Make the response of an entry this code alone."""
        at = i * _WORDS
        self.words[at + _CODE] = code
        self.words[at + _FORMAT] = self.words[at + _MAX_AGE] = self.words[at + _BLOCK2] = ABSENT
        self.parts[i * _PARTS + _PAYLOAD] = self.parts[i * _PARTS + _ETAG] = b""

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
        """Return the milliseconds until due() has something to do."""
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
        if words[at] == _DEFERRED and self._left_ms(at, now_ms) == 0:
            handle = words[at + _EXCHANGE] * len(self.peers) + i
            self.respond(handle, SERVICE_UNAVAILABLE, b"", None, None, b"")
        if words[at] != _RESPONDED or words[at + _EXCHANGE] >= 0:
            return 0
        if words[at + _TYPE] != NON:
            words[at + _EXCHANGE] = self.node.messaging.open_exchange(
                self, self.peers[i], self.rank_at(i)
            )
            return 0
        self._shorten(i)
        n = self._write(i, NON, self.node.messaging.next_mid())
        self.node.peer = self.peers[i]
        self._free(i)
        return n

    def _left_ms(self, at, now_ms):  # hot
        if self.words[at] == _DEFERRED:
            left = (self.words[at + _DEFERRED_MS] + RESPONSE_TIMEOUT_MS - now_ms) & CLOCK_MASK
            return left if left < CLOCK_HALF else 0
        if self.words[at] == _RESPONDED and self.words[at + _EXCHANGE] < 0:
            # it waits for a free exchange: close_exchange() has due() called
            i = at // _WORDS
            free = self.node.messaging.has_free_exchange(self.rank_at(i), self.peers[i])
            return 0 if free else CLOCK_MASK
        return CLOCK_MASK

    # As the owner of an exchange

    def transmit(self, exchange, mid):
        """Write the response of `exchange` into tx; return its length, 0 if it can not be sent."""
        i = self._with_exchange(exchange)
        if self._shorten(i):
            mid = self.node.messaging.new_mid(exchange)
        n = self._write(i, CON, mid)
        if not n:
            self._free(i)
        return n

    def on_exchange_done(self, exchange, _outcome):
        """Free the entry: its response was acknowledged, rejected or given up."""
        self._free(self._with_exchange(exchange))

    def _suppressed_classes(self, view):
        suppressed = _TO_GROUP if view.group else 0
        # without the extension NoResponse the option is ignored, as any elective one
        if view.index[FLAGS] & self.node.option_mask & 1 << IX_NO_RESPONSE:
            suppressed |= view.index[IX_NO_RESPONSE]
        return suppressed

    def _with_exchange(self, exchange):
        for i in range(len(self.peers)):
            if (
                self.words[i * _WORDS] == _RESPONDED
                and self.words[i * _WORDS + _EXCHANGE] == exchange
            ):
                return i
        raise ValueError("no separate response has this exchange")

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
        request_id = self.parts[i + _REQUEST_ID]
        message = self.message.begin(kind, words[at + _CODE], mid, self.parts[i + _TOKEN])
        if self.parts[i + _ETAG]:
            message.option(ETAG, self.parts[i + _ETAG])
        if words[at + _FORMAT] != ABSENT and (payload or words[at + _CODE] == CONTENT):
            message.uint(CONTENT_FORMAT, words[at + _FORMAT])
        if words[at + _MAX_AGE] != ABSENT:
            message.uint(MAX_AGE, words[at + _MAX_AGE])
        if words[at + _BLOCK2] != ABSENT:
            message.uint(BLOCK2, words[at + _BLOCK2])
        n = max(message.payload(payload).n, 0)
        return self.node.oscore.protect_separate(request_id, n) if request_id and n else n
