"""Announces the gateway on the local network by mDNS (RFC 6762): coap://NAME.local/ works then.

`_coap._udp` is the CoAP server, `_http._tcp` the page, which is announced if other computers may
use it. A network that refuses is only logged: nodes know the address anyway.
"""

import ipaddress
import logging
import socket

from zeroconf import Error as ZeroconfError
from zeroconf import IPVersion, ServiceInfo
from zeroconf.asyncio import AsyncZeroconf

from .banner import EVERY, networks
from .settings import Settings

log = logging.getLogger("gateway")


class Announcement:
    """The names of the gateway on its networks, between start() and stop()."""

    def __init__(self, settings: Settings, interfaces: list[str] | None = None):
        """interfaces: addresses of this computer to announce on, None for all of its networks."""
        self._settings = settings
        self._interfaces = interfaces
        self._zeroconf: AsyncZeroconf | None = None

    async def start(self) -> None:
        """Announce what listens on a network; nothing where all is on loopback."""
        host, port = self._settings.coap_address
        addresses = self._interfaces or places(host)
        if not addresses:
            return
        try:
            self._zeroconf = AsyncZeroconf(interfaces=addresses, ip_version=IPVersion.V4Only)
            await self._add("_coap._udp", port, addresses)
            if self._settings.lan:
                await self._add("_http._tcp", self._settings.http_address[1], addresses)
        except (OSError, ZeroconfError) as error:
            log.warning("not announced by mDNS: %s", error or type(error).__name__)
            await self.stop()

    async def stop(self) -> None:
        """Take the names back."""
        zeroconf, self._zeroconf = self._zeroconf, None
        if zeroconf is not None:
            await zeroconf.async_close()

    async def _add(self, kind: str, port: int, addresses: list[str]) -> None:
        assert self._zeroconf is not None
        name = self._settings.name.partition(".")[0]
        info = ServiceInfo(
            f"{kind}.local.",
            f"{name}.{kind}.local.",
            port=port,
            addresses=[socket.inet_aton(one) for one in addresses],
            properties={"path": "/"},
            server=f"{name}.local.",
        )
        await (await self._zeroconf.async_register_service(info, allow_name_change=True))


def places(host: str) -> list[str]:
    """Return the addresses under which a server on `host` is reached from other computers."""
    if host in EVERY:
        return [address for _, address in networks()]
    address = ipaddress.ip_address(host) if host[:1].isdigit() else None
    is_reachable = address is not None and address.version == 4 and not address.is_loopback
    return [host] if is_reachable else []
