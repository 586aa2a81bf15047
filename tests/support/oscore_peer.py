"""An OSCORE endpoint of the tests' own, written from RFC 8613 and RFC 3610.

It shares only the key derivation, which RFC 8613 Appendix C verifies, and AES with lib/coap.
"""

from cryptolib import aes

from coap.oscore.context import hkdf_expand, hkdf_info, hmac_sha256
from support.engine import decode, encode, uint

OSCORE = 9
OBSERVE = 6
ECB = 1
SECRET = bytes(range(1, 17))
SALT = b"salt"


def volatile(contexts, flash=None):
    """Return an Oscore of contexts that were never used; flash None: nothing keeps its numbers."""
    from coap.oscore import Oscore

    oscore = Oscore(contexts, flash, volatile=flash is None)
    for context in oscore.contexts:
        context.window.valid = context.window.valid or flash is None
    return oscore


class End:
    """One endpoint: `seq` counts its Partial IVs; request() protects, read() unprotects."""

    def __init__(self, own, other, secret=SECRET, salt=SALT, id_context=None):
        prk = hmac_sha256(salt or bytes(32), secret)
        self.own = own
        self.other = other
        self.id_context = id_context
        self.own_key = hkdf_expand(prk, hkdf_info(own, id_context, "Key", 16), 16)
        self.other_key = hkdf_expand(prk, hkdf_info(other, id_context, "Key", 16), 16)
        self.iv = hkdf_expand(prk, hkdf_info(b"", id_context, "IV", 13), 13)
        self.seq = 0
        self.piv = b""  # of the last request

    def request(self, datagram, seq=None, with_context=None):
        """Return the datagram, protected."""
        message = decode(datagram)
        if seq is None:
            seq = self.seq
            self.seq += 1
        self.piv = piv = uint(seq) or b"\0"
        flags = len(piv) | 8
        name = b""
        if with_context if with_context is not None else self.id_context is not None:
            flags |= 16
            name = bytes((len(self.id_context),)) + self.id_context
        value = bytes((flags,)) + piv + name + self.own
        observe = [option for option in message.options if option[0] == OBSERVE]
        outer = [option for option in message.options if option[0] in (3, 6, 7)]
        inner = [option for option in message.options if option[0] not in (3, 7)]
        text = bytes((message.code,)) + encode(0, 0, 0, b"", inner, message.payload)[4:]
        sealed = seal(self.own_key, self.nonce(self.own, piv), self.aad(self.own, piv), text)
        code = 5 if observe else 2
        options = outer + [(OSCORE, value)]
        return encode(message.kind, code, message.mid, message.token, options, sealed)

    def read(self, message, piv=None):
        """Return the inner response of a Message, decrypted; None when its tag is wrong."""
        if piv is None:
            piv = self.piv
        value = message.all(OSCORE)[0]
        once = self.nonce(self.own, piv)
        message.piv = None
        if value:
            assert value[0] == len(value) - 1, value
            message.piv = value[1:]
            once = self.nonce(self.other, value[1:])
        text = open_(self.other_key, once, self.aad(self.own, piv), message.payload)
        if text is None:
            return None
        head = bytes((0x40 | message.kind << 4, text[0], message.mid >> 8, message.mid & 255))
        inner = decode(head + text[1:])
        inner.piv = message.piv
        inner.outer = message
        inner.token = message.token
        return inner

    def inner(self, message, piv=None):
        """Return read(message); assert that there is a message, protected and with a valid tag."""
        assert message is not None, "no response"
        assert message.all(OSCORE), "a plain response: {!r}".format(message)
        inner = self.read(message, piv)
        assert inner is not None, "forged"
        return inner

    def nonce(self, name, piv):
        padded = bytes((len(name),)) + bytes(7 - len(name)) + name + bytes(5 - len(piv)) + piv
        return bytes([a ^ b for a, b in zip(padded, self.iv)])

    def aad(self, kid, piv):
        inner = b"\x85\x01\x81\x0a" + bytes((0x40 | len(kid),)) + kid
        inner += bytes((0x40 | len(piv),)) + piv + b"\x40"
        return b"\x83\x68Encrypt0\x40" + bytes((0x40 | len(inner),)) + inner


def seal(key, once, aad, text):
    cipher = aes(key, ECB)
    tag = mac(cipher, once, aad, text)
    stream = keystream(cipher, once, len(text))
    masked = bytes([a ^ b for a, b in zip(text, stream[16:])])
    return masked + bytes([a ^ b for a, b in zip(tag, stream)])[:8]


def open_(key, once, aad, sealed):
    cipher = aes(key, ECB)
    n = len(sealed) - 8
    if n < 1:
        return None
    stream = keystream(cipher, once, n)
    text = bytes([a ^ b for a, b in zip(sealed[:n], stream[16:])])
    tag = bytes([a ^ b for a, b in zip(mac(cipher, once, aad, text), stream)])[:8]
    return text if tag == sealed[n:] else None


def mac(cipher, once, aad, text):
    blocks = b"\x59" + once + bytes((len(text) >> 8, len(text) & 255))
    blocks += padded(bytes((len(aad) >> 8, len(aad) & 255)) + aad) + padded(text)
    value = bytes(16)
    for at in range(0, len(blocks), 16):
        value = cipher.encrypt(bytes([a ^ b for a, b in zip(value, blocks[at : at + 16])]))
    return value


def keystream(cipher, once, n):
    counters = range((n + 15) // 16 + 1)
    return b"".join([cipher.encrypt(b"\x01" + once + bytes((i >> 8, i & 255))) for i in counters])


def padded(data):
    return data + bytes(-len(data) % 16)
