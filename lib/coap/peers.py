"""The peers that a node knows by an index, and the requests that it has from them (RFC 7252
section 4.5).

enter() gives a request with side effects an entry with its response, so that a duplicate gets the
response and is not executed again. A duplicate has the peer, the MID and all bytes of a message
before it; one that differs is a new message, since anybody can forge a source and guess a MID.

Under scarcity who has shown less yields first: a stranger, then a peer with a verified address,
then one that has keys. Among equals it is the host with the most entries, then the oldest entry. A
host is what host_key() returns for a peer; a peer with keys counts by its security context. Nobody
takes an entry from a better rank, unless the host there holds at least two more than his own.

Who forges the source of a peer without keys may still push its entries out: without keys "at most
once" holds against losses of the network, not against forgers.

A request under OSCORE is not executed twice even without an entry, because of the replay window.
So its entry may always be taken.
"""

from array import array
from hashlib import sha256

import micropython
from micropython import const

from coap.codec import ABSENT, MID, SIZE, TYPE
from coap.counters import COUNT_PEERS_EVICTED, COUNT_REFUSED, COUNT_RESPONSES_EVICTED
from coap.numbers import CLOCK_HALF, CLOCK_MASK, SERVICE_UNAVAILABLE

# What a peer has shown, see rank()
STRANGER = const(0)
VERIFIED = const(1)
AUTHENTICATED = const(2)

# The table, for machine code. At first: numbers of entries and of peers, lifetimes, the secret
# factor of digests, and digest of the datagram in process. Then an entry for each request: peer
# index << 16 | MID, time, length of the cached response with DEDUP_NON for a NON and DEDUP_SECURE
# under OSCORE, digest. Then a word for each peer, when it was verified, 0 if it was not; then
# another, its host: ABSENT where there is no peer.
DEDUP_ENTRIES = const(0)
DEDUP_PEERS = const(1)
DEDUP_CON_MS = const(2)
DEDUP_NON_MS = const(3)
DEDUP_FACTOR = const(4)
DEDUP_DIGEST = const(5)
DEDUP_FIRST = const(6)
DEDUP_STEP = const(4)
DEDUP_NON = const(1 << 16)
DEDUP_SECURE = const(1 << 17)

# The merit of an entry of a ClaimedTable: rank, standing, share, and age; the least leaves first.
_RANK = const(27)
_STAYS = const(26)
_SHARE = const(21)
_SHARE_MAX = const(31)
_AGE_MAX = const((1 << 21) - 1)  # in 8 ms
ANY_RANK = const(3)  # more than any

CONTEXT_HOST = const(0x30000000)  # and the index of a security context: the host of its peers


