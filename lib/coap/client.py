"""Client side of a node: requests, and what comes back (RFC 7252 section 5, RFC 7959, RFC 7641).

    client = Client()
    node = Node(*default_extensions(), client)

    def on_response(response):
        print(response, response.payload_bytes())

    client.get(peer, "s/door", on_response)
    request = client.post(peer, "r/door", pack, on_response)
    request.content_format = SENML_CBOR
    client.observe(peer, "s/temp", on_response)

`peer` is an address as the transport has it: coap.transports.udp.peer("192.168.1.2"). A path may
have a query; see coap.client_request. A response in blocks is delivered piece by piece, or once if
the request has a buffer: request.into = bytearray(4096). All blocks of an unprotected transfer are
requested under one token: RFC 7959 does not ask for that, but some servers, such as node's coap
and go-coap, find a transfer by its token. Only an observation keeps its token for itself.

Above: applications request get() ... cancel(). Below: the message layer calls transmit() and
on_exchange_done() for confirmable requests and receive_response() for each response; due() sends.
"""

from array import array

from micropython import const

from coap.client_request import (
    AWAITING_RESPONSE,
    DELIVER,
    DEREGISTER,
    FREE,
    HANDLED,
    IN_EXCHANGE,
    OBSERVING,
    READY,
    REGISTER,
    RESET,
    TIMEOUT,
    TOKEN_BYTES,
    TOO_LONG,
    UNPROTECTED,
    ClientRequest,
    Tokens,
    path_to_options,
)
from coap.client_response import ResponseHandler
from coap.codec import (
    ABSENT,
    CODE,
    CRITICAL_OPTIONS,
    FLAGS,
    IX_BLOCK1,
    IX_BLOCK2,
    IX_OBSERVE,
    MAX_PAYLOAD,
    MID,
    OPTIONS_START,
    TOKEN,
    TYPE,
    copy,
    equal,
)
from coap.counters import COUNT_NO_EXCHANGE
from coap.extension import Extension
from coap.messaging import ACKNOWLEDGED, REJECTED
from coap.numbers import (
    CLOCK_HALF,
    CLOCK_MASK,
    CON,
    DELETE,
    FETCH,
    GET,
    NON,
    POST,
    PUT,
    SERVICE_UNAVAILABLE,
)
from coap.peers import AUTHENTICATED
from coap.resource import CoapError

_RESPONSE_OPTIONS = 1 << IX_BLOCK2 | 1 << IX_BLOCK1  # critical options that are understood
_MAX_PATHS = const(16)  # whose options are cached
LIFETIME_MS = const(247000)  # EXCHANGE_LIFETIME


