"""Handling of responses: whole ones, blocks, notifications (RFC 7252, RFC 7959, RFC 7641).

Client passes each message that belongs to a request to handle(); fail() ends a request without a
response. The request is prepared for what follows before on_response is called, so that the
function may cancel it, or begin another request in its place.
"""

from micropython import const

from coap.client_request import BROKEN, OBSERVING, READY, TOO_LONG, ClientResponse
from coap.codec import (
    ABSENT,
    CODE,
    FLAGS,
    IX_BLOCK1,
    IX_BLOCK2,
    IX_MAX_AGE,
    IX_OBSERVE,
    PAYLOAD,
    SIZE,
    copy,
)
from coap.extension import call_callback
from coap.messaging import random16
from coap.numbers import CLOCK_MASK, REQUEST_ENTITY_TOO_LARGE

_FIRST_NO_SUCCESS = const(0x60)  # codes from here on are no 2.xx
_REORDER_MS = const(128000)  # RFC 7641 section 3.4
_MAX_AGE_LIMIT_S = const(130000)  # in milliseconds it stays within the clock
_MAX_RETRIES = const(3)  # of transfers whose blocks do not fit together


class ResponseHandler:
    """Handles the responses to the requests of one client."""

    def __init__(self, client):
        self.client = client
        self.node = client.node
        self.response = ClientResponse(client.node)

    def is_stale(self, request, view):  # hot
        """Return True for a notification older than the one before (RFC 7641 section 3.4), and for
        a block that came before: the further ones have the same token.
        """
        if not request.is_observation(view):
            return _is_past_block(request, view.index)
        if request.observe_number == ABSENT or not view.has(IX_OBSERVE):
            return False
        if view.index[CODE] >= _FIRST_NO_SUCCESS:
            return False
        if (view.now_ms - request.notified_ms) & CLOCK_MASK > _REORDER_MS:
            return False
        ahead = (view.index[IX_OBSERVE] - request.observe_number) & 0xFFFFFF
        return ahead == 0 or ahead >= 0x800000

    def handle(self, request, view, code):  # hot
        """Handle a response to `request`."""
        if request.is_observation(view):
            self._on_notification(request, view, code)
        elif self._on_block1(request, view, code):
            return
        if code >= _FIRST_NO_SUCCESS:
            self._deliver(request, view, False)
        elif view.has(IX_BLOCK2):
            self._on_block2(request, view, view.index[IX_BLOCK2])
        elif request.offset:
            # a server that does not cache long responses repeats their code alone
            self._retry(request)
        else:
            self._collect(request, view, False)

    def fail(self, request, failure):  # hot
        """End the request without a response; failure: TIMEOUT, RESET, ..."""
        response = self.response
        response.code = response.offset = response.length = 0
        response.failure = failure
        response.into = None
        response.more = False
        response.last = True
        response.request = request
        function = request.on_response
        if request.observing and failure >= BROKEN:
            self.client.cancel(request)  # the server is still notifying
        else:
            self.client.release(request)
        if function is not None:
            call_callback(function, response, self.node)

    def _on_notification(self, request, view, code):  # hot
        request.restart()
        if code >= _FIRST_NO_SUCCESS or not view.has(IX_OBSERVE):
            request.observing = False
            return
        request.observe_number = view.index[IX_OBSERVE]
        request.notified_ms = view.now_ms
        request.timeout_ms = 0
        age_s = view.uint(IX_MAX_AGE, 60)
        if age_s > _MAX_AGE_LIMIT_S:
            age_s = _MAX_AGE_LIMIT_S
        # RFC 7641 section 3.3.1: register again 5 to 15 s later, not all clients at the same time
        wait_ms = age_s * 1000 + 5000 + (10000 * (random16(self.node.messaging.random) >> 6) >> 10)
        request.stale_ms = (view.now_ms + wait_ms) & CLOCK_MASK

    def _on_block1(self, request, view, code):  # hot
        """Send the next block of the payload; return False if the response is the final one.

        A success that acknowledges no block, or another one, breaks the transfer: the server took
        the block for the whole payload.
        """
        size = 16 << request.szx1
        if len(request.payload) <= size or request.offset:
            return False
        szx = view.index[IX_BLOCK1] & 7 if view.has(IX_BLOCK1) else 7
        if code == REQUEST_ENTITY_TOO_LARGE and request.sent == 0 and szx < request.szx1:
            request.szx1 = szx  # RFC 7959 section 2.9.3: the server asks for smaller blocks
        elif code >= _FIRST_NO_SUCCESS:
            return False
        elif szx == 7 or view.index[IX_BLOCK1] >> 4 != request.sent >> (request.szx1 + 4):
            if szx == 7 and request.sent and request.sent + size >= len(request.payload):
                return False  # the server has acknowledged the others
            self.fail(request, BROKEN)
            return True
        elif request.sent + size >= len(request.payload):
            return False
        else:
            request.sent += size
            if szx < request.szx1:
                request.szx1 = szx
        self._resend(request)
        return True

    def _on_block2(self, request, view, value):  # hot
        """Handle a block of the response; value: of its Block2 option."""
        if not _fits(value, request.offset, view.index[SIZE] - view.index[PAYLOAD]):
            self.fail(request, BROKEN)
        elif request.is_same_etag(view):
            if value & 7 < request.max_szx:
                request.szx2 = value & 7
            self._collect(request, view, value & 8 != 0)
        else:
            # the representation has changed: fetch it from the start
            request.restart()
            self._retry(request)

    def _collect(self, request, view, more):  # hot
        if request.into is not None:
            length = view.index[SIZE] - view.index[PAYLOAD]
            if request.offset + length > len(request.into):
                self.fail(request, TOO_LONG)
                return
            copy(request.into, request.offset, view.buf, view.index[PAYLOAD], length)
        self._deliver(request, view, more)

    def _deliver(self, request, view, more):  # hot
        """Prepare the request for what follows, then call on_response."""
        response = self.response
        response.code = view.index[CODE]
        response.failure = 0
        response.offset = request.offset
        response.length = view.index[SIZE] - view.index[PAYLOAD]
        response.into = None
        request.offset += response.length
        if request.into is not None and response.code < _FIRST_NO_SUCCESS:
            response.into = request.into
            response.offset = 0
            response.length = request.offset
        response.more = more
        response.last = not more and not request.observing
        response.request = request
        function = request.on_response
        if more:
            self._resend(request)
            if response.into is not None:
                return  # delivered when it is complete
        elif request.observing:
            request.state = OBSERVING
            request.deadline_ms = request.stale_ms
            request.retries = 0
            request.restart()
            self.node.reschedule()
        else:
            self.client.release(request)
        if function is not None:
            call_callback(function, response, self.node)
        response.into = None  # a reference would keep a long buffer on the heap

    def _retry(self, request):  # hot
        if request.retries == _MAX_RETRIES:
            self.fail(request, BROKEN)
        else:
            request.retries += 1
            self._resend(request)

    def _resend(self, request):  # hot
        """Have the request sent again for its next block."""
        request.state = READY
        self.node.reschedule()


def _is_past_block(request, index):  # hot
    """Return True if the response acknowledges or brings a block before the present one."""
    if request.sent and index[FLAGS] >> IX_BLOCK1 & 1:
        # the size in a response may be smaller than the one that its number counts
        if (index[IX_BLOCK1] >> 4) << (request.szx1 + 4) < request.sent:
            return True
    if request.offset and index[FLAGS] >> IX_BLOCK2 & 1:
        return (index[IX_BLOCK2] >> 4) << ((index[IX_BLOCK2] & 7) + 4) < request.offset
    return False


def _fits(value, offset, length):  # hot
    """Return True if a block with this Block2 value and payload length continues at `offset`."""
    szx = value & 7
    if szx == 7 or (value >> 4) << (szx + 4) != offset:
        return False
    return length == 16 << szx or (length < 16 << szx and not value & 8)
