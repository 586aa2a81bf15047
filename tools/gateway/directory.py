"""The resource directory (RFC 9176), kept in the table `reg`, so that it survives a restart.

POST /rd and /.well-known/rd register, /reg/N is a registration, /lookup/ep and /lookup/res find.
The address of a node is that which its registration came from. Nodes that sleep register nothing:
they are listed with the mirror as their base.
"""

import re
import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import aiocoap
import aiocoap.error
from aiocoap.numbers.codes import Code
from aiocoap.resource import PathCapable, Resource
from aiocoap.util import hostportsplit

from . import nodes, senml
from .contexts import context_of
from .mirror import links, matches
from .store import Store, StoreError

LT_S, LT_MIN_S, LT_MAX_S = 90000, 60, 0xFFFFFFFF
PER_HOST = 64
IN_ALL = 2000
LINKS_MAX = 8192
BASE_MAX = 255
PAGE = 50
LINK = re.compile(r'<([^>]*)>((?:;[^,;="]+(?:=(?:"(?:[^"\\]|\\.)*"|[^",;]*))?)*)')
ATTRIBUTE = re.compile(r';([^,;="]+)(?:=(?:"((?:[^"\\]|\\.)*)"|([^",;]*)))?')
# Lookups put these into links as they are: they must not end one, and begin another node's
SAFE = r'(?:(?!["\\<>,;])[!-~])'
SECTOR = re.compile(f"{SAFE}{{0,63}}")
BASE = re.compile(f"(?:[a-z][a-z0-9+.-]*://{SAFE}+)?")
COLUMNS = "href, ep, d, lt, base, links, until, addr"


class Registration(NamedTuple):
    """A row of `reg`; until: seconds since 1970; addr: where it came from."""

    href: str
    ep: str
    d: str
    lt: int
    base: str
    links: str
    until: float
    addr: str

    @property
    def place(self) -> str:
        """Return the URI that its links are relative to."""
        return self.base or f"coap://{self.addr}"


class Refused(Exception):
    """A registration that is not taken; code: of the response."""

    def __init__(self, code: Any, why: str):
        super().__init__(why)
        self.code = code


