"""The client half of a node: requests out, and what comes back (RFC 7252 section 5, 7959, 7641).

    client = Client()
    node = Node(*usual(), client)

    def told(answer):
        print(answer, answer.payload_bytes())

    client.get(peer, "s/door", told)
    call = client.post(peer, "r/door", pack, told)
    call.content_format = SENML_CBOR
    client.observe(peer, "s/temp", told)

`peer` is an address as the transport has it: coap.transports.udp.peer("192.168.1.2"). A path may
have a query; see coap.client_request. An answer in blocks calls the function once for each
piece, or once
when the Call was given a buffer: call.into = bytearray(4096).
"""

from array import array

from micropython import const

from coap.client_request import (
    AWAITED,
    DEREGISTER,
    DONE,
    FREE,
    OPEN,
    READY,
    REGISTER,
    RESET,
    TAKEN,
    TIMEOUT,
    TOKEN_BYTES,
    TOO_LONG,
    UNPROTECTED,
    WATCHING,
    ClientRequest,
    Tokens,
    path_to_options,
)
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
from coap.messaging import ACKNOWLEDGED, GIVEN_UP
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
from coap.reassembly import Reassembly
from coap.resource import CoapError

# those that a response may carry
_UNDERSTOOD = 1 << IX_BLOCK2 | 1 << IX_BLOCK1

_PATHS = const(16)  # that are kept as options


