"""Discovery: /.well-known/core in the link format, and its filters (RFC 6690)."""

import coap.scan as s
from coap.feature import Feature
from coap.numbers import LINK_FORMAT
from coap.resource import Resource
from coap.scan import links, step

_PLAIN = (
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~!$&'()*+,;=:@/"  # pchar
)


class WellKnownCore(Feature):
    """Adds /.well-known/core, which lists the node's resources; Block2 makes pieces of it."""

    def attach(self, node):
        self.node = node
        node.add(".well-known/core", _Core())


class _Core(Resource):
    content_formats = (LINK_FORMAT,)
    listed = False

    def get(self, request, reply):
        reply.write(b"")
        view = self.node.view
        empty = True
        i = 0
        while i < len(self.node.resources):
            resource = self.node.resources[i]
            i += 1
            if resource.listed and resource.exists:
                if resource.link is None:
                    resource.link = link(resource)
                if _passes(view, view.r, resource.link):
                    if not empty:
                        reply.write(b",")
                    empty = False
                    reply.write(resource.link)


def _passes(view, r, text):
    """Does the link match every query of the request?"""
    if not view.has(s.URI_QUERY):
        return True
    at = r[s.URI_QUERY]
    while at < r[s.ENDS + s.URI_QUERY]:
        at = step(view.buf, at, r)
        if not links(text, len(text), view.buf, r[s.VALUE], at):
            return False
    return True


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
