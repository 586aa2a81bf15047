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

from coap.codec import (
    ABSENT,
    FIELD_MAX_AGE,
    FLAGS,
    IX_BLOCK1,
    IX_ECHO,
    IX_OBSERVE,
    IX_OSCORE,
    MAX_MESSAGE,
    OPTIONS_START,
    REQUEST,
    SIZE,
    TYPE,
    UNSAFE,
    copy,
    equal,
)
from coap.counters import COUNT_DECRYPT_FAILED, COUNT_TOO_LONG
from coap.extension import Extension
from coap.messaging import DEDUP_FIRST, DEDUP_STEP
from coap.numbers import (
    BAD_OPTION,
    BAD_REQUEST,
    CLOCK_HALF,
    CLOCK_MASK,
    ECHO,
    INTERNAL_SERVER_ERROR,
    REQUEST_ENTITY_TOO_LARGE,
    UNAUTHORIZED,
)
from coap.oscore.aead import (
    EARLIER,
    HIGHEST_HIGH,
    HIGHEST_LOW,
    RECENT,
    WINDOW_VALID,
    accept,
    is_fresh,
)
from coap.oscore.protection import (
    CONTEXT_AT,
    CONTEXT_LENGTH,
    KID_AT,
    KID_LENGTH,
    PIV_HIGH,
    PIV_LENGTH,
    PIV_LOW,
    Protector,
)
from coap.oscore.sequence_numbers import SequenceStore

_ONCE = UNSAFE | 1 << IX_BLOCK1
# The numbers of framing.py and cipher.py


_PIV = const(6)  # bytes of a Partial IV and its length
_NAME = const(4)  # bytes of a context's fingerprint
_CHALLENGE = const(8)  # bytes of an Echo value
_FRESH_MS = const(30000)  # a request that returns an older one is not fresh
_PAUSE_MS = const(1000)  # between challenges for a request that had one
# Of an answer that is too long to be remembered: MAX_RETRANSMIT and one more are given. The count
# stands above the length of the Partial IV.
_REPEATS = const(5 << 3)
_REPEAT = const(1 << 3)
CACHED_STUB_BYTES = (
    8  # bytes that stand for an answer that is too long to be remembered: 0, code, Partial IV
)

# Why a request is refused: code and diagnostic payload (section 8.2)
_MALFORMED = (BAD_OPTION, b"Failed to decode COSE")
_UNKNOWN = (UNAUTHORIZED, b"Security context not found")
_REPLAY = (UNAUTHORIZED, b"Replay detected")
_FORGED = (BAD_REQUEST, b"Decryption failed")
_TOO_LONG = (REQUEST_ENTITY_TOO_LARGE, b"")