class Client(Extension):
    """slots: requests and observations at a time; patience_ms: how long a response is awaited
    after its empty ACK, or to a NON; remembered: responses known again when they are repeated.
    """

    scheduled = True

    def __init__(self, slots=2, patience_ms=93000, dedup_entries=8):
        self.patience_ms = patience_ms
        self.calls = [ClientRequest(self) for _ in range(slots)]
        self.used = 0
        self.tokens = Tokens()
        self.entropy = None  # that the tokens are made from
        self.paths = {}
        self.repeats = ResponseDedup(dedup_entries)

    def attach(self, node):
        self.node = node
        self.writer = node.separate.message  # which writes into tx
        self.intake = Reassembly(self)
        self.szx = 6
        while self.szx and 16 << self.szx > node.view.index[MAX_PAYLOAD]:
            self.szx -= 1
        node.client = self
        node.messaging.client = self

    # What applications call

    def get(self, peer, path, on_response=None):  # hot
        """Ask for a representation; see request()."""
        return self.request(peer, GET, path).tell(on_response)

    def post(self, peer, path, payload=b"", on_response=None):  # hot
        """See request()."""
        return self.request(peer, POST, path, payload).tell(on_response)

    def put(self, peer, path, payload=b"", on_response=None):  # hot
        """See request()."""
        return self.request(peer, PUT, path, payload).tell(on_response)

    def delete(self, peer, path, on_response=None):  # hot
        """See request()."""
        return self.request(peer, DELETE, path).tell(on_response)

    def fetch(self, peer, path, payload=b"", on_response=None):  # hot
        """See request()."""
        return self.request(peer, FETCH, path, payload).tell(on_response)

    def observe(self, peer, path, on_response):  # hot
        """Hear of every change, until cancel() or a Response that is the `last`.

        A registration is renewed when nothing was heard for its Max-Age.
        """
        call = self.request(peer, GET, path).tell(on_response)
        call.wish = REGISTER
        call.observing = True
        self.tokens.next(call.watch)
        return call

    def request(self, peer, method, path, payload=b""):  # hot
        """Send a request: the Call, whose attributes complete it until the caller returns.

        A payload is not copied: leave it as it is until on_answer(response) was called for the
        last time. Raises CoapError 5.03 when all slots are taken, see free().
        """
        if isinstance(payload, str):
            payload = payload.encode()
        if self.entropy is not self.node.entropy:
            self.entropy = self.node.entropy
            self.tokens.seed(self.entropy)
        path = self._options(path)
        call = self._take(peer, method, path)
        call.payload = payload
        self.node.reschedule()
        return call

    def free(self):  # hot
        """Is there a slot for request()?"""
        return self.used < len(self.calls)

    def cancel(self, call):  # hot
        """Hear no more of a call; the server is told that an observation ends."""
        if call.state == FREE or call.closing:
            return
        unknown = call.number == ABSENT and call.state == READY and call.mid == ABSENT
        self._drop(call)
        if call.observing and not unknown:
            call.closing = True
            call.observing = False
            call.on_response = call.into = None
            call.wish = DEREGISTER
            call.confirmable = True
            call.limit_ms = 0
            call.state = READY
            call.restart()
            self.node.reschedule()
        else:
            self.release(call)

    # In its own time

    def due(self, now_ms):  # hot
        self.repeats.due(now_ms)
        i = len(self.calls) if self.used else 0
        while i:
            i -= 1
            n = self._attend(self.calls[i], now_ms)
            if n:
                return n
        return 0

    def wait_ms(self, now_ms):  # hot
        nearest = LIFETIME_MS if self.repeats.kept else CLOCK_MASK
        i = len(self.calls) if self.used else 0
        while i:
            i -= 1
            left = self._left_ms(self.calls[i], now_ms)
            if left < nearest:
                nearest = left
        return nearest

    # As an owner of exchanges

    def transmit(self, slot, mid):  # hot
        call = self._holder(slot)
        n = self._write(call, CON, mid)
        if n <= 0:
            self.intake.fail(call, TOO_LONG if n else UNPROTECTED)
            return 0
        return n

    def on_exchange_done(self, slot, how):  # hot
        call = self._holder(slot)
        call.slot = -1
        if how == ACKNOWLEDGED:
            self._await(call, self.node.view.now_ms)
        else:
            self.intake.fail(call, TIMEOUT if how == GIVEN_UP else RESET)

    def rejected(self, view):  # hot
        """An RST for a NON of ours."""
        for call in self.calls:
            if call.state == AWAITED and call.mid == view.index[MID] and call.peer == view.peer:
                if not call.confirmable:
                    self.intake.fail(call, RESET)
                    return

    # As the taker of responses

    def response(self, view, slot):  # hot
        """Take the response at hand: bytes in tx; -1: nobody asked for it.

        slot: where the message layer has the request that an ACK answers, -1 without an ACK.
        """
        if slot < 0 and self.repeats.knows(view):
            return self.node.messaging.write_ack(view)
        call = self._find(view)
        if slot >= 0 and (call is None or call.slot != slot):
            return 0
        if call is not None and call.context is not None:
            how = self.node.oscore.asking.heard(call, view)
            if how == DONE and slot < 0:
                self.repeats.remember(view)
                return self.node.messaging.write_ack(view)
            if how != TAKEN:
                return 0
        if view.index[FLAGS] & CRITICAL_OPTIONS & ~_UNDERSTOOD:
            return 0 if slot >= 0 else -1  # RFC 7252 section 5.4.1
        if slot >= 0:
            self._accept(call, view)
            return 0
        if call is None or (call.closing and view.has(IX_OBSERVE)):
            return -1  # the RST ends an observation that nobody wants
        self.repeats.remember(view)
        if not self.intake.stale(call, view):
            self._accept(call, view)
        return self.node.messaging.write_ack(view)

    def renew(self, call):
        """Send the request of a call, or the block whose turn it is, once more as a new one."""
        self._drop(call)
        call.state = READY
        self.node.reschedule()

    def release(self, call):  # hot
        """The call is done."""
        self._drop(call)
        call.clear()
        self.used -= 1
        self.node.reschedule()

    def _options(self, path):  # hot
        found = self.paths.get(path)
        if found is None:
            if len(self.paths) >= _PATHS:
                self.paths.clear()
            found = self.paths[path] = path_to_options(path)
        return found

    def _take(self, peer, method, found):  # hot
        i = len(self.calls)
        while i:
            i -= 1
            if self.calls[i].state == FREE:
                self.calls[i].begin(peer, method, found, self.szx)
                self.calls[i].patience_ms = self.patience_ms
                if self.node.oscore is not None:
                    self.node.oscore.prepare(self.calls[i], peer)
                self.used += 1
                return self.calls[i]
        self.node.counters[COUNT_NO_EXCHANGE] += 1
        raise CoapError(SERVICE_UNAVAILABLE, "no request is free: give Client more slots", 5)

    # Sending

    def _attend(self, call, now_ms):  # hot
        if call.state == FREE:
            return 0
        if call.began_ms < 0:
            call.began_ms = now_ms
        if self._over(call, now_ms):
            self.intake.fail(call, TIMEOUT)
            return 0
        if call.state == WATCHING and (now_ms - call.until_ms) & CLOCK_MASK < CLOCK_HALF:
            call.state = READY  # RFC 7641 section 3.3.1: register again
            call.restart()
        if call.state == READY and self._turn_ms(call, now_ms) == 0:
            return self._send(call, now_ms)
        return 0

    def _over(self, call, now_ms):  # hot
        if call.limit_ms and (now_ms - call.began_ms) & CLOCK_MASK >= call.limit_ms:
            return True
        return call.state == AWAITED and (now_ms - call.until_ms) & CLOCK_MASK < CLOCK_HALF

    def _left_ms(self, call, now_ms):  # hot
        left = CLOCK_MASK
        if call.state == READY:
            left = 0 if call.began_ms < 0 else self._turn_ms(call, now_ms)
        elif call.state == AWAITED or call.state == WATCHING:
            left = (call.until_ms - now_ms) & CLOCK_MASK
        if call.limit_ms and call.state != FREE and call.began_ms >= 0:
            limit = (call.began_ms + call.limit_ms - now_ms) & CLOCK_MASK
            if limit < left or limit >= CLOCK_HALF:
                left = limit
        return 0 if CLOCK_MASK > left >= CLOCK_HALF else left

    def _turn_ms(self, call, now_ms):  # hot
        """How long NSTART makes the call wait; MASK: until somebody hurries the node."""
        exchange = self.node.messaging
        if call.confirmable:
            if not exchange.has_free_exchange():
                return CLOCK_MASK
            busy = 0  # with others that are confirmable the message layer keeps the order
        else:
            busy = self._exchanges(exchange, call.peer)
        i = len(self.calls)
        while i:
            i -= 1
            if self._silence_ms(self.calls[i], call.peer, now_ms):
                busy += 1
        return 0 if busy < exchange.nstart else self._nearest_ms(call.peer, now_ms)

    def _nearest_ms(self, peer, now_ms):  # hot
        nearest = CLOCK_MASK
        i = len(self.calls)
        while i:
            i -= 1
            left = self._silence_ms(self.calls[i], peer, now_ms)
            if 0 < left < nearest:
                nearest = left
        return nearest

    def _exchanges(self, exchange, peer):  # hot
        busy = 0
        i = len(exchange.owners)
        while i:
            i -= 1
            if exchange.owners[i] is not None and exchange.exchange_peers[i] == peer:
                busy += 1
        return busy

    def _silence_ms(self, call, peer, now_ms):  # hot
        # RFC 7252 section 4.7: a NON is outstanding while its response is still expected; here for
        # as long as a CON would wait before it is sent again
        if call.state != AWAITED or call.confirmable or call.peer != peer:
            return 0
        gone = (now_ms - call.sent_ms) & CLOCK_MASK
        limit = self.node.messaging.ack_timeout_ms
        return limit - gone if gone < limit else 0

    def _send(self, call, now_ms):  # hot
        if call.wish != ABSENT and not call.offset:
            copy(call.token, 0, call.watch, 0, TOKEN_BYTES)
        else:
            self.tokens.next(call.token)
        if call.confirmable:
            call.slot = self.node.messaging.open_exchange(self, call.peer)
            call.state = OPEN
            return 0
        n = self._write(call, NON, self.node.messaging.next_mid())
        if n <= 0:
            self.intake.fail(call, TOO_LONG if n else UNPROTECTED)
            return 0
        self._await(call, now_ms)
        self.node.peer = call.peer
        return n

    def _write(self, call, kind, mid):
        again = call.mid == mid
        n = call.write(self.writer, kind, mid)
        if call.context is not None and n > 0:
            n = self.node.oscore.asking.protect(call, n, again)
        return n

    def _await(self, call, now_ms):  # hot
        call.state = AWAITED
        call.sent_ms = now_ms
        call.until_ms = (now_ms + call.patience_ms) & CLOCK_MASK
        self.node.reschedule()

    # What comes

    def _accept(self, call, view):  # hot
        self.node.messaging.mark_verified(view.peer)  # it knows our token, so it gets what we send
        self._drop(call)
        if call.closing:
            self.release(call)
        else:
            self.intake.answer(call, view, view.index[CODE])

    def _find(self, view):  # hot
        index = view.index
        if index[OPTIONS_START] - index[TOKEN] != TOKEN_BYTES:
            return None
        i = len(self.calls) if self.used else 0
        while i:
            i -= 1
            call = self.calls[i]
            if call.state > READY or call.number != ABSENT:
                if call.peer == view.peer and self._names(call, view):
                    return call
        return None

    def _names(self, call, view):  # hot
        at = view.index[TOKEN]
        if call.state > READY and equal(view.buf, at, call.token, 0, TOKEN_BYTES):
            return True
        return call.observing and equal(view.buf, at, call.watch, 0, TOKEN_BYTES) == 1

    def _drop(self, call):  # hot
        """Take the call out of the message layer."""
        if call.slot >= 0:
            slot = call.slot
            call.slot = -1
            self.node.messaging.close_exchange(slot)

    def _holder(self, slot):  # hot
        for call in self.calls:
            if call.slot == slot:
                return call
        raise ValueError("no call has this exchange")


