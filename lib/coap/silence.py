"""No-Response (RFC 7967): the client says which answers it does not want to hear."""

from micropython import const

from coap.feature import Feature

# Numbers of other files: the compiler folds only the constants of the file at hand
_NO_RESPONSE = const(18)  # scan.NO_RESPONSE
_Q_CODE = const(0)  # compose.Q_CODE


class NoResponse(Feature):
    """A CON request whose answer is not wanted gets an empty ACK, a NON one nothing."""

    wants = special = 1 << _NO_RESPONSE

    def after(self, view, reply):
        # bit 1 stands for 2.xx, bit 3 for 4.xx, bit 4 for 5.xx
        if view.r[_NO_RESPONSE] >> ((reply.q[_Q_CODE] >> 5) - 1) & 1:
            reply.silent = True
