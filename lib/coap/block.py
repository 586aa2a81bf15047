"""Block-wise transfers (RFC 7959): payloads larger than one message, both ways.

Block2 keeps nothing: for each block the handler answers anew, and only the part that is wanted is
collected. Block1 takes one of a fixed number of slots: the blocks are put together in its buffer
and the handler sees the whole payload; a resource with `streams` is shown block after block and
needs no buffer. A long answer to a request that changes something is kept in a slot, so that
asking for its second block does not execute the request again.
"""

from struct import pack_into

from micropython import const

from coap.compose import cut, window
from coap.copying import copy
from coap.feature import Feature
from coap.guard import guard
from coap.scan import digest
from coap.transfers import Transfers

# Numbers of other files: the compiler folds only the constants of the file at hand
_TOO_LONG = const(9)  # counters.TOO_LONG
_VALID = const(0x43)  # numbers.VALID
_CONTENT = const(0x45)  # numbers.CONTENT
_CONTINUE = const(0x5F)  # numbers.CONTINUE
_BAD_REQUEST = const(0x80)  # numbers.BAD_REQUEST
_REQUEST_ENTITY_INCOMPLETE = const(0x88)  # numbers.REQUEST_ENTITY_INCOMPLETE
_REQUEST_ENTITY_TOO_LARGE = const(0x8D)  # numbers.REQUEST_ENTITY_TOO_LARGE
_INTERNAL_SERVER_ERROR = const(0xA0)  # numbers.INTERNAL_SERVER_ERROR
_SERVICE_UNAVAILABLE = const(0xA3)  # numbers.SERVICE_UNAVAILABLE
_BLOCK2 = const(11)  # scan.BLOCK2
_BLOCK1 = const(12)  # scan.BLOCK1
_CODE = const(50)  # scan.CODE
_SIZE1 = const(14)  # scan.SIZE1
_FLAGS = const(48)  # scan.FLAGS
_PAYLOAD = const(55)  # scan.PAYLOAD
_SIZE = const(56)  # scan.SIZE
_ROOM = const(58)  # scan.ROOM
_UNSAFE = const(1 << 24)  # scan.UNSAFE
_Q_CODE = const(0)  # compose.Q_CODE
_Q_ETAG = const(1)  # compose.Q_ETAG
_Q_MAX_AGE = const(4)  # compose.Q_MAX_AGE
_Q_BLOCK1 = const(6)  # compose.Q_BLOCK1
_Q_BLOCK2 = const(5)  # compose.Q_BLOCK2
_Q_SIZE1 = const(8)  # compose.Q_SIZE1
_Q_START = const(9)  # compose.Q_START
_Q_LENGTH = const(10)  # compose.Q_LENGTH
_Q_AT = const(11)  # compose.Q_AT
_Q_DIGEST = const(12)  # compose.Q_DIGEST
_Q_SKIP = const(13)  # compose.Q_SKIP
_Q_LIMIT = const(14)  # compose.Q_LIMIT
_Q_BASE = const(15)  # compose.Q_BASE
_ABSENT = const(0x3FFFFFFF)  # scan.ABSENT
_UNMARKED = const(2)  # compose.UNMARKED
_COMING = const(1)  # transfers.COMING
_ANSWERED = const(2)  # transfers.ANSWERED

_DIGEST_SEED = const(5381)
_type = type  # found at once: the names that are built in are searched one by one
_bytes = bytes
_WANTED = const(1 << _BLOCK2 | 1 << _BLOCK1)
_ONCE = const(_UNSAFE | 1 << _BLOCK1)  # requests that are not executed again for another block


