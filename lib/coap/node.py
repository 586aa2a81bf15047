"""The request/response layer: a datagram in, its answer in the tx buffer (RFC 7252 section 5).

Most requests ask for a resource that is there, carry nothing that somebody must look at, and are
answered by bytes: they pass datagram(), request() and ready(). Whatever is unusual takes one turn
more: a bit in `watch` sends a message through the message layer, a bit in `special` a request
through _check().
"""

from array import array

from micropython import const

from coap.answer import DEFAULTS, Answer
from coap.application import Application
from coap.compose import bare, ready
from coap.copying import copy
from coap.counters import NAMES
from coap.exchange import Exchange
from coap.feature import Feature
from coap.guard import guard
from coap.later import Later
from coap.message import View
from coap.reply import Reply
from coap.request import Request
from coap.resource import LATER, CoapError
from coap.scan import holds, scan
from coap.timers import Timers

# Numbers of other files: the compiler folds only the constants of the file at hand
_TOO_LONG = const(9)  # counters.TOO_LONG
_VALID = const(0x43)  # numbers.VALID
_CONTENT = const(0x45)  # numbers.CONTENT
_UNAUTHORIZED = const(0x81)  # numbers.UNAUTHORIZED
_BAD_OPTION = const(0x82)  # numbers.BAD_OPTION
_NOT_FOUND = const(0x84)  # numbers.NOT_FOUND
_METHOD_NOT_ALLOWED = const(0x85)  # numbers.METHOD_NOT_ALLOWED
_NOT_ACCEPTABLE = const(0x86)  # numbers.NOT_ACCEPTABLE
_PRECONDITION_FAILED = const(0x8C)  # numbers.PRECONDITION_FAILED
_REQUEST_ENTITY_TOO_LARGE = const(0x8D)  # numbers.REQUEST_ENTITY_TOO_LARGE
_UNSUPPORTED_CONTENT_FORMAT = const(0x8F)  # numbers.UNSUPPORTED_CONTENT_FORMAT
_INTERNAL_SERVER_ERROR = const(0xA0)  # numbers.INTERNAL_SERVER_ERROR
_PROXYING_NOT_SUPPORTED = const(0xA5)  # numbers.PROXYING_NOT_SUPPORTED
_COUNT = const(63)  # scan.COUNT
_SPECIAL = const(129)  # scan.SPECIAL
_WATCH = const(130)  # scan.WATCH
_MISSING = const(0x3FFFFFFE)  # scan.MISSING
_ROUTES = const(256)  # scan.ROUTES
_CHOICE = const(256)  # scan.CHOICE
_CUT = const(512)  # scan.CUT
_ABSENT = const(0x3FFFFFFF)  # scan.ABSENT
_IF_MATCH = const(1)  # scan.IF_MATCH
_URI_HOST = const(2)  # scan.URI_HOST
_ETAG = const(3)  # scan.ETAG
_IF_NONE_MATCH = const(4)  # scan.IF_NONE_MATCH
_URI_PORT = const(6)  # scan.URI_PORT
_URI_PATH = const(7)  # scan.URI_PATH
_CONTENT_FORMAT = const(8)  # scan.CONTENT_FORMAT
_URI_QUERY = const(9)  # scan.URI_QUERY
_ACCEPT = const(10)  # scan.ACCEPT
_BLOCK1 = const(12)  # scan.BLOCK1
_PROXY = const(15)  # scan.PROXY
_OSCORE = const(16)  # scan.OSCORE
_ECHO = const(17)  # scan.ECHO
_FLAGS = const(48)  # scan.FLAGS
_CODE = const(50)  # scan.CODE
_ROUTE = const(54)  # scan.ROUTE
_FOUND = const(128)  # scan.FOUND
_ROOM = const(58)  # scan.ROOM
_BODY = const(59)  # scan.BODY
_REQUEST = const(1 << 0)  # scan.REQUEST
_UNSAFE = const(1 << 24)  # scan.UNSAFE
_NON = const(1 << 25)  # scan.NON
_OTHER = const(1 << 26)  # scan.OTHER
_ODD = const(1 << 27)  # scan.ODD
_REFUSE = const(1 << 28)  # scan.REFUSE
_SILENT = const(1 << 29)  # scan.SILENT
_NO_ACCEPT = const(0x10000)  # scan.NO_ACCEPT
_CRITICAL = const(8494806)  # scan.CRITICAL
_Q_CODE = const(0)  # compose.Q_CODE
_Q_ETAG = const(1)  # compose.Q_ETAG
_Q_MAX_AGE = const(4)  # compose.Q_MAX_AGE
_Q_SIZE1 = const(8)  # compose.Q_SIZE1
_Q_LENGTH = const(10)  # compose.Q_LENGTH
_Q_AT = const(11)  # compose.Q_AT
_HALF = const(0x20000000)  # exchange.HALF
_MASK = const(0x3FFFFFFF)  # exchange.MASK


