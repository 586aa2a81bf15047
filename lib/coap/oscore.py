"""OSCORE (RFC 8613): requests, answers and notifications that nobody on the way reads or changes.

    oscore = Oscore([Context(secret, b"\\x01", b"\\x02")], flash, retained)
    node = Node(*usual(), Access(READ_ONLY), oscore)

What comes under OSCORE is taken out of its envelope and goes through the node as any request does;
view.context says under which context, 0 for none. Its message has the OSCORE option still, so that
who keeps it, as Observe does, can have its answers protected later. The contexts of the node's own
requests are those of their peers: oscore.bind(peer, context).
"""

from hashlib import sha256

from micropython import const

from coap.cipher import SYNCED, came, is_new
from coap.copying import copy
from coap.envelope import Envelope
from coap.feature import Feature
from coap.framing import ABSENT
from coap.guard import inside
from coap.ledger import Ledger
from coap.scan import equal

# Numbers of other files: the compiler folds only the constants of the file at hand
_BAD_REQUEST = const(0x80)  # numbers.BAD_REQUEST
_UNAUTHORIZED = const(0x81)  # numbers.UNAUTHORIZED
_BAD_OPTION = const(0x82)  # numbers.BAD_OPTION
_REQUEST_ENTITY_TOO_LARGE = const(0x8D)  # numbers.REQUEST_ENTITY_TOO_LARGE
_INTERNAL_SERVER_ERROR = const(0xA0)  # numbers.INTERNAL_SERVER_ERROR
_OPTION_ECHO = const(252)  # numbers.ECHO
_OBSERVE = const(5)  # scan.OBSERVE
_OSCORE = const(16)  # scan.OSCORE
_ECHO = const(17)  # scan.ECHO
_ONCE = const(1 << 24 | 1 << 12)  # scan.UNSAFE, scan.BLOCK1
_REQUEST = const(1 << 0)  # scan.REQUEST
_FLAGS = const(48)  # scan.FLAGS
_TYPE = const(49)  # scan.TYPE
_HEAD = const(53)  # scan.HEAD
_SIZE = const(56)  # scan.SIZE
_LIMIT = const(62)  # scan.LIMIT
_Q_MAX_AGE = const(4)  # compose.Q_MAX_AGE
# The numbers of framing.py and cipher.py
_PIV_LENGTH = const(1)  # framing.PIV_LENGTH
_CONTEXT_AT = const(2)  # framing.CONTEXT_AT
_CONTEXT_LENGTH = const(3)  # framing.CONTEXT_LENGTH
_KID_AT = const(4)  # framing.KID_AT
_KID_LENGTH = const(5)  # framing.KID_LENGTH
_PIV_HIGH = const(6)  # framing.PIV_HIGH
_PIV_LOW = const(7)  # framing.PIV_LOW
_HIGH = const(0)  # cipher.HIGH
_LOW = const(1)  # cipher.LOW
_RECENT = const(2)  # cipher.RECENT
_EARLIER = const(3)  # cipher.EARLIER
_COUNTERS_TOO_LONG = const(9)  # counters.TOO_LONG
_NOT_OPENED = const(21)  # counters.NOT_OPENED

_HALF = const(0x20000000)  # exchange.HALF
_MASK = const(0x3FFFFFFF)  # exchange.MASK
_RING_FIRST = const(3)  # ring.RING_FIRST
_RING_STEP = const(3)  # ring.RING_STEP
_ABSENT = const(0x3FFFFFFF)  # scan.ABSENT

_PIV = const(6)  # bytes of a Partial IV and its length
_NAME = const(4)  # bytes of a context's fingerprint
_CHALLENGE = const(8)  # bytes of an Echo value
_FRESH_MS = const(30000)  # a request that returns an older one is not fresh
_PAUSE_MS = const(1000)  # between challenges for a request that had one
# Of an answer that is too long to be remembered: MAX_RETRANSMIT and one more are given. The count
# stands above the length of the Partial IV.
_REPEATS = const(5 << 3)
_REPEAT = const(1 << 3)
SHORT = 8  # bytes that stand for an answer that is too long to be remembered: 0, code, Partial IV