class PeerTable:
    """The tables of peers and of requests. For its settings see MessageLayer."""

    def __init__(self, node, dedup_entries, cached_response_bytes, peers, con_ms, non_ms):
        self.node = node
        table = [dedup_entries, peers, con_ms, non_ms, 1, 0]
        table += [ABSENT, 0, 0, 0] * dedup_entries + [0] * peers + [ABSENT] * peers
        self.dedup = array("i", table)
        self.verified_at = DEDUP_FIRST + DEDUP_STEP * dedup_entries
        self.cached_responses = bytearray(dedup_entries * cached_response_bytes)
        self.cached_response_bytes = cached_response_bytes
        self.dedup_entry = -1  # of the request in process, -1: it has none
        self.host_key = host_key  # a transport may set one that knows its peers better
        # The dict gets its final size now, so that adding to it allocates nothing later.
        self.peers = [None] * peers
        self.peer_indexes = {}
        for i in range(peers + 4):
            self.peer_indexes[i] = 0
        for i in range(peers + 4):
            del self.peer_indexes[i]  # clear() would give the memory back
        self.next_evicted = 0
        self.mid = 0  # messages counted, modulo 2**16
        self.mid_seed = bytes(8)
        self.is_restored = False  # the order of MIDs is that of before a sleep
        self.mid_keys = array("i", [0] * 12)

    def seed_mids(self, seed):
        """Choose the order of MIDs, and the factor of digests, by 8 secret bytes."""
        self.mid_seed = seed
        key = sha256(seed).digest()
        for i in range(12):
            self.mid_keys[i] = key[i] | key[i + 12] << 8 | 1
        self.dedup[DEDUP_FACTOR] = key[24] << 22 | key[25] << 14 | key[26] << 6 | 0x15

    def next_mid(self):  # hot
        """Return a new MID for a message of ours.

        All 65536 MIDs pass before one returns, in an order that nobody can derive from those he
        has seen: an empty ACK with the right MID verifies an address.
        """
        self.mid = (self.mid + 1) & 0xFFFF
        return permute(self.mid, self.mid_keys)

    # Peers

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

    def host_of(self, view):  # hot
        """Return what stands for all addresses of the sender: its host, or its context."""
        return CONTEXT_HOST + view.context if view.context else self.host_key(view.peer)

    def host_of_peer(self, peer):  # hot
        """Return the same for a peer before its request was decrypted."""
        peer_index = self.peer_indexes.get(peer)
        if peer_index is not None:
            return self.dedup[self.verified_at + len(self.peers) + peer_index]
        return self.host_key(peer)

    def is_verified(self, peer):  # hot
        """Return True if the peer is known to receive at its address."""
        peer_index = self.peer_indexes.get(peer)
        if peer_index is None:
            return False
        return self.dedup[self.verified_at + peer_index] != 0

    def mark_verified(self, peer):  # hot
        """Note that the peer receives at its address: it returned an Echo or acknowledged a
        CON.
        """
        peer_index = self.peer_indexes.get(peer)
        if peer_index is None:
            peer_index = self.intern_peer(peer, VERIFIED, self.host_key(peer))
            if peer_index < 0:
                return  # all entries are of peers with keys
        # the time, and never 0
        self.dedup[self.verified_at + peer_index] = self.node.view.now_ms or CLOCK_MASK

    def intern_peer(self, peer, rank, host):  # hot
        """Give an unknown peer an index; return it, -1 when all are of better peers."""
        peer_index = choose_peer(self.dedup, self.next_evicted, rank, host, self.node.view.now_ms)
        if peer_index < 0:
            return -1
        self.next_evicted = peer_index + 1 if peer_index + 1 < len(self.peers) else 0
        if self.peers[peer_index] is not None:
            self._evict_peer(peer_index)
        self.peers[peer_index] = peer
        self.peer_indexes[peer] = peer_index
        self.dedup[self.verified_at + len(self.peers) + peer_index] = host
        return peer_index

    def _evict_peer(self, peer_index):  # hot
        self.node.counters[COUNT_PEERS_EVICTED] += 1
        del self.peer_indexes[self.peers[peer_index]]
        self.dedup[self.verified_at + peer_index] = 0
        at = DEDUP_FIRST
        while at < self.verified_at:
            if self.dedup[at] >> 16 == peer_index:
                self.dedup[at] = ABSENT
            at += DEDUP_STEP
        self.node.on_peer_evicted(peer_index)

    # Requests

    def enter(self, view, context):  # hot
        """Give the new request in `view` an entry; return -1, or the length of a 5.03 in tx when
        there is none for it, since without one a duplicate would be executed.

        context: the index of its security context, 0 for none.
        """
        peer_index = self.peer_indexes.get(view.peer, -1)
        if peer_index < 0:
            peer_index = self._intern_sender(view.peer, context)
            if peer_index < 0:
                return self._refuse_full(view)
        kind = DEDUP_NON if view.index[TYPE] else 0
        if context:
            kind |= DEDUP_SECURE
            self.dedup[self.verified_at + len(self.peers) + peer_index] = CONTEXT_HOST + context
        entry = take_entry(self.dedup, peer_index << 16 | view.index[MID], kind, view.now_ms)
        if entry < 0:
            return self._refuse_full(view)
        if entry >= self.dedup[DEDUP_ENTRIES]:
            self.node.counters[COUNT_RESPONSES_EVICTED] += 1
            entry -= self.dedup[DEDUP_ENTRIES]
        self.dedup_entry = entry
        return -1

    def _intern_sender(self, peer, context):  # hot
        if context:
            return self.intern_peer(peer, AUTHENTICATED, CONTEXT_HOST + context)
        return self.intern_peer(peer, STRANGER, self.host_key(peer))

    def _refuse_full(self, view):  # hot
        self.node.counters[COUNT_REFUSED] += 1
        n = self.node.write_code(SERVICE_UNAVAILABLE)
        if view.index[TYPE]:
            self.set_mid()
        return n

    def set_mid(self):  # hot
        """Give the message in tx a new MID."""
        mid = self.next_mid()
        self.node.tx[2] = mid >> 8
        self.node.tx[3] = mid & 255

    def forget_old(self, now_ms):  # hot
        """Clear old times before the clock wraps and they look new."""
        table = self.dedup
        at = self.verified_at
        while at > DEDUP_FIRST:
            at -= DEDUP_STEP
            if (now_ms - table[at + 1]) & CLOCK_MASK >= table[DEDUP_CON_MS]:
                table[at] = ABSENT
        at = self.verified_at
        while at < self.verified_at + len(self.peers):
            if table[at] and (now_ms - table[at]) & CLOCK_MASK > CLOCK_HALF >> 2:
                table[at] = 0
            at += 1


