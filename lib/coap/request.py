"""What a handler reads of a request (RFC 7252 sections 5.1 to 5.4).

One Request serves all requests of a node and shows the present one: keep nothing of it after the
handler returns. payload_bytes(), token and defer() copy what must stay.
"""

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
    next_option,
)
from coap.numbers import NOT_ACCEPTABLE


class Request:
    """The request that a handler serves.

    Properties that return a small int or a bool allocate nothing.
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
        """The Message ID."""
        self._view.uses_identity = True
        return self._view.index[MID]

    @property
    def token(self):
        """A copy of the token, bytes."""
        self._view.uses_identity = True
        return self._view.token()

    @property
    def peer(self):
        """The sender: hashable and comparable, otherwise as the port represents it."""
        self._view.uses_identity = True
        return self._view.peer

    @property
    def now_ms(self):
        """The node's clock when the datagram came, in ms modulo 2**30."""
        return self._view.now_ms

    @property
    def confirmable(self):
        """True for a CON."""
        return self._view.index[TYPE] == 0

    @property
    def payload(self):
        """The payload as a memoryview, valid within the handler."""
        return self._view.payload()

    def payload_bytes(self):
        """Return a copy of the payload."""
        return bytes(self._view.payload())

    @property
    def payload_length(self):  # hot
        """Bytes of the payload."""
        view = self._view
        return view.index[SIZE] - view.index[PAYLOAD] if view.body is None else view.length

    def payload_is(self, content):
        """Return True if the payload equals `content`; allocate nothing."""
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
        """Where in the whole payload this part begins; for resources with `streams`."""
        return self._view.offset

    @property
    def more(self):
        """True if blocks will follow; for resources with `streams`."""
        return self._view.more

    @property
    def transfer(self):
        """A small int that distinguishes block-wise transfers; -1 for a request in one message."""
        return self._view.transfer

    @property
    def content_format(self):  # hot
        """The Content-Format of the payload, None if the request has none."""
        return self._view.uint(IX_CONTENT_FORMAT)

    @property
    def accept(self):  # hot
        """The Content-Format that Accept names, None without Accept."""
        return self._view.uint(IX_ACCEPT)

    def negotiate(self, formats):
        """Return the first of `formats` that the request accepts. Raise CoapError 4.06 if none."""
        accept = self._view.uint(IX_ACCEPT)
        if accept is None:
            return formats[0]
        if accept in formats:
            return accept
        from coap.resource import CoapError

        raise CoapError(NOT_ACCEPTABLE)

    def path(self):
        """Return the Uri-Path segments as a list of str; bytes that are not UTF-8 become "?"."""
        return [_text(value) for value in self._view.values(IX_URI_PATH)]

    def queries(self):
        """Return the Uri-Query options as a list of str."""
        return [_text(value) for value in self._view.values(IX_URI_QUERY)]

    def query(self, name):
        """Return the value of the first query `name=value`, "" for `name` alone, None without."""
        for text in self.queries():
            if text == name:
                return ""
            if text.startswith(name + "="):
                return text[len(name) + 1 :]
        return None

    def option(self, number):
        """Return the values of option `number` as a list of bytes, for any option."""
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
            at = next_option(view.buf, at, index)
            if current == number:
                found.append(bytes(view.buf[index[VALUE] : at]))
        return found

    def satisfies_if_match(self, etag):
        """Return True if If-Match and If-None-Match permit the request for a state with this ETag
        (None: the resource does not exist; RFC 7252 section 5.10.8).

        For resources that check their preconditions themselves.
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
        """Return a handle for a separate response; return SEPARATE from the handler, and call
        node.respond(handle, ...) later. Raise CoapError 5.03 when no entry is free.
        """
        self._view.uses_identity = True
        return self._node.defer()


def _text(value):
    try:
        return str(value, "utf-8")
    except (UnicodeError, ValueError):
        # no resource or query has such a name; paths are compared as bytes elsewhere
        return "".join([chr(c) if c < 128 else "?" for c in value])
