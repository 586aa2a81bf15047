"""Confirmable responses that were taken, so that a repeat is acknowledged again (RFC 7252 4.2).

Their requests are done and forgotten by then: without this a repeat would be rejected.
"""

from array import array

from micropython import const

# Numbers of other files: the compiler folds only the constants of the file at hand
_TYPE = const(49)  # scan.TYPE
_SCAN_MID = const(51)  # scan.MID
_ABSENT = const(0x3FFFFFFF)  # scan.ABSENT
_MASK = const(0x3FFFFFFF)  # exchange.MASK

LIFETIME_MS = const(247000)  # EXCHANGE_LIFETIME


class Repeats:
    """The last `slots` of them."""

    def __init__(self, slots):
        self.peers = [None] * slots
        self.mids = array("i", [_ABSENT] * slots)
        self.since_ms = array("i", [0] * slots)
        self.turn = 0
        self.kept = False

    def remember(self, view):  # hot
        """The message at hand was taken."""
        if view.r[_TYPE]:
            return
        i = self.turn
        self.turn = i + 1 if i + 1 < len(self.mids) else 0
        self.mids[i] = view.r[_SCAN_MID]
        self.peers[i] = view.peer
        self.since_ms[i] = view.now_ms
        self.kept = True

    def knows(self, view):  # hot
        """Was the message at hand taken before?"""
        if view.r[_TYPE]:
            return False
        mid = view.r[_SCAN_MID]
        i = len(self.mids)
        while i:
            i -= 1
            if self.mids[i] == mid and self.peers[i] == view.peer:
                if (view.now_ms - self.since_ms[i]) & _MASK < LIFETIME_MS:
                    return True
        return False

    def due(self, now_ms):  # hot
        """Forget, before the clock comes round and old ones look young."""
        last = self.turn - 1 if self.turn else len(self.mids) - 1
        if self.kept and (now_ms - self.since_ms[last]) & _MASK >= LIFETIME_MS:
            self.kept = False
            i = len(self.mids)
            while i:
                i -= 1
                self.mids[i] = _ABSENT
                self.peers[i] = None
