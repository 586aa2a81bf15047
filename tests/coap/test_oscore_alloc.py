"""What OSCORE costs: nothing from the heap per message, and so much per context."""

import gc

from coap.access import READ_ONLY, Access
from coap.node import Node
from coap.numbers import GET, PUT
from coap.oscore.context import Context
from coap.presets import default_extensions
from support import allocated, only
from support.engine import request
from support.oscore_peer import SALT, SECRET, End, volatile

HEAP = "2m"
TIMES = 20
CONTEXT_BYTES = 3200  # with words of 64 bits; most of it is what cryptolib's four ciphers take


def secure_node(**settings):
    node = Node(
        *default_extensions(),
        Access(READ_ONLY),
        volatile([Context(SECRET, b"\x01", b"\x02", SALT)]),
        **settings,
    )
    node.seed(b"entropy!")
    answer = b"open"
    node.get("s", observable=True)(lambda request, reply: answer)

    @node.put("s")
    def put(request, reply):
        pass

    return node


def per_datagram(node, datagrams):
    """Bytes for one datagram, once warm."""
    state = [0]

    def once():
        i = state[0]
        state[0] = i + 1
        n = node.datagram(datagrams[i], len(datagrams[i]), "peer", 0)
        assert n > 0
        node.tx_view(n)

    once()
    once()
    return allocated(once, TIMES)


def protected(code, path, **settings):
    end = End(b"\x02", b"\x01")
    return [end.request(request(code, path, **settings)) for _ in range(TIMES + 6)]


@only("micropython")
def test_a_get_allocates_nothing():
    assert per_datagram(secure_node(), protected(GET, "s")) == 0


@only("micropython")
def test_a_put_allocates_nothing():
    assert per_datagram(secure_node(), protected(PUT, "s", payload=bytes(40))) == 0


@only("micropython")
def test_a_registration_and_its_notifications_allocate_nothing():
    node = secure_node()
    datagrams = protected(GET, "s", options=[(6, b"")], token=b"same")
    assert per_datagram(node, datagrams) == 0
    node.messaging.mark_verified("peer")  # its notifications need no ACK
    resource = node.resource_at("s")
    clock = [0]

    def notify():
        resource.changed()
        clock[0] += 1000
        n = node.due(clock[0])
        assert n > 20 and node.tx[0] >> 4 == 5
        while n:
            n = node.due(clock[0])

    notify()
    assert allocated(notify, 10) == 0


@only("micropython")
def test_a_forgery_allocates_nothing():
    node = secure_node()
    datagrams = [bytearray(one) for one in protected(GET, "s")]
    for one in datagrams:
        one[-1] ^= 1
    assert per_datagram(node, datagrams) == 0


@only("micropython")
def test_heap_per_context():
    Context(SECRET, b"\x01", b"\x02")
    gc.collect()
    before = gc.mem_alloc()
    kept = [Context(SECRET, bytes((i,)), b"\x7f") for i in range(4)]
    gc.collect()
    used = (gc.mem_alloc() - before) // len(kept)
    assert 1000 < used < CONTEXT_BYTES, used
