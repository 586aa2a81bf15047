"""The client's half of OSCORE: requests of ours, and what comes for them (RFC 8613 section 8)."""

from micropython import const

from coap.client_request import DONE, IGNORED, TAKEN, TOKEN_BYTES, UNPROTECTED, WATCHING
from coap.codec import CODE, FLAGS, IX_ECHO, IX_OBSERVE, IX_OSCORE, NOT_REQUEST, TOKEN, copy, equal
from coap.numbers import ECHO, UNAUTHORIZED
from coap.oscore.protection import PIV_HIGH, PIV_LENGTH, PIV_LOW, read_piv, write_piv

# The numbers of framing.py

_PIV = const(6)  # bytes of a Partial IV and its length
_TAG = const(8)
_ERROR = const(0x80)


class RequestState:
    """What is known of a protected call: the Partial IV and the tag of the request, the Partial IV
    of its observation and the one of the newest notification.
    """

    def __init__(self):
        self.piv = bytearray(_PIV)
        self.watch = bytearray(_PIV)
        self.tag = bytearray(_TAG)
        self.high = self.low = 0
        self.clear()

    def clear(self):
        """Another request takes the place of the one that is done."""
        self.high = -1
        self.notified = 0  # how often
        self.unused = False  # the nonce of the registration, by an answer
        self.echoed = False


class ClientProtection:
    """Of one Oscore."""

    def __init__(self, oscore):
        self.node = oscore.node
        self.envelope = oscore.envelope
        self.ledger = oscore.ledger
        self.own = bytearray(_PIV)  # Partial IV of an answer

    def begin(self, call):
        """A call is made anew, and is to be protected."""
        if call.asked is None:
            call.asked = RequestState()
        call.asked.clear()

    def protect(self, call, n, again):  # hot
        """Protect the request of `call` that lies in tx[0:n]: its length; -1: it is too long, 0:
        there is no number for it. again: it is sent once more, and stays the same to the byte.
        """
        m = 0
        if again:
            m = self._sign(call, n)
            if m and not equal(call.asked.tag, 0, call.context.sender.chain, 0, _TAG):
                m = 0  # it is another one after all: one nonce must not serve both
        if not m:
            m = call.context.take()
            if m < 0:
                self.node.last_error = self.ledger.error
                return 0
            write_piv(call.asked.piv, m)
            m = self._sign(call, n)
            copy(call.asked.tag, 0, call.context.sender.chain, 0, _TAG)
            if call.observing and equal(call.token, 0, call.watch, 0, TOKEN_BYTES):
                copy(call.asked.watch, 0, call.asked.piv, 0, _PIV)
                call.asked.unused = True
        if not m:
            return -1
        return self.envelope.close(call.context, 4 + TOKEN_BYTES, n, m)

    def _sign(self, call, n):  # hot
        envelope = self.envelope
        copy(envelope.piv, 0, call.asked.piv, 0, _PIV)
        envelope.bind(call.context, call.context.sender_id)
        envelope.ask(call.context)
        m = envelope.write_text(4 + TOKEN_BYTES, n)
        if m:
            envelope.sign(call.context, m)
        return m

    def heard(self, call, view):  # hot
        """Take the response at hand out of its protection: IGNORED, DONE or TAKEN."""
        if not view.index[FLAGS] >> IX_OSCORE & 1:
            if view.index[CODE] >= _ERROR and self._is_awaited(call, view):
                # what the server could not open, it says openly; to an observation nobody can
                self.node.client.intake.fail(call, UNPROTECTED)
                return DONE
            return IGNORED
        watched = (
            call.observing and equal(view.buf, view.index[TOKEN], call.watch, 0, TOKEN_BYTES) == 1
        )
        if not self._open(call, view, call.asked.watch if watched else call.asked.piv):
            return IGNORED
        if watched and not self._is_unused(call.asked):
            return DONE
        if view.index[FLAGS] >> IX_OBSERVE & 1 and not self._is_newer(call.asked, view, watched):
            return DONE
        if self.ledger.kept and not self.ledger.spend():
            return IGNORED
        if view.index[CODE] == UNAUTHORIZED and view.has(IX_ECHO) and not call.asked.echoed:
            self._echo(call, view)
            return DONE
        return TAKEN

    def _is_awaited(self, call, view):
        """Is the message at hand about a request that waits for its answer?"""
        if call.state == WATCHING:
            return False
        return equal(view.buf, view.index[TOKEN], call.token, 0, TOKEN_BYTES)

    def _open(self, call, view, piv):  # hot
        if not self.envelope.read(view):
            return False
        copy(self.envelope.piv, 0, piv, 0, _PIV)
        self._bind(call.context, view.buf)
        n = self.envelope.open(call.context, view)
        if not n:
            return False
        self.envelope.unwrap(view, n, 0)
        return view.index[FLAGS] & NOT_REQUEST and view.index[CODE] > 0x3F

    def _bind(self, context, buf):  # hot
        envelope = self.envelope
        envelope.bind(context, context.sender_id)
        if envelope.fields[PIV_LENGTH]:
            read_piv(self.own, buf, envelope.fields)
            envelope.vary(context, context.recipient_id, self.own)

    def _is_unused(self, asked):
        """Is the nonce of the message at hand its own, or still that of the registration?

        Each registration, a renewed one too, lends its nonce to the first answer at most (section
        4.1.3.5.1): what comes without a Partial IV later is a replay, or older than what came.
        """
        unused = asked.unused
        asked.unused = False
        return unused or self.envelope.fields[PIV_LENGTH]

    def _is_newer(self, asked, view, watched):  # hot
        """Is the notification at hand newer than all before? (section 7.4.1)"""
        if not watched:
            return False
        fields = self.envelope.fields
        if fields[PIV_LENGTH]:
            if asked.high > fields[PIV_HIGH]:
                return False
            if asked.high == fields[PIV_HIGH] and asked.low >= fields[PIV_LOW]:
                return False
            asked.high = fields[PIV_HIGH]
            asked.low = fields[PIV_LOW]
        asked.notified += 1
        view.index[IX_OBSERVE] = (
            asked.notified & 0xFFFFFF
        )  # their order is that of the Partial IVs
        return True

    def _echo(self, call, view):
        """The server wants to know that the request is fresh: ask once more (Appendix B.1.2)."""
        call.asked.echoed = True
        call.option(ECHO, view.values(IX_ECHO)[0])
        self.node.messaging.mark_verified(view.peer)
        self.node.client.renew(call)
