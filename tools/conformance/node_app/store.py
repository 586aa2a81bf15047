"""Resources that clients create and remove, each with its own observers and ETag."""

from coap import CoapError
from coap.numbers import (
    BAD_REQUEST,
    CONFLICT,
    CREATED,
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    PRECONDITION_FAILED,
    REQUEST_ENTITY_TOO_LARGE,
    SERVICE_UNAVAILABLE,
    URI_PATH,
)
from node_app.held import Held
from node_app.links import Index

_ENTRIES = 64
_BYTES = 64
_NAME_BYTES = 32


class Entry(Held):
    """A resource that a PUT has created."""

    observable = True

    def __init__(self, store):
        super().__init__()
        self.store = store

    def put(self, request, response):
        """Replace the state."""
        check_size(request)
        return super().put(request, response)

    def delete(self, request, response):
        """Remove the entry."""
        self.node.remove(self.path)
        self.store.used -= 1


class Store(Index):
    """Lists its entries. A PUT to another path below its own creates an entry."""

    prefix = True
    conditional = True  # If-Match is about an entry, not about the list

    def __init__(self):
        super().__init__()
        self.used = 0

    def get(self, request, response):
        """Write the links of the entries."""
        if len(request.path()) > 1:
            raise CoapError(NOT_FOUND)
        if not request.satisfies_if_match(self.etag):
            raise CoapError(PRECONDITION_FAILED)
        super().get(request, response)

    def put(self, request, response):
        """Create an entry."""
        path = self.new_path(request)
        if not request.satisfies_if_match(None):
            raise CoapError(PRECONDITION_FAILED)
        check_size(request)
        if self.used == _ENTRIES:
            raise CoapError(SERVICE_UNAVAILABLE, "all entries are taken")
        try:
            entry = self.node.add(path, Entry(self))
        except ValueError:
            raise CoapError(
                CONFLICT, "choose another name"
            )  # its hash equals that of another path
        self.used += 1
        entry.hold(request.payload_bytes(), request.content_format)
        return CREATED

    def delete(self, request, response):
        """Accept the removal of an entry that does not exist (RFC 7252 section 5.8.4)."""
        self.new_path(request)
        if not request.satisfies_if_match(None):
            raise CoapError(PRECONDITION_FAILED)

    def new_path(self, request):
        """Return the path of an entry that does not exist yet."""
        segments = request.path()
        if len(segments) == 1:
            raise CoapError(METHOD_NOT_ALLOWED)
        name = segments[-1]
        if len(segments) > 2 or not name or "/" in name or len(name) > _NAME_BYTES:
            raise CoapError(BAD_REQUEST, "a name is one segment of 1 to 32 characters, no slash")
        if name.encode() != request.option(URI_PATH)[-1]:
            raise CoapError(BAD_REQUEST, "a name is UTF-8")
        return self.path + "/" + name


def check_size(request):
    """Raise CoapError 4.13 for a payload that does not fit into an entry."""
    if request.payload_length > _BYTES:
        raise CoapError(REQUEST_ENTITY_TOO_LARGE, "an entry has at most 64 bytes")


def setup(node):
    """Add the store to the node."""
    node.add("store", Store())
