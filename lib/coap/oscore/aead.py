"""The loops of OSCORE over bytes: AES-CCM around a block cipher, and the replay window (RFC 8613).

Machine code like scan.py, in a file that only a node with keys loads. As there, pointers carry no
length and each function states what its caller promises; on CPython every index is checked.

AES-CCM-16-64-128 (RFC 3610): a nonce of 13 bytes, a tag of 8, a length of 2. The cipher itself is
called twice a message, on all blocks at once: CBC over what mac_blocks() writes, ECB over what
counter_blocks() writes.
"""

import micropython
from cryptolib import aes
from micropython import const

NONCE_BYTES = const(13)
TAG_BYTES = const(8)
BLOCK_BYTES = const(16)
ENCRYPT0 = b"\x83\x68Encrypt0\x40"

# A replay window: the highest number that came, which of the 32 up to it did, is it valid?
HIGHEST_HIGH = const(0)
HIGHEST_LOW = const(1)
RECENT = const(2)  # bit i: the number i below the highest came
EARLIER = const(3)  # and those 16 below
WINDOW_VALID = const(4)
WINDOW_WORDS = const(5)


# What goes into the cipher (sections 5.2 and 5.4)


@micropython.viper
def write_nonce(out: ptr8, iv: ptr8, name, piv: ptr8):
    """The nonce of a Partial IV of the endpoint `name` (section 5.2)."""
    source = ptr8(name)  # pyright: ignore[reportCallIssue]
    n = int(len(name))
    i = 0
    while i < NONCE_BYTES:
        out[i] = iv[i]
        i += 1
    out[0] = out[0] ^ n
    at = NONCE_BYTES - 5 - n
    i = 0
    while i < n:
        out[at + i] = out[at + i] ^ source[i]
        i += 1
    n = piv[0]
    at = NONCE_BYTES - n
    i = 0
    while i < n:
        out[at + i] = out[at + i] ^ piv[1 + i]
        i += 1


@micropython.viper
def write_aad(out: ptr8, kid, piv: ptr8):
    """Write the additional data of a request's kid and Partial IV (section 5.4).

    `out` has 32 bytes and begins with ENCRYPT0; the ids have at most 7 bytes.
    """
    source = ptr8(kid)  # pyright: ignore[reportCallIssue]
    length = int(len(kid))
    n = piv[0]
    out[11] = 0x40 | 7 + length + n
    out[12] = 0x85  # [1, [AES-CCM-16-64-128], kid, piv, h'']
    out[13] = 1
    out[14] = 0x81
    out[15] = 10
    out[16] = 0x40 | length
    end = 17
    i = 0
    while i < length:
        out[end] = source[i]
        end += 1
        i += 1
    i = 0
    while i <= n:
        out[end] = piv[i]
        end += 1
        i += 1
    out[end - n - 1] = 0x40 | n
    out[end] = 0x40


# AES-CCM. `blocks` has room for 64 bytes more than the plaintext.


@micropython.viper
def mac_blocks(blocks: ptr8, chain: ptr8, once: ptr8, aad: ptr8, text: ptr8, n: int) -> int:
    """Write what CBC makes the tag from, `aad` of associated() and text[0:n]: how many bytes.

    `chain` is the last block that the same CBC gave: it is taken out of the first one, so that
    one cipher serves message after message as if each began with a zero vector.
    """
    blocks[0] = 0x59
    i = 0
    while i < NONCE_BYTES:
        blocks[1 + i] = once[i]
        i += 1
    blocks[14] = n >> 8
    blocks[15] = n & 255
    i = 0
    while i < BLOCK_BYTES:
        blocks[i] = blocks[i] ^ chain[i]
        i += 1
    length = 12 + (aad[11] & 31)  # what it says itself
    blocks[16] = 0
    blocks[17] = length
    at = 18
    i = 0
    while i < length:
        blocks[at] = aad[i]
        at += 1
        i += 1
    while at & 15:
        blocks[at] = 0
        at += 1
    i = 0
    while i < n:
        blocks[at] = text[i]
        at += 1
        i += 1
    while at & 15:
        blocks[at] = 0
        at += 1
    return at


@micropython.viper
def counter_blocks(blocks: ptr8, once: ptr8, n: int) -> int:
    """Write what ECB makes the key stream from, for n bytes of text: how many bytes.

    The first block masks the tag, the others the text.
    """
    at = 0
    counter = 0
    while counter <= (n + 15) >> 4:
        blocks[at] = 1
        i = 0
        while i < NONCE_BYTES:
            blocks[at + 1 + i] = once[i]
            i += 1
        blocks[at + 14] = counter >> 8
        blocks[at + 15] = counter & 255
        counter += 1
        at += BLOCK_BYTES
    return at


@micropython.viper
def mask(out: ptr8, text: ptr8, at: int, n: int, blocks: ptr8):
    """out[0:n] = text[at:at+n] under the key stream; both may be one."""
    i = 0
    while i < n:
        out[i] = text[at + i] ^ blocks[BLOCK_BYTES + i]
        i += 1


