"""Faults that must leave the node closed: what was sent before, or what has failed before, opens
nothing to others.
"""

import sys

from coap.blockwise import Blockwise
from coap.extension import process_as
from coap.numbers import CHANGED, CONTENT, CONTINUE, ECHO, GET, POST, PUT, UNAUTHORIZED
from coap.observe import Observe
from coap.oscore import Oscore
from coap.oscore.context import Context
from support import cases, only, raises
from support.engine import ask, decode, encode, request
from support.features import BLOCK1, CONTENT_FORMAT, OBSERVE, Value, block, option, seeded, text
from support.forged_messages import target
from support.oscore_peer import OSCORE, SALT, SECRET, End

HEAP = "2m"
START_MS = 500000


# A response that is too long to be kept, and what comes with the MID of its request


def dedup_entries(node):
    """Have the node remember a request whose OSCORE option lies behind 900 bytes of others."""
    options = [(1, b"12345678")] * 100 + [(OSCORE, b"\x09\x05\x67"), (39, b"coap")]
    first = request(POST, mid=0x1234, token=b"", options=options)
    assert ask(node, first, "peer", START_MS).code == 0xA5
    return first


def test_a_short_request_with_the_mid_of_a_long_one():
    node = target()
    dedup_entries(node)
    second = request(POST, mid=0x1234, token=b"")
    assert len(second) == 4
    try:
        message = ask(node, second, "peer", START_MS + 100)
    except IndexError:
        raise AssertionError("read beyond the datagram")
    assert message is not None, "no response: it was taken for a repeat of the other request"
    assert 0x80 <= message.code < 0xA0


def test_what_lies_behind_the_datagram_is_not_read():
    node = target()
    buf = bytearray(dedup_entries(node))
    buf[: len(request(POST, mid=0x1234, token=b""))] = request(POST, mid=0x1234, token=b"")
    n = node.datagram(buf, 4, "peer", START_MS + 100)
    assert n, "no response: it was taken for a repeat of the other request"
    assert 0x80 <= decode(node.tx_view(n)).code < 0xA0


# The replay window


def out_of_memory(*_arguments):
    raise MemoryError("memory allocation failed")


@cases("read_option", "read_piv", "set_aad_and_nonce", "decrypt", "restore_inner")
def test_a_repeat_that_fails_does_not_open_the_replay_window(name):
    node, end = target(), End(b"\x02", b"\x01")
    node.get("long")(lambda request, reply: text(900))
    change = end.request(request(PUT, "lock", mid=1))
    assert end.inner(ask(node, change, "peer", START_MS)).code == CHANGED
    get = end.request(request(GET, "long", mid=2))
    assert end.inner(ask(node, get, "peer", START_MS + 100)).code == CONTENT
    protector = node.oscore.protector
    assert getattr(protector, name)
    setattr(protector, name, out_of_memory)
    raises(MemoryError, ask, node, get, "peer", START_MS + 200)
    delattr(protector, name)
    old = decode(change)
    for i in range(3):
        replay = encode(old.kind, old.code, 10 + i, old.token, old.options, old.payload)
        assert ask(node, replay, "attacker", START_MS + 300 + i).code == 0x81, "executed again"
    assert len(node.done) == 1


# Keys without a store of the numbers that were used


def test_contexts_without_a_store_must_be_asked_for():
    raises(ValueError, Oscore, [Context(SECRET, b"\x01", b"\x02", SALT)])


# Uploads


@cases((0, 50), (50, None), (None, 50))
def test_blocks_of_different_content_formats_are_not_joined(first, last):
    """RFC 7959 section 2.3."""
    node = seeded(Blockwise())
    node.add("v", Value(b"before"))
    body = text(100)
    for num, more, content_format in ((0, 1, first), (1, 0, last)):
        options = [block(BLOCK1, num, more, 2)]
        if content_format is not None:
            options.append(option(CONTENT_FORMAT, content_format))
        payload = body[64 * num : 64 * num + 64]
        message = ask(node, request(PUT, "v", options=options, payload=payload), "peer", START_MS)
        assert message.code == (CONTINUE if more else 0x88)
    assert node.resource_at("v").value == b"before"


