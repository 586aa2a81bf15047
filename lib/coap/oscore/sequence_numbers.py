"""Sender sequence numbers that are never used twice, and replay windows that survive a sleep
(RFC 8613 sections 7.2.1 and 7.5, Appendix B.1).

Two stores, each with load() -> bytes or None, and save(bytes), which replaces the content
atomically:

    flash     keeps for each context a limit that its numbers have not reached; it is written once
              per `step` numbers. coap.oscore.first_numbers makes its content
              for new keys. After a loss of
              power, numbers continue at the limit and the replay window is unknown: the first
              request is challenged with an Echo. Contexts that are no longer configured stay in
              flash, since they may come back. Of more than 16 of them only the highest limit is
              kept, and unknown contexts then start there.
    retained  memory that survives deep sleep: exact numbers and windows, written by retain() just
              before. It may be used once: it is erased before any number could be used.

A battery node that saves the state of the whole node needs no `retained`: it saves `snapshot` and
passes it to restore(). `invalidate` is then a function that saves that state again without the
snapshot; if there is none, the flash is written instead. If the saved state may not be the latest
one, set `is_latest` to False, and the snapshot is ignored.
"""

from hashlib import sha256

from coap.oscore.context import FINGERPRINT_BYTES, MAX_SEQUENCE_NUMBER, WINDOW_WORDS

LOST = "sequence numbers lost: make new keys"
NEVER_USED = b"\xff\xff\xff\xff"  # limit of a context that no node has started with

_FLASH = b"F1"
_RETAINED = b"R1"
_DIGEST_BYTES = 8
UNKNOWN = bytes(FINGERPRINT_BYTES)  # stands for contexts whose fingerprints are not kept
_MAX_UNCONFIGURED = 16
_NUMBER_BYTES = 4
_WORD_BYTES = 3
# number, limit, words of the replay window and whether it is valid
_STATE_BYTES = 2 * _NUMBER_BYTES + _WORD_BYTES * (WINDOW_WORDS + 1)


class SequenceStore:
    """Reserves sequence numbers for the contexts of one node.

    error: why the flash could not be written, for people. broken: True if its content is corrupt:
    then it is unknown which numbers were used, and the contexts must not be used.
    """

    def __init__(self, contexts, flash=None, retained=None, step=256):
        self.contexts = contexts
        self.flash = flash
        self.retained = retained
        self.step = step
        self.snapshot = b""
        self.snapshot_valid = False  # the snapshot, or `retained`, matches the numbers in use
        self.invalidate = None
        self.is_latest = True
        self.unconfigured = b""  # entries in flash of contexts that are not in `contexts`
        self.broken = False
        self.error = ""
        if flash is not None:
            self._load()

    def reserve(self, context):
        """Reserve the next `step` numbers in flash; return False if there are none."""
        before = context.sequence_limit
        if before + self.step > MAX_SEQUENCE_NUMBER:
            self.error = "sequence numbers used up: make new keys"
            return False
        context.sequence_limit = before + self.step
        try:
            self._save_limits()
        except OSError as error:
            context.sequence_limit = before
            self.error = "sequence numbers: " + repr(error)
            return False
        return True

    def retain(self):
        """Save the exact state for a deep sleep that begins now. Raises OSError."""
        if self.flash is not None and not self.broken:
            parts = [_state(context) for context in self.contexts]
            self.snapshot = _with_digest(_RETAINED + b"".join(parts))
            if self.retained is not None:
                self.retained.save(self.snapshot)
            self.snapshot_valid = True

    def restore(self, snapshot):
        """Continue from the `snapshot` taken before a sleep, before any number is used."""
        states = _parse(snapshot, _RETAINED, _STATE_BYTES) if self.is_latest else None
        if states and self.flash is not None and not self.broken:
            for context in self.contexts:
                limit = _encode(context.sequence_limit, _NUMBER_BYTES)
                if context.sequence_number == context.sequence_limit:
                    _resume(context, limit, states.get(context.fingerprint))
            self.snapshot_valid = True  # it is still stored by the caller

    def mark_used(self):
        """Invalidate the snapshot before a number is used or a message accepted.

        Return False if that fails: then nothing may be sent or accepted.
        """
        self.snapshot = b""
        try:
            if self.retained is not None:
                self.retained.save(b"")
            elif self.invalidate is not None:
                self.invalidate()
            else:
                self._raise_limits()
        except (OSError, ValueError) as error:
            self.error = "sequence numbers: " + repr(error)
            return False
        self.snapshot_valid = False
        return True

    def _raise_limits(self):
        # a snapshot is only accepted with the limits that are in flash
        before = [context.sequence_limit for context in self.contexts]
        if max(before) + self.step > MAX_SEQUENCE_NUMBER:
            raise ValueError("make new keys")
        for context in self.contexts:
            context.sequence_limit += self.step
        try:
            self._save_limits()
        except OSError:
            for i, context in enumerate(self.contexts):
                context.sequence_limit = before[i]
            raise

    def _load(self):
        stored = self.flash.load()
        limits = {} if stored is None else _parse(stored, _FLASH, _NUMBER_BYTES)
        if limits is None:
            self.broken = True
            self.error = LOST
            for context in self.contexts:
                context.sequence_limit = 0  # nothing is sent under it
            return
        states = None
        if self.retained is not None:
            states = _parse(self.retained.load(), _RETAINED, _STATE_BYTES)
            self.retained.save(b"")  # before any number is used
        new = False
        unknown = limits.get(UNKNOWN)
        for context in self.contexts:
            context.sequence_store = self
            limit = limits.pop(context.fingerprint, NEVER_USED if unknown is None else unknown)
            if limit == NEVER_USED:
                new = True
                limit = None
            _resume(context, limit, (states or {}).get(context.fingerprint))
        if len(limits) > _MAX_UNCONFIGURED:
            used = [limit for limit in limits.values() if limit != NEVER_USED]
            limits = {UNKNOWN: max(used)} if used else {}
        for fingerprint in limits:
            self.unconfigured += fingerprint + limits[fingerprint]
        if new:
            self._save_limits()  # from now on these keys may have been used

    def _save_limits(self):
        parts = [
            one.fingerprint + _encode(one.sequence_limit, _NUMBER_BYTES) for one in self.contexts
        ]
        self.flash.save(_with_digest(_FLASH + b"".join(parts) + self.unconfigured))