class ClaimedTable:
    """Base of tables with a fixed number of entries, for which clients compete.

    `peers` has the clients, None where an entry is free; `words` has ENTRY_WORDS ints for each
    entry, of which the one at CONTEXT_WORD is the number of its security context. See "Fixed
    tables" in README.md.
    """

    ENTRY_WORDS = 0
    CONTEXT_WORD = 0

    def __init__(self, node, entries):
        self.node = node
        self.words = array("i", [0] * (self.ENTRY_WORDS * entries))
        self.peers = [None] * entries  # type: list

    def standing(self, i, rank):
        """Return the age of entry i in ms, inverted (~) if it leaves for a client of its rank."""
        raise NotImplementedError

    def claim(self, view):  # hot
        """Return a free entry for the sender of a request, else the one that leaves; -1: none."""
        i = 0
        while i < len(self.peers):
            if self.peers[i] is None:
                return i
            i += 1
        i = self._held_by(self.node.messaging.host_of(view))
        return self.weakest(self.node.messaging.rank(view), i)

    def weakest(self, rank, held):  # hot
        """Return the entry that leaves for a client of this rank with `held` entries; -1: none.

        A lower rank leaves, and of the same one an entry that yields, and one of a host with at
        least two entries more. Among these the lowest rank leaves, of it who yields, then the host
        that holds most, then the oldest entry.
        """
        found = -1
        least = ABSENT
        i = 0
        while i < len(self.peers):
            merit = self._merit(i)
            if merit < least and merit >> _RANK <= rank:
                if (
                    merit >> _RANK < rank
                    or not merit >> _STAYS & 1
                    or _SHARE_MAX - (merit >> _SHARE & _SHARE_MAX) > held + 1
                ):
                    least = merit
                    found = i
            i += 1
        return found

    def rank_at(self, i):  # hot
        """Return the rank of the client of entry i."""
        context = self.words[i * self.ENTRY_WORDS + self.CONTEXT_WORD]
        return self.node.messaging.rank_of(self.peers[i], context)

    def _host_at(self, i):  # hot
        context = self.words[i * self.ENTRY_WORDS + self.CONTEXT_WORD]
        return CONTEXT_HOST + context if context else self.node.messaging.host_key(self.peers[i])

    def _held_by(self, host):  # hot
        count = 0
        i = len(self.peers)
        while i:
            i -= 1
            if self.peers[i] is not None and self._host_at(i) == host:
                count += 1
        return count

    def _merit(self, i):  # hot
        merit = self.rank_at(i)
        age_ms = self.standing(i, merit)
        merit *= 2
        if age_ms >= 0:
            merit += 1
        else:
            age_ms = ~age_ms
        i = self._held_by(self._host_at(i))
        merit = merit << _STAYS - _SHARE | _SHARE_MAX - min(i, _SHARE_MAX)
        return merit << _SHARE | _AGE_MAX - min(age_ms >> 3, _AGE_MAX)


def host_key(peer):  # hot
    """Return a number for the host of a peer, 1 to 2**29: the first item of a tuple is it."""
    if isinstance(peer, tuple):
        peer = peer[0]
    return (hash(peer) & 0x1FFFFFFF) + 1


@micropython.viper
def permute(counter: int, keys: ptr32) -> int:
    """Return the 16-bit number at place `counter` of the order that 12 secret words define."""
    left = counter >> 8
    right = counter & 255
    i = 0
    while i < 12:
        mixed = (right + (keys[i] >> 8)) * (keys[i] | 256)
        mixed = mixed ^ mixed >> 7
        mixed = left ^ ((mixed * keys[i + 1]) >> 9 & 255)
        left = right
        right = mixed
        i += 2
    return left << 8 | right


@micropython.viper
def find_entry(table: ptr32, buf: ptr8, index: ptr32, peer_index: int, now_ms: int) -> int:
    """Return the entry of the datagram, -1 if it is no duplicate. Set its digest in the table.

    peer_index: of the sender, -1 for one that has none.
    """
    digest = 0
    factor = table[DEDUP_FACTOR]
    i = 0
    n = index[int(SIZE)]
    while i < n:
        digest = (digest + buf[i] + 1) * factor & int(CLOCK_MASK)
        digest = digest ^ digest >> 13
        i += 1
    table[DEDUP_DIGEST] = digest
    if peer_index < 0:
        return -1
    key = peer_index << 16 | index[int(MID)]
    count = table[DEDUP_ENTRIES]
    i = 0
    at = DEDUP_FIRST
    while i < count:
        if table[at] == key and table[at + 3] == digest:
            age = (now_ms - table[at + 1]) & int(CLOCK_MASK)
            # the lifetime of a NON is shorter
            if age < table[DEDUP_NON_MS]:
                return i
            if age < table[DEDUP_CON_MS] and table[at + 2] & DEDUP_NON == 0:
                return i
        at += DEDUP_STEP
        i += 1
    return -1


