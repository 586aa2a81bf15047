"""The message layer: deduplication, acknowledgements and retransmission (RFC 7252 section 4).

Theory of operation. Requests with side effects are entered in the deduplication table by (peer,
MID) with their response, so that a duplicate gets it from the table and is not executed. Each
peer in the table has an index, which stands for it in 16 bits.

A confirmable message of ours holds an exchange until it is acknowledged, rejected or given up. The
exchange's owner writes the message again for each transmission, so no exchange holds a message.
An owner has two methods: `transmit(exchange, mid)` writes the message into tx and returns its
length (0: there is nothing to send any more), and `on_exchange_done(exchange, outcome)` is called
once, at the end. At most `nstart` exchanges with one peer are sent at a time (section 4.7).

The layer above calls receive() for a message that parse() found to concern this layer, and
finish_response() with each response; transports never call this layer.
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
    SAFE_BYTES,
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

# Requests that get an entry: also blocks of a request, and those that OSCORE tells from a replay
_DEDUPLICATED = UNSAFE | 1 << IX_BLOCK1 | 1 << IX_OSCORE

CACHED_STUB_BYTES = const(8)  # stand for a response that is too long to be cached: see coap.oscore

# What a peer has shown, see rank()
STRANGER = const(0)
VERIFIED = const(1)
AUTHENTICATED = const(2)

# Outcomes of an exchange
ACKNOWLEDGED = const(0)
REJECTED = const(1)
GIVEN_UP = const(2)


# The deduplication table: its size and lifetimes; entries of (peer index << 16 | MID, time, length
# of the cached response, with DEDUP_NON for a NON); a word for each peer: when it was verified, 0
# if it was not.
DEDUP_ENTRIES = const(0)
DEDUP_CON_MS = const(1)
DEDUP_NON_MS = const(2)
DEDUP_FIRST = const(3)
DEDUP_STEP = const(3)
DEDUP_NON = const(1 << 16)

# Words of an exchange
_STATE = const(0)
_MID = const(1)  # while it waits: its place in the queue
_NEXT_MS = const(2)
_TIMEOUT_MS = const(3)
_SENT = const(4)  # transmissions
_WORDS = const(5)

_FREE = const(0)
_WAITING = const(1)  # NSTART exchanges with this peer are open
_OPEN = const(2)


class MessageLayer:
    """The message layer of one node.

    dedup_entries: requests in the deduplication table; cached_response_bytes: the longest response
    that is cached whole; peers: entries of the peer table; exchanges: confirmable messages in
    flight or waiting; the other settings are the transmission parameters of RFC 7252 section 4.8.
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
        table = [dedup_entries, exchange_lifetime_ms, non_lifetime_ms]
        table += [ABSENT, 0, 0] * dedup_entries + [0] * peers
        self.dedup = array("i", table)
        self.cached_responses = bytearray(dedup_entries * cached_response_bytes)
        self.cached_response_bytes = cached_response_bytes
        self.dedup_entry = 0  # of the request in process
        self.swept_ms = -1
        # The dict gets its final size now, so that adding to it allocates nothing later.
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
        self.open_count = 0  # exchanges in use
        self.begun_count = 0  # exchanges since start: the order of those that wait
        self.random = array("i", [0])
        self.mid = 0
        self.rate_limiter = None  # set by RateLimit
        self.client = None  # set by Client

    def seed(self, entropy):
        """Start MIDs and the random source from `entropy`, at least 4 bytes (section 4.4)."""
        value = 0
        for byte in entropy:
            value = (value * 257 + byte) & 0xFFFFFF
        self.random[0] = value
        self.mid = random16(self.random)

    def next_mid(self):  # hot
        """Return a new MID for a message of ours."""
        self.mid = (self.mid + 1) & 0xFFFF
        return self.mid

    # Incoming

    def receive(self, view, flags):  # hot
        """Process a message that is no new request; return the length of the response in tx (0:
        none), or -1 for a request to execute.
        """
        if flags & (DROP | SEND_RESET):
            self.node.counters[COUNT_MALFORMED] += 1
            return self.write_reset(view) if flags & SEND_RESET else 0
        if flags & NOT_REQUEST:
            return self._receive_other(view)
        if self.rate_limiter is not None and not self.rate_limiter.admits(view):
            return self.rate_limiter.refuse(view)
        if flags & _DEDUPLICATED:
            peer_index = self.peer_indexes.get(view.peer)
            if peer_index is None:
                peer_index = self.intern_peer(view.peer)
            if peer_index < 0:
                return self._refuse_full(view)
            view.peer_index = peer_index
            self.dedup_entry = deduplicate(self.dedup, view.index, peer_index, view.now_ms)
            return self._replay_cached(view, self.dedup_entry)
        return self.node.separate.acknowledge_duplicate(view)

    def finish_response(self, view, n):  # hot
        """Give the response in tx[0:n] its MID, and cache it; return its length."""
        if view.index[TYPE] and n:
            if self.node.tx[1] == BAD_OPTION:
                n = 0  # a NON with such an option is rejected in silence (section 5.4.1)
            mid = self.next_mid()
            self.node.tx[2] = mid >> 8
            self.node.tx[3] = mid & 255
        if view.index[FLAGS] & _DEDUPLICATED:
            self._cache_response(view, n)
        return n

    def _cache_response(self, view, n):  # hot
        if n > self.cached_response_bytes:
            # too long to cache: a duplicate gets the code alone
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
        """Write an RST for the message in `view` into tx; return its length."""
        tx = self.node.tx
        tx[0] = 0x70
        tx[1] = 0
        tx[2] = view.buf[2]
        tx[3] = view.buf[3]
        return 4

    def write_ack(self, view):  # hot
        """Write an empty ACK for the message in `view` into tx; return its length, 0 for a NON."""
        if view.index[TYPE]:
            return 0
        n = self.write_reset(view)
        self.node.tx[0] = 0x60
        return n

    def intern_peer(self, peer, verified=False):  # hot
        """Give an unknown peer an index; return it, -1 when an unverified peer finds none.

        It is the index of the unverified peer that has had its own for longest. With none such, a
        verified peer takes that of the verified one that was verified first, and so may any other
        when that was more than EXCHANGE_LIFETIME ago.
        """
        peers = len(self.peers)
        verified_at = DEDUP_FIRST + DEDUP_STEP * self.dedup[DEDUP_ENTRIES]
        peer_index = self.next_evicted
        tries = peers
        while tries and self.dedup[verified_at + peer_index]:
            # of a verified peer: an unverified one only takes the index of another such
            peer_index = peer_index + 1 if peer_index + 1 < peers else 0
            tries -= 1
        if not tries and not verified:
            peer_index = self._oldest_verified(verified_at)
            if peer_index < 0:
                return -1
        self.next_evicted = peer_index + 1 if peer_index + 1 < peers else 0
        if self.peers[peer_index] is not None:
            self._evict_peer(peer_index, verified_at)
        self.peers[peer_index] = peer
        self.peer_indexes[peer] = peer_index
        return peer_index

    def _oldest_verified(self, verified_at):  # hot
        """Return the peer verified first, -1 when that was within EXCHANGE_LIFETIME."""
        oldest_ms = self.dedup[DEDUP_CON_MS] - 1
        found = -1
        peer_index = len(self.peers)
        while peer_index:
            peer_index -= 1
            age_ms = (self.node.view.now_ms - self.dedup[verified_at + peer_index]) & CLOCK_MASK
            if age_ms > oldest_ms:
                oldest_ms = age_ms
                found = peer_index
        return found

    def _evict_peer(self, peer_index, verified_at):  # hot
        self.node.counters[COUNT_PEERS_EVICTED] += 1
        del self.peer_indexes[self.peers[peer_index]]
        self.dedup[verified_at + peer_index] = 0
        at = DEDUP_FIRST
        while at < verified_at:
            if self.dedup[at] >> 16 == peer_index:
                self.dedup[at] = ABSENT
            at += DEDUP_STEP
        self.node.on_peer_evicted(peer_index)

    def mark_verified(self, peer):  # hot
        """Note that the peer receives at its address: it returned an Echo or acknowledged a
        CON.
        """
        peer_index = self.peer_indexes.get(peer)
        if peer_index is None:
            peer_index = self.intern_peer(peer, True)
        at = DEDUP_FIRST + DEDUP_STEP * self.dedup[DEDUP_ENTRIES] + peer_index
        self.dedup[at] = self.node.view.now_ms or CLOCK_MASK  # the time, and never 0

    def is_verified(self, peer):  # hot
        """Return True if the peer is known to receive at its address."""
        peer_index = self.peer_indexes.get(peer)
        if peer_index is None:
            return False
        return self.dedup[DEDUP_FIRST + DEDUP_STEP * self.dedup[DEDUP_ENTRIES] + peer_index] != 0

    def rank(self, view):  # hot
        """Return what the sender has shown: 2 that it has keys, 1 that it receives at its address,
        0 nothing. Where an entry of a full table is wanted, who has shown less yields.
        """
        return self.rank_of(view.peer, view.context)

    def rank_of(self, peer, context):  # hot
        """Return the rank of a peer; context: number of the security context, 0 for none."""
        if context:
            return AUTHENTICATED
        return VERIFIED if self.is_verified(peer) else STRANGER

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
        if n > SAFE_BYTES and not self.node.builder.may_send(view, n):
            n = view.index[OPTIONS_START]  # the code alone
        copy(self.node.tx, 0, self.cached_responses, entry, n)
        return n

    def _refuse_full(self, view):  # hot
        # no entry may be evicted, and without one a duplicate would be executed
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
                return 0  # an RST is empty, and no ACK carries a request (section 4.2)
            exchange = self._find_exchange(view)
            if exchange < 0:
                if index[TYPE] == 3:
                    self.node.rejected(view)
                return 0
            if index[TYPE] == 3:
                self._end(exchange, REJECTED)
            elif index[CODE] == 0:
                self.mark_verified(view.peer)
                self._end(exchange, ACKNOWLEDGED)
            elif self.client is not None:
                self.client.receive_response(view, exchange)
            return 0
        if index[CODE] == 0:
            return self.write_reset(view)  # ping
        if index[CODE] > 31 and self.client is not None:
            n = self.client.receive_response(view, -1)
            if n >= 0:
                return n
        return 0 if index[TYPE] else self.write_reset(view)

    def _find_exchange(self, view):  # hot
        words = self.exchanges
        mid = view.index[MID]
        exchange = len(self.owners)
        while exchange:
            exchange -= 1
            at = exchange * _WORDS
            if (
                words[at] == _OPEN
                and words[at + _MID] == mid
                and self.exchange_peers[exchange] == view.peer
            ):
                return exchange
        return -1

    # Outgoing

    def open_exchange(self, owner, peer):  # hot
        """Open an exchange for a confirmable message to `peer`; return it, -1 when none is free.

        `owner.transmit()` is called from due() as soon as NSTART permits.
        """
        exchange = len(self.owners)
        while exchange:
            exchange -= 1
            if self.owners[exchange] is None:
                self.owners[exchange] = owner
                self.exchange_peers[exchange] = peer
                self.exchanges[exchange * _WORDS] = _WAITING
                self.begun_count = (self.begun_count + 1) & CLOCK_MASK
                self.exchanges[exchange * _WORDS + _MID] = self.begun_count
                self.exchanges[exchange * _WORDS + _SENT] = 0
                self.open_count += 1
                self.node.reschedule()
                return exchange
        self.node.counters[COUNT_NO_EXCHANGE] += 1
        return -1

    def has_free_exchange(self):  # hot
        """Return True if open_exchange() would find a free one."""
        return self.open_count < len(self.owners)

    def new_mid(self, exchange):  # hot
        """Give `exchange` a new MID and return it: its message is another one than was sent."""
        mid = self.next_mid()
        self.exchanges[exchange * _WORDS + _MID] = mid
        return mid

    def close_exchange(self, exchange):  # hot
        """Free an exchange without a call of its owner."""
        self.owners[exchange] = None
        self.exchange_peers[exchange] = None
        self.exchanges[exchange * _WORDS] = _FREE
        self.open_count -= 1
        self.node.reschedule()

    def due(self, now_ms):  # hot
        """Send or give up what is due; return the length of a message in tx for node.peer, 0 when
        nothing is left to do.
        """
        if self.swept_ms < 0 or (now_ms - self.swept_ms) & CLOCK_MASK > CLOCK_HALF >> 2:
            self._sweep(now_ms)
        exchange = len(self.owners) if self.open_count else 0
        while exchange:
            exchange -= 1
            n = self._service(exchange, exchange * _WORDS, now_ms)
            if n:
                return n
        return 0

    def wait_ms(self, now_ms):  # hot
        """Return the milliseconds until due() has something to do, at most 2**27."""
        nearest = CLOCK_HALF >> 2
        words = self.exchanges
        exchange = len(self.owners) if self.open_count else 0
        while exchange:
            exchange -= 1
            at = exchange * _WORDS
            if words[at] == _OPEN:
                left = (words[at + _NEXT_MS] - now_ms) & CLOCK_MASK
                if left >= CLOCK_HALF:
                    return 0
                if left < nearest:
                    nearest = left
            elif words[at] == _WAITING and self._may_send(exchange):
                return 0
        return nearest

    def _service(self, exchange, at, now_ms):  # hot
        words = self.exchanges
        if words[at] == _WAITING and self._may_send(exchange):
            words[at] = _OPEN
            words[at + _MID] = self.next_mid()
            words[at + _NEXT_MS] = now_ms
            words[at + _TIMEOUT_MS] = self._first_timeout_ms()
        if words[at] != _OPEN or (now_ms - words[at + _NEXT_MS]) & CLOCK_MASK >= CLOCK_HALF:
            return 0
        if words[at + _SENT] > self.max_retransmit:
            self.node.counters[COUNT_GIVEN_UP] += 1
            self._end(exchange, GIVEN_UP)
            return 0
        return self._transmit(exchange, at, now_ms)

    def _first_timeout_ms(self):  # hot
        # between ACK_TIMEOUT and ACK_TIMEOUT * ACK_RANDOM_FACTOR (section 4.8)
        span_ms = self.ack_timeout_ms * (self.ack_random_pct - 100) // 100
        return self.ack_timeout_ms + (span_ms * (random16(self.random) >> 6) >> 10)

    def _transmit(self, exchange, at, now_ms):  # hot
        self.node.peer = self.exchange_peers[exchange]
        n = self.owners[exchange].transmit(exchange, self.exchanges[at + _MID])
        if n:
            if self.exchanges[at + _SENT]:
                self.node.counters[COUNT_RETRANSMISSIONS] += 1
            self.exchanges[at + _SENT] += 1
            now_ms += self.exchanges[at + _TIMEOUT_MS]
            self.exchanges[at + _NEXT_MS] = now_ms & CLOCK_MASK
            self.exchanges[at + _TIMEOUT_MS] *= 2
        elif self.owners[exchange] is not None:
            self.close_exchange(exchange)
        return n

    def _may_send(self, exchange):  # hot
        busy = 0
        other = len(self.owners)
        while other:
            other -= 1
            if self.exchange_peers[other] == self.exchange_peers[exchange] and self._is_ahead(
                other, exchange
            ):
                busy += 1
        return busy < self.nstart

    def _is_ahead(self, other, exchange):  # hot
        words = self.exchanges
        other *= _WORDS
        if words[other] == _WAITING:
            return (
                words[other + _MID] - words[exchange * _WORDS + _MID]
            ) & CLOCK_MASK > CLOCK_HALF
        return words[other] == _OPEN

    def _end(self, exchange, outcome):  # hot
        owner = self.owners[exchange]
        self.close_exchange(exchange)
        owner.on_exchange_done(exchange, outcome)

    def _sweep(self, now_ms):  # hot
        # Clear old times before the clock wraps and they look new.
        self.swept_ms = now_ms
        table = self.dedup
        at = DEDUP_FIRST + DEDUP_STEP * table[DEDUP_ENTRIES]
        while at > DEDUP_FIRST:
            at -= DEDUP_STEP
            if (now_ms - table[at + 1]) & CLOCK_MASK >= table[DEDUP_CON_MS]:
                table[at] = ABSENT
        at = DEDUP_FIRST + DEDUP_STEP * table[DEDUP_ENTRIES]
        while at < len(table):
            if table[at] and (now_ms - table[at]) & CLOCK_MASK > CLOCK_HALF >> 2:
                table[at] = 0
            at += 1


