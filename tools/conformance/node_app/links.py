"""TD_COAP_LINK: discovery (RFC 6690)."""

from coap import Resource
from coap.link_format import link
from coap.numbers import JSON, LINK_FORMAT, TEXT


class Index(Resource):
    """Lists the resources below its own path, in the way of /.well-known/core."""

    content_formats = (LINK_FORMAT,)

    def get(self, request, response):
        """Write the links."""
        comma = b""
        for resource in self.node.resources:
            if resource.path.startswith(self.path + "/") and resource.exists:
                response.write(comma)
                response.write(link(resource))
                comma = b","


def setup(node):
    """Add the resources, whose link attributes the filters of discovery select by."""
    node.add("path", Index())

    @node.get("path/sub1", title="first sub-resource")
    def first(request, response):
        """Return the text of this resource."""
        return b"/path/sub1"

    @node.get("path/sub2", title="second sub-resource")
    def second(request, response):
        """Return the text of this resource."""
        return b"/path/sub2"

    @node.get("link1", rt="Type1 Type2", interface="If1")
    def link1(request, response):
        """Return the text of this resource."""
        return b"Type1 Type2"

    @node.get("link2", rt="Type2 Type3", interface="If2", content_format=JSON)
    def link2(request, response):
        """Return the text of this resource."""
        return b'"Type2 Type3"'

    @node.get("link3", rt="Type1 Type3", interface="foo", content_formats=(TEXT, JSON))
    def link3(request, response):
        """Return the text of this resource."""
        return b"Type1 Type3" if response.content_format == TEXT else b'"Type1 Type3"'
