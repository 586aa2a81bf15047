"""Block-wise transfers (RFC 7959): payloads larger than one message, in both directions.

Theory of operation. Block2 needs no state: the handler is called again for each block, and only
the wanted part is collected. Two kinds of transfer have an entry of BlockTransfers each:

- RECEIVING, a request body by Block1. Its blocks are put together in the entry's buffer; a
  resource with `streams` gets block after block and needs no buffer.
- CACHED_RESPONSE, a long response to a request that must be executed only once.

An entry belongs to (peer, security context, resource, request key). The key is a hash of the
options of RFC 7959 section 2.5 and RFC 9175 section 3.3: requests with equal keys are easy to
find, so nothing that must not be mixed relies on it alone.
"""

from struct import pack_into

from micropython import const

from coap.block_transfers import CACHED_RESPONSE, RECEIVING, BlockTransfers
from coap.codec import (
    ABSENT,
    BLOCK_WITHOUT_ETAG,
    CODE,
    FIELD_BLOCK1,
    FIELD_BLOCK2,
    FIELD_BUDGET,
    FIELD_BUFFER_START,
    FIELD_CODE,
    FIELD_ETAG,
    FIELD_HASH,
    FIELD_LIMIT,
    FIELD_MAX_AGE,
    FIELD_MOST,
    FIELD_PAYLOAD_LENGTH,
    FIELD_PAYLOAD_START,
    FIELD_SIZE1,
    FIELD_SKIP,
    FIELD_TOTAL,
    FIELD_USED,
    FLAGS,
    IX_BLOCK1,
    IX_BLOCK2,
    IX_ETAG,
    IX_SIZE1,
    MAX_PAYLOAD,
    PAYLOAD,
    SIZE,
    UNSAFE,
    block2_window,
    copy,
    has_value,
    hash_bytes,
    select_block2,
)
from coap.counters import COUNT_TOO_LONG
from coap.extension import Extension, call_handler
from coap.numbers import (
    BAD_OPTION,
    BAD_REQUEST,
    BLOCK1,
    CONTENT,
    CONTINUE,
    DELETE,
    GET,
    INTERNAL_SERVER_ERROR,
    REQUEST_ENTITY_INCOMPLETE,
    REQUEST_ENTITY_TOO_LARGE,
    SERVICE_UNAVAILABLE,
    VALID,
)

_HASH_SEED = const(5381)
_type = type  # cached: see "Forms on the hot path" in README.md
_bytes = bytes
_BLOCK_OPTIONS = 1 << IX_BLOCK2 | 1 << IX_BLOCK1
_SILENCE_MS = const(25000)
_ONCE = UNSAFE | 1 << IX_BLOCK1  # requests that must not be executed again for a later block


