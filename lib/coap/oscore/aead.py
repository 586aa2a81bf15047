"""AES-CCM-16-64-128, the AEAD of OSCORE, on the AES of `cryptolib` (RFC 3610, RFC 8152 10.2).

Theory of operation: the block cipher is called twice per message, each time on all blocks at once.
write_mac_blocks() lays out what CBC-MAC authenticates and write_counter_blocks() what CTR mode
encrypts into key stream; both use the same buffer. The last CBC block masked with the first key
stream block is the tag. Nonce: 13 bytes; tag: 8 bytes; length field: 2 bytes.

One Aead is the working memory for all keys of a node; a Key is one direction of one security
context. Once a length has been seen, a message of that length allocates nothing; a long one takes
32 bytes each time, so that a sender of many lengths can not fill the heap.

The loops are machine code as in coap.codec, with the same rules: pointers carry no length, so each
function states what its caller guarantees; on CPython every index is checked.
"""

import micropython
from cryptolib import aes
from micropython import const

NONCE_BYTES = const(13)
TAG_BYTES = const(8)
BLOCK_BYTES = const(16)
ENCRYPT0 = b"\x83\x68Encrypt0\x40"
_AAD_BYTES = const(32)
_EXTRA_BYTES = const(80)  # of `blocks` beside the text: first block, AAD, padding

_KEPT = const(8)  # blocks: longer texts allocate 32 bytes or so

_ECB = const(1)
_CBC = const(2)


class Key:
    """One 16-byte AES key.

    `cryptolib` offers no way to reset a CBC cipher, so it continues from message to message.
    mac_state: its last block, which write_mac_blocks() cancels out.
    """

    def __init__(self, key):
        self.ecb = aes(key, _ECB)
        self.cbc = aes(key, _CBC, bytes(BLOCK_BYTES))
        self.mac_state = bytearray(BLOCK_BYTES)


