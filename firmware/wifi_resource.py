"""The resource /wifi: the Wi-Fi access, written over the serial line only and never read."""

from micropython import const

import config
from coap import CoapError, Resource
from coap.access import OPEN
from coap.numbers import BAD_REQUEST, FORBIDDEN, INTERNAL_SERVER_ERROR, JSON

_RESTART_MS = const(1000)  # after the response, which must be sent first


class Wifi(Resource):
    """PUT {"ssid": .., "password": .., "country": ..} stores the access and restarts the node.

    A request that does not come over `line` is refused: a client on the network must neither learn
    the access nor move the node to another network.
    """

    accepts = (JSON,)
    access = OPEN  # put() checks the line
    listed = False
    multicast = False

    def __init__(self, line, path, restart):
        super().__init__()
        self._line = line
        self._file = path
        self._restart = restart

    def put(self, request, response):
        """Store the access. Raises CoapError."""
        if request.peer is not self._line:
            raise CoapError(FORBIDDEN, "wifi: over the serial line only")
        try:
            config.save_secrets(self._file, config.parse(request.payload_bytes()))
        except ValueError as error:
            raise CoapError(BAD_REQUEST, str(error))
        except OSError:
            raise CoapError(INTERNAL_SERVER_ERROR, "wifi: cannot be written to flash")
        self.node.after(_RESTART_MS, self._due)

    def _due(self, _now_ms):
        self._restart()
