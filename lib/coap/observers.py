"""The observers of a node: their registrations, and who leaves when there are too many.

Scarcity. A full table has one spare entry, which a newcomer takes at once. Then all observers are
asked whether they still listen: a confirmable notification of the present state, to strangers
first and to those with keys last, of each rank to the one first whose last is longest ago. It is
transmitted three times, and takes at most half of the exchanges; nobody is asked twice within a
minute. Whoever does not acknowledge leaves. Once all have acknowledged a notification since the
newcomer came, the one of the lowest rank leaves, see coap.peers, and gets a 5.03.

While the spare entry is taken, too, a newcomer gets the entry of a lower rank, or of one that has
not acknowledged what it was asked, or the oldest one of its own host where that has several: a
program that is started again and again leaves entries behind, which are found to be dead only a
minute later. Else it is refused.
"""

from micropython import const

from coap.codec import (
    ABSENT,
    CODE,
    DATAGRAM_COUNT,
    FLAGS,
    OPTIONS_START,
    PAYLOAD,
    SIZE,
    parse,
    same_request,
    same_token,
)
from coap.counters import COUNT_GIVEN_UP, COUNT_OBSERVERS_EVICTED
from coap.numbers import CLOCK_MASK, GET, SERVICE_UNAVAILABLE
from coap.peers import ANY_RANK, STRANGER, ClaimedTable

# Words of an observer
OB_LENGTH = const(0)  # of the registration; 0: the entry is free
OB_VALUE = const(1)  # Observe value of the last notification
OB_MID = const(2)  # of the last notification; ABSENT: none since the registration
OB_NEW = const(3)  # the state is newer than the last notification
OB_EXCHANGE = const(4)  # of a confirmable notification in flight, -1: none
OB_SINCE_CON = const(5)  # notifications since a confirmable one
OB_CON_MS = const(6)  # when the last confirmable one was sent
OB_FORMAT = const(7)  # Content-Format of the first response
OB_LAST = const(8)  # the notification in flight is an error response: the observer's last
OB_CONTEXT = const(9)  # number of the registration's security context, 0 for none
OB_GROUP = const(10)  # equal for registrations that get the same notification; 0: no group
OB_SENT = const(11)  # transmissions of the last confirmable one, with _PROBE; 0: there was none
OB_HASH = const(12)  # of the last confirmable one
OB_WORDS = const(13)

# FLAGS of a registration that may belong to a group: no query, no block, no other option
_COMMON = const(1 << 0 | 1 << 2 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 10 | 1 << 25)

_PROBE = const(1 << 16)  # in OB_SENT: sent while the table was full
_TRANSMISSIONS = const(3)  # of a probe
_PAUSE_MS = const(60000)  # between two probes of an observer
FULL_WAIT_MS = const(1000)  # until a full table is looked at again
_REST_MS = const(10000)  # for which an entry is safe from others of its host
_PATIENCE_MS = const(500)  # with a stranger's ACK, if others wait
_LEAVING_MAX = const(4)  # 5.03 that wait
_AGE_MAX_S = const((1 << 20) - 1)


