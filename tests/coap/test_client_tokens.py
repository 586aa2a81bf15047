"""Tokens: the cipher as its authors published it, and what a client needs of it."""

from coap.client import Tokens


def test_the_cipher_gives_the_published_vector():
    tokens = Tokens()
    tokens.schedule([0x0100, 0x0908, 0x1110, 0x1918])
    out = bytearray(4)
    tokens.encrypt(0x6574, 0x694C, out)
    assert out.hex() == "a86842f2"


def test_tokens_do_not_come_twice_and_show_no_order():
    tokens = Tokens()
    tokens.seed(b"\1\2\3\4\5\6\7\x08")
    seen = set()
    firsts = set()
    out = bytearray(4)
    for _ in range(300):
        tokens.next(out)
        seen.add(bytes(out))
        firsts.add(out[0])
    assert len(seen) == 300 and len(firsts) > 150


def test_every_byte_of_the_entropy_matters():
    first = set()
    out = bytearray(4)
    for i in range(9):
        entropy = bytearray(8)
        if i < 8:
            entropy[i] = 1
        tokens = Tokens()
        tokens.seed(entropy)
        tokens.next(out)
        first.add(bytes(out))
    assert len(first) == 9


def test_short_entropy_gives_tokens_of_its_own():
    first = []
    out = bytearray(4)
    for entropy in (b"", b"\1", b"\1\2\3", b"", b"\1", b"\1\2\3"):
        tokens = Tokens()
        tokens.seed(entropy)
        tokens.next(out)
        first.append(bytes(out))
    assert first[:3] == first[3:] and len(set(first)) == 3
