"""What applications call on a node beside its resources: timers, separate responses, its state."""

# Node creates the attributes that are used here:
# pyright: reportAttributeAccessIssue=false

import sys

from micropython import const

from coap.codec import CODE
from coap.counters import COUNT_HANDLER_ERRORS
from coap.extension import Extension, call_callback
from coap.numbers import CLOCK_HALF, CLOCK_MASK, SERVICE_UNAVAILABLE
from coap.resource import CoapError, ResourceTable
from coap.response import DEFAULT_CODES

_STATE_VERSION = const(5)
_MID_JUMP = const(256)
_HEAD = const(11)  # version, MIDs counted, their seed

# Entries of a timer
_FUNCTION = const(0)
_NEXT_MS = const(1)  # -1: counted from the next due()
_DELAY_MS = const(2)
_REPEATS = const(3)
_LONGEST_MS = const(1 << 29)


class Timers:
    """A fixed number of timers; node.every() and node.after() start them."""

    def __init__(self, node, timers):
        self.node = node
        # entries of [function, next_ms, delay_ms, repeats]; start() puts a new list in
        self.timers = [[None]] * timers  # type: list
        self.running = 0

    def start(self, delay_ms, function, repeats):
        """Call function(now_ms) in delay_ms, 1 to 2**29 - 1; return the timer, for stop().

        Raise ValueError for another delay, or when all timers run.
        """
        if not 0 < delay_ms < _LONGEST_MS:
            raise ValueError("a timer runs 1 to 536870911 ms: count longer spans yourself")
        for i, timer in enumerate(self.timers):
            if timer[_FUNCTION] is None:
                # a new list, so that the handle of an old timer can not stop this one
                self.timers[i] = timer = [function, -1, delay_ms, repeats]
                self.running += 1
                self.node.reschedule()
                return timer
        raise ValueError("all timers are taken: give Node a larger timers=")

    def restart(self, timer, delay_ms):
        """Have a timer that repeats run in delay_ms, 1 to 2**29 - 1, and then at this period."""
        timer[_DELAY_MS] = delay_ms
        timer[_NEXT_MS] = -1
        self.node.reschedule()

    def stop(self, timer):
        """Stop a timer; one that has run out is left alone."""
        if timer[_FUNCTION] is not None:
            timer[_FUNCTION] = None
            self.running -= 1

    def due(self, now_ms):  # hot
        """Run the timers that are due. A period counts from when it was due, unless that is more
        than a period ago.
        """
        if self.running:
            for timer in self.timers:
                if timer[_FUNCTION] is not None:
                    self._run(timer, now_ms)
        return 0

    def wait_ms(self, now_ms):  # hot
        """Return the milliseconds until due() has something to do."""
        nearest = CLOCK_HALF >> 2
        if self.running:
            for timer in self.timers:
                if timer[_FUNCTION] is not None:
                    left = (timer[_NEXT_MS] - now_ms) & CLOCK_MASK
                    if timer[_NEXT_MS] < 0 or left >= CLOCK_HALF:
                        return 0
                    if left < nearest:
                        nearest = left
        return nearest

    def _run(self, timer, now_ms):  # hot
        if timer[_NEXT_MS] < 0:
            timer[_NEXT_MS] = (now_ms + timer[_DELAY_MS]) & CLOCK_MASK
            return
        late = (now_ms - timer[_NEXT_MS]) & CLOCK_MASK
        if late >= CLOCK_HALF:
            return
        function = timer[_FUNCTION]
        if timer[_REPEATS]:
            start = now_ms if late >= timer[_DELAY_MS] else timer[_NEXT_MS]
            timer[_NEXT_MS] = (start + timer[_DELAY_MS]) & CLOCK_MASK
        else:
            self.stop(timer)
        call_callback(function, now_ms, self.node)


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
        otherwise. Return False when `handle` is no longer open: responded to, timed out, or
        evicted. A payload longer than a message goes in blocks as a response to GET or FETCH; any
        other becomes a 5.00, and the log says so.
        """
        code = 0
        if isinstance(out, int):
            code = out
            out = None
        payload = b"" if out is None else out.encode() if isinstance(out, str) else out
        if content_format is None and payload:
            content_format = 0
        return self.separate.respond(handle, code, payload, content_format, max_age_s, etag)

    def state(self):
        """Return what must survive deep sleep or a reset, as bytes for restore()."""
        mid = self.messaging.mid
        blob = bytes((_STATE_VERSION, mid >> 8, mid & 255)) + self.messaging.mid_seed
        for extension in self.extensions:
            # most have none: a wake saves its state three times
            part = b"" if type(extension).state is Extension.state else extension.state()
            blob += bytes((len(part) >> 8, len(part) & 255)) + part
        return blob

    def restore(self, blob, now_ms=0):
        """Continue from what state() returned, with the same extensions and resources.

        Return False when the bytes are not such a state.
        """
        parts = _parts(blob, len(self.extensions))
        if parts is None:
            return False
        self.view.now_ms = now_ms
        self.messaging.seed_mids(blob[3:_HEAD])
        self.messaging.is_restored = True
        # MIDs were used after the state was saved
        self.messaging.mid = (blob[1] << 8 | blob[2]) + _MID_JUMP & 0xFFFF
        for i, extension in enumerate(self.extensions):
            if type(extension).restore is not Extension.restore:
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
    if len(blob) < _HEAD or blob[0] != _STATE_VERSION:
        return None
    parts = []
    at = _HEAD
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
