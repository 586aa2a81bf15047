"""Requests to a node in memory, for tests of applications: one request in, a decoded response out.

    ask = Asker(node)
    assert ask.get("s/contact").payload == b"closed"

`Answer` has a decoder of its own, so that an error of lib/coap's parser cannot hide itself.
"""

from coap.message import MessageBuilder
from coap.numbers import ACCEPT, CON, CONTENT_FORMAT, GET, IF_MATCH, PUT, URI_PATH, URI_QUERY


class Asker:
    def __init__(self, node, now_ms=0):
        self.node = node
        self.now_ms = now_ms
        self.mid = 0

    def get(self, path, accept=None):
        return self.send(self.request(GET, path, accept=accept))

    def put(self, path, payload, content_format=None, if_match=None):
        return self.send(self.request(PUT, path, payload, content_format, if_match=if_match))

    def request(self, method, path, payload=b"", content_format=None, accept=None, if_match=None):
        """Return the bytes of a CON request; `path` may end in ?query&query."""
        self.mid += 1
        buffer = bytearray(1280)
        writer = MessageBuilder(buffer).begin(CON, method, self.mid, b"tk")
        if if_match is not None:
            writer.option(IF_MATCH, if_match)
        path, _, query = path.partition("?")
        for segment in path.split("/"):
            writer.option(URI_PATH, segment.encode())
        if content_format is not None:
            writer.uint(CONTENT_FORMAT, content_format)
        if query:
            for part in query.split("&"):
                writer.option(URI_QUERY, part.encode())
        if accept is not None:
            writer.uint(ACCEPT, accept)
        writer.payload(payload)
        assert writer.n > 0
        return bytes(buffer[: writer.n])

    def send(self, request):
        n = self.node.datagram(request, len(request), "peer", self.now_ms)
        assert n > 0
        return Answer(bytes(self.node.tx_view(n)))

    def again(self, request):
        """Send without allocating; return the response's length."""
        return self.node.datagram(request, len(request), "peer", self.now_ms)

    def run(self, span_ms):
        """Run the node's timers for `ms` of the simulated board's clock."""
        from machine import clock

        while span_ms > 0:
            clock.advance(10)
            self.now_ms = (self.now_ms + 10) & 0x3FFFFFFF
            span_ms -= 10
            while self.node.due(self.now_ms):
                pass


class Timers:
    """The functions that an application hands to node.every(), to be called by hand."""

    def __init__(self, node):
        self.functions = []
        node.every = self.every

    def every(self, period_ms, function):
        self.functions.append(function)

    def run(self, now_ms):
        for function in self.functions:
            function(now_ms)


class Answer:
    """`code` as "2.05", `payload`, and of the options `content_format`, `max_age_s`, `etag`."""

    def __init__(self, message):
        self.code = f"{message[1] >> 5}.{message[1] & 31:02}"
        self.payload = b""
        self.content_format = self.max_age_s = None
        self.etag = b""
        at = 4 + (message[0] & 15)
        assert message[0] >> 4 == 6 and message[4:at] == b"tk"  # piggybacked, our token
        number = 0
        while at < len(message):
            if message[at] == 0xFF:
                self.payload = message[at + 1 :]
                assert self.payload
                return
            delta, length = message[at] >> 4, message[at] & 15
            at += 1
            assert delta < 14 and length < 13
            if delta == 13:
                delta = 13 + message[at]
                at += 1
            number += delta
            value = message[at : at + length]
            at += length
            if number == 4:
                self.etag = value
            elif number == 12:
                self.content_format = int.from_bytes(value, "big")
            elif number == 14:
                self.max_age_s = int.from_bytes(value, "big")