# Confirmable responses that were taken, so that a repeat is acknowledged again (RFC 7252 4.2).
#
# Their requests are done and forgotten by then: without this a repeat would be rejected.

LIFETIME_MS = const(247000)  # EXCHANGE_LIFETIME


class ResponseDedup:
    """The last `slots` of them."""

    def __init__(self, slots):
        self.peers = [None] * slots
        self.mids = array("i", [ABSENT] * slots)
        self.since_ms = array("i", [0] * slots)
        self.turn = 0
        self.kept = False

    def remember(self, view):  # hot
        """The message at hand was taken."""
        if view.index[TYPE]:
            return
        i = self.turn
        self.turn = i + 1 if i + 1 < len(self.mids) else 0
        self.mids[i] = view.index[MID]
        self.peers[i] = view.peer
        self.since_ms[i] = view.now_ms
        self.kept = True

    def knows(self, view):  # hot
        """Was the message at hand taken before?"""
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
        """Forget, before the clock comes round and old ones look young."""
        last = self.turn - 1 if self.turn else len(self.mids) - 1
        if self.kept and (now_ms - self.since_ms[last]) & CLOCK_MASK >= LIFETIME_MS:
            self.kept = False
            i = len(self.mids)
            while i:
                i -= 1
                self.mids[i] = ABSENT
                self.peers[i] = None
