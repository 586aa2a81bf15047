"""The message layer: at most once, and until acknowledged (RFC 7252 section 4).

Requests with side effects are remembered by (peer, MID) with their reply, so that a repeat is
answered and not executed. What we send confirmably lies in a slot until it is acknowledged,
rejected or given up; its owner writes the message anew each time, so no slot holds a message.

An owner has two methods: `transmit(slot, mid)` writes the message of `slot` into tx and returns
its length (0: there is nothing to send any more), and `settled(slot, how)` hears its end once.
"""

from array import array

import micropython
from micropython import const

from coap.codec import (
    ABSENT,
    CODE,
    DROP,
    FLAGS,
    IX_BLOCK1,
    IX_OSCORE,
    MID,
    NOT_REQUEST,
    OPTIONS_START,
    SEND_RESET,
    TYPE,
    UNSAFE,
    copy,
)
from coap.counters import (
    COUNT_DUPLICATES,
    COUNT_GIVEN_UP,
    COUNT_MALFORMED,
    COUNT_NO_EXCHANGE,
    COUNT_PEERS_EVICTED,
    COUNT_REFUSED,
    COUNT_RESPONSES_EVICTED,
    COUNT_RETRANSMISSIONS,
)
from coap.numbers import BAD_OPTION, CLOCK_HALF, CLOCK_MASK, SERVICE_UNAVAILABLE

# scan.UNSAFE, blocks of a request: scan.BLOCK1, and what is told from a replay: scan.OSCORE
_ONCE = UNSAFE | 1 << IX_BLOCK1 | 1 << IX_OSCORE

CACHED_STUB_BYTES = const(8)  # stand for a response that is too long to be cached: see coap.oscore

# How an exchange ended
ACKNOWLEDGED = const(0)
REJECTED = const(1)
GIVEN_UP = const(2)


# The table of cached responses: counts and lifetimes, entries of (peer << 16 | MID, when, length
# of
# the cached response with DEDUP_NON for a NON), one word a peer: when it was verified, 0 if not.
DEDUP_ENTRIES = const(0)
DEDUP_CON_MS = const(1)
DEDUP_NON_MS = const(2)
DEDUP_FIRST = const(3)
DEDUP_STEP = const(3)
DEDUP_NON = const(1 << 16)

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


