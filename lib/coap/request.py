"""What a handler sees of a request: RFC 7252 sections 5.1 to 5.4 without their bytes.

One Request serves every request of a node. It shows the datagram at hand, so keep nothing of it
beyond the handler; what must stay is copied by `payload_bytes()`, `token` and `ticket()`.
"""

import coap.codec as s
from coap.codec import (
    CODE,
    IX_ACCEPT,
    IX_CONTENT_FORMAT,
    IX_IF_MATCH,
    IX_IF_NONE_MATCH,
    IX_URI_PATH,
    IX_URI_QUERY,
    MID,
    OPTIONS_START,
    PAYLOAD,
    SIZE,
    TYPE,
    VALUE,
    equal,
)
from coap.numbers import NOT_ACCEPTABLE


class Request:
    """The request at hand.

    Properties that make a new object allocate it; `number`-like ones are small ints.
    """

    def __init__(self, view, node):
        self._view = view
        self._node = node

    @property
    def method(self):
        """GET, POST, PUT, DELETE, FETCH, PATCH or IPATCH."""
        return self._view.index[CODE]

    @property
    def mid(self):
        self._view.uses_identity = True
        return self._view.index[MID]

    @property
    def token(self):
        """The token, copied into bytes."""
        self._view.uses_identity = True
        return self._view.token()

    @property
    def peer(self):
        """Who asks: hashable, comparable, otherwise the port's own affair."""
        self._view.uses_identity = True
        return self._view.peer

    @property
    def now_ms(self):
        """The node's clock when the datagram came; wraps at 2**30."""
        return self._view.now_ms

    @property
    def confirmable(self):
        return self._view.index[TYPE] == 0

    @property
    def payload(self):
        """The payload as a memoryview on the datagram: valid within the handler."""
        return self._view.payload()

    def payload_bytes(self):
        """The payload, copied."""
        return bytes(self._view.payload())

    @property
    def payload_length(self):  # hot
        view = self._view
        return view.index[SIZE] - view.index[PAYLOAD] if view.body is None else view.length

    def payload_is(self, content):
        """Is the payload these bytes? Allocates nothing."""
        view = self._view
        index = view.index
        n = len(content)
        if view.body is None:
            if index[SIZE] - index[PAYLOAD] != n:
                return False
            return equal(view.buf, index[PAYLOAD], content, 0, n) == 1
        return view.length == n and equal(view.body, 0, content, 0, n) == 1

    @property
    def offset(self):
        """Where in its whole the payload lies: for resources with `streams`."""
        return self._view.offset

    @property
    def more(self):
        """Will more blocks follow? For resources with `streams`."""
        return self._view.more

    @property
    def transfer(self):
        """The number of the transfer, a small int, which tells clients apart; -1: all in one."""
        return self._view.transfer

    @property
    def content_format(self):  # hot
        """The Content-Format of the payload, None when the request does not say."""
        return self._view.uint(IX_CONTENT_FORMAT)

    @property
    def accept(self):  # hot
        """The Content-Format that is asked for, None when any will do."""
        return self._view.uint(IX_ACCEPT)

    def negotiate(self, formats):
        """The first of `formats` that the request accepts; raises 4.06 when there is none."""
        accept = self._view.uint(IX_ACCEPT)
        if accept is None:
            return formats[0]
        if accept in formats:
            return accept
        from coap.resource import CoapError

        raise CoapError(NOT_ACCEPTABLE)

    def path(self):
        """The Uri-Path segments as a list of str; bytes that are not UTF-8 become "?"."""
        return [_text(value) for value in self._view.values(IX_URI_PATH)]

    def queries(self):
        """The Uri-Query options as a list of str."""
        return [_text(value) for value in self._view.values(IX_URI_QUERY)]

    def query(self, name):
        """The value of the first query `name=value`; "" for `name` alone; None without."""
        for text in self.queries():
            if text == name:
                return ""
            if text.startswith(name + "="):
                return text[len(name) + 1 :]
        return None

    def option(self, number):
        """The values of option `number` as a list of bytes, whether the engine knows it or not."""
        view = self._view
        index = view.index
        at = index[OPTIONS_START]
        end = index[PAYLOAD] - (index[PAYLOAD] < index[SIZE])
        found = []
        current = 0
        while at < end:
            first = view.buf[at]
            delta = first >> 4
            if delta == 13:
                delta = 13 + view.buf[at + 1]
            elif delta == 14:
                delta = 269 + (view.buf[at + 1] << 8 | view.buf[at + 2])
            current += delta
            at = s.next_option(view.buf, at, index)
            if current == number:
                found.append(bytes(view.buf[index[VALUE] : at]))
        return found

    def satisfies_if_match(self, etag):
        """Does If-Match, where given, allow for a state with this ETag (None: no such resource)?

        For resources that see to their own preconditions: RFC 7252 section 5.10.8.
        """
        view = self._view
        if view.has(IX_IF_NONE_MATCH) and etag is not None:
            return False
        if not view.has(IX_IF_MATCH):
            return True
        return etag is not None and (
            view.has_value(IX_IF_MATCH, b"") or view.has_value(IX_IF_MATCH, etag)
        )

    def defer(self):
        """Promise a separate response: keep the ticket, return LATER, then node.respond(ticket).

        Raises CoapError 5.03 when the node has promised all that it can.
        """
        self._view.uses_identity = True
        return self._node.defer()


def _text(value):
    try:
        return str(value, "utf-8")
    except (UnicodeError, ValueError):
        # a name that is no text is nobody's name; the engine itself compares bytes
        return "".join([chr(c) if c < 128 else "?" for c in value])
