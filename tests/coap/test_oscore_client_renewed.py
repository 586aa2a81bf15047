"""OSCORE, the client's side: what a renewed observation takes, and kept numbers (RFC 8613)."""

from coap.node import Node
from coap.numbers import ACK, CHANGED, CON, CONTENT, GET, NON
from coap.oscore.context import Context
from coap.presets import default_extensions
from support import cases
from support.client_node import Told
from support.engine import due, encode, uint
from support.oscore_peer import OBSERVE, OSCORE, SALT, SECRET, End, seal, volatile

HEAP = "2m"
MINUTE_MS = 60000


def client_node(flash=None, id_context=None):
    context = Context(SECRET, b"\x02", b"\x01", SALT, id_context)
    node = Node(*default_extensions(requests=3), volatile([context], flash), nstart=2)
    node.seed(b"client-entropy")
    node.oscore.bind("server", context)
    return node


class Server:
    """A server with given Partial IVs; None uses the nonce of the request."""

    def __init__(self, id_context=None):
        self.end = End(b"\x01", b"\x02", id_context=id_context)
        self.mid = 0x4000

    def piv_of(self, message):
        """Return the Partial IV of a protected request."""
        (value,) = message.all(OSCORE)
        return value[1 : 1 + (value[0] & 7)]

    def answer(self, asked, payload, piv=None, observe=True, kind=NON, code=CONTENT):
        """Return the response to the request `asked`, as bytes."""
        inner = [(OBSERVE, b"")] if observe else []
        text = bytes((code,)) + encode(0, 0, 0, b"", inner, payload)[4:]
        return self.protect(asked, text, piv, [(OBSERVE, b"\1")] if observe else [], kind)

    def protect(self, asked, text, piv, outer=(), kind=NON):
        """Return the response whose plaintext is `text`."""
        end, own = self.end, b""
        once = end.nonce(end.other, self.piv_of(asked))
        if piv is not None:
            own = uint(piv) or b"\0"
            once = end.nonce(end.own, own)
            own = bytes((len(own),)) + own
        sealed = seal(end.own_key, once, end.aad(end.other, self.piv_of(asked)), text)
        self.mid += 1
        mid = asked.mid if kind == ACK else self.mid
        code = 0x45 if outer else 0x44
        return encode(kind, code, mid, asked.token, [(OSCORE, own)] + list(outer), sealed)


def other_mid(data, mid):
    """Return the message with another MID, so that the message layer does not reject it."""
    return bytes((data[0] & 0xCF | 0x10, data[1], mid >> 8, mid & 0xFF)) + data[4:]


class Observing:
    """A client that observes, and the responses that it received."""

    def __init__(self):
        self.node, self.server, self.told = client_node(), Server(), Told()
        self.call = self.node.client.observe("server", "s", self.told)
        self.now_ms = 0
        self.asked = self.sent()

    def sent(self):
        ((_, message),) = due(self.node, self.now_ms)
        return message

    def renewed(self):
        """Nothing comes for longer than Max-Age: the new registration."""
        self.now_ms += 2 * MINUTE_MS
        before, self.asked = self.asked, self.sent()
        assert self.asked.token == before.token
        assert self.server.piv_of(self.asked) != self.server.piv_of(before)
        return self.asked

    def give(self, data):
        """Receive a message; return the payloads that the callback gets."""
        before = len(self.told.all)
        self.now_ms += 10
        self.node.datagram(data, len(data), "server", self.now_ms)
        return [payload for _, payload, _ in self.told.all[before:]]

    def hear(self, payload, **settings):
        """Receive a response; return it as bytes, and whether the callback got it."""
        data = self.server.answer(self.asked, payload, **settings)
        told = self.give(data)
        assert told in ([], [payload])
        return data, bool(told)


def is_told(found):
    return found[1]


def test_the_first_response_to_each_registration_may_use_its_nonce():
    """aiocoap sends a Partial IV in notifications but not in the first response."""
    one = Observing()
    piv = 7
    for i in range(4):
        assert is_told(one.hear(b"first", kind=ACK)), i
        for _ in range(3):
            piv += 1
            assert is_told(one.hear(b"then", piv=piv)), (i, piv)
        one.renewed()
    assert one.call.observing and len(one.told.all) == 16
    assert not any(last for _, _, last in one.told.all)


def test_the_nonce_of_a_registration_is_accepted_once():
    one = Observing()
    first, told = one.hear(b"first", kind=ACK)
    assert told
    for mid in (1, 2):
        assert one.give(other_mid(first, mid)) == []
    # a newer notification does not make the first response valid again
    assert is_told(one.hear(b"then", piv=3))
    assert one.give(other_mid(first, 3)) == []
    one.renewed()
    # nor does a registration that it does not belong to
    assert one.give(other_mid(first, 4)) == []
    second, told = one.hear(b"second", kind=ACK)
    assert told
    for i, data in enumerate((first, second)):
        assert one.give(other_mid(data, 5 + i)) == []
    assert is_told(one.hear(b"last", piv=4))


def test_a_retransmitted_registration_lends_its_nonce_once():
    one = Observing()
    again = one.now_ms = 5000
    message = one.sent()
    assert message.mid == one.asked.mid and one.server.piv_of(message) == b"\0", again
    first, told = one.hear(b"first", kind=ACK)
    assert told and one.give(other_mid(first, 1)) == []


