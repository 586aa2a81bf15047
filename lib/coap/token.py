"""Tokens that nobody off the path can guess and that do not come twice (RFC 7252 section 5.3.1).

A token is a counter, enciphered with SPECK32/64 under a key from the node's entropy: words of 16
bits, which boards count without allocating.
"""

from array import array

from micropython import const

_ROUNDS = const(22)
SIZE = const(4)  # bytes of a token


class Tokens:
    """The tokens of one client."""

    def __init__(self):
        self.rounds = array("H", [0] * _ROUNDS)
        self.count = 0

    def seed(self, entropy):
        """Take another key, from at least 8 random bytes; fewer are repeated."""
        entropy = bytes(entropy or b"\0")
        words = []
        for i in range(4):
            low = entropy[2 * i % len(entropy)]
            words.append(low | entropy[(2 * i + 1) % len(entropy)] << 8)
        self.schedule(words)

    def schedule(self, words):
        """Make the round keys from a key of four words, the lowest first."""
        key = words[0]
        parts = list(words[1:])
        for i in range(_ROUNDS):
            self.rounds[i] = key
            part = ((parts[0] >> 7 | parts[0] << 9) + key) & 0xFFFF ^ i
            parts = parts[1:] + [part]
            key = (key << 2 | key >> 14) & 0xFFFF ^ part

    def next(self, token):  # hot
        """Write the next token into four bytes."""
        self.count = (self.count + 1) & 0x3FFFFFFF
        self.encipher(self.count >> 16, self.count & 0xFFFF, token)

    def encipher(self, x, y, token):  # hot
        """Write the block of two words, enciphered."""
        i = 0
        while i < _ROUNDS:
            x = ((x >> 7 | x << 9) + y) & 0xFFFF ^ self.rounds[i]
            y = (y << 2 | y >> 14) & 0xFFFF ^ x
            i += 1
        token[0] = x >> 8
        token[1] = x & 255
        token[2] = y >> 8
        token[3] = y & 255
