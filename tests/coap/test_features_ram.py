"""What a feature takes of a board's heap while a node with it does nothing.

The limits are bytes on a machine of 64 bits, a tenth above what was measured, with the settings
that features have by default. A board of 32 bits needs between half of that and nearly all.
"""

import gc
import sys

from coap.node import Node
from coap.presets import node_for_board
from support import cases, only

NODE = 8300
# module, class, bytes beside the node's own
FEATURES = (
    ("link_format", "WellKnownCore", 800),
    ("observe", "Observe", 2300),
    ("blockwise", "Blockwise", 950),
    ("multicast", "Multicast", 930),
    ("rate_limit", "RateLimit", 480),
    ("echo", "Echo", 190),
    ("no_response", "NoResponse", 130),
    ("problem_details", "ProblemDetails", 130),
    ("conditional_observe", "ConditionalObserve", 300),
    ("client", "Client", 3240),
)
SLOTS = (
    ("observe", "Observe", 8, 182),
    ("multicast", "Multicast", 4, 130),
    ("blockwise", "Blockwise", 2, 60),
)


def loaded(module, name):
    return getattr(__import__("coap." + module, None, None, (name,)), name)


def taken(make):
    """Bytes of heap that live on in what make() gives; the least of a few: a pointer that is left
    on the stack keeps alive what is none of it.
    """
    least = sys.maxsize
    for _ in range(4):
        gc.collect()
        before = gc.mem_alloc()
        made = make()
        gc.collect()
        least = min(least, gc.mem_alloc() - before)
        del made
    return least


@only("micropython")
def test_a_node():
    assert 0 < taken(Node) <= NODE


@cases(*FEATURES)
@only("micropython")
def test_a_feature(module, name, most):
    feature = loaded(module, name)
    more = taken(lambda: Node(feature())) - taken(Node)
    assert 0 < more <= most, more


@cases(*SLOTS)
@only("micropython")
def test_a_slot(module, name, slots, most):
    feature = loaded(module, name)
    more = taken(lambda: Node(feature(2 * slots))) - taken(lambda: Node(feature(slots)))
    assert 0 < more <= most * slots, more // slots


@only("micropython")
def test_a_slot_that_blocks_have_come_to():
    block = loaded("blockwise", "Blockwise")

    def used(slots):
        node = Node(block(slots))
        transfers = node.extensions[0].transfers
        for i in range(slots):
            node.view.peer = i
            transfers.begin(transfers.room(node.view), node.view, i)
        return node

    assert 2048 * 2 < taken(lambda: used(4)) - taken(lambda: used(2)) <= 2200 * 2


@cases(
    *[
        (rate, group, requests)
        for rate in (0, 20)
        for group in (False, True)
        for requests in (0, 2)
    ]
)
@only("micropython")
def test_the_attributes_of_a_node_have_room(rate, group, requests):
    # A look-up in a table that is nearly full, that of a method above all, searches most of it: up
    # to a fifth more instructions a request. An attribute more or less helps.
    slots = {"dedup_entries": 8, "exchanges": 2, "peers": 8, "observers": 4, "blocks": 2}
    if requests:
        slots["requests"] = requests
    node = node_for_board(slots, 1152, rate, group)
    used = len(node.__dict__)
    size = [size for size in (23, 29, 37, 47, 59) if size >= used][0]
    assert used * 100 <= size * 88, used
