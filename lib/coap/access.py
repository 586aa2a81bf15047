"""Who may use a resource: everybody, everybody for reading, only peers under OSCORE, or only those
with a verified address.

    node = Node(*default_extensions(), Access(READ_ONLY), Oscore(contexts, flash))

Without the extension Oscore, or without keys, no request comes under OSCORE, and only what is open
can be used.
"""

from micropython import const

from coap.codec import FLAGS, UNSAFE
from coap.extension import Extension

# public: what Access() and `access` of a resource take
OPEN = const(0)
READ_ONLY = const(1)  # GET and FETCH for everybody
SECURED = const(2)
# under OSCORE where the node has keys, else who has shown that it receives at its address
VERIFIED = const(3)


_GET = const(1)
_FETCH = const(5)


class Access(Extension):
    """The access rules of a node. default: the access of resources that set none."""

    slow_path_mask = UNSAFE

    def __init__(self, default=READ_ONLY):
        self.default = default
        self.status = ""  # why there is no OSCORE, for /diag
        self.line = None  # the peer of the serial line: who is there holds the node

    def attach(self, node):
        """Make this the node's rule for resources without an `access` of their own."""
        self.node = node
        node.access = self
        for resource in node.resources:
            resource.refresh()

    def of(self, resource):  # hot
        """Return the access of a resource."""
        return self.default if resource.access is None else resource.access

    def admits(self, view, resource):  # hot
        """Return True if the request may reach its handler."""
        if view.context or (self.line is not None and view.peer is self.line):
            return True
        access = self.of(resource)
        if access == VERIFIED and self.node.oscore is None:
            if self.node.messaging.is_verified(view.peer):
                return True
            challenge = self.node.builder.challenge
            return challenge is not None and not challenge(view)
        return not access or (access == READ_ONLY and not view.index[FLAGS] & UNSAFE)

    def shows(self, resource):
        """Return True if the resource serves requests without OSCORE."""
        access = self.of(resource)
        if access == READ_ONLY:
            return resource.handlers[_GET] is not None or resource.handlers[_FETCH] is not None
        return access == OPEN or (access == VERIFIED and self.node.oscore is None)

    def is_plain(self, resource):
        """Return True if requests to the resource need no look at who sends them."""
        return self.of(resource) != VERIFIED and self.shows(resource)