@cases(None, 2, 3)
def test_a_response_older_than_the_first_notification_is_dropped(piv):
    """It was overtaken: that of the registration is older than any number of the same."""
    one = Observing()
    late = one.server.answer(one.asked, b"late", piv)
    assert is_told(one.hear(b"new", piv=3))
    assert one.give(late) == []


def test_numbers_go_on_from_one_registration_to_the_next():
    one = Observing()
    assert is_told(one.hear(b"first", kind=ACK)) and is_told(one.hear(b"then", piv=3))
    one.renewed()
    assert not is_told(one.hear(b"old", piv=3))
    assert is_told(one.hear(b"new", piv=4))


def test_an_end_of_the_observation_has_the_nonce_once():
    one = Observing()
    first, _ = one.hear(b"first", kind=ACK)
    # a server can not say so with a nonce that was taken
    assert not is_told(one.hear(b"no more", observe=False))
    assert one.call.observing
    one.renewed()
    assert is_told(one.hear(b"no more", observe=False, kind=ACK))
    assert one.told.all[-1] == ("2.05", b"no more", True) and one.node.client.active_count == 0


# What was asked openly of Observe, and inside


def test_observe_in_the_response_to_another_request_is_dropped():
    """RFC 8613 section 4.1.3.5.2: it is neither a notification nor a response."""
    node, server, told = client_node(), Server(), Told()
    node.client.get("server", "s", told)
    ((_, asked),) = due(node, 0)
    for piv in (None, 1):
        data = server.answer(asked, b"odd", piv)
        node.datagram(data, len(data), "server", 10)
        assert told.all == [] and node.client.active_count == 1
    data = server.answer(asked, b"even", observe=False)
    node.datagram(data, len(data), "server", 20)
    assert told.only == ("2.05", b"even", True)


@cases(GET, 0, 0x1F)
def test_an_inner_code_that_is_no_response_is_ignored(code):
    node, server, told = client_node(), Server(), Told()
    node.client.get("server", "s", told)
    ((_, asked),) = due(node, 0)
    for kind in (ACK, CON, NON):
        data = server.answer(asked, b"odd", 5, observe=False, kind=kind, code=code)
        node.datagram(data, len(data), "server", 10)
        assert told.all == [] and node.client.active_count == 1
    data = server.answer(asked, b"", 6, observe=False, code=CHANGED)
    node.datagram(data, len(data), "server", 20)
    assert told.only == ("2.04", b"", True)


@cases(b"\xf0", b"\x0f", b"\x12a", b"\xff")
def test_a_malformed_plaintext_is_ignored(options):
    node, server, told = client_node(), Server(), Told()
    node.client.get("server", "s", told)
    ((_, asked),) = due(node, 0)
    data = server.protect(asked, bytes((CONTENT,)) + options, 5)
    node.datagram(data, len(data), "server", 10)
    assert told.all == [] and node.client.active_count == 1
    data = server.protect(asked, bytes((CONTENT,)) + b"\xff1", 6)
    node.datagram(data, len(data), "server", 20)
    assert told.only == ("2.05", b"1", True)


# Sequence numbers and windows that were kept exactly


class Kept:
    """Flash that is there, or that can not be written."""

    content = None
    full = False

    def load(self):
        return self.content

    def save(self, content):
        if self.full:
            raise OSError(28)
        self.content = bytes(content)


def test_a_response_invalidates_the_snapshot():
    """Else it could be taken again after a restart from the same state."""
    flash = Kept()
    node, server, told = client_node(flash), Server(), Told()
    node.client.get("server", "s", told)
    ((_, asked),) = due(node, 0)
    node.oscore.retain()
    before = flash.content
    data = server.answer(asked, b"open", 1, observe=False)
    flash.full = True
    node.datagram(data, len(data), "server", 10)
    assert told.all == [] and node.oscore.sequence_store.snapshot_valid, (
        "what can not be made void is not taken"
    )
    flash.full = False
    data = server.answer(asked, b"open", 1, observe=False)
    node.datagram(data, len(data), "server", 20)
    assert told.only == ("2.05", b"open", True)
    assert (
        not node.oscore.sequence_store.snapshot_valid
        and flash.content != before
        and not node.oscore.state()
    )


def test_a_forged_response_leaves_the_snapshot():
    node, server, told = client_node(Kept()), Server(), Told()
    node.client.get("server", "s", told)
    ((_, asked),) = due(node, 0)
    node.oscore.retain()
    kept = node.oscore.state()
    data = server.answer(asked, b"open", 1, observe=False)
    forged = data[:-1] + bytes((data[-1] ^ 1,))
    node.datagram(forged, len(forged), "server", 10)
    assert told.all == [] and kept and node.oscore.state() == kept


@cases(b"", b"abc")
def test_the_id_context_of_a_request(id_context):
    """One of no bytes is one: its length is there (RFC 8613 section 6.1)."""
    node, told = client_node(id_context=id_context), Told()
    server = Server(id_context)
    node.client.get("server", "s", told)
    ((_, asked),) = due(node, 0)
    named = bytes((len(id_context),)) + id_context
    assert asked.all(OSCORE) == [b"\x19\0" + named + b"\2"]
    data = server.answer(asked, b"open", observe=False, kind=ACK)
    node.datagram(data, len(data), "server", 10)
    assert told.only == ("2.05", b"open", True)
