"""Who may use the page and the API: checks of Host and Origin, and with LAN=1 a token.

On the loopback interface every local program may read and write, but no web page of others:
the Host header must name this computer (421 else: DNS rebinding), a request that a browser sends
for a foreign page gets 403. With `lan` each request for data needs the token, as bearer or by a
session, which is a cookie that holds its end and a MAC over it. The token itself is in one file.
"""

import hashlib
import hmac
import ipaddress
import os
import secrets
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web

COOKIE = "mote_session"
SESSION_S = 30 * 86400
TOKEN_BYTES = 16
TRIES = 5
TRIES_S = 60
CLIENTS_MAX = 1000  # whose wrong tries are remembered
READS = ("GET", "HEAD")
OPEN_PATHS = ("/", "/healthz", "/.well-known/core", "/api/session")  # nothing secret is there
OPEN_FOLDER = "/static/"
LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'; object-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Auth:
    """The checks of one server.

    Args:
        token: what a client has to know; "" when none is needed, on loopback.
        names: host names under which this computer is reached, besides its addresses.
        clock: seconds since 1970; an argument for tests.
    """

    def __init__(self, token: str, names: frozenset[str], clock: Callable[[], float] = time.time):
        self.token = token
        self.names = names | LOCAL_NAMES
        self.clock = clock
        self.tries: dict[str, list[float]] = {}

    def check(self, request: web.Request) -> None:
        """Raise an error of aiohttp for a request that may not be served."""
        if not self._is_host(request.headers.get("Host", "")):
            raise web.HTTPMisdirectedRequest(text="this Host is not the gateway's name\n")
        self._check_origin(request)
        if not self.token or request.path in OPEN_PATHS or request.path.startswith(OPEN_FOLDER):
            return
        bearer = request.headers.get("Authorization", "")
        if bearer.lower().startswith("bearer "):
            self.check_token(request.remote or "", bearer[7:].strip())
        elif not self.is_session(request.cookies.get(COOKIE, "")):
            raise unauthorized()

    def check_token(self, client: str, token: str) -> None:
        """Raise 401 for a wrong token, 429 after five wrong ones of a client within a minute."""
        now = self.clock()
        wrong = [at for at in self.tries.get(client, ()) if now - at < TRIES_S]
        if len(wrong) >= TRIES:
            wait = str(max(1, round(TRIES_S - (now - wrong[0]))))
            text = "too many wrong tokens: wait a minute\n"
            raise web.HTTPTooManyRequests(text=text, headers={"Retry-After": wait})
        if hmac.compare_digest(token.encode(), self.token.encode()):
            self.tries.pop(client, None)
            return
        if client not in self.tries and len(self.tries) >= CLIENTS_MAX:
            del self.tries[next(iter(self.tries))]
        self.tries[client] = [*wrong, now]
        raise unauthorized()

    def session(self) -> str:
        """Return the value of a new session's cookie."""
        until = str(round(self.clock()) + SESSION_S)
        return f"{until}.{self._mac(until)}"

    def is_session(self, value: str) -> bool:
        """Return True for the cookie of a session that has not ended."""
        until, _, mac = value.partition(".")
        valid = hmac.compare_digest(mac.encode(), self._mac(until).encode())
        return valid and until.isdecimal() and int(until) > self.clock()

    def _mac(self, until: str) -> str:
        return hmac.new(
            self.token.encode(), f"session {until}".encode(), hashlib.sha256
        ).hexdigest()

    def _is_host(self, host: str) -> bool:
        name = host_name(host)
        if name in self.names:
            return True
        return bool(self.token) and is_address(name)

    def _check_origin(self, request: web.Request) -> None:
        origin = request.headers.get("Origin")
        host = request.headers.get("Host", "")
        foreign = origin is not None and origin not in (f"http://{host}", f"https://{host}")
        site = request.headers.get("Sec-Fetch-Site", "none")
        # A link of another site to the page is fine: the page is the same for all.
        page = request.method in READS and request.path in OPEN_PATHS
        if foreign or (site not in ("none", "same-origin") and not page):
            raise web.HTTPForbidden(text="a page of another origin may not ask the gateway\n")

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Check a request and add the headers of security to its response."""
        try:
            self.check(request)
            response = await handler(request)
        except web.HTTPException as error:
            add_headers(error)
            raise
        if not response.prepared:
            add_headers(response)
        return response


def add_headers(response: web.StreamResponse) -> None:
    """Add the headers of security where the handler has set none of its own."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)


def unauthorized() -> web.HTTPUnauthorized:
    """Return the error for a client that has not shown the token."""
    text = "the gateway's token is needed: it is in the file that the gateway named\n"
    return web.HTTPUnauthorized(text=text, headers={"WWW-Authenticate": 'Bearer realm="Mote"'})


def host_name(host: str) -> str:
    """Return the name or address of a Host header, without port and brackets, in small letters."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower().removesuffix(".")


def is_address(name: str) -> bool:
    """Return True for an IP address: no DNS has a say in it."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def load_token(path: Path) -> str:
    """Return the token of a file that only its owner reads; make the file when it is missing.

    Raises:
        ValueError: the file is shorter than a token.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        token = path.read_text().strip()
        if len(token) < 2 * TOKEN_BYTES:
            raise ValueError(f"{path} holds no token: remove it, a new one is made") from None
        return token
    token = secrets.token_hex(TOKEN_BYTES)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(token + "\n")
    return token
