"""Problem details (RFC 9290): errors as CBOR for clients that say so with Accept 257."""

from micropython import const

from coap.feature import Feature

# Numbers of other files: the compiler folds only the constants of the file at hand
_PROBLEM_DETAILS = const(257)  # numbers.PROBLEM_DETAILS
_ACCEPT = const(10)  # scan.ACCEPT
_Q_CODE = const(0)  # compose.Q_CODE
_Q_FORMAT = const(3)  # compose.Q_FORMAT
_Q_START = const(9)  # compose.Q_START
_Q_LENGTH = const(10)  # compose.Q_LENGTH

_TITLE = const(0x20)  # the key -1 of the map
_RESPONSE_CODE = const(0x23)  # the key -4
_FRAME = const(7)  # bytes that are not title


class ProblemDetails(Feature):
    """Turns the diagnostic payload of an error into the title of a problem-details map."""

    # not `special`: no resource answers in 257, so that such a request goes the long way anyway
    wants = 1 << _ACCEPT

    def attach(self, node):
        self.node = node
        # what changes a resource is answered without a representation: Accept is about its errors
        node.error_format = _PROBLEM_DETAILS

    def after(self, view, reply):
        q = reply.q
        code = q[_Q_CODE]
        if view.r[_ACCEPT] != _PROBLEM_DETAILS or code < 0x80:
            return
        out = problem(code, _title(reply, min(255, reply.most - _FRAME)))
        q[_Q_FORMAT] = _PROBLEM_DETAILS
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
    start = reply.q[_Q_START]
    n = reply.q[_Q_LENGTH]
    title = bytes(memoryview(reply.source)[start : start + n])
    if n > most:
        n = most
        while n and title[n] & 0xC0 == 0x80:
            n -= 1
    return title[:n]