class Aead:
    """Encrypts and decrypts texts of at most `max_text` bytes in the buffer `text`.

    The caller fills in `nonce` and `aad` before: see write_nonce() and write_aad().
    """

    def __init__(self, max_text):
        count = (max_text + _EXTRA_BYTES) // BLOCK_BYTES
        self.max_text = max_text
        self.text = bytearray(max_text + TAG_BYTES)
        self.nonce = bytearray(NONCE_BYTES)
        self.aad = bytearray(ENCRYPT0 + bytes(_AAD_BYTES - len(ENCRYPT0)))
        self.blocks = bytearray(count * BLOCK_BYTES)
        # memoryviews of the first n blocks, made when needed
        self.views = [None] * (_KEPT + 1)  # type: list
        self.tag_mask = bytearray(BLOCK_BYTES)

    def compute_mac(self, key, n):  # hot
        """Compute the CBC-MAC of text[0:n]; key.mac_state then holds the tag, not yet masked."""
        n = write_mac_blocks(self.blocks, key.mac_state, self.nonce, self.aad, self.text, n)
        view = self._view(n)
        key.cbc.encrypt(view, view)
        copy_block(key.mac_state, self.blocks, n - BLOCK_BYTES)

    def encrypt(self, key, n):  # hot
        """Encrypt text[0:n] in place and append its tag; return the length of both.

        compute_mac() must have been called for the same text.
        """
        self._write_key_stream(key, n)
        xor_key_stream(self.text, self.text, 0, n, self.blocks)
        write_tag(self.text, n, key.mac_state, self.blocks)
        return n + TAG_BYTES

    def decrypt(self, key, buf, start, n):  # hot
        """Decrypt ciphertext and tag buf[start:start+n] into `text`.

        Return the length of the plaintext, or -1 if the tag is wrong or the text too long.
        """
        n -= TAG_BYTES
        if n < 0 or n > self.max_text:
            return -1
        self._write_key_stream(key, n)
        xor_key_stream(self.text, buf, start, n, self.blocks)
        copy_block(self.tag_mask, self.blocks, 0)
        self.compute_mac(key, n)
        return n if tag_matches(key.mac_state, self.tag_mask, buf, start + n) else -1

    def _write_key_stream(self, key, n):  # hot
        view = self._view(write_counter_blocks(self.blocks, self.nonce, n))
        key.ecb.encrypt(view, view)

    def _view(self, end):  # hot
        if end > _KEPT * BLOCK_BYTES:
            return memoryview(self.blocks)[:end]
        view = self.views[end // BLOCK_BYTES]
        if view is None:
            view = self.views[end // BLOCK_BYTES] = memoryview(self.blocks)[:end]
        return view


# Nonce and additional authenticated data


@micropython.viper
def write_nonce(out: ptr8, common_iv: ptr8, piv_id, piv: ptr8):
    """Write the nonce for a Partial IV of the endpoint with ID `piv_id` (RFC 8613 section 5.2).

    `out` and `common_iv` have 13 bytes; `piv` is its length, then its bytes.
    """
    source = ptr8(piv_id)  # pyright: ignore[reportCallIssue]
    n = int(len(piv_id))
    i = 0
    while i < NONCE_BYTES:
        out[i] = common_iv[i]
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
    """Write the additional authenticated data for a request's kid and Partial IV (section 5.4).

    `out` has 32 bytes and begins with ENCRYPT0; `kid` has at most 7 bytes.
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


# AES-CCM around the block cipher. `blocks` has room for 64 bytes more than the plaintext.


@micropython.viper
def write_mac_blocks(
    blocks: ptr8, mac_state: ptr8, nonce: ptr8, aad: ptr8, text: ptr8, n: int
) -> int:
    """Write the CBC-MAC input for `aad` and text[0:n]; return its length.

    `mac_state` is the last block that the same CBC cipher returned. It is XORed into the first
    block, so that the MAC comes out as if the cipher had started from a zero vector.
    """
    blocks[0] = 0x59
    i = 0
    while i < NONCE_BYTES:
        blocks[1 + i] = nonce[i]
        i += 1
    blocks[14] = n >> 8
    blocks[15] = n & 255
    i = 0
    while i < BLOCK_BYTES:
        blocks[i] = blocks[i] ^ mac_state[i]
        i += 1
    length = 12 + (aad[11] & 31)  # 12 bytes up to the header of the byte string, and its content
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
def write_counter_blocks(blocks: ptr8, nonce: ptr8, n: int) -> int:
    """Write the counter blocks for n bytes of text; return their length.

    The first block masks the tag, the following ones the text.
    """
    at = 0
    counter = 0
    while counter <= (n + 15) >> 4:
        blocks[at] = 1
        i = 0
        while i < NONCE_BYTES:
            blocks[at + 1 + i] = nonce[i]
            i += 1
        blocks[at + 14] = counter >> 8
        blocks[at + 15] = counter & 255
        counter += 1
        at += BLOCK_BYTES
    return at


@micropython.viper
def xor_key_stream(out: ptr8, text: ptr8, at: int, n: int, blocks: ptr8):
    """Write text[at:at+n] XOR the key stream to out[0:n]; `out` may be `text` if at is 0."""
    i = 0
    while i < n:
        out[i] = text[at + i] ^ blocks[BLOCK_BYTES + i]
        i += 1


@micropython.viper
def copy_block(to: ptr8, blocks: ptr8, at: int):
    """Copy the block blocks[at:at+16] to to[0:16]."""
    i = 0
    while i < BLOCK_BYTES:
        to[i] = blocks[at + i]
        i += 1


@micropython.viper
def write_tag(out: ptr8, at: int, mac: ptr8, blocks: ptr8):
    """Write the tag, `mac` masked by the first key stream block, to out[at:at+8]."""
    i = 0
    while i < TAG_BYTES:
        out[at + i] = mac[i] ^ blocks[i]
        i += 1


@micropython.viper
def tag_matches(mac: ptr8, tag_mask: ptr8, buf: ptr8, at: int) -> int:
    """Return 1 if buf[at:at+8] is the tag, else 0, in constant time."""
    difference = 0
    i = 0
    while i < TAG_BYTES:
        difference = difference | (mac[i] ^ tag_mask[i] ^ buf[at + i])
        i += 1
    return (difference - 1) >> 8 & 1