class Blockwise(Extension):
    """Block1 and Block2 of a server.

    slots: entries of BlockTransfers; bytes: the longest body that is put together; lifetime_ms:
    after which an unfinished transfer or a cached response is dropped.
    """

    slow_path_mask = critical_mask = _BLOCK_OPTIONS
    option_mask = _BLOCK_OPTIONS | 1 << IX_ETAG
    message_mask = 1 << IX_BLOCK1  # a FETCH in blocks is deduplicated too
    splits_payload = True
    scheduled = True

    def __init__(self, slots=2, bytes=2048, lifetime_ms=247000):
        self.settings = (slots, bytes, lifetime_ms)
        self.receiving = -1  # the entry of the present request
        self.response_entry = -1  # the entry that holds its response
        self.etag = bytearray(4)
        self.etag_hash = 0  # the hash that `etag` holds
        # A payload and its hash: a handler that returns the same bytes for each block is hashed
        # once. After the last block the payload stays only if the handler keeps it too.
        self.hashed_payload = None
        self.payload_hash = 0

    def attach(self, node):
        """Make the entries, and find the largest block size that fits into a message."""
        self.node = node
        self.transfers = BlockTransfers(node, *self.settings)
        node.builder.blockwise = self
        self.szx = 0  # the largest that fits into a message
        while self.szx < 6 and 32 << self.szx <= node.view.index[MAX_PAYLOAD]:
            self.szx += 1

    def respond_block2(self, view, resource):
        """Respond to a request with nothing unusual but Block2; return the length in tx.

        The result is that of the long path, byte for byte, in half of its steps.
        """
        node = self.node
        builder = node.builder
        out = resource.handlers[view.index[CODE]]
        if (
            out is None
            or view.index[FLAGS] & UNSAFE
            or self.transfers.used
            or node.separate.open_count
            or builder.fields[FIELD_USED] >= builder.fields[FIELD_BUDGET]
            or block2_window(view.index, builder.fields, self.szx) < 0
        ):
            return node._check(view)
        node.resource = resource
        out = call_handler(out, node.request, node.response, node)
        if builder.started or not out or _type(out) is not _bytes:
            out = node._complete(view, out)
            builder.reset()
            return out
        builder.start_with_payload(out)
        builder.fields[FIELD_MOST] = view.index[MAX_PAYLOAD]
        self._cut(view, builder, 1)
        out = builder.finish(view)
        builder.fields[FIELD_SKIP] = 0
        builder.fields[FIELD_LIMIT] = view.index[MAX_PAYLOAD]
        return out

    def before_handler(self, view, resource):
        """Handle Block2 and Block1. Return 0 to call the handler, else the response code."""
        if self.receiving >= 0:
            self._release()  # a separate response has left it
        flags = view.index[FLAGS]
        code = self._on_block2(view, flags) if flags & 1 << IX_BLOCK2 else 0
        if not code and flags & 1 << IX_BLOCK1:
            code = self._on_block1(view, resource)
        return code

    def after_handler(self, view, builder):
        """Acknowledge Block1, and cut a long payload into blocks."""
        fields = builder.fields
        flags = view.index[FLAGS]
        if flags & 1 << IX_BLOCK1:
            self._ack_block1(view, builder)
        if flags & 1 << IX_ETAG and fields[FIELD_CODE] == CONTENT and not fields[FIELD_ETAG]:
            self._validate(view, builder)
        code = fields[FIELD_CODE]
        if (
            code <= 0x5F
            and code != CONTINUE
            and code != VALID
            and (fields[FIELD_TOTAL] or fields[FIELD_SKIP])
        ):
            if flags & 1 << IX_BLOCK2 or fields[FIELD_TOTAL] > fields[FIELD_MOST]:
                self._split(view, builder)
        if builder.buffer is not builder.tx:
            builder.want_whole()  # the buffer is for the next response
        self.receiving = self.response_entry = -1

    def name_block(self, view, resource):
        """Complete a 4.13 to a request that fits no message: it may come in blocks (RFC 7959
        section 2.9.3).
        """
        if view.index[CODE] != GET and view.index[CODE] != DELETE:
            fields = self.node.builder.fields
            fields[FIELD_BLOCK1] = self.szx
            fields[FIELD_SIZE1] = ABSENT if resource.streams else self.transfers.size

    def changed(self, resource):
        """Forget the hashed payload."""
        self.hashed_payload = None

    def due(self, now_ms):
        """Drop entries whose lifetime is over. Return 0: nothing to send."""
        self.transfers.expire(now_ms)
        return 0

    def wait_ms(self, now_ms):
        """Return the milliseconds until due() has something to do."""
        return self.transfers.wait_ms(now_ms)

    def move_to_slot(self, builder):
        """Continue a response that outgrows a message in an entry, if it cannot be repeated."""
        if (
            builder.buffer is not builder.tx
            or not self.node.view.index[FLAGS] & _ONCE
            or builder.fields[FIELD_CODE] > 0x5F
        ):
            return
        i = self.transfers.room(self.node.view)
        if i >= 0:
            fields = builder.fields
            copy(
                self.transfers.buffers[i],
                0,
                builder.buffer,
                fields[FIELD_BUFFER_START],
                fields[FIELD_PAYLOAD_LENGTH],
            )
            self.response_entry = i
            builder.buffer = builder.payload_source = self.transfers.buffers[i]
            fields[FIELD_PAYLOAD_START] = fields[FIELD_BUFFER_START] = 0
            fields[FIELD_LIMIT] = self.transfers.size

    def _on_block2(self, view, flags):
        """Set the part of the payload to collect, or take the response from an entry."""
        later = block2_window(view.index, self.node.builder.fields, self.szx)
        if later < 0:
            return BAD_REQUEST
        if later and (self.transfers.used or flags & UNSAFE):
            return self._recall(view)
        return 0

    def _recall(self, view):
        """Load the cached response of a later block; return its code, 0 or an error code."""
        if not view.index[FLAGS] & UNSAFE and view.index[PAYLOAD] < view.index[SIZE]:
            return 0  # a FETCH with its whole body: it can be processed again
        i = -1
        if self.transfers.used:
            i = self.transfers.find(view, self.transfers.request_key(view), CACHED_RESPONSE)
        if i < 0:
            return REQUEST_ENTITY_INCOMPLETE if view.index[FLAGS] & UNSAFE else 0
        self.transfers.touch(i, view.now_ms)
        self.response_entry = i
        return self.transfers.load_response(i, self.node.builder)

    def _split(self, view, builder):
        """Reduce the payload to the wanted block, caching the response where that is needed."""
        if view.index[FLAGS] & _ONCE and builder.fields[FIELD_TOTAL] > self._size(
            view, builder.fields[FIELD_MOST]
        ):
            if not self._cache(view, builder):
                builder.set_code(INTERNAL_SERVER_ERROR)
                return
        self._cut(view, builder, 1 if builder.payload_source is not builder.buffer else 0)

    def _cut(self, view, builder, whole):
        """Select the block; whole: payload_source is the whole payload, not a collected part."""
        result = select_block2(
            view.index, builder.fields, self.szx, builder.fields[FIELD_MOST], whole
        )
        if result < 0:
            builder.set_code(BAD_REQUEST)
        elif result & BLOCK_WITHOUT_ETAG:
            self._add_etag(builder, builder.fields, whole)

    def _size(self, view, most):
        """Return the size that select_block2() will choose for a block, in bytes."""
        szx = self.szx
        if view.has(IX_BLOCK2) and view.index[IX_BLOCK2] & 7 < szx:
            szx = view.index[IX_BLOCK2] & 7
        while szx and 16 << szx > most:
            szx -= 1
        return 16 << szx

    def _add_etag(self, builder, fields, whole):
        # so that blocks of two states are not put together: RFC 7959 section 2.4
        if whole:
            value = (
                self.payload_hash
                if builder.payload_source is self.hashed_payload
                else self._hash(builder.payload_source, fields)
            )
        else:
            value = fields[FIELD_HASH]
            if value == ABSENT:
                return
            if value == 0:
                value = hash_bytes(
                    builder.payload_source,
                    fields[FIELD_BUFFER_START],
                    fields[FIELD_TOTAL],
                    _HASH_SEED,
                )
        fields[FIELD_ETAG] = 4
        builder.etag = self.etag
        if value != self.etag_hash:
            self.etag_hash = value
            pack_into(">I", self.etag, 0, value)

    def _validate(self, view, builder):
        """Turn 2.05 into 2.03 where the client has all blocks of this representation."""
        fields = builder.fields
        if view.index[FLAGS] & UNSAFE or not fields[FIELD_TOTAL]:
            return
        self._add_etag(builder, fields, builder.payload_source is not builder.buffer)
        if fields[FIELD_ETAG] and has_value(view.buf, view.index, IX_ETAG, builder.etag):
            fields[FIELD_CODE] = VALID
            fields[FIELD_PAYLOAD_LENGTH] = fields[FIELD_TOTAL] = 0

    def _hash(self, payload, fields):
        """Return the hash of a whole payload; remember it for the next block of the same bytes."""
        value = hash_bytes(payload, 0, fields[FIELD_TOTAL], _HASH_SEED)
        self.hashed_payload = None
        if (
            _type(payload) is _bytes and fields[FIELD_BLOCK2] & 8
        ):  # immutable, and more blocks follow
            self.hashed_payload = payload
            self.payload_hash = value
        return value

    # Block1

    def _on_block1(self, view, resource):
        """Process a received block. Return 0 to call the handler, CONTINUE, or an error code."""
        value = view.index[IX_BLOCK1]
        if view.index[CODE] == GET or view.index[CODE] == DELETE:
            self.node.builder.refuse(BAD_OPTION, BLOCK1)  # a method without a body
            return BAD_OPTION
        size = 16 << (value & 7)
        length = view.index[SIZE] - view.index[PAYLOAD]
        if value & 7 == 7 or length > size or (value & 8 and length != size):
            return BAD_REQUEST
        if (
            view.has(IX_SIZE1)
            and view.index[IX_SIZE1] > self.transfers.size
            and not resource.streams
        ):
            return self._too_large()
        view.offset = (value >> 4) << ((value & 7) + 4)
        view.more = value & 8 != 0
        return self._store_block(view, resource.streams, length)

    def _store_block(self, view, streams, length):
        """Add the block to its transfer, or begin one. Return as _on_block1()."""
        key = self.transfers.request_key(view)
        i = self.transfers.find(view, key, RECEIVING)
        if not view.offset:
            if not view.more:
                if i >= 0:
                    self.transfers.free(i)
                return 0  # first and last block: an ordinary request
            if i < 0:
                i = self.transfers.room(view, streams)
            if i < 0:
                return self._refuse_busy()
            self.transfers.begin(i, view, key)
        elif i < 0 or self.transfers.length(i) != view.offset:
            return REQUEST_ENTITY_INCOMPLETE
        elif not self.transfers.has_format(i, view):
            self.transfers.free(i)
            return REQUEST_ENTITY_INCOMPLETE
        self.receiving = i
        return self._deliver(view, streams, length)

    def _deliver(self, view, streams, length):
        """Deliver the expected block to the handler, or the whole body after the last block."""
        i = self.receiving
        if not streams:
            if view.offset + length > self.transfers.size:
                return self._too_large()
            self.transfers.append(i, view, length)
        if view.offset:  # whoever only begins again makes no progress
            self.transfers.touch(i, view.now_ms)
        self.transfers.advance(i, length)
        if streams:
            view.transfer = i
        elif view.more:
            return CONTINUE
        else:
            view.body = self.transfers.buffers[i]
            view.length = self.transfers.length(i)
        return 0

    def _ack_block1(self, view, builder):
        """Add Block1 to the response, and end the transfer after its last block."""
        value = view.index[IX_BLOCK1]
        code = builder.fields[FIELD_CODE]
        if value & 8 and code < 0x60:
            builder.set_code(CONTINUE)
        else:
            self._release()
        if code != REQUEST_ENTITY_INCOMPLETE and code != BAD_REQUEST and code != BAD_OPTION:
            if value & 7 > self.szx:
                value = value & ~7 | self.szx
            builder.fields[FIELD_BLOCK1] = value

    def _release(self):
        if self.receiving >= 0:
            self.transfers.free(self.receiving)
            self.receiving = -1

    # Responses that are cached for their later blocks

    def _cache(self, view, builder):
        """Cache the whole response in an entry. Return False if that fails."""
        fields = builder.fields
        i = self.response_entry
        if i >= 0 and builder.payload_source is not self.transfers.buffers[i]:
            i = -1
        if i >= 0 and self.transfers.state(i) == CACHED_RESPONSE:
            return True  # loaded from its entry
        if fields[FIELD_TOTAL] > self.transfers.size:
            self.node.counters[COUNT_TOO_LONG] += 1
            return False
        if (
            builder.payload_source is builder.buffer
            and fields[FIELD_PAYLOAD_LENGTH] != fields[FIELD_TOTAL]
        ):
            return False  # a part was not collected
        return self._cache_at(i, view, builder)

    def _cache_at(self, i, view, builder):
        key = self.transfers.request_key(view)
        other = self.transfers.find(view, key, CACHED_RESPONSE)
        if other >= 0:
            i = other  # an earlier response to the same request
        elif i < 0:
            i = self.transfers.room(view)
        if i < 0:
            return False
        self.transfers.begin(i, view, key)
        self.transfers.cache_response(i, builder)
        return True

    def _refuse_busy(self):
        builder = self.node.builder
        builder.set_code(SERVICE_UNAVAILABLE)
        builder.fields[FIELD_MAX_AGE] = 5
        return SERVICE_UNAVAILABLE

    def _too_large(self):
        builder = self.node.builder
        builder.set_code(REQUEST_ENTITY_TOO_LARGE)
        builder.fields[FIELD_SIZE1] = self.transfers.size
        return REQUEST_ENTITY_TOO_LARGE