class Block(Feature):
    """slots: transfers to the node at a time, and long answers to what changes something;
    bytes: the longest payload put together (a slot gets its buffer with its first transfer);
    lifetime_ms: how long an unfinished transfer, or an answer, is kept.
    """

    wants = special = understands = _WANTED
    watches = 1 << _BLOCK1  # a FETCH in blocks is executed once too
    cuts = True
    timed = True

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
        self.transfers = Transfers(node, *self.settings)
        node.reply.blocks = self
        self.szx = 0  # the largest that fits into a message
        while self.szx < 6 and 32 << self.szx <= node.view.r[_ROOM]:
            self.szx += 1

    def serve(self, view, resource):
        """Answer a request that is plain but for its Block2, as by before() and after()."""
        node = self.node
        reply = node.reply
        out = resource.handlers[view.r[_CODE]]
        if (
            out is None
            or view.r[_FLAGS] & _UNSAFE
            or self.transfers.used
            or node.later.open
            or window(view.r, reply.q, self.szx) < 0
        ):
            return node._check(view)
        node.resource = resource
        out = guard(out, node.request_, node.reply_, node)
        if reply.touched or not out or _type(out) is not _bytes:
            out = node._complete(view, out)
            reply.reset()
            return out
        reply.take(out)
        self._cut(view, reply, 1)
        out = reply.finish(view)
        reply.q[_Q_SKIP] = 0
        reply.q[_Q_LIMIT] = reply.most
        return out

    def before(self, view, resource):
        if self.slot >= 0:
            self._release()  # one that LATER left behind
        flags = view.r[_FLAGS]
        code = self._want(view, flags) if flags & 1 << _BLOCK2 else 0
        if not code and flags & 1 << _BLOCK1:
            code = self._take(view, resource)
        return code

    def after(self, view, reply):
        q = reply.q
        flags = view.r[_FLAGS]
        if flags & 1 << _BLOCK1:
            self._confirm(view, reply)
        code = q[_Q_CODE]
        if code <= 0x5F and code != _CONTINUE and code != _VALID and (q[_Q_AT] or q[_Q_SKIP]):
            if flags & 1 << _BLOCK2 or q[_Q_AT] > reply.most:
                self._divide(view, reply)
        if reply.into is not reply.tx:
            reply.whole()  # into is the next one's, source is this one's
        self.slot = self.spilt = -1

    def changed(self, resource):
        self.marked = None

    def due(self, now_ms):
        self.transfers.expire(now_ms)
        return 0

    def wait_ms(self, now_ms):
        return self.transfers.wait_ms(now_ms)

    def spill(self, reply):
        """The answer outgrows a message: what can not be asked again for goes on in a slot."""
        if (
            reply.into is not reply.tx
            or not self.node.view.r[_FLAGS] & _ONCE
            or reply.q[_Q_CODE] > 0x5F
        ):
            return
        i = self.transfers.room(self.node.view)
        if i >= 0:
            q = reply.q
            copy(self.transfers.buffers[i], 0, reply.into, q[_Q_BASE], q[_Q_LENGTH])
            self.spilt = i
            reply.into = reply.source = self.transfers.buffers[i]
            q[_Q_START] = q[_Q_BASE] = 0
            q[_Q_LIMIT] = self.transfers.size

    # Block2

    def _want(self, view, flags):
        """A block is asked for: what of the payload it is, or an answer that is kept."""
        later = window(view.r, self.node.reply.q, self.szx)
        if later < 0:
            return _BAD_REQUEST
        if later and (self.transfers.used or flags & _UNSAFE):
            return self._recall(view)
        return 0

    def _recall(self, view):
        """A later block: when the answer is kept its code, with the answer in reply."""
        if not view.r[_FLAGS] & _UNSAFE and view.r[_PAYLOAD] < view.r[_SIZE]:
            return 0  # a FETCH that is whole in itself
        i = -1
        if self.transfers.used:
            i = self.transfers.find(view, self.transfers.key(view), _ANSWERED)
        if i < 0:
            return _REQUEST_ENTITY_INCOMPLETE if view.r[_FLAGS] & _UNSAFE else 0
        self.transfers.touch(i, view.now_ms)
        self.spilt = i
        return self.transfers.recall(i, self.node.reply)

    def _divide(self, view, reply):
        if view.r[_FLAGS] & _ONCE and reply.q[_Q_AT] > self._size(view, reply.most):
            if not self._keep(view, reply):
                reply.clear(_INTERNAL_SERVER_ERROR)
                return
        self._cut(view, reply, 1 if reply.source is not reply.into else 0)

    def _cut(self, view, reply, whole):
        """whole: the handler gave the payload, so that no part of it was collected."""
        how = cut(view.r, reply.q, self.szx, reply.most, whole)
        if how < 0:
            reply.clear(_BAD_REQUEST)
        elif how & _UNMARKED:
            self._mark(reply, reply.q, whole)

    def _size(self, view, most):
        """The bytes that a block has, as cut() will have it."""
        szx = self.szx
        if view.has(_BLOCK2) and view.r[_BLOCK2] & 7 < szx:
            szx = view.r[_BLOCK2] & 7
        while szx and 16 << szx > most:
            szx -= 1
        return 16 << szx

    def _mark(self, reply, q, whole):
        # blocks of two states must not be put together (RFC 7959 section 2.4)
        if whole:
            value = self.marks if reply.source is self.marked else self._digest(reply.source, q)
        else:
            value = q[_Q_DIGEST]
            if value == _ABSENT:
                return
            if value == 0:
                value = digest(reply.source, q[_Q_BASE], q[_Q_AT], _DIGEST_SEED)
        q[_Q_ETAG] = 4
        reply.tag = self.tag
        if value != self.tagged:
            self.tagged = value
            pack_into(">I", self.tag, 0, value)

    def _digest(self, payload, q):
        """The digest of a whole payload; of the very bytes that the last one was of it is kept."""
        value = digest(payload, 0, q[_Q_AT], _DIGEST_SEED)
        self.marked = None
        if _type(payload) is _bytes and q[_Q_BLOCK2] & 8:  # others may change, or are done with
            self.marked = payload
            self.marks = value
        return value

    # Block1

    def _take(self, view, resource):
        """A block came: CONTINUE, a refusal, or 0 when the handler may run."""
        value = view.r[_BLOCK1]
        size = 16 << (value & 7)
        length = view.r[_SIZE] - view.r[_PAYLOAD]
        if value & 7 == 7 or length > size or (value & 8 and length != size):
            return _BAD_REQUEST
        if view.has(_SIZE1) and view.r[_SIZE1] > self.transfers.size and not resource.streams:
            return self._too_large()
        view.offset = (value >> 4) << ((value & 7) + 4)
        view.more = value & 8 != 0
        return self._put(view, resource.streams, length)

    def _put(self, view, streams, length):
        """Put the block where its transfer is, or begin one: as _take()."""
        key = self.transfers.key(view)
        i = self.transfers.find(view, key, _COMING)
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
            return _REQUEST_ENTITY_INCOMPLETE
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
            return _CONTINUE
        else:
            view.body = self.transfers.buffers[i]
            view.length = self.transfers.length(i)
        return 0

    def _confirm(self, view, reply):
        """Say in the answer which block it is about, and end the transfer with its last one."""
        value = view.r[_BLOCK1]
        code = reply.q[_Q_CODE]
        if value & 8 and code < 0x60:
            reply.clear(_CONTINUE)
        else:
            self._release()
        if code != _REQUEST_ENTITY_INCOMPLETE and code != _BAD_REQUEST:
            if value & 7 > self.szx:
                value = value & ~7 | self.szx
            reply.q[_Q_BLOCK1] = value

    def _release(self):
        if self.slot >= 0:
            self.transfers.free(self.slot)
            self.slot = -1

    # Long answers to requests that must not be executed again for their second block

    def _keep(self, view, reply):
        """Put the whole answer into a slot; False when it can not be."""
        q = reply.q
        i = self.spilt
        if i >= 0 and reply.source is not self.transfers.buffers[i]:
            i = -1
        if i >= 0 and self.transfers.state(i) == _ANSWERED:
            return True  # it is one that was kept
        if q[_Q_AT] > self.transfers.size:
            self.node.counters[_TOO_LONG] += 1
            return False
        if reply.source is reply.into and q[_Q_LENGTH] != q[_Q_AT]:
            return False  # a part of it is lost already
        return self._keep_at(i, view, reply)

    def _keep_at(self, i, view, reply):
        key = self.transfers.key(view)
        other = self.transfers.find(view, key, _ANSWERED)
        if other >= 0:
            i = other  # an earlier answer to the same question
        elif i < 0:
            i = self.transfers.room(view)
        if i < 0:
            return False
        self.transfers.begin(i, view, key)
        self.transfers.keep(i, reply)
        return True

    def _refuse(self):
        reply = self.node.reply
        reply.clear(_SERVICE_UNAVAILABLE)
        reply.q[_Q_MAX_AGE] = 5
        return _SERVICE_UNAVAILABLE

    def _too_large(self):
        reply = self.node.reply
        reply.clear(_REQUEST_ENTITY_TOO_LARGE)
        reply.q[_Q_SIZE1] = self.transfers.size
        return _REQUEST_ENTITY_TOO_LARGE