class OutOfMemory:
    """A node whose heap is full, and its view."""

    context = 0
    is_stored = False
    group = True  # a stored multicast request is being processed

    def _handle_request(self, view):
        raise MemoryError


def test_a_stored_request_that_fails_leaves_no_mark_on_the_next_one():
    node = OutOfMemory()
    raises(MemoryError, process_as, node, node, 3, True)
    assert (node.context, node.is_stored, node.group) == (0, False, False)


def test_volatile_contexts_begin_with_an_echo():
    context = Context(SECRET, b"\x01", b"\x02", SALT)
    node = seeded(Oscore([context], volatile=True))
    node.add("v", Value(b"before"))
    end = End(b"\x02", b"\x01")
    challenge = end.read(ask(node, end.request(request(GET, "v"))))
    assert challenge.code == UNAUTHORIZED
    echoed = request(GET, "v", options=[(ECHO, challenge.all(ECHO)[0])])
    assert end.read(ask(node, end.request(echoed))).code == CONTENT


class FailsAt:
    """Raise MemoryError at the n-th call of a function of lib/coap."""

    def __init__(self, n):
        self.left = n

    def __enter__(self):
        sys.setprofile(self._count)

    def __exit__(self, *_):
        sys.setprofile(None)

    def _count(self, frame, event, _):
        if event == "call" and "lib/coap/" in frame.f_code.co_filename:
            self.left -= 1
            if not self.left:
                raise MemoryError


@only("cpython")
@cases(GET, PUT)
def test_a_failure_at_any_call_opens_nothing(method):
    n = 0
    left = 0
    while not left:
        n += 1
        node, end = target(), End(b"\x02", b"\x01")
        datagram = end.request(request(method, "lock", payload=b"1"))
        fails = FailsAt(n)
        try:
            with fails:
                ask(node, datagram, "peer", START_MS)
        except MemoryError:
            pass
        left = max(fails.left, 0)
        view = node.view
        assert (view.context, view.is_stored, view.group) == (0, False, False), n
        # nobody without keys is served, and nothing is executed twice
        assert ask(node, request(PUT, "lock"), "stranger", START_MS).code == UNAUTHORIZED, n
        for _ in range(2):
            ask(node, datagram, "peer", START_MS + 100)
        assert len(node.done) <= 1, n
    assert n > 20


def observing():
    """A node with an observer under OSCORE, and the other end."""
    node, end = packing(), End(b"\x02", b"\x01")
    assert end.inner(ask(node, observe(end, b""), "peer", START_MS)).all(OBSERVE)
    return node, end


def packing():
    node = target()
    node.pack_peer, node.unpack_peer = str.encode, lambda packed: str(packed, "utf-8")
    return node


def observe(end, value):
    return end.request(request(GET, "lock", token=b"o", options=[(OBSERVE, value)]))


def observer_count(node):
    (extension,) = [one for one in node.extensions if isinstance(one, Observe)]
    return extension.count()


@only("cpython")
def test_a_failure_while_observers_are_restored_opens_nothing():
    blob = observing()[0].state()
    n = 0
    left = 0
    while not left:
        n += 1
        node = packing()
        fails = FailsAt(n)
        try:
            with fails:
                node.restore(blob)
        except MemoryError:
            pass
        left = max(fails.left, 0)
        assert node.view.context == 0, n
        assert ask(node, request(PUT, "lock"), "stranger", START_MS).code == UNAUTHORIZED, n
    assert n > 20


def test_a_replayed_registration_or_deregistration_changes_no_observation():
    node, end = observing()
    leave = observe(end, b"\x01")
    ask(node, leave, "peer", START_MS + 100)
    again = observe(end, b"")
    ask(node, again, "peer", START_MS + 200)
    assert observer_count(node) == 1
    assert ask(node, leave, "peer", START_MS + 300) is not None
    assert observer_count(node) == 1
    ask(node, observe(end, b"\x01"), "peer", START_MS + 400)
    assert observer_count(node) == 0
    assert ask(node, again, "peer", START_MS + 500) is not None
    assert observer_count(node) == 0
