"""Options, nodes and resources that the tests of the extensions share."""

from coap import Resource
from coap.node import Node
from coap.numbers import ACK, CON, GET, NON, RST
from support.engine import ask, due, encode, request, uint

OBSERVE, ETAG, CONTENT_FORMAT, MAX_AGE, QUERY, ACCEPT = 6, 4, 12, 14, 15, 17
BLOCK2, BLOCK1, SIZE2, SIZE1 = 23, 27, 28, 60
ECHO, NO_RESPONSE, REQUEST_TAG = 252, 258, 292


class Value(Resource):
    """A resource whose GET returns `value`."""

    observable = True

    def __init__(self, value=b"0", **attributes):
        super().__init__()
        self.value = value
        self.asked = 0
        for name, attribute in attributes.items():
            setattr(self, name, attribute)

    def get(self, request, reply):
        self.asked += 1
        return self.value

    def put(self, request, reply):
        self.become(request.payload_bytes())

    def delete(self, request, reply):
        self.exists = False
        self.changed()

    def become(self, value):
        self.value = value
        self.changed()


def seeded(*features, **settings):
    """Return a node with these extensions and seeded MIDs."""
    node = Node(*features, **settings)
    node.seed(b"\1\2\3\4")
    return node


def option(number, value):
    """Return (number, bytes) of a uint option."""
    return number, uint(value)


def block(number, num, more=0, szx=2):
    """Return (number, bytes) of a Block1 (27) or Block2 (23) option."""
    return number, uint(num << 4 | more << 3 | szx)


def register(node, path="v", token=b"\1", peer="peer", now_ms=0, value=0, kind=CON, options=()):
    """Return the response to a GET with Observe 0."""
    options = [option(OBSERVE, value)] + list(options)
    return ask(node, request(GET, path, kind, None, token, options), peer, now_ms)


def plain(node, path="v", token=b"\1", peer="peer", now_ms=0, options=()):
    """Return the response to a GET without Observe."""
    return ask(node, request(GET, path, CON, None, token, options), peer, now_ms)


def acknowledge(node, message, peer="peer", now_ms=0):
    """Send an empty ACK for the node's message; return what the node sends next."""
    assert ask(node, encode(ACK, 0, message.mid), peer, now_ms) is None
    return due(node, now_ms)


def reject(node, message, peer="peer", now_ms=0):
    """Send an RST for the node's message; return what the node sends next."""
    assert ask(node, encode(RST, 0, message.mid), peer, now_ms) is None
    return due(node, now_ms)


def verify(node, peer="peer", now_ms=0):
    """Make the peer a verified one: let it acknowledge a message."""
    node.view.now_ms = now_ms
    node.messaging.mark_verified(peer)
    assert node.messaging.is_verified(peer)


def one(sent, kind=None, peer="peer"):
    """Return the only message in [(peer, message)], None when there is none."""
    assert len(sent) <= 1, sent
    if not sent:
        return None
    assert sent[0][0] == peer, sent
    assert kind is None or sent[0][1].kind == kind, sent
    return sent[0][1]


def notice(node, resource, value, now_ms=0, kind=NON, peer="peer"):
    """Change the resource; return its one notification."""
    resource.become(value)
    message = one(due(node, now_ms), kind, peer)
    assert message is not None
    return message


def text(length, start=0):
    """Return n bytes in which no 16 consecutive bytes occur twice."""
    out = b""
    while len(out) < length:
        start += 1
        out += b"%07d " % start
    return out[:length]
