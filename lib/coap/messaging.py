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
from hashlib import sha256

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
    COUNT_RETRANSMISSIONS,
)
from coap.numbers import BAD_OPTION, CLOCK_HALF, CLOCK_MASK
from coap.peers import (
    DEDUP_FIRST,
    DEDUP_NON,
    DEDUP_SECURE,
    DEDUP_STEP,
    STRANGER,
    PeerTable,
    find_entry,
)

# Requests that get an entry: also blocks of a request, and those that OSCORE tells from a replay
_DEDUPLICATED = UNSAFE | 1 << IX_BLOCK1 | 1 << IX_OSCORE

# Outcomes of an exchange
ACKNOWLEDGED = const(0)
REJECTED = const(1)
GIVEN_UP = const(2)
YIELDED = const(3)  # to a message for a better rank


# Words of an exchange
_STATE = const(0)
_MID = const(1)  # while it waits: its place in the queue
_NEXT_MS = const(2)
_TIMEOUT_MS = const(3)
_SENT = const(4)  # transmissions
_RANK = const(5)  # of the peer, see coap.peers
_MISSES = const(6)  # ACK and RST of the peer that fitted no exchange
_WORDS = const(7)

_MISSES_MAX = const(8)

_FREE = const(0)
_WAITING = const(1)  # NSTART exchanges with this peer are open
_OPEN = const(2)


class MessageLayer(PeerTable):
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
        super().__init__(
            node,
            dedup_entries,
            cached_response_bytes,
            peers,
            exchange_lifetime_ms,
            non_lifetime_ms,
        )
        self.ack_timeout_ms = ack_timeout_ms
        self.ack_random_pct = ack_random_pct
        self.max_retransmit = max_retransmit
        self.nstart = nstart
        self.swept_ms = -1
        self.exchanges = array("i", [0] * (_WORDS * exchanges))
        self.owners = [None] * exchanges
        self.exchange_peers = [None] * exchanges
        self.open_count = 0  # exchanges in use
        self.begun_count = 0  # exchanges since start: the order of those that wait
        self.random = array("i", [0])
        self.rate_limiter = None  # set by RateLimit
        self.client = None  # set by Client

    def seed(self, entropy):
        """Start the random source from `entropy`, at least 4 bytes, and MIDs unless they have been
        restored (section 4.4).
        """
        value = 0
        for byte in entropy:
            value = (value * 257 + byte) & 0xFFFFFF
        self.random[0] = value
        if not self.is_restored:
            self.seed_mids(sha256(b"mid" + bytes(entropy)).digest()[:8])
            self.mid = random16(self.random)

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
        self.dedup_entry = -1
        if flags & _DEDUPLICATED:
            peer_index = self.peer_indexes.get(view.peer, -1)
            entry = find_entry(self.dedup, view.buf, view.index, peer_index, view.now_ms)
            if entry >= 0:
                return self._replay_cached(view, entry)
            if flags >> IX_OSCORE & 1 and self.node.oscore is not None:
                return -1  # it gets an entry once it is decrypted
            return self.enter(view, 0)
        return self.node.separate.acknowledge_duplicate(view)

    def finish_response(self, view, n):  # hot
        """Give the response in tx[0:n] its MID, and cache it; return its length."""
        if view.index[TYPE] and n:
            if self.node.tx[1] == BAD_OPTION:
                n = 0  # a NON with such an option is rejected in silence (section 5.4.1)
            self.set_mid()
        if self.dedup_entry >= 0:
            self._cache_response(view, n)
        return n

    def _cache_response(self, view, n):  # hot
        at = DEDUP_FIRST + DEDUP_STEP * self.dedup_entry
        if n > self.cached_response_bytes:
            if self.dedup[at + 2] & DEDUP_SECURE:
                self.dedup[at] = ABSENT  # coap.oscore makes the response to a duplicate
                return
            # too long to cache: a duplicate gets the code alone
            n = view.index[OPTIONS_START]
            if n > self.cached_response_bytes:
                n = 0
        start = self.dedup_entry * self.cached_response_bytes
        copy(self.cached_responses, start, self.node.tx, 0, n)
        self.dedup[at + 2] |= n

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

    def _replay_cached(self, view, entry):  # hot
        self.node.counters[COUNT_DUPLICATES] += 1
        if view.index[TYPE]:
            return 0
        n = self.dedup[DEDUP_FIRST + DEDUP_STEP * entry + 2] & (DEDUP_NON - 1)
        if n > SAFE_BYTES and not view.index[FLAGS] >> IX_OSCORE & 1:
            if not self.node.builder.may_send(view, n):
                n = view.index[OPTIONS_START]  # the code alone
        copy(self.node.tx, 0, self.cached_responses, entry * self.cached_response_bytes, n)
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
                if self.open_count:
                    self._count_miss(view)
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

    def _count_miss(self, view):  # hot
        """Count an ACK or RST for no message of ours; the exchange with a stranger ends after
        some, before all MIDs have been tried: it then verifies nobody.
        """
        exchange = len(self.owners)
        while exchange:
            exchange -= 1
            at = exchange * _WORDS
            if self.exchange_peers[exchange] == view.peer and self.exchanges[at + _SENT]:
                self.exchanges[at + _MISSES] += 1
                if self.exchanges[at + _MISSES] >= _MISSES_MAX and not self.is_verified(view.peer):
                    self.node.counters[COUNT_GIVEN_UP] += 1
                    self._end(exchange, GIVEN_UP)

    # Outgoing

    def open_exchange(self, owner, peer, rank=STRANGER):  # hot
        """Open an exchange for a confirmable message to `peer`; return it, -1 when none is free.

        Where none is, one with a stranger yields to a better rank. `owner.transmit()` is
        called from due() as soon as NSTART permits.
        """
        exchange = self._find_free(rank, peer)
        if exchange < 0:
            self.node.counters[COUNT_NO_EXCHANGE] += 1
            return -1
        if self.owners[exchange] is not None:
            self.node.counters[COUNT_GIVEN_UP] += 1
            self._end(exchange, YIELDED)
        self.owners[exchange] = owner
        self.exchange_peers[exchange] = peer
        at = exchange * _WORDS
        self.exchanges[at] = _WAITING
        self.begun_count = (self.begun_count + 1) & CLOCK_MASK
        self.exchanges[at + _MID] = self.begun_count
        self.exchanges[at + _SENT] = self.exchanges[at + _MISSES] = 0
        self.exchanges[at + _RANK] = rank
        self.open_count += 1
        self.node.reschedule()
        return exchange

    def _find_free(self, rank, peer):  # hot
        """Return a free exchange, for a better rank else one with another peer that is a stranger,
        else -1.
        """
        found = -1
        exchange = len(self.owners)
        while exchange:
            exchange -= 1
            if self.owners[exchange] is None:
                return exchange
            if rank and not self.exchanges[exchange * _WORDS + _RANK]:
                if self.exchange_peers[exchange] != peer:
                    found = exchange
        return found

    def has_free_exchange(self, rank=STRANGER, peer=None):  # hot
        """Return True if open_exchange() would find one."""
        return self.open_count < len(self.owners) or self._find_free(rank, peer) >= 0

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
            self.swept_ms = now_ms
            self.forget_old(now_ms)
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


@micropython.viper
def random16(state: ptr32) -> int:
    """Return the next 16 bits of a sequence of period 2**30."""
    value = (state[0] * 29773421 + 12345) & int(CLOCK_MASK)
    state[0] = value
    return value >> 14
