"""A security context of OSCORE (RFC 8613 section 3), its key derivation and its replay window.

A Context holds what two endpoints share: a key for each direction, the Common IV, the sender
sequence number and the replay window. It knows nothing of messages: coap.oscore.protection uses
its keys. Numbers survive a restart only with a SequenceStore (coap.oscore.sequence_numbers).
"""

from array import array
from hashlib import sha256

import micropython
from micropython import const

from coap.oscore.aead import Key

DEFERRED = const(1)  # in place of a response code: it comes later
_KEPT = const(4)  # requests that may be repeated
_REPEATS = const(5)  # of each: MAX_RETRANSMIT, and one that the network doubled

MAX_ID_BYTES = 7  # what the nonce has room for
MAX_SEQUENCE_NUMBER = 0x3FFFFFFF  # the largest small int on every board
FINGERPRINT_BYTES = 8
_MAX_ID_CONTEXT_BYTES = 32
_MIN_SECRET_BYTES = 16
_ALGORITHM = 10  # AES-CCM-16-64-128
_HASH_BLOCK_BYTES = 64

# The words of a replay window
_HIGHEST_HIGH = const(0)  # the highest Partial IV received, >> 20
_HIGHEST_LOW = const(1)  # and its low 20 bits
_RECENT = const(2)  # bit i: the number i below the highest was received
_EARLIER = const(3)  # the same for the 16 numbers below those
WINDOW_WORDS = const(4)


class Context:
    """secret, salt, sender_id, recipient_id, id_context: bytes agreed between both ends; the
    sender is this node. id_context None: the context has none. name: for people.

    Raises ValueError for parameters outside the limits of the algorithm.
    """

    def __init__(self, secret, sender_id, recipient_id, salt=b"", id_context=None, name=""):
        if len(sender_id) > MAX_ID_BYTES or len(recipient_id) > MAX_ID_BYTES:
            raise ValueError("sender_id and recipient_id have at most 7 bytes")
        if sender_id == recipient_id:
            raise ValueError("sender_id and recipient_id must differ, or nonces would repeat")
        if len(secret) < _MIN_SECRET_BYTES:
            raise ValueError("secret has at least 16 bytes")
        if id_context is not None and len(id_context) > _MAX_ID_CONTEXT_BYTES:
            raise ValueError("id_context has at most 32 bytes")
        self.name = name
        self.index = 0  # place in Oscore.contexts, from 1; view.context while it is in use
        self.gateway = False  # protects requests of this node to its gateway
        self.sender_id = sender_id
        self.recipient_id = recipient_id
        self.id_context = id_context
        # one extraction for all three derivations: it is half of the work
        prk = hmac_sha256(salt or bytes(32), secret)
        sender = hkdf_expand(prk, hkdf_info(sender_id, id_context, "Key", 16), 16)
        recipient = hkdf_expand(prk, hkdf_info(recipient_id, id_context, "Key", 16), 16)
        self.common_iv = hkdf_expand(prk, hkdf_info(b"", id_context, "IV", 13), 13)
        # the OSCORE option of requests: what follows the Partial IV, and the flag bits for it
        self.option_tail = (
            b"" if id_context is None else bytes((len(id_context),)) + id_context
        ) + sender_id
        self.option_flags = 0x08 if id_context is None else 0x18
        self.sender_key = Key(sender)
        self.recipient_key = Key(recipient)
        digest = sha256(b"mote" + sender + recipient + self.common_iv).digest()
        self.fingerprint = digest[:FINGERPRINT_BYTES]
        self.window = ReplayWindow()
        # the last requests: (key, response code << 3 | repeats left); the one written last
        self.recent = array("i", [0] * (2 * _KEPT))
        self.last = 0
        self.echo_value = b""  # returned by the peer, it makes the window valid again
        self.echo_made_ms = 0
        self.challenged_ms = 0  # time of the last challenge with that value
        self.sequence_number = 0  # of the next message
        self.sequence_limit = MAX_SEQUENCE_NUMBER  # first number that is not reserved yet
        self.sequence_store = None  # reserves further numbers

    def next_sequence_number(self):  # hot
        """Return a sender sequence number that was never used, or -1 if there is none."""
        store = self.sequence_store
        if store is not None and store.snapshot_valid and not store.mark_used():
            return -1
        number = self.sequence_number
        if number >= self.sequence_limit:
            if store is None or not store.reserve(self):
                return -1
        self.sequence_number = number + 1
        return number

    def remember(self, key):  # hot
        """Remember an accepted request, so that it may be repeated."""
        self.last = self.last + 2 if self.last + 2 < 2 * _KEPT else 0
        self.recent[self.last] = key
        self.recent[self.last + 1] = _REPEATS

    def note_code(self, code):  # hot
        """Note the code of the response to the request remembered last."""
        self.recent[self.last + 1] = self.recent[self.last + 1] & 7 | code << 3

    def find(self, key):  # hot
        """Return where a request is remembered, -1 if it is not."""
        at = 2 * _KEPT
        while at:
            at -= 2
            if self.recent[at] == key:
                return at
        return -1

    def is_last(self, key):  # hot
        """Return True if the request is the one that was accepted last."""
        return self.recent[self.last] == key

    def repeat(self, key):  # hot
        """Return the response code of a remembered request, 0 if it had none, -1 if it was
        repeated too often.
        """
        at = self.find(key) + 1
        if not self.recent[at] & 7:
            return -1
        self.recent[at] -= 1
        return self.recent[at] >> 3

    def invalidate_window(self):
        """Forget which numbers were received: the peer must return an Echo first (B.1.2)."""
        self.window.restore([0] * WINDOW_WORDS, False)
        self.echo_value = b""


