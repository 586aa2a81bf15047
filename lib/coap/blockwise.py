"""Block-wise transfers (RFC 7959): payloads larger than one message, both ways.

Block2 keeps nothing: for each block the handler answers anew, and only the part that is wanted is
collected. Block1 takes one of a fixed number of slots: the blocks are put together in its buffer
and the handler sees the whole payload; a resource with `streams` is shown block after block and
needs no buffer. A long answer to a request that changes something is kept in a slot, so that
asking for its second block does not execute the request again.
"""

from array import array
from struct import pack_into

from micropython import const

from coap.codec import (
    ABSENT,
    BLOCK_WITHOUT_ETAG,
    CODE,
    FIELD_BLOCK1,
    FIELD_BLOCK2,
    FIELD_BUFFER_START,
    FIELD_CODE,
    FIELD_CONTENT_FORMAT,
    FIELD_ETAG,
    FIELD_HASH,
    FIELD_LIMIT,
    FIELD_MAX_AGE,
    FIELD_PAYLOAD_LENGTH,
    FIELD_PAYLOAD_START,
    FIELD_SIZE1,
    FIELD_SKIP,
    FIELD_TOTAL,
    FLAGS,
    IX_BLOCK1,
    IX_BLOCK2,
    IX_IF_MATCH,
    IX_REQUEST_TAG,
    IX_SIZE1,
    IX_URI_PATH,
    IX_URI_QUERY,
    MAX_PAYLOAD,
    PAYLOAD,
    SIZE,
    UNSAFE,
    block2_window,
    copy,
    hash_bytes,
    hash_option,
    select_block2,
)
from coap.counters import COUNT_BLOCKS_EVICTED, COUNT_BLOCKS_REFUSED, COUNT_TOO_LONG
from coap.extension import Extension, call_handler
from coap.numbers import (
    BAD_REQUEST,
    CLOCK_HALF,
    CLOCK_MASK,
    CONTINUE,
    INTERNAL_SERVER_ERROR,
    REQUEST_ENTITY_INCOMPLETE,
    REQUEST_ENTITY_TOO_LARGE,
    SERVICE_UNAVAILABLE,
    VALID,
)

_DIGEST_SEED = const(5381)
_type = type  # found at once: the names that are built in are searched one by one
_bytes = bytes
_WANTED = 1 << IX_BLOCK2 | 1 << IX_BLOCK1
_ONCE = UNSAFE | 1 << IX_BLOCK1  # requests that are not executed again for another block


