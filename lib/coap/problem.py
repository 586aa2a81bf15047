"""Problem details (RFC 9290): errors as CBOR for clients that say so with Accept 257."""

import coap.compose as compose
import coap.scan as s
from coap.feature import Feature
from coap.numbers import PROBLEM_DETAILS

_TITLE = 0x20  # the key -1 of the map
_RESPONSE_CODE = 0x23  # the key -4
_FRAME = 7  # bytes that are not title


class ProblemDetails(Feature):
    """Turns the diagnostic payload of an error into the title of a problem-details map."""

    # not `special`: no resource answers in 257, so that such a request goes the long way anyway
    wants = 1 << s.ACCEPT

    def attach(self, node):
        self.node = node
        # what changes a resource is answered without a representation: Accept is about its errors
        node.error_format = PROBLEM_DETAILS

    def after(self, view, reply):
        q = reply.q
        code = q[compose.Q_CODE]
        if view.r[s.ACCEPT] != PROBLEM_DETAILS or code < 0x80:
            return
        out = problem(code, _title(reply, min(255, reply.most - _FRAME)))
        q[compose.Q_FORMAT] = PROBLEM_DETAILS
        reply.give(out)


def problem(code, title):
    """The map of a response code and a title, UTF-8 of at most 255 bytes."""
    out = bytes((_RESPONSE_CODE, 0x18, code))
    if not title:
        return b"\xa1" + out
    n = len(title)
    return bytes((0xA2, _TITLE, 0x60 + n) if n < 24 else (0xA2, _TITLE, 0x78, n)) + title + out


def _title(reply, most):
    # cut between two characters: the second to last bytes of one are 10xxxxxx
    start = reply.q[compose.Q_START]
    n = reply.q[compose.Q_LENGTH]
    title = bytes(memoryview(reply.source)[start : start + n])
    if n > most:
        n = most
        while n and title[n] & 0xC0 == 0x80:
            n -= 1
    return title[:n]
