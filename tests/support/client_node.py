"""A node with a client, and a record of the responses it gets, for tests of the client."""

from coap.client import Client
from coap.numbers import ACK, CON, NON, RST
from support.engine import ask, due, encode
from support.features import option, seeded

OBSERVE, BLOCK2, BLOCK1, MAX_AGE = 6, 23, 27, 14


class Told:
    """Record the calls of the response callback: [(str(response), payload, last)]."""

    def __init__(self):
        self.all = []
        self.more = []
        self.offsets = []
        self.at_once = None  # called with each response

    def __call__(self, response):
        self.all.append((str(response), response.payload_bytes(), response.last))
        self.more.append(response.more)
        self.offsets.append(response.offset)
        if self.at_once:
            self.at_once(response)

    @property
    def only(self):
        assert len(self.all) == 1, self.all
        return self.all[0]


def asking(*features, requests=2, **settings):
    """Return (node, client, told): a node with a client, and the record of its responses."""
    client = Client(requests)
    return seeded(client, *features, **settings), client, Told()


def sent(node, now_ms=0, peer="server"):
    """Return the only message that the node has to send now."""
    messages = due(node, now_ms)
    assert len(messages) == 1 and messages[0][0] == peer, messages
    return messages[0][1]


def piggyback(node, request, code, payload=b"", options=(), now_ms=0, peer="server"):
    """Send a piggybacked response; assert that the node sends nothing in return."""
    data = encode(ACK, code, request.mid, request.token, options, payload)
    assert ask(node, data, peer, now_ms) is None


def acknowledge(node, request, now_ms=0, peer="server"):
    """Send the empty ACK to a request."""
    assert ask(node, encode(ACK, 0, request.mid), peer, now_ms) is None


def reset(node, request, now_ms=0, peer="server"):
    assert ask(node, encode(RST, 0, request.mid), peer, now_ms) is None


def respond(node, request, code, payload=b"", options=(), **where):
    """Send a separate response; return the node's reaction: "ack", "rst" or None."""
    kind, mid = where.pop("kind", CON), where.pop("mid", 900)
    token = where.pop("token", request.token)
    data = encode(kind, code, mid, token, options, payload)
    answer = ask(node, data, where.pop("peer", "server"), where.pop("now_ms", 0))
    assert not where, where
    if answer is None:
        return None
    assert answer.mid == mid and answer.code == 0 and not answer.token, answer
    return {ACK: "ack", RST: "rst"}[answer.kind]


def notify(node, request, number, payload, now_ms=0, mid=None, kind=NON, max_age_s=None):
    """Send a notification; return the node's reaction as respond() does."""
    options = [option(OBSERVE, number)]
    if max_age_s is not None:
        options.append(option(MAX_AGE, max_age_s))
    mid = 2000 + number if mid is None else mid
    return respond(
        node, request, 0x45, payload, options, kind=kind, mid=mid & 0xFFFF, now_ms=now_ms
    )
