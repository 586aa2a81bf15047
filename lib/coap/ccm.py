"""AES-CCM-16-64-128, the AEAD of OSCORE, on the AES of `cryptolib` (RFC 3610, RFC 8152 10.2).

A Ccm is the working memory, one for all keys; a Key is one direction of one security context.
Nothing is allocated per message once messages of that length have been seen.
"""

from cryptolib import aes
from micropython import const

from coap.cipher import (
    ENCRYPT0,
    TAG,
    counter_blocks,
    mac_blocks,
    mask,
    put_tag,
    same_tag,
    take_block,
)

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


class Ccm:
    """Seals and opens texts of at most `most` bytes in `text`, with the nonce `once` and the
    additional data `aad`, which the caller fills in: see coap.cipher.
    """

    def __init__(self, most):
        size = (most + _EXTRA) // _BLOCK
        self.most = most
        self.text = bytearray(most + TAG)
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
        return n + TAG

    def open(self, key, buf, start, n):  # hot
        """Decrypt buf[start:start+n], text and tag, into `text`: its length, -1 for a forgery."""
        n -= TAG
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
