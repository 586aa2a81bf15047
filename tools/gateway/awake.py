"""Observes the nodes that are awake, into the same store as the reports of those that sleep.

A node that registers is observed at what its links call observable below s/. Each notification of
a contact is followed by a request for the events since the last known number: so no event is lost
that the node still has, and each is stored once. Every five minutes the node has to respond; if it
does not, or ends an observation, all is begun anew, with growing pauses, until its registration
ends.
"""

import asyncio
import contextlib
import logging
import random
import re
from collections.abc import Callable

import aiocoap
import aiocoap.error

from . import intake, nodes, senml
from .contexts import Contexts
from .directory import ATTRIBUTE, LINK, Directory, Registration
from .hub import Hub
from .store import Store, StoreError

ALIVE_S = 300.0
RETRY_MIN_S, RETRY_MAX_S = 2.0, 300.0
LIMIT_S = 100.0  # a confirmable message is given up after 93 s
OBSERVED_MAX = 12  # resources of a node
PREFIX = "/s/"
EVENT_BYTES_MAX, EVENT_RECORDS_MAX = 16384, 1024
LEFT_OUT = ("/s/batch", "/s/accel")  # the same again; and what nobody looks up afterwards
CONTACTS = ("/s/contact", "/s/tamper")
EVENTS = "/s/contact/events"
EVENT = re.compile(r"(contact|tamper)/(\d+)")
log = logging.getLogger("gateway")


class Silent(Exception):
    """A node did not respond, or an observation has ended."""