class Observers(ClaimedTable):
    """A fixed number of observers and a spare entry: the part of Observe that stores them.

    slots, request_bytes: as for Observe.
    """

    ENTRY_WORDS = OB_WORDS
    CONTEXT_WORD = OB_CONTEXT

    # (peer, context, registration) of those who are to get a 5.03
    leaving = ()  # type: tuple

    def __init__(self, slots, request_bytes):
        super().__init__(None, slots + 1)  # the node is set by Observe.attach()
        self.entries = slots + 1
        self.resources = [None] * self.entries  # type: list
        self.requests = [bytearray(request_bytes) for _ in range(self.entries)]
        self.used = 0  # entries in use
        self.newest = 0  # the entry of the last newcomer
        self.newcomer_ms = 0  # when it came
        self.groups = 0  # groups ever made, modulo 2**30

    def count(self, resource=None):
        """Return the number of observers of `resource`, of all resources for None."""
        if resource is None:
            return self.used
        return sum([1 for other in self.resources if other is resource])

    def find(self, view):
        """Return the observer with peer, context and token of the request, -1: none."""
        i = self.entries
        while i:
            i -= 1
            if self.words[i * OB_WORDS] and self.peers[i] == view.peer:
                if self.words[i * OB_WORDS + OB_CONTEXT] == view.context:
                    if same_token(self.requests[i], view.buf, view.index):
                        return i
        return -1

    def observer_of(self, exchange):
        """Return the observer that has an exchange."""
        for i in range(self.entries):
            if self.words[i * OB_WORDS] and self.words[i * OB_WORDS + OB_EXCHANGE] == exchange:
                return i
        raise ValueError("no observer has this exchange")

    def group_of(self, view, i, n):
        """Return the group of observer i, whose registration has n bytes; 0 for none."""
        index = view.index
        if view.context or index[FLAGS] & ~_COMMON or index[PAYLOAD] < index[SIZE]:
            return 0
        if index[CODE] != GET or index[OPTIONS_START] > 12:
            return 0
        other = self.entries
        while other:
            other -= 1
            if other != i and self._is_same_group(i, other, n):
                return self.words[other * OB_WORDS + OB_GROUP]
        self.groups = self.groups + 1 & CLOCK_MASK or 1
        return self.groups

    def _is_same_group(self, i, other, n):
        at = other * OB_WORDS
        if self.words[at] != n or not self.words[at + OB_GROUP]:
            return False
        if self.words[at + OB_FORMAT] != self.words[i * OB_WORDS + OB_FORMAT]:
            return False
        if self.resources[other] is not self.resources[i]:
            return False
        return same_request(self.requests[i], self.requests[other], n) == 1

    def remove(self, i):
        """Free the entry of observer i, and end its exchange."""
        at = i * OB_WORDS
        exchange = self.words[at + OB_EXCHANGE]
        self.words[at] = 0
        self.words[at + OB_EXCHANGE] = -1
        self.peers[i] = self.resources[i] = None
        self.used -= 1
        if exchange >= 0 and self.node.messaging.owners[exchange] is self:
            self.node.messaging.close_exchange(exchange)

    def remove_peer(self, peer):
        """Remove all observers at an endpoint where nobody listens."""
        for i in range(self.entries):
            if self.words[i * OB_WORDS] and self.peers[i] == peer:
                self.remove(i)

    # Scarcity

    def yielded_by_host(self, view):
        """Return the entry that the sender's host gives up for this registration, -1: none."""
        messaging = self.node.messaging
        host = messaging.host_of(view)
        if self._held_by(host) < 2:
            return -1
        rank = messaging.rank(view)
        found = -1
        oldest_ms = _REST_MS
        for i in range(self.entries):
            if self._host_at(i) == host and self.rank_at(i) <= rank:
                age_ms = (view.now_ms - self.words[i * OB_WORDS + OB_CON_MS]) & CLOCK_MASK
                if age_ms >= oldest_ms:
                    oldest_ms = age_ms
                    found = i
        return found

    def settle(self):
        """Have an observer of a full table leave at once: the node is about to sleep."""
        if self.used == self.entries:
            self.dismiss(self.weakest(ANY_RANK, 0))

    def is_given_up(self, i):  # hot
        """Count a transmission to observer i. Return True, and remove it and its like, if it has
        had its last one: of a probe it is the third.
        """
        at = i * OB_WORDS + OB_SENT
        words = self.words
        if self.used == self.entries:
            words[at] |= _PROBE
        if words[at] >= _PROBE + _TRANSMISSIONS:
            self.node.counters[COUNT_GIVEN_UP] += 1
            self.remove_peer(self.peers[i])
            return True
        words[at] += 1
        return False

    def confirm(self, i):  # hot
        """Begin a confirmable notification; without a free exchange it stays due."""
        exchange = self.node.messaging.open_exchange(self, self.peers[i], self.rank_at(i))
        i *= OB_WORDS
        self.words[i + OB_EXCHANGE] = exchange
        if exchange >= 0:
            self.words[i + OB_SENT] = 0

    def probe(self, now_ms):
        """Ask the next observer whether it listens. If all do, have one leave."""
        busy = 0
        is_settled = True
        since_ms = (now_ms - self.newcomer_ms) & CLOCK_MASK
        found = -1
        least = ABSENT
        for i in range(self.entries):
            at = i * OB_WORDS
            if self.words[at + OB_EXCHANGE] >= 0:
                busy += 1
                continue
            age_ms = (now_ms - self.words[at + OB_CON_MS]) & CLOCK_MASK
            if age_ms >= _PAUSE_MS or not self.words[at + OB_SENT]:
                turn = self.rank_at(i) << 20 | _AGE_MAX_S - min(age_ms >> 10, _AGE_MAX_S)
                if turn < least:
                    least = turn
                    found = i
            elif age_ms > since_ms:
                is_settled = False
        if busy >= max(len(self.node.messaging.owners) >> 1, 1):
            return
        if found >= 0:
            self.confirm(found)
        elif is_settled and not busy:
            self.settle()

    def dismiss(self, i):
        """Remove an observer, to be told by a 5.03."""
        at = i * OB_WORDS
        self.node.counters[COUNT_OBSERVERS_EVICTED] += 1
        if len(self.leaving) < _LEAVING_MAX:
            registration = self.requests[i][: self.words[at]]
            self.leaving += ((self.peers[i], self.words[at + OB_CONTEXT], registration),)
        self.remove(i)
        self.node.reschedule()

    def tell_leaving(self):
        """Write the 5.03 of one who leaves; return its length in tx."""
        node = self.node
        view = node.view
        tx = node.tx
        node.peer, context, registration = self.leaving[0]
        self.leaving = self.leaving[1:]
        view.buf = registration
        view.peer = node.peer
        parse(registration, len(registration), view.index, node.route_table)
        view.index[DATAGRAM_COUNT] -= 1  # counted when it came
        n = node.write_code(SERVICE_UNAVAILABLE)
        mid = node.messaging.next_mid()
        tx[0] = tx[0] & 0x4F | 0x50
        tx[2] = mid >> 8
        tx[3] = mid & 255
        return node.oscore.protect_notification(context, n) if context else n

    def standing(self, i, rank):  # hot
        """Return for how long observer i has confirmed nothing, inverted if it yields.

        So does who does not acknowledge; and a newcomer leaves before others.
        """
        at = i * OB_WORDS
        age_ms = (self.node.view.now_ms - self.words[at + OB_CON_MS]) & CLOCK_MASK
        if self.words[at + OB_EXCHANGE] >= 0 and self.words[at + OB_SENT] & (_PROBE - 1):
            if self.words[at + OB_SENT] & (_PROBE - 1) > 1 or (
                rank == STRANGER and age_ms >= _PATIENCE_MS
            ):
                return ~age_ms
        return CLOCK_MASK if i == self.newest else age_ms
