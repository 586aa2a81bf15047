"""What an attacker on the way can do to OSCORE: flip, cut, repeat, reorder, strip, invent."""

from coap.numbers import *
from coap.oscore.aead import tag_matches
from support import cases, only
from support.engine import ask, decode, encode, request
from support.forged_messages import PAYLOAD, attempt, fuzz, target
from support.oscore_peer import End

HEAP = "2m"
TIMEOUT_S = 240
OSCORE = 9


def parts(datagram):
    """(where the OSCORE option's value begins and ends, where the ciphertext begins)"""
    message = decode(datagram)
    sealed = len(datagram) - len(message.payload)
    value = len(message.all(OSCORE)[0])
    return sealed - 1 - value, sealed - 1, sealed


def test_every_flipped_bit_of_a_request():
    end = End(b"\x02", b"\x01")
    node = target()
    datagram = end.request(request(PUT, "lock", options=[(URI_QUERY, b"now")], payload=PAYLOAD))
    meant = [(["lock"], ["now"], PAYLOAD)]
    first, behind, sealed = parts(datagram)
    forged = bytearray(datagram)
    context = node.oscore.contexts[0]
    inside = effects = 0
    for bit in range(8 * len(datagram)):
        forged[bit >> 3] ^= 1 << (bit & 7)
        seen = attempt(node, bytes(forged), bit * 300000)
        at = bit >> 3
        if first <= at < behind or at >= sealed:
            assert seen == [], bit
            assert list(context.window.words) == [0] * 4, "the window moved"
            inside += 1
        else:
            # header, token and what others on the way may change
            assert seen in ([], meant), (bit, seen)
            if seen:
                effects += 1
                context.window.restore([0] * 4, True)
        forged[bit >> 3] ^= 1 << (bit & 7)
    assert inside > 200 and effects > 8
    assert attempt(node, datagram, 300000 * 8 * len(datagram)) == meant


def test_every_truncated_request():
    end = End(b"\x02", b"\x01")
    node = target()
    datagram = end.request(request(PUT, "lock", payload=PAYLOAD))
    for n in range(len(datagram)):
        assert attempt(node, datagram[:n], n * 300000) == [], n
    for more in (b"\0", b"\xff", bytes(16), datagram[-8:]):
        assert attempt(node, datagram + more, 10**8) == []
    assert len(attempt(node, datagram, 2 * 10**8)) == 1


def test_every_truncated_option():
    end = End(b"\x02", b"\x01")
    node = target()
    message = decode(end.request(request(PUT, "lock", payload=PAYLOAD), seq=70000))
    value = message.all(OSCORE)[0]
    for i in range(len(value)):
        for short in (value[:i], value[i + 1 :], value[:i] + value[i + 1 :], value + bytes(i + 1)):
            if short != value:
                cut = encode(CON, 2, 1000 + i, b"t", [(OSCORE, short)], message.payload)
                assert attempt(node, cut, i * 300000) == [], short


@cases(b"\x0e" + bytes(6), b"\x0f" + bytes(7), b"\x0d" + b"\xff" * 5, b"\x0a\x00\x00")
def test_malformed_partial_ivs(start):
    node, end = target(), End(b"\x02", b"\x01")
    message = decode(end.request(request(PUT, "lock", payload=PAYLOAD), seq=0))
    forged = encode(CON, 2, 0xF007, b"t", [(OSCORE, start + b"\x02")], message.payload)
    assert attempt(node, forged) == []
    # and the window is where it was
    assert len(attempt(node, end.request(request(PUT, "lock", payload=PAYLOAD), seq=0))) == 1


def test_the_largest_partial_iv_ends_the_context_and_no_more():
    node, end = target(), End(b"\x02", b"\x01")
    assert (
        len(attempt(node, end.request(request(PUT, "lock", payload=PAYLOAD), seq=2**40 - 1))) == 1
    )
    assert attempt(node, end.request(request(PUT, "lock", payload=PAYLOAD), seq=3)) == []
    late = end.request(request(PUT, "lock", payload=PAYLOAD), seq=2**40 - 9)
    assert len(attempt(node, late)) == 1


def test_recorded_requests_are_not_executed():
    node, end = target(), End(b"\x02", b"\x01")
    taped = [end.request(request(PUT, "lock", payload=b"%d" % i)) for i in range(40)]
    for datagram in taped:
        assert len(attempt(node, datagram)) == 1
    for i, datagram in enumerate(taped):
        message = decode(datagram)
        for mid, token, now_ms in ((message.mid, message.token, 10**7), (5000 + i, b"new", 10)):
            again = encode(CON, 2, mid, token, message.options, message.payload)
            assert attempt(node, again, now_ms) == []


def test_the_same_request_without_oscore():
    node = target()
    assert ask(node, request(PUT, "lock", payload=PAYLOAD)).code == UNAUTHORIZED
    empty = request(PUT, "lock", payload=PAYLOAD, options=[(OSCORE, b"")])
    assert ask(node, empty).code == BAD_OPTION
    named = request(PUT, "lock", payload=PAYLOAD, options=[(OSCORE, b"\x09\x00\x02")])
    assert ask(node, named).code == BAD_REQUEST
    twice = [(OSCORE, b"\x09\x00\x02"), (OSCORE, b"")]
    assert ask(node, request(PUT, "lock", payload=PAYLOAD, options=twice)).code == BAD_REQUEST
    assert node.done == []


def test_an_inner_oscore_option_is_refused():
    node, end = target(), End(b"\x02", b"\x01")
    inner = request(PUT, "lock", payload=PAYLOAD, options=[(OSCORE, b"\x09\x63\x02")])
    reply = end.read(ask(node, end.request(inner)))
    assert reply.code == BAD_OPTION and node.done == []


def test_a_response_is_bound_to_its_request():
    node, end = target(), End(b"\x02", b"\x01")
    first = ask(node, end.request(request(GET, "lock")))
    piv = end.piv
    end.request(request(GET, "lock"))
    assert end.read(first) is None and end.read(first, piv).payload == b"locked"


class Watched:
    """Bytes that note which of them are read."""

    def __init__(self, content, read):
        self.content = content
        self.read = read

    def __getitem__(self, i):
        self.read.append(i)
        return self.content[i]


@only("cpython")
def test_a_tag_is_compared_in_constant_time():
    """Otherwise the time until the response would reveal how much of a forgery is right."""
    mac, stream = bytes(range(16)), bytes(range(7, 23))
    tag = bytearray([a ^ b for a, b in zip(mac, stream)][:8])
    reads = set()
    for bit in range(-1, 64):
        if bit >= 0:
            tag[bit >> 3] ^= 1 << (bit & 7)
        read = []
        same = tag_matches(
            Watched(mac, read), Watched(stream, read), Watched(bytes(4) + tag, read), 4
        )
        assert same == (bit < 0), bit
        reads.add(tuple(read))
        if bit >= 0:
            tag[bit >> 3] ^= 1 << (bit & 7)
    assert len(reads) == 1 and len(read) == 24


@cases(1, 2)
def test_a_slice_of_the_fuzzer(seed):
    assert fuzz(seed, 3000) > 1000
