# How cost grows, in one process without sockets: prints "what number requests/s bytes" for numbers
# of resources, observers and options in a request. Runs on MicroPython.
# Arguments: BATCHES [WHAT NUMBER NUMBER ...]
import gc
import sys
import time

from coap import Resource
from coap.presets import node_for_board

SLOTS = {"dedup_entries": 16, "exchanges": 4, "peers": 40, "observers": 32, "blocks": 2}
ROOM = 1152
BATCH = 100  # requests between two looks at the clock
NUMBERS = {
    "resources": (1, 2, 4, 8, 16, 32, 64),
    "observers": (0, 1, 2, 4, 8, 16, 32),
    "options": (1, 2, 4, 8, 16, 32),
}
NOW_MS = 1000
OBSERVE, URI_PATH, URI_QUERY = 6, 11, 15


class Value(Resource):
    observable = True

    def get(self, request, reply):
        return b"21.5"


def request(path, queries=0, token=b"\1\2", observe=False):
    """A confirmable GET. The option numbers rise by less than 13, and no value is longer."""
    out = bytearray((0x40 | len(token), 1, 0, 1)) + token
    before = 0
    options = [(OBSERVE, b"")] if observe else []
    options += [(URI_PATH, part.encode()) for part in path.split("/")]
    options += [(URI_QUERY, f"q={i % 10}".encode()) for i in range(queries)]
    for number, value in options:
        out += bytes(((number - before) << 4 | len(value),)) + value
        before = number
    return out


def serving(resources=4):
    node = node_for_board(SLOTS, ROOM)
    for i in range(resources):
        node.add(f"r/{i}", Value())
    return node


def drain(node):
    """Send what is due; acknowledge it where that is asked for."""
    n = node.due(NOW_MS)
    while n:
        message = node.tx_view(n)
        if not message[0] & 0x30:
            node.datagram(bytes((0x60, 0, message[2], message[3])), 4, node.peer, NOW_MS)
        n = node.due(NOW_MS)


def case(what, number):
    """(node, four requests that are made in turn)."""
    node = serving(number if what == "resources" else 4)
    last = len(node.resources) - 2  # one is /.well-known/core
    if what == "observers":
        for i in range(number):
            data = request("r/0", 0, bytes((i,)), True)
            node.datagram(data, len(data), f"peer {i}", NOW_MS)
        node.resource_at("r/0").changed()
        drain(node)
    queries = number - 1 if what == "options" else 0
    paths = (f"r/{last * i // 3}" for i in range(4))
    if what == "options":
        paths = ("r",) * 4  # the path is one option of them
        node.add("r", Value())
    return node, [request(path, queries) for path in paths]


def batch_us(node, requests):
    """Microseconds that BATCH requests take."""
    datagram = node.datagram
    start_us = time.ticks_us()
    for _ in range(BATCH // 4):
        for data in requests:
            n = datagram(data, len(data), "asker", NOW_MS)
            node.tx_view(n)
    return time.ticks_diff(time.ticks_us(), start_us)


def measure(what, numbers, batches):
    """Print a line for each number: its best batch, for other programs only make it slower."""
    case(what, numbers[0])  # whatever is imported with the first node is no part of it
    cases, heaps = [], []
    for number in numbers:
        gc.collect()
        before = gc.mem_alloc()
        cases.append(case(what, number))
        gc.collect()
        heaps.append(gc.mem_alloc() - before)
        node, requests = cases[-1]
        for data in requests:
            node.datagram(data, len(data), "asker", NOW_MS)
            if node.tx[1] != 0x45:
                raise ValueError(f"{what} {number}: wrong answer")
    best_us = [1 << 29] * len(cases)
    for _ in range(batches):
        for i in range(len(cases)):
            best_us[i] = min(best_us[i], batch_us(*cases[i]))
    for i in range(len(cases)):
        print(what, numbers[i], BATCH * 1000000 // best_us[i], heaps[i])


def main(argv):
    batches = int(argv[0])
    if argv[1:]:
        measure(argv[1], [int(number) for number in argv[2:]], batches)
        return
    for what, numbers in NUMBERS.items():
        measure(what, numbers, batches)


main(sys.argv[1:])
