"""A small client for tests on a Wire: requests in sequence, retransmitted until they end.

It shares nothing with lib/coap. It is more patient than RFC 7252 asks of a client, yet within an
EXCHANGE_LIFETIME, so that on a bad wire every exchange has an end to be checked. Each exchange is
a list of requests, made one after another by a function of the responses so far; notifications
go to `told`.
"""

from coap.numbers import ACK, CON, RST
from support.engine import decode, encode

_MASK = 0x3FFFFFFF


class Reliable:
    """An end of a Wire. `ask(script)` queues an exchange; `results` has (script, responses)."""

    def __init__(self, wire, name, node="node", timeout_ms=2000, attempts=20):
        self.wire = wire
        self.name = name
        self.node = node
        self.peer = node
        self.timeout_ms = timeout_ms
        self.attempts = attempts
        self.queue = []
        self.script = None
        self.answers = []
        self.results = []
        self.told = []  # messages with a token of an observation
        self.watched = {}
        self.seen = {}  # {MID of the node: the ACK or RST sent for it}
        self.mid = 0
        self.pending = None  # the request in flight: bytes, or b"" while a response is awaited
        self.asked = None
        self.next_ms = 0
        self.tries = 0
        self.failed = []
        self.tx = b""

    def ask(self, script):
        """Queue a script: a function of the list of responses that returns the arguments of the
        next request (kind, code, options, payload, token), or None at its end.
        """
        self.queue.append(script)

    def idle(self):
        return self.script is None and not self.queue

    # As an end of the wire

    def tx_view(self, _n):
        return self.tx

    def wait_ms(self, _now_ms):
        if self.idle():
            return -1
        if self.pending is None:
            return 0
        return max(0, self.next_ms - self.wire.elapsed_ms)

    def due(self, _now_ms):
        if self.pending is None and not self.idle():
            self._next()
            if self.pending is None:
                return 0
        elif self.pending is None or self.next_ms > self.wire.elapsed_ms:
            return 0
        if self.tries >= self.attempts:
            self.failed.append((self.script, self.asked))
            self._end()
            return 0
        self.tx = self.pending
        self.next_ms = self.wire.elapsed_ms + (self.timeout_ms << min(self.tries, 2))
        self.tries += 1
        return len(self.tx)

    def datagram(self, buf, n, _sender, _now_ms):
        message = decode(buf[:n])
        self.tx = b""
        if message.kind in (ACK, RST):
            self._reply(message)
            return 0
        if message.mid in self.seen:
            self.tx = self.seen[message.mid]
            return len(self.tx)
        known = self._reply(message)
        if message.token in self.watched:
            self.told.append(message)
            known = True
        if message.kind == CON:
            self.tx = encode(ACK if known else RST, 0, message.mid)
        if len(self.seen) > 200:
            self.seen.clear()
        self.seen[message.mid] = self.tx
        return len(self.tx)

    # One exchange

    def _next(self):
        if self.script is None:
            self.script = self.queue.pop(0)
            self.answers = []
        step = self.script(self.answers)
        if step is None:
            self.results.append((self.script, self.answers))
            self._end()
            return
        kind, code, options, payload, token = step
        self.mid = (self.mid + 1) & 0xFFFF
        self.asked = (kind, token)
        self.pending = encode(kind, code, self.mid, token, options, payload)
        self.tries = 0

    def _end(self):
        self.script = self.pending = self.asked = None

    def _reply(self, message):
        """Return True if the message is the expected response."""
        if self.asked is None:
            return False
        if message.kind == RST:
            raise AssertionError("the node reset " + repr(message))
        if message.kind == ACK and message.mid != self.mid:
            return False
        if message.code == 0:
            # the response comes later: ask no more, but wait as long as it may take
            self.next_ms = self.wire.elapsed_ms + 200000
            self.tries = self.attempts
            return False
        if message.token != self.asked[1]:
            return False
        self.answers.append(message)
        self.pending = None
        return True
