"""Wi-Fi access over the serial line: /wifi, which can be written there and read nowhere."""

from micropython import const

import config
from coap import CoapError, Resource
from coap.access import OPEN
from coap.numbers import BAD_REQUEST, FORBIDDEN, INTERNAL_SERVER_ERROR, JSON

_RESTART_MS = const(1000)  # after the answer, which has to get out


class Wifi(Resource):
    """PUT {"ssid": .., "password": .., "country": ..}: stored, and the node starts anew with it.

    Whoever is on the network already must neither learn it nor move the node elsewhere: a request
    that does not come over `line` is refused.
    """

    accepts = (JSON,)
    access = OPEN  # of the line that it looks for itself
    listed = False
    multicast = False

    def __init__(self, line, path, restart):
        super().__init__()
        self._line = line
        self._file = path
        self._restart = restart

    def put(self, request, reply):
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
