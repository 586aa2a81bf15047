"""/q/EP/ID: what became of a request that waits for a node; and how such a request is kept.

Who has the operator's keys writes on the mirror at /n; the response 2.01 has the place of the
request below /q. GET tells its state and can be observed, DELETE takes it back.
"""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import aiocoap
import aiocoap.error
from aiocoap.numbers.codes import Code
from aiocoap.resource import ObservableResource, PathCapable

from . import mirror, queue, senml
from .contexts import OPERATOR, context_of
from .hub import Hub
from .nodes import Node
from .store import Store, StoreError

RETRY_S = 60
LEFT = ("done", "failed")  # states after which nothing happens any more


class Tickets(ObservableResource, PathCapable):
    """The resource /q. now: returns the time, seconds since 1970."""

    def __init__(self, store: Store, hub: Hub, now: Callable[[], float]):
        super().__init__()
        self._store, self._hub, self._now = store, hub, now
        self._observers: defaultdict[int, set] = defaultdict(set)  # by the ID of the request

    async def keep(self, request: aiocoap.Message, node: Node, path: str) -> aiocoap.Message:
        """Keep a request for a node that sleeps; return 2.01 with its place."""
        require_operator(request)
        method = request.code.name
        if method not in queue.METHODS or not path:
            raise aiocoap.error.UnallowedMethod
        if request.opt.uri_query:
            path += "?" + "&".join(request.opt.uri_query)
        row = (node.id, method, path, request.opt.content_format, request.payload, "coap")
        try:
            number = await self._store.write(queue.insert, *row, self._now())
        except queue.NotQueued as error:
            is_full = error.reason == "full"
            code = Code.SERVICE_UNAVAILABLE if is_full else Code.FORBIDDEN
            return aiocoap.Message(code=code, payload=str(error).encode())
        except StoreError:
            return aiocoap.Message(
                code=Code.SERVICE_UNAVAILABLE, payload=b"cannot store it", max_age=RETRY_S
            )
        self._hub.publish("wait", node.id, {"id": number})
        return aiocoap.Message(code=Code.CREATED, location_path=("q", node.ep, str(number)))

    async def render_get(self, request: aiocoap.Message) -> aiocoap.Message:
        """Respond with the state of a request: "waiting", "sent", "2.04", "4.00 why"."""
        require_operator(request)
        return self._content(*self._place(request))

    async def render_delete(self, request: aiocoap.Message) -> aiocoap.Message:
        """Take a request back."""
        require_operator(request)
        node, number = self._place(request)
        await self._store.write(queue.delete, node, number)
        self._hub.publish("wait", node, {"id": number})
        return aiocoap.Message(code=Code.DELETED)

    async def add_observation(self, request: aiocoap.Message, serverobservation: Any) -> None:
        """Accept an observer of a request."""
        try:
            require_operator(request)
            _, number = self._place(request)
        except aiocoap.error.RenderableError:
            serverobservation.accept(lambda: None)
            serverobservation.deregister()
            return
        self._observers[number].add(serverobservation)

        def end() -> None:
            self._observers[number].discard(serverobservation)
            if not self._observers[number]:
                del self._observers[number]

        serverobservation.accept(end)

    async def run(self) -> None:
        """Notify observers until cancelled."""
        while True:
            news = self._hub.subscribe()
            try:
                async for one in news:
                    if one.kind == "wait":
                        self._notify(one.node_id, one.data["id"])
            finally:
                news.close()

    def _notify(self, node: int, number: int) -> None:
        for observation in list(self._observers.get(number, ())):
            try:
                observation.trigger(self._content(node, number))
            except aiocoap.error.NotFound:
                observation.trigger(
                    aiocoap.Message(code=Code.NOT_FOUND, payload=b"taken back"), is_last=True
                )

    def _place(self, request: aiocoap.Message) -> tuple[int, int]:
        """Return the ID of a node and that of its request. Raises NotFound."""
        path = request.opt.uri_path
        if len(path) == 2 and path[1].isdecimal() and len(path[1]) < 16:
            rows = self._store.read(
                "SELECT node.id, wait.id FROM wait JOIN node ON node.id = wait.node"
                " WHERE node.ep = ? AND wait.id = ?",
                (path[0], int(path[1])),
            )
            if rows:
                return rows[0]
        raise aiocoap.error.NotFound("no such request")

    def _content(self, node: int, number: int) -> aiocoap.Message:
        rows = self._store.read(
            "SELECT state, result FROM wait WHERE node = ? AND id = ?", (node, number)
        )
        if not rows:
            raise aiocoap.error.NotFound("no such request")
        state, result = rows[0]
        text = result if state in LEFT else state
        return mirror.content(text.encode(), senml.TEXT, 0)


def require_operator(request: aiocoap.Message) -> None:
    """Raise Unauthorized unless a request came under the operator's keys."""
    context = context_of(request.remote)
    if context is None:
        raise aiocoap.error.Unauthorized("needs the operator's keys")
    if context.node != OPERATOR:
        raise aiocoap.error.Forbidden("these are a node's keys")
