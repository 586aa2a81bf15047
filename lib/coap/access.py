"""Who may use a resource: everybody, everybody for reading, or only who comes under OSCORE.

    node = Node(*usual(), Access(READ_ONLY), Oscore(contexts))

Without the feature Oscore, or without keys, nobody comes under OSCORE: what is not open is closed.
"""

from micropython import const

from coap.codec import FLAGS, UNSAFE
from coap.extension import Extension

# public: what Access() and `access` of a resource take
OPEN = const(0)
READ_ONLY = const(1)  # GET and FETCH for everybody
SECURED = const(2)


_GET = const(1)
_FETCH = const(5)


class Access(Extension):
    """default: the access of resources that do not say which theirs is."""

    slow_path_mask = UNSAFE

    def __init__(self, default=READ_ONLY):
        self.default = default
        self.status = ""  # why there is no OSCORE, for /diag
        self.line = None  # the peer that is no network: whoever is there holds the node
        self.known = None  # the listing for strangers, when the other one was written
        self.whole = b""

    def attach(self, node):
        self.node = node
        node.access = self
        for resource in node.resources:
            resource.refresh()

    def of(self, resource):  # hot
        """The access of a resource."""
        return self.default if resource.access is None else resource.access

    def admits(self, view, resource):  # hot
        """May the request at hand reach its handler?"""
        if view.context or (self.line is not None and view.peer is self.line):
            return True
        access = self.of(resource)
        return not access or (access == READ_ONLY and not view.index[FLAGS] & UNSAFE)

    def shows(self, resource):
        """Has the resource something for a stranger?"""
        access = self.of(resource)
        if access == READ_ONLY:
            return resource.handlers[_GET] is not None or resource.handlers[_FETCH] is not None
        return access == OPEN

    def listing(self, strangers, write):
        """All that is listed, for who comes under OSCORE; `write` makes it."""
        if self.known is not strangers:
            self.known = strangers
            self.whole = write(self.node, True)
        return self.whole