class Client(Extension):
    """Sends requests and delivers their responses.

    requests: how many requests and observations may be active at a time; response_timeout_ms: how
    long a response is awaited after the empty ACK, or after a NON was sent; dedup_entries:
    confirmable responses that are recognised when they are repeated.
    """

    scheduled = True

    def __init__(self, requests=2, response_timeout_ms=93000, dedup_entries=8):
        self.response_timeout_ms = response_timeout_ms
        self.szx = 6  # the block size to begin with (RFC 7959 section 2.2)
        self.requests = [ClientRequest(self) for _ in range(requests)]
        self.active_count = 0
        self.tokens = Tokens()
        self.entropy = None  # that the tokens were seeded with
        self.paths = {}  # path: its options
        self.dedup = ResponseDedup(dedup_entries)

    def attach(self, node):
        """Become the client of the node and of its message layer."""
        self.node = node
        self.writer = node.separate.message
        self.response_handler = ResponseHandler(self)
        while self.szx and 16 << self.szx > node.view.index[MAX_PAYLOAD]:
            self.szx -= 1
        node.client = self
        node.messaging.client = self

    # For applications

    def get(self, peer, path, on_response=None):  # hot
        """Send a GET; see request()."""
        return self.request(peer, GET, path).deliver_to(on_response)

    def post(self, peer, path, payload=b"", on_response=None):  # hot
        """Send a POST; see request()."""
        return self.request(peer, POST, path, payload).deliver_to(on_response)

    def put(self, peer, path, payload=b"", on_response=None):  # hot
        """Send a PUT; see request()."""
        return self.request(peer, PUT, path, payload).deliver_to(on_response)

    def delete(self, peer, path, on_response=None):  # hot
        """Send a DELETE; see request()."""
        return self.request(peer, DELETE, path).deliver_to(on_response)

    def fetch(self, peer, path, payload=b"", on_response=None):  # hot
        """Send a FETCH; see request()."""
        return self.request(peer, FETCH, path, payload).deliver_to(on_response)

    def observe(self, peer, path, on_response):  # hot
        """Observe a resource until cancel() or a response that is the `last`; see request().

        The registration is renewed when no notification came for its Max-Age.
        """
        request = self.request(peer, GET, path).deliver_to(on_response)
        request.observe_value = REGISTER
        request.observing = True
        self.tokens.next(request.observe_token)
        return request

    def request(self, peer, method, path, payload=b""):  # hot
        """Send a request; return the ClientRequest, whose attributes complete it.

        They may be set until the caller returns. The payload (bytes, str or bytearray) is not
        copied: leave it unchanged until the last response was delivered. Raises CoapError 5.03 if
        too many requests are active, see has_free(), and ValueError for a malformed path.
        """
        if isinstance(payload, str):
            payload = payload.encode()
        if self.entropy is not self.node.entropy:
            self.entropy = self.node.entropy
            self.tokens.seed(self.entropy)
        path = self._options(path)
        request = self._begin(peer, method, path)
        request.payload = payload
        self.node.reschedule()
        return request

    def has_free(self):  # hot
        """Return True if request() can send one more."""
        return self.active_count < len(self.requests)

    def cancel(self, request):  # hot
        """Deliver no more responses; an observation is deregistered at the server."""
        if request.state == FREE or request.deregistering:
            return
        never_sent = (
            request.observe_number == ABSENT and request.state == READY and request.mid == ABSENT
        )
        self._close_exchange(request)
        if request.observing and not never_sent:
            request.deregistering = True
            request.observing = False
            request.on_response = request.into = None
            request.observe_value = DEREGISTER
            request.confirmable = True
            request.timeout_ms = 0
            request.state = READY
            request.restart()
            self.node.reschedule()
        else:
            self.release(request)

    # For the node

    def due(self, now_ms):  # hot
        """Send the next request that is due; return its length in tx, 0 for none."""
        self.dedup.due(now_ms)
        i = len(self.requests) if self.active_count else 0
        while i:
            i -= 1
            n = self._service(self.requests[i], now_ms)
            if n:
                return n
        return 0

    def wait_ms(self, now_ms):  # hot
        """Return the milliseconds until due() has something to do."""
        nearest = LIFETIME_MS if self.dedup.in_use else CLOCK_MASK
        i = len(self.requests) if self.active_count else 0
        while i:
            i -= 1
            left = self._request_wait_ms(self.requests[i], now_ms)
            if left < nearest:
                nearest = left
        return nearest

    # For the message layer: owner of exchanges

    def transmit(self, exchange, mid):  # hot
        """Write the request of a confirmable exchange into tx; return its length, 0 for none."""
        request = self._request_of(exchange)
        n = self._write(request, CON, mid)
        if n <= 0:
            self.response_handler.fail(request, TOO_LONG if n else UNPROTECTED)
            return 0
        return n

    def on_exchange_done(self, exchange, outcome):  # hot
        """Handle the end of an exchange: see coap.messaging."""
        request = self._request_of(exchange)
        request.exchange = -1
        if outcome == ACKNOWLEDGED:
            self._await_response(request, self.node.view.now_ms)
        else:
            self.response_handler.fail(request, RESET if outcome == REJECTED else TIMEOUT)

    def rejected(self, view):  # hot
        """Fail the non-confirmable request that an RST rejects."""
        for request in self.requests:
            if (
                request.state == AWAITING_RESPONSE
                and request.mid == view.index[MID]
                and request.peer == view.peer
            ):
                if not request.confirmable:
                    self.response_handler.fail(request, RESET)
                    return

    # For the message layer: responses

    def receive_response(self, view, exchange):  # hot
        """Deliver a response; return the length of the ACK in tx, -1 to reject the response.

        exchange: the one that the ACK with the response belongs to, -1 for a separate response.
        """
        if exchange < 0 and self.dedup.is_duplicate(view):
            return self.node.messaging.write_ack(view)
        request = self._find(view)
        if exchange >= 0 and (request is None or request.exchange != exchange):
            return 0
        if request is not None and request.context is not None:
            found = self.node.oscore.client_protection.unprotect_response(request, view)
            if found == HANDLED and exchange < 0:
                self.dedup.remember(view)
                return self.node.messaging.write_ack(view)
            if found != DELIVER:
                return 0
        if view.index[FLAGS] & CRITICAL_OPTIONS & ~_RESPONSE_OPTIONS:
            return 0 if exchange >= 0 else -1  # RFC 7252 section 5.4.1
        if exchange >= 0:
            self._accept(request, view)
            return 0
        if request is None or (request.deregistering and view.has(IX_OBSERVE)):
            return -1  # the RST ends an observation that the server still has
        self.dedup.remember(view)
        if not self.response_handler.is_stale(request, view):
            self._accept(request, view)
        return self.node.messaging.write_ack(view)

    # For Reassembly and OSCORE

    def send_again(self, request):
        """Send the request, or its current block, again with a new token and MID."""
        self._close_exchange(request)
        request.state = READY
        self.node.reschedule()

    def release(self, request):  # hot
        """End the request, so that another one can take its place."""
        self._close_exchange(request)
        request.clear()
        self.active_count -= 1
        self.node.reschedule()

    def _options(self, path):  # hot
        options = self.paths.get(path)
        if options is None:
            if len(self.paths) >= _MAX_PATHS:
                self.paths.clear()
            options = self.paths[path] = path_to_options(path)
        return options

    def _begin(self, peer, method, options):  # hot
        i = len(self.requests)
        while i:
            i -= 1
            request = self.requests[i]
            if request.state == FREE:
                request.begin(peer, method, options)
                if self.node.oscore is not None:
                    self.node.oscore.begin_request(request, peer)
                self.active_count += 1
                return request
        self.node.counters[COUNT_NO_EXCHANGE] += 1
        raise CoapError(SERVICE_UNAVAILABLE, "no request is free: give Client more requests", 5)

    # Sending

    def _service(self, request, now_ms):  # hot
        """Time out or send one request; return the length of the message in tx, 0 for none."""
        if request.state == FREE:
            return 0
        if request.began_ms < 0:
            request.began_ms = now_ms
        if self._has_timed_out(request, now_ms):
            self.response_handler.fail(request, TIMEOUT)
            return 0
        if request.state == OBSERVING and _is_past(request.deadline_ms, now_ms):
            request.state = READY  # RFC 7641 section 3.3.1: register again
            request.restart()
        if request.state == READY and self._nstart_wait_ms(request, now_ms) == 0:
            return self._send(request, now_ms)
        return 0

    def _has_timed_out(self, request, now_ms):  # hot
        if request.timeout_ms and (now_ms - request.began_ms) & CLOCK_MASK >= request.timeout_ms:
            return True
        return request.state == AWAITING_RESPONSE and _is_past(request.deadline_ms, now_ms)

    def _request_wait_ms(self, request, now_ms):  # hot
        left = CLOCK_MASK
        if request.state == READY:
            left = 0 if request.began_ms < 0 else self._nstart_wait_ms(request, now_ms)
        elif request.state == AWAITING_RESPONSE or request.state == OBSERVING:
            left = (request.deadline_ms - now_ms) & CLOCK_MASK
        if request.timeout_ms and request.state != FREE and request.began_ms >= 0:
            limit = (request.began_ms + request.timeout_ms - now_ms) & CLOCK_MASK
            if limit < left or limit >= CLOCK_HALF:
                left = limit
        return 0 if CLOCK_MASK > left >= CLOCK_HALF else left

    def _nstart_wait_ms(self, request, now_ms):  # hot
        """Return how long NSTART delays the request; CLOCK_MASK: until an exchange ends."""
        busy = 0
        if not request.confirmable:
            busy = self._exchange_count(self.node.messaging, request.peer)
        elif not self.node.messaging.has_free_exchange(AUTHENTICATED, request.peer):
            return CLOCK_MASK  # else the message layer orders it among the other exchanges
        i = len(self.requests)
        while i:
            i -= 1
            if self._outstanding_ms(self.requests[i], request.peer, now_ms):
                busy += 1
        if busy < self.node.messaging.nstart:
            return 0
        return self._next_free_ms(request.peer, now_ms)

    def _next_free_ms(self, peer, now_ms):  # hot
        nearest = CLOCK_MASK
        i = len(self.requests)
        while i:
            i -= 1
            left = self._outstanding_ms(self.requests[i], peer, now_ms)
            if 0 < left < nearest:
                nearest = left
        return nearest

    def _exchange_count(self, messaging, peer):  # hot
        count = 0
        i = len(messaging.owners)
        while i:
            i -= 1
            if messaging.owners[i] is not None and messaging.exchange_peers[i] == peer:
                count += 1
        return count

    def _outstanding_ms(self, request, peer, now_ms):  # hot
        # RFC 7252 section 4.7: a NON is outstanding while its response is still expected; here for
        # as long as a CON would wait before it is retransmitted
        if request.state != AWAITING_RESPONSE or request.confirmable or request.peer != peer:
            return 0
        gone = (now_ms - request.sent_ms) & CLOCK_MASK
        limit = self.node.messaging.ack_timeout_ms
        return limit - gone if gone < limit else 0

    def _send(self, request, now_ms):  # hot
        if request.observe_value != ABSENT and not request.offset:
            copy(request.token, 0, request.observe_token, 0, TOKEN_BYTES)
        elif (
            request.context is not None
            or request.observe_value != ABSENT
            or not (request.sent or request.offset)
        ):
            # Further blocks keep the token. Not so under OSCORE, where only this end needs it, and
            # not in an observation, whose token stands for its notifications.
            self.tokens.next(request.token)
        if request.confirmable:
            request.exchange = self.node.messaging.open_exchange(self, request.peer, AUTHENTICATED)
            request.state = IN_EXCHANGE
            return 0
        n = self._write(request, NON, self.node.messaging.next_mid())
        if n <= 0:
            self.response_handler.fail(request, TOO_LONG if n else UNPROTECTED)
            return 0
        self._await_response(request, now_ms)
        self.node.peer = request.peer
        return n

    def _write(self, request, kind, mid):
        is_retransmission = request.mid == mid
        n = request.write(self.writer, kind, mid)
        if request.context is not None and n > 0:
            n = self.node.oscore.client_protection.protect_request(request, n, is_retransmission)
        return n

    def _await_response(self, request, now_ms):  # hot
        request.state = AWAITING_RESPONSE
        request.sent_ms = now_ms
        request.deadline_ms = (now_ms + request.response_timeout_ms) & CLOCK_MASK
        self.node.reschedule()

    # Receiving

    def _accept(self, request, view):  # hot
        self.node.messaging.mark_verified(
            view.peer
        )  # it knows the token, so it receives at its address
        self._close_exchange(request)
        if request.deregistering:
            self.release(request)
        else:
            self.response_handler.handle(request, view, view.index[CODE])

    def _find(self, view):  # hot
        index = view.index
        if index[OPTIONS_START] - index[TOKEN] != TOKEN_BYTES:
            return None
        i = len(self.requests) if self.active_count else 0
        while i:
            i -= 1
            request = self.requests[i]
            if request.state > READY or request.observe_number != ABSENT:
                if request.peer == view.peer and self._has_token(request, view):
                    return request
        return None

    def _has_token(self, request, view):  # hot
        if request.state > READY:
            if equal(view.buf, view.index[TOKEN], request.token, 0, TOKEN_BYTES):
                return True
        return request.is_observation(view)

    def _close_exchange(self, request):  # hot
        if request.exchange >= 0:
            exchange = request.exchange
            request.exchange = -1
            self.node.messaging.close_exchange(exchange)

    def _request_of(self, exchange):  # hot
        for request in self.requests:
            if request.exchange == exchange:
                return request
        raise ValueError("no request has this exchange")


