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
have a query; see coap.target. An answer in blocks calls the function once for each piece, or once
when the Call was given a buffer: call.into = bytearray(4096).
"""

from micropython import const

from coap.call import Call
from coap.copying import copy
from coap.feature import Feature
from coap.intake import Intake
from coap.repeats import LIFETIME_MS, Repeats
from coap.resource import CoapError
from coap.scan import equal
from coap.target import options
from coap.token import SIZE, Tokens

# Numbers of other files: the compiler folds only the constants of the file at hand
_NO_EXCHANGE = const(4)  # counters.NO_EXCHANGE
_CON = const(0)  # numbers.CON
_NON = const(1)  # numbers.NON
_GET = const(1)  # numbers.GET
_POST = const(2)  # numbers.POST
_PUT = const(3)  # numbers.PUT
_DELETE = const(4)  # numbers.DELETE
_FETCH = const(5)  # numbers.FETCH
_SERVICE_UNAVAILABLE = const(0xA3)  # numbers.SERVICE_UNAVAILABLE
_OBSERVE = const(5)  # scan.OBSERVE
_FLAGS = const(48)  # scan.FLAGS
_CODE = const(50)  # scan.CODE
_SCAN_MID = const(51)  # scan.MID
_TOKEN = const(52)  # scan.TOKEN
_HEAD = const(53)  # scan.HEAD
_ROOM = const(58)  # scan.ROOM
_CRITICAL = const(8494806)  # scan.CRITICAL
# those that a response may carry
_UNDERSTOOD = const(1 << 11 | 1 << 12)  # scan.BLOCK2, scan.BLOCK1
_ABSENT = const(0x3FFFFFFF)  # scan.ABSENT
_ACKNOWLEDGED = const(0)  # exchange.ACKNOWLEDGED
_DONE = const(1)  # asking.DONE
_TAKEN = const(2)  # asking.TAKEN
_GIVEN_UP = const(2)  # exchange.GIVEN_UP
_HALF = const(0x20000000)  # exchange.HALF
_MASK = const(0x3FFFFFFF)  # exchange.MASK
_REGISTER = const(0)  # call.REGISTER
_FREE = const(0)  # call.FREE
_READY = const(1)  # call.READY
_DEREGISTER = const(1)  # call.DEREGISTER
_TIMEOUT = const(1)  # call.TIMEOUT
_OPEN = const(2)  # call.OPEN
_RESET = const(2)  # call.RESET
_AWAITED = const(3)  # call.AWAITED
_WATCHING = const(4)  # call.WATCHING
_TOO_LONG = const(4)  # call.TOO_LONG
_UNPROTECTED = const(5)  # call.UNPROTECTED

_PATHS = const(16)  # that are kept as options


class Client(Feature):
    """slots: requests and observations at a time; patience_ms: how long a response is awaited
    after its empty ACK, or to a NON; remembered: responses known again when they are repeated.
    """

    timed = True

    def __init__(self, slots=2, patience_ms=93000, remembered=8):
        self.patience_ms = patience_ms
        self.calls = [Call(self) for _ in range(slots)]
        self.used = 0
        self.tokens = Tokens()
        self.entropy = None  # that the tokens are made from
        self.paths = {}
        self.repeats = Repeats(remembered)

    def attach(self, node):
        self.node = node
        self.writer = node.later.writer  # which writes into tx
        self.intake = Intake(self)
        self.szx = 6
        while self.szx and 16 << self.szx > node.view.r[_ROOM]:
            self.szx -= 1
        node.client = self
        node.exchange.answers = self

    # What applications call

    def get(self, peer, path, on_answer=None):  # hot
        """Ask for a representation; see request()."""
        return self.request(peer, _GET, path).tell(on_answer)

    def post(self, peer, path, payload=b"", on_answer=None):  # hot
        """See request()."""
        return self.request(peer, _POST, path, payload).tell(on_answer)

    def put(self, peer, path, payload=b"", on_answer=None):  # hot
        """See request()."""
        return self.request(peer, _PUT, path, payload).tell(on_answer)

    def delete(self, peer, path, on_answer=None):  # hot
        """See request()."""
        return self.request(peer, _DELETE, path).tell(on_answer)

    def fetch(self, peer, path, payload=b"", on_answer=None):  # hot
        """See request()."""
        return self.request(peer, _FETCH, path, payload).tell(on_answer)

    def observe(self, peer, path, on_answer):  # hot
        """Hear of every change, until cancel() or a Response that is the `last`.

        A registration is renewed when nothing was heard for its Max-Age.
        """
        call = self.request(peer, _GET, path).tell(on_answer)
        call.wish = _REGISTER
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
        self.node.hurry()
        return call

    def free(self):  # hot
        """Is there a slot for request()?"""
        return self.used < len(self.calls)

    def cancel(self, call):  # hot
        """Hear no more of a call; the server is told that an observation ends."""
        if call.state == _FREE or call.closing:
            return
        unknown = call.number == _ABSENT and call.state == _READY and call.mid == _ABSENT
        self._drop(call)
        if call.observing and not unknown:
            call.closing = True
            call.observing = False
            call.on_answer = call.into = None
            call.wish = _DEREGISTER
            call.confirmable = True
            call.limit_ms = 0
            call.state = _READY
            call.restart()
            self.node.hurry()
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
        nearest = LIFETIME_MS if self.repeats.kept else _MASK
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
        n = self._write(call, _CON, mid)
        if n <= 0:
            self.intake.fail(call, _TOO_LONG if n else _UNPROTECTED)
            return 0
        return n

    def settled(self, slot, how):  # hot
        call = self._holder(slot)
        call.slot = -1
        if how == _ACKNOWLEDGED:
            self._await(call, self.node.view.now_ms)
        else:
            self.intake.fail(call, _TIMEOUT if how == _GIVEN_UP else _RESET)

    def rejected(self, view):  # hot
        """An RST for a NON of ours."""
        for call in self.calls:
            if call.state == _AWAITED and call.mid == view.r[_SCAN_MID] and call.peer == view.peer:
                if not call.confirmable:
                    self.intake.fail(call, _RESET)
                    return

    # As the taker of responses

    def response(self, view, slot):  # hot
        """Take the response at hand: bytes in tx; -1: nobody asked for it.

        slot: where the message layer has the request that an ACK answers, -1 without an ACK.
        """
        if slot < 0 and self.repeats.knows(view):
            return self.node.exchange.acknowledge(view)
        call = self._find(view)
        if slot >= 0 and (call is None or call.slot != slot):
            return 0
        if call is not None and call.context is not None:
            how = self.node.secure.asking.heard(call, view)
            if how == _DONE and slot < 0:
                self.repeats.remember(view)
                return self.node.exchange.acknowledge(view)
            if how != _TAKEN:
                return 0
        if view.r[_FLAGS] & _CRITICAL & ~_UNDERSTOOD:
            return 0 if slot >= 0 else -1  # RFC 7252 section 5.4.1
        if slot >= 0:
            self._accept(call, view)
            return 0
        if call is None or (call.closing and view.has(_OBSERVE)):
            return -1  # the RST ends an observation that nobody wants
        self.repeats.remember(view)
        if not self.intake.stale(call, view):
            self._accept(call, view)
        return self.node.exchange.acknowledge(view)

    def renew(self, call):
        """Send the request of a call, or the block whose turn it is, once more as a new one."""
        self._drop(call)
        call.state = _READY
        self.node.hurry()

    def release(self, call):  # hot
        """The call is done."""
        self._drop(call)
        call.clear()
        self.used -= 1
        self.node.hurry()

    def _options(self, path):  # hot
        found = self.paths.get(path)
        if found is None:
            if len(self.paths) >= _PATHS:
                self.paths.clear()
            found = self.paths[path] = options(path)
        return found

    def _take(self, peer, method, found):  # hot
        i = len(self.calls)
        while i:
            i -= 1
            if self.calls[i].state == _FREE:
                self.calls[i].begin(peer, method, found, self.szx)
                self.calls[i].patience_ms = self.patience_ms
                if self.node.secure is not None:
                    self.node.secure.prepare(self.calls[i], peer)
                self.used += 1
                return self.calls[i]
        self.node.counters[_NO_EXCHANGE] += 1
        raise CoapError(_SERVICE_UNAVAILABLE, "no request is free: give Client more slots", 5)

    # Sending

    def _attend(self, call, now_ms):  # hot
        if call.state == _FREE:
            return 0
        if call.began_ms < 0:
            call.began_ms = now_ms
        if self._over(call, now_ms):
            self.intake.fail(call, _TIMEOUT)
            return 0
        if call.state == _WATCHING and (now_ms - call.until_ms) & _MASK < _HALF:
            call.state = _READY  # RFC 7641 section 3.3.1: register again
            call.restart()
        if call.state == _READY and self._turn_ms(call, now_ms) == 0:
            return self._send(call, now_ms)
        return 0

    def _over(self, call, now_ms):  # hot
        if call.limit_ms and (now_ms - call.began_ms) & _MASK >= call.limit_ms:
            return True
        return call.state == _AWAITED and (now_ms - call.until_ms) & _MASK < _HALF

    def _left_ms(self, call, now_ms):  # hot
        left = _MASK
        if call.state == _READY:
            left = 0 if call.began_ms < 0 else self._turn_ms(call, now_ms)
        elif call.state == _AWAITED or call.state == _WATCHING:
            left = (call.until_ms - now_ms) & _MASK
        if call.limit_ms and call.state != _FREE and call.began_ms >= 0:
            limit = (call.began_ms + call.limit_ms - now_ms) & _MASK
            if limit < left or limit >= _HALF:
                left = limit
        return 0 if _MASK > left >= _HALF else left

    def _turn_ms(self, call, now_ms):  # hot
        """How long NSTART makes the call wait; MASK: until somebody hurries the node."""
        exchange = self.node.exchange
        if call.confirmable:
            if not exchange.free():
                return _MASK
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
        nearest = _MASK
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
            if exchange.owners[i] is not None and exchange.peers[i] == peer:
                busy += 1
        return busy

    def _silence_ms(self, call, peer, now_ms):  # hot
        # RFC 7252 section 4.7: a NON is outstanding while its response is still expected; here for
        # as long as a CON would wait before it is sent again
        if call.state != _AWAITED or call.confirmable or call.peer != peer:
            return 0
        gone = (now_ms - call.sent_ms) & _MASK
        limit = self.node.exchange.ack_timeout_ms
        return limit - gone if gone < limit else 0

    def _send(self, call, now_ms):  # hot
        if call.wish != _ABSENT and not call.offset:
            copy(call.token, 0, call.watch, 0, SIZE)
        else:
            self.tokens.next(call.token)
        if call.confirmable:
            call.slot = self.node.exchange.begin(self, call.peer)
            call.state = _OPEN
            return 0
        n = self._write(call, _NON, self.node.exchange.next_mid())
        if n <= 0:
            self.intake.fail(call, _TOO_LONG if n else _UNPROTECTED)
            return 0
        self._await(call, now_ms)
        self.node.peer = call.peer
        return n

    def _write(self, call, kind, mid):
        again = call.mid == mid
        n = call.write(self.writer, kind, mid)
        if call.context is not None and n > 0:
            n = self.node.secure.asking.protect(call, n, again)
        return n

    def _await(self, call, now_ms):  # hot
        call.state = _AWAITED
        call.sent_ms = now_ms
        call.until_ms = (now_ms + call.patience_ms) & _MASK
        self.node.hurry()

    # What comes

    def _accept(self, call, view):  # hot
        self.node.exchange.trust(view.peer)  # it knows our token, so it gets what we send
        self._drop(call)
        if call.closing:
            self.release(call)
        else:
            self.intake.answer(call, view, view.r[_CODE])

    def _find(self, view):  # hot
        r = view.r
        if r[_HEAD] - r[_TOKEN] != SIZE:
            return None
        i = len(self.calls) if self.used else 0
        while i:
            i -= 1
            call = self.calls[i]
            if call.state > _READY or call.number != _ABSENT:
                if call.peer == view.peer and self._names(call, view):
                    return call
        return None

    def _names(self, call, view):  # hot
        at = view.r[_TOKEN]
        if call.state > _READY and equal(view.buf, at, call.token, 0, SIZE):
            return True
        return call.observing and equal(view.buf, at, call.watch, 0, SIZE) == 1

    def _drop(self, call):  # hot
        """Take the call out of the message layer."""
        if call.slot >= 0:
            slot = call.slot
            call.slot = -1
            self.node.exchange.end(slot)

    def _holder(self, slot):  # hot
        for call in self.calls:
            if call.slot == slot:
                return call
        raise ValueError("no call has this exchange")
