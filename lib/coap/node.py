"""The request/response layer: a datagram in, its answer in the tx buffer (RFC 7252 section 5).

Most requests ask for a resource that is there, carry nothing that somebody must look at, and are
answered by bytes: they pass datagram(), request() and ready(). Whatever is unusual takes one turn
more: a bit in `watch` sends a message through the message layer, a bit in `special` a request
through _check().
"""

import sys
from array import array

import coap.counters as count
import coap.scan as s
from coap.exchange import HALF, MASK, Exchange
from coap.guard import guard
from coap.later import Later
from coap.message import View
from coap.numbers import (
    BAD_OPTION,
    CHANGED,
    CONTENT,
    DELETE,
    DELETED,
    FETCH,
    GET,
    INTERNAL_SERVER_ERROR,
    METHOD_NOT_ALLOWED,
    NOT_ACCEPTABLE,
    NOT_FOUND,
    PRECONDITION_FAILED,
    PROXYING_NOT_SUPPORTED,
    REQUEST_ENTITY_TOO_LARGE,
    SERVICE_UNAVAILABLE,
    UNSUPPORTED_CONTENT_FORMAT,
    VALID,
)
from coap.request import Request
from coap.resource import LATER, CoapError, Reply, Resource, route_hash
from coap.scan import bare, holds, ready, same, scan, under
from coap.timers import Timers
from micropython import const

_CODE = const(50)  # scan.CODE
_FLAGS = const(48)  # scan.FLAGS
_HASH = const(54)  # scan.HASH
_UNSAFE = const(1 << 24)  # scan.UNSAFE

_STATE_VERSION = const(1)
_VIEWS = 48  # lengths whose memoryview is kept
_PAYLOADS = (bytes, str, bytearray, memoryview)  # what a handler may give as payload
_UNDERSTOOD = (
    1 << s.IF_MATCH
    | 1 << s.URI_HOST
    | 1 << s.IF_NONE_MATCH
    | 1 << s.URI_PORT
    | 1 << s.URI_PATH
    | 1 << s.URI_QUERY
    | 1 << s.ACCEPT
)
_SPECIAL = (
    1 << s.IF_MATCH
    | 1 << s.ETAG
    | 1 << s.IF_NONE_MATCH
    | 1 << s.CONTENT_FORMAT
    | 1 << s.PROXY
    | s.ODD
)


