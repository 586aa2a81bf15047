"""The CoAP server of the gateway: aiocoap, one socket, and what is served where.

The order of the transports matters: with "udp6" before "oscore" aiocoap would send a request to a
peer with keys in the clear.
"""

import asyncio
import errno
import random
import socket
from typing import Any

import aiocoap
import aiocoap.error
from aiocoap.numbers.codes import Code
from aiocoap.resource import Resource, Site
from aiocoap.transports.oscore import OSCOREAddress

from setup.console import Problem

from .contexts import Contexts, ProtectedSite, context_of
from .guard import Guard
from .mirror import Mirror, links

TRANSPORTS = ["oscore", "udp6"]
RECEIVE_BYTES = 4 << 20  # a thousand nodes may report at once when power comes back
CORE = (".well-known", "core")
EVERY = ("", "::", "0.0.0.0")
LEISURE_S = 1.0  # within which a request to a group is served
SUPPRESS_ALL = 26  # of the option No-Response (RFC 7967)


class Root(Site):
    """All resources of the gateway, and /.well-known/core."""

    def __init__(self, guard: Guard, contexts: Contexts):
        super().__init__()
        self._guard, self._contexts = guard, contexts
        self.mirror: Mirror | None = None
        self.reports: Resource | None = None
        self.links: list[str] = []  # of what is no node

    async def render_to_pipe(self, pipe: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Refuse what is too much; before anything but a report, make the window unknown."""
        request = pipe.request
        if getattr(request.remote, "is_multicast_locally", False):
            if request.opt.uri_path != CORE or request.code != Code.GET:
                # an error in response to a group is silence (RFC 7252 section 8.2)
                silence = aiocoap.Message(code=Code.NOT_FOUND, no_response=SUPPRESS_ALL)
                pipe.add_response(silence, is_last=True)
                return
            await asyncio.sleep(random.uniform(0, LEISURE_S))
        self._guard.admit(request)
        context = context_of(request.remote)
        if context is not None and request.opt.uri_path[:1] != ("r",):
            await self._contexts.make_window_unknown(context)
        if request.opt.uri_path == CORE:
            if request.code != Code.GET:
                raise aiocoap.error.UnallowedMethod
            pipe.add_response(self._guard.bound(request, self._core()), is_last=True)
            return
        if request.opt.uri_path[:1] == ("r",) and self.reports is not None:
            # without the Site, whose copy of the request costs as much as its decryption
            request.opt.uri_path = request.opt.uri_path[1:]
            await self.reports.render_to_pipe(pipe)
            return
        if request.opt.uri_path == ("n",):  # a Site looks below the paths of its sites only
            pipe.request = request.copy(uri_path=("n", ""))
        if context is None:
            add = pipe.add_response

            def add_bound(response: aiocoap.Message, is_last: bool = False) -> None:
                add(self._guard.bound(request, response), is_last=is_last)

            pipe.add_response = add_bound
        await super().render_to_pipe(pipe)

    def _core(self) -> aiocoap.Message:
        nodes = [link for _, _, link in self.mirror.node_links()] if self.mirror else []
        return links([*self.links, *nodes])


async def start(root: Root, contexts: Contexts, host: str, port: int) -> aiocoap.Context:
    """Return the server, listening.

    Raises:
        Problem: the address is taken or not one of this computer's.
    """
    try_exclusively(host, port)
    try:
        context = await aiocoap.Context.create_server_context(
            None, bind=(host, port), transports=TRANSPORTS, multicast=groups(host)
        )
    except (OSError, aiocoap.error.Error) as error:
        raise Problem(f"COAP={host}:{port}: {error}: name another address") from None
    context.serversite = ProtectedSite(root, contexts)
    sock = socket_of(context)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
    return context


def groups(host: str) -> list[str]:
    """Return the interfaces on which to join the groups of all CoAP nodes."""
    return [name for _, name in socket.if_nameindex()] if host in EVERY else []


def try_exclusively(host: str, port: int) -> None:
    """Raise Problem if another program has the UDP port: aiocoap would share it in silence."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in found[:1]:
            with socket.socket(family, kind, protocol) as sock:
                if family == socket.AF_INET6:
                    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
                sock.bind(address)
    except socket.gaierror as error:
        raise Problem(f"COAP={host}:{port}: {error.strerror}: name a numeric address") from None
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        why = "another program uses this port: end it, or" if taken else f"{error.strerror}:"
        raise Problem(f"COAP={host}:{port}: {why} name another one with COAP=") from None


def socket_of(context: aiocoap.Context) -> socket.socket:
    """Return the UDP socket of a server."""
    for interface in context.request_interfaces:
        manager = getattr(interface, "token_interface", None)
        if manager is not None:
            return manager.message_interface.transport.get_extra_info("socket")
    raise RuntimeError("the server has no UDP transport")


async def request(
    context: aiocoap.Context, message: aiocoap.Message, limit_s: float
) -> aiocoap.Message:
    """Send a request to a node under its keys; return the response.

    Raises:
        RuntimeError: it would leave in the clear.
        TimeoutError, aiocoap.error.Error: there is no response.
    """
    if not isinstance(message.remote, OSCOREAddress):
        raise RuntimeError("a request to a node goes under its keys only")
    return await asyncio.wait_for(context.request(message).response, limit_s)
