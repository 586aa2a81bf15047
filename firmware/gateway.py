"""The gateway of the settings: the node is registered with its resource directory (RFC 9176).

A board sends over IPv4 and would stand still while it looks a name up, so there the gateway has
to be a numeric address.
"""

import credentials
from coap.resource_directory import RegistrationClient
from config import DEFAULT_NAME

REQUESTS = 1  # of the node itself at a time: more than the directory nobody asks
_PORT = 5683
_EP_MAX = 63  # bytes (RFC 9176 section 5)
_SCHEME = "coap://"


class Gateway:
    """uri: "coap://HOST[:PORT]"; ep: what the directory calls the node; say: takes a line for the
    log; reached() is called when the node is registered. Nothing is sent before linked().
    """

    def __init__(self, node, uri, ep, say=print, reached=None):
        self.directory = None
        self._node = node
        self._address = address(uri)
        self._ep = ep
        self._say = say
        self._reached = reached

    def linked(self):
        """The network is there, perhaps with another address for the node: register with it.

        Raises OSError for a host that is unknown.
        """
        if self.directory is None:
            from coap.transports.udp import peer

            server = peer(*self._address)
            credentials.protect(self._node, server)
            self.directory = RegistrationClient(
                self._node, server, self._ep, on_change=self._on_change
            )
        else:
            self.directory.changed()

    def _on_change(self, directory):
        why = directory.error or ("lost", "registered")[directory.registered]
        self._say("directory: " + why)
        if directory.registered and self._reached is not None:
            self._reached()


def address(uri):
    """(host, port) of "coap://HOST[:PORT]", where an IPv6 host stands in brackets."""
    host = uri[len(_SCHEME) :]
    at = host.rfind(":")
    port = _PORT
    if at > host.rfind("]"):
        host, port = host[:at], int(host[at + 1 :])
    return host[1:-1] if host.startswith("[") else host, port


def is_numeric(uri):
    """Is the host an IPv4 address in numbers?"""
    parts = address(uri)[0].split(".")
    if len(parts) != 4:
        return False
    for part in parts:
        if not part.isdigit() or len(part) > 3 or int(part) > 255:
            return False
    return True


def endpoint(name, hostname):
    """What a directory calls the node: its name, or where that is nobody's own or too long for
    one, the name that it has on the network.
    """
    return hostname if name == DEFAULT_NAME or len(name.encode()) > _EP_MAX else name
