"""The client's half of OSCORE: requests of ours, and what comes for them (RFC 8613 section 8)."""

from micropython import const

from coap.call import UNPROTECTED
from coap.cipher import put_piv, take_piv
from coap.copying import copy
from coap.numbers import ECHO, UNAUTHORIZED
from coap.scan import equal
from coap.token import SIZE

# The numbers of scan.py: the compiler folds only the constants of the file at hand
_OBSERVE = const(5)  # scan.OBSERVE
_OSCORE = const(16)  # scan.OSCORE
_ECHO = const(17)  # scan.ECHO
_FLAGS = const(48)  # scan.FLAGS
_CODE = const(50)  # scan.CODE
_TOKEN = const(52)  # scan.TOKEN
_OTHER = const(1 << 26)  # scan.OTHER
# The numbers of framing.py
_PIV_LENGTH = const(1)  # framing.PIV_LENGTH
_PIV_HIGH = const(6)  # framing.PIV_HIGH
_PIV_LOW = const(7)  # framing.PIV_LOW

_PIV = const(6)  # bytes of a Partial IV and its length
_TAG = const(8)
_WATCHING = const(4)  # call.WATCHING
_ERROR = const(0x80)
# What heard() says
IGNORED = const(0)  # it is not for the call, or not genuine
DONE = const(1)  # it has had its effect here
TAKEN = const(2)  # it is the call's response


class Asked:
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


class Asking:
    """Of one Oscore."""

    def __init__(self, oscore):
        self.node = oscore.node
        self.envelope = oscore.envelope
        self.ledger = oscore.ledger
        self.own = bytearray(_PIV)  # Partial IV of an answer

    def begin(self, call):
        """A call is made anew, and is to be protected."""
        if call.asked is None:
            call.asked = Asked()
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
            put_piv(call.asked.piv, m)
            m = self._sign(call, n)
            copy(call.asked.tag, 0, call.context.sender.chain, 0, _TAG)
            if call.observing and equal(call.token, 0, call.watch, 0, SIZE):
                copy(call.asked.watch, 0, call.asked.piv, 0, _PIV)
                call.asked.unused = True
        if not m:
            return -1
        return self.envelope.close(call.context, 4 + SIZE, n, m)

    def _sign(self, call, n):  # hot
        envelope = self.envelope
        copy(envelope.piv, 0, call.asked.piv, 0, _PIV)
        envelope.bind(call.context, call.context.sender_id)
        envelope.ask(call.context)
        m = envelope.write_text(4 + SIZE, n)
        if m:
            envelope.sign(call.context, m)
        return m

    def heard(self, call, view):  # hot
        """Take the response at hand out of its protection: IGNORED, DONE or TAKEN."""
        if not view.r[_FLAGS] >> _OSCORE & 1:
            if view.r[_CODE] >= _ERROR and self._is_awaited(call, view):
                # what the server could not open, it says openly; to an observation nobody can
                self.node.client.intake.fail(call, UNPROTECTED)
                return DONE
            return IGNORED
        watched = call.observing and equal(view.buf, view.r[_TOKEN], call.watch, 0, SIZE) == 1
        if not self._open(call, view, call.asked.watch if watched else call.asked.piv):
            return IGNORED
        if watched and not self._is_unused(call.asked):
            return DONE
        if view.r[_FLAGS] >> _OBSERVE & 1 and not self._is_newer(call.asked, view, watched):
            return DONE
        if self.ledger.kept and not self.ledger.spend():
            return IGNORED
        if view.r[_CODE] == UNAUTHORIZED and view.has(_ECHO) and not call.asked.echoed:
            self._echo(call, view)
            return DONE
        return TAKEN

    def _is_awaited(self, call, view):
        """Is the message at hand about a request that waits for its answer?"""
        if call.state == _WATCHING:
            return False
        return equal(view.buf, view.r[_TOKEN], call.token, 0, SIZE)

    def _open(self, call, view, piv):  # hot
        if not self.envelope.read(view):
            return False
        copy(self.envelope.piv, 0, piv, 0, _PIV)
        self._bind(call.context, view.buf)
        n = self.envelope.open(call.context, view)
        if not n:
            return False
        self.envelope.unwrap(view, n, 0)
        return view.r[_FLAGS] & _OTHER and view.r[_CODE] > 0x3F

    def _bind(self, context, buf):  # hot
        envelope = self.envelope
        envelope.bind(context, context.sender_id)
        if envelope.fields[_PIV_LENGTH]:
            take_piv(self.own, buf, envelope.fields)
            envelope.vary(context, context.recipient_id, self.own)

    def _is_unused(self, asked):
        """Is the nonce of the message at hand its own, or still that of the registration?

        Each registration, a renewed one too, lends its nonce to the first answer at most (section
        4.1.3.5.1): what comes without a Partial IV later is a replay, or older than what came.
        """
        unused = asked.unused
        asked.unused = False
        return unused or self.envelope.fields[_PIV_LENGTH]

    def _is_newer(self, asked, view, watched):  # hot
        """Is the notification at hand newer than all before? (section 7.4.1)"""
        if not watched:
            return False
        fields = self.envelope.fields
        if fields[_PIV_LENGTH]:
            if asked.high > fields[_PIV_HIGH]:
                return False
            if asked.high == fields[_PIV_HIGH] and asked.low >= fields[_PIV_LOW]:
                return False
            asked.high = fields[_PIV_HIGH]
            asked.low = fields[_PIV_LOW]
        asked.notified += 1
        view.r[_OBSERVE] = asked.notified & 0xFFFFFF  # their order is that of the Partial IVs
        return True

    def _echo(self, call, view):
        """The server wants to know that the request is fresh: ask once more (Appendix B.1.2)."""
        call.asked.echoed = True
        call.option(ECHO, view.values(_ECHO)[0])
        self.node.exchange.trust(view.peer)
        self.node.client.renew(call)
