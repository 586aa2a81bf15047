"""The entries of block-wise transfers: uploads by Block1, and responses that are cached.

An upload that its client has left yields: to a better rank at once, to its own rank after 25 s
without a new block, since honest gaps at 30 % loss reach 24 s. A cached response yields at once.
"""

from micropython import const

from coap.codec import (
    ABSENT,
    CODE,
    FIELD_CODE,
    FIELD_CONTENT_FORMAT,
    FIELD_ETAG,
    FIELD_PAYLOAD_LENGTH,
    FIELD_PAYLOAD_START,
    FIELD_TOTAL,
    IX_CONTENT_FORMAT,
    IX_IF_MATCH,
    IX_REQUEST_TAG,
    IX_URI_PATH,
    IX_URI_QUERY,
    PAYLOAD,
    copy,
    hash_option,
)
from coap.counters import COUNT_BLOCKS_EVICTED, COUNT_BLOCKS_REFUSED
from coap.numbers import CLOCK_HALF, CLOCK_MASK
from coap.peers import STRANGER, ClaimedTable

_SILENCE_MS = const(25000)

# Words of an entry
_STATE = const(0)
_KEY = const(1)
_NEXT = const(2)  # bytes received, or length of the cached response
_SINCE_MS = const(3)
_CODE = const(4)  # of the cached response
_FORMAT = const(5)  # Content-Format of the blocks, or of the cached response
_CONTEXT = const(6)  # number of the security context, 0 for none
_BEGAN_MS = const(7)
_WORDS = const(8)

FREE = const(0)
RECEIVING = const(1)
CACHED_RESPONSE = const(2)


