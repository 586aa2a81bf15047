"""Runs on MicroPython for oscore.py: prints a JSON object."""

import gc
import json
import socket
import time

from cryptolib import aes

from coap.access import READ_ONLY, Access
from coap.node import Node
from coap.numbers import GET
from coap.oscore import Oscore
from coap.oscore.context import Context
from coap.presets import default_extensions
from coap.transports.udp import Udp
from support import allocated
from support.engine import request
from support.oscore_peer import SALT, SECRET, End

HOST = "127.0.0.1"
FIRST_PORT = 45683
ROUNDS = 144
EACH = 25


def make(*extensions):
    """Return a node with one resource."""
    node = Node(*default_extensions(), *extensions)
    payload = b"open"
    node.get("s/door", content_format=0)(lambda request, reply: payload)
    return node


class Client:
    """The other end of a node's socket: only the node's own time is counted."""

    def __init__(self, node):
        self.udp = None
        port = FIRST_PORT
        while self.udp is None:
            try:
                self.udp = Udp(node, HOST, port)
            except OSError:
                port += 1
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.connect(socket.getaddrinfo(HOST, port)[0][-1])

    def measure_us(self, datagrams):
        """Return the microseconds that the node takes for these requests."""
        spent = 0
        for datagram in datagrams:
            self.sock.send(datagram)
            start = time.ticks_us()
            self.udp.step(0)
            spent += time.ticks_diff(time.ticks_us(), start)
            assert len(self.sock.recv(100)) > 8
        return spent


def bytes_each(node, datagrams):
    """Return the bytes of heap that a request allocates."""
    at = [0]

    def once():  # in two functions, so that both frames fit the stack
        at[0] += 1
        node.tx_view(take(datagrams[at[0]]))

    def take(datagram):
        return node.datagram(datagram, len(datagram), "peer", 0)

    once()
    return allocated(once, 50) // 50


def heap(make):
    """Call make(); return (bytes of heap that its result takes, the result)."""
    gc.collect()
    before = gc.mem_alloc()
    kept = make()
    gc.collect()
    return gc.mem_alloc() - before, kept


def main():
    """Print the JSON object."""
    end = End(b"\x02", b"\x01")
    plain = [request(GET, "s/door") for _ in range(ROUNDS * EACH)]
    protected = [end.request(request(GET, "s/door")) for _ in range(ROUNDS * EACH)]
    Context(SECRET, b"\x01", b"\x02", SALT)
    context_bytes, context = heap(lambda: Context(SECRET, b"\x01", b"\x02", SALT))
    cipher_bytes, _ = heap(lambda: [aes(bytes(16), 1 + i % 2, bytes(16)) for i in range(4)])
    without = make(Access(READ_ONLY))
    without_bytes, without = heap(lambda: make(Access(READ_ONLY)))
    with_bytes, node = heap(lambda: make(Access(READ_ONLY), Oscore([context], volatile=True)))
    context.window.valid = True  # as after an Echo
    client = Client(node)
    spent = [1 << 29, 1 << 29]  # in the fastest round: other programs only ever add to it
    for i in range(ROUNDS):
        for which, datagrams in ((0, plain), (1, protected)):
            gc.collect()
            spent[which] = min(
                spent[which], client.measure_us(datagrams[i * EACH : (i + 1) * EACH])
            )
    context = Context(SECRET, b"\x01", b"\x02", SALT)
    fresh = make(Access(READ_ONLY), Oscore([context], volatile=True))
    context.window.valid = True
    found = {
        "plain_rps": EACH * 1000000 // spent[0],
        "protected_rps": EACH * 1000000 // spent[1],
        "plain_bytes": bytes_each(fresh, plain),
        "protected_bytes": bytes_each(fresh, protected),
        "context_bytes": context_bytes,
        "cipher_bytes": cipher_bytes,
        "extension_bytes": with_bytes - without_bytes,
    }
    print(json.dumps(found))


main()
