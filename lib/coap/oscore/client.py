"""Client side of OSCORE: requests of this node, and the responses to them (RFC 8613 section 8).

coap.client calls protect_request() for each transmission and unprotect_response() for each
message that may be a response. Oscore makes the one ClientProtection of a node when the first
peer is bound to a context: a node that only serves does not load this file.
"""

from micropython import const

from coap.client_request import (
    DELIVER,
    HANDLED,
    IGNORED,
    OBSERVING,
    TOKEN_BYTES,
    UNPROTECTED,
)
from coap.codec import (
    CODE,
    FLAGS,
    IX_ECHO,
    IX_OBSERVE,
    IX_OSCORE,
    NOT_REQUEST,
    TOKEN,
    copy,
    equal,
)
from coap.numbers import ECHO, UNAUTHORIZED
from coap.oscore.aead import TAG_BYTES
from coap.oscore.protection import NO_PIV, PIV_BYTES, PIV_HIGH, PIV_LENGTH, PIV_LOW, write_piv

_OPTIONS_START = const(8)  # of a request: header and token
_FIRST_RESPONSE = const(0x40)
_FIRST_ERROR = const(0x80)


class RequestState:
    """What is kept of a protected request.

    piv, mac: of the request as sent last. observe_piv: of the registration, to which notifications
    are bound. newest_high, newest_low: Partial IV of the newest notification.
    """

    def __init__(self):
        self.piv = bytearray(PIV_BYTES)
        self.observe_piv = bytearray(PIV_BYTES)
        self.mac = bytearray(TAG_BYTES)
        self.newest_high = self.newest_low = 0
        self.clear()

    def clear(self):
        """Reset for another request."""
        self.newest_high = -1
        self.notification_count = 0
        self.nonce_free = False  # no response has used the nonce of the registration yet
        self.echoed = False


class ClientProtection:
    """Protects the requests of one node's Client and unprotects the responses."""

    def __init__(self, oscore):
        self.node = oscore.node
        self.protector = oscore.protector
        self.sequence_store = oscore.sequence_store
        self.response_piv = bytearray(PIV_BYTES)

    def begin(self, request):
        """Prepare a new request for protection."""
        if request.oscore_state is None:
            request.oscore_state = RequestState()
        request.oscore_state.clear()

    def protect_request(self, request, n, is_retransmission):  # hot
        """Protect the request in tx[0:n].

        A retransmission is the same to the byte, unless the application has changed the payload.
        Return its length, -1 if it is too long, 0 if there is no sequence number.
        """
        n = self.protector.split(_OPTIONS_START, n, PIV_BYTES + len(request.context.option_tail))
        if not n:
            return -1
        if not (is_retransmission and self._is_same(request, n)):
            if not self._set_new_piv(request):
                self.node.last_error = self.sequence_store.error
                return 0
            self._compute_mac(request, n)
            copy(request.oscore_state.mac, 0, request.context.sender_key.mac_state, 0, TAG_BYTES)
        return self.protector.encrypt(request.context, n)

    def _is_same(self, request, n):  # hot
        """Return True if the plaintext is the one sent before: no other may use its nonce."""
        self._compute_mac(request, n)
        return equal(
            request.oscore_state.mac, 0, request.context.sender_key.mac_state, 0, TAG_BYTES
        )

    def _set_new_piv(self, request):  # hot
        state = request.oscore_state
        number = request.context.next_sequence_number()
        if number < 0:
            return False
        write_piv(state.piv, number)
        if request.observing and equal(request.token, 0, request.observe_token, 0, TOKEN_BYTES):
            copy(state.observe_piv, 0, state.piv, 0, PIV_BYTES)
            state.nonce_free = True
        return True

    def _compute_mac(self, request, n):  # hot
        copy(self.protector.request_piv, 0, request.oscore_state.piv, 0, PIV_BYTES)
        self.protector.set_aad_and_nonce(request.context, request.context.sender_id)
        self.protector.write_request_option(request.context)
        self.protector.aead.compute_mac(request.context.sender_key, n)

    def unprotect_response(self, request, view):  # hot
        """Unprotect a message that may be the response to `request`.

        Return IGNORED, HANDLED or DELIVER; for the last, `view` is the inner response.
        """
        if not view.index[FLAGS] >> IX_OSCORE & 1:
            if view.index[CODE] >= _FIRST_ERROR and self._is_pending(request, view):
                # an error of the server's OSCORE layer; it cannot end an observation, since
                # anybody on the path could send it (section 8.4.2)
                self.node.client.response_handler.fail(request, UNPROTECTED)
                return HANDLED
            return IGNORED
        state = request.oscore_state
        observed = request.is_observation(view)
        if not self._decrypt(request, view, state.observe_piv if observed else state.piv):
            return IGNORED
        if observed and not self._claim_nonce(state):
            return HANDLED
        if view.index[FLAGS] >> IX_OBSERVE & 1 and not self._is_newer(state, view, observed):
            return HANDLED
        if self.sequence_store.snapshot_valid and not self.sequence_store.mark_used():
            return IGNORED
        if view.index[CODE] == UNAUTHORIZED and view.has(IX_ECHO) and not state.echoed:
            self._repeat_with_echo(request, view)
            return HANDLED
        return DELIVER

    def _is_pending(self, request, view):
        if request.state == OBSERVING:
            return False
        return equal(view.buf, view.index[TOKEN], request.token, 0, TOKEN_BYTES)

    def _decrypt(self, request, view, request_piv):  # hot
        if not self.protector.read_option(view):
            return False
        copy(self.protector.request_piv, 0, request_piv, 0, PIV_BYTES)
        self._set_nonce(request.context, view.buf)
        n = self.protector.decrypt(request.context, view)
        if not n:
            return False
        self.protector.restore_inner(view, n, NO_PIV)
        return view.index[FLAGS] & NOT_REQUEST and view.index[CODE] >= _FIRST_RESPONSE

    def _set_nonce(self, context, buf):  # hot
        self.protector.set_aad_and_nonce(context, context.sender_id)
        if self.protector.fields[PIV_LENGTH]:
            self.protector.read_piv(self.response_piv, buf)
            self.protector.set_nonce(context, context.recipient_id, self.response_piv)

    def _claim_nonce(self, state):
        """Return True if the response has a nonce of its own, or first uses the registration's.

        Each registration, a renewed one too, lends its nonce to at most one response (section
        4.1.3.5.1): a later one without a Partial IV is a replay, or older than what came before.
        """
        nonce_free = state.nonce_free
        state.nonce_free = False
        return nonce_free or self.protector.fields[PIV_LENGTH]

    def _is_newer(self, state, view, observed):  # hot
        """Return True if the notification is newer than all before (section 7.4.1)."""
        if not observed:
            return False
        fields = self.protector.fields
        if fields[PIV_LENGTH]:
            if state.newest_high > fields[PIV_HIGH]:
                return False
            if state.newest_high == fields[PIV_HIGH] and state.newest_low >= fields[PIV_LOW]:
                return False
            state.newest_high = fields[PIV_HIGH]
            state.newest_low = fields[PIV_LOW]
        # Partial IVs give the order; the client reads it from the Observe value
        state.notification_count += 1
        view.index[IX_OBSERVE] = state.notification_count & 0xFFFFFF
        return True

    def _repeat_with_echo(self, request, view):
        """Send the request again with the server's Echo, which proves it fresh (B.1.2)."""
        request.oscore_state.echoed = True
        request.option(ECHO, view.values(IX_ECHO)[0])
        self.node.messaging.mark_verified(view.peer)
        self.node.client.send_again(request)
