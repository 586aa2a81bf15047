"""/n: the last value of every resource that a node ever told, at any time.

GET /n/EP/PATH responds with the value, how old it is, and for how long it is the newest: until the
node's next report. Of an overdue node it responds with 5.04, or the value with ?stale. Observers
are sent values only, since an error would end their observation for good (RFC 7641 section 4.2);
who wants to know that a node is overdue observes /n/EP/state.
"""

import asyncio
import hashlib
import json
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Any

import aiocoap
import aiocoap.error
from aiocoap.numbers.codes import Code
from aiocoap.resource import ObservableResource, PathCapable

from . import nodes, senml
from .hub import Hub
from .nodes import Node
from .store import Store

MAX_AGE_S = 86400
OBSERVED_S = 86400  # at least so often a notification shows that an observer still listens
TICK_S = 5
STATE = "state"
PAGE = 50  # nodes in a listing, unless ?count= says otherwise
Send = Callable[[aiocoap.Message, Node, str], Awaitable[aiocoap.Message]]


class Mirror(ObservableResource, PathCapable):
    """The resource /n.

    Args:
        now: returns the time, seconds since 1970.
        send: handles a request with another method than GET: (request, node, path).
        may_read: returns True if the sender of a request may see the values.
    """

    def __init__(
        self,
        store: Store,
        hub: Hub,
        now: Callable[[], float],
        send: Send,
        may_read: Callable[[aiocoap.Message], bool],
    ):
        super().__init__()
        self._store, self._hub, self._now = store, hub, now
        self._send, self._may_read = send, may_read
        # {(id of the node, path): {observation: (its Accept, when it was notified last)}}
        self._observers: defaultdict[tuple[int, str], dict] = defaultdict(dict)
        self._overdue: set[int] = set()

    async def render(self, request: aiocoap.Message) -> aiocoap.Message:
        """Respond to a request of any method."""
        if not self._may_read(request):
            raise aiocoap.error.Unauthorized("needs keys")
        path = request.opt.uri_path
        if not path or path == ("",):
            if request.code != Code.GET:
                raise aiocoap.error.UnallowedMethod
            return self._listing(request.opt.uri_query)
        node = self._node(path[0])
        rest = "/".join(path[1:])
        if request.code != Code.GET:
            return await self._send(request, node, rest)
        if not rest:
            return links(self._links_of(node))
        return self._get(request, node, rest)

    async def add_observation(self, request: aiocoap.Message, serverobservation: Any) -> None:
        """Accept an observer of a value or of a node's state."""
        path = request.opt.uri_path
        rows = self._store.read("SELECT id FROM node WHERE ep = ? AND state != 'gone'", path[:1])
        rest = "/".join(path[1:])
        if not rows or not rest or request.code != Code.GET or not self._may_read(request):
            serverobservation.accept(lambda: None)
            serverobservation.deregister()
            return
        key = (rows[0][0], rest)
        self._observers[key][serverobservation] = (request.opt.accept, self._now())

        def end() -> None:
            self._observers[key].pop(serverobservation, None)
            if not self._observers[key]:
                del self._observers[key]

        serverobservation.accept(end)

    def observers(self) -> int:
        """Return the number of observers."""
        return sum(len(one) for one in self._observers.values())

    async def run(self) -> None:
        """Notify observers until cancelled: of new values, and of nodes that become overdue."""
        self._overdue = self._find_overdue()
        while True:
            news = self._hub.subscribe()
            ticker = asyncio.create_task(self._tick())
            try:
                async for one in news:
                    if one.kind == "value":
                        self._notify(one.node_id, one.data["path"])
                    elif one.kind == "node" and "heard" in one.data:
                        self._overdue.discard(one.node_id)
                        self._notify(one.node_id, STATE)
            finally:
                ticker.cancel()
                news.close()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            overdue = self._find_overdue()
            for node in overdue - self._overdue:
                self._hub.publish("node", node, {"overdue": True})
                self._notify(node, STATE)
            self._overdue = overdue
            for key, found in list(self._observers.items()):
                if any(self._now() - at >= OBSERVED_S for _, at in found.values()):
                    self._notify(*key)

    def _find_overdue(self) -> set[int]:
        rows = self._store.read(
            "SELECT id FROM node WHERE state = 'adopted' AND ? > heard + ? * beat_s + ?",
            (self._now(), nodes.LATE_BEATS, nodes.LATE_S),
        )
        return {row[0] for row in rows}

    def _notify(self, node_id: int, path: str) -> None:
        found = self._observers.get((node_id, path))
        if not found:
            return
        row = self._store.read(f"SELECT {nodes.COLUMNS} FROM node WHERE id = ?", (node_id,))
        if not row:
            return
        made: dict[int | None, aiocoap.Message] = {}
        for observation, (accept, _) in list(found.items()):
            if accept not in made:
                made[accept] = self._content(Node(*row[0]), path, accept)
            observation.trigger(made[accept].copy())
            found[observation] = (accept, self._now())

    def _node(self, ep: str) -> Node:
        rows = self._store.read(
            f"SELECT {nodes.COLUMNS} FROM node WHERE ep = ? AND state != 'gone'", (ep,)
        )
        if not rows:
            raise aiocoap.error.NotFound("no such node")
        return Node(*rows[0])

    def _get(self, request: aiocoap.Message, node: Node, path: str) -> aiocoap.Message:
        response = self._content(node, path, request.opt.accept)
        wants_stale = "stale" in request.opt.uri_query or request.opt.observe == 0
        if path != STATE and node.is_overdue(self._now()) and not wants_stale:
            ago = duration(self._now() - (node.heard or 0))
            value = self._content(node, path, senml.TEXT).payload.decode()
            text = f"last heard {ago} ago: {value}"
            return aiocoap.Message(code=Code.GATEWAY_TIMEOUT, payload=text.encode(), max_age=0)
        if response.opt.etag in request.opt.etags:
            return aiocoap.Message(
                code=Code.VALID, etag=response.opt.etag, max_age=response.opt.max_age
            )
        return response

    def _content(self, node: Node, path: str, accept: int | None) -> aiocoap.Message:
        """Return a 2.05 with the value at a path. Raises NotFound, NotAcceptable."""
        if path == STATE:
            return self._state(node, accept)
        rows = self._store.read(
            "SELECT value, unit, at, format FROM last WHERE node = ? AND path = ?",
            (node.id, path),
        )
        if not rows:
            raise aiocoap.error.NotFound("the node has not told it yet")
        value, unit, at_s, as_told = rows[0]
        if as_told is not None:
            if accept not in (None, as_told):
                raise aiocoap.error.NotAcceptable
            return content(value.encode(), as_told, MAX_AGE_S)
        if accept not in (None, *senml.VALUE_FORMATS):
            raise aiocoap.error.NotAcceptable
        form = senml.TEXT if accept is None else int(accept)
        name = path.removeprefix("s/")
        payload = senml.encode(form, name, node.eui or "", name, unit, value, at_s)
        due_s = node.due_s or 0
        return content(payload, form, min(max(int(due_s - self._now()), 0), MAX_AGE_S))

    def _state(self, node: Node, accept: int | None) -> aiocoap.Message:
        now_s = self._now()
        state = "overdue" if node.is_overdue(now_s) else "on time" if node.heard else "not heard"
        if accept in (None, senml.TEXT):
            text = state
            if node.heard:
                text += f", heard {duration(now_s - node.heard)} ago"
            return content(text.encode(), senml.TEXT, 0)
        if accept != senml.JSON:
            raise aiocoap.error.NotAcceptable
        told = {"state": state, "heard": node.heard, "due": node.due_s}
        return content(json.dumps(told).encode(), senml.JSON, 0)

    def _links_of(self, node: Node) -> list[str]:
        rows = self._store.read(
            "SELECT path, format FROM last WHERE node = ? ORDER BY path", (node.id,)
        )
        every = '"' + " ".join(map(str, senml.VALUE_FORMATS)) + '"'
        found = [
            f"</n/{node.ep}/{path}>;ct={every if form is None else form};obs"
            for path, form in rows
        ]
        return [*found, f'</n/{node.ep}/{STATE}>;ct="0 50";obs']

    def _listing(self, queries: tuple[str, ...]) -> aiocoap.Message:
        """Return links to the nodes; filters rt= and ep=, pages by page= and count=."""
        wanted = {name: value for name, _, value in (one.partition("=") for one in queries)}
        try:
            count = max(int(wanted.get("count", PAGE)), 1)
            begin = int(wanted.get("page", 0)) * count
        except ValueError:
            raise aiocoap.error.BadRequest("page and count are numbers") from None
        found = [
            link
            for ep, words, link in self.node_links()
            if matches(wanted.get("ep"), [ep]) and matches(wanted.get("rt"), words)
        ]
        return links(found[begin : begin + count])

    def node_links(self) -> list[tuple[str, list[str], str]]:
        """Return (ep, words of rt, link) of each node that is not gone."""
        rows = self._store.read("SELECT ep, kind FROM node WHERE state != 'gone' ORDER BY ep")
        found = []
        for ep, kind in rows:
            words = ["mote.node", *([f"mote.{kind}"] if kind else [])]
            found.append((ep, words, f'</n/{ep}>;rt="{" ".join(words)}";ct=40'))
        return found


def matches(wanted: str | None, words: list[str]) -> bool:
    """Return True if a filter of RFC 6690, `*` at its end for any rest, selects one of words."""
    if wanted is None:
        return True
    if wanted.endswith("*"):
        return any(word.startswith(wanted[:-1]) for word in words)
    return wanted in words


def content(payload: bytes, form: int, max_age_s: int) -> aiocoap.Message:
    """Return a 2.05 with its ETag."""
    tag = hashlib.sha256(bytes([form]) + payload).digest()[:8]
    return aiocoap.Message(
        code=Code.CONTENT, payload=payload, content_format=form, max_age=max_age_s, etag=tag
    )


def links(found: list[str]) -> aiocoap.Message:
    """Return links as a 2.05 in the CoRE Link Format."""
    return aiocoap.Message(
        code=Code.CONTENT, payload=",".join(found).encode(), content_format=senml.LINKS
    )


def duration(seconds: float) -> str:
    """Return a duration in words, by its two largest units: "2 h 10 min", "45 s"."""
    whole = max(int(seconds), 0)
    parts = []
    for name, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, whole = divmod(whole, size)
        if count or (name == "s" and not parts):
            parts.append(f"{count} {name}")
    return " ".join(parts[:2])
