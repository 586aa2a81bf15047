"""Block-wise transfers (RFC 7959): payloads larger than one message, both ways.

Block2 keeps nothing: for each block the handler answers anew, and only the part that is wanted is
collected. Block1 takes one of a fixed number of slots: the blocks are put together in its buffer
and the handler sees the whole payload; a resource with `streams` is shown block after block and
needs no buffer. A long answer to a request that changes something is kept in the slot, so that
asking for its second block does not execute the request again.
"""

from array import array

import coap.counters as count
import coap.scan as s
from coap.exchange import HALF, MASK
from coap.feature import Feature
from coap.numbers import (
    BAD_REQUEST,
    CONTINUE,
    INTERNAL_SERVER_ERROR,
    REQUEST_ENTITY_INCOMPLETE,
    REQUEST_ENTITY_TOO_LARGE,
    SERVICE_UNAVAILABLE,
)
from coap.scan import copy, digest, digest_option

# Words of a slot
_STATE = 0
_KEY = 1  # digest of what makes two requests parts of one
_NEXT = 2  # bytes that have come; of an answer, its length
_SINCE_MS = 3
_CODE = 4  # of a kept answer
_FORMAT = 5
_WORDS = 6

_FREE = 0
_COMING = 1
_ANSWERED = 2

_WANTED = 1 << s.BLOCK2 | 1 << s.BLOCK1


