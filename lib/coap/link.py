"""Discovery: /.well-known/core in the link format (RFC 6690)."""

from coap.feature import Feature
from coap.numbers import LINK_FORMAT
from coap.resource import Resource


class WellKnownCore(Feature):
    """Adds /.well-known/core, which lists the node's resources."""

    def attach(self, node):
        self.node = node
        node.add(".well-known/core", _Core())


class _Core(Resource):
    content_formats = (LINK_FORMAT,)
    listed = False

    def get(self, request, reply):
        first = True
        for resource in self.node.resources:
            if resource.listed:
                if not first:
                    reply.write(b",")
                first = False
                reply.write(link(resource))


def link(resource):
    """The link of a resource as bytes: </path>;rt="...";if="...";ct=...;obs"""
    text = "</" + resource.path + ">"
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
