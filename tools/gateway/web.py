"""The gateway's web server: the page, the API, the event stream and the proxy.

All of it stands on the store: what a request changes is written there, what a response says is
read there. auth.py decides who may ask.
"""

import errno
import socket
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from setup.console import Problem

from . import streams
from .api import Api
from .auth import COOKIE, SESSION_S, Auth, Handler, load_token
from .bodies import body_of, text_of
from .health import Health
from .hub import Hub
from .proxy import Proxy
from .settings import COAP_PORT, Settings
from .store import Store, StoreError

BODY_MAX = 64 * 1024
RETRY_S = 60
TOKEN = "token"  # its file in the data folder
PAGE = Path(__file__).resolve().parent / "page"
UPLOT = PAGE.parent.parent / "js" / "node_modules" / "uplot" / "dist"
STATIC = {
    **{path.name: path for path in PAGE.iterdir() if path.suffix in (".js", ".css")},
    "uplot.js": UPLOT / "uPlot.iife.min.js",
    "uplot.css": UPLOT / "uPlot.min.css",
}
Alive = Callable[[], Awaitable[str]]
Clock = Callable[[], float]


class Web:
    """The handlers of everything but the nodes.

    Args:
        alive: returns "" while the gateway works, else one line that says what does not.
    """

    def __init__(self, store: Store, hub: Hub, auth: Auth, alive: Alive):
        self.store = store
        self.hub = hub
        self.auth = auth
        self.alive = alive

    def app(self, api: Api, proxy: Proxy) -> web.Application:
        """Return the application of aiohttp."""
        app = web.Application(
            middlewares=[self.auth.middleware, store_errors], client_max_size=BODY_MAX
        )
        app.add_routes(api.routes())
        app.add_routes(
            [
                web.get("/", self.page),
                web.get("/static/{name}", self.static),
                web.get("/healthz", self.health),
                web.get("/.well-known/core", self.links),
                web.post("/api/session", self.log_in),
                web.get("/api/events", self.stream),
                web.route("*", "/hc/{rest:.*}", proxy.handle),
            ]
        )
        return app

    async def page(self, request: web.Request) -> web.StreamResponse:
        """Send the page."""
        return web.FileResponse(PAGE / "index.html", headers={"Cache-Control": "no-cache"})

    async def static(self, request: web.Request) -> web.StreamResponse:
        """Send a file of the page."""
        path = STATIC.get(request.match_info["name"])
        if path is None:
            raise web.HTTPNotFound(text="no such file\n")
        return web.FileResponse(path, headers={"Cache-Control": "no-cache"})

    async def health(self, request: web.Request) -> web.Response:
        """Say whether the store takes writes and the CoAP server responds."""
        problem = await self.alive()
        return web.Response(status=503 if problem else 200, text=f"{problem or 'ok'}\n")

    async def links(self, request: web.Request) -> web.Response:
        """List the proxy, for clients that look for one (RFC 8075 section 5.5)."""
        return web.Response(text='</hc/>;rt="core.hc"', content_type="application/link-format")

    async def log_in(self, request: web.Request) -> web.Response:
        """Give a session to who knows the token."""
        token = text_of(await body_of(request), "token")
        response = web.Response(status=204)
        if self.auth.token:
            self.auth.check_token(request.remote or "", token)
            response.set_cookie(
                COOKIE, self.auth.session(), max_age=SESSION_S, httponly=True, samesite="Strict"
            )
        return response

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Send what the gateway learns, as it learns it."""
        return await streams.serve(request, self.store, self.hub)


@web.middleware
async def store_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Say 503 where the store can not be read or written."""
    try:
        return await handler(request)
    except StoreError as error:
        headers = {"Retry-After": str(RETRY_S)}
        return web.Response(status=503, text=f"the store fails: {error}\n", headers=headers)


async def start(
    settings: Settings, store: Store, hub: Hub, mirror: Any, context: Any, now: Clock = time.time
) -> web.AppRunner:
    """Return the running server; its cleanup() ends it.

    Raises:
        Problem: the address is taken or not one of this computer's, or there is no token.
    """
    host, port = settings.http_address
    own = {settings.name, socket.gethostname()}
    names = frozenset(name.lower() for one in own for name in (one, f"{one}.local"))
    try:
        auth = Auth(load_token(settings.data / TOKEN) if settings.lan else "", names)
    except (OSError, ValueError) as error:
        raise Problem(f"{settings.data / TOKEN}: {error}") from None
    health = Health(store, *settings.coap_address)
    api = Api(store, hub, coap_authority(*settings.coap_address), now)
    app = Web(store, hub, auth, health.problem).app(api, Proxy(store, hub, mirror, context, now))
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        await runner.cleanup()
        taken = error.errno == errno.EADDRINUSE
        why = "another program uses this port: end it, or" if taken else f"{error.strerror}:"
        raise Problem(f"HTTP={host}:{port}: {why} name another one with HTTP=") from None
    return runner


def coap_authority(host: str, port: int) -> str:
    """Return host and port of the CoAP server as URIs for other computers have them."""
    if host in ("", "0.0.0.0", "::"):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            try:
                sock.connect(("192.0.2.1", 9))  # sends nothing; chooses the address to send from
                host = sock.getsockname()[0]
            except OSError:
                host = "127.0.0.1"
    shown = f"[{host}]" if ":" in host else host
    return shown if port == COAP_PORT else f"{shown}:{port}"