_VIEWS = const(48)  # lengths whose memoryview is kept
_LONG = const(_SILENT)  # no request has that bit: the answer is too long for one message
_type = type  # found at once: the names that are built in are searched one by one
_bytes = bytes
_len = len
_PAYLOADS = (bytes, str, bytearray, memoryview)  # what a handler may give as payload
_UNDERSTOOD = (
    1 << _IF_MATCH
    | 1 << _URI_HOST
    | 1 << _IF_NONE_MATCH
    | 1 << _URI_PORT
    | 1 << _URI_PATH
    | 1 << _URI_QUERY
    | 1 << _ACCEPT
)
_NEGOTIATED = const(
    1 << _ACCEPT | 1 << _CONTENT_FORMAT | 1 << _IF_MATCH | 1 << _IF_NONE_MATCH
)  # what a request asks of the resource beyond its method
_KNOWN = const(1 << _BLOCK1 | 1 << _ECHO)  # by them a View knows what it must forget
_UNUSUAL = 1 << _IF_MATCH | 1 << _ETAG | 1 << _IF_NONE_MATCH | 1 << _PROXY | _ODD


class Node(Application):
    """A CoAP end point without a socket: transports give it datagrams and the time.

    features: what it can beyond RFC 7252, exactly these. room: longest payload in one message;
    token_max: longest token (RFC 8974); promises: separate responses at a time; timers: of the
    application; everything else is a setting of Exchange.
    """

    last_error = ""
    wake = None  # what hurry() calls: a transport that sleeps while others run

    # What features set. Attributes of the class: a node looks an attribute up some fifty times a
    # request, and that takes longer the fuller its own table is.
    error_format = -1  # by ProblemDetails
    group = None  # by Multicast
    conditions = None  # by Conditions, for Observe
    access = None  # by Access
    secure = None  # by Oscore

    def __init__(self, *features, room=1024, token_max=8, promises=4, timers=8, **exchange):
        super().__init__()
        self.view = View(room, token_max)
        self.tx = bytearray(self.view.r[_BODY] + room)
        self.counters = array("i", [0] * len(NAMES))
        self.views = {}
        self.sent = 0  # datagrams, modulo 2**30
        self.peer = None  # to whom what due() wrote goes
        self.resource = None
        self.request_ = Request(self.view, self)
        self.reply = Answer(self, self.view.r[_BODY])
        self.reply_ = Reply(self.reply)
        self.exchange = Exchange(self, **exchange)
        self.later = Later(self, promises)
        self.timers = Timers(self, timers)
        self.features = features
        # a feature that does something before a handler, or after it, behind the bits it wants
        self.befores = []
        self.afters = []
        for one in features:
            if type(one).before is not Feature.before:
                self.befores += (0, one)
            if type(one).after is not Feature.after:
                self.afters += (0, one)
        self.timed = [self.timers, self.later]
        self.going = None  # the part that due() asks first, as long as it has more to send
        self.calm = False  # nothing is due before calm_until_ms
        self.calm_until_ms = 0
        self.entropy = b""
        self.client = None  # set by Client
        self.journal = None  # a function of the application: it takes the text of each exception
        self.wants = 0
        special = _UNUSUAL
        refuse = _CRITICAL & ~_UNDERSTOOD
        for feature in features:
            self.wants |= feature.wants
            special |= feature.special
            refuse &= ~feature.understands
        self.refuse = refuse
        self.view.r[_SPECIAL] = special | refuse
        self.wants_after = self.wants | 1 << _ETAG
        self.rewatch()
        for feature in features:
            feature.attach(self)
            if feature.timed:
                self.timed.append(feature)
        self.rehook()
        self.timed.append(self.exchange)  # last: it sends what the others have begun

    # The way of one datagram

    def datagram(self, buf, n, peer, now_ms):  # hot
        """Take buf[0:n] that came from `peer`: the length of the answer in tx, 0 for none."""
        view = self.view
        view.buf = buf
        view.peer = peer
        view.now_ms = now_ms
        if scan(buf, n, view.r, self.table):
            return self._arrive(view)
        return self._request(view)

    def out(self, n):  # hot
        """The first n bytes of tx, to be sent before the next call."""
        self.sent = self.sent + 1 & _MASK
        try:
            return self.views[n]
        except KeyError:
            return self._view(n)

    def _view(self, n):
        if len(self.views) >= _VIEWS:
            self.views.clear()
        view = self.views[n] = memoryview(self.tx)[:n]
        return view

    def due(self, now_ms):  # hot
        """Do what the time demands: the length of a message in tx for `node.peer`, 0 when done."""
        if self.calm and (self.calm_until_ms - now_ms - 1) & _MASK < _HALF:
            return 0
        self.view.now_ms = now_ms
        if self.going is not None:
            n = self.going.due(now_ms)
            if n:
                return n
            self.going = None
        self.calm = True
        for part in self.timed:
            n = part.due(now_ms)
            if n:
                self.calm = False
                self.going = part
                return n
        if self.calm:
            self._rest(now_ms)
        return 0

    def _rest(self, now_ms):  # hot
        nearest = _HALF >> 2
        i = len(self.timed)
        while i:
            i -= 1
            left = self.timed[i].wait_ms(now_ms)
            if left < nearest:
                nearest = left
        self.calm_until_ms = (now_ms + nearest) & _MASK

    def wait_ms(self, now_ms):  # hot
        """Milliseconds until due() must be called, if no datagram comes before."""
        if not self.calm:
            return 0
        left = (self.calm_until_ms - now_ms) & _MASK
        return left if left < _HALF else 0

    def hurry(self):  # hot
        """Something new may be due: due() must look."""
        self.calm = False
        if self.wake is not None:
            self.wake()

    # What the rest of the engine calls

    def changed(self, resource):  # hot
        """The state of `resource` is new: features that tell others are told."""
        for feature in self.features:
            feature.changed(resource)

    def forget(self, who):
        """The number of a peer goes to another one."""
        for feature in self.features:
            feature.forget(who)

    def rejected(self, view):
        """An RST came for a message that was not confirmable."""
        for feature in self.features:
            feature.rejected(view)

    def replay(self, n):
        """Answer the request of n bytes that was put into `view.buf`, kept from `view.peer`, as if
        it came now: the length of the answer in tx.
        """
        scan(self.view.buf, n, self.view.r, self.table)
        self.view.r[_COUNT] -= 1  # it has been counted when it came
        self.view.replayed = True
        n = self._request(self.view)
        self.view.replayed = False
        return n

    def rewatch(self):
        """Settle which messages pass the message layer: all, while any of them may be a repeat."""
        watch = _UNSAFE | _NON | _OTHER | _REFUSE | _SILENT
        if self.later.open:
            watch |= _REQUEST
        for feature in self.features:
            watch |= feature.watches
        self.view.r[_WATCH] = watch

    def rehook(self):
        """Settle which requests each feature is shown: what it wants may be something else now."""
        for hooks in (self.befores, self.afters):
            for i in range(0, len(hooks), 2):
                hooks[i] = hooks[i + 1].wants | (_LONG if hooks[i + 1].cuts else 0)

    def fail(self, code):  # hot
        """An answer of a code alone, in tx: its length."""
        return bare(self.tx, self.view.buf, self.view.r, code)

    # One turn more

    def _arrive(self, view):  # hot
        n = self.exchange.arrive(view, view.r[_FLAGS])
        if n < 0:
            n = self._request(view)
            n = self.exchange.depart(view, n)
        return n

    def _request(self, view):  # hot
        r = view.r
        out = r[_ROUTE]
        if out >= _ROUTES:
            if out == _MISSING:
                return self._missing(view)
            return self._check(view) if out == _ABSENT else self._choose(view, out)
        resource = self.resources[out]
        out = resource.handlers[r[_CODE]]
        if out is None:
            return self._check(view)
        self.resource = resource
        out = guard(out, self.request_, self.reply_, self)
        if not self.reply.touched and _type(out) is _bytes:
            r = ready(self.tx, view.buf, r, resource.options, out)
            return r if r > 0 else self._long(view, out, r)
        return self._complete(view, out)

    def _long(self, view, out, n):
        """Copy a payload that ready() has left over, to tx[-n]."""
        if not n:
            return self._complete(view, out)
        copy(self.tx, -n, out, 0, len(out))
        return len(out) - n

    def _missing(self, view):  # hot
        if self.prefixes or view.r[_FLAGS] & self.wants:
            return self._check(view)
        return self.fail(_NOT_FOUND)

    def _choose(self, view, out):  # hot
        """All is plain but an Accept, and of that it is known only that it may be met; or but a
        block that is asked for.
        """
        if out >= _CUT:
            out = self.resources[out - _CUT]
            blocks = self.reply.blocks
            return self._check(view) if blocks is None else blocks.serve(view, out)
        resource = self.resources[out - _CHOICE]
        out = resource.handlers[view.r[_CODE]]
        accept = view.r[_ACCEPT]
        if out is None or accept not in (resource.content_formats or ()):
            return self._check(view)
        self.resource = resource
        self.reply.chosen = self.reply_.negotiated = accept
        out = guard(out, self.request_, self.reply_, self)
        out = self._complete(view, out)
        self.reply.chosen = _ABSENT
        self.reply_.negotiated = None
        return out

    def _check(self, view):  # hot
        """The whole of what a server has to look at before anything acts."""
        r = view.r
        out = r[_FLAGS]
        if out & 1 << _PROXY:
            out = _PROXYING_NOT_SUPPORTED
        elif out & 1 << _OSCORE and self.secure is not None and not view.context:
            return self.secure.request(view)
        elif out & self.refuse:
            out = _BAD_OPTION
        else:
            out = r[_FOUND]
            out = self._refusal(view, self.resources[out] if out < _ROUTES else self.find(view))
            if not out:
                out = self.resource.handlers[r[_CODE]]
                out = guard(out, self.request_, self.reply_, self)
        n = self._complete(view, out)
        self.reply.reset()
        self.reply_.negotiated = None
        if r[_FLAGS] & _KNOWN:
            view.forget()
        return n

    def _refusal(self, view, resource):  # hot
        """Why the request must not reach its handler, as a code; 0: it may."""
        self.resource = resource
        if resource is None:
            return _NOT_FOUND
        code = view.r[_CODE]
        flags = view.r[_FLAGS]
        if code > 7 or resource.handlers[code] is None:
            return _METHOD_NOT_ALLOWED
        if self.access is not None and not self.access.admits(view, resource):
            return _UNAUTHORIZED
        if flags & _ODD:
            return self._too_long()
        code = 0
        if flags & _NEGOTIATED:
            code = self._negotiate(view, resource)
            if not code and flags & (1 << _IF_MATCH | 1 << _IF_NONE_MATCH):
                code = self._precondition(view, resource)
            if code:
                return code
        if flags & _UNSAFE:
            if resource.echo:
                code = self.challenge(view)
        elif not resource.exists:
            code = _NOT_FOUND
        if not code and flags & self.wants:
            code = self._before(view, resource)
        return code

    def _before(self, view, resource):  # hot
        i = 0
        while i < _len(self.befores):
            if view.r[_FLAGS] & self.befores[i]:
                refusal = self.befores[i + 1].before(view, resource)
                if refusal:
                    return refusal
            i += 2
        return 0

    def _negotiate(self, view, resource):  # hot
        formats = resource.content_formats
        accept = view.r[_ACCEPT]
        if accept != _NO_ACCEPT and formats is not None:
            if accept in formats:
                self.reply.chosen = accept
            elif accept != self.error_format or not view.r[_FLAGS] & _UNSAFE:
                return _NOT_ACCEPTABLE
            self.reply_.negotiated = accept
        if view.has(_CONTENT_FORMAT) and resource.accepts is not None:
            if view.r[_CONTENT_FORMAT] not in resource.accepts:
                return _UNSUPPORTED_CONTENT_FORMAT
        return 0

    def _precondition(self, view, resource):  # hot
        if resource.conditional:
            return 0
        etag = resource.etag if resource.exists else None
        return 0 if self.request_.holds_if_match(etag) else _PRECONDITION_FAILED

    def _complete(self, view, out):  # hot
        """Make a message of what the handler returned, None mostly: it has filled the reply."""
        reply = self.reply
        if out is not None or not reply.touched or self.later.open:
            if out is None and not reply.touched and not self.later.open:
                if view.r[_FLAGS] & (_UNSAFE | self.wants_after) == _UNSAFE:
                    return self.fail(DEFAULTS[view.r[_CODE]])  # done, and nothing to say
            if _type(out) is _bytes and not self.later.open:
                if reply.touched:
                    reply.give(out)
                else:
                    reply.take(out)
            elif not self._fill(view, reply, out):
                return self.exchange.acknowledge(view)
        if view.r[_FLAGS] & self.wants_after or reply.q[_Q_AT] > reply.most:
            return self._after(view, reply, reply.q)
        return reply.finish(view)

    def _fill(self, view, reply, out):  # hot
        """Bring the reply in line with what was returned. False: it will come later."""
        if out is LATER:
            if self.later.find(view) >= 0:
                reply.touched = False
                reply.whole()
                return False
            self.failed(ValueError("LATER needs a request.ticket() to answer with"))
            return True
        if self.later.open:
            self.later.withdraw(view)
        if out is None:
            if not reply.touched:
                reply.start()
        elif isinstance(out, int) and not isinstance(out, bool):
            self._code(reply, out)
        elif isinstance(out, _PAYLOADS):
            if not reply.touched:
                reply.start()
            reply.give(out.encode() if isinstance(out, str) else out)
        else:
            self.failed(TypeError("a handler returns None, a response code, bytes or str"))
        return True

    def _code(self, reply, code):
        if not 0x40 <= code < 0xC0:
            self.failed(ValueError("a handler returns response codes, 2.00 to 5.31"))
        elif code >= 0x80:
            if not reply.touched or reply.q[_Q_CODE] != code:
                reply.clear(code)
        else:
            if not reply.touched:
                reply.start()
            reply.q[_Q_CODE] = code

    def _after(self, view, reply, q):  # hot
        """Let features complete the reply, and see whether the asker has it already."""
        if q[_Q_CODE] == 0:
            q[_Q_CODE] = DEFAULTS[view.r[_CODE]]
        flags = view.r[_FLAGS]
        if flags & 1 << _ETAG and q[_Q_ETAG] and q[_Q_CODE] == _CONTENT:
            if holds(view.buf, view.r, _ETAG, reply.tag):
                q[_Q_CODE] = _VALID
                q[_Q_LENGTH] = q[_Q_AT] = 0
        if q[_Q_AT] > reply.most:
            flags |= _LONG
        i = 0
        while i < _len(self.afters):
            if flags & self.afters[i]:
                self.afters[i + 1].after(view, reply)
            i += 2
        i = reply.finish(view)
        return self.exchange.acknowledge(view) if reply.silent else i

    def _too_long(self):  # hot
        self.counters[_TOO_LONG] += 1
        self.reply.clear(_REQUEST_ENTITY_TOO_LARGE)
        self.reply.q[_Q_SIZE1] = self.view.r[_ROOM]
        return _REQUEST_ENTITY_TOO_LARGE

    def failed(self, error):
        """The handler at hand raised: what the answer is."""
        reply = self.reply
        if isinstance(error, CoapError):
            reply.clear(error.code)
            if error.why:
                reply.write(error.why.encode() if isinstance(error.why, str) else error.why)
            if error.max_age_s is not None:
                reply.q[_Q_MAX_AGE] = error.max_age_s
        else:
            reply.clear(_INTERNAL_SERVER_ERROR)
            self.log(error)
