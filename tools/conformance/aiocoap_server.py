"""The plugtest's resources on aiocoap. Arguments: HOST PORT.

Preconditions, ETags and Accept, which aiocoap leaves to its applications, are done here.
"""

import asyncio
import hashlib
import sys

import aiocoap
from aiocoap import CHANGED, CONTENT, CREATED, DELETED, Message, resource
from aiocoap.error import NotFound, PreconditionFailed, UnsupportedContentFormat

PERIOD_S = 5
SEPARATE_S = 2
LARGE = b"".join(b"%02d The quick brown fox jumps over the lazy dog.\n" % i for i in range(50))
FORMS = {0: b"21.5", 41: b"<t>21.5</t>", 50: b'{"t":21.5}', 60: b"\xa1\x61t\xf9\x4d\x60"}
NO_FORMAT = 65535


class Constant(resource.Resource):
    """A constant payload, with link attributes."""

    def __init__(self, payload, **attributes):
        super().__init__()
        self.payload = payload
        self.attributes = attributes

    def get_link_description(self):
        """Return the link attributes."""
        return self.attributes

    async def render_get(self, request):
        """Serve GET."""
        return Message(payload=self.payload, content_format=0)


class Held(resource.ObservableResource):
    """GET returns the payload of the last PUT."""

    def __init__(self, payload=None, form=0):
        super().__init__()
        self.payload = payload
        self.form = form

    def tag(self):
        """Return the ETag."""
        return hashlib.sha256(bytes([self.form]) + self.payload).digest()[:8]

    def hold(self, payload, form=0):
        """Replace the state and notify the observers."""
        self.payload, self.form = payload, form
        self.updated_state()

    async def render_get(self, request):
        """Serve GET."""
        if self.payload is None:
            raise NotFound
        response = Message(code=CONTENT, payload=self.payload, content_format=self.form)
        response.opt.etag = self.tag()
        if response.opt.etag in request.opt.etags:
            response.code, response.payload = aiocoap.VALID, b""
        return response

    async def render_put(self, request):
        """Serve PUT."""
        there = self.payload is not None
        if request.opt.if_none_match and there:
            raise PreconditionFailed
        if request.opt.if_match and not (
            there and (b"" in request.opt.if_match or self.tag() in request.opt.if_match)
        ):
            raise PreconditionFailed
        form = request.opt.content_format
        self.hold(request.payload, 0 if form is None else int(form))
        return Message(code=CHANGED if there else CREATED)

    async def render_delete(self, request):
        """Serve DELETE."""
        self.payload = None
        self.updated_state(Message(code=aiocoap.NOT_FOUND))
        return Message(code=DELETED)


class Test(Held):
    """POST names a location."""

    async def render_post(self, request):
        """Serve POST."""
        path = ["location1", "location2", "location3"]
        return Message(code=CREATED, location_path=path)


class Clock(Held):
    """Changes every PERIOD_S; the state of a PUT lasts one period."""

    def __init__(self, size=0):
        super().__init__(b"tick 0".ljust(size, b"."))
        self.size = size
        self.number = 0
        self.restart()

    def restart(self):
        """Start the next period."""
        self.timer = asyncio.get_running_loop().call_later(PERIOD_S, self.tick)

    def tick(self):
        """Change to the next state and start the next period, even without observers."""
        self.restart()
        self.number += 1
        if self.payload is not None:
            self.hold(f"tick {self.number}".ljust(self.size, ".").encode())

    async def render_put(self, request):
        """Serve PUT."""
        self.timer.cancel()
        self.restart()
        return await super().render_put(request)


class Counter(resource.Resource):
    """GET returns how many POST requests there were."""

    def __init__(self):
        super().__init__()
        self.value = 0

    async def render_get(self, request):
        """Serve GET."""
        return Message(payload=str(self.value).encode(), content_format=0)

    async def render_post(self, request):
        """Serve POST."""
        self.value += 1
        return Message()


class Query(resource.Resource):
    """GET returns the queries, a line for each."""

    async def render_get(self, request):
        """Serve GET."""
        return Message(payload="\n".join(request.opt.uri_query or ["no query"]).encode())


class Separate(resource.Resource):
    """GET responds after SEPARATE_S, in a message of its own."""

    async def render_get(self, request):
        """Serve GET."""
        await asyncio.sleep(SEPARATE_S)
        return Message(payload=b"answered separately", content_format=0)


class LocationQuery(resource.Resource):
    """POST returns a location with two queries."""

    async def render_post(self, request):
        """Serve POST."""
        return Message(code=CREATED, location_query=["first=1", "second=2"])


class MultiFormat(resource.Resource):
    """GET returns the temperature in the format that the client accepts."""

    async def render_get(self, request):
        """Serve GET."""
        accept = request.opt.accept
        form = 0 if accept is None else int(accept)
        if form not in FORMS:
            return Message(code=aiocoap.NOT_ACCEPTABLE)
        return Message(payload=FORMS[form], content_format=form)


class LargePost(resource.Resource):
    """POST returns its payload."""

    async def render_post(self, request):
        """Serve POST."""
        form = request.opt.content_format
        return Message(code=CHANGED, payload=request.payload, content_format=form)


class LargeCreate(resource.Resource):
    """POST creates a resource with the payload."""

    def __init__(self, site):
        super().__init__()
        self.site = site
        self.number = 0

    async def render_post(self, request):
        """Serve POST."""
        path = ["large-create", str(self.number)]
        self.number += 1
        self.site.add_resource(path, Held(request.payload))
        return Message(code=CREATED, location_path=path)


class Document(resource.Resource):
    """FETCH and iPATCH (RFC 8132) of a fixed text: enough to show that the methods arrive."""

    async def render_get(self, request):
        """Serve GET."""
        return Message(payload=b'{"a":1,"b":2}', content_format=50)

    async def render_fetch(self, request):
        """Serve FETCH."""
        if request.opt.content_format != 0:
            raise UnsupportedContentFormat
        return Message(payload=b"2", content_format=50)

    async def render_ipatch(self, request):
        """Serve iPATCH."""
        return Message()


async def serve(host, port):
    """Serve until the process is ended."""
    site = resource.Site()
    found = site.get_resources_as_linkheader
    for path, served in (
        (".well-known/core", resource.WKCResource(found)),
        ("test", Test(b"This is /test")),
        ("seg1/seg2/seg3", Constant(b"three segments")),
        ("query", Query()),
        ("separate", Separate()),
        ("validate", Held(b"version 1")),
        ("create1", Held()),
        ("location-query", LocationQuery()),
        ("multi-format", MultiFormat()),
        ("counter", Counter()),
        ("large", Constant(LARGE, sz=str(len(LARGE)))),
        ("large-update", Held(b"put here")),
        ("large-create", LargeCreate(site)),
        ("large-post", LargePost()),
        ("obs", Clock()),
        ("obs-large", Clock(1536)),
        ("link1", Constant(b"Type1 Type2", rt="Type1 Type2", **{"if": "If1"})),
        ("link2", Constant(b"Type2 Type3", rt="Type2 Type3", **{"if": "If2"})),
        ("link3", Constant(b"Type1 Type3", rt="Type1 Type3", **{"if": "foo"})),
        ("path", Constant(b"", ct="40")),
        ("fetch", Document()),
    ):
        site.add_resource(path.split("/"), served)
    # udp6 alone: TCP and the others would only idle, but they would take ports.
    await aiocoap.Context.create_server_context(site, bind=(host, port), transports=["udp6"])
    await asyncio.get_running_loop().create_future()


asyncio.run(serve(sys.argv[1], int(sys.argv[2])))
