"""No-Response (RFC 7967): the client says which answers it does not want to hear."""

import coap.compose as compose
import coap.scan as s
from coap.feature import Feature


class NoResponse(Feature):
    """A CON request whose answer is not wanted gets an empty ACK, a NON one nothing."""

    wants = special = 1 << s.NO_RESPONSE

    def after(self, view, reply):
        # bit 1 stands for 2.xx, bit 3 for 4.xx, bit 4 for 5.xx
        if view.r[s.NO_RESPONSE] >> ((reply.q[compose.Q_CODE] >> 5) - 1) & 1:
            reply.silent = True