@micropython.viper
def take_entry(table: ptr32, key: int, kind: int, now_ms: int) -> int:
    """Enter a request by the key of its entry; return the entry, -1 if there is none for it.

    Where a live entry was evicted, the number of entries is added. kind: DEDUP_NON, DEDUP_SECURE.
    """
    count = table[DEDUP_ENTRIES]
    verified = DEDUP_FIRST + DEDUP_STEP * count
    hosts = verified + table[DEDUP_PEERS]
    mine = table[hosts + (key >> 16)]
    rank = table[verified + (key >> 16)] | kind & DEDUP_SECURE
    held = 0  # entries of the sender's host
    at = DEDUP_FIRST
    while at < verified:
        other = table[at]
        if other != int(ABSENT) and table[hosts + (other >> 16)] == mine:
            held += 1
        at += DEDUP_STEP
    victim = -1
    best = -1
    i = 0
    at = DEDUP_FIRST
    while i < count:
        other = table[at]
        age = (now_ms - table[at + 1]) & int(CLOCK_MASK)
        flags = table[at + 2]
        if other == int(ABSENT) or (
            age >= table[DEDUP_NON_MS] and (age >= table[DEDUP_CON_MS] or flags & DEDUP_NON)
        ):
            victim = i
            best = int(CLOCK_MASK)
            break
        # strangers' first, then what OSCORE protects anyway, then those of verified peers
        worth = 0
        if flags & DEDUP_SECURE:
            worth = 1
        elif table[verified + (other >> 16)]:
            worth = 2
        if worth < 2 or rank:
            age = age >> 2
            if age > 0x7FFFFFF:
                age = 0x7FFFFFF
            worth = (2 - worth) << 28 | age
            # a host that holds more than a quarter of the table evicts its own
            if held > 1 and held > count >> 2 and table[hosts + (other >> 16)] == mine:
                worth = worth | 1 << 27
            if worth > best:
                best = worth
                victim = i
        at += DEDUP_STEP
        i += 1
    if victim < 0:
        # all are of verified peers: whose host has most of them yields, if it has two more
        most = held + 1
        i = 0
        while i < count:
            other = table[hosts + (table[DEDUP_FIRST + DEDUP_STEP * i] >> 16)]
            n = 0
            oldest = -1
            first = 0
            at = DEDUP_FIRST
            while at < verified:
                if table[hosts + (table[at] >> 16)] == other:
                    n += 1
                    age = (now_ms - table[at + 1]) & int(CLOCK_MASK)
                    if age > oldest:
                        oldest = age
                        first = at
                at += DEDUP_STEP
            if n > most:
                most = n
                victim = (first - DEDUP_FIRST) // DEDUP_STEP
            i += 1
        if victim < 0:
            return -1
    at = DEDUP_FIRST + DEDUP_STEP * victim
    table[at] = key
    table[at + 1] = now_ms & int(CLOCK_MASK)
    table[at + 2] = kind
    table[at + 3] = table[DEDUP_DIGEST]
    if best == int(CLOCK_MASK):
        return victim
    return count + victim


@micropython.viper
def choose_peer(table: ptr32, start: int, rank: int, host: int, now_ms: int) -> int:
    """Return the index for a new peer of `host`, -1 if there is none for its rank.

    start: where strangers are looked for first, the one that has had its index for longest.
    """
    count = table[DEDUP_PEERS]
    verified = DEDUP_FIRST + DEDUP_STEP * table[DEDUP_ENTRIES]
    hosts = verified + count
    held = 0  # of the new peer's host
    i = 0
    while i < count:
        other = table[hosts + i]
        if other == int(ABSENT):
            return i
        if other == host:
            held += 1
        i += 1
    victim = -1
    best = -1
    i = start
    left = count
    while left:
        other = table[hosts + i]
        n = 0
        k = 0
        while k < count:
            if table[hosts + k] == other:
                n += 1
            k += 1
        age = 0
        shown = 0
        if table[verified + i]:
            shown = 1
            age = (now_ms - table[verified + i]) & int(CLOCK_MASK)
        if other > CONTEXT_HOST:
            shown = 2
        if shown <= rank or n > held + 1 or (shown == 1 and age >= table[DEDUP_CON_MS]):
            if n > 63:
                n = 63
            worth = (2 - shown) << 28 | n << 22 | age >> 8
            if worth > best:
                best = worth
                victim = i
        i += 1
        if i == count:
            i = 0
        left -= 1
    return victim
