"""OSCORE (RFC 8613): requests and responses that nobody on the path can read or change.

    oscore = Oscore([Context(secret, b"\\x01", b"\\x02")], flash, retained)
    node = Node(*default_extensions(), Access(READ_ONLY), oscore)

Theory of operation. Node.protected_request() takes a request with the OSCORE option through three
stages:

    unprotect_request()   finds the context, decrypts, checks for replay; `view` is then the inner
                          request. None: refuse() writes the error or the Echo challenge instead.
    the request           as any other; view.context is the index of its context, 0 for none.
    protect_response()    encrypts what the request stage left in tx.

Responses that come later are protected when they are sent: protect_notification() and
protect_separate(). A response uses the nonce of its request only if it is the first and only one;
any other takes a sender sequence number. The client side is in coap.oscore.client.

Nothing outside of this package imports it: a node that gets no Oscore() does not need its files.
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
from coap.counters import COUNT_DECRYPT_FAILED, COUNT_DUPLICATES, COUNT_TOO_LONG
from coap.extension import Extension
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
from coap.oscore.context import DEFERRED
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
from coap.oscore.sequence_numbers import LOST, SequenceStore
from coap.peers import DEDUP_DIGEST

_NOT_REPEATABLE = UNSAFE | 1 << IX_BLOCK1
_NAME_BYTES = const(4)  # of a context's fingerprint
_ECHO_BYTES = const(8)
_ECHO_LIFETIME_MS = const(30000)  # a request that returns an older value is not fresh
_CHALLENGE_PAUSE_MS = const(1000)  # between challenges for a request that was challenged before

# Why a request is refused: code and diagnostic payload (section 8.2)
_MALFORMED = (BAD_OPTION, b"Failed to decode COSE")
_NO_CONTEXT = (UNAUTHORIZED, b"Security context not found")
_REPLAY = (UNAUTHORIZED, b"Replay detected")
_FORGED = (BAD_REQUEST, b"Decryption failed")
_TOO_LONG = (REQUEST_ENTITY_TOO_LARGE, b"")


class Oscore(Extension):
    """Protects what a node serves and, for peers that are bound to a context, what it requests.

    contexts: a list of Context; flash, retained, step: see coap.oscore.sequence_numbers. Raises
    ValueError for two contexts with the same sender key: each would count from 0; and without
    `flash`, since numbers would be used again after a restart, unless `volatile` is True. That is
    for keys that are made anew at each start. What was received before is then not known either:
    each client has to return an Echo first (Appendix B.1.2).
    """

    slow_path_mask = critical_mask = message_mask = 1 << IX_OSCORE
    scheduled = True

    def __init__(self, contexts=(), flash=None, retained=None, step=256, volatile=False):
        self.contexts = list(contexts)
        for i, context in enumerate(self.contexts):
            context.index = i + 1
            for other in self.contexts[:i]:
                # the IV is derived from all that the key is derived from, except the ID
                if other.common_iv == context.common_iv and other.sender_id == context.sender_id:
                    raise ValueError("two contexts share a sender key")
            if flash is None:
                context.invalidate_window()
        if self.contexts and flash is None and not volatile:
            raise ValueError("give Oscore() a `flash` for sequence numbers, or volatile=True")
        self.sequence_store = SequenceStore(self.contexts, flash, retained, step)
        if self.sequence_store.broken:
            self.contexts = []
        self.peers = []  # pairs: a peer, and the context for requests to it
        self.client_protection = None  # made by bind()
        # of unprotect_request(): an error, the context to challenge, or None for no response
        self.refusal = _NO_CONTEXT
        self.is_duplicate = False  # the request was served before
        self.request_key = 0  # of the request in process, see Context.remember()
        self.repeated_code = 0  # if not 0, the response to a duplicate is this code alone
        self.inner_code = 0  # of the last response

    def attach(self, node):
        """Become the OSCORE layer of the node."""
        self.node = node
        self.protector = Protector(node)
        self.fields = self.protector.fields
        node.oscore = self

    @property
    def status(self):
        """The state in words, for /diag."""
        if self.sequence_store.broken:
            return LOST
        return "{} contexts".format(len(self.contexts)) if self.contexts else "no keys"

    def bind(self, peer, context):
        """Protect requests of this node to `peer` with `context` from now on.

        Raises ValueError for a context that was not given to Oscore().
        """
        if context not in self.sequence_store.contexts:
            raise ValueError("bind a context that was given to Oscore()")
        if self.client_protection is None:
            from coap.oscore.client import ClientProtection

            self.client_protection = ClientProtection(self)
        # no dict: an address is a bytearray on some ports
        self.peers = [pair for pair in self.peers if pair[0] != peer]
        self.peers.append((peer, context))

    def context_of(self, peer):
        """Return the context of requests to `peer`, None if they are not protected."""
        for pair in self.peers:
            if pair[0] == peer:
                return pair[1]
        return None

    def begin_request(self, request, peer):
        """Prepare a ClientRequest to `peer` for protection, if the peer is bound to a context."""
        request.context = self.context_of(peer)
        if request.context is not None:
            self.client_protection.begin(request)

    def name_of(self, index):
        """Return a name for a context that is valid after a restart, unlike its index."""
        return self.contexts[index - 1].fingerprint[:_NAME_BYTES]

    def index_of(self, name):
        """Return the index of the context with this name. Raises ValueError if there is none."""
        return [one.fingerprint[:_NAME_BYTES] for one in self.contexts].index(name) + 1

    def retain(self):
        """Save the exact sequence numbers for a deep sleep that begins now. Raises OSError."""
        self.sequence_store.retain()

    def state(self):
        """Return the snapshot of the sequence numbers, b"" if there is none."""
        return self.sequence_store.snapshot

    def restore(self, part):
        """Continue from a snapshot."""
        self.sequence_store.restore(part)

    def due(self, now_ms):
        """Drop expired Echo values, before the clock wraps around."""
        for context in self.contexts:
            if (now_ms - context.echo_made_ms) & CLOCK_MASK > _ECHO_LIFETIME_MS:
                context.echo_value = b""
        return 0

    def wait_ms(self, now_ms):
        """Return the milliseconds until due() must be called."""
        return CLOCK_HALF >> 2

    # Requests

    def unprotect_request(self, view):  # hot
        """Make the inner request the message in `view`; return its context, None if refused.

        A repeated request is not executed twice: a safe one is served again, for others only the
        code is repeated. Each such response takes a sequence number, so a request gets only as
        many as a client that retransmits needs.
        """
        self.repeated_code = 0
        # of the whole datagram, before it is decrypted; the response goes to the same peer
        self.request_key = (self.node.messaging.dedup[DEDUP_DIGEST] + hash(view.peer)) & CLOCK_MASK
        context = self._decrypt(view)
        if context is None:
            return None
        if self.is_duplicate:
            return context if self._repeats(view, context) else None
        if not context.window.valid and not self._has_echo(view, context):
            self.refusal = context
            return None
        if self.sequence_store.snapshot_valid and not self.sequence_store.mark_used():
            self.node.last_error = self.sequence_store.error
            self.refusal = None
            return None
        context.window.accept(self.fields[PIV_HIGH], self.fields[PIV_LOW])
        context.remember(self.request_key)
        if view.index[FLAGS] & _NOT_REPEATABLE:
            self.node.messaging.enter(view, context.index)
        return context

    def _repeats(self, view, context):  # hot
        """Return True if the repeated request gets a response; set what it is."""
        self.refusal = None
        self.node.counters[COUNT_DUPLICATES] += 1
        code = context.repeat(self.request_key)
        if view.index[TYPE] or code < 0:
            return False
        if view.index[FLAGS] & _NOT_REPEATABLE or code == DEFERRED or code >= BAD_REQUEST:
            self.repeated_code = code
            return code != 0  # 0: it failed before there was a response
        if view.index[IX_OBSERVE] != ABSENT and not context.is_last(self.request_key):
            # it may undo what a later request did: served without Observe (RFC 7641 section 4.1)
            view.index[IX_OBSERVE] = ABSENT
            view.index[FLAGS] &= ~(1 << IX_OBSERVE)
        return True

    def repeat_code(self, view, context):
        """Write the code of the response that the request got before; return its length in tx."""
        if self.repeated_code == DEFERRED:
            return self.node.messaging.write_ack(view)
        return self.protect_response(view, context, self.node.write_code(self.repeated_code))

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

    def _decrypt(self, view):  # hot
        """Decrypt the request with the context it names; return it, or None and set `refusal`."""
        protector = self.protector
        fields = self.fields
        if view.index[SIZE] > view.index[MAX_MESSAGE]:
            self.refusal = _TOO_LONG
            return None
        if (
            not protector.read_option(view)
            or not fields[PIV_LENGTH]
            or fields[KID_LENGTH] == ABSENT
        ):
            self.refusal = _MALFORMED
            return None
        protector.read_piv(protector.request_piv, view.buf)
        self.refusal = _NO_CONTEXT
        i = len(self.contexts)
        while i:
            i -= 1
            if self._is_named(self.contexts[i], view.buf, fields):
                if self._decrypt_with(self.contexts[i], view, fields):
                    return self.contexts[i]
        return None

    def _is_named(self, context, buf, fields):  # hot
        """Return True if the option has the kid of this context, and its ID context or none."""
        n = fields[KID_LENGTH]
        if n != len(context.recipient_id):
            return False
        if not equal(buf, fields[KID_AT], context.recipient_id, 0, n):
            return False
        n = fields[CONTEXT_LENGTH]
        if n == ABSENT:
            return True  # the client need not send what both ends know
        if context.id_context is None or n != len(context.id_context):
            return False
        return equal(buf, fields[CONTEXT_AT], context.id_context, 0, n) == 1

    def _decrypt_with(self, context, view, fields):  # hot
        self.is_duplicate = False
        if context.window.valid:
            if not context.window.is_fresh(fields[PIV_HIGH], fields[PIV_LOW]):
                self.is_duplicate = context.find(self.request_key) >= 0
                self.refusal = _REPLAY
                if not self.is_duplicate:
                    return False
        self.refusal = _FORGED
        self.protector.set_aad_and_nonce(context, context.recipient_id)
        n = self.protector.decrypt(context, view)
        if not n:
            return False
        self.protector.restore_inner(view, n, self.protector.request_piv)
        flags = view.index[FLAGS]
        if flags >> IX_OSCORE & 1:
            flags |= 1 << IX_UNKNOWN  # an OSCORE option inside has no meaning
        view.index[FLAGS] = flags | 1 << IX_OSCORE
        return flags & REQUEST  # the sender is authenticated, but the text may be no request

    # Responses

    def protect_response(self, view, context, n):  # hot
        """Protect the response in tx[0:n]; return its length, 0 if it must not be sent."""
        if not n or not self.node.tx[1]:
            if n and not self.is_duplicate:
                context.note_code(DEFERRED)
            return n
        if view.index[TYPE] and self.node.tx[1] == BAD_OPTION:
            return 0  # a NON is rejected silently; the message layer will not see the inner code
        own_piv = self.is_duplicate or view.index[FLAGS] >> IX_OBSERVE & 1
        n = self._protect(context, view.index[OPTIONS_START], n, own_piv)
        if not self.is_duplicate:
            context.note_code(self.inner_code)
        return n

    def protect_notification(self, index, n):  # hot
        """Protect the notification in tx[0:n]; `view` is the stored registration.

        index: of its context. Return its length, 0 if it cannot be sent.
        """
        view = self.node.view
        context = self.contexts[index - 1]
        if not self.protector.read_stored_piv(view):
            return 0
        self.protector.set_aad_and_nonce(context, context.recipient_id)
        return self._protect(context, view.index[OPTIONS_START], n, True)

    def save_request_id(self, view):
        """Return what protect_separate() needs for the request, None if it is not protected."""
        return (view.context, bytes(self.protector.request_piv)) if view.context else None

    def protect_separate(self, request_id, n):
        """Protect the separate response in tx[0:n]; return its length, 0 if it cannot be sent."""
        context = self.contexts[request_id[0] - 1]
        copy(self.protector.request_piv, 0, request_id[1], 0, PIV_BYTES)
        self.protector.set_aad_and_nonce(context, context.recipient_id)
        return self._protect(context, options_start(self.node.tx), n, True)

    def _protect(self, context, start, n, own_piv):  # hot
        """Protect the response in tx[0:n], options from `start` on; return its length.

        own_piv: give it a Partial IV of its own; else it uses the nonce of its request, which may
        happen only once.
        """
        self.inner_code = self.node.tx[1]
        self.protector.option_length = 0
        if own_piv and not self.protector.set_new_piv(context):
            self.node.last_error = self.sequence_store.error
            return 0
        n = self.protector.protect(context, start, n)
        if not n:
            self.node.counters[COUNT_TOO_LONG] += 1
            self.node.tx[1] = self.inner_code = INTERNAL_SERVER_ERROR
            n = self.protector.protect(context, start, start)
        return n

    # The Echo challenge after a loss of the replay window (Appendix B.1.2)

    def _has_echo(self, view, context):
        """Return True if the request returns the Echo value; the window then starts with it."""
        self.due(view.now_ms)
        if not context.echo_value or not view.has_value(IX_ECHO, context.echo_value):
            return False
        self.node.messaging.mark_verified(view.peer)
        context.echo_value = b""
        context.window.restart(self.fields[PIV_HIGH], self.fields[PIV_LOW])
        return True

    def _challenge(self, view, context):
        """Write a protected 4.01 with an Echo value; return its length, 0 for no response.

        Each challenge takes a sequence number, which replays must not use up: only a request that
        was not challenged before, as a genuine one, is challenged without a pause.
        """
        now_ms = view.now_ms
        high = self.fields[PIV_HIGH]
        low = self.fields[PIV_LOW]
        if context.window.is_fresh(high, low):
            context.window.accept(high, low)
        elif (now_ms - context.challenged_ms) & CLOCK_MASK < _CHALLENGE_PAUSE_MS:
            return 0
        context.challenged_ms = now_ms
        age_ms = (now_ms - context.echo_made_ms) & CLOCK_MASK
        # a value is sent only during the first half of its lifetime
        if not context.echo_value or age_ms > _ECHO_LIFETIME_MS >> 1:
            # the number makes it unique, the entropy makes it unpredictable
            seed = self.node.entropy + context.fingerprint + b"%d" % context.sequence_number
            context.echo_value = sha256(seed).digest()[:_ECHO_BYTES]
            context.echo_made_ms = now_ms
        builder = self.node.builder
        builder.set_code(UNAUTHORIZED)
        builder.extra_options = [(ECHO, context.echo_value)]
        n = builder.finish(view)
        builder.reset()
        return self._protect(context, view.index[OPTIONS_START], n, True)


def options_start(tx):
    """Return where the options of the message in tx begin; its token has at most 268 bytes."""
    length = tx[0] & 15
    return 4 + length if length < 13 else 18 + tx[4]
