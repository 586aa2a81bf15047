"""TD_COAP_CORE: methods, options and separate responses of RFC 7252."""

from coap import SEPARATE
from coap.numbers import CBOR, CREATED, JSON, TEXT
from node_app.held import Held

XML = 41
_SEPARATE_MS = 2000
_FORMS = {
    TEXT: b"21.5",
    XML: b"<temperature>21.5</temperature>",
    JSON: b'{"temperature":21.5}',
    CBOR: b"\xa1\x6btemperature\xf9\x4d\x60",
}


class Removable(Held):
    """PUT creates it, DELETE removes it. To delete what is not there succeeds (section 5.8.4)."""

    def delete(self, request, response):
        """Remove the state."""
        self.drop()


class Test(Removable):
    """The resource of most checks. POST creates another one, `created`."""

    def __init__(self, created):
        super().__init__(b"This is /test")
        self.created = created

    def post(self, request, response):
        """Put the payload into the other resource; the response names its location."""
        self.created.hold(request.payload_bytes(), request.content_format)
        response.location("location1", "location2", "location3")


def setup(node):
    """Add the resources to the node."""
    created = node.add("location1/location2/location3", Removable())
    node.add("test", Test(created))
    node.add("create1", Removable())
    node.add("validate", Held(b"version 1"))

    @node.get("seg1/seg2/seg3")
    def segments(request, response):
        """Return a text; the path has three segments."""
        return b"three segments"

    @node.get("query")
    def query(request, response):
        """Return the queries, a line for each."""
        return "\n".join(request.queries()) or "no query"

    @node.get("multi-format", content_formats=(TEXT, XML, JSON, CBOR))
    def multi_format(request, response):
        """Return the temperature in the format that the client accepts."""
        return _FORMS[response.content_format]

    @node.post("location-query")
    def location_query(request, response):
        """Return a location with two queries."""
        response.location_query("first=1", "second=2")
        return CREATED

    @node.get("separate")
    def separate(request, response):
        """Respond after two seconds, in a message of its own."""
        ticket = request.defer()
        node.after(_SEPARATE_MS, lambda now_ms: node.respond(ticket, b"answered separately"))
        return SEPARATE