@micropython.viper
def take_block(to: ptr8, blocks: ptr8, at: int):
    """to[0:16] = blocks[at:at+16]"""
    i = 0
    while i < BLOCK_BYTES:
        to[i] = blocks[at + i]
        i += 1


@micropython.viper
def put_tag(out: ptr8, at: int, mac: ptr8, blocks: ptr8):
    """Write the tag at out[at]."""
    i = 0
    while i < TAG_BYTES:
        out[at + i] = mac[i] ^ blocks[i]
        i += 1


@micropython.viper
def same_tag(mac: ptr8, stream: ptr8, buf: ptr8, at: int) -> int:
    """Is the tag that of the message? 1 or 0, in a time that does not tell where they differ."""
    differ = 0
    i = 0
    while i < TAG_BYTES:
        differ = differ | (mac[i] ^ stream[i] ^ buf[at + i])
        i += 1
    return (differ - 1) >> 8 & 1


# Replay (section 7.4)


@micropython.viper
def is_fresh(window: ptr32, high: int, low: int) -> int:
    """1 when the Partial IV has not come yet and is not too old to say so."""
    over = high - window[HIGHEST_HIGH]
    if over > 1:
        return 1
    if over < -1:
        return 0
    over = (over << 20) + low - window[HIGHEST_LOW]
    if over > 0:
        return 1
    if over < -31:
        return 0
    over = 0 - over
    if over > 15:
        return 1 - (window[EARLIER] >> (over - 16) & 1)
    return 1 - (window[RECENT] >> over & 1)


@micropython.viper
def accept(window: ptr32, high: int, low: int):
    """The Partial IV, which is_new(), has come and its message is genuine."""
    over = high - window[HIGHEST_HIGH]
    if over > 1:
        over = 32
    else:
        over = (over << 20) + low - window[HIGHEST_LOW]
    if over > 0:
        window[HIGHEST_HIGH] = high
        window[HIGHEST_LOW] = low
        if over > 32:
            over = 32
        while over:
            window[EARLIER] = (window[EARLIER] << 1 | window[RECENT] >> 15) & 0xFFFF
            window[RECENT] = window[RECENT] << 1 & 0xFFFF
            over -= 1
    over = 0 - over
    if over > 15:
        window[EARLIER] = window[EARLIER] | 1 << (over - 16)
    else:
        window[RECENT] = window[RECENT] | 1 << over


# AES-CCM-16-64-128, the AEAD of OSCORE, on the AES of `cryptolib` (RFC 3610, RFC 8152 10.2).
#
# A Ccm is the working memory, one for all keys; a Key is one direction of one security context.
# Nothing is allocated per message once messages of that length have been seen.

_ECB = const(1)
_CBC = const(2)
_BLOCK = const(16)
_EXTRA = const(80)  # bytes of blocks beside the text: the first one, and the additional data


class Key:
    """16 bytes of key. The CBC goes on from message to message; `chain` is its last block."""

    def __init__(self, key):
        self.stream = aes(key, _ECB)
        self.mac = aes(key, _CBC, bytes(_BLOCK))
        self.chain = bytearray(_BLOCK)


class Aead:
    """Seals and opens texts of at most `most` bytes in `text`, with the nonce `once` and the
    additional data `aad`, which the caller fills in: see coap.oscore.aead.
    """

    def __init__(self, most):
        size = (most + _EXTRA) // _BLOCK
        self.most = most
        self.text = bytearray(most + TAG_BYTES)
        self.once = bytearray(13)
        self.aad = bytearray(ENCRYPT0 + bytes(32 - len(ENCRYPT0)))
        self.blocks = bytearray(size * _BLOCK)
        self.views = [None] * (size + 1)  # on so many blocks, once they were needed
        self.mask = bytearray(_BLOCK)

    def sign(self, key, n):  # hot
        """The tag of text[0:n], not yet masked, becomes the key's chain."""
        n = mac_blocks(self.blocks, key.chain, self.once, self.aad, self.text, n)
        view = self._view(n)
        key.mac.encrypt(view, view)
        take_block(key.chain, self.blocks, n - _BLOCK)

    def seal(self, key, n):  # hot
        """Encrypt text[0:n], for which sign() was called, with its tag: the length of both."""
        self._stream(key, n)
        mask(self.text, self.text, 0, n, self.blocks)
        put_tag(self.text, n, key.chain, self.blocks)
        return n + TAG_BYTES

    def open(self, key, buf, start, n):  # hot
        """Decrypt buf[start:start+n], text and tag, into `text`: its length, -1 for a forgery."""
        n -= TAG_BYTES
        if n < 0 or n > self.most:
            return -1
        self._stream(key, n)
        mask(self.text, buf, start, n, self.blocks)
        take_block(self.mask, self.blocks, 0)
        self.sign(key, n)
        return n if same_tag(key.chain, self.mask, buf, start + n) else -1

    def _stream(self, key, n):  # hot
        view = self._view(counter_blocks(self.blocks, self.once, n))
        key.stream.encrypt(view, view)

    def _view(self, end):  # hot
        view = self.views[end // _BLOCK]
        if view is None:
            view = self.views[end // _BLOCK] = memoryview(self.blocks)[:end]
        return view
