"""A security context of OSCORE: two keys, an IV, a sequence number and a replay window
(RFC 8613 section 3).
"""

from array import array
from hashlib import sha256

from coap.oscore.aead import WINDOW_VALID, WINDOW_WORDS, Key

IDS_MAX = 7  # bytes: what the nonce has room for
LAST_NUMBER = 0x3FFFFFFF  # sequence numbers end here: they are small ints on every board
_ALGORITHM = 10  # AES-CCM-16-64-128
_HASH_BLOCK = 64


class Context:
    """secret, salt, sender_id, recipient_id, id_context: bytes that both ends were given; ours is
    the sender's. id_context None: the context has none. name: for people.

    Raises ValueError for what no context has.
    """

    def __init__(self, secret, sender_id, recipient_id, salt=b"", id_context=None, name=""):
        if len(sender_id) > IDS_MAX or len(recipient_id) > IDS_MAX:
            raise ValueError("sender_id and recipient_id have at most 7 bytes")
        if sender_id == recipient_id:
            raise ValueError("sender_id and recipient_id must differ, or nonces would repeat")
        if len(secret) < 16:
            raise ValueError("secret has at least 16 bytes")
        if id_context is not None and len(id_context) > 32:
            raise ValueError("id_context has at most 32 bytes")
        self.name = name
        self.number = 0  # in a node
        self.gateway = False  # for what the node asks of its gateway
        self.sender_id = sender_id
        self.recipient_id = recipient_id
        self.id_context = id_context
        # one extraction for the three: it is half of the work
        prk = hmac_sha256(salt or bytes(32), secret)
        sender = hkdf_expand(prk, hkdf_info(sender_id, id_context, "Key", 16), 16)
        recipient = hkdf_expand(prk, hkdf_info(recipient_id, id_context, "Key", 16), 16)
        self.iv = hkdf_expand(prk, hkdf_info(b"", id_context, "IV", 13), 13)
        # of the OSCORE option of our requests: what follows the Partial IV, and the flags of that
        self.tail = (
            b"" if id_context is None else bytes((len(id_context),)) + id_context
        ) + sender_id
        self.flags = 0x08 if id_context is None else 0x18
        self.sender = Key(sender)
        self.recipient = Key(recipient)
        self.fingerprint = sha256(b"mote" + sender + recipient + self.iv).digest()[:8]
        self.window = array("i", [0] * WINDOW_WORDS)
        self.window[WINDOW_VALID] = 1
        self.challenge = b""  # the Echo value that makes the window valid again
        self.challenged_ms = 0  # when that was made
        self.told_ms = 0  # and when it was sent last
        self.next = 0  # the sequence number of the next message
        self.limit = LAST_NUMBER  # numbers from here on are not to be used yet
        self.more = None  # reserves further numbers: see coap.oscore.sequence_numbers

    def take(self):  # hot
        """A sequence number that was never used; -1 when there is none."""
        if self.more is not None and self.more.kept and not self.more.spend():
            return -1
        number = self.next
        if number >= self.limit:
            if self.more is None or not self.more.reserve(self):
                return -1
        self.next = number + 1
        return number

    def lose_window(self):
        """What came is not known any more: nothing is taken before an Echo proves it fresh."""
        for i in range(WINDOW_WORDS):
            self.window[i] = 0
        self.challenge = b""


def hkdf_info(name, id_context, what, length):
    """The input of a derivation (section 3.2.1), in CBOR."""
    context = b"\xf6" if id_context is None else _bytes(id_context)
    text = what.encode()
    return (
        b"\x85"
        + _bytes(name)
        + context
        + bytes((_ALGORITHM, 0x60 | len(text)))
        + text
        + bytes((length,))
    )


def hkdf_expand(prk, text, length):
    """HKDF-Expand (RFC 5869) for at most 32 bytes."""
    return hmac_sha256(prk, text + b"\x01")[:length]


def hmac_sha256(key, message):
    """HMAC-SHA-256 (RFC 2104); not in MicroPython's firmware."""
    if len(key) > _HASH_BLOCK:
        key = sha256(key).digest()
    key = key + bytes(_HASH_BLOCK - len(key))
    inner = sha256(bytes([byte ^ 0x36 for byte in key]) + message).digest()
    return sha256(bytes([byte ^ 0x5C for byte in key]) + inner).digest()


def _bytes(value):
    n = len(value)
    return (bytes((0x40 | n,)) if n < 24 else bytes((0x58, n))) + value
