"""What applications ask of a node beside its resources: timers, promised answers, its state."""

# The parts are made by Node:
# pyright: reportAttributeAccessIssue=false

import sys

from micropython import const

from coap.codec import CODE, MAX_PAYLOAD
from coap.counters import COUNT_HANDLER_ERRORS
from coap.numbers import SERVICE_UNAVAILABLE
from coap.resource import CoapError, ResourceTable
from coap.response import DEFAULT_CODES

_STATE_VERSION = const(4)
_MID_JUMP = const(256)


class NodeBase(ResourceTable):
    """The quiet half of Node, which makes the parts that are named here."""

    pack_peer = None  # a peer as bytes for state(), and back: coap.transports.address; without
    unpack_peer = None  # them observers are not kept

    def every(self, period_ms, function):
        """Call function(now_ms) every period_ms; the timer it returns can be given to cancel()."""
        return self.timers.start(period_ms, function, True)

    def after(self, delay_ms, function):
        """Call function(now_ms) once, in delay_ms."""
        return self.timers.start(delay_ms, function, False)

    def cancel(self, timer):
        """Stop a timer."""
        self.timers.stop(timer)

    def seed(self, entropy):
        """Start MIDs, tokens and jitter from a few random bytes; transports do."""
        self.entropy = bytes(entropy)
        self.messaging.seed(entropy)

    def defer(self):
        """A ticket for the request at hand: see Request.ticket()."""
        ticket = self.separate.defer(self.view, DEFAULT_CODES[self.view.index[CODE]])
        if ticket < 0:
            raise CoapError(SERVICE_UNAVAILABLE, max_age_s=5)
        if not self.builder.started:
            self.builder.start()  # _complete() must see whether the answer is LATER
        return ticket

    def respond(self, ticket, out=None, content_format=None, max_age_s=None, etag=b""):
        """Give the separate response that was promised: bytes, str, or a code.

        Bytes and str come with the method's default code, and as text unless content_format says.

        False when the ticket is not open any more: answered, or nobody waits for it.
        """
        code = 0
        if isinstance(out, int):
            code = out
            out = None
        payload = b"" if out is None else out.encode() if isinstance(out, str) else out
        if len(payload) > self.view.index[MAX_PAYLOAD]:
            raise ValueError(
                "a separate response has at most %d bytes" % self.view.index[MAX_PAYLOAD]
            )
        if content_format is None and payload:
            content_format = 0
        return self.separate.respond(ticket, code, payload, content_format, max_age_s, etag)

    def state(self):
        """What must survive deep sleep or a reset, as bytes for restore()."""
        mid = self.messaging.mid
        blob = bytes((_STATE_VERSION, mid >> 8, mid & 255))
        for feature in self.features:
            part = feature.state()
            blob += bytes((len(part) >> 8, len(part) & 255)) + part
        return blob

    def restore(self, blob, now_ms=0):
        """Go on from what state() returned, with the same features and resources. False: it is
        not usable.
        """
        parts = _parts(blob, len(self.features))
        if parts is None:
            return False
        self.view.now_ms = now_ms
        # some were used after the state was saved
        self.messaging.mid = (blob[1] << 8 | blob[2]) + _MID_JUMP & 0xFFFF
        for i, feature in enumerate(self.features):
            feature.restore(parts[i])
        return True

    def log(self, error):
        """An exception of the application: keep its text for /diag, print it, tell `journal`."""
        self.counters[COUNT_HANDLER_ERRORS] += 1
        self.last_error = repr(error)
        _print_exception(error)
        if self.on_log is not None:
            try:
                self.on_log(self.last_error)
            except Exception as broken:  # a full heap may be what is told
                _print_exception(broken)


def _parts(blob, n):
    if len(blob) < 3 or blob[0] != _STATE_VERSION:
        return None
    parts = []
    at = 3
    while at + 2 <= len(blob):
        length = blob[at] << 8 | blob[at + 1]
        parts.append(bytes(blob[at + 2 : at + 2 + length]))
        at += 2 + length
    return parts if at == len(blob) and len(parts) == n else None


def _print_exception(error):
    if hasattr(sys, "print_exception"):
        sys.print_exception(error)
    else:
        import traceback

        traceback.print_exception(error)
