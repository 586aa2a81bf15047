"""TD_COAP_BLOCK: payloads larger than one message (RFC 7959).

The handlers know nothing of blocks: they see whole requests and write whole responses.
"""

from coap import Resource
from node_app.held import Held

_LINES = 40
_LINE = "%02d The quick brown fox jumps over the lazy dog, block after block.\n"
_CREATED = 4  # resources that a POST created; the oldest goes first


class Created(Held):
    """A resource that a POST has created."""

    def delete(self, request, response):
        """Remove the resource."""
        self.node.remove(self.path)


class Creator(Resource):
    """POST creates a resource below this one, and removes the oldest when there are too many."""

    def __init__(self):
        super().__init__()
        self.number = 0

    def post(self, request, response):
        """Create a resource with the payload; the response names its location."""
        name = str(self.number)
        oldest = f"{self.path}/{self.number - _CREATED}"
        self.number += 1
        if self.node.resource_at(oldest):
            self.node.remove(oldest)
        created = self.node.add(self.path + "/" + name, Created())
        created.hold(request.payload_bytes(), request.content_format)
        response.location(self.path, name)


def setup(node):
    """Add the resources to the node."""
    node.add("large-update", Held(b"put here up to 2048 bytes"))
    node.add("large-create", Creator())

    @node.get("large", size=_LINES * len(_LINE % 0))
    def large(request, response):
        """Write the whole text; the engine keeps the part that is in the block."""
        for i in range(_LINES):
            response.write((_LINE % i).encode())

    @node.post("large-post")
    def large_post(request, response):
        """Return the payload of the request."""
        response.content_format = request.content_format
        return request.payload
