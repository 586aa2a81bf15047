"""What the tests of the plugtest's resources share: a node with them, and requests to it."""

from apps import plugtest
from coap.numbers import (
    ACK,
    BLOCK1,
    BLOCK2,
    CON,
    CONTENT_FORMAT,
    GET,
    OBSERVE,
    PUT,
    TEXT,
    URI_QUERY,
)
from support.engine import answer, ask, due, encode, get, request, uint


def plugnode(now_ms=0):
    """A node with the resources, its timers started."""
    node = plugtest.make_node()
    plugtest.setup(node)
    node.seed(b"12345678")
    assert due(node, now_ms) == []
    return node


def code(message):
    return "{}.{:02}".format(message.code >> 5, message.code & 31)


def send(node, method, path, payload=b"", content_format=None, *options, now_ms=0, peer="peer"):
    """The answer to a request."""
    options = list(options)
    if content_format is not None:
        options.append((CONTENT_FORMAT, uint(content_format)))
    return ask(node, request(method, path, options=options, payload=payload), peer, now_ms)


def put(node, path, payload, content_format=TEXT, *options, now_ms=0, peer="peer"):
    return send(node, PUT, path, payload, content_format, *options, now_ms=now_ms, peer=peer)


def block(number, more, szx):
    return uint(number << 4 | more << 3 | szx)


def download(node, path, szx=6):
    """The whole payload, and how many blocks it came in."""
    payload = b""
    number = 0
    while True:
        message = get(node, path, (BLOCK2, block(number, 0, szx)))
        assert code(message) == "2.05", message
        payload += message.payload
        number += 1
        if not (message.uint(BLOCK2) or 0) & 8:
            return payload, number


def upload(node, method, path, body, szx=4):
    """The answer to the last block."""
    size = 16 << szx
    for at in range(0, len(body), size):
        more = at + size < len(body)
        option = (BLOCK1, block(at // size, more, szx))
        message = send(node, method, path, body[at : at + size], TEXT, option)
        assert not more or code(message) == "2.31", message
    return message


def observe(node, path, token=b"ob", peer="watcher", now_ms=0, kind=CON):
    """Register: the answer."""
    data = request(GET, path, kind=kind, token=token, options=[(OBSERVE, b"")])
    message = ask(node, data, peer, now_ms)
    assert message.uint(OBSERVE) is not None, message
    return message


def told(node, now_ms):
    """The one notification that is due; it is acknowledged."""
    messages = due(node, now_ms)
    assert len(messages) == 1, messages
    peer, message = messages[0]
    if message.kind == CON:
        answer(node, encode(ACK, 0, message.mid), peer, now_ms)
    return message


def found(node, path=".well-known/core", *queries):
    """The links at a path: {href: attributes as text}."""
    message = get(node, path, *[(URI_QUERY, query) for query in queries])
    payload = message.payload
    if (message.uint(BLOCK2) or 0) & 8:
        assert not queries
        payload, _ = download(node, path)
    text = str(payload, "utf-8")
    return {part.split(">")[0]: part.split(">")[1] for part in text.split("<")[1:]}
