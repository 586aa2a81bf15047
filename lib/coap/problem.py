"""Problem details (RFC 9290): errors as CBOR for clients that say so with Accept 257."""

import coap.scan as s
from coap.feature import Feature
from coap.numbers import PROBLEM_DETAILS

_TITLE = 0x20  # the key -1 of the map
_RESPONSE_CODE = 0x23  # the key -4


class ProblemDetails(Feature):
    """Turns the diagnostic payload of an error into the title of a problem-details map."""

    # not `special`: no resource answers in 257, so that such a request goes the long way anyway
    wants = 1 << s.ACCEPT

    def after(self, view, reply):
        q = reply.q
        code = q[s.Q_CODE]
        if view.r[s.ACCEPT] != PROBLEM_DETAILS or code < 0x80:
            return
        title = bytes(memoryview(reply.source)[q[s.Q_START] : q[s.Q_START] + q[s.Q_LENGTH]])[:255]
        max_age = q[s.Q_MAX_AGE]
        size1 = q[s.Q_SIZE1]
        reply.clear(code)
        q[s.Q_MAX_AGE] = max_age
        q[s.Q_SIZE1] = size1
        q[s.Q_FORMAT] = PROBLEM_DETAILS
        reply.write(b"\xa2" if title else b"\xa1")
        if title:
            n = len(title)
            reply.write(bytes((_TITLE, 0x60 + n) if n < 24 else (_TITLE, 0x78, n)))
            reply.write(title)
        reply.write(bytes((_RESPONSE_CODE, 0x18, code)))
