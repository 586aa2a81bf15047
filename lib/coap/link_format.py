"""Discovery: /.well-known/core in the CoRE Link Format, and its filters (RFC 6690).

The text of all links is written once and kept in node.listing until the attributes of a resource
change. A filter selects links from that text while the response is being written, so discovery
allocates nothing. What peers under OSCORE see, and all where the heap was too short for that text
(listing is False), is written link by link. matches() and link_end() are machine code: see
codec.py.
"""

import micropython

from coap.codec import FIELD_TOTAL, IX_ENDS, IX_URI_QUERY, LENGTH, VALUE, next_option
from coap.extension import Extension
from coap.numbers import LINK_FORMAT
from coap.resource import Resource

_QUERY_END = IX_ENDS + IX_URI_QUERY

_PLAIN = (
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~!$&'()*+,;=:@/"  # pchar
)


class WellKnownCore(Extension):
    """Add /.well-known/core, which lists the node's resources, in blocks where necessary."""

    def attach(self, node):
        """Add the resource."""
        self.node = node
        node.add(".well-known/core", _Core())


class _Core(Resource):
    """The resource /.well-known/core."""

    content_formats = (LINK_FORMAT,)
    listed = False

    def get(self, request, response):
        """Return the links that the client may see and that pass its filters."""
        node = self.node
        is_authenticated = node.access is not None and node.view.context
        if is_authenticated or node.listing is False:
            return _write_links(node, is_authenticated, response)
        text = node.listing
        if text is None:
            text = listing(node)
        if not node.view.has(IX_URI_QUERY):
            return text
        response.write(b"")
        _select(node, text, response)
        return None


def _write_links(node, is_authenticated, response):
    # a function of its own, as its loop would make get()'s frame allocate
    response.write(b"")
    for one in _visible(node, is_authenticated):
        _select(node, link(one), response)


def _select(node, text, response):
    """Write the links that pass the filters of the request."""
    at = 0
    while at < len(text):
        end = link_end(text, at, len(text))
        if _passes(node.view, text, at, end):
            if node.builder.fields[FIELD_TOTAL]:
                response.write(b",")
            response.write(text, at, end - at)
        at = end + 1


def _passes(view, text, begin, end):
    """Return True if the link in text[begin:end] matches every query of the request."""
    if not view.has(IX_URI_QUERY):
        return True
    at = view.index[IX_URI_QUERY]
    while at < view.index[_QUERY_END]:
        at = next_option(view.buf, at, view.index)
        if not matches(text, begin, end, view.buf, view.index):
            return False
    return True


def listing(node):
    """Return the links that every client may see, as bytes, comma-separated."""
    text = node.listing
    if not text:
        text = b",".join([link(one) for one in _visible(node, False)])
        if node.listing is None:
            node.listing = text
    return text


def _visible(node, is_authenticated):
    """Return all listed resources, or those that are open to a client without keys."""
    shows = None if is_authenticated or node.access is None else node.access.shows
    found = [one for one in node.resources if one.listed and one.exists]
    return [one for one in found if shows is None or shows(one)]


def link(resource):
    """Return the link of a resource as bytes: </path>;rt="...";if="...";ct=...;obs"""
    text = "</" + _quoted(resource.path) + ">"
    for name, value in (
        ("rt", resource.rt),
        ("if", resource.interface),
        ("title", resource.title),
    ):
        if value:
            text += ";" + name + '="' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if resource.size is not None:
        text += ";sz=" + str(resource.size)
    formats = resource.content_formats
    if formats and len(formats) == 1:
        text += ";ct=" + str(formats[0])
    elif formats:
        text += ';ct="' + " ".join([str(form) for form in formats]) + '"'
    if resource.observable:
        text += ";obs"
    return text.encode()


def _quoted(path):
    # percent-encoding: RFC 3986 section 2.1
    out = ""
    for byte in path.encode():
        out += chr(byte) if byte < 128 and chr(byte) in _PLAIN else "%{:02X}".format(byte)
    return out


@micropython.viper
def matches(link: ptr8, begin: int, n: int, query: ptr8, index: ptr32) -> int:
    """Return 1 if the link in link[begin:n] matches a filter, else 0.

    The filter `name=value` is the option that next_option() found last in `query`. RFC 6690
    section 4.1: `value*` matches a prefix, `name` alone any link that has the attribute; href is
    the target. Attributes with short names (rt, if, ct, rel) hold words and match by any of them.
    """
    at = index[int(VALUE)]
    end = at + index[int(LENGTH)]
    if at == end:
        return 1
    equals = at
    while equals < end and query[equals] != 61:
        equals += 1
    first = equals + 1
    prefix = 0
    if equals == end:
        first = end
        prefix = 1
    elif end > first and query[end - 1] == 42:
        prefix = 1
        end -= 1
    i = begin + 2
    if equals - at == 4 and query[at] == 104 and query[at + 1] == 114:
        if query[at + 2] == 101 and query[at + 3] == 102:  # href
            i = begin + 1
            while first < end and link[i] != 62 and link[i] == query[first]:
                i += 1
                first += 1
            if first < end:
                return 0
            return 1 if prefix or link[i] == 62 else 0
    words = 1 if equals - at < 4 else 0
    while i < n and link[i] != 62:
        i += 1
    i += 1
    while i < n:
        # at the ";" before an attribute
        i += 1
        j = at
        while j < equals and i < n and link[i] == query[j]:
            i += 1
            j += 1
        found = 0
        if j == equals and (i == n or link[i] == 61 or link[i] == 59):
            found = 1
        while i < n and link[i] != 61 and link[i] != 59:
            i += 1
        start = found
        if i < n and link[i] == 61:
            i += 1
            stop = 59
            if i < n and link[i] == 34:
                stop = 34
                i += 1
            while i < n and link[i] != stop:
                if start:
                    k = i
                    j = first
                    while j < end and k < n and link[k] != stop:
                        if link[k] == 92 and stop == 34:
                            k += 1
                        if link[k] != query[j]:
                            break
                        k += 1
                        j += 1
                    if j == end:
                        if prefix or k == n or link[k] == stop or (words and link[k] == 32):
                            return 1
                start = 0
                if link[i] == 92 and stop == 34:
                    i += 1
                elif link[i] == 32 and words:
                    start = found
                i += 1
            if stop == 34:
                i += 1
        if start and first == end:
            return 1  # both values are empty
    return 0


@micropython.viper
def link_end(text: ptr8, at: int, n: int) -> int:
    """Return where the link at text[at] ends: at the comma before the next one, or at n.

    The text must come from listing(): a comma within <> or "" belongs to the link.
    """
    close = 0
    while at < n:
        byte = text[at]
        if close:
            if byte == 92 and close == 34:
                at += 1
            elif byte == close:
                close = 0
        elif byte == 44:
            return at
        elif byte == 60:
            close = 62
        elif byte == 34:
            close = 34
        at += 1
    return n
