"""The bench's resources, served by aiocoap. Arguments: HOST PORT."""

import asyncio
import sys

import aiocoap
from aiocoap import resource


class Contact(resource.Resource):
    """The least that aiocoap does for a GET: a constant payload in text/plain."""

    async def render_get(self, request):
        return aiocoap.Message(payload=b"closed", content_format=0)


class Store(resource.ObservableResource):
    """A value that a PUT writes; its observers are notified."""

    def __init__(self, value=b""):
        super().__init__()
        self.value = value

    async def render_get(self, request):
        return aiocoap.Message(payload=self.value, content_format=0)

    async def render_put(self, request):
        self.value = request.payload
        self.updated_state()
        return aiocoap.Message(code=aiocoap.CHANGED)


async def serve(host, port):
    """Serve until the process is ended."""
    site = resource.Site()
    site.add_resource(
        [".well-known", "core"], resource.WKCResource(site.get_resources_as_linkheader)
    )
    site.add_resource(["s", "contact"], Contact())
    site.add_resource(["bench", "body"], Store(bytes(97 + i % 23 for i in range(4096))))
    site.add_resource(["bench", "state"], Store())
    # udp6 alone: TCP and the others would only idle, but they would take ports.
    await aiocoap.Context.create_server_context(site, bind=(host, port), transports=["udp6"])
    await asyncio.get_running_loop().create_future()


asyncio.run(serve(sys.argv[1], int(sys.argv[2])))