class ReplayWindow:
    """The last 32 Partial IVs received (RFC 8613 section 7.4).

    valid: False after a loss of state; nothing is accepted then before restart(). A Partial IV has
    up to 40 bits and is passed as two ints, its upper 20 bits and its lower 20 bits.
    """

    def __init__(self):
        self.words = array("i", [0] * WINDOW_WORDS)
        self.valid = True

    @micropython.viper
    def is_fresh(self, high: int, low: int) -> int:
        """Return 1 if the Partial IV was not received yet and is not below the window, else 0."""
        words = ptr32(self.words)  # pyright: ignore[reportCallIssue]
        ahead = high - words[_HIGHEST_HIGH]
        if ahead > 1:
            return 1
        if ahead < -1:
            return 0
        ahead = (ahead << 20) + low - words[_HIGHEST_LOW]
        if ahead > 0:
            return 1
        if ahead < -31:
            return 0
        below = 0 - ahead
        if below > 15:
            return 1 - (words[_EARLIER] >> (below - 16) & 1)
        return 1 - (words[_RECENT] >> below & 1)

    @micropython.viper
    def accept(self, high: int, low: int):
        """Record the Partial IV of a message that was verified and is_fresh()."""
        words = ptr32(self.words)  # pyright: ignore[reportCallIssue]
        ahead = high - words[_HIGHEST_HIGH]
        if ahead > 1:
            ahead = 32
        else:
            ahead = (ahead << 20) + low - words[_HIGHEST_LOW]
        if ahead > 0:
            words[_HIGHEST_HIGH] = high
            words[_HIGHEST_LOW] = low
            if ahead > 32:
                ahead = 32
            while ahead:
                words[_EARLIER] = (words[_EARLIER] << 1 | words[_RECENT] >> 15) & 0xFFFF
                words[_RECENT] = words[_RECENT] << 1 & 0xFFFF
                ahead -= 1
        below = 0 - ahead
        if below > 15:
            words[_EARLIER] = words[_EARLIER] | 1 << (below - 16)
        else:
            words[_RECENT] = words[_RECENT] | 1 << below

    def restart(self, high, low):
        """Make the window valid again; only numbers above this one are fresh (B.1.2)."""
        self.restore((high, low, 0xFFFF, 0xFFFF), True)

    def restore(self, words, valid):
        """Take over the state that another window had."""
        for i in range(WINDOW_WORDS):
            self.words[i] = words[i]
        self.valid = valid


# Key derivation (RFC 8613 section 3.2.1)


def hkdf_info(id_bytes, id_context, kind, length):
    """Return the `info` of a derivation as CBOR; kind: "Key" or "IV"."""
    context = b"\xf6" if id_context is None else _cbor_bytes(id_context)
    text = kind.encode()
    return (
        b"\x85"
        + _cbor_bytes(id_bytes)
        + context
        + bytes((_ALGORITHM, 0x60 | len(text)))
        + text
        + bytes((length,))
    )


def hkdf_expand(prk, info, length):
    """Return `length` bytes, at most 32, of HKDF-Expand with SHA-256 (RFC 5869)."""
    return hmac_sha256(prk, info + b"\x01")[:length]


def hmac_sha256(key, message):
    """Return HMAC-SHA-256 (RFC 2104), which MicroPython does not have."""
    if len(key) > _HASH_BLOCK_BYTES:
        key = sha256(key).digest()
    key = key + bytes(_HASH_BLOCK_BYTES - len(key))
    inner = sha256(bytes([byte ^ 0x36 for byte in key]) + message).digest()
    return sha256(bytes([byte ^ 0x5C for byte in key]) + inner).digest()


def _cbor_bytes(value):
    n = len(value)
    return (bytes((0x40 | n,)) if n < 24 else bytes((0x58, n))) + value
