"""TD_COAP_BLOCK: payloads larger than one message (RFC 7959).

The handlers know nothing of blocks: they see whole requests and write whole answers.
"""

from coap import Resource
from node_app.held import Held

_LINES = 40
_LINE = "%02d The quick brown fox jumps over the lazy dog, block after block.\n"
_CREATED = 4  # that are kept


class Created(Held):
    """A resource that a POST has created."""

    def delete(self, request, reply):
        self.node.remove(self.path)


class Creator(Resource):
    """POST creates a resource below this one; the oldest gives way when there are too many."""

    def __init__(self):
        super().__init__()
        self.number = 0

    def post(self, request, reply):
        name = str(self.number)
        oldest = f"{self.path}/{self.number - _CREATED}"
        self.number += 1
        if self.node.resource_at(oldest):
            self.node.remove(oldest)
        created = self.node.add(self.path + "/" + name, Created())
        created.hold(request.payload_bytes(), request.content_format)
        reply.location(self.path, name)


def setup(node):
    node.add("large-update", Held(b"put here up to 2048 bytes"))
    node.add("large-create", Creator())

    @node.get("large", size=_LINES * len(_LINE % 0))
    def large(request, reply):
        # written whole for each block; what lies outside of it is only counted
        for i in range(_LINES):
            reply.write((_LINE % i).encode())

    @node.post("large-post")
    def large_post(request, reply):
        reply.content_format = request.content_format
        return request.payload
