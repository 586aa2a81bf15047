"""Keys, nonces and additional data: RFC 8613 Appendix C.1 to C.3, RFC 4231, RFC 3610."""

import coap.oscore.aead as c
import coap.oscore.protection as p
from coap.oscore.aead import Aead, Key
from coap.oscore.context import Context, hkdf_info, hmac_sha256
from support import allocated, cases, hexbytes, raises

HEAP = "1m"
SECRET = hexbytes("0102030405060708090a0b0c0d0e0f10")
SALT = hexbytes("9e7ca92223786340")
ID_CONTEXT = hexbytes("37cbf3210017a2d3")

# salt, client's id, server's id, ID context; infos; keys of client and server, IV; nonces
VECTORS = (
    (
        (SALT, "", "01", None),
        ("8540f60a634b657910", "854101f60a634b657910", "8540f60a6249560d"),
        ("f0910ed7295e6ad4b54fc793154302ff", "ffb14e093c94c9cac9471648b4f98710"),
        "4622d4dd6d944168eefb54987c",
        ("4622d4dd6d944168eefb54987c", "4722d4dd6d944169eefb54987c"),
    ),
    (
        (b"", "00", "01", None),
        ("854100f60a634b657910", "854101f60a634b657910", "8540f60a6249560d"),
        ("321b26943253c7ffb6003b0b64d74041", "e57b5635815177cd679ab4bcec9d7dda"),
        "be35ae297d2dace910c52e99f9",
        ("bf35ae297d2dace910c52e99f9", "bf35ae297d2dace810c52e99f9"),
    ),
    (
        (SALT, "", "01", ID_CONTEXT),
        (
            "85404837cbf3210017a2d30a634b657910",
            "8541014837cbf3210017a2d30a634b657910",
            "85404837cbf3210017a2d30a6249560d",
        ),
        ("af2a1300a5e95788b356336eeecd2b92", "e39a0c7c77b43f03b4b39ab9a268699f"),
        "2ca58fb85ff1b81c0b7181b85e",
        ("2ca58fb85ff1b81c0b7181b85e", "2da58fb85ff1b81d0b7181b85e"),
    ),
)  # fmt: skip


def nonce(context, name, piv):
    out = bytearray(13)
    c.write_nonce(out, context.common_iv, name, bytes((len(piv),)) + piv)
    return out


def is_key(key, expected):
    """Return True if the Key encrypts as this key does."""
    other = Key(hexbytes(expected))
    return key.ecb.encrypt(bytes(16)) == other.ecb.encrypt(bytes(16))


@cases(*VECTORS)
def test_rfc8613_c1_to_c3_key_derivation(given, infos, keys, iv, nonces):
    salt, client, server, id_context = given
    client, server = hexbytes(client), hexbytes(server)
    assert hkdf_info(client, id_context, "Key", 16) == hexbytes(infos[0])
    assert hkdf_info(server, id_context, "Key", 16) == hexbytes(infos[1])
    assert hkdf_info(b"", id_context, "IV", 13) == hexbytes(infos[2])
    for own, other, ours, theirs in ((client, server, 0, 1), (server, client, 1, 0)):
        context = Context(SECRET, own, other, salt, id_context)
        assert context.common_iv == hexbytes(iv)
        assert is_key(context.sender_key, keys[ours]) and is_key(
            context.recipient_key, keys[theirs]
        )
        assert not is_key(context.sender_key, keys[theirs])
        assert nonce(context, own, b"\0") == hexbytes(nonces[ours])
        assert nonce(context, other, b"\0") == hexbytes(nonces[theirs])


@cases(
    # RFC 4231 sections 4.2, 4.3, 4.4, 4.7
    (
        b"\x0b" * 20,
        b"Hi There",
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
    ),
    (
        b"Jefe",
        b"what do ya want for nothing?",
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    ),
    (
        b"\xaa" * 20,
        b"\xdd" * 50,
        "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
    ),
    (
        b"\xaa" * 131,
        b"Test Using Larger Than Block-Size Key - Hash Key First",
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
    ),
)
def test_hmac(key, message, expected):
    assert hmac_sha256(key, message) == hexbytes(expected)


# RFC 8613 C.4: a text, its nonce and additional data
TEXT = hexbytes("01b3747631")
SEALED = hexbytes("612f1092f1776f1c1668b3825e")
AAD = hexbytes("8368456e63727970743040488501810a40411440")
NONCE = hexbytes("4622d4dd6d944168eefb549868")


def aead(max_text=1100):
    one = Aead(max_text)
    one.nonce[:] = NONCE
    one.aad[: len(AAD)] = AAD
    return one, Key(hexbytes("f0910ed7295e6ad4b54fc793154302ff"))


