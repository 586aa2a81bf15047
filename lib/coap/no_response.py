"""No-Response (RFC 7967): the client says which answers it does not want to hear."""

from coap.codec import FIELD_CODE, IX_NO_RESPONSE
from coap.extension import Extension


class NoResponse(Extension):
    """A CON request whose answer is not wanted gets an empty ACK, a NON one nothing."""

    option_mask = slow_path_mask = 1 << IX_NO_RESPONSE

    def after_handler(self, view, builder):
        # bit 1 stands for 2.xx, bit 3 for 4.xx, bit 4 for 5.xx
        if view.index[IX_NO_RESPONSE] >> ((builder.fields[FIELD_CODE] >> 5) - 1) & 1:
            builder.suppressed = True