class Node:
    """A CoAP end point without a socket: transports give it datagrams and the time.

    features: what it can beyond RFC 7252, exactly these. room: longest payload in one message;
    token_max: longest token (RFC 8974); promises: separate responses at a time; timers: of the
    application; everything else is a setting of Exchange.
    """

    def __init__(self, *features, room=1024, token_max=8, promises=4, timers=8, **exchange):
        self.view = View(room, token_max)
        self.tx = bytearray(self.view.r[s.BODY] + room)
        self.buf = memoryview(self.tx)
        self.counters = array("i", [0] * len(count.NAMES))
        self.views = {}
        self.peer = None  # to whom what due() wrote goes
        self.resource = None
        self.handler = None
        self.request_ = Request(self.view, self)
        self.reply = Reply(self, self.view.r[s.BODY])
        self.routes = {}
        self.resources = []
        self.prefixes = []
        self.last_error = ""
        self.entropy = b""
        self.challenge = None  # set by the feature Echo
        self.group = None  # set by the feature Multicast
        self.exchange = Exchange(self, **exchange)
        self.later = Later(self, promises)
        self.timers = Timers(self, timers)
        self.features = features
        self.timed = [self.timers, self.later]
        self.calm = False  # nothing is due before calm_until_ms
        self.calm_until_ms = 0
        self.wants = 0
        self.special = _SPECIAL
        refuse = s.CRITICAL & ~_UNDERSTOOD
        for feature in features:
            self.wants |= feature.wants
            self.special |= feature.special
            refuse &= ~feature.understands
        self.refuse = refuse
        self.special |= refuse
        self.watch = 0
        self.rewatch()
        for feature in features:
            feature.attach(self)
            if feature.timed:
                self.timed.append(feature)
        self.timed.append(self.exchange)  # last: it sends what the others have begun

    # Set-up

    def add(self, path, resource):
        """Serve `resource` at `path`, segments separated by "/" and none in front."""
        if path.startswith("/"):
            raise ValueError("a path begins without a slash: write " + path[1:])
        if resource.echo and self.challenge is None:
            raise ValueError("a resource with echo needs the feature coap.echo.Echo()")
        resource.bind(self, path)
        key = route_hash(resource.route)
        if key in self.routes:
            raise ValueError("/" + path + " is taken, or its hash is: choose another path")
        self.routes[key] = resource
        if not path:
            # the root is also one empty segment (RFC 7252 section 6.4)
            self.routes[route_hash(b"\0\0\0\0\xb0")] = resource
        if resource.prefix:
            self.prefixes.append(resource)
            self.prefixes.sort(key=lambda one: -len(one.path))
        self.resources.append(resource)
        return resource

    def get(self, path, **attributes):
        """Decorator: the function answers GET for `path`; attributes are those of Resource."""
        return self._route(path, GET, attributes)

    def post(self, path, **attributes):
        """Decorator: the function answers POST for `path`."""
        return self._route(path, 2, attributes)

    def put(self, path, **attributes):
        """Decorator: the function answers PUT for `path`."""
        return self._route(path, 3, attributes)

    def delete(self, path, **attributes):
        """Decorator: the function answers DELETE for `path`."""
        return self._route(path, DELETE, attributes)

    def fetch(self, path, **attributes):
        """Decorator: the function answers FETCH for `path` (RFC 8132)."""
        return self._route(path, FETCH, attributes)

    def patch(self, path, **attributes):
        """Decorator: the function answers PATCH for `path` (RFC 8132)."""
        return self._route(path, 6, attributes)

    def ipatch(self, path, **attributes):
        """Decorator: the function answers iPATCH for `path` (RFC 8132)."""
        return self._route(path, 7, attributes)

    def at(self, path):
        """The resource at `path`, None when there is none."""
        for resource in self.resources:
            if resource.path == path:
                return resource
        return None

    def every(self, period_ms, function):
        """Call function(now_ms) every period_ms; the timer it returns can be given to cancel()."""
        return self.timers.start(period_ms, function, True)

    def after(self, delay_ms, function):
        """Call function(now_ms) once, in delay_ms."""
        return self.timers.start(delay_ms, function, False)

    def cancel(self, timer):
        """Stop a timer."""
        self.timers.stop(timer)

    def seed(self, entropy):
        """Start MIDs, tokens and jitter from a few random bytes; transports do."""
        self.entropy = bytes(entropy)
        self.exchange.seed(entropy)

    # The way of one datagram

    def datagram(self, buf, n, peer, now_ms):
        """Take buf[0:n] that came from `peer`: the length of the answer in tx, 0 for none."""
        view = self.view
        view.buf = buf
        view.peer = peer
        view.now_ms = now_ms
        n = scan(buf, n, view.r)
        if n & self.watch:
            return self._arrive(view, n)
        return self._request(view)

    def out(self, n):
        """The first n bytes of tx, to be sent before the next call."""
        view = self.views.get(n)
        if view is None:
            if len(self.views) >= _VIEWS:
                self.views.clear()
            view = self.views[n] = self.buf[:n]
        return view

    def due(self, now_ms):
        """Do what the time demands: the length of a message in tx for `node.peer`, 0 when done."""
        if self.calm and (self.calm_until_ms - now_ms - 1) & MASK < HALF:
            return 0
        self.calm = True
        self.view.now_ms = now_ms
        for part in self.timed:
            n = part.due(now_ms)
            if n:
                self.calm = False
                return n
        if self.calm:
            self._rest(now_ms)
        return 0

    def _rest(self, now_ms):
        nearest = HALF >> 2
        i = len(self.timed)
        while i:
            i -= 1
            left = self.timed[i].wait_ms(now_ms)
            if left < nearest:
                nearest = left
        self.calm_until_ms = (now_ms + nearest) & MASK

    def wait_ms(self, now_ms):
        """Milliseconds until due() must be called, if no datagram comes before."""
        if not self.calm:
            return 0
        left = (self.calm_until_ms - now_ms) & MASK
        return left if left < HALF else 0

    def hurry(self):
        """Something new may be due: due() must look."""
        self.calm = False

    # What applications and features call

    def promise(self):
        """A ticket for the request at hand: see Request.ticket()."""
        ticket = self.later.promise(self.view)
        if ticket < 0:
            raise CoapError(SERVICE_UNAVAILABLE, max_age_s=5)
        return ticket

    def respond(self, ticket, out=None, content_format=None, max_age_s=None, etag=b""):
        """Give the separate response that was promised: bytes, str, or a code.

        False when the ticket is not open any more: answered, or nobody waits for it.
        """
        code = CONTENT
        if isinstance(out, int):
            code = out
            out = None
        payload = b"" if out is None else out.encode() if isinstance(out, str) else out
        if len(payload) > self.view.r[s.ROOM]:
            raise ValueError("a separate response has at most %d bytes" % self.view.r[s.ROOM])
        if content_format is None and payload:
            content_format = 0
        return self.later.respond(ticket, code, payload, content_format, max_age_s, etag)

    def changed(self, resource):
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
        scan(self.view.buf, n, self.view.r)
        return self._request(self.view)

    def state(self):
        """What must survive deep sleep or a reset, as bytes for restore()."""
        mid = self.exchange.mid
        blob = bytes((_STATE_VERSION, mid >> 8, mid & 255))
        for feature in self.features:
            part = feature.state()
            blob += bytes((len(part),)) + part
        return blob

    def restore(self, blob):
        """Go on from what state() returned, with the same features. False: it is not usable."""
        parts = _parts(blob, len(self.features))
        if parts is None:
            return False
        self.exchange.mid = blob[1] << 8 | blob[2]
        for i, feature in enumerate(self.features):
            feature.restore(parts[i])
        return True

    def rewatch(self):
        """Settle which messages pass the message layer: all, while any of them may be a repeat."""
        watch = s.UNSAFE | s.NON | s.OTHER | s.REFUSE | s.SILENT
        if self.later.open:
            watch |= s.REQUEST
        for feature in self.features:
            watch |= feature.watches
        self.watch = watch

    def fail(self, code):
        """An answer of a code alone, in tx: its length."""
        view = self.view
        if code == BAD_OPTION and view.r[s.TYPE]:
            return 0  # RFC 7252 section 5.4.1: a NON with an unknown critical option is rejected
        return bare(self.tx, view.buf, view.r, code)

    def log(self, error):
        """An exception of the application: keep its text for /diag and print it."""
        self.counters[count.HANDLER_ERRORS] += 1
        self.last_error = repr(error)
        _print_exception(error)

    # One turn more

    def _arrive(self, view, flags):
        n = self.exchange.arrive(view, flags)
        if n < 0:
            n = self._request(view)
            n = self.exchange.depart(view, n)
        return n

    def _request(self, view):
        resource = self.routes.get(view.r[_HASH])
        if (
            resource is None
            or view.r[_FLAGS] & self.special
            or same(view.buf, view.r, resource.route) != 1
        ):
            return self._check(view)
        out = resource.handlers[view.r[_CODE]]
        if out is None:
            return self._check(view)
        self.resource = resource
        self.handler = out
        out = guard(self)
        if type(out) is bytes and not (view.r[_FLAGS] & _UNSAFE or self.reply.touched):
            return ready(self.tx, view.buf, view.r, resource.options, out) or self._complete(
                view, out
            )
        return self._complete(view, out)

    def _check(self, view):
        """The whole of what a server has to look at before anything acts."""
        refusal = 0
        if view.r[s.FLAGS] & 1 << s.PROXY:
            refusal = PROXYING_NOT_SUPPORTED
        elif view.r[s.FLAGS] & self.refuse:
            refusal = BAD_OPTION
        else:
            refusal = self._refusal(view, self.find(view))
        n = self._complete(view, refusal or guard(self))
        self.reply.reset()
        view.forget()
        return n

    def _refusal(self, view, resource):
        """Why the request must not reach its handler, as a code; 0: it may."""
        self.resource = resource
        if resource is None:
            return NOT_FOUND
        code = view.r[s.CODE]
        self.handler = resource.handlers[code] if code < 8 else None
        if self.handler is None:
            return METHOD_NOT_ALLOWED
        if view.r[s.SIZE] > view.r[s.LIMIT]:
            return self._too_long()
        code = self._negotiate(view, resource) or self._precondition(view, resource)
        if not code and not resource.exists and not view.r[s.FLAGS] & s.UNSAFE:
            code = NOT_FOUND
        if not code and view.r[s.FLAGS] & self.wants:
            code = self._before(view, resource)
        if not code and resource.echo and view.r[s.FLAGS] & s.UNSAFE and not view.fresh:
            code = self.challenge(view)
        return code

    def _before(self, view, resource):
        i = 0
        while i < len(self.features):
            if view.r[s.FLAGS] & self.features[i].wants:
                refusal = self.features[i].before(view, resource)
                if refusal:
                    return refusal
            i += 1
        return 0

    def find(self, view):
        """The resource that the request at hand names, None when there is none."""
        resource = self.routes.get(view.r[s.HASH])
        if resource and same(view.buf, view.r, resource.route):
            return resource
        for resource in self.prefixes:
            if under(view.buf, view.r, resource.route):
                return resource
        return None

    def _negotiate(self, view, resource):
        formats = resource.content_formats
        accept = view.r[s.ACCEPT]
        if accept != s.NO_ACCEPT and formats is not None:
            if accept not in formats:
                return NOT_ACCEPTABLE
            self.reply.chosen = accept
        if view.has(s.CONTENT_FORMAT) and resource.accepts is not None:
            if view.r[s.CONTENT_FORMAT] not in resource.accepts:
                return UNSUPPORTED_CONTENT_FORMAT
        return 0

    def _precondition(self, view, resource):
        if resource.conditional or not view.r[s.FLAGS] & (1 << s.IF_MATCH | 1 << s.IF_NONE_MATCH):
            return 0
        etag = resource.etag if resource.exists else None
        return 0 if self.request_.holds_if_match(etag) else PRECONDITION_FAILED

    def _complete(self, view, out):
        """Make a message of what the handler returned."""
        reply = self.reply
        if out is LATER:
            reply.touched = False
            return self.exchange.acknowledge(view)
        self._fill(view, reply, out)
        if view.r[s.FLAGS] & self.wants or reply.at > reply.limit:
            self._after(view, reply)
        if reply.q[s.Q_LENGTH] > view.r[s.ROOM] or reply.cut():
            self.counters[count.TOO_LONG] += 1
            reply.clear(INTERNAL_SERVER_ERROR)
        if reply.q[s.Q_CODE] == BAD_OPTION and view.r[s.TYPE]:
            # RFC 7252 section 5.4.1: a NON with an unknown critical option is rejected
            reply.touched = False
            return 0
        out = reply.finish(view)
        return self.exchange.acknowledge(view) if reply.silent else out

    def _fill(self, view, reply, out):
        """Bring code, format and payload of the reply in line with what was returned."""
        q = reply.q
        if out is not None and not _is_answer(out):
            self.failed(TypeError("a handler returns None, a response code, bytes or str"))
            out = None
        if isinstance(out, int) and out >= 0x80:
            if not reply.touched or q[s.Q_CODE] != out:
                reply.clear(out)
        elif not reply.touched:
            reply.start()
        if isinstance(out, int):
            q[s.Q_CODE] = out
        elif out is not None:
            reply.source = out.encode() if isinstance(out, str) else out
            q[s.Q_START] = 0
            q[s.Q_LENGTH] = reply.at = len(reply.source)
        if q[s.Q_CODE] == 0:
            q[s.Q_CODE] = _default(view.r[s.CODE])
        if view.r[s.FLAGS] & 1 << s.ETAG and q[s.Q_ETAG] and q[s.Q_CODE] == CONTENT:
            if holds(view.buf, view.r, s.ETAG, reply.tag):
                q[s.Q_CODE] = VALID
                q[s.Q_LENGTH] = reply.at = 0

    def _after(self, view, reply):
        i = 0
        while i < len(self.features):
            if view.r[s.FLAGS] & self.features[i].wants or reply.at > reply.limit:
                self.features[i].after(view, reply)
            i += 1

    def _too_long(self):
        self.counters[count.TOO_LONG] += 1
        self.reply.clear(REQUEST_ENTITY_TOO_LARGE)
        self.reply.q[s.Q_SIZE1] = self.view.r[s.ROOM]
        return REQUEST_ENTITY_TOO_LARGE

    def failed(self, error):
        """The handler at hand raised: what the answer is."""
        reply = self.reply
        if isinstance(error, CoapError):
            reply.clear(error.code)
            if error.why:
                reply.write(error.why.encode() if isinstance(error.why, str) else error.why)
            if error.max_age_s is not None:
                reply.q[s.Q_MAX_AGE] = error.max_age_s
        else:
            reply.clear(INTERNAL_SERVER_ERROR)
            self.log(error)

    def _route(self, path, method, attributes):
        resource = self.at(path)
        if resource is None:
            resource = Resource()
            _describe(resource, attributes)
            self.add(path, resource)
        elif attributes:
            _describe(resource, attributes)
            resource.refresh()

        def decorate(function):
            resource.handlers[method] = function
            return function

        return decorate


def _parts(blob, n):
    if len(blob) < 3 or blob[0] != _STATE_VERSION:
        return None
    parts = []
    at = 3
    while at < len(blob):
        parts.append(bytes(blob[at + 1 : at + 1 + blob[at]]))
        at += 1 + blob[at]
    return parts if at == len(blob) and len(parts) == n else None


def _default(method):
    if method == GET or method == FETCH:
        return CONTENT
    return DELETED if method == DELETE else CHANGED


def _is_answer(out):
    if isinstance(out, int):
        return 0x3F < out < 0xC0
    return isinstance(out, _PAYLOADS)


def _describe(resource, attributes):
    for name, value in attributes.items():
        if name == "content_format":
            name = "content_formats"
            value = (value,)
        if not hasattr(Resource, name) or callable(getattr(Resource, name)):
            raise ValueError("no such attribute: " + name + "; see coap.resource.Resource")
        setattr(resource, name, value)


def _print_exception(error):
    if hasattr(sys, "print_exception"):
        sys.print_exception(error)
    else:
        import traceback

        traceback.print_exception(error)
