"""The state blob: what must not begin anew after a deep sleep or a reset."""

from coap.block import Block
from coap.echo import Echo
from coap.limit import Limit
from coap.link import WellKnownCore
from coap.multicast import Multicast
from coap.node import Node
from coap.observe import Observe
from coap.problem import ProblemDetails
from coap.silence import NoResponse
from engine import ask, request
from features import OBSERVE, Value, notice, register, seeded, verify
from support import cases


def serving():
    node = seeded(WellKnownCore(), Observe(), Block())
    return node, node.add("v", Value())


def newer(number, than):
    """RFC 7641 section 3.4."""
    return (than < number and number - than < 1 << 23) or (
        than > number and than - number > 1 << 23
    )


@cases(0, 5, 255, 256, 0xFFFF, 0x7FFFFF, 0xFFFF00, 0xFFFFFF)
def test_numbers_go_on_across_a_restart(start):
    node, value = serving()
    observe = node.features[1]
    observe.number = start
    verify(node)
    last = register(node).uint(OBSERVE)
    blob = node.state()
    for i in range(200):
        # told after the state was saved, and before the power went
        message = notice(node, value, b"%d" % i, kind=None)
        assert newer(message.uint(OBSERVE), last)
        last = message.uint(OBSERVE)
        if message.kind == 0:
            ask(node, b"\x60\0" + bytes((message.mid >> 8, message.mid & 255)))
    again, value = serving()
    assert again.restore(blob)
    verify(again)
    number = register(again).uint(OBSERVE)
    assert newer(number, last)
    assert newer(notice(again, value, b"x").uint(OBSERVE), number)


@cases(0, 1, 0x1234, 0xFFFF)
def test_mids_go_on(mid):
    node, _ = serving()
    node.exchange.mid = mid
    blob = node.state()
    again, _ = serving()
    again.exchange.mid = 7
    # those that were used after the state was saved must not come again
    assert again.restore(blob) and again.exchange.mid == (mid + 256) & 0xFFFF


def test_a_blob_that_is_not_ours_changes_nothing():
    node, _ = serving()
    node.exchange.mid = 77
    node.features[1].number = 99
    blob = node.state()
    for bad in (
        b"",
        blob[:1],
        blob[:2],
        blob[:-1],
        blob + b"\0",
        blob + b"\0\0",
        bytes((blob[0] + 1,)) + blob[1:],
        bytes(len(blob)),
        b"\xff" * len(blob),
    ):
        assert not node.restore(bad), bad
        assert (node.exchange.mid, node.features[1].number) == (77, 99)
    assert not Node(Observe()).restore(blob)
    assert node.restore(blob)


def test_every_feature_takes_its_own_part():
    def make():
        return seeded(
            Limit(),
            WellKnownCore(),
            Observe(),
            Block(),
            Multicast(),
            Echo(),
            ProblemDetails(),
            NoResponse(),
        )

    node = make()
    node.features[2].number = 1000
    again = make()
    assert again.restore(node.state())
    assert again.features[2].number >= 1000
    assert ask(again, request(1, ".well-known/core")).code == 0x45


def test_the_blob_is_small():
    assert len(serving()[0].state()) < 32
