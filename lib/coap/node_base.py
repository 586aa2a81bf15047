"""What applications ask of a node beside its resources: timers, separate responses, its state."""

# Node creates the attributes that are used here:
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
    """The part of Node that requests do not pass."""

    # coap.transports.address.pack and unpack: without them state() leaves observers out
    pack_peer = None
    unpack_peer = None

    def every(self, period_ms, function):
        """Call function(now_ms) every period_ms; return the timer, for cancel()."""
        return self.timers.start(period_ms, function, True)

    def after(self, delay_ms, function):
        """Call function(now_ms) once, in delay_ms; return the timer, for cancel()."""
        return self.timers.start(delay_ms, function, False)

    def cancel(self, timer):
        """Stop a timer."""
        self.timers.stop(timer)

    def seed(self, entropy):
        """Start MIDs, tokens and jitter from random bytes; transports call it."""
        self.entropy = bytes(entropy)
        self.messaging.seed(entropy)

    def defer(self):
        """Return a handle for a separate response to the request: see Request.defer()."""
        handle = self.separate.defer(self.view, DEFAULT_CODES[self.view.index[CODE]])
        if handle < 0:
            raise CoapError(SERVICE_UNAVAILABLE, max_age_s=5)
        if not self.builder.started:
            self.builder.start()  # so that _complete() looks whether the result is SEPARATE
        return handle

    def respond(self, handle, out=None, content_format=None, max_age_s=None, etag=b""):
        """Give the separate response that was deferred: bytes, str, or a code.

        Bytes and str go with the default code of the method, as text unless content_format says
        otherwise. Return False when `handle` is no longer open: responded to, or timed out.
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
        return self.separate.respond(handle, code, payload, content_format, max_age_s, etag)

    def state(self):
        """Return what must survive deep sleep or a reset, as bytes for restore()."""
        mid = self.messaging.mid
        blob = bytes((_STATE_VERSION, mid >> 8, mid & 255))
        for extension in self.extensions:
            part = extension.state()
            blob += bytes((len(part) >> 8, len(part) & 255)) + part
        return blob

    def restore(self, blob, now_ms=0):
        """Go on from what state() returned, with the same extensions and resources.

        Return False when the bytes are not such a state.
        """
        parts = _parts(blob, len(self.extensions))
        if parts is None:
            return False
        self.view.now_ms = now_ms
        # MIDs were used after the state was saved
        self.messaging.mid = (blob[1] << 8 | blob[2]) + _MID_JUMP & 0xFFFF
        for i, extension in enumerate(self.extensions):
            extension.restore(parts[i])
        return True

    def log(self, error):
        """Count an exception of the application, print it, and give its text to `on_log`."""
        self.counters[COUNT_HANDLER_ERRORS] += 1
        self.last_error = repr(error)
        _print_exception(error)
        if self.on_log is not None:
            try:
                self.on_log(self.last_error)
            except Exception as broken:  # the heap may be full
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
