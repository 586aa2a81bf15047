"""The gateway of the settings: the node registers with its resource directory (RFC 9176).

On a board the gateway must be a numeric IPv4 address: resolving a name would block the node.
"""

import credentials
from coap.resource_directory import RegistrationClient
from config import DEFAULT_NAME

REQUESTS = 1  # client requests at a time: the registration is the only one
_PORT = 5683
_EP_MAX = 63  # bytes (RFC 9176 section 5)
_SCHEME = "coap://"


class Gateway:
    """Registration of the node at a gateway. Nothing is sent before linked().

    uri: "coap://HOST[:PORT]"; ep: endpoint name of the node in the directory; say(line): writes to
    the log; reached(): called when the node is registered.
    directory: the RegistrationClient, None before linked().
    """

    def __init__(self, node, uri, ep, say=print, reached=None):
        self.directory = None
        self._node = node
        self._address = address(uri)
        self._ep = ep
        self._say = say
        self._reached = reached

    def linked(self):
        """Register: the link came up, perhaps with another address of the node.

        Raises OSError for an unknown host.
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
    """Return (host, port) of "coap://HOST[:PORT]"; an IPv6 host is in brackets there."""
    host = uri[len(_SCHEME) :]
    at = host.rfind(":")
    port = _PORT
    if at > host.rfind("]"):
        host, port = host[:at], int(host[at + 1 :])
    return host[1:-1] if host.startswith("[") else host, port


def endpoint(name, hostname):
    """Return the node's endpoint name in a directory: its name in the settings.

    If that is the default one or too long, it is the hostname.
    """
    return hostname if name == DEFAULT_NAME or len(name.encode()) > _EP_MAX else name
