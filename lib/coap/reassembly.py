"""What comes for a call: a whole answer, its blocks, notifications (RFC 7959, RFC 7641).

A call is made ready for what comes next before the application hears of what came, so that its
function may cancel it, or begin another one in its slot.
"""

from micropython import const

from coap.client_request import BROKEN, READY, TOKEN_BYTES, TOO_LONG, WATCHING, ClientResponse
from coap.codec import (
    ABSENT,
    CODE,
    IX_BLOCK1,
    IX_BLOCK2,
    IX_MAX_AGE,
    IX_OBSERVE,
    PAYLOAD,
    SIZE,
    TOKEN,
    copy,
    equal,
)
from coap.extension import call_callback as guarded
from coap.messaging import random16
from coap.numbers import CLOCK_MASK, REQUEST_ENTITY_TOO_LARGE

_ERROR = const(0x60)  # codes from here on say no success
_REORDER_MS = const(128000)  # RFC 7641 section 3.4
_LONGEST_AGE_S = const(130000)  # in milliseconds it stays within the clock
_RETRIES = const(3)  # for blocks that do not go together


class Reassembly:
    """Takes messages for the calls of one client."""

    def __init__(self, client):
        self.client = client
        self.node = client.node
        self.response = ClientResponse(client.node)

    def stale(self, call, view):  # hot
        """Is the notification at hand older than the one before? (RFC 7641 section 3.4)"""
        if call.number == ABSENT or not view.has(IX_OBSERVE) or not self._watched(call, view):
            return False
        if view.index[CODE] >= _ERROR or (view.now_ms - call.number_ms) & CLOCK_MASK > _REORDER_MS:
            return False
        ahead = (view.index[IX_OBSERVE] - call.number) & 0xFFFFFF
        return ahead == 0 or ahead >= 0x800000

    def answer(self, call, view, code):  # hot
        """Take the message at hand."""
        if self._watched(call, view):
            self._note(call, view, code)
        elif self._advance(call, view, code):
            return
        if code >= _ERROR:
            self._deliver(call, view, False)
        elif view.has(IX_BLOCK2):
            self._piece(call, view, view.index[IX_BLOCK2])
        elif call.offset:
            # a server that does not keep long answers repeats their code alone
            self._retry(call)
        else:
            self._collect(call, view, False)

    def fail(self, call, failure):  # hot
        """Nothing will come any more."""
        response = self.response
        response.code = response.offset = response.length = 0
        response.failure = failure
        response.into = None
        response.more = False
        response.last = True
        response.call = call
        function = call.on_response
        if call.observing and failure >= BROKEN:
            self.client.cancel(call)  # or it would go on notifying
        else:
            self.client.release(call)
        if function is not None:
            guarded(function, response, self.node)

    def _watched(self, call, view):  # hot
        """Is the message about the observation, and not about a block of a notification?"""
        return (
            call.observing and equal(view.buf, view.index[TOKEN], call.watch, 0, TOKEN_BYTES) == 1
        )

    def _note(self, call, view, code):  # hot
        """A notification: from now on the older ones are old."""
        call.restart()
        if code >= _ERROR or not view.has(IX_OBSERVE):
            call.observing = False
            return
        call.number = view.index[IX_OBSERVE]
        call.number_ms = view.now_ms
        call.limit_ms = 0
        age_s = view.uint(IX_MAX_AGE, 60)
        if age_s > _LONGEST_AGE_S:
            age_s = _LONGEST_AGE_S
        # RFC 7641 section 3.3.1: 5 to 15 s later, for not all should come at once
        wait_ms = age_s * 1000 + 5000 + (10000 * (random16(self.node.messaging.random) >> 6) >> 10)
        call.fresh_ms = (view.now_ms + wait_ms) & CLOCK_MASK

    def _advance(self, call, view, code):  # hot
        """Go on with the next block of the payload. False: the answer is one to the whole."""
        size = 16 << call.szx1
        if len(call.payload) <= size or call.offset:
            return False
        szx = view.index[IX_BLOCK1] & 7 if view.has(IX_BLOCK1) else 7
        if code == REQUEST_ENTITY_TOO_LARGE and call.sent == 0 and szx < call.szx1:
            call.szx1 = szx  # RFC 7959 section 2.9.3: smaller blocks would do
        elif code >= _ERROR or szx == 7 or call.sent + size >= len(call.payload):
            return False
        elif view.index[IX_BLOCK1] >> 4 != call.sent >> (call.szx1 + 4):
            self.fail(call, BROKEN)
            return True
        else:
            call.sent += size
            if szx < call.szx1:
                call.szx1 = szx
        self._again(call)
        return True

    def _piece(self, call, view, value):  # hot
        """A block of the answer."""
        if self._is_odd(call, value, view.index[SIZE] - view.index[PAYLOAD]):
            self.fail(call, BROKEN)
        elif call.same_etag(view):
            if value & 7 < call.largest:
                call.szx2 = value & 7
            self._collect(call, view, value & 8 != 0)
        else:
            # the state changed meanwhile, and what came belongs to another
            call.restart()
            self._retry(call)

    def _is_odd(self, call, value, length):  # hot
        szx = value & 7
        if szx == 7 or (value >> 4) << (szx + 4) != call.offset:
            return True
        return length > 16 << szx or (value & 8 and length != 16 << szx)

    def _collect(self, call, view, more):  # hot
        if call.into is not None:
            length = view.index[SIZE] - view.index[PAYLOAD]
            if call.offset + length > len(call.into):
                self.fail(call, TOO_LONG)
                return
            copy(call.into, call.offset, view.buf, view.index[PAYLOAD], length)
        self._deliver(call, view, more)

    def _deliver(self, call, view, more):  # hot
        response = self.response
        response.code = view.index[CODE]
        response.failure = 0
        response.offset = call.offset
        response.length = view.index[SIZE] - view.index[PAYLOAD]
        response.into = None
        call.offset += response.length
        if call.into is not None and response.code < _ERROR:
            response.into = call.into
            response.offset = 0
            response.length = call.offset
        response.more = more
        response.last = not more and not call.observing
        response.call = call
        self._tell(call, response)

    def _tell(self, call, response):  # hot
        function = call.on_response
        if response.more:
            self._again(call)
            if response.into is not None:
                return  # it is heard when it is whole
        elif call.observing:
            call.state = WATCHING
            call.until_ms = call.fresh_ms
            call.retries = 0
            call.restart()
            self.node.reschedule()
        else:
            self.client.release(call)
        if function is not None:
            guarded(function, response, self.node)
        response.into = None  # or a long answer would stay on the heap

    def _retry(self, call):  # hot
        if call.retries == _RETRIES:
            self.fail(call, BROKEN)
        else:
            call.retries += 1
            self._again(call)

    def _again(self, call):  # hot
        call.state = READY
        self.node.reschedule()
