"""The message layer: at most once, and until acknowledged (RFC 7252 section 4).

Requests with side effects are remembered by (peer, MID) with their reply, so that a repeat is
answered and not executed. What we send confirmably lies in a slot until it is acknowledged,
rejected or given up; its owner writes the message anew each time, so no slot holds a message.

An owner has two methods: `transmit(slot, mid)` writes the message of `slot` into tx and returns
its length (0: there is nothing to send any more), and `settled(slot, how)` hears its end once.
"""

from array import array

from micropython import const

from coap.copying import copy
from coap.ring import random16, seen

# Numbers of other files: the compiler folds only the constants of the file at hand
_MALFORMED = const(0)  # counters.MALFORMED
_DUPLICATES = const(1)  # counters.DUPLICATES
_RETRANSMISSIONS = const(2)  # counters.RETRANSMISSIONS
_GIVEN_UP = const(3)  # counters.GIVEN_UP
_NO_EXCHANGE = const(4)  # counters.NO_EXCHANGE
_REPLIES_PUSHED_OUT = const(5)  # counters.REPLIES_PUSHED_OUT
_PEERS_PUSHED_OUT = const(6)  # counters.PEERS_PUSHED_OUT
_REFUSED = const(7)  # counters.REFUSED
_BAD_OPTION = const(0x82)  # numbers.BAD_OPTION
_SERVICE_UNAVAILABLE = const(0xA3)  # numbers.SERVICE_UNAVAILABLE
_FLAGS = const(48)  # scan.FLAGS
_TYPE = const(49)  # scan.TYPE
_CODE = const(50)  # scan.CODE
_SCAN_MID = const(51)  # scan.MID
_HEAD = const(53)  # scan.HEAD
# scan.UNSAFE, blocks of a request: scan.BLOCK1, and what is told from a replay: scan.OSCORE
_ONCE = const(1 << 24 | 1 << 12 | 1 << 16)
_OSCORE = const(16)  # scan.OSCORE
_SHORT = const(8)  # oscore.SHORT
_OTHER = const(1 << 26)  # scan.OTHER
_REFUSE = const(1 << 28)  # scan.REFUSE
_SILENT = const(1 << 29)  # scan.SILENT
_RING_ENTRIES = const(0)  # ring.RING_ENTRIES
_RING_CON_MS = const(1)  # ring.RING_CON_MS
_RING_FIRST = const(3)  # ring.RING_FIRST
_RING_STEP = const(3)  # ring.RING_STEP
_RING_NON = const(1 << 16)  # ring.RING_NON
_ABSENT = const(0x3FFFFFFF)  # scan.ABSENT

# How an exchange ended
ACKNOWLEDGED = const(0)
REJECTED = const(1)
GIVEN_UP = const(2)

MASK = const(0x3FFFFFFF)  # the clock is counted modulo 2**30
HALF = const(0x20000000)

# Words of a slot
_STATE = const(0)
_MID = const(1)  # while it waits: its place in the order
_NEXT_MS = const(2)
_TIMEOUT_MS = const(3)
_SENT = const(4)  # how many times
_WORDS = const(5)

_FREE = const(0)
_WAITING = const(1)  # for its turn: NSTART exchanges with this peer are open
_OPEN = const(2)


