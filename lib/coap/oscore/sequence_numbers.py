"""Sequence numbers that are never used twice, and replay windows that outlive a sleep
(RFC 8613 sections 7.2.1 and 7.5, Appendix B.1).

Two stores, each with load() -> bytes or None, and save(bytes), which replaces them as a whole:

    flash     keeps for each context a limit that its numbers have not reached; it is written once
              in `step` numbers. After a loss of power counting goes on from the limit, and what
              came is unknown: the first request is asked for an Echo. Contexts that are left out
              stay there: they may come back. Of more than 16 only the highest limit stays, and
              contexts that are not found go on from there.
    retained  memory that outlives deep sleep: exact numbers and windows, written by retain() just
              before. It is good once: what it holds is void as soon as a number could be used.

Whoever keeps the state of a whole node needs no `retained`: `carried` goes into that state and
comes back by recover(). `void` is then a function that keeps the state anew, without it; where
there is none, the flash is written instead. A state that may not be the newest one is not good for
that: `exact` is False then.
"""

from hashlib import sha256

from coap.oscore.aead import WINDOW_WORDS
from coap.oscore.context import LAST_NUMBER

_FLASH = b"F1"
_RETAINED = b"R1"
_CHECK = 8  # bytes of a digest over what is stored
_NAME = 8  # bytes of a context's fingerprint
_REST = bytes(_NAME)  # stands for those whose fingerprints are not kept
_LEFT_OUT = 16  # contexts that are kept beside those in use
_LIMIT = 4
_EXACT = 2 * _LIMIT + 3 * WINDOW_WORDS


class SequenceStore:
    """`error`: why the flash could not be written, in words; `broken`: it holds something that is
    not whole, so that nobody knows which numbers were used: the contexts must not be.
    """

    def __init__(self, contexts, flash=None, retained=None, step=256):
        self.contexts = contexts
        self.flash = flash
        self.retained = retained
        self.step = step
        self.kept = False  # what was retained is still true
        self.carried = b""  # and is this
        self.void = None
        self.exact = True  # what comes back is the newest that was carried
        self.others = b""  # what flash keeps of contexts that are left out
        self.broken = False
        self.error = ""
        if flash is not None:
            self._load()

    def reserve(self, context):
        """The numbers of a context are used up to its limit: are there more?"""
        before = context.limit
        if before + self.step > LAST_NUMBER:
            self.error = "sequence numbers used up: make new keys"
            return False
        context.limit = before + self.step
        try:
            self._save_limits()
        except OSError as error:
            context.limit = before
            self.error = "sequence numbers: " + repr(error)
            return False
        return True

    def retain(self):
        """Keep the exact state over a deep sleep that begins now. Raises OSError."""
        if self.flash is not None and not self.broken:
            parts = [self._state(context) for context in self.contexts]
            self.carried = _sealed(_RETAINED + b"".join(parts))
            if self.retained is not None:
                self.retained.save(self.carried)
            self.kept = True

    def recover(self, carried):
        """Go on from what `carried` was before a sleep; nothing was sent or taken since."""
        exact = _opened(carried, _RETAINED, _EXACT) if self.exact else None
        if exact and self.flash is not None and not self.broken:
            for context in self.contexts:
                limit = _bytes(context.limit, _LIMIT)
                if context.next == context.limit:
                    self._resume(context, limit, exact.get(context.fingerprint))
            self.kept = True  # by whoever kept it

    def spend(self):
        """A number is about to be used, or something came: what is retained is true no more.

        False: that can not be said to the memory that holds it, so that nothing must be used.
        """
        self.carried = b""
        try:
            if self.retained is not None:
                self.retained.save(b"")
            elif self.void is not None:
                self.void()
            else:
                self._outdate()
        except (OSError, ValueError) as error:
            self.error = "sequence numbers: " + repr(error)
            return False
        self.kept = False
        return True

    def _outdate(self):
        # with another limit in flash nobody takes the exact numbers for those of today
        before = [context.limit for context in self.contexts]
        if max(before) + self.step > LAST_NUMBER:
            raise ValueError("make new keys")
        for context in self.contexts:
            context.limit += self.step
        try:
            self._save_limits()
        except OSError:
            for i, context in enumerate(self.contexts):
                context.limit = before[i]
            raise

    def _load(self):
        found = self.flash.load()
        limits = {} if found is None else _opened(found, _FLASH, _LIMIT)
        if limits is None:
            self.broken = True
            return
        exact = None
        if self.retained is not None:
            exact = _opened(self.retained.load(), _RETAINED, _EXACT)
            self.retained.save(b"")  # before any number is used
        new = False
        rest = limits.get(_REST)
        for context in self.contexts:
            context.more = self
            new = new or context.fingerprint not in limits
            limit = limits.pop(context.fingerprint, rest)
            self._resume(context, limit, (exact or {}).get(context.fingerprint))
        if len(limits) > _LEFT_OUT:
            limits = {_REST: max(limits.values())}
        for name in limits:
            self.others += name + limits[name]
        if new:
            self._save_limits()  # from now on they are keys that may have been used

    def _resume(self, context, limit, exact):
        if limit is None:
            context.next = context.limit = 0
            return
        context.next = context.limit = _number(limit, 0, _LIMIT)
        if exact is None or exact[_LIMIT : 2 * _LIMIT] != limit:
            context.lose_window()
            return
        context.next = _number(exact, 0, _LIMIT)
        for i in range(WINDOW_WORDS):
            context.window[i] = _number(exact, 2 * _LIMIT + 3 * i, 3)

    def _save_limits(self):
        parts = [one.fingerprint + _bytes(one.limit, _LIMIT) for one in self.contexts]
        self.flash.save(_sealed(_FLASH + b"".join(parts) + self.others))

    def _state(self, context):
        words = b"".join([_bytes(word, 3) for word in context.window])
        numbers = _bytes(context.next, _LIMIT) + _bytes(context.limit, _LIMIT)
        return context.fingerprint + numbers + words


def _sealed(content):
    return content + sha256(content).digest()[:_CHECK]


def _opened(stored, mark, length):
    """{fingerprint: what is stored for it}; None for what is not whole."""
    if not stored or bytes(stored[: len(mark)]) != mark:
        return None
    content = bytes(stored[:-_CHECK])
    step = _NAME + length
    if _sealed(content) != stored or (len(content) - len(mark)) % step:
        return None
    found = {}
    for at in range(len(mark), len(content), step):
        found[content[at : at + _NAME]] = content[at + _NAME : at + step]
    return found


def _bytes(value, n):
    return bytes([value >> 8 * (n - 1 - i) & 255 for i in range(n)])


def _number(content, at, n):
    value = 0
    for byte in content[at : at + n]:
        value = value << 8 | byte
    return value
