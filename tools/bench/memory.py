# Bytes of heap that one operation of a warm node asks for: by the engine, by an application's
# handler, by the socket. Prints "bytes who what". Runs on MicroPython, see memory_table.py.
import socket

from mote_node import serving

from coap.numbers import ACK, CON, GET, NON, PUT
from support import allocated
from support.engine import encode, request, uint

WARM, TIMES = 60, 20
NOW_MS = 1000
RECV_MAX = 1153
ACCEPT, OBSERVE, BLOCK2, JSON, SENML_CBOR = 17, 6, 23, 50, 112
LENGTHS = (8, 16, 64, 512, 1152)  # of datagrams


class Turn:
    """Hands a datagram to the node, each time with another MID, and sends what is due."""

    def __init__(self, node, datagram, fresh=True):
        self.node = node
        self.data = bytearray(datagram)
        self.step = 1 if fresh else 0
        self.ack = bytearray(encode(ACK, 0, 0))

    def once(self):
        data = self.data
        data[3] = data[3] + self.step & 255
        n = self.node.datagram(data, len(data), "peer", NOW_MS)
        if n:
            self.node.tx_view(n)
        self.drain()

    def drain(self):
        n = self.node.due(NOW_MS)
        while n:
            self.settle(self.node.tx_view(n))
            n = self.node.due(NOW_MS)

    def settle(self, message):
        if not message[0] & 0x30:
            self.ack[2] = message[2]
            self.ack[3] = message[3]
            self.node.datagram(self.ack, 4, "peer", NOW_MS)


class Change(Turn):
    """Lets an observed resource change, and sends the notification."""

    def once(self):
        self.node.resource_at("s/contact").changed()
        self.drain()


def operations(node):
    """(who runs, what, function) of everything that is measured."""
    contact = request(GET, "s/contact")
    yield "engine", "GET one value", Turn(node, contact).once
    json = [(ACCEPT, uint(JSON))]
    yield "engine", "GET as JSON", Turn(node, request(GET, "s/contact", options=json)).once
    cbor = [(ACCEPT, uint(SENML_CBOR))]
    yield "engine", "GET as SenML-CBOR", Turn(node, request(GET, "s/contact", options=cbor)).once
    yield "engine", "GET, NON", Turn(node, request(GET, "s/contact", NON)).once
    yield "engine", "GET, 4.04", Turn(node, request(GET, "no/such")).once
    bad = [(65, b"")]
    yield "engine", "GET, 4.02", Turn(node, request(GET, "s/contact", options=bad)).once
    yield "engine", "PUT, 4.05", Turn(node, request(PUT, "s/contact", payload=b"1")).once
    config = request(PUT, "config", options=[(12, uint(JSON))], payload=b'{"heartbeat_s": 60}')
    yield "engine", "duplicate CON PUT", Turn(node, config, False).once
    yield "engine", "discovery", Turn(node, request(GET, ".well-known/core")).once
    for number in (0, 3):
        block = [(BLOCK2, uint(number << 4 | 6))]
        turn = Turn(node, request(GET, "bench/body", options=block))
        yield "engine", f"GET, block {number} of 4", turn.once
    yield "engine", "ping", Turn(node, encode(CON, 0, 1)).once
    Turn(node, request(GET, "s/contact", options=[(OBSERVE, b"")])).once()
    yield "engine", "notification", Change(node, contact).once
    yield "application", "PUT configuration", Turn(node, config).once


def of_socket(length):
    """A function that receives a datagram of so many bytes, which is there already."""
    here = socket.getaddrinfo("127.0.0.1", 0, 0, socket.SOCK_DGRAM)[0][-1]
    peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    port = 49152
    while True:
        try:
            here = socket.getaddrinfo("127.0.0.1", port, 0, socket.SOCK_DGRAM)[0][-1]
            own.bind(here)
            break
        except OSError:
            port += 1
    data = bytes(length)
    for _ in range(TIMES + 1):
        peer.sendto(data, here)
    return own.recvfrom


def main():
    node = serving()
    node.seed(b"\1\2\3\4\5\6\7\1")
    for who, what, once in operations(node):
        for _ in range(WARM):
            once()
        print(allocated(once, TIMES) // TIMES, who, what)
    for length in LENGTHS:
        receive = of_socket(length)
        taken = allocated(lambda: receive(RECV_MAX), TIMES) // TIMES  # noqa: B023
        print(taken, "socket", f"recvfrom() of {length} bytes")


if __name__ == "__main__":
    main()