@micropython.viper
def deduplicate(table: ptr32, index: ptr32, peer_index: int, now_ms: int) -> int:
    """Look up the request of a peer; return its entry, or enter it.

    For a new request: entries + the entry when that was free or had expired; 2 * entries + the
    entry when a live one was evicted, the oldest that this peer may evict; -1 when there is none,
    since only a verified peer evicts an entry of a verified one.
    """
    count = table[DEDUP_ENTRIES]
    peers = DEDUP_FIRST + DEDUP_STEP * count
    is_verified = table[peers + peer_index]
    key = peer_index << 16 | index[int(MID)]
    victim = -1
    oldest = -1
    i = 0
    at = DEDUP_FIRST
    while i < count:
        other = table[at]
        age = (now_ms - table[at + 1]) & int(CLOCK_MASK)
        if other == int(ABSENT) or (
            # the lifetime of a NON is shorter
            age >= table[DEDUP_NON_MS]
            and (age >= table[DEDUP_CON_MS] or table[at + 2] & DEDUP_NON)
        ):
            if oldest != int(CLOCK_MASK):
                oldest = int(CLOCK_MASK)
                victim = i
        elif other == key:
            return i
        elif age > oldest:
            if is_verified or table[peers + (other >> 16)] == 0:
                oldest = age
                victim = i
        at += DEDUP_STEP
        i += 1
    if victim < 0:
        return -1
    at = DEDUP_FIRST + DEDUP_STEP * victim
    table[at] = key
    table[at + 1] = now_ms & int(CLOCK_MASK)
    table[at + 2] = DEDUP_NON if index[int(TYPE)] else 0
    if oldest == int(CLOCK_MASK):
        return count + victim
    return 2 * count + victim


@micropython.viper
def random16(state: ptr32) -> int:
    """Return the next 16 bits of a sequence of period 2**30."""
    value = (state[0] * 29773421 + 12345) & int(CLOCK_MASK)
    state[0] = value
    return value >> 14