# Why a request is refused: code and diagnostic payload (section 8.2)
_MALFORMED = (_BAD_OPTION, b"Failed to decode COSE")
_UNKNOWN = (_UNAUTHORIZED, b"Security context not found")
_REPLAY = (_UNAUTHORIZED, b"Replay detected")
_FORGED = (_BAD_REQUEST, b"Decryption failed")
_TOO_LONG = (_REQUEST_ENTITY_TOO_LARGE, b"")


class Oscore(Feature):
    """contexts: a list of coap.context.Context; flash, retained, step: see coap.ledger.

    Raises ValueError for two contexts with one sender key: each would count from 0.
    """

    special = understands = watches = 1 << _OSCORE
    timed = True

    def __init__(self, contexts=(), flash=None, retained=None, step=256):
        self.contexts = list(contexts)
        for i, context in enumerate(self.contexts):
            context.number = i + 1  # view.context, while it is in use
            for other in self.contexts[:i]:
                # the IV comes of all that the key comes of, but the id
                if other.iv == context.iv and other.sender_id == context.sender_id:
                    raise ValueError("two contexts share a sender key")
        self.ledger = Ledger(self.contexts, flash, retained, step)
        if self.ledger.broken:
            self.contexts = []
        self.peers = []  # pairs: a peer, and the context of what is sent to it
        self.asking = None  # what only a node with requests of its own needs
        self.why = _UNKNOWN
        self.again = False  # the request at hand was served before
        self.code = 0  # of the last answer, inside

    def attach(self, node):
        self.node = node
        self.envelope = Envelope(node)
        self.fields = self.envelope.fields
        node.secure = self

    @property
    def status(self):
        """In words, for /diag."""
        if self.ledger.broken:
            return "sequence numbers lost: make new keys"
        return "{} contexts".format(len(self.contexts)) if self.contexts else "no keys"

    def bind(self, peer, context):
        """Requests of ours to `peer` are protected with `context` from now on.

        Raises ValueError for a context that is not one of the node's.
        """
        if context not in self.contexts:
            raise ValueError("bind a context that was given to Oscore()")
        if self.asking is None:
            from coap.asking import Asking

            self.asking = Asking(self)
        # no dict: an address is a bytearray on some ports
        self.peers = [pair for pair in self.peers if pair[0] != peer]
        self.peers.append((peer, context))

    def context_of(self, peer):
        """The context of our requests to `peer`, None where they go openly."""
        for pair in self.peers:
            if pair[0] == peer:
                return pair[1]
        return None

    def retain(self):
        """A deep sleep begins now: keep what must be exact. Raises OSError."""
        self.ledger.retain()

    def state(self):
        return self.ledger.carried

    def restore(self, part):
        self.ledger.recover(part)

    def name_of(self, number):
        """What tells a context from any other after a restart, when it may have another number."""
        return self.contexts[number - 1].fingerprint[:_NAME]

    def number_of(self, name):
        """Raises ValueError when there is no such context any more."""
        return [one.fingerprint[:_NAME] for one in self.contexts].index(name) + 1

    def prepare(self, call, peer):
        """A call to `peer` begins: it is protected where the peer has a context."""
        call.context = self.context_of(peer)
        if call.context is not None:
            self.asking.begin(call)

    def due(self, now_ms):
        """Forget the Echo values that are too old, before the clock comes round."""
        for context in self.contexts:
            if (now_ms - context.challenged_ms) & _MASK > _FRESH_MS:
                context.challenge = b""
        return 0

    def wait_ms(self, now_ms):
        return _HALF >> 2

    # Requests

    def request(self, view):  # hot
        """Answer the request at hand, which has the OSCORE option: bytes in tx."""
        context = self._open(view)
        if context is None:
            return self._refuse(view, self.why)
        if not context.window[SYNCED] and not self._is_fresh(view, context):
            return self._challenge(view, context)
        if self.ledger.kept and not self.ledger.spend():
            self.node.last_error = self.ledger.error
            return 0
        came(context.window, self.fields[_PIV_HIGH], self.fields[_PIV_LOW])
        n = inside(self.node, context.number, 0)
        if not n or not self.node.tx[1]:
            return n
        if view.r[_TYPE] and self.node.tx[1] == _BAD_OPTION:
            return 0  # as Exchange.depart() does, which sees the code of the outside
        return self._seal(context, view.r[_HEAD], n, view.r[_FLAGS] >> _OBSERVE & 1)

    def repeat(self, view, replies, at):  # hot
        """A request came again whose answer was too long to be remembered: what is safe is done
        once more, of anything else the code is told. Both take a nonce of their own, so that not
        more are answered than one that is genuine may need.
        """
        self.again = True
        context = self._open(view)
        self.again = False
        if context is None or not self._is_kept(self.envelope.piv, replies, at + 2):
            return 0
        replies[at + 2] -= _REPEAT
        if not context.window[SYNCED]:
            return self._challenge(view, context)
        if view.r[_FLAGS] & _ONCE or replies[at + 1] >= _BAD_REQUEST:
            at = self.node.fail(replies[at + 1])
        else:
            at = inside(self.node, context.number, 0)
            if not at or not self.node.tx[1]:
                return at
        return self._seal(context, view.r[_HEAD], at, 1)

    def _is_kept(self, piv, replies, at):
        """Has the entry this Partial IV, and a repeat left?"""
        n = replies[at]
        return n >= _REPEAT and n & 7 == piv[0] and equal(piv, 1, replies, at + 1, piv[0])

    def shorten(self, replies, at):  # hot
        """Put SHORT bytes at replies[at] that stand for the answer that was given last."""
        replies[at] = 0  # no message begins with it
        replies[at + 1] = self.code
        copy(replies, at + 2, self.envelope.piv, 0, _PIV)
        replies[at + 2] |= _REPEATS
        return SHORT

    # Answers that are not given at once

    def answer(self, number, n):  # hot
        """Protect the answer in tx[0:n] to the request at hand, which was kept: its length."""
        view = self.node.view
        context = self.contexts[number - 1]
        self.envelope.read(view)
        self.envelope.take_piv(view)
        self.envelope.bind(context, context.recipient_id)
        return self._seal(context, view.r[_HEAD], n, 1)

    def keep(self, view):
        """What late() needs to answer the request at hand; None when it is not protected."""
        return (view.context, bytes(self.envelope.piv)) if view.context else None

    def late(self, kept, n):
        """Protect the separate response in tx[0:n]: its length."""
        context = self.contexts[kept[0] - 1]
        copy(self.envelope.piv, 0, kept[1], 0, _PIV)
        self.envelope.bind(context, context.recipient_id)
        return self._seal(context, header(self.node.tx), n, 1)

    def _open(self, view):  # hot
        """Take the request at hand out: its context; None: `why` says why not."""
        envelope = self.envelope
        fields = envelope.fields
        if view.r[_SIZE] > view.r[_LIMIT]:
            self.why = _TOO_LONG
            return None
        if not envelope.read(view) or not fields[_PIV_LENGTH] or fields[_KID_LENGTH] == ABSENT:
            self.why = _MALFORMED
            return None
        envelope.take_piv(view)
        self.why = _UNKNOWN
        i = len(self.contexts)
        while i:
            i -= 1
            if self._is_named(self.contexts[i], view.buf, fields):
                if self._take_out(self.contexts[i], view, fields):
                    return self.contexts[i]
        return None

    def _is_named(self, context, buf, fields):  # hot
        """Is this one of the contexts that the option names?"""
        n = fields[_KID_LENGTH]
        if n != len(context.recipient_id):
            return False
        if not equal(buf, fields[_KID_AT], context.recipient_id, 0, n):
            return False
        n = fields[_CONTEXT_LENGTH]
        if n == ABSENT:
            return True  # both ends know it
        if context.id_context is None or n != len(context.id_context):
            return False
        return equal(buf, fields[_CONTEXT_AT], context.id_context, 0, n) == 1

    def _take_out(self, context, view, fields):  # hot
        if context.window[SYNCED] and not self.again:
            if not is_new(context.window, fields[_PIV_HIGH], fields[_PIV_LOW]):
                self.why = _REPLAY
                return False
        self.why = _FORGED
        self.envelope.bind(context, context.recipient_id)
        n = self.envelope.open(context, view)
        if n:
            self.envelope.unwrap(view, n, 1)
            # the sender is whom we know, yet what it says may be no request
            n = view.r[_FLAGS] & (_REQUEST | 1 << _OSCORE) == _REQUEST | 1 << _OSCORE
            view.r[_FLAGS] |= 1 << _OSCORE
        return n

    def _seal(self, context, start, n, fresh):  # hot
        """Protect the answer in tx[0:n], options from `start` on: its length. fresh: its nonce is
        its own, else that of its request, which then must not be answered again.
        """
        self.code = self.node.tx[1]
        self.envelope.length = 0
        if fresh and not self.envelope.answer_anew(context):
            self.node.last_error = self.ledger.error
            return 0
        n = self.envelope.seal(context, start, n)
        if not n:
            self.node.counters[_COUNTERS_TOO_LONG] += 1
            self.node.tx[1] = self.code = _INTERNAL_SERVER_ERROR
            n = self.envelope.seal(context, start, start)
        return n

    # Errors (section 8.2), and the Echo after a loss of the window (Appendix B.1.2)

    def _refuse(self, view, why):
        self.node.counters[_NOT_OPENED] += 1
        reply = self.node.reply
        reply.clear(why[0])
        reply.write(why[1])
        reply.q[_Q_MAX_AGE] = 0
        n = reply.finish(view)
        reply.reset()
        return n

    def _is_fresh(self, view, context):
        """Does the request at hand return our Echo? Then the window begins with it."""
        self.due(view.now_ms)
        if not context.challenge or not view.holds(_ECHO, context.challenge):
            return False
        self.node.exchange.trust(view.peer)
        context.challenge = b""
        fields = self.fields
        context.window[_HIGH] = fields[_PIV_HIGH]
        context.window[_LOW] = fields[_PIV_LOW]
        context.window[_RECENT] = context.window[_EARLIER] = 0xFFFF
        context.window[SYNCED] = 1
        return True

    def _challenge(self, view, context):
        """Ask for an Echo. Each answer takes a number, which replays must not use up: only a
        request that none was asked of before, as a genuine one is, need not wait for its turn.
        """
        now_ms = view.now_ms
        high = self.fields[_PIV_HIGH]
        low = self.fields[_PIV_LOW]
        if is_new(context.window, high, low):
            came(context.window, high, low)
        elif (now_ms - context.told_ms) & _MASK < _PAUSE_MS:
            exchange = self.node.exchange
            exchange.ring[_RING_FIRST + _RING_STEP * exchange.entry] = _ABSENT  # it may ask again
            return 0
        context.told_ms = now_ms
        # whoever gets it has half of the time at least
        if not context.challenge or (now_ms - context.challenged_ms) & _MASK > _FRESH_MS >> 1:
            # the number makes it another one each time, the rest keeps it from being guessed
            seed = self.node.entropy + context.fingerprint + b"%d" % context.next
            context.challenge = sha256(seed).digest()[:_CHALLENGE]
            context.challenged_ms = now_ms
        reply = self.node.reply
        reply.clear(_UNAUTHORIZED)
        reply.extra = [(_OPTION_ECHO, context.challenge)]
        n = reply.finish(view)
        reply.reset()
        return self._seal(context, view.r[_HEAD], n, 1)


def header(tx):
    """Where the options of the message in tx begin, whose token has at most 268 bytes."""
    length = tx[0] & 15
    return 4 + length if length < 13 else 18 + tx[4]