def seal(one, key, plain):
    one.text[: len(plain)] = plain
    one.compute_mac(key, len(plain))
    n = one.encrypt(key, len(plain))
    return bytes(one.text[:n])


def test_encrypt_and_decrypt_repeatedly():
    one, key = aead()
    for _ in range(3):  # the CBC goes on from one to the next
        assert seal(one, key, TEXT) == SEALED
        assert one.decrypt(key, b"xx" + SEALED, 2, len(SEALED)) == len(TEXT)
        assert one.text[:5] == TEXT


def test_every_flipped_bit_is_detected():
    one, key = aead()
    for bit in range(8 * len(SEALED)):
        forged = bytearray(SEALED)
        forged[bit >> 3] ^= 1 << (bit & 7)
        assert one.decrypt(key, forged, 0, len(forged)) == -1
    for short in range(8):
        assert one.decrypt(key, SEALED, 0, short) == -1
    assert one.decrypt(key, SEALED, 0, len(SEALED)) == 5
    for bit in range(8 * len(AAD)):
        if bit >> 3 == 11:
            continue  # how long it is: nobody else writes that
        one.aad[bit >> 3] ^= 1 << (bit & 7)
        assert one.decrypt(key, SEALED, 0, len(SEALED)) == -1
        one.aad[bit >> 3] ^= 1 << (bit & 7)
    for bit in range(8 * 13):
        one.nonce[bit >> 3] ^= 1 << (bit & 7)
        assert one.decrypt(key, SEALED, 0, len(SEALED)) == -1
        one.nonce[bit >> 3] ^= 1 << (bit & 7)


@cases(0, 1, 15, 16, 17, 255, 1099, 1100)
def test_texts_of_all_lengths(n):
    one, key = aead()
    plain = bytes([i * 7 & 255 for i in range(n)])
    sealed = seal(one, key, plain)
    assert len(sealed) == n + 8
    if n > 15:
        assert sealed[:n] != plain
    assert one.decrypt(key, sealed, 0, n + 8) == n
    assert one.text[:n] == plain


def test_a_text_that_is_too_long():
    one, key = aead(64)
    assert one.decrypt(key, bytes(73), 0, 73) == -1


@cases(
    ("01", "00", SECRET, None, "secret"),
    ("01", "01", SECRET, None, "differ"),
)
def test_wrong_parameters_of_a_context(own, other, secret, id_context, word):
    if word == "secret":
        secret = secret[:15]
    error = raises(ValueError, Context, secret, hexbytes(own), hexbytes(other), b"", id_context)
    assert word in str(error)


def test_ids_are_as_long_as_the_nonce_allows():
    Context(SECRET, bytes(7), b"")
    raises(ValueError, Context, SECRET, bytes(8), b"")
    raises(ValueError, Context, SECRET, b"", bytes(8))
    raises(ValueError, Context, SECRET, b"", b"1", b"", bytes(33))


@cases((None, 0x08, "02"), (b"", 0x18, "0002"), (b"abc", 0x18, "0361626302"))
def test_the_option_of_requests_names_the_context(id_context, flags, tail):
    """An ID context of no bytes is one, and another than none (section 6.1)."""
    context = Context(SECRET, b"\2", b"\1", SALT, id_context)
    assert (context.option_flags, context.option_tail) == (flags, hexbytes(tail))
    other = Context(SECRET, b"\2", b"\1", SALT, None if id_context == b"" else b"")
    assert context.common_iv != other.common_iv


@cases(
    ("", "14", "8368456e63727970743040488501810a40411440"),
    ("00", "14", "8368456e63727970743040498501810a4100411440"),
    (
        "01020304050607",
        "a1a2a3a4a5",
        "8368456e63727970743040538501810a470102030405060745a1a2a3a4a540",
    ),
)
def test_aad(kid, piv, expected):
    kid, piv, expected = hexbytes(kid), hexbytes(piv), hexbytes(expected)
    out = bytearray(c.ENCRYPT0 + bytes(21))
    c.write_aad(out, kid, bytes((len(piv),)) + piv)
    assert out[: len(expected)] == expected


@cases(
    (0, "00"), (20, "14"), (255, "ff"), (256, "0100"), (65536, "010000"), (2**30 - 1, "3fffffff")
)
def test_write_piv(value, expected):
    out = bytearray(6)
    n = p.write_piv(out, value)
    assert out[:n] == bytes((n - 1,)) + hexbytes(expected)


def test_nothing_is_allocated():
    one, key = aead()
    sealed = seal(one, key, bytes(40))

    def once():
        one.compute_mac(key, 40)
        one.encrypt(key, 40)
        assert one.decrypt(key, sealed, 0, 48) == 40

    assert allocated(once, 20) == 0