def _resume(context, limit, state):
    """Set the numbers of a context from its limit and, if that matches, from its exact state."""
    if limit is None:
        context.sequence_number = context.sequence_limit = 0
        return
    context.sequence_number = context.sequence_limit = _decode(limit)
    if state is None or state[_NUMBER_BYTES : 2 * _NUMBER_BYTES] != limit:
        context.invalidate_window()
        return
    context.sequence_number = _decode(state[:_NUMBER_BYTES])
    start = range(2 * _NUMBER_BYTES, _STATE_BYTES, _WORD_BYTES)
    words = [_decode(state[at : at + _WORD_BYTES]) for at in start]
    context.window.restore(words, words[WINDOW_WORDS] != 0)


def _state(context):
    """Return the exact state of a context: its fingerprint and _STATE_BYTES bytes."""
    numbers = _encode(context.sequence_number, _NUMBER_BYTES)
    numbers += _encode(context.sequence_limit, _NUMBER_BYTES)
    words = list(context.window.words) + [int(context.window.valid)]
    return context.fingerprint + numbers + b"".join([_encode(word, _WORD_BYTES) for word in words])


def _with_digest(content):
    return content + sha256(content).digest()[:_DIGEST_BYTES]


def _parse(stored, mark, length):
    """Return {fingerprint: its `length` bytes}, or None if the content is missing or corrupt."""
    if not stored or bytes(stored[: len(mark)]) != mark:
        return None
    content = bytes(stored[:-_DIGEST_BYTES])
    step = FINGERPRINT_BYTES + length
    if _with_digest(content) != stored or (len(content) - len(mark)) % step:
        return None
    entries = {}
    for at in range(len(mark), len(content), step):
        start = at + FINGERPRINT_BYTES
        entries[content[at:start]] = content[start : at + step]
    return entries


def _encode(value, n):
    return bytes([value >> 8 * (n - 1 - i) & 255 for i in range(n)])


def _decode(content):
    value = 0
    for byte in content:
        value = value << 8 | byte
    return value
