"""Forged OSCORE requests against a node with keys: none may have an effect.

`make fuzz` runs many; the tests run a few.
"""

from coap.access import READ_ONLY, Access
from coap.node import Node
from coap.numbers import PUT
from coap.oscore.context import Context
from coap.presets import default_extensions
from support.engine import answer, decode, encode, request
from support.oscore_peer import SALT, SECRET, End, volatile

OSCORE = 9
PAYLOAD = b"lock"


def target(*features, **settings):
    """Return a node with keys and these extensions or the usual ones; done: PUT payloads."""
    keys = volatile([Context(SECRET, b"\x01", b"\x02", SALT)])
    node = Node(*(features or default_extensions()), Access(READ_ONLY), keys, **settings)
    node.seed(b"entropy!")
    node.done = []

    @node.put("lock")
    def put(request, reply):
        node.done.append((request.path(), request.queries(), request.payload_bytes()))

    @node.get("lock", observable=True)
    def get(request, reply):
        return b"locked"

    return node


def attempt(node, datagram, now_ms=0):
    """Return what the handlers saw of a datagram from a new peer."""
    node.done.clear()
    answer(node, datagram, now_ms=now_ms)
    return list(node.done)


class Noise:
    def __init__(self, seed):
        self.state = seed

    def below(self, n):
        self.state = (self.state * 1103515245 + 12345) & 0x3FFFFFFF
        return (self.state >> 8) % n

    def bytes(self, n):
        return bytes([self.below(256) for _ in range(n)])


def forge(noise, good):
    """Return a damaged OSCORE request, mostly made from a genuine one."""
    message = decode(good)
    value = bytearray(message.all(OSCORE)[0])
    sealed = bytearray(message.payload)
    for _ in range(1 + noise.below(3)):
        how = noise.below(6)
        if how == 0:
            value = bytearray(noise.bytes(noise.below(14)))
        elif how == 1 and value:
            value[noise.below(len(value))] ^= 1 << noise.below(8)
        elif how == 2:
            sealed = bytearray(noise.bytes(noise.below(40)))
        elif how == 3 and sealed:
            sealed[noise.below(len(sealed))] ^= 1 << noise.below(8)
        elif how == 4:
            sealed = sealed[: noise.below(len(sealed) + 1)]
        else:
            value += noise.bytes(1 + noise.below(3))
    if value == message.all(OSCORE)[0] and sealed == message.payload:
        return None
    options = [(OSCORE, bytes(value))]
    if noise.below(4) == 0:
        options.append((noise.below(40), noise.bytes(noise.below(5))))
    code = (2, 5, 1, 3)[noise.below(4)]
    kind = noise.below(2)
    return encode(
        kind, code, noise.below(65536), noise.bytes(noise.below(9)), options, bytes(sealed)
    )


def fuzz(seed, count):
    """Send damaged requests, check that none is executed; return how many got a response."""
    noise = Noise(seed)
    node, end = target(), End(b"\x02", b"\x01")
    good = [
        end.request(request(PUT, "lock", payload=noise.bytes(noise.below(30)))) for _ in range(9)
    ]
    told = now_ms = 0
    for i in range(count):
        datagram = forge(noise, good[i % len(good)])
        if datagram is not None:
            now_ms = (now_ms + 1 + noise.below(90000)) & 0x3FFFFFFF
            told += answer(node, datagram, now_ms=now_ms) is not None
    assert node.done == [], "a forgery was executed"
    for datagram in good:
        assert len(attempt(node, datagram, now_ms)) == 1, "a forgery has moved the window"
    return told


def main(argv):
    told = fuzz(int(argv[1]), int(argv[2]))
    print("{} of them were told why".format(told))
