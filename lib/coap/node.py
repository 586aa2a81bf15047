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
from coap.later import Later
from coap.message import View
from coap.numbers import (
    BAD_OPTION,
    CHANGED,
    CONTENT,
    CREATED,
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
    SIZE1,
    UNSUPPORTED_CONTENT_FORMAT,
    VALID,
)
from coap.request import Request
from coap.resource import LATER, CoapError, Reply, Resource, route, route_hash
from coap.scan import ABSENT, bare, ready, same, scan, under
from coap.timers import Timers
from micropython import const

_CODE = const(50)  # scan.CODE
_HASH = const(54)  # scan.HASH
_UNSAFE = const(1 << 24)  # scan.UNSAFE

_VIEWS = 48  # lengths whose memoryview is kept
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
        self.exchange = Exchange(self, **exchange)
        self.later = Later(self, promises)
        self.timers = Timers(self, timers)
        self.features = features
        self.timed = [self.timers, self.later, self.exchange]
        self.calm = False  # nothing is due before calm_until_ms
        self.calm_until_ms = 0
        self.wants = 0
        refuse = s.CRITICAL & ~_UNDERSTOOD
        for feature in features:
            self.wants |= feature.wants
            refuse &= ~feature.understands
        self.refuse = refuse
        self.special = _SPECIAL | self.wants | refuse
        self.watch = 0
        self.rewatch()
        for feature in features:
            feature.attach(self)

    # Set-up

    def add(self, path, resource):
        """Serve `resource` at `path`, segments separated by "/" and none in front."""
        resource.bind(self, path)
        key = route_hash(self.view, resource.route)
        if key in self.routes:
            raise ValueError("/" + path + " is taken, or its hash is: choose another path")
        self.routes[key] = resource
        if not path:
            # the root is also one empty segment (RFC 7252 section 6.4)
            self.routes[route_hash(self.view, b"\0\0\0\0\xb0")] = resource
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
        return self._request(view, n)

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
        for part in self.timed:
            n = part.due(now_ms)
            if n:
                self.calm = False
                return n
        if self.calm:
            nearest = HALF >> 2
            for part in self.timed:
                left = part.wait_ms(now_ms)
                if left < nearest:
                    nearest = left
            self.calm_until_ms = (now_ms + nearest) & MASK
        return 0

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

    def call(self, function, argument):
        """Call what the application gave; its exceptions are counted and logged."""
        try:
            return function(argument)
        except Exception as error:
            self.log(error)

    def log(self, error):
        """An exception of the application: keep its text for /diag and print it."""
        self.counters[count.HANDLER_ERRORS] += 1
        self.last_error = repr(error)
        _print_exception(error)

    # One turn more

    def _arrive(self, view, flags):
        n = self.exchange.arrive(view, flags)
        if n < 0:
            n = self._request(view, flags)
            n = self.exchange.depart(view, n)
        return n

    def _request(self, view, flags):
        resource = self.routes.get(view.r[_HASH])
        if flags & self.special or resource is None or same(view.buf, view.r, resource.route) != 1:
            return self._check(view, flags)
        self.resource = resource
        self.handler = handler = resource.handlers[view.r[_CODE]]
        if handler is None:
            return self._check(view, flags)
        out = _guard(self)
        if type(out) is bytes and not flags & _UNSAFE and not self.reply.touched:
            n = ready(self.tx, view.buf, view.r, resource.options, out)
            if n:
                return n
        return self._complete(view, out)

    def _check(self, view, flags):
        """The whole of what a server has to look at before anything acts."""
        if flags & 1 << s.PROXY:
            return self.fail(PROXYING_NOT_SUPPORTED)
        if flags & self.refuse:
            return self.fail(BAD_OPTION)
        resource = self._find(view)
        if resource is None:
            return self.fail(NOT_FOUND)
        self.resource = resource
        reply = self.reply
        code = view.r[s.CODE]
        self.handler = resource.handlers[code] if code < 8 else None
        if self.handler is None:
            return self.fail(METHOD_NOT_ALLOWED)
        if view.r[s.SIZE] > view.r[s.LIMIT]:
            return self._too_long(view, reply)
        refusal = self._negotiate(view, resource, reply) or self._precondition(view, resource)
        if not refusal and not resource.exists and not flags & s.UNSAFE:
            refusal = NOT_FOUND
        if not refusal and flags & self.wants:
            for feature in self.features:
                if flags & feature.wants:
                    refusal = feature.before(view, resource)
                    if refusal:
                        break
        n = self._complete(view, refusal or _guard(self))
        reply.chosen = ABSENT
        return n

    def _find(self, view):
        resource = self.routes.get(view.r[s.HASH])
        if resource and same(view.buf, view.r, resource.route):
            return resource
        for resource in self.prefixes:
            if under(view.buf, view.r, resource.route):
                return resource
        return None

    def _negotiate(self, view, resource, reply):
        formats = resource.content_formats
        accept = view.r[s.ACCEPT]
        if accept != s.NO_ACCEPT and formats is not None:
            if accept not in formats:
                return NOT_ACCEPTABLE
            reply.chosen = accept
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
        if not reply.touched:
            reply.start()
        q = reply.q
        if isinstance(out, int):
            if out >= 0x80:
                reply.clear(out)
            q[s.Q_CODE] = out
        elif out is not None:
            reply.source = out.encode() if isinstance(out, str) else out
            q[s.Q_START] = 0
            q[s.Q_LENGTH] = reply.at = len(reply.source)
        flags = view.r[s.FLAGS]
        code = q[s.Q_CODE]
        if code == 0:
            code = q[s.Q_CODE] = _default(view.r[s.CODE])
        if q[s.Q_ETAG] and flags & 1 << s.ETAG and code == CONTENT:
            if view.holds(s.ETAG, reply.tag):
                q[s.Q_CODE] = VALID
                q[s.Q_FORMAT] = ABSENT
                q[s.Q_LENGTH] = reply.at = 0
        if flags & self.wants or reply.at > view.r[s.ROOM]:
            for feature in self.features:
                if flags & feature.wants or reply.at > view.r[s.ROOM]:
                    feature.after(view, reply)
        if q[s.Q_LENGTH] > view.r[s.ROOM]:
            self.counters[count.TOO_LONG] += 1
            reply.clear(INTERNAL_SERVER_ERROR)
        if q[s.Q_LENGTH] == 0 and q[s.Q_CODE] != CONTENT:
            q[s.Q_FORMAT] = ABSENT  # an empty payload has no format
        if q[s.Q_CODE] == BAD_OPTION and view.r[s.TYPE]:
            reply.touched = False
            return 0
        return reply.finish(view)

    def _too_long(self, view, reply):
        self.counters[count.TOO_LONG] += 1
        reply.clear(REQUEST_ENTITY_TOO_LARGE)
        reply.q[s.Q_SIZE1] = view.r[s.ROOM]
        return reply.finish(view)

    def _failed(self, error):
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


def _guard(node):
    # A function of its own and this small: a larger frame would come from the heap.
    try:
        return node.handler(node.request_, node.reply)
    except Exception as error:
        return node._failed(error)


def _default(method):
    if method == GET or method == FETCH:
        return CONTENT
    return DELETED if method == DELETE else CHANGED


def _describe(resource, attributes):
    for name, value in attributes.items():
        if not hasattr(Resource, name) or callable(getattr(Resource, name)):
            raise ValueError("no such attribute: " + name + "; see coap.resource.Resource")
        setattr(resource, name, value)


def _print_exception(error):
    if hasattr(sys, "print_exception"):
        sys.print_exception(error)
    else:
        import traceback

        traceback.print_exception(error)
