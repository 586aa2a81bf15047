"""Whose blocks are whose: not even requests with one key, which anybody can find, are mixed."""

import coap.block_transfers
from coap.access import OPEN, READ_ONLY, SECURED, Access
from coap.node import Node
from coap.numbers import CHANGED, CONTINUE, GET, POST, PUT, REQUEST_ENTITY_INCOMPLETE
from coap.oscore.context import Context
from coap.presets import default_extensions
from support import cases
from support.engine import ask, request
from support.features import BLOCK1, BLOCK2, block
from support.oscore_peer import SALT, SECRET, End, volatile

LONG = b"for friends only" * 100


class Colliding:
    """A node of which all keys of transfers are the same one: digests that anybody can find."""

    def __enter__(self):
        self.digest = coap.block_transfers.hash_option
        coap.block_transfers.hash_option = lambda *_: 7
        ids = (b"\x01", b"\x02"), (b"\x04", b"\x03")
        contexts = [Context(SECRET, own, other, SALT) for own, other in ids]
        node = Node(*default_extensions(), Access(READ_ONLY), volatile(contexts))
        node.seed(b"12345678")
        node.seen = []
        for path in ("config", "wifi"):

            def put(request, reply, path=path):
                node.seen.append((path, request.payload_bytes()))

            node.put(path)(put)
            node.post(path)(lambda request, reply: LONG)
            node.get(path)(lambda request, reply: b"x" * 3000)
        node.resource_at("config").access = SECURED
        node.resource_at("wifi").access = OPEN
        return node

    def __exit__(self, *_):
        coap.block_transfers.hash_option = self.digest


def put(path, number, payload, more=True):
    return request(PUT, path, payload=payload, options=[block(BLOCK1, number, more, 0)])


def ends(node):
    """The ways to come to a node: one context, the other, none."""

    def way(end):
        return lambda data: end.read(ask(node, end.request(data), peer="p"))

    plain = lambda data: ask(node, data, peer="p")  # noqa: E731
    return way(End(b"\x02", b"\x01")), way(End(b"\x03", b"\x04")), plain


@cases((0, 2, "wifi"), (0, 1, "config"), (0, 0, "wifi"), (2, 0, "wifi"), (2, 2, "config"))
def test_a_block_is_added_to_its_own_transfer_alone(owner, other, path):
    with Colliding() as node:
        ways = ends(node)
        mine = "config" if owner < 2 else "wifi"
        assert ways[owner](put(mine, 0, b"a" * 16)).code == CONTINUE
        answer = ways[other](put(path, 1, b"x" * 4, False))
        assert answer.code in (REQUEST_ENTITY_INCOMPLETE, 0x81) and node.seen == []
        assert ways[owner](put(mine, 1, b"b" * 4, False)).code == CHANGED
        assert node.seen == [(mine, b"a" * 16 + b"b" * 4)]


@cases((0, 2, "wifi"), (0, 1, "config"), (0, 0, "wifi"), (0, 2, "config"))
def test_an_answer_that_is_kept_is_its_askers_alone(owner, other, path):
    with Colliding() as node:
        ways = ends(node)
        first = ways[owner](request(POST, "config"))
        assert first.payload == LONG[:1024] and first.uint(BLOCK2) == 0x0E
        for code in (GET, POST):
            answer = ways[other](request(code, path, options=[block(BLOCK2, 1, False, 6)]))
            assert b"friends" not in answer.payload
        rest = ways[owner](request(POST, "config", options=[block(BLOCK2, 1, False, 6)]))
        assert rest.payload == LONG[1024:]