class BlockTransfers(ClaimedTable):
    """A fixed number of entries for transfers, each with a buffer of `size` bytes.

    The buffer of an entry is allocated at its first transfer and stays: most nodes never receive
    blocks, and of several entries the last ones are seldom needed.
    """

    ENTRY_WORDS = _WORDS
    CONTEXT_WORD = _CONTEXT

    def __init__(self, node, slots, size, lifetime_ms):
        super().__init__(node, slots)
        self.receivings = slots
        self.size = size
        self.lifetime_ms = lifetime_ms
        self.resources = [None] * slots
        self.etags = [b""] * slots
        self.buffers = [None] * slots  # type: list
        self.used = 0

    def state(self, i):
        """Return FREE, RECEIVING or CACHED_RESPONSE."""
        return self.words[i * _WORDS]

    def length(self, i):
        """Return the number of bytes received, or the length of the cached response."""
        return self.words[i * _WORDS + _NEXT]

    def request_key(self, view):
        """Return the hash that blocks of one body, and requests for blocks of one, share."""
        index = view.index
        value = hash_option(view.buf, index, IX_IF_MATCH, index[CODE])
        value = hash_option(view.buf, index, IX_URI_PATH, value)
        value = hash_option(view.buf, index, IX_URI_QUERY, value)
        return hash_option(view.buf, index, IX_REQUEST_TAG, value)

    def find(self, view, key, state):
        """Return the peer's entry with this key in this state, -1 if there is none."""
        i = self.receivings if self.used else 0
        while i:
            i -= 1
            at = i * _WORDS
            if self.words[at] == state and self.words[at + _KEY] == key:
                if self.words[at + _CONTEXT] == view.context and self.peers[i] == view.peer:
                    if self.resources[i] is self.node.resource:
                        return i
        return -1

    def room(self, view, streams=False):
        """Return a free entry, evicting another if one yields, or -1. streams: it needs no
        buffer.
        """
        i = self.claim(view)
        if i < 0:
            self.node.counters[COUNT_BLOCKS_REFUSED] += 1
            return -1
        if self.words[i * _WORDS] != FREE:
            self.node.counters[COUNT_BLOCKS_EVICTED] += 1
            self.free(i)
        return i if streams or self.buffers[i] is not None else self._with_buffer(i)

    def _with_buffer(self, i):
        """Allocate the buffer of entry i; return i, or -1 without memory."""
        try:
            self.buffers[i] = bytearray(self.size)
        except MemoryError:
            self.node.counters[COUNT_BLOCKS_REFUSED] += 1
            return -1
        return i

    def begin(self, i, view, key):
        """Start a transfer in entry i, or the one that it holds again: nothing received yet."""
        at = i * _WORDS
        if self.words[at] == FREE:
            self.used += 1
            self.words[at + _BEGAN_MS] = view.now_ms
            self.touch(i, view.now_ms)
        self.words[at] = RECEIVING
        self.words[at + _FORMAT] = view.uint(IX_CONTENT_FORMAT, ABSENT)
        self.words[at + _KEY] = key
        self.words[at + _NEXT] = 0
        self.words[at + _CONTEXT] = view.context
        self.peers[i] = view.peer
        self.resources[i] = self.node.resource

    def has_format(self, i, view):
        """Return True if the blocks of entry i have the Content-Format of the present request."""
        return self.words[i * _WORDS + _FORMAT] == view.uint(IX_CONTENT_FORMAT, ABSENT)

    def touch(self, i, now_ms):
        """Restart the lifetime of entry i."""
        self.words[i * _WORDS + _SINCE_MS] = now_ms
        self.node.reschedule()

    def append(self, i, view, length):
        """Append the payload of the present request, `length` bytes, to the buffer."""
        copy(self.buffers[i], self.length(i), view.buf, view.index[PAYLOAD], length)

    def advance(self, i, length):
        """Count `length` more bytes as received."""
        self.words[i * _WORDS + _NEXT] += length

    def cache_response(self, i, builder):
        """Copy the response, at most `size` bytes, into entry i."""
        fields = builder.fields
        if builder.payload_source is not self.buffers[i]:
            copy(
                self.buffers[i],
                0,
                builder.payload_source,
                fields[FIELD_PAYLOAD_START],
                fields[FIELD_TOTAL],
            )
            builder.payload_source = self.buffers[i]
            fields[FIELD_PAYLOAD_START] = 0
        self.etags[i] = builder.etag if fields[FIELD_ETAG] else b""
        i *= _WORDS
        self.words[i] = CACHED_RESPONSE
        self.words[i + _NEXT] = fields[FIELD_TOTAL]
        self.words[i + _CODE] = fields[FIELD_CODE]
        self.words[i + _FORMAT] = fields[FIELD_CONTENT_FORMAT]

    def load_response(self, i, builder):
        """Make the cached response of entry i the present response; return its code."""
        builder.start()
        fields = builder.fields
        fields[FIELD_CONTENT_FORMAT] = self.words[i * _WORDS + _FORMAT]
        fields[FIELD_ETAG] = len(self.etags[i])
        builder.etag = self.etags[i]
        builder.payload_source = self.buffers[i]
        fields[FIELD_TOTAL] = fields[FIELD_PAYLOAD_LENGTH] = self.words[i * _WORDS + _NEXT]
        return self.words[i * _WORDS + _CODE]

    def free(self, i):
        """Free entry i."""
        if self.words[i * _WORDS]:
            self.words[i * _WORDS] = FREE
            self.peers[i] = self.resources[i] = None
            self.etags[i] = b""
            self.used -= 1

    def expire(self, now_ms):
        """Free the entries whose lifetime is over."""
        i = self.receivings if self.used else 0
        while i:
            i -= 1
            if self.words[i * _WORDS] and self._age_ms(i, now_ms) >= self.lifetime_ms:
                self.free(i)

    def wait_ms(self, now_ms):
        """Return the milliseconds until expire() has something to do."""
        nearest = CLOCK_HALF
        i = self.receivings if self.used else 0
        while i:
            i -= 1
            if self.words[i * _WORDS]:
                left = self.lifetime_ms - self._age_ms(i, now_ms)
                if left < nearest:
                    nearest = left if left > 0 else 0
        return nearest

    def standing(self, i, rank):
        """Return the milliseconds since entry i made progress, inverted if it yields."""
        now_ms = self.node.view.now_ms
        age_ms = self._age_ms(i, now_ms)
        i *= _WORDS
        if (
            self.words[i] == CACHED_RESPONSE
            or age_ms >= _SILENCE_MS
            or rank == STRANGER
            and (now_ms - self.words[i + _BEGAN_MS]) & CLOCK_MASK >= self.lifetime_ms
        ):
            return ~age_ms
        return age_ms

    def _age_ms(self, i, now_ms):
        return (now_ms - self.words[i * _WORDS + _SINCE_MS]) & CLOCK_MASK