class Block(Feature):
    """slots: transfers to the node at a time; bytes: the longest payload put together;
    lifetime_ms: how long an unfinished transfer, or an answer, is kept.
    """

    wants = special = understands = _WANTED
    timed = True

    def __init__(self, slots=2, bytes=2048, lifetime_ms=247000):
        self.slots = slots
        self.bytes = bytes
        self.lifetime_ms = lifetime_ms
        self.words = array("i", [0] * (_WORDS * slots))
        self.peers = [None] * slots
        self.buffers = [bytearray(bytes) for _ in range(slots)]
        self.slot = -1  # of the request at hand
        self.used = 0
        self.tag = bytearray(4)

    def attach(self, node):
        self.node = node
        self.szx = 0  # the largest that fits into a message
        while self.szx < 6 and 32 << self.szx <= node.view.r[s.ROOM]:
            self.szx += 1

    def before(self, view, resource):
        self.slot = -1
        if view.has(s.BLOCK2):
            value = view.r[s.BLOCK2]
            if value & 7 == 7:
                return BAD_REQUEST
            self._window(value, self.node.reply)
            if value > 15 and not view.has(s.BLOCK1):
                code = self._recall(view)
                if code:
                    return code
        if view.has(s.BLOCK1):
            if view.r[s.BLOCK1] & 7 == 7:
                return BAD_REQUEST
            code = self._take(view, resource)
            if code:
                return code
        if self._keeps(view):
            self._collect(view)
        return 0

    def after(self, view, reply):
        q = reply.q
        if view.has(s.BLOCK1):
            self._confirm(view, q)
        if q[s.Q_CODE] > 0x5F or q[s.Q_CODE] == CONTINUE:
            return
        if not view.has(s.BLOCK2) and reply.at <= reply.limit and reply.at <= view.r[s.ROOM]:
            return
        szx = self._size(view, reply.limit)
        if reply.at > 16 << szx and self._keeps(view) and not self._keep(view, reply):
            reply.clear(INTERNAL_SERVER_ERROR)
            return
        self._cut(view, reply, szx)

    def due(self, now_ms):
        i = self.slots if self.used else 0
        while i:
            i -= 1
            if self.words[i * _WORDS] and self._age(i, now_ms) >= self.lifetime_ms:
                self._free(i)
        return 0

    def wait_ms(self, now_ms):
        nearest = HALF
        i = self.slots if self.used else 0
        while i:
            i -= 1
            if self.words[i * _WORDS]:
                left = self.lifetime_ms - self._age(i, now_ms)
                if left < nearest:
                    nearest = left if left > 0 else 0
        return nearest

    # Block2

    def _window(self, value, reply):
        # a larger block than we send is asked for: its first part, and the asker goes on with ours
        szx = value & 7
        reply.skip = (value >> 4) << (szx + 4)
        size = 16 << (szx if szx < self.szx else self.szx)
        if size < reply.limit:
            reply.limit = size

    def _size(self, view, limit):
        szx = self.szx
        if view.has(s.BLOCK2) and view.r[s.BLOCK2] & 7 < szx:
            szx = view.r[s.BLOCK2] & 7
        while szx and 16 << szx > limit:
            szx -= 1
        return szx

    def _cut(self, view, reply, szx):
        """Leave of the payload the block that is wanted, and say which one it is."""
        q = reply.q
        start = reply.skip
        if start and start >= reply.at:
            reply.clear(BAD_REQUEST)
            return
        if reply.source is not reply.into:
            q[s.Q_START] = start  # the handler gave the whole: no part was collected
        if reply.at > 16 << szx and not q[s.Q_ETAG]:
            self._mark(reply)
        length = reply.at - start
        if length > 16 << szx:
            length = 16 << szx
        q[s.Q_LENGTH] = length
        q[s.Q_BLOCK2] = (start >> (szx + 4)) << 4 | szx
        if start + length < reply.at:
            q[s.Q_BLOCK2] |= 8
        if start == 0 or view.has(s.SIZE2):
            q[s.Q_SIZE2] = reply.at

    def _mark(self, reply):
        # blocks of two states must not be put together (RFC 7959 section 2.4)
        if reply.source is not reply.into:
            reply.digest = digest(reply.source, 0, reply.at, 5381)
        tag = self.tag
        value = reply.digest
        tag[0] = value >> 24
        tag[1] = value >> 16 & 255
        tag[2] = value >> 8 & 255
        tag[3] = value & 255
        reply.tag = tag
        reply.q[s.Q_ETAG] = 4

    # Block1

    def _take(self, view, resource):
        """A block came: CONTINUE, a refusal, or 0 when the handler may run."""
        value = view.r[s.BLOCK1]
        length = view.r[s.SIZE] - view.r[s.PAYLOAD]
        if length > 16 << (value & 7) or (value & 8 and length != 16 << (value & 7)):
            return BAD_REQUEST
        if view.has(s.SIZE1) and view.r[s.SIZE1] > self.bytes and not resource.streams:
            return self._too_large()
        if value < 8:
            return 0  # the first block is the last: an ordinary request
        view.offset = (value >> 4) << ((value & 7) + 4)
        view.more = value & 8 != 0
        code = self._enter(view)
        if code:
            return code
        if resource.streams:
            view.transfer = self.slot
            self.words[self.slot * _WORDS + _NEXT] += length
            return 0
        return self._append(view, self.slot, length)

    def _enter(self, view):
        """Find the transfer that the block continues, or begin it: a code when neither can be."""
        key = self._key(view)
        i = self._find(view, key)
        at = i * _WORDS
        if view.offset == 0:
            if i < 0:
                i = self._room(view)
            if i < 0:
                return self._refuse()
            self._start(i, view, key)
        elif i < 0 or self.words[at] != _COMING or self.words[at + _NEXT] != view.offset:
            return REQUEST_ENTITY_INCOMPLETE
        self.words[i * _WORDS + _SINCE_MS] = view.now_ms
        self.slot = i
        return 0

    def _append(self, view, i, length):
        end = view.offset + length
        if end > self.bytes:
            self._free(i)
            return self._too_large()
        copy(self.buffers[i], view.offset, view.buf, view.r[s.PAYLOAD], length)
        self.words[i * _WORDS + _NEXT] = end
        if view.more:
            return CONTINUE
        view.body = self.buffers[i]
        view.length = end
        return 0

    def _confirm(self, view, q):
        """Say in the answer which block it is about, and finish the transfer with its last one."""
        value = view.r[s.BLOCK1]
        code = q[s.Q_CODE]
        if code == REQUEST_ENTITY_INCOMPLETE or code == BAD_REQUEST:
            return
        more = value & 8
        szx = value & 7
        if szx > self.szx:
            szx = self.szx
        if more and code < 0x60:
            q[s.Q_CODE] = CONTINUE
            q[s.Q_LENGTH] = self.node.reply.at = 0
        elif self.slot >= 0 and self.words[self.slot * _WORDS]:
            self._free(self.slot)
        q[s.Q_BLOCK1] = (value >> 4) << 4 | more | szx

    # Long answers to requests that must not be executed again for their second block

    def _keeps(self, view):
        return view.r[s.FLAGS] & s.UNSAFE or view.has(s.BLOCK1)

    def _collect(self, view):
        # where the handler writes: a slot, in case that it is more than a message
        i = self._room(view)
        if i >= 0:
            reply = self.node.reply
            reply.into = self.buffers[i]
            reply.base = 0
            reply.limit = self.bytes

    def _keep(self, view, reply):
        """Put the whole answer into a slot; False when it can not be."""
        i = self.slot
        if i >= 0 and self.words[i * _WORDS] == _ANSWERED:
            return True  # it is one that was kept
        if i < 0 or self.words[i * _WORDS]:
            i = self._room(view)
        if i < 0 or reply.at > self.bytes or not self._is_whole(reply):
            self.node.counters[count.BLOCKS_REFUSED] += 1
            return False
        if reply.source is not self.buffers[i]:
            copy(self.buffers[i], 0, reply.source, reply.q[s.Q_START], reply.at)
        self._start(i, view, self._key(view))
        self._answered(i * _WORDS, reply)
        reply.source = self.buffers[i]
        return True

    def _is_whole(self, reply):
        return reply.source is not reply.into or reply.q[s.Q_LENGTH] == reply.at

    def _answered(self, at, reply):
        words = self.words
        words[at] = _ANSWERED
        words[at + _NEXT] = reply.at
        words[at + _CODE] = reply.q[s.Q_CODE]
        words[at + _FORMAT] = reply.q[s.Q_FORMAT]

    def _recall(self, view):
        """A later block of an answer that is kept: its code, with the answer in reply."""
        i = self._find(view, self._key(view))
        at = i * _WORDS
        if i < 0 or self.words[at] != _ANSWERED:
            return REQUEST_ENTITY_INCOMPLETE if view.r[s.FLAGS] & s.UNSAFE else 0
        self.slot = i
        reply = self.node.reply
        reply.start()
        reply.q[s.Q_FORMAT] = self.words[at + _FORMAT]
        reply.source = self.buffers[i]
        reply.at = reply.q[s.Q_LENGTH] = self.words[at + _NEXT]
        return self.words[at + _CODE]

    # Slots

    def _key(self, view):
        """What RFC 7959 section 2.5 and RFC 9175 section 3.3 make one transfer, as a digest."""
        r = view.r
        value = digest_option(view.buf, r, s.IF_MATCH, r[s.CODE])
        value = digest_option(view.buf, r, s.URI_PATH, value)
        value = digest_option(view.buf, r, s.URI_QUERY, value)
        return digest_option(view.buf, r, s.REQUEST_TAG, value)

    def _find(self, view, key):
        i = self.slots
        while i:
            i -= 1
            at = i * _WORDS
            if self.words[at] and self.words[at + _KEY] == key and self.peers[i] == view.peer:
                return i
        return -1

    def _room(self, view):
        victim = -1
        i = self.slots
        trusted = self.node.exchange.trusts(view.peer)
        while i:
            i -= 1
            state = self.words[i * _WORDS]
            if state == _FREE:
                return i
            if state == _ANSWERED and (victim < 0 or self._older(i, victim, view)):
                if trusted or not self.node.exchange.trusts(self.peers[i]):
                    victim = i
            elif trusted and victim < 0 and not self.node.exchange.trusts(self.peers[i]):
                victim = i
        if victim >= 0:
            self._free(victim)
        return victim

    def _older(self, i, other, view):
        return self._age(i, view.now_ms) > self._age(other, view.now_ms)

    def _age(self, i, now_ms):
        return (now_ms - self.words[i * _WORDS + _SINCE_MS]) & MASK

    def _start(self, i, view, key):
        at = i * _WORDS
        if self.words[at] == _FREE:
            self.used += 1
        self.words[at] = _COMING
        self.words[at + _KEY] = key
        self.words[at + _NEXT] = 0
        self.words[at + _SINCE_MS] = view.now_ms
        self.peers[i] = view.peer
        self.node.hurry()

    def _free(self, i):
        self.words[i * _WORDS] = _FREE
        self.peers[i] = None
        self.used -= 1

    def _refuse(self):
        self.node.counters[count.BLOCKS_REFUSED] += 1
        reply = self.node.reply
        reply.clear(SERVICE_UNAVAILABLE)
        reply.q[s.Q_MAX_AGE] = 5
        return SERVICE_UNAVAILABLE

    def _too_large(self):
        reply = self.node.reply
        reply.clear(REQUEST_ENTITY_TOO_LARGE)
        reply.q[s.Q_SIZE1] = self.bytes
        return REQUEST_ENTITY_TOO_LARGE
