"""OSCORE (RFC 8613): requests, answers and notifications that nobody on the way reads or changes.

    oscore = Oscore([Context(secret, b"\\x01", b"\\x02")], flash, retained)
    node = Node(*usual(), Access(READ_ONLY), oscore)

What comes under OSCORE is taken out of its protector and goes through the node as any request does;
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
    IX_UNKNOWN,
    MAX_MESSAGE,
    OPTIONS_START,
    REQUEST,
    SIZE,
    TYPE,
    UNSAFE,
    copy,
    equal,
)
from coap.extension import Extension, with_context
from coap.messaging import DEDUP_FIRST, DEDUP_STEP
from coap.numbers import (
    BAD_OPTION,
    BAD_REQUEST,
    CLOCK_HALF,
    CLOCK_MASK,
    COUNT_DECRYPT_FAILED,
    COUNT_TOO_LONG,
    ECHO,
    INTERNAL_SERVER_ERROR,
    REQUEST_ENTITY_TOO_LARGE,
    UNAUTHORIZED,
)
from coap.oscore.protection import (
    CONTEXT_AT,
    CONTEXT_LENGTH,
    KID_AT,
    KID_LENGTH,
    PIV_BYTES,
    PIV_HIGH,
    PIV_LENGTH,
    PIV_LOW,
    Protector,
)
from coap.oscore.sequence_numbers import SequenceStore

_ONCE = UNSAFE | 1 << IX_BLOCK1
# The numbers of framing.py and cipher.py


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
            context.index = i + 1  # view.context, while it is in use
            for other in self.contexts[:i]:
                # the IV comes of all that the key comes of, but the id
                if other.common_iv == context.common_iv and other.sender_id == context.sender_id:
                    raise ValueError("two contexts share a sender key")
        self.sequence_store = SequenceStore(self.contexts, flash, retained, step)
        if self.sequence_store.broken:
            self.contexts = []
        self.peers = []  # pairs: a peer, and the context of what is sent to it
        self.client_protection = None  # what only a node with requests of its own needs
        self.why = _UNKNOWN
        self.again = False  # the request at hand was served before
        self.code = 0  # of the last answer, inside

    def attach(self, node):
        self.node = node
        self.protector = Protector(node)
        self.fields = self.protector.fields
        node.oscore = self

    @property
    def status(self):
        """In words, for /diag."""
        if self.sequence_store.broken:
            return "sequence numbers lost: make new keys"
        return "{} contexts".format(len(self.contexts)) if self.contexts else "no keys"

    def bind(self, peer, context):
        """Requests of ours to `peer` are protected with `context` from now on.

        Raises ValueError for a context that is not one of the node's.
        """
        if context not in self.contexts:
            raise ValueError("bind a context that was given to Oscore()")
        if self.client_protection is None:
            from coap.oscore.client import ClientProtection

            self.client_protection = ClientProtection(self)
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
        self.sequence_store.retain()

    def state(self):
        return self.sequence_store.snapshot

    def restore(self, part):
        self.sequence_store.restore(part)

    def name_of(self, number):
        """What tells a context from any other after a restart, when it may have another number."""
        return self.contexts[number - 1].fingerprint[:_NAME]

    def number_of(self, name):
        """Raises ValueError when there is no such context any more."""
        return [one.fingerprint[:_NAME] for one in self.contexts].index(name) + 1

    def begin_request(self, call, peer):
        """A call to `peer` begins: it is protected where the peer has a context."""
        call.context = self.context_of(peer)
        if call.context is not None:
            self.client_protection.begin(call)

    def due(self, now_ms):
        """Forget the Echo values that are too old, before the clock comes round."""
        for context in self.contexts:
            if (now_ms - context.echo_made_ms) & CLOCK_MASK > _FRESH_MS:
                context.echo_value = b""
        return 0

    def wait_ms(self, now_ms):
        return CLOCK_HALF >> 2

    # Requests

    def request(self, view):  # hot
        """Answer the request at hand, which has the OSCORE option: bytes in tx."""
        context = self._open(view)
        if context is None:
            return self._refuse(view, self.why)
        if not context.window.valid and not self._is_fresh(view, context):
            return self._challenge(view, context)
        if self.sequence_store.snapshot_valid and not self.sequence_store.mark_used():
            self.node.last_error = self.sequence_store.error
            return 0
        context.window.accept(self.fields[PIV_HIGH], self.fields[PIV_LOW])
        n = with_context(self.node, context.index, 0)
        if not n or not self.node.tx[1]:
            return n
        if view.index[TYPE] and self.node.tx[1] == BAD_OPTION:
            return 0  # as Exchange.depart() does, which sees the code of the outside
        return self._seal(
            context, view.index[OPTIONS_START], n, view.index[FLAGS] >> IX_OBSERVE & 1
        )

    def repeat(self, view, replies, at):  # hot
        """A request came again whose answer was too long to be remembered: what is safe is done
        once more, of anything else the code is told. Both take a nonce of their own, so that not
        more are answered than one that is genuine may need.
        """
        self.again = True
        context = self._open(view)
        self.again = False
        if context is None or not self._is_kept(self.protector.request_piv, replies, at + 2):
            return 0
        replies[at + 2] -= _REPEAT
        if not context.window.valid:
            return self._challenge(view, context)
        if view.index[FLAGS] & _ONCE or replies[at + 1] >= BAD_REQUEST:
            at = self.node.write_code(replies[at + 1])
        else:
            at = with_context(self.node, context.index, 0)
            if not at or not self.node.tx[1]:
                return at
        return self._seal(context, view.index[OPTIONS_START], at, 1)

    def _is_kept(self, piv, replies, at):
        """Has the entry this Partial IV, and a repeat left?"""
        n = replies[at]
        return n >= _REPEAT and n & 7 == piv[0] and equal(piv, 1, replies, at + 1, piv[0])

    def shorten(self, replies, at):  # hot
        """Put SHORT bytes at replies[at] that stand for the answer that was given last."""
        replies[at] = 0  # no message begins with it
        replies[at + 1] = self.code
        copy(replies, at + 2, self.protector.request_piv, 0, PIV_BYTES)
        replies[at + 2] |= _REPEATS
        return CACHED_STUB_BYTES

    # Answers that are not given at once

    def answer(self, number, n):  # hot
        """Protect the answer in tx[0:n] to the request at hand, which was kept: its length."""
        view = self.node.view
        context = self.contexts[number - 1]
        if not self.protector.read_stored_piv(view):
            return 0
        self.protector.set_aad_and_nonce(context, context.recipient_id)
        return self._seal(context, view.index[OPTIONS_START], n, 1)

    def keep(self, view):
        """What late() needs to answer the request at hand; None when it is not protected."""
        return (view.context, bytes(self.protector.request_piv)) if view.context else None

    def late(self, kept, n):
        """Protect the separate response in tx[0:n]: its length."""
        context = self.contexts[kept[0] - 1]
        copy(self.protector.request_piv, 0, kept[1], 0, PIV_BYTES)
        self.protector.set_aad_and_nonce(context, context.recipient_id)
        return self._seal(context, header(self.node.tx), n, 1)

    def _open(self, view):  # hot
        """Take the request at hand out: its context; None: `why` says why not."""
        protector = self.protector
        fields = protector.fields
        if view.index[SIZE] > view.index[MAX_MESSAGE]:
            self.why = _TOO_LONG
            return None
        if (
            not protector.read_option(view)
            or not fields[PIV_LENGTH]
            or fields[KID_LENGTH] == ABSENT
        ):
            self.why = _MALFORMED
            return None
        protector.read_piv(self.protector.request_piv, view.buf)
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
        if context.window.valid and not self.again:
            if not context.window.is_fresh(fields[PIV_HIGH], fields[PIV_LOW]):
                self.why = _REPLAY
                return False
        self.why = _FORGED
        self.protector.set_aad_and_nonce(context, context.recipient_id)
        n = self.protector.decrypt(context, view)
        if n:
            self.protector.restore_request(view, n)
            # the sender is whom we know, yet what it says may be no request
            flags = view.index[FLAGS]
            n = flags & REQUEST
            if flags >> IX_OSCORE & 1:
                flags |= 1 << IX_UNKNOWN  # one inside has no meaning
            view.index[FLAGS] = flags | 1 << IX_OSCORE
        return n

    def _seal(self, context, start, n, fresh):  # hot
        """Protect the answer in tx[0:n], options from `start` on: its length. fresh: its nonce is
        its own, else that of its request, which then must not be answered again.
        """
        self.code = self.node.tx[1]
        self.protector.option_length = 0
        if fresh and not self.protector.set_new_piv(context):
            self.node.last_error = self.sequence_store.error
            return 0
        n = self.protector.protect(context, start, n)
        if not n:
            self.node.counters[COUNT_TOO_LONG] += 1
            self.node.tx[1] = self.code = INTERNAL_SERVER_ERROR
            n = self.protector.protect(context, start, start)
        return n

    # Errors (section 8.2), and the Echo after a loss of the window (Appendix B.1.2)

    def _refuse(self, view, why):
        self.node.counters[COUNT_DECRYPT_FAILED] += 1
        builder = self.node.builder
        builder.set_code(why[0])
        builder.write(why[1])
        builder.fields[FIELD_MAX_AGE] = 0
        n = builder.finish(view)
        builder.reset()
        return n

    def _is_fresh(self, view, context):
        """Does the request at hand return our Echo? Then the window begins with it."""
        self.due(view.now_ms)
        if not context.echo_value or not view.has_value(IX_ECHO, context.echo_value):
            return False
        self.node.messaging.mark_verified(view.peer)
        context.echo_value = b""
        fields = self.fields
        context.window.restart(fields[PIV_HIGH], fields[PIV_LOW])
        return True

    def _challenge(self, view, context):
        """Ask for an Echo. Each answer takes a number, which replays must not use up: only a
        request that none was asked of before, as a genuine one is, need not wait for its turn.
        """
        now_ms = view.now_ms
        high = self.fields[PIV_HIGH]
        low = self.fields[PIV_LOW]
        if context.window.is_fresh(high, low):
            context.window.accept(high, low)
        elif (now_ms - context.challenged_ms) & CLOCK_MASK < _PAUSE_MS:
            exchange = self.node.messaging
            exchange.dedup[DEDUP_FIRST + DEDUP_STEP * exchange.dedup_entry] = (
                ABSENT  # it may ask again
            )
            return 0
        context.challenged_ms = now_ms
        # whoever gets it has half of the time at least
        if not context.echo_value or (now_ms - context.echo_made_ms) & CLOCK_MASK > _FRESH_MS >> 1:
            # the number makes it another one each time, the rest keeps it from being guessed
            seed = self.node.entropy + context.fingerprint + b"%d" % context.sequence_number
            context.echo_value = sha256(seed).digest()[:_CHALLENGE]
            context.echo_made_ms = now_ms
        builder = self.node.builder
        builder.set_code(UNAUTHORIZED)
        builder.extra_options = [(ECHO, context.echo_value)]
        n = builder.finish(view)
        builder.reset()
        return self._seal(context, view.index[OPTIONS_START], n, 1)


def header(tx):
    """Where the options of the message in tx begin, whose token has at most 268 bytes."""
    length = tx[0] & 15
    return 4 + length if length < 13 else 18 + tx[4]
