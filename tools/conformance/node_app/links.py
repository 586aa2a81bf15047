"""TD_COAP_LINK: discovery (RFC 6690)."""

from coap import Resource
from coap.link_format import link
from coap.numbers import JSON, LINK_FORMAT, TEXT


class Index(Resource):
    """Lists the resources below its own path, as /.well-known/core lists them all."""

    content_formats = (LINK_FORMAT,)

    def get(self, request, reply):
        comma = b""
        for resource in self.node.resources:
            if resource.path.startswith(self.path + "/") and resource.exists:
                reply.write(comma)
                reply.write(link(resource))
                comma = b","


def setup(node):
    node.add("path", Index())

    @node.get("path/sub1", title="first sub-resource")
    def first(request, reply):
        return b"/path/sub1"

    @node.get("path/sub2", title="second sub-resource")
    def second(request, reply):
        return b"/path/sub2"

    @node.get("link1", rt="Type1 Type2", interface="If1")
    def link1(request, reply):
        return b"Type1 Type2"

    @node.get("link2", rt="Type2 Type3", interface="If2", content_format=JSON)
    def link2(request, reply):
        return b'"Type2 Type3"'

    @node.get("link3", rt="Type1 Type3", interface="foo", content_formats=(TEXT, JSON))
    def link3(request, reply):
        return b"Type1 Type3" if reply.content_format == TEXT else b'"Type1 Type3"'
