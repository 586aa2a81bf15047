"""Runs on MicroPython for oscore.py: prints a JSON object."""

import gc
import time

from cryptolib import aes

from coap.access import READ_ONLY, Access
from coap.context import Context
from coap.defaults import usual
from coap.node import Node
from coap.numbers import GET
from coap.oscore import Oscore
from engine import request
from secured import SALT, SECRET, End
from support import allocated

ROUNDS = 12
EACH = 300


def make(*features):
    node = Node(*usual(), *features)
    answer = b"open"
    node.get("s/door", content_format=0)(lambda request, reply: answer)
    return node


def serve(node, datagrams, first, count):
    """Microseconds that so many requests took."""
    start = time.ticks_us()
    for i in range(first, first + count):
        node.out(node.datagram(datagrams[i], len(datagrams[i]), "peer", i))
    return time.ticks_diff(time.ticks_us(), start)


def bytes_each(node, datagrams):
    state = [0]

    def once():
        i = state[0]
        state[0] = i + 1
        node.out(node.datagram(datagrams[i], len(datagrams[i]), "peer", 0))

    once()
    return allocated(once, 50) // 50


def heap(make):
    gc.collect()
    before = gc.mem_alloc()
    kept = make()
    gc.collect()
    return gc.mem_alloc() - before, kept


def main():
    end = End(b"\x02", b"\x01")
    plain = [request(GET, "s/door") for _ in range(ROUNDS * EACH)]
    secured = [end.request(request(GET, "s/door")) for _ in range(ROUNDS * EACH)]
    Context(SECRET, b"\x01", b"\x02", SALT)
    context_bytes, context = heap(lambda: Context(SECRET, b"\x01", b"\x02", SALT))
    cipher_bytes, _ = heap(lambda: [aes(bytes(16), 1 + i % 2, bytes(16)) for i in range(4)])
    without = make(Access(READ_ONLY))
    without_bytes, without = heap(lambda: make(Access(READ_ONLY)))
    with_bytes, node = heap(lambda: make(Access(READ_ONLY), Oscore([context])))
    spent = [0, 0]
    for i in range(ROUNDS):
        gc.collect()
        spent[0] += serve(node, plain, i * EACH, EACH)
        gc.collect()
        spent[1] += serve(node, secured, i * EACH, EACH)
    fresh = make(Access(READ_ONLY), Oscore([Context(SECRET, b"\x01", b"\x02", SALT)]))
    found = (
        ("plain_rps", ROUNDS * EACH * 1000000 // spent[0]),
        ("secured_rps", ROUNDS * EACH * 1000000 // spent[1]),
        ("plain_bytes", bytes_each(fresh, plain)),
        ("secured_bytes", bytes_each(fresh, secured)),
        ("context_bytes", context_bytes),
        ("cipher_bytes", cipher_bytes),
        ("feature_bytes", with_bytes - without_bytes),
    )
    print("{" + ", ".join(['"%s": %d' % one for one in found]) + "}")


main()