class MessageLayer:
    """MIDs, duplicates, acknowledgements and retransmission for one node.

    remembered: requests whose reply is kept; reply_bytes: the longest kept whole; peers: senders
    that are told apart; exchanges: confirmable messages of ours in flight; the rest are the
    transmission parameters of RFC 7252 section 4.8.
    """

    def __init__(
        self,
        node,
        dedup_entries=16,
        cached_response_bytes=64,
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
        ring = [dedup_entries, exchange_lifetime_ms, non_lifetime_ms]
        ring += [ABSENT, 0, 0] * dedup_entries + [0] * peers
        self.dedup = array("i", ring)
        self.cached_responses = bytearray(dedup_entries * cached_response_bytes)
        self.cached_response_bytes = cached_response_bytes
        self.dedup_entry = 0  # of the request at hand
        self.swept_ms = -1
        # The numbers of peers. The dict gets its final size now: adding to one that is as large as
        # it will ever be allocates nothing.
        self.peers = [None] * peers
        self.peer_indexes = {}
        for i in range(peers + 4):
            self.peer_indexes[i] = 0
        for i in range(peers + 4):
            del self.peer_indexes[i]  # clear() would give the memory back
        self.next_evicted = 0
        self.exchanges = array("i", [0] * (_WORDS * exchanges))
        self.owners = [None] * exchanges
        self.exchange_peers = [None] * exchanges
        self.open_count = 0  # slots in use
        self.begun_count = 0  # exchanges since start: who waits stands in this order
        self.random = array("i", [0])
        self.mid = 0
        self.rate_limiter = None  # who may turn requests away: the rate limit, where there is one
        self.client = None  # who takes responses: the client, where there is one

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

    def receive(self, view, flags):  # hot
        """Answer what is no new request: bytes in tx (0: none). -1: a request to execute."""
        if flags & (DROP | SEND_RESET):
            self.node.counters[COUNT_MALFORMED] += 1
            return self.write_reset(view) if flags & SEND_RESET else 0
        if flags & NOT_REQUEST:
            return self._receive_other(view)
        if self.rate_limiter is not None and not self.rate_limiter.admits(view):
            return self.rate_limiter.refuse(view)
        if flags & _ONCE:
            who = self.peer_indexes.get(view.peer)
            if who is None:
                who = self.intern_peer(view.peer)
            if who < 0:
                return self._refuse_full(view)
            view.peer_index = who
            self.dedup_entry = deduplicate(self.dedup, view.index, who, view.now_ms)
            return self._replay_cached(view, self.dedup_entry)
        return self.node.separate.acknowledge_duplicate(view)

    def finish_response(self, view, n):  # hot
        """Stamp and remember the reply of n bytes to the request at hand: its length."""
        if view.index[TYPE] and n:
            if self.node.tx[1] == BAD_OPTION:
                n = 0  # RFC 7252 section 5.4.1: a NON with such an option is rejected in silence
            mid = self.next_mid()
            self.node.tx[2] = mid >> 8
            self.node.tx[3] = mid & 255
        if view.index[FLAGS] & _ONCE:
            self._cache_response(view, n)
        return n

    def _cache_response(self, view, n):  # hot
        if n > self.cached_response_bytes:
            # too long to keep: a repeat learns the code
            n = view.index[OPTIONS_START]
            if n > self.cached_response_bytes:
                n = 0
        if (
            n == view.index[OPTIONS_START]
            and view.index[FLAGS] >> IX_OSCORE & 1
            and self._is_secure()
        ):
            n = self.node.oscore.write_stub(
                self.cached_responses, self.dedup_entry * self.cached_response_bytes
            )
        else:
            copy(
                self.cached_responses,
                self.dedup_entry * self.cached_response_bytes,
                self.node.tx,
                0,
                n,
            )
        at = DEDUP_FIRST + DEDUP_STEP * self.dedup_entry + 2
        self.dedup[at] = self.dedup[at] & DEDUP_NON | n

    def _is_secure(self):
        return self.node.oscore is not None and self.cached_response_bytes >= CACHED_STUB_BYTES

    def write_reset(self, view):  # hot
        """An RST for the message at hand, in tx."""
        tx = self.node.tx
        tx[0] = 0x70
        tx[1] = 0
        tx[2] = view.buf[2]
        tx[3] = view.buf[3]
        return 4

    def write_ack(self, view):  # hot
        """An empty ACK for the message at hand, in tx; nothing for a NON."""
        if view.index[TYPE]:
            return 0
        n = self.write_reset(view)
        self.node.tx[0] = 0x60
        return n

    def intern_peer(self, peer, verified=False):  # hot
        """Give a peer that is not known a number, taking it from the one that had it longest.

        A stranger gets -1 when all numbers are those of verified peers: such a one loses its
        number to another, or when it has not been verified anew for an EXCHANGE_LIFETIME.
        """
        peers = len(self.peers)
        trust = DEDUP_FIRST + DEDUP_STEP * self.dedup[DEDUP_ENTRIES]
        who = self.next_evicted
        tries = peers
        while tries and self.dedup[trust + who]:
            # verified: a stranger takes a number from another stranger
            who = who + 1 if who + 1 < peers else 0
            tries -= 1
        if not tries and not verified:
            who = self._oldest_verified(trust)
            if who < 0:
                return -1
        self.next_evicted = who + 1 if who + 1 < peers else 0
        if self.peers[who] is not None:
            self._evict_peer(who, trust)
        self.peers[who] = peer
        self.peer_indexes[peer] = who
        return who

    def _oldest_verified(self, trust):  # hot
        """The verified peer whose verification is oldest, -1 when even that is young."""
        oldest_ms = self.dedup[DEDUP_CON_MS] - 1
        found = -1
        who = len(self.peers)
        while who:
            who -= 1
            age_ms = (self.node.view.now_ms - self.dedup[trust + who]) & CLOCK_MASK
            if age_ms > oldest_ms:
                oldest_ms = age_ms
                found = who
        return found

    def _evict_peer(self, who, trust):  # hot
        self.node.counters[COUNT_PEERS_EVICTED] += 1
        del self.peer_indexes[self.peers[who]]
        self.dedup[trust + who] = 0
        at = DEDUP_FIRST
        while at < trust:
            if self.dedup[at] >> 16 == who:
                self.dedup[at] = ABSENT
            at += DEDUP_STEP
        self.node.on_peer_evicted(who)

    def mark_verified(self, peer):  # hot
        """The peer receives at its address: it returned our Echo or acknowledged our CON."""
        who = self.peer_indexes.get(peer)
        if who is None:
            who = self.intern_peer(peer, True)
        at = DEDUP_FIRST + DEDUP_STEP * self.dedup[DEDUP_ENTRIES] + who
        self.dedup[at] = self.node.view.now_ms or CLOCK_MASK  # when, and never 0

    def is_verified(self, peer):  # hot
        """Is the peer verified?"""
        who = self.peer_indexes.get(peer)
        if who is None:
            return False
        return self.dedup[DEDUP_FIRST + DEDUP_STEP * self.dedup[DEDUP_ENTRIES] + who] != 0

    def _replay_cached(self, view, entry):  # hot
        entries = self.dedup[DEDUP_ENTRIES]
        if entry >= entries:
            if entry >= 2 * entries:
                self.node.counters[COUNT_RESPONSES_EVICTED] += 1
                entry -= entries
            self.dedup_entry = entry - entries
            return -1
        if entry < 0:
            return self._refuse_full(view)
        self.node.counters[COUNT_DUPLICATES] += 1
        if view.index[TYPE]:
            return 0
        n = self.dedup[DEDUP_FIRST + DEDUP_STEP * entry + 2] & (DEDUP_NON - 1)
        entry *= self.cached_response_bytes
        if n and self.cached_responses[entry] == 0:
            return self.node.protected_request(view, entry)
        copy(self.node.tx, 0, self.cached_responses, entry, n)
        return n

    def _refuse_full(self, view):  # hot
        # nothing may be pushed out: not to remember would be to execute twice
        self.node.counters[COUNT_REFUSED] += 1
        n = self.node.write_code(SERVICE_UNAVAILABLE)
        if view.index[TYPE]:
            mid = self.next_mid()
            self.node.tx[2] = mid >> 8
            self.node.tx[3] = mid & 255
        return n

    def _receive_other(self, view):  # hot
        index = view.index
        if index[TYPE] >= 2:
            if index[CODE] and (index[TYPE] == 3 or index[CODE] < 32):
                return 0  # RFC 7252 section 4.2: an RST is empty, and no ACK carries a request
            slot = self._find_exchange(view)
            if slot < 0:
                if index[TYPE] == 3:
                    self.node.rejected(view)
                return 0
            if index[TYPE] == 3:
                self._close(slot, REJECTED)
            elif index[CODE] == 0:
                self.mark_verified(view.peer)
                self._close(slot, ACKNOWLEDGED)
            elif self.client is not None:
                self.client.receive_response(view, slot)
            return 0
        if index[CODE] == 0:
            return self.write_reset(view)  # ping
        if index[CODE] > 31 and self.client is not None:
            n = self.client.receive_response(view, -1)
            if n >= 0:
                return n
        return 0 if index[TYPE] else self.write_reset(view)

    def _find_exchange(self, view):  # hot
        slots = self.exchanges
        mid = view.index[MID]
        slot = len(self.owners)
        while slot:
            slot -= 1
            at = slot * _WORDS
            if (
                slots[at] == _OPEN
                and slots[at + _MID] == mid
                and self.exchange_peers[slot] == view.peer
            ):
                return slot
        return -1

    # Outgoing

    def open_exchange(self, owner, peer):  # hot
        """A slot for a confirmable message to `peer`; -1 when all are taken.

        `owner.transmit()` is called from due() as soon as the peer's turn comes.
        """
        slot = len(self.owners)
        while slot:
            slot -= 1
            if self.owners[slot] is None:
                self.owners[slot] = owner
                self.exchange_peers[slot] = peer
                self.exchanges[slot * _WORDS] = _WAITING
                self.begun_count = (self.begun_count + 1) & CLOCK_MASK
                self.exchanges[slot * _WORDS + _MID] = self.begun_count
                self.exchanges[slot * _WORDS + _SENT] = 0
                self.open_count += 1
                self.node.reschedule()
                return slot
        self.node.counters[COUNT_NO_EXCHANGE] += 1
        return -1

    def has_free_exchange(self):  # hot
        """Is there a slot for begin()?"""
        return self.open_count < len(self.owners)

    def new_mid(self, slot):  # hot
        """The message of `slot` is not the one that was sent: it gets another MID."""
        mid = self.next_mid()
        self.exchanges[slot * _WORDS + _MID] = mid
        return mid

    def close_exchange(self, slot):  # hot
        """Free a slot without telling its owner."""
        self.owners[slot] = None
        self.exchange_peers[slot] = None
        self.exchanges[slot * _WORDS] = _FREE
        self.open_count -= 1
        self.node.reschedule()

    def due(self, now_ms):  # hot
        """Send or give up what is due: bytes in tx for node.peer, 0 when nothing is left to do."""
        if self.swept_ms < 0 or (now_ms - self.swept_ms) & CLOCK_MASK > CLOCK_HALF >> 2:
            self._sweep(now_ms)
        slot = len(self.owners) if self.open_count else 0
        while slot:
            slot -= 1
            n = self._service(slot, slot * _WORDS, now_ms)
            if n:
                return n
        return 0

    def wait_ms(self, now_ms):  # hot
        """Milliseconds until due() has something to do; at most 2**27, about a day and a half."""
        nearest = CLOCK_HALF >> 2
        slots = self.exchanges
        slot = len(self.owners) if self.open_count else 0
        while slot:
            slot -= 1
            at = slot * _WORDS
            if slots[at] == _OPEN:
                left = (slots[at + _NEXT_MS] - now_ms) & CLOCK_MASK
                if left >= CLOCK_HALF:
                    return 0
                if left < nearest:
                    nearest = left
            elif slots[at] == _WAITING and self._may_send(slot):
                return 0
        return nearest

    def _service(self, slot, at, now_ms):  # hot
        slots = self.exchanges
        if slots[at] == _WAITING and self._may_send(slot):
            slots[at] = _OPEN
            slots[at + _MID] = self.next_mid()
            slots[at + _NEXT_MS] = now_ms
            slots[at + _TIMEOUT_MS] = self._first_timeout_ms()
        if slots[at] != _OPEN or (now_ms - slots[at + _NEXT_MS]) & CLOCK_MASK >= CLOCK_HALF:
            return 0
        if slots[at + _SENT] > self.max_retransmit:
            self.node.counters[COUNT_GIVEN_UP] += 1
            self._close(slot, GIVEN_UP)
            return 0
        return self._transmit(slot, at, now_ms)

    def _first_timeout_ms(self):  # hot
        # RFC 7252 section 4.8: between ACK_TIMEOUT and ACK_TIMEOUT * ACK_RANDOM_FACTOR
        span_ms = self.ack_timeout_ms * (self.ack_random_pct - 100) // 100
        return self.ack_timeout_ms + (span_ms * (random16(self.random) >> 6) >> 10)

    def _transmit(self, slot, at, now_ms):  # hot
        self.node.peer = self.exchange_peers[slot]
        n = self.owners[slot].transmit(slot, self.exchanges[at + _MID])
        if n:
            if self.exchanges[at + _SENT]:
                self.node.counters[COUNT_RETRANSMISSIONS] += 1
            self.exchanges[at + _SENT] += 1
            now_ms += self.exchanges[at + _TIMEOUT_MS]
            self.exchanges[at + _NEXT_MS] = now_ms & CLOCK_MASK
            self.exchanges[at + _TIMEOUT_MS] *= 2
        elif self.owners[slot] is not None:
            self.close_exchange(slot)
        return n

    def _may_send(self, slot):  # hot
        busy = 0
        other = len(self.owners)
        while other:
            other -= 1
            if self.exchange_peers[other] == self.exchange_peers[slot] and self._is_ahead(
                other, slot
            ):
                busy += 1
        return busy < self.nstart

    def _is_ahead(self, other, slot):  # hot
        slots = self.exchanges
        other *= _WORDS
        if slots[other] == _WAITING:
            return (slots[other + _MID] - slots[slot * _WORDS + _MID]) & CLOCK_MASK > CLOCK_HALF
        return slots[other] == _OPEN

    def _close(self, slot, how):  # hot
        owner = self.owners[slot]
        self.close_exchange(slot)
        owner.on_exchange_done(slot, how)

    def _sweep(self, now_ms):  # hot
        # An entry must not see the clock come round and look young again.
        self.swept_ms = now_ms
        ring = self.dedup
        at = DEDUP_FIRST + DEDUP_STEP * ring[DEDUP_ENTRIES]
        while at > DEDUP_FIRST:
            at -= DEDUP_STEP
            if (now_ms - ring[at + 1]) & CLOCK_MASK >= ring[DEDUP_CON_MS]:
                ring[at] = ABSENT
        at = DEDUP_FIRST + DEDUP_STEP * ring[DEDUP_ENTRIES]
        while at < len(ring):
            if ring[at] and (now_ms - ring[at]) & CLOCK_MASK > CLOCK_HALF >> 2:
                ring[at] = 0
            at += 1


@micropython.viper
def deduplicate(ring: ptr32, index: ptr32, who: int, now_ms: int) -> int:
    """Look the request of peer `who` up among those that are remembered.

    The entry's number when it is there. Else an entry is made: over a dead one, and the answer is
    entries + its number; or over the oldest that the sender may push out, and it is 2 * entries +
    its number. -1 when there is none: only a verified peer pushes out a verified one.
    """
    count = ring[DEDUP_ENTRIES]
    peers = DEDUP_FIRST + DEDUP_STEP * count
    trusted = ring[peers + who]
    key = who << 16 | index[int(MID)]
    victim = -1
    oldest = -1
    i = 0
    at = DEDUP_FIRST
    while i < count:
        other = ring[at]
        age = (now_ms - ring[at + 1]) & int(CLOCK_MASK)
        if other == int(ABSENT) or (
            # a NON is remembered for less long
            age >= ring[DEDUP_NON_MS] and (age >= ring[DEDUP_CON_MS] or ring[at + 2] & DEDUP_NON)
        ):
            if oldest != int(CLOCK_MASK):
                oldest = int(CLOCK_MASK)
                victim = i
        elif other == key:
            return i
        elif age > oldest:
            if trusted or ring[peers + (other >> 16)] == 0:
                oldest = age
                victim = i
        at += DEDUP_STEP
        i += 1
    if victim < 0:
        return -1
    at = DEDUP_FIRST + DEDUP_STEP * victim
    ring[at] = key
    ring[at + 1] = now_ms & int(CLOCK_MASK)
    ring[at + 2] = DEDUP_NON if index[int(TYPE)] else 0
    if oldest == int(CLOCK_MASK):
        return count + victim
    return 2 * count + victim


@micropython.viper
def random16(state: ptr32) -> int:
    """The next of a full-period sequence of 2**30, its upper 16 bits."""
    value = (state[0] * 29773421 + 12345) & int(CLOCK_MASK)
    state[0] = value
    return value >> 14
