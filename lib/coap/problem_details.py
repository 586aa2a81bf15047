"""Problem details (RFC 9290): errors as CBOR for clients that say so with Accept 257."""

from micropython import const

from coap.codec import (
    FIELD_CODE,
    FIELD_CONTENT_FORMAT,
    FIELD_PAYLOAD_LENGTH,
    FIELD_PAYLOAD_START,
    IX_ACCEPT,
    MAX_PAYLOAD,
)
from coap.extension import Extension
from coap.numbers import PROBLEM_DETAILS

_TITLE = const(0x20)  # the key -1 of the map
_RESPONSE_CODE = const(0x23)  # the key -4
_FRAME = const(7)  # bytes that are not title


class ProblemDetails(Extension):
    """Make the diagnostic payload of an error the title of a problem-details map."""

    # no slow_path_mask: no resource has format 257, so that such a request is never plain
    option_mask = 1 << IX_ACCEPT

    def attach(self, node):
        """Let clients ask for errors in this format."""
        self.node = node
        # a request with side effects gets no representation: its Accept is about errors
        node.error_format = PROBLEM_DETAILS

    def after_handler(self, view, builder):
        """Write the diagnostic payload of an error as problem details."""
        fields = builder.fields
        code = fields[FIELD_CODE]
        if view.index[IX_ACCEPT] != PROBLEM_DETAILS or code < 0x80:
            return
        out = problem(code, _title(builder, min(255, builder.index[MAX_PAYLOAD] - _FRAME)))
        fields[FIELD_CONTENT_FORMAT] = PROBLEM_DETAILS
        builder.set_payload(out)


def problem(code, title):
    """Return the map of a response code and a title, UTF-8 of at most 255 bytes."""
    out = bytes((_RESPONSE_CODE, 0x18, code))
    if not title:
        return b"\xa1" + out
    n = len(title)
    return bytes((0xA2, _TITLE, 0x60 + n) if n < 24 else (0xA2, _TITLE, 0x78, n)) + title + out


def _title(builder, most):
    # cut between two characters: bytes after the first of one are 10xxxxxx
    start = builder.fields[FIELD_PAYLOAD_START]
    n = builder.fields[FIELD_PAYLOAD_LENGTH]
    title = bytes(memoryview(builder.payload_source)[start : start + n])
    if n > most:
        n = most
        while n and title[n] & 0xC0 == 0x80:
            n -= 1
    return title[:n]
