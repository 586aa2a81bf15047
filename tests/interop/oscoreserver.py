"""aiocoap's server under OSCORE, with the keys that `make keys` wrote for the gateway."""

import asyncio
import json
import threading

import aiocoap
from aiocoap.credentials import CredentialsMap
from aiocoap.oscore_sitewrapper import OscoreSiteWrapper
from aiocoap.resource import ObservableResource, Resource, Site, WKCResource
from oscoreclient import TRANSPORTS
from processes import HOST, free_port


class Mailbox(Resource):
    def __init__(self, reports):
        super().__init__()
        self.reports = reports

    async def render_post(self, request):
        self.reports.append((request.payload, request.remote.authenticated_claims))
        return aiocoap.Message(code=aiocoap.CHANGED)


class Directory(Resource):
    """As much of a resource directory as a node meets; aiocoap-rd has no ear for OSCORE."""

    rt = "core.rd"

    def __init__(self, registrations):
        super().__init__()
        self.registrations = registrations

    async def render_post(self, request):
        self.registrations.append((request.payload, request.remote.authenticated_claims))
        return aiocoap.Message(code=aiocoap.CREATED, location_path=("reg", "1"))


class Value(ObservableResource):
    """Holds what was put there, and tells who observes it."""

    def __init__(self):
        super().__init__()
        self.value = b"nothing yet"

    async def render_get(self, request):
        return aiocoap.Message(payload=self.value)

    async def render_put(self, request):
        self.value = request.payload
        self.updated_state()
        return aiocoap.Message(code=aiocoap.CHANGED)


class SecuredReceiver:
    """aiocoap's server with the gateway's keys, in this process' loop of another thread."""

    def __init__(self, made):
        self.made = made
        self.port = free_port()
        self.reports = []
        self.registrations = []
        self.ready = threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self.run()))

    async def run(self):
        self.loop = asyncio.get_running_loop()
        self.end = asyncio.Event()
        site = Site()
        site.add_resource(["r", "door-1"], Mailbox(self.reports))
        site.add_resource(["value"], Value())
        site.add_resource(["rd"], Directory(self.registrations))
        site.add_resource(
            [".well-known", "core"], WKCResource(site.get_resources_as_linkheader, impl_info=None)
        )
        credentials = CredentialsMap()
        credentials.load_from_dict(json.loads((self.made / "server.json").read_text()))
        context = await aiocoap.Context.create_server_context(
            OscoreSiteWrapper(site, credentials), bind=(HOST, self.port), transports=TRANSPORTS
        )
        context.server_credentials = credentials
        self.ready.set()
        await self.end.wait()
        await context.shutdown()
        for keys in credentials.values():
            keys._destroy()  # notes the numbers; without it the requests would keep the lock

    def __enter__(self):
        self.thread.start()
        assert self.ready.wait(60)
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.end.set)
        self.thread.join(60)
        assert not self.thread.is_alive()