class Directory:
    """What the resources below share.

    Args:
        now: returns the time, seconds since 1970.
        on_change: called with the name of a node that has registered, or left.
        fetch: returns the links of a sender that has only announced itself.
    """

    def __init__(
        self,
        store: Store,
        now: Callable[[], float],
        on_change: Callable[[str], None],
        fetch: Callable[[Any], Awaitable[str]],
    ):
        self._store, self._now = store, now
        self._on_change, self._fetch = on_change, fetch

    def add_to(self, root: Any) -> None:
        """Add all resources to a site, and their links."""
        for path, resource in (
            (("rd",), Register(self)),
            ((".well-known", "rd"), Announce(self)),
            (("reg",), Entry(self)),
            (("lookup",), Lookup(self)),
        ):
            root.add_resource(path, resource)
        root.links += [
            '</rd>;rt="core.rd";ct=40',
            '</lookup/ep>;rt="core.rd-lookup-ep";ct=40',
            '</lookup/res>;rt="core.rd-lookup-res";ct=40',
        ]

    def living(self) -> list[Registration]:
        """Return the registrations that have not ended, by name."""
        rows = self._store.read(
            f"SELECT {COLUMNS} FROM reg WHERE until > ? ORDER BY ep", (self._now(),)
        )
        return [Registration(*row) for row in rows]

    async def announce(self, request: aiocoap.Message) -> aiocoap.Message:
        """Register a sender by the links that it has (simple registration, section 5.1)."""
        if request.payload:
            return failed(Code.BAD_REQUEST, "no payload here: POST links to /rd")
        return await self.register(request, await self._fetch(request.remote), Code.CHANGED)

    async def register(
        self, request: aiocoap.Message, text: str, code: Any = Code.CREATED
    ) -> aiocoap.Message:
        """Add or renew a registration."""
        wanted = dict(one.partition("=")[::2] for one in request.opt.uri_query)
        node = context_of(request.remote)
        args = (wanted, text, request.remote.hostinfo, node.node if node else None, self._now())
        try:
            href = await self._store.write(insert, *args)
        except Refused as why:
            return failed(why.code, str(why))
        except StoreError:
            return failed(Code.SERVICE_UNAVAILABLE, "cannot store it")
        self._on_change(wanted["ep"])
        if code != Code.CREATED:
            return aiocoap.Message(code=code)
        return aiocoap.Message(code=code, location_path=("reg", href))

    def find(self, request: aiocoap.Message) -> Registration:
        """Return the registration of a path, if the sender may change it.

        Raises NotFound, or Unauthorized.
        """
        path = request.opt.uri_path
        rows = self._store.read(
            f"SELECT {COLUMNS} FROM reg WHERE href = ? AND until > ?",
            ("/".join(path), self._now()),
        )
        if not rows:
            raise aiocoap.error.NotFound("no such registration")
        found = Registration(*rows[0])
        if request.code != Code.GET:
            context = context_of(request.remote)
            try:
                require_owner(
                    self._store.read, found.ep, None if context is None else context.node
                )
            except Refused as why:
                raise aiocoap.error.Unauthorized(str(why)) from None
        return found

    async def renew(self, request: aiocoap.Message) -> aiocoap.Message:
        """Prolong a registration (section 5.3.1); its address is that of the sender now."""
        found = self.find(request)
        wanted = dict(one.partition("=")[::2] for one in request.opt.uri_query)
        try:
            lt_s = lifetime(wanted, found.lt)
            base = base_of(wanted, found.base)
        except Refused as why:
            return failed(why.code, str(why))
        addr = request.remote.hostinfo

        def update(connection: sqlite3.Connection) -> None:
            connection.execute(
                "UPDATE reg SET lt = ?, until = ?, addr = ?, base = ? WHERE href = ?",
                (lt_s, self._now() + lt_s, addr, base, found.href),
            )

        try:
            await self._store.write(update)
        except StoreError:
            return failed(Code.SERVICE_UNAVAILABLE, "cannot store it")
        if addr != found.addr:
            self._on_change(found.ep)
        return aiocoap.Message(code=Code.CHANGED)

    async def remove(self, request: aiocoap.Message) -> aiocoap.Message:
        """End a registration."""
        found = self.find(request)

        def delete(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM reg WHERE href = ?", (found.href,))

        try:
            await self._store.write(delete)
        except StoreError:
            return failed(Code.SERVICE_UNAVAILABLE, "cannot store it")
        self._on_change(found.ep)
        return aiocoap.Message(code=Code.DELETED)

    def endpoints(self, place: str) -> list[tuple[dict[str, str], str]]:
        """Return (attributes, link) of all endpoints, those that sleep too.

        place: host and port of the gateway, as the client has reached it.
        """
        found = []
        for one in self.living():
            told = {"ep": one.ep, "base": one.place, "href": f"/reg/{one.href}"}
            told |= {"lt": str(one.lt), "rt": "core.rd-ep", **({"d": one.d} if one.d else {})}
            found.append((told, endpoint_link(told)))
        for ep in self._asleep():
            told = {"ep": ep, "base": f"coap://{place}/n/{ep}", "href": f"/n/{ep}"}
            told |= {"rt": "core.rd-ep mote.node"}
            found.append((told, endpoint_link(told)))
        return found

    def resources(self, place: str) -> list[tuple[dict[str, str], str]]:
        """Return (attributes, link) of all resources; of nodes that sleep those of the mirror."""
        found = []
        for one in self.living():
            base = one.place
            for target, attributes in LINK.findall(one.links):
                told = {"ep": one.ep, "d": one.d, "href": target, "base": base, "lt": str(one.lt)}
                told |= {
                    name: quoted or word for name, quoted, word in ATTRIBUTE.findall(attributes)
                }
                full = base + target if target.startswith("/") else target
                found.append((told, f"<{full}>{attributes}"))
        for ep in self._asleep():
            rows = self._store.read(
                "SELECT path FROM last JOIN node ON node.id = node WHERE ep = ? ORDER BY path",
                (ep,),
            )
            for (path,) in rows:
                told = {"ep": ep, "href": f"/{path}", "base": f"coap://{place}/n/{ep}", "obs": ""}
                found.append((told, f"<coap://{place}/n/{ep}/{path}>;obs"))
        return found

    def _asleep(self) -> list[str]:
        """Return the names of the adopted nodes that have no living registration."""
        awake = {one.ep for one in self.living()}
        rows = self._store.read("SELECT ep FROM node WHERE state = 'adopted' ORDER BY ep")
        return [ep for (ep,) in rows if ep not in awake]


class Register(Resource):
    """/rd."""

    def __init__(self, directory: Directory):
        super().__init__()
        self._directory = directory

    async def render_post(self, request: aiocoap.Message) -> aiocoap.Message:
        """Register a node with the links in the payload."""
        if request.opt.content_format not in (None, senml.LINKS):
            return failed(Code.UNSUPPORTED_CONTENT_FORMAT, "")
        return await self._directory.register(request, request.payload.decode("utf-8", "replace"))


class Announce(Resource):
    """/.well-known/rd."""

    def __init__(self, directory: Directory):
        super().__init__()
        self._directory = directory

    async def render_post(self, request: aiocoap.Message) -> aiocoap.Message:
        """Register the sender."""
        return await self._directory.announce(request)


class Entry(Resource, PathCapable):
    """/reg/N."""

    def __init__(self, directory: Directory):
        super().__init__()
        self._directory = directory

    async def render_get(self, request: aiocoap.Message) -> aiocoap.Message:
        """Respond with the links of a registration."""
        return links([self._directory.find(request).links])

    async def render_post(self, request: aiocoap.Message) -> aiocoap.Message:
        """Prolong it."""
        return await self._directory.renew(request)

    async def render_delete(self, request: aiocoap.Message) -> aiocoap.Message:
        """End it."""
        return await self._directory.remove(request)


class Lookup(Resource, PathCapable):
    """/lookup/ep and /lookup/res; filters by any attribute, pages by page= and count=."""

    def __init__(self, directory: Directory):
        super().__init__()
        self._directory = directory

    async def render_get(self, request: aiocoap.Message) -> aiocoap.Message:
        """Respond with the links that the queries select (section 6)."""
        kinds = {("ep",): self._directory.endpoints, ("res",): self._directory.resources}
        kind = kinds.get(request.opt.uri_path)
        if kind is None:
            raise aiocoap.error.NotFound
        wanted = dict(one.partition("=")[::2] for one in request.opt.uri_query)
        try:
            count = max(int(wanted.pop("count", PAGE)), 1)
            begin = int(wanted.pop("page", 0)) * count
        except ValueError:
            raise aiocoap.error.BadRequest("page and count are numbers") from None
        found = [
            link
            for told, link in kind(str(request.remote.hostinfo_local))
            if all(
                name in told and matches(value, [told[name], *told[name].split()])
                for name, value in wanted.items()
            )
        ]
        return links(found[begin : begin + count])


def insert(
    connection: sqlite3.Connection,
    wanted: dict[str, str],
    text: str,
    addr: str,
    key_node: int | None,
    now_s: float,
) -> str:
    """Store a registration and its node; return its path below /reg. Raises Refused."""
    ep, d = wanted.get("ep", ""), wanted.get("d", "")
    if not nodes.NAME.fullmatch(ep) or not SECTOR.fullmatch(d):
        raise Refused(
            Code.BAD_REQUEST, "ep and d are names of at most 63 letters, digits, dots, dashes"
        )
    base = base_of(wanted, "")
    if len(text) > LINKS_MAX:
        raise Refused(Code.REQUEST_ENTITY_TOO_LARGE, f"at most {LINKS_MAX} bytes of links")
    lt_s = lifetime(wanted, LT_S)
    require_owner(lambda sql, args: connection.execute(sql, args).fetchall(), ep, key_node)
    connection.execute("DELETE FROM reg WHERE until <= ?", (now_s,))
    known = connection.execute("SELECT href FROM reg WHERE ep = ? AND d = ?", (ep, d)).fetchone()
    if known is None:
        # an address has no port where it is 5683
        host = hostportsplit(addr)[0]
        hosts = [hostportsplit(one)[0] for (one,) in connection.execute("SELECT addr FROM reg")]
        if hosts.count(host) >= PER_HOST or len(hosts) >= IN_ALL:
            raise Refused(Code.SERVICE_UNAVAILABLE, "too many registrations")
        (last,) = connection.execute("SELECT max(CAST(href AS INTEGER)) FROM reg").fetchone()
        known = (str((last or 0) + 1),)
    connection.execute(
        "INSERT OR REPLACE INTO reg VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (known[0], ep, d, lt_s, base, text, now_s + lt_s, addr),
    )
    node = nodes.get(connection, "ep = ?", ep)
    if node is None:
        nodes.make_room(connection)
        nodes.add(connection, ep, None)
    elif node.state == "gone":
        connection.execute("UPDATE node SET state = 'new' WHERE id = ?", (node.id,))
    return known[0]


def require_owner(read: Callable[..., list], ep: str, key_node: int | None) -> None:
    """Raise Refused unless a registration of this name may come under these keys, or none."""
    rows = read("SELECT id, needs_key FROM node WHERE ep = ?", (ep,))
    if rows and rows[0][1] and rows[0][0] != key_node:
        raise Refused(Code.UNAUTHORIZED, f"{ep} has keys")
    if key_node is not None and (not rows or rows[0][0] != key_node):
        raise Refused(Code.UNAUTHORIZED, f"these are not the keys of {ep}")


def lifetime(wanted: dict[str, str], default_s: int) -> int:
    """Return the lifetime that a registration asks for, in seconds. Raises Refused."""
    text = wanted.get("lt", str(default_s))
    if not text.isdecimal() or not LT_MIN_S <= int(text) <= LT_MAX_S:
        raise Refused(Code.BAD_REQUEST, f"lt is {LT_MIN_S} to {LT_MAX_S}")
    return int(text)


def base_of(wanted: dict[str, str], default: str) -> str:
    """Return the base URI that a registration asks for. Raises Refused."""
    base = wanted.get("base", default)
    if len(base) > BASE_MAX or not BASE.fullmatch(base):
        raise Refused(Code.BAD_REQUEST, "base is like coap://192.0.2.1:5683")
    return base


def endpoint_link(told: dict[str, str]) -> str:
    """Return the link of an endpoint (section 6.4)."""
    names = ("ep", "base", "d", "lt", "rt")
    rest = "".join(f';{name}="{told[name]}"' for name in names if name in told)
    return f"<{told['href']}>{rest}"


def failed(code: Any, why: str) -> aiocoap.Message:
    """Return an error response."""
    return aiocoap.Message(code=code, payload=why.encode())