class Exchange:
    """MIDs, duplicates, acknowledgements and retransmission for one node.

    remembered: requests whose reply is kept; reply_bytes: the longest kept whole; peers: senders
    that are told apart; exchanges: confirmable messages of ours in flight; the rest are the
    transmission parameters of RFC 7252 section 4.8.
    """

    def __init__(
        self,
        node,
        remembered=16,
        reply_bytes=64,
        peers=16,
        exchanges=4,
        ack_timeout_ms=2000,
        ack_random_pct=150,
        max_retransmit=4,
        nstart=1,
        exchange_lifetime_ms=247000,
        non_lifetime_ms=145000,
    ):
        self.node = node
        self.ack_timeout_ms = ack_timeout_ms
        self.ack_random_pct = ack_random_pct
        self.max_retransmit = max_retransmit
        self.nstart = nstart
        ring = [remembered, exchange_lifetime_ms, non_lifetime_ms]
        ring += [_ABSENT, 0, 0] * remembered + [0] * peers
        self.ring = array("i", ring)
        self.replies = bytearray(remembered * reply_bytes)
        self.reply_bytes = reply_bytes
        self.entry = 0  # of the request at hand
        self.swept_ms = -1
        # The numbers of peers. The dict gets its final size now: adding to one that is as large as
        # it will ever be allocates nothing.
        self.names = [None] * peers
        self.numbers = {}
        for i in range(peers + 4):
            self.numbers[i] = 0
        for i in range(peers + 4):
            del self.numbers[i]  # clear() would give the memory back
        self.turn = 0
        self.slots = array("i", [0] * (_WORDS * exchanges))
        self.owners = [None] * exchanges
        self.peers = [None] * exchanges
        self.open = 0  # slots in use
        self.begun = 0  # exchanges since start: who waits stands in this order
        self.random = array("i", [0])
        self.mid = 0
        self.gate = None  # who may turn requests away: the rate limit, where there is one
        self.answers = None  # who takes responses: the client, where there is one

    def seed(self, entropy):
        """Start MIDs and the random source from `entropy`, at least 4 bytes (RFC 7252 4.4)."""
        value = 0
        for byte in entropy:
            value = (value * 257 + byte) & 0xFFFFFF
        self.random[0] = value
        self.mid = random16(self.random)

    def next_mid(self):  # hot
        """The MID for a message of ours."""
        self.mid = (self.mid + 1) & 0xFFFF
        return self.mid

    # Incoming

    def arrive(self, view, flags):  # hot
        """Answer what is no new request: bytes in tx (0: none). -1: a request to execute."""
        if flags & (_SILENT | _REFUSE):
            self.node.counters[_MALFORMED] += 1
            return self.reset(view) if flags & _REFUSE else 0
        if flags & _OTHER:
            return self._other(view)
        if self.gate is not None and not self.gate.admits(view):
            return self.gate.refuse(view)
        if flags & _ONCE:
            who = self.numbers.get(view.peer)
            if who is None:
                who = self.meet(view.peer)
            if who < 0:
                return self._full(view)
            view.who = who
            self.entry = seen(self.ring, view.r, who, view.now_ms)
            return self._recall(view, self.entry)
        return self.node.later.recall(view)

    def depart(self, view, n):  # hot
        """Stamp and remember the reply of n bytes to the request at hand: its length."""
        if view.r[_TYPE] and n:
            if self.node.tx[1] == _BAD_OPTION:
                n = 0  # RFC 7252 section 5.4.1: a NON with such an option is rejected in silence
            mid = self.next_mid()
            self.node.tx[2] = mid >> 8
            self.node.tx[3] = mid & 255
        if view.r[_FLAGS] & _ONCE:
            self._remember(view, n)
        return n

    def _remember(self, view, n):  # hot
        if n > self.reply_bytes:
            # too long to keep: a repeat learns the code
            n = view.r[_HEAD]
            if n > self.reply_bytes:
                n = 0
        if n == view.r[_HEAD] and view.r[_FLAGS] >> _OSCORE & 1 and self._is_secure():
            n = self.node.secure.shorten(self.replies, self.entry * self.reply_bytes)
        else:
            copy(self.replies, self.entry * self.reply_bytes, self.node.tx, 0, n)
        at = _RING_FIRST + _RING_STEP * self.entry + 2
        self.ring[at] = self.ring[at] & _RING_NON | n

    def _is_secure(self):
        return self.node.secure is not None and self.reply_bytes >= _SHORT

    def reset(self, view):  # hot
        """An RST for the message at hand, in tx."""
        tx = self.node.tx
        tx[0] = 0x70
        tx[1] = 0
        tx[2] = view.buf[2]
        tx[3] = view.buf[3]
        return 4

    def acknowledge(self, view):  # hot
        """An empty ACK for the message at hand, in tx; nothing for a NON."""
        if view.r[_TYPE]:
            return 0
        n = self.reset(view)
        self.node.tx[0] = 0x60
        return n

    def meet(self, peer, verified=False):  # hot
        """Give a peer that is not known a number, taking it from the one that had it longest.

        A stranger gets -1 when all numbers are those of verified peers: such a one loses its
        number to another, or when it has not been verified anew for an EXCHANGE_LIFETIME.
        """
        peers = len(self.names)
        trust = _RING_FIRST + _RING_STEP * self.ring[_RING_ENTRIES]
        who = self.turn
        tries = peers
        while tries and self.ring[trust + who]:
            # verified: a stranger takes a number from another stranger
            who = who + 1 if who + 1 < peers else 0
            tries -= 1
        if not tries and not verified:
            who = self._lapsed(trust)
            if who < 0:
                return -1
        self.turn = who + 1 if who + 1 < peers else 0
        if self.names[who] is not None:
            self._push_out(who, trust)
        self.names[who] = peer
        self.numbers[peer] = who
        return who

    def _lapsed(self, trust):  # hot
        """The verified peer whose verification is oldest, -1 when even that is young."""
        oldest_ms = self.ring[_RING_CON_MS] - 1
        found = -1
        who = len(self.names)
        while who:
            who -= 1
            age_ms = (self.node.view.now_ms - self.ring[trust + who]) & MASK
            if age_ms > oldest_ms:
                oldest_ms = age_ms
                found = who
        return found

    def _push_out(self, who, trust):  # hot
        self.node.counters[_PEERS_PUSHED_OUT] += 1
        del self.numbers[self.names[who]]
        self.ring[trust + who] = 0
        at = _RING_FIRST
        while at < trust:
            if self.ring[at] >> 16 == who:
                self.ring[at] = _ABSENT
            at += _RING_STEP
        self.node.forget(who)

    def trust(self, peer):  # hot
        """The peer receives at its address: it returned our Echo or acknowledged our CON."""
        who = self.numbers.get(peer)
        if who is None:
            who = self.meet(peer, True)
        at = _RING_FIRST + _RING_STEP * self.ring[_RING_ENTRIES] + who
        self.ring[at] = self.node.view.now_ms or MASK  # when, and never 0

    def trusts(self, peer):  # hot
        """Is the peer verified?"""
        who = self.numbers.get(peer)
        if who is None:
            return False
        return self.ring[_RING_FIRST + _RING_STEP * self.ring[_RING_ENTRIES] + who] != 0

    def _recall(self, view, entry):  # hot
        entries = self.ring[_RING_ENTRIES]
        if entry >= entries:
            if entry >= 2 * entries:
                self.node.counters[_REPLIES_PUSHED_OUT] += 1
                entry -= entries
            self.entry = entry - entries
            return -1
        if entry < 0:
            return self._full(view)
        self.node.counters[_DUPLICATES] += 1
        if view.r[_TYPE]:
            return 0
        n = self.ring[_RING_FIRST + _RING_STEP * entry + 2] & (_RING_NON - 1)
        entry *= self.reply_bytes
        if n and self.replies[entry] == 0:
            return self.node.secure.repeat(view, self.replies, entry)
        copy(self.node.tx, 0, self.replies, entry, n)
        return n

    def _full(self, view):  # hot
        # nothing may be pushed out: not to remember would be to execute twice
        self.node.counters[_REFUSED] += 1
        n = self.node.fail(_SERVICE_UNAVAILABLE)
        if view.r[_TYPE]:
            mid = self.next_mid()
            self.node.tx[2] = mid >> 8
            self.node.tx[3] = mid & 255
        return n

    def _other(self, view):  # hot
        r = view.r
        if r[_TYPE] >= 2:
            if r[_CODE] and (r[_TYPE] == 3 or r[_CODE] < 32):
                return 0  # RFC 7252 section 4.2: an RST is empty, and no ACK carries a request
            slot = self._find(view)
            if slot < 0:
                if r[_TYPE] == 3:
                    self.node.rejected(view)
                return 0
            if r[_TYPE] == 3:
                self._settle(slot, REJECTED)
            elif r[_CODE] == 0:
                self.trust(view.peer)
                self._settle(slot, ACKNOWLEDGED)
            elif self.answers is not None:
                self.answers.response(view, slot)
            return 0
        if r[_CODE] == 0:
            return self.reset(view)  # ping
        if r[_CODE] > 31 and self.answers is not None:
            n = self.answers.response(view, -1)
            if n >= 0:
                return n
        return 0 if r[_TYPE] else self.reset(view)

    def _find(self, view):  # hot
        slots = self.slots
        mid = view.r[_SCAN_MID]
        slot = len(self.owners)
        while slot:
            slot -= 1
            at = slot * _WORDS
            if slots[at] == _OPEN and slots[at + _MID] == mid and self.peers[slot] == view.peer:
                return slot
        return -1

    # Outgoing

    def begin(self, owner, peer):  # hot
        """A slot for a confirmable message to `peer`; -1 when all are taken.

        `owner.transmit()` is called from due() as soon as the peer's turn comes.
        """
        slot = len(self.owners)
        while slot:
            slot -= 1
            if self.owners[slot] is None:
                self.owners[slot] = owner
                self.peers[slot] = peer
                self.slots[slot * _WORDS] = _WAITING
                self.begun = (self.begun + 1) & MASK
                self.slots[slot * _WORDS + _MID] = self.begun
                self.slots[slot * _WORDS + _SENT] = 0
                self.open += 1
                self.node.hurry()
                return slot
        self.node.counters[_NO_EXCHANGE] += 1
        return -1

    def free(self):  # hot
        """Is there a slot for begin()?"""
        return self.open < len(self.owners)

    def renew(self, slot):  # hot
        """The message of `slot` is not the one that was sent: it gets another MID."""
        mid = self.next_mid()
        self.slots[slot * _WORDS + _MID] = mid
        return mid

    def end(self, slot):  # hot
        """Free a slot without telling its owner."""
        self.owners[slot] = None
        self.peers[slot] = None
        self.slots[slot * _WORDS] = _FREE
        self.open -= 1
        self.node.hurry()

    def due(self, now_ms):  # hot
        """Send or give up what is due: bytes in tx for node.peer, 0 when nothing is left to do."""
        if self.swept_ms < 0 or (now_ms - self.swept_ms) & MASK > HALF >> 2:
            self._sweep(now_ms)
        slot = len(self.owners) if self.open else 0
        while slot:
            slot -= 1
            n = self._attend(slot, slot * _WORDS, now_ms)
            if n:
                return n
        return 0

    def wait_ms(self, now_ms):  # hot
        """Milliseconds until due() has something to do; at most 2**27, about a day and a half."""
        nearest = HALF >> 2
        slots = self.slots
        slot = len(self.owners) if self.open else 0
        while slot:
            slot -= 1
            at = slot * _WORDS
            if slots[at] == _OPEN:
                left = (slots[at + _NEXT_MS] - now_ms) & MASK
                if left >= HALF:
                    return 0
                if left < nearest:
                    nearest = left
            elif slots[at] == _WAITING and self._turn(slot):
                return 0
        return nearest

    def _attend(self, slot, at, now_ms):  # hot
        slots = self.slots
        if slots[at] == _WAITING and self._turn(slot):
            slots[at] = _OPEN
            slots[at + _MID] = self.next_mid()
            slots[at + _NEXT_MS] = now_ms
            slots[at + _TIMEOUT_MS] = self._first_timeout_ms()
        if slots[at] != _OPEN or (now_ms - slots[at + _NEXT_MS]) & MASK >= HALF:
            return 0
        if slots[at + _SENT] > self.max_retransmit:
            self.node.counters[_GIVEN_UP] += 1
            self._settle(slot, GIVEN_UP)
            return 0
        return self._transmit(slot, at, now_ms)

    def _first_timeout_ms(self):  # hot
        # RFC 7252 section 4.8: between ACK_TIMEOUT and ACK_TIMEOUT * ACK_RANDOM_FACTOR
        span_ms = self.ack_timeout_ms * (self.ack_random_pct - 100) // 100
        return self.ack_timeout_ms + (span_ms * (random16(self.random) >> 6) >> 10)

    def _transmit(self, slot, at, now_ms):  # hot
        self.node.peer = self.peers[slot]
        n = self.owners[slot].transmit(slot, self.slots[at + _MID])
        if n:
            if self.slots[at + _SENT]:
                self.node.counters[_RETRANSMISSIONS] += 1
            self.slots[at + _SENT] += 1
            now_ms += self.slots[at + _TIMEOUT_MS]
            self.slots[at + _NEXT_MS] = now_ms & MASK
            self.slots[at + _TIMEOUT_MS] *= 2
        elif self.owners[slot] is not None:
            self.end(slot)
        return n

    def _turn(self, slot):  # hot
        busy = 0
        other = len(self.owners)
        while other:
            other -= 1
            if self.peers[other] == self.peers[slot] and self._before(other, slot):
                busy += 1
        return busy < self.nstart

    def _before(self, other, slot):  # hot
        slots = self.slots
        other *= _WORDS
        if slots[other] == _WAITING:
            return (slots[other + _MID] - slots[slot * _WORDS + _MID]) & MASK > HALF
        return slots[other] == _OPEN

    def _settle(self, slot, how):  # hot
        owner = self.owners[slot]
        self.end(slot)
        owner.settled(slot, how)

    def _sweep(self, now_ms):  # hot
        # An entry must not see the clock come round and look young again.
        self.swept_ms = now_ms
        ring = self.ring
        at = _RING_FIRST + _RING_STEP * ring[_RING_ENTRIES]
        while at > _RING_FIRST:
            at -= _RING_STEP
            if (now_ms - ring[at + 1]) & MASK >= ring[_RING_CON_MS]:
                ring[at] = _ABSENT
        at = _RING_FIRST + _RING_STEP * ring[_RING_ENTRIES]
        while at < len(ring):
            if ring[at] and (now_ms - ring[at]) & MASK > HALF >> 2:
                ring[at] = 0
            at += 1