class Blockwise(Extension):
    """slots: transfers to the node at a time, and long answers to what changes something;
    bytes: the longest payload put together (a slot gets its buffer with its first transfer);
    lifetime_ms: how long an unfinished transfer, or an answer, is kept.
    """

    option_mask = slow_path_mask = critical_mask = _WANTED
    message_mask = 1 << IX_BLOCK1  # a FETCH in blocks is executed once too
    splits_payload = True
    scheduled = True

    def __init__(self, slots=2, bytes=2048, lifetime_ms=247000):
        self.settings = (slots, bytes, lifetime_ms)
        self.slot = -1  # of the request at hand
        self.spilt = -1  # where its answer goes
        self.tag = bytearray(4)
        self.tagged = 0  # the digest that lies there
        # The payload of which marks is the digest. After its last block it stays only where the
        # handler has it too: it gave the same bytes again.
        self.marked = None
        self.marks = 0

    def attach(self, node):
        self.node = node
        self.transfers = BlockTransfers(node, *self.settings)
        node.builder.blockwise = self
        self.szx = 0  # the largest that fits into a message
        while self.szx < 6 and 32 << self.szx <= node.view.index[MAX_PAYLOAD]:
            self.szx += 1

    def serve(self, view, resource):
        """Answer a request that is plain but for its Block2, as by before() and after()."""
        node = self.node
        builder = node.builder
        out = resource.handlers[view.index[CODE]]
        if (
            out is None
            or view.index[FLAGS] & UNSAFE
            or self.transfers.used
            or node.separate.open_count
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
        self._cut(view, builder, 1)
        out = builder.finish(view)
        builder.fields[FIELD_SKIP] = 0
        builder.fields[FIELD_LIMIT] = builder.max_payload
        return out

    def before_handler(self, view, resource):
        if self.slot >= 0:
            self._release()  # from a handler that returned SEPARATE
        flags = view.index[FLAGS]
        code = self._want(view, flags) if flags & 1 << IX_BLOCK2 else 0
        if not code and flags & 1 << IX_BLOCK1:
            code = self._take(view, resource)
        return code

    def after_handler(self, view, builder):
        fields = builder.fields
        flags = view.index[FLAGS]
        if flags & 1 << IX_BLOCK1:
            self._confirm(view, builder)
        code = fields[FIELD_CODE]
        if (
            code <= 0x5F
            and code != CONTINUE
            and code != VALID
            and (fields[FIELD_TOTAL] or fields[FIELD_SKIP])
        ):
            if flags & 1 << IX_BLOCK2 or fields[FIELD_TOTAL] > builder.max_payload:
                self._divide(view, builder)
        if builder.buffer is not builder.tx:
            builder.want_whole()  # into is the next one's, source is this one's
        self.slot = self.spilt = -1

    def changed(self, resource):
        self.marked = None

    def due(self, now_ms):
        self.transfers.expire(now_ms)
        return 0

    def wait_ms(self, now_ms):
        return self.transfers.wait_ms(now_ms)

    def spill(self, builder):
        """The answer outgrows a message: what can not be asked again for goes on in a slot."""
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
            self.spilt = i
            builder.buffer = builder.payload_source = self.transfers.buffers[i]
            fields[FIELD_PAYLOAD_START] = fields[FIELD_BUFFER_START] = 0
            fields[FIELD_LIMIT] = self.transfers.size

    # Block2

    def _want(self, view, flags):
        """A block is asked for: what of the payload it is, or an answer that is kept."""
        later = block2_window(view.index, self.node.builder.fields, self.szx)
        if later < 0:
            return BAD_REQUEST
        if later and (self.transfers.used or flags & UNSAFE):
            return self._recall(view)
        return 0

    def _recall(self, view):
        """A later block: when the answer is kept its code, with the answer in reply."""
        if not view.index[FLAGS] & UNSAFE and view.index[PAYLOAD] < view.index[SIZE]:
            return 0  # a FETCH that is whole in itself
        i = -1
        if self.transfers.used:
            i = self.transfers.find(view, self.transfers.key(view), CACHED_RESPONSE)
        if i < 0:
            return REQUEST_ENTITY_INCOMPLETE if view.index[FLAGS] & UNSAFE else 0
        self.transfers.touch(i, view.now_ms)
        self.spilt = i
        return self.transfers.recall(i, self.node.builder)

    def _divide(self, view, builder):
        if view.index[FLAGS] & _ONCE and builder.fields[FIELD_TOTAL] > self._size(
            view, builder.max_payload
        ):
            if not self._keep(view, builder):
                builder.set_code(INTERNAL_SERVER_ERROR)
                return
        self._cut(view, builder, 1 if builder.payload_source is not builder.buffer else 0)

    def _cut(self, view, builder, whole):
        """whole: the handler gave the payload, so that no part of it was collected."""
        how = select_block2(view.index, builder.fields, self.szx, builder.max_payload, whole)
        if how < 0:
            builder.set_code(BAD_REQUEST)
        elif how & BLOCK_WITHOUT_ETAG:
            self._mark(builder, builder.fields, whole)

    def _size(self, view, most):
        """The bytes that a block has, as cut() will have it."""
        szx = self.szx
        if view.has(IX_BLOCK2) and view.index[IX_BLOCK2] & 7 < szx:
            szx = view.index[IX_BLOCK2] & 7
        while szx and 16 << szx > most:
            szx -= 1
        return 16 << szx

    def _mark(self, builder, fields, whole):
        # blocks of two states must not be put together (RFC 7959 section 2.4)
        if whole:
            value = (
                self.marks
                if builder.payload_source is self.marked
                else self._digest(builder.payload_source, fields)
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
                    _DIGEST_SEED,
                )
        fields[FIELD_ETAG] = 4
        builder.etag = self.tag
        if value != self.tagged:
            self.tagged = value
            pack_into(">I", self.tag, 0, value)

    def _digest(self, payload, fields):
        """The digest of a whole payload; of the very bytes that the last one was of it is kept."""
        value = hash_bytes(payload, 0, fields[FIELD_TOTAL], _DIGEST_SEED)
        self.marked = None
        if (
            _type(payload) is _bytes and fields[FIELD_BLOCK2] & 8
        ):  # others may change, or are done with
            self.marked = payload
            self.marks = value
        return value

    # Block1

    def _take(self, view, resource):
        """A block came: CONTINUE, a refusal, or 0 when the handler may run."""
        value = view.index[IX_BLOCK1]
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
        return self._put(view, resource.streams, length)

    def _put(self, view, streams, length):
        """Put the block where its transfer is, or begin one: as _take()."""
        key = self.transfers.key(view)
        i = self.transfers.find(view, key, RECEIVING)
        if not view.offset:
            if i >= 0:
                self.transfers.free(i)  # the transfer begins anew
            if not view.more:
                return 0  # the first block is the last: an ordinary request
            i = self.transfers.room(view, streams)
            if i < 0:
                return self._refuse()
            self.transfers.begin(i, view, key)
        elif i < 0 or self.transfers.length(i) != view.offset:
            return REQUEST_ENTITY_INCOMPLETE
        self.slot = i
        return self._show(view, streams, length)

    def _show(self, view, streams, length):
        """The block is the one that was to come: the handler sees it, or the whole."""
        i = self.slot
        if not streams:
            if view.offset + length > self.transfers.size:
                return self._too_large()
            self.transfers.append(i, view, length)
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

    def _confirm(self, view, builder):
        """Say in the answer which block it is about, and end the transfer with its last one."""
        value = view.index[IX_BLOCK1]
        code = builder.fields[FIELD_CODE]
        if value & 8 and code < 0x60:
            builder.set_code(CONTINUE)
        else:
            self._release()
        if code != REQUEST_ENTITY_INCOMPLETE and code != BAD_REQUEST:
            if value & 7 > self.szx:
                value = value & ~7 | self.szx
            builder.fields[FIELD_BLOCK1] = value

    def _release(self):
        if self.slot >= 0:
            self.transfers.free(self.slot)
            self.slot = -1

    # Long answers to requests that must not be executed again for their second block

    def _keep(self, view, builder):
        """Put the whole answer into a slot; False when it can not be."""
        fields = builder.fields
        i = self.spilt
        if i >= 0 and builder.payload_source is not self.transfers.buffers[i]:
            i = -1
        if i >= 0 and self.transfers.state(i) == CACHED_RESPONSE:
            return True  # it is one that was kept
        if fields[FIELD_TOTAL] > self.transfers.size:
            self.node.counters[COUNT_TOO_LONG] += 1
            return False
        if (
            builder.payload_source is builder.buffer
            and fields[FIELD_PAYLOAD_LENGTH] != fields[FIELD_TOTAL]
        ):
            return False  # a part of it is lost already
        return self._keep_at(i, view, builder)

    def _keep_at(self, i, view, builder):
        key = self.transfers.key(view)
        other = self.transfers.find(view, key, CACHED_RESPONSE)
        if other >= 0:
            i = other  # an earlier answer to the same question
        elif i < 0:
            i = self.transfers.room(view)
        if i < 0:
            return False
        self.transfers.begin(i, view, key)
        self.transfers.keep(i, builder)
        return True

    def _refuse(self):
        builder = self.node.builder
        builder.set_code(SERVICE_UNAVAILABLE)
        builder.fields[FIELD_MAX_AGE] = 5
        return SERVICE_UNAVAILABLE

    def _too_large(self):
        builder = self.node.builder
        builder.set_code(REQUEST_ENTITY_TOO_LARGE)
        builder.fields[FIELD_SIZE1] = self.transfers.size
        return REQUEST_ENTITY_TOO_LARGE


# The slots of block-wise transfers: who sends what to us, and which long answers are kept.
#
# A slot belongs to (peer, security context, resource, key); the key is a digest of what else makes
# two requests parts of one: RFC 7959 section 2.5 and RFC 9175 section 3.3. Anybody can find two
# requests with one key, so what must not be mixed does not rest on it. A stranger never takes the
# slot of a verified peer.

# Words of a slot
_STATE = const(0)
_KEY = const(1)
_NEXT = const(2)  # bytes that have come; of an answer, its length
_SINCE_MS = const(3)
_CODE = const(4)  # of a kept answer
_FORMAT = const(5)
_CONTEXT = const(6)  # under which it comes, 0 for none
_WORDS = const(7)

FREE = const(0)
RECEIVING = const(1)
CACHED_RESPONSE = const(2)


class BlockTransfers:
    """A fixed number of slots, each with a buffer of `size` bytes, kept for lifetime_ms.

    A buffer is made for the first transfer that comes to its slot, and stays there: most nodes are
    never sent blocks, and of several slots the last ones are seldom needed.
    """

    def __init__(self, node, slots, size, lifetime_ms):
        self.node = node
        self.slots = slots
        self.size = size
        self.lifetime_ms = lifetime_ms
        self.words = array("i", [0] * (_WORDS * slots))
        self.peers = [None] * slots
        self.resources = [None] * slots
        self.tags = [b""] * slots
        self.buffers = [None] * slots  # type: list
        self.used = 0

    def state(self, i):
        """FREE, COMING or ANSWERED."""
        return self.words[i * _WORDS]

    def length(self, i):
        """How many bytes have come, or the answer has."""
        return self.words[i * _WORDS + _NEXT]

    def key(self, view):
        """The key of the request at hand."""
        index = view.index
        value = hash_option(view.buf, index, IX_IF_MATCH, index[CODE])
        value = hash_option(view.buf, index, IX_URI_PATH, value)
        value = hash_option(view.buf, index, IX_URI_QUERY, value)
        return hash_option(view.buf, index, IX_REQUEST_TAG, value)

    def find(self, view, key, state):
        """The sender's slot with this key in this state, -1 when there is none."""
        i = self.slots if self.used else 0
        while i:
            i -= 1
            at = i * _WORDS
            if self.words[at] == state and self.words[at + _KEY] == key:
                if self.words[at + _CONTEXT] == view.context and self.peers[i] == view.peer:
                    if self.resources[i] is self.node.resource:
                        return i
        return -1

    def room(self, view, streams=False):
        """A free slot, made so at the cost of another where the sender may do that; -1: none.

        A kept answer goes before what is coming, the oldest first. streams: it needs no buffer.
        """
        victim = -1
        i = self.slots
        while i:
            i -= 1
            if self.words[i * _WORDS] == FREE:
                return i if streams or self.buffers[i] is not None else self._furnish(i)
            if self._yields(i, view) and (victim < 0 or self._sooner(i, victim, view.now_ms)):
                victim = i
        if victim >= 0:
            self.node.counters[COUNT_BLOCKS_EVICTED] += 1
            self.free(victim)
        else:
            self.node.counters[COUNT_BLOCKS_REFUSED] += 1
            return -1
        return victim if streams or self.buffers[victim] is not None else self._furnish(victim)

    def _furnish(self, i):
        try:
            self.buffers[i] = bytearray(self.size)
        except MemoryError:
            self.node.counters[COUNT_BLOCKS_REFUSED] += 1
            return -1
        return i

    def begin(self, i, view, key):
        """The slot holds nothing yet of what will come."""
        at = i * _WORDS
        if self.words[at] == FREE:
            self.used += 1
        self.words[at] = RECEIVING
        self.words[at + _KEY] = key
        self.words[at + _NEXT] = 0
        self.words[at + _CONTEXT] = view.context
        self.peers[i] = view.peer
        self.resources[i] = self.node.resource
        self.touch(i, view.now_ms)

    def touch(self, i, now_ms):
        """The lifetime of the slot begins anew."""
        self.words[i * _WORDS + _SINCE_MS] = now_ms
        self.node.reschedule()

    def append(self, i, view, length):
        """Put the payload of the request at hand, `length` bytes, behind what has come."""
        copy(self.buffers[i], self.length(i), view.buf, view.index[PAYLOAD], length)

    def advance(self, i, length):
        """So many bytes have come, kept or not."""
        self.words[i * _WORDS + _NEXT] += length

    def keep(self, i, reply):
        """Keep the answer, which the slot has room for."""
        fields = reply.fields
        if reply.payload_source is not self.buffers[i]:
            copy(
                self.buffers[i],
                0,
                reply.payload_source,
                fields[FIELD_PAYLOAD_START],
                fields[FIELD_TOTAL],
            )
            reply.payload_source = self.buffers[i]
            fields[FIELD_PAYLOAD_START] = 0
        self.tags[i] = reply.etag if fields[FIELD_ETAG] else b""
        i *= _WORDS
        self.words[i] = CACHED_RESPONSE
        self.words[i + _NEXT] = fields[FIELD_TOTAL]
        self.words[i + _CODE] = fields[FIELD_CODE]
        self.words[i + _FORMAT] = fields[FIELD_CONTENT_FORMAT]

    def recall(self, i, reply):
        """Put the answer that is kept into `reply`: its code."""
        reply.start()
        fields = reply.fields
        fields[FIELD_CONTENT_FORMAT] = self.words[i * _WORDS + _FORMAT]
        fields[FIELD_ETAG] = len(self.tags[i])
        reply.etag = self.tags[i]
        reply.payload_source = self.buffers[i]
        fields[FIELD_TOTAL] = fields[FIELD_PAYLOAD_LENGTH] = self.words[i * _WORDS + _NEXT]
        return self.words[i * _WORDS + _CODE]

    def free(self, i):
        """The slot may go to somebody else."""
        if self.words[i * _WORDS]:
            self.words[i * _WORDS] = FREE
            self.peers[i] = self.resources[i] = None
            self.tags[i] = b""
            self.used -= 1

    def expire(self, now_ms):
        """Free what is older than its lifetime."""
        i = self.slots if self.used else 0
        while i:
            i -= 1
            if self.words[i * _WORDS] and self._age_ms(i, now_ms) >= self.lifetime_ms:
                self.free(i)

    def wait_ms(self, now_ms):
        """Milliseconds until expire() has something to do."""
        nearest = CLOCK_HALF
        i = self.slots if self.used else 0
        while i:
            i -= 1
            if self.words[i * _WORDS]:
                left = self.lifetime_ms - self._age_ms(i, now_ms)
                if left < nearest:
                    nearest = left if left > 0 else 0
        return nearest

    def _yields(self, i, view):
        trusted = self.node.messaging.is_verified(view.peer)
        if self.node.messaging.is_verified(self.peers[i]):
            return trusted and self.words[i * _WORDS] == CACHED_RESPONSE
        return trusted or self.words[i * _WORDS] == CACHED_RESPONSE

    def _sooner(self, i, other, now_ms):
        kept = self.words[i * _WORDS]
        if kept != self.words[other * _WORDS]:
            return kept == CACHED_RESPONSE
        return self._age_ms(i, now_ms) > self._age_ms(other, now_ms)

    def _age_ms(self, i, now_ms):
        return (now_ms - self.words[i * _WORDS + _SINCE_MS]) & CLOCK_MASK
