"""The slots of block-wise transfers: who sends what to us, and which long answers are kept.

A slot belongs to (peer, security context, resource, key); the key is a digest of what else makes
two requests parts of one: RFC 7959 section 2.5 and RFC 9175 section 3.3. Anybody can find two
requests with one key, so what must not be mixed does not rest on it. A stranger never takes the
slot of a verified peer.
"""

from array import array

from micropython import const

from coap.copying import copy
from coap.scan import digest_option

# Numbers of other files: the compiler folds only the constants of the file at hand
_BLOCKS_REFUSED = const(14)  # counters.BLOCKS_REFUSED
_BLOCKS_PUSHED_OUT = const(17)  # counters.BLOCKS_PUSHED_OUT
_IF_MATCH = const(1)  # scan.IF_MATCH
_URI_PATH = const(7)  # scan.URI_PATH
_URI_QUERY = const(9)  # scan.URI_QUERY
_REQUEST_TAG = const(19)  # scan.REQUEST_TAG
_SCAN_CODE = const(50)  # scan.CODE
_PAYLOAD = const(55)  # scan.PAYLOAD
_Q_CODE = const(0)  # compose.Q_CODE
_Q_ETAG = const(1)  # compose.Q_ETAG
_Q_FORMAT = const(3)  # compose.Q_FORMAT
_Q_START = const(9)  # compose.Q_START
_Q_LENGTH = const(10)  # compose.Q_LENGTH
_Q_AT = const(11)  # compose.Q_AT
_HALF = const(0x20000000)  # exchange.HALF
_MASK = const(0x3FFFFFFF)  # exchange.MASK

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
COMING = const(1)
ANSWERED = const(2)


class Transfers:
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
        r = view.r
        value = digest_option(view.buf, r, _IF_MATCH, r[_SCAN_CODE])
        value = digest_option(view.buf, r, _URI_PATH, value)
        value = digest_option(view.buf, r, _URI_QUERY, value)
        return digest_option(view.buf, r, _REQUEST_TAG, value)

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
            self.node.counters[_BLOCKS_PUSHED_OUT] += 1
            self.free(victim)
        else:
            self.node.counters[_BLOCKS_REFUSED] += 1
            return -1
        return victim if streams or self.buffers[victim] is not None else self._furnish(victim)

    def _furnish(self, i):
        try:
            self.buffers[i] = bytearray(self.size)
        except MemoryError:
            self.node.counters[_BLOCKS_REFUSED] += 1
            return -1
        return i

    def begin(self, i, view, key):
        """The slot holds nothing yet of what will come."""
        at = i * _WORDS
        if self.words[at] == FREE:
            self.used += 1
        self.words[at] = COMING
        self.words[at + _KEY] = key
        self.words[at + _NEXT] = 0
        self.words[at + _CONTEXT] = view.context
        self.peers[i] = view.peer
        self.resources[i] = self.node.resource
        self.touch(i, view.now_ms)

    def touch(self, i, now_ms):
        """The lifetime of the slot begins anew."""
        self.words[i * _WORDS + _SINCE_MS] = now_ms
        self.node.hurry()

    def append(self, i, view, length):
        """Put the payload of the request at hand, `length` bytes, behind what has come."""
        copy(self.buffers[i], self.length(i), view.buf, view.r[_PAYLOAD], length)

    def advance(self, i, length):
        """So many bytes have come, kept or not."""
        self.words[i * _WORDS + _NEXT] += length

    def keep(self, i, reply):
        """Keep the answer, which the slot has room for."""
        q = reply.q
        if reply.source is not self.buffers[i]:
            copy(self.buffers[i], 0, reply.source, q[_Q_START], q[_Q_AT])
            reply.source = self.buffers[i]
            q[_Q_START] = 0
        self.tags[i] = reply.tag if q[_Q_ETAG] else b""
        i *= _WORDS
        self.words[i] = ANSWERED
        self.words[i + _NEXT] = q[_Q_AT]
        self.words[i + _CODE] = q[_Q_CODE]
        self.words[i + _FORMAT] = q[_Q_FORMAT]

    def recall(self, i, reply):
        """Put the answer that is kept into `reply`: its code."""
        reply.start()
        q = reply.q
        q[_Q_FORMAT] = self.words[i * _WORDS + _FORMAT]
        q[_Q_ETAG] = len(self.tags[i])
        reply.tag = self.tags[i]
        reply.source = self.buffers[i]
        q[_Q_AT] = q[_Q_LENGTH] = self.words[i * _WORDS + _NEXT]
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
        nearest = _HALF
        i = self.slots if self.used else 0
        while i:
            i -= 1
            if self.words[i * _WORDS]:
                left = self.lifetime_ms - self._age_ms(i, now_ms)
                if left < nearest:
                    nearest = left if left > 0 else 0
        return nearest

    def _yields(self, i, view):
        trusted = self.node.exchange.trusts(view.peer)
        if self.node.exchange.trusts(self.peers[i]):
            return trusted and self.words[i * _WORDS] == ANSWERED
        return trusted or self.words[i * _WORDS] == ANSWERED

    def _sooner(self, i, other, now_ms):
        kept = self.words[i * _WORDS]
        if kept != self.words[other * _WORDS]:
            return kept == ANSWERED
        return self._age_ms(i, now_ms) > self._age_ms(other, now_ms)

    def _age_ms(self, i, now_ms):
        return (now_ms - self.words[i * _WORDS + _SINCE_MS]) & _MASK