def _is_past(deadline_ms, now_ms):  # hot
    return (now_ms - deadline_ms) & CLOCK_MASK < CLOCK_HALF


class ResponseDedup:
    """The last confirmable responses that were accepted (RFC 7252 section 4.2).

    A repeat of one is acknowledged again. Its request has ended by then: without this table the
    repeat would be rejected.
    """

    def __init__(self, entries):
        self.peers = [None] * entries
        self.mids = array("i", [ABSENT] * entries)
        self.since_ms = array("i", [0] * entries)
        self.next = 0
        self.in_use = False

    def remember(self, view):  # hot
        """Add the response, if it is confirmable, in place of the oldest one."""
        if view.index[TYPE]:
            return
        i = self.next
        self.next = i + 1 if i + 1 < len(self.mids) else 0
        self.mids[i] = view.index[MID]
        self.peers[i] = view.peer
        self.since_ms[i] = view.now_ms
        self.in_use = True

    def is_duplicate(self, view):  # hot
        """Return True if the response was accepted before."""
        if view.index[TYPE]:
            return False
        mid = view.index[MID]
        i = len(self.mids)
        while i:
            i -= 1
            if self.mids[i] == mid and self.peers[i] == view.peer:
                if (view.now_ms - self.since_ms[i]) & CLOCK_MASK < LIFETIME_MS:
                    return True
        return False

    def due(self, now_ms):  # hot
        """Clear the table when its newest entry has expired, before the clock wraps around."""
        last = self.next - 1 if self.next else len(self.mids) - 1
        if self.in_use and (now_ms - self.since_ms[last]) & CLOCK_MASK >= LIFETIME_MS:
            self.in_use = False
            i = len(self.mids)
            while i:
                i -= 1
                self.mids[i] = ABSENT
                self.peers[i] = None
