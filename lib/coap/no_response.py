"""No-Response (RFC 7967): the client names the classes of responses that it does not want."""

from coap.codec import FIELD_CODE, IX_NO_RESPONSE
from coap.extension import Extension


class NoResponse(Extension):
    """Send an empty ACK for a CON whose response is not wanted, nothing for a NON."""

    option_mask = slow_path_mask = 1 << IX_NO_RESPONSE

    def after_handler(self, view, builder):
        """Suppress a response of a class that the client does not want."""
        # bit 1 stands for 2.xx, bit 3 for 4.xx, bit 4 for 5.xx
        if view.index[IX_NO_RESPONSE] >> ((builder.fields[FIELD_CODE] >> 5) - 1) & 1:
            builder.suppressed = True
