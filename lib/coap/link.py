"""Discovery: /.well-known/core in the link format, and its filters (RFC 6690)."""

from micropython import const

from coap.feature import Feature
from coap.linktext import link_end, links
from coap.resource import Resource
from coap.scan import step

# Numbers of other files: the compiler folds only the constants of the file at hand
_LINK_FORMAT = const(40)  # numbers.LINK_FORMAT
_URI_QUERY = const(9)  # scan.URI_QUERY
_QUERY_END = const(33)  # scan.ENDS + scan.URI_QUERY
_Q_AT = const(11)  # compose.Q_AT

_PLAIN = (
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~!$&'()*+,;=:@/"  # pchar
)


class WellKnownCore(Feature):
    """Adds /.well-known/core, which lists the node's resources; Block2 makes pieces of it."""

    def attach(self, node):
        self.node = node
        node.add(".well-known/core", _Core())


class _Core(Resource):
    content_formats = (_LINK_FORMAT,)
    listed = False

    def get(self, request, reply):
        text = self.node.listing
        if text is None:
            text = listing(self.node)
        if self.node.view.context and self.node.access is not None:
            text = self.node.access.listing(text, _links)
        if not self.node.view.has(_URI_QUERY):
            return text
        reply.write(b"")
        _select(self.node, text, reply)
        return None


def _select(node, text, reply):
    """Write those of the links that pass the filters of the request."""
    at = 0
    while at < len(text):
        end = link_end(text, at, len(text))
        if _passes(node.view, text, at, end):
            if node.reply.q[_Q_AT]:
                reply.write(b",")
            reply.write(text, at, end - at)
        at = end + 1


def _passes(view, text, begin, end):
    """Does the link in text[begin:end] match every query of the request?"""
    at = view.r[_URI_QUERY]
    while at < view.r[_QUERY_END]:
        at = step(view.buf, at, view.r)
        if not links(text, begin, end, view.buf, view.r):
            return False
    return True


def listing(node):
    """The links of all that the node lists for everybody, as bytes: written anew when one of them
    is another.
    """
    if node.listing is None:
        node.listing = _links(node, False)
    return node.listing


def _links(node, whole):
    """The links of all that is listed; without `whole` of what a stranger may use."""
    shows = None if whole or node.access is None else node.access.shows
    found = [one for one in node.resources if one.listed and one.exists]
    return b",".join([link(one) for one in found if shows is None or shows(one)])


def link(resource):
    """The link of a resource as bytes: </path>;rt="...";if="...";ct=...;obs"""
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
    # what a URI reference can not hold is percent-encoded (RFC 3986 section 2.1)
    out = ""
    for byte in path.encode():
        out += chr(byte) if byte < 128 and chr(byte) in _PLAIN else "%{:02X}".format(byte)
    return out
