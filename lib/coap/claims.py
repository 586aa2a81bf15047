"""Who gets an entry of a full table: see "Fixed tables" in README.md."""

from micropython import const

from coap.codec import ABSENT

# The merit of an entry: rank, whether it yields to its own rank, share, and recency; the least
# leaves first.
_RANK = const(27)
_STAYS = const(26)
_SHARE = const(21)
_SHARE_MAX = const(31)
_AGE_MAX_S = const((1 << 21) - 1)
ANY_RANK = const(3)  # more than any


class ClaimedTable:
    """Base of the tables for whose entries clients compete; `node` and `peers` are attributes.

    peers: the clients, None where an entry is free. A subclass also has context_of(i), the number
    of the security context of an entry; yields(i, rank, now_ms), True if it leaves for another
    client of its own rank; and age_ms(i, now_ms), since it was last used.
    """

    def claim(self, view):  # hot
        """Return a free entry for the sender of a request, else the one that leaves; -1: none."""
        i = 0
        while i < len(self.peers):
            if self.peers[i] is None:
                return i
            i += 1
        i = self.share_of(view.peer, view.context)
        return self.weakest(self.node.messaging.rank(view), i)

    def weakest(self, rank, share):  # hot
        """Return the entry that leaves for a client of this rank with `share` entries; -1: none.

        A lower rank leaves, and of the same one who holds at least two entries more. Among them
        the lowest rank leaves, of it who yields, then who holds most, then the oldest entry.
        """
        found = -1
        least = ABSENT
        i = len(self.peers)
        while i:
            i -= 1
            merit = self._merit(i)
            if merit < least and merit >> _RANK <= rank:
                if (
                    merit >> _RANK < rank
                    or not merit >> _STAYS & 1
                    or _SHARE_MAX - (merit >> _SHARE & _SHARE_MAX) > share + 1
                ):
                    least = merit
                    found = i
        return found

    def share_of(self, peer, context):  # hot
        """Return how many entries a client holds: a security context, or without one a host."""
        count = 0
        i = len(self.peers)
        while i:
            i -= 1
            if self.peers[i] is not None and self.context_of(i) == context:
                if context or self.peers[i] == peer:
                    count += 1
        return count

    def _merit(self, i):  # hot
        rank = self.node.messaging.rank_of(self.peers[i], self.context_of(i))
        merit = min(self.share_of(self.peers[i], self.context_of(i)), _SHARE_MAX)
        merit = rank << _RANK | (_SHARE_MAX - merit) << _SHARE
        if not self.yields(i, rank, self.node.view.now_ms):
            merit |= 1 << _STAYS
        return merit | _AGE_MAX_S - min(self.age_ms(i, self.node.view.now_ms) >> 10, _AGE_MAX_S)