class Oscore(Extension):
    """contexts: a list of Context; flash, retained, step: see coap.oscore.sequence_numbers.

    Raises ValueError for two contexts with one sender key: each would count from 0.
    """

    slow_path_mask = critical_mask = message_mask = 1 << IX_OSCORE
    scheduled = True

    def __init__(self, contexts=(), flash=None, retained=None, step=256):
        self.contexts = list(contexts)
        for i, context in enumerate(self.contexts):
            context.number = i + 1  # view.context, while it is in use
            for other in self.contexts[:i]:
                # the IV comes of all that the key comes of, but the id
                if other.iv == context.iv and other.sender_id == context.sender_id:
                    raise ValueError("two contexts share a sender key")
        self.ledger = SequenceStore(self.contexts, flash, retained, step)
        if self.ledger.broken:
            self.contexts = []
        self.peers = []  # pairs: a peer, and the context of what is sent to it
        self.asking = None  # what only a node with requests of its own needs
        self.refusal = _UNKNOWN  # code and diagnostic of refuse(); or a context, or None
        self.duplicate = False  # the request was served before
        self.repeated_code = 0  # the response to a duplicate is this code alone
        self.code = 0  # of the last answer, inside

    def attach(self, node):
        self.node = node
        self.envelope = Protector(node)
        self.fields = self.envelope.fields
        node.oscore = self

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
            from coap.oscore.client import ClientProtection

            self.asking = ClientProtection(self)
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
            if (now_ms - context.challenged_ms) & CLOCK_MASK > _FRESH_MS:
                context.challenge = b""
        return 0

    def wait_ms(self, now_ms):
        return CLOCK_HALF >> 2

    # Requests

    def unprotect_request(self, view, stub):  # hot
        """Take a request out of its protection; return its context, None when it is refused.

        Then refuse() writes the response. stub: -1; for a duplicate, where in the cached responses
        of the message layer the stub of its response lies: safe requests are then served again, of
        others only the code is repeated. Each response takes a nonce of its own: a duplicate gets
        only as many as a client that retransmits needs.
        """
        self.duplicate = stub >= 0
        self.repeated_code = 0
        context = self._open(view)
        if stub >= 0:
            return self._repeat(view, context, self.node.messaging.cached_responses, stub)
        if context is None:
            return None
        if not context.window[WINDOW_VALID] and not self._is_fresh(view, context):
            self.refusal = context
            return None
        if self.ledger.kept and not self.ledger.spend():
            self.node.last_error = self.ledger.error
            self.refusal = None
            return None
        accept(context.window, self.fields[PIV_HIGH], self.fields[PIV_LOW])
        return context

    def _repeat(self, view, context, cached, stub):  # hot
        """Return the context of a duplicate, None when it gets no response, or a challenge."""
        self.refusal = None
        if context is None or not self._is_kept(self.envelope.piv, cached, stub + 2):
            return None
        cached[stub + 2] -= _REPEAT
        if not context.window[WINDOW_VALID]:
            self.refusal = context
            return None
        if view.index[FLAGS] & _ONCE or cached[stub + 1] >= BAD_REQUEST:
            self.repeated_code = cached[stub + 1]
        return context

    def refuse(self, view):
        """Write the response to a request that unprotect_request() refused; return its length."""
        refusal = self.refusal
        if refusal is None:
            return 0
        if type(refusal) is not tuple:
            return self._challenge(view, refusal)
        self.node.counters[COUNT_DECRYPT_FAILED] += 1
        builder = self.node.builder
        builder.set_code(refusal[0])
        builder.write(refusal[1])
        builder.fields[FIELD_MAX_AGE] = 0
        n = builder.finish(view)
        builder.reset()
        return n

    def protect_response(self, view, context, n):  # hot
        """Protect the response in tx[0:n]; return its length, 0 when it must not be sent."""
        if not n or not self.node.tx[1]:
            return n
        if view.index[TYPE] and self.node.tx[1] == BAD_OPTION:
            return 0  # the message layer, which rejects it in silence, will not see the code
        return self._seal(
            context,
            view.index[OPTIONS_START],
            n,
            self.duplicate or view.index[FLAGS] >> IX_OBSERVE & 1,
        )

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
        return CACHED_STUB_BYTES

    # Answers that are not given at once

    def answer(self, number, n):  # hot
        """Protect the answer in tx[0:n] to the request at hand, which was kept: its length."""
        view = self.node.view
        context = self.contexts[number - 1]
        self.envelope.read(view)
        self.envelope.read_piv(view)
        self.envelope.bind(context, context.recipient_id)
        return self._seal(context, view.index[OPTIONS_START], n, 1)

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
        if view.index[SIZE] > view.index[MAX_MESSAGE]:
            self.refusal = _TOO_LONG
            return None
        if not envelope.read(view) or not fields[PIV_LENGTH] or fields[KID_LENGTH] == ABSENT:
            self.refusal = _MALFORMED
            return None
        envelope.read_piv(view)
        self.refusal = _UNKNOWN
        i = len(self.contexts)
        while i:
            i -= 1
            if self._is_named(self.contexts[i], view.buf, fields):
                if self._take_out(self.contexts[i], view, fields):
                    return self.contexts[i]
        return None

    def _is_named(self, context, buf, fields):  # hot
        """Is this one of the contexts that the option names?"""
        n = fields[KID_LENGTH]
        if n != len(context.recipient_id):
            return False
        if not equal(buf, fields[KID_AT], context.recipient_id, 0, n):
            return False
        n = fields[CONTEXT_LENGTH]
        if n == ABSENT:
            return True  # both ends know it
        if context.id_context is None or n != len(context.id_context):
            return False
        return equal(buf, fields[CONTEXT_AT], context.id_context, 0, n) == 1

    def _take_out(self, context, view, fields):  # hot
        if context.window[WINDOW_VALID] and not self.duplicate:
            if not is_fresh(context.window, fields[PIV_HIGH], fields[PIV_LOW]):
                self.refusal = _REPLAY
                return False
        self.refusal = _FORGED
        self.envelope.bind(context, context.recipient_id)
        n = self.envelope.open(context, view)
        if n:
            self.envelope.unwrap(view, n, 1)
            # the sender is whom we know, yet what it says may be no request
            n = view.index[FLAGS] & (REQUEST | 1 << IX_OSCORE) == REQUEST | 1 << IX_OSCORE
            view.index[FLAGS] |= 1 << IX_OSCORE
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
            self.node.counters[COUNT_TOO_LONG] += 1
            self.node.tx[1] = self.code = INTERNAL_SERVER_ERROR
            n = self.envelope.seal(context, start, start)
        return n

    # The Echo after a loss of the window (Appendix B.1.2)

    def _is_fresh(self, view, context):
        """Does the request at hand return our Echo? Then the window begins with it."""
        self.due(view.now_ms)
        if not context.challenge or not view.has_value(IX_ECHO, context.challenge):
            return False
        self.node.messaging.mark_verified(view.peer)
        context.challenge = b""
        fields = self.fields
        context.window[HIGHEST_HIGH] = fields[PIV_HIGH]
        context.window[HIGHEST_LOW] = fields[PIV_LOW]
        context.window[RECENT] = context.window[EARLIER] = 0xFFFF
        context.window[WINDOW_VALID] = 1
        return True

    def _challenge(self, view, context):
        """Ask for an Echo. Each answer takes a number, which replays must not use up: only a
        request that none was asked of before, as a genuine one is, need not wait for its turn.
        """
        now_ms = view.now_ms
        high = self.fields[PIV_HIGH]
        low = self.fields[PIV_LOW]
        if is_fresh(context.window, high, low):
            accept(context.window, high, low)
        elif (now_ms - context.told_ms) & CLOCK_MASK < _PAUSE_MS:
            exchange = self.node.messaging
            exchange.dedup[DEDUP_FIRST + DEDUP_STEP * exchange.dedup_entry] = (
                ABSENT  # it may ask again
            )
            return 0
        context.told_ms = now_ms
        # whoever gets it has half of the time at least
        if not context.challenge or (now_ms - context.challenged_ms) & CLOCK_MASK > _FRESH_MS >> 1:
            # the number makes it another one each time, the rest keeps it from being guessed
            seed = self.node.entropy + context.fingerprint + b"%d" % context.next
            context.challenge = sha256(seed).digest()[:_CHALLENGE]
            context.challenged_ms = now_ms
        builder = self.node.builder
        builder.set_code(UNAUTHORIZED)
        builder.extra_options = [(ECHO, context.challenge)]
        n = builder.finish(view)
        builder.reset()
        return self._seal(context, view.index[OPTIONS_START], n, 1)


def header(tx):
    """Where the options of the message in tx begin, whose token has at most 268 bytes."""
    length = tx[0] & 15
    return 4 + length if length < 13 else 18 + tx[4]
