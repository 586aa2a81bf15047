"""The API of the nodes: `/api/nodes` and what is below it, in JSON."""

import time
from collections.abc import Callable
from typing import Any

from aiohttp import web

from . import history, queue
from .bodies import bad_request, body_of, number_of, payload_of, respond, table, text_of
from .cards import Forecasts, cards
from .hub import Hub
from .label import label_svg
from .store import Store

TITLE_MAX = 60
PATH_MAX = 255
DAY_S = 86400
FOREVER_S = 1e12
LAST_MAX = 1000
NUMBER = "[0-9]{1,15}"


class Api:
    """The handlers of the API.

    Args:
        store: the gateway's store.
        hub: is told what a request changes.
        address: host and port for the labels, where clients reach the CoAP server.
        clock: seconds since 1970; an argument for tests.
    """

    def __init__(
        self, store: Store, hub: Hub, address: str, clock: Callable[[], float] = time.time
    ):
        self.store = store
        self.hub = hub
        self.address = address
        self.clock = clock
        self.forecasts = Forecasts(store)

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of the handlers."""
        node = f"/api/nodes/{{id:{NUMBER}}}"
        waiting = f"{node}/queue/{{number:{NUMBER}}}"
        return [
            web.get("/api/nodes", self.nodes),
            web.get("/api/lanes", self.lanes),
            web.get(node, self.node),
            web.patch(node, self.change),
            web.delete(node, self.remove),
            web.get(node + "/history", self.curve),
            web.get(node + "/history.csv", self.curve_csv),
            web.get(node + "/events", self.events),
            web.get(node + "/events.csv", self.event_csv),
            web.get(node + "/label.svg", self.label),
            web.get(node + "/queue", self.queue),
            web.post(node + "/queue", self.enqueue),
            web.get(waiting, self.queued),
            web.delete(waiting, self.unqueue),
        ]

    async def nodes(self, request: web.Request) -> web.Response:
        """List the nodes."""
        return respond(cards(self.store, self.forecasts, self.clock()))

    async def node(self, request: web.Request) -> web.Response:
        """Tell what is known of one node, with the names of its readings and its gaps."""
        card = self._card(request)
        where = (card["id"],)
        names = self.store.read(
            "SELECT name FROM reading WHERE node = ? UNION SELECT name FROM daily WHERE node = ?",
            where * 2,
        )
        gaps = self.store.read(
            "SELECT after, missing, heard FROM gap WHERE node = ? ORDER BY heard", where
        )
        card["names"] = sorted(row[0] for row in names)
        card["gaps"] = [dict(zip(("after", "missing", "heard"), row, strict=True)) for row in gaps]
        return respond(card)

    async def change(self, request: web.Request) -> web.Response:
        """Adopt a node, or give it a title."""
        card = self._card(request)
        body = await body_of(request)
        unknown = set(body) - {"state", "title"}
        if unknown or not body:
            raise bad_request("state and title can be changed")
        if body.get("state", "adopted") != "adopted":
            raise bad_request('state takes "adopted"; DELETE removes a node')
        if "title" in body:
            title = text_of(body, "title").strip()
            if len(title) > TITLE_MAX or not title.isprintable():
                raise bad_request(f"a title has at most {TITLE_MAX} characters, on one line")
            body["title"] = title
        state, title = body.get("state"), body.get("title")

        def write(connection: Any) -> None:
            if state is not None:
                connection.execute("UPDATE node SET state = ? WHERE id = ?", (state, card["id"]))
            if title is not None:
                connection.execute("UPDATE node SET title = ? WHERE id = ?", (title, card["id"]))

        await self.store.write(write)
        self.hub.publish("node", card["id"], {"state": state or card["state"]})
        return respond(self._card(request))

    async def remove(self, request: web.Request) -> web.Response:
        """Remove a node: it is gone until it reports again, and then it is new."""
        card = self._card(request)

        def write(connection: Any) -> None:
            connection.execute("UPDATE node SET state = 'gone' WHERE id = ?", (card["id"],))
            connection.execute("DELETE FROM wait WHERE node = ?", (card["id"],))

        await self.store.write(write)
        self.hub.publish("node", card["id"], {"state": "gone"})
        return web.Response(status=204)

    async def curve(self, request: web.Request) -> web.Response:
        """Tell the course of one reading."""
        return respond(history.curve(*self._span(request)))

    async def curve_csv(self, request: web.Request) -> web.Response:
        """Send the course of one reading as a table."""
        return table(self._card(request)["ep"], history.curve_csv(*self._span(request)))

    async def events(self, request: web.Request) -> web.Response:
        """List events, oldest first: those after one, of a span, or the `last` ones."""
        card = self._card(request)
        count = int(number_of(request, "last", 0))
        if count > 0:
            return respond(history.newest_events(self.store, card["id"], min(count, LAST_MAX)))
        after = int(number_of(request, "after", 0))
        from_s = number_of(request, "from", 0)
        to_s = number_of(request, "to", FOREVER_S)
        return respond(history.events(self.store, card["id"], after, from_s, to_s))

    async def lanes(self, request: web.Request) -> web.Response:
        """Tell when the contacts of all adopted nodes, or of one, were open."""
        to_s = number_of(request, "to", self.clock())
        from_s = number_of(request, "from", to_s - DAY_S)
        wanted = int(number_of(request, "node", 0)) or None
        found = []
        for card in cards(self.store, self.forecasts, self.clock(), wanted):
            if "since" in card and (wanted or card["state"] == "adopted"):
                told = history.lane(self.store, card["id"], from_s, to_s)
                known = card["heard"] if card["overdue"] else None
                found.append({"node": card["id"], "title": card["title"], "known": known, **told})
        return respond(found)

    async def event_csv(self, request: web.Request) -> web.Response:
        """Send all events as a table."""
        card = self._card(request)
        after = int(number_of(request, "after", 0))
        return table(card["ep"], history.event_csv(self.store, card["id"], after))

    async def label(self, request: web.Request) -> web.Response:
        """Draw the label of a node."""
        card = self._card(request)
        drawing = label_svg(self.address, card["ep"], card["title"])
        return web.Response(text=drawing, content_type="image/svg+xml")

    async def queue(self, request: web.Request) -> web.Response:
        """List what waits for a node."""
        return respond(queue.listed(self.store, self._card(request)["id"]))

    async def enqueue(self, request: web.Request) -> web.Response:
        """Keep a request for a node: `{"method", "path", "payload"}`."""
        card = self._card(request)
        body = await body_of(request)
        method, path = text_of(body, "method"), text_of(body, "path").strip("/")
        if method not in queue.METHODS or not path or len(path.encode()) > PATH_MAX:
            raise bad_request(f"method takes {', '.join(queue.METHODS)}; path names a resource")
        payload, content_format = payload_of(body)
        row = (card["id"], method, path, content_format, payload, "page", self.clock())
        try:
            number = await self.store.write(queue.insert, *row)
        except queue.NotQueued as error:
            raise web.HTTPConflict(text=f"{error}\n") from None
        self.hub.publish("wait", card["id"], {"id": number})
        place = f"/api/nodes/{card['id']}/queue/{number}"
        return respond({"id": number, "state": "waiting"}, 201, {"Location": place})

    async def queued(self, request: web.Request) -> web.Response:
        """Tell what became of one request."""
        number = int(request.match_info["number"])
        for found in queue.listed(self.store, self._card(request)["id"]):
            if found["id"] == number:
                return respond(found)
        raise web.HTTPNotFound(text="no such request\n")

    async def unqueue(self, request: web.Request) -> web.Response:
        """Forget one request."""
        card = self._card(request)
        number = int(request.match_info["number"])
        if not await self.store.write(queue.delete, card["id"], number):
            raise web.HTTPNotFound(text="no such request\n")
        self.hub.publish("wait", card["id"], {"id": number})
        return web.Response(status=204)

    def _card(self, request: web.Request) -> dict[str, Any]:
        number = int(request.match_info["id"])
        found = cards(self.store, self.forecasts, self.clock(), number)
        if not found:
            raise web.HTTPNotFound(text="no such node\n")
        return found[0]

    def _span(self, request: web.Request) -> tuple[Any, int, str, float, float, int]:
        card = self._card(request)
        name = request.query.get("name", "")
        if not name:
            raise bad_request("name=NAME says which reading")
        to_s = number_of(request, "to", self.clock())
        from_s = number_of(request, "from", to_s - DAY_S)
        points = int(number_of(request, "points", history.POINTS))
        return self.store, card["id"], name, from_s, to_s, points