class Awake:
    """Watches all nodes with a living registration.

    Args:
        now: returns the time, seconds since 1970.
    """

    def __init__(
        self,
        store: Store,
        contexts: Contexts,
        hub: Hub,
        now: Callable[[], float],
        pauses_s: tuple[float, float] = (RETRY_MIN_S, RETRY_MAX_S),
    ):
        self._store, self._contexts, self._hub, self._now = store, contexts, hub, now
        self._pauses_s = pauses_s
        self._tasks: dict[str, asyncio.Task] = {}
        self.directory: Directory | None = None
        self.context: aiocoap.Context | None = None

    def start(self, context: aiocoap.Context, directory: Directory) -> None:
        """Watch all nodes that have registered before."""
        self.context, self.directory = context, directory
        for one in directory.living():
            self.changed(one.ep)

    def changed(self, ep: str) -> None:
        """Begin anew with a node: it has registered, moved or left."""
        task = self._tasks.pop(ep, None)
        if task is not None:
            task.cancel()
        found = self._registration(ep)
        if found is not None and self.context is not None:
            self._tasks[ep] = asyncio.ensure_future(self._watch(found))

    async def stop(self) -> None:
        """End all observations."""
        tasks = list(self._tasks.values())
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def is_awake(self, ep: str) -> bool:
        """Return True if a node has a living registration."""
        return self._registration(ep) is not None

    async def request(
        self, node: nodes.Node, message: aiocoap.Message, limit_s: float = LIMIT_S
    ) -> aiocoap.Message:
        """Send a message to a node that is awake; return its response.

        Raises:
            Silent: it does not respond, has no registration, or none of its keys are known.
        """
        found = self._registration(node.ep)
        if found is None or self.context is None:
            raise Silent(f"{node.ep} is not awake")
        await self._use_keys(node, found.addr)
        path, query = message.opt.uri_path, message.opt.uri_query
        message.set_request_uri(f"coap://{found.addr}", set_uri_host=False)
        message.opt.uri_path, message.opt.uri_query = path, query
        try:
            return await asyncio.wait_for(self.context.request(message).response, limit_s)
        except (TimeoutError, aiocoap.error.Error, OSError) as error:
            raise Silent(f"{node.ep} does not respond: {error or 'in time'}") from None

    def _registration(self, ep: str) -> Registration | None:
        living = self.directory.living() if self.directory is not None else []
        return next((one for one in living if one.ep == ep), None)

    async def _use_keys(self, node: nodes.Node, addr: str) -> None:
        """Have what goes to an address protected by the keys of its node. Raises Silent."""
        assert self.context is not None
        place = f"coap://{addr}/*"
        rows = self._store.read(
            "SELECT kid, id_context FROM key WHERE node = ? AND state = 'good' ORDER BY made DESC",
            (node.id,),
        )
        context = await self._contexts.prepare(rows[0]) if rows else None
        if context is not None:
            self.context.client_credentials[place] = context
        elif node.needs_key:
            raise Silent(f"{node.ep} has keys that this gateway does not know")
        else:
            self.context.client_credentials.pop(place, None)

    async def _watch(self, registration: Registration) -> None:
        """Observe a node until its registration ends."""
        pause_s, longest_s = self._pauses_s
        while self._registration(registration.ep) is not None:
            began_s = asyncio.get_running_loop().time()
            try:
                await self._observe_all(registration)
            except (Silent, StoreError) as why:
                log.info("%s: %s", registration.ep, why)
            if asyncio.get_running_loop().time() - began_s > longest_s:
                pause_s = self._pauses_s[0]
            await asyncio.sleep(pause_s * random.uniform(0.8, 1.2))
            pause_s = min(2 * pause_s, longest_s)

    async def _observe_all(self, registration: Registration) -> None:
        """Observe all resources; raises Silent as soon as one observation has ended."""
        node = self._node(registration.ep)
        paths = observable(registration.links)
        async with contextlib.AsyncExitStack() as stack:
            tasks = [asyncio.ensure_future(self._observe(node, path)) for path in paths]
            tasks.append(asyncio.ensure_future(self._stay(node)))
            stack.callback(lambda: [task.cancel() for task in tasks])
            await self._fetch_events(node, registration.links)
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()

    async def _observe(self, node: nodes.Node, path: str) -> None:
        message = aiocoap.Message(code=aiocoap.GET, observe=0, accept=senml.SENML_CBOR)
        message.opt.uri_path = tuple(path[1:].split("/"))
        registration = self._registration(node.ep)
        if registration is None or self.context is None:
            raise Silent("the registration has ended")
        await self._use_keys(node, registration.addr)
        split = message.opt.uri_path
        message.set_request_uri(f"coap://{registration.addr}", set_uri_host=False)
        message.opt.uri_path = split
        asked = self.context.request(message)
        try:
            first = await asyncio.wait_for(asked.response, LIMIT_S)
            await self._take(node, path, first)
            if first.opt.observe is None or asked.observation is None:
                raise Silent(f"{path} cannot be observed now")
            async for notification in asked.observation:
                await self._take(node, path, notification)
            raise Silent(f"the observation of {path} has ended")
        except (TimeoutError, aiocoap.error.Error, OSError) as error:
            raise Silent(f"{path}: {error or 'no response'}") from None
        finally:
            if asked.observation is not None and not asked.observation.cancelled:
                asked.observation.cancel()

    async def _stay(self, node: nodes.Node) -> None:
        """Ask the node again and again whether it is there. Raises Silent when it is not."""
        while True:
            message = aiocoap.Message(code=aiocoap.GET, uri_path=("dev",))
            await self.request(node, message)
            await self._store.write(intake.store_heard, node.id, self._now(), ALIVE_S)
            self._hub.publish("node", node.id, {"heard": self._now()})
            await asyncio.sleep(ALIVE_S)

    async def _take(self, node: nodes.Node, path: str, response: aiocoap.Message) -> None:
        """Store what a response or a notification tells."""
        if not response.code.is_successful():
            raise Silent(f"{path}: {response.code.dotted}")
        try:
            pack = senml.decode(response.payload)
        except ValueError as error:
            log.warning("%s%s: %s", node.ep, path, error)
            return
        wanted = path.removeprefix(PREFIX)
        pack = pack._replace(records=[one for one in pack.records if one.name == wanted])
        told = await self._store.write(intake.store_values, node.id, pack, self._now())
        await self._store.write(intake.store_heard, node.id, self._now(), ALIVE_S)
        for one in told:
            self._hub.publish("value", node.id, {"path": one})
        if path in CONTACTS and response.opt.observe is not None:
            await self._fetch_events(node, f"<{EVENTS}>")

    async def _fetch_events(self, node: nodes.Node, text: str) -> None:
        """Ask for the events after the last known one, and store them."""
        if f"<{EVENTS}>" not in text:
            return
        rows = self._store.read(
            "SELECT epoch, number FROM event WHERE node = ? AND source != 'row'"
            " ORDER BY id DESC LIMIT 1",
            (node.id,),
        )
        epoch, since = rows[0] if rows else ("", None)
        pack, told = await self._events_since(node, since)
        if told != epoch and since is not None:  # its numbers began again
            pack, told = await self._events_since(node, None)
            since = None
        events = listed(pack)
        missing = (events[0].number - since - 1) % intake.MODULUS if events and since else 0
        pack = pack._replace(records=[senml.Record("lost", "", missing, 0)])
        stored = await self._store.write(
            intake.store_told, node.id, told, pack, events, self._now()
        )
        for event in stored:
            self._hub.publish("event", node.id, event)

    async def _events_since(self, node: nodes.Node, since: int | None) -> tuple[senml.Pack, str]:
        """Return the events of a node after a number, and the epoch of their numbers."""
        message = aiocoap.Message(code=aiocoap.GET, accept=senml.SENML_CBOR)
        message.opt.uri_path = tuple(EVENTS[1:].split("/"))
        if since is not None:
            message.opt.uri_query = (f"since={since}",)
        response = await self.request(node, message)
        try:
            pack = senml.decode(response.payload, EVENT_BYTES_MAX, EVENT_RECORDS_MAX)
        except ValueError as error:
            raise Silent(f"{EVENTS}: {error}") from None
        keys = self._store.read(
            "SELECT kid FROM key WHERE node = ? AND state = 'good' ORDER BY made DESC", (node.id,)
        )
        kid = keys[0][0].hex() if keys else "open"
        return pack, f"{kid}-{pack.first('epoch') or ''}"

    def _node(self, ep: str) -> nodes.Node:
        rows = self._store.read(f"SELECT {nodes.COLUMNS} FROM node WHERE ep = ?", (ep,))
        if not rows:
            raise Silent(f"{ep} is not known")
        return nodes.Node(*rows[0])


def observable(text: str) -> list[str]:
    """Return the paths to observe among the links of a node."""
    found = []
    for target, attributes in LINK.findall(text):
        names = [name for name, _, _ in ATTRIBUTE.findall(attributes)]
        if "obs" in names and target.startswith(PREFIX) and target not in LEFT_OUT:
            found.append(target)
    return found[:OBSERVED_MAX]


def listed(pack: senml.Pack) -> list[intake.Event]:
    """Return the events of a response of /s/contact/events, oldest first."""
    found = []
    for one in pack.records:
        named = EVENT.fullmatch(one.name)
        if named:
            number = int(named[2]) % intake.MODULUS
            found.append(intake.Event(number, named[1], float(bool(one.value)), one.age_s))
    return sorted(found, key=lambda event: -event.age_s)
