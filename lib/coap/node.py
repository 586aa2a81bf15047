"""The request/response layer: a datagram in, its answer in the tx buffer (RFC 7252 section 5).

Most requests ask for a resource that is there, carry nothing that somebody must look at, and are
answered by bytes: they pass datagram(), request() and ready(). Whatever is unusual takes one turn
more: a bit in `watch` sends a message through the message layer, a bit in `special` a request
through _check().
"""

from array import array

from micropython import const

from coap.codec import (
    ABSENT,
    BAD_METHOD_OR_SIZE,
    CODE,
    CRITICAL_OPTIONS,
    DATAGRAM_COUNT,
    DROP,
    FIELD_CODE,
    FIELD_ETAG,
    FIELD_MAX_AGE,
    FIELD_PAYLOAD_LENGTH,
    FIELD_SIZE1,
    FIELD_TOTAL,
    FLAGS,
    IX_ACCEPT,
    IX_BLOCK1,
    IX_CONTENT_FORMAT,
    IX_ECHO,
    IX_ETAG,
    IX_IF_MATCH,
    IX_IF_NONE_MATCH,
    IX_OSCORE,
    IX_PROXY,
    IX_URI_HOST,
    IX_URI_PATH,
    IX_URI_PORT,
    IX_URI_QUERY,
    MAX_PAYLOAD,
    NO_ACCEPT,
    NO_ROUTE,
    NON_REQUEST,
    NOT_REQUEST,
    REQUEST,
    ROUTE,
    ROUTE_ACCEPT,
    ROUTE_ANY,
    ROUTE_BLOCK2,
    ROUTE_LIMIT,
    SEND_RESET,
    SLOW_PATH,
    TO_MESSAGE_LAYER,
    TX_PAYLOAD,
    UNSAFE,
    copy,
    has_value,
    parse,
    write_content,
    write_empty,
)
from coap.counters import COUNT_TOO_LONG, COUNTER_NAMES
from coap.extension import Extension, call_handler, process_as
from coap.message import MessageView
from coap.messaging import MessageLayer
from coap.node_base import NodeBase
from coap.numbers import (
    BAD_OPTION,
    CLOCK_HALF,
    CLOCK_MASK,
    CONTENT,
    INTERNAL_SERVER_ERROR,
    METHOD_NOT_ALLOWED,
    NOT_ACCEPTABLE,
    NOT_FOUND,
    PRECONDITION_FAILED,
    PROXYING_NOT_SUPPORTED,
    REQUEST_ENTITY_TOO_LARGE,
    UNAUTHORIZED,
    UNSUPPORTED_CONTENT_FORMAT,
    VALID,
)
from coap.request import Request
from coap.resource import SEPARATE, CoapError
from coap.response import DEFAULT_CODES, Response, ResponseBuilder
from coap.separate import SeparateResponses
from coap.timers import Timers

_VIEWS = const(48)  # lengths whose memoryview is kept
_LONG = DROP  # no request has that bit: the answer is too long for one message
_type = type  # found at once: the names that are built in are searched one by one
_bytes = bytes
_len = len
_PAYLOADS = (bytes, str, bytearray, memoryview)  # what a handler may give as payload
_UNDERSTOOD = (
    1 << IX_IF_MATCH
    | 1 << IX_URI_HOST
    | 1 << IX_IF_NONE_MATCH
    | 1 << IX_URI_PORT
    | 1 << IX_URI_PATH
    | 1 << IX_URI_QUERY
    | 1 << IX_ACCEPT
)
# what a request asks of the resource beyond its method
_NEGOTIATED = 1 << IX_ACCEPT | 1 << IX_CONTENT_FORMAT | 1 << IX_IF_MATCH | 1 << IX_IF_NONE_MATCH
_KNOWN = 1 << IX_BLOCK1 | 1 << IX_ECHO  # by them a View knows what it must forget
_UNUSUAL = (
    1 << IX_IF_MATCH | 1 << IX_ETAG | 1 << IX_IF_NONE_MATCH | 1 << IX_PROXY | BAD_METHOD_OR_SIZE
)


class Node(NodeBase):
    """A CoAP end point without a socket: transports give it datagrams and the time.

    features: what it can beyond RFC 7252, exactly these. room: longest payload in one message;
    token_max: longest token (RFC 8974); promises: separate responses at a time; timers: of the
    application; everything else is a setting of Exchange.
    """

    last_error = ""
    on_wake = None  # what hurry() calls: a transport that sleeps while others run

    # What features set. Attributes of the class: a node looks an attribute up some fifty times a
    # request, and that takes longer the fuller its own table is.
    error_format = -1  # by ProblemDetails
    group = None  # by Multicast
    conditions = None  # by Conditions, for Observe
    access = None  # by Access
    oscore = None  # by Oscore

    def __init__(
        self, *features, room=1024, token_max=8, separate_responses=4, timers=8, **exchange
    ):
        super().__init__()
        self.view = MessageView(room, token_max)
        self.tx = bytearray(self.view.index[TX_PAYLOAD] + room)
        self.counters = array("i", [0] * len(COUNTER_NAMES))
        self.views = {}
        self.sent = 0  # datagrams, modulo 2**30
        self.peer = None  # to whom what due() wrote goes
        self.resource = None
        self.request = Request(self.view, self)
        self.builder = ResponseBuilder(self, self.view.index[TX_PAYLOAD])
        self.response = Response(self.builder)
        self.messaging = MessageLayer(self, **exchange)
        self.separate = SeparateResponses(self, separate_responses)
        self.timers = Timers(self, timers)
        self.features = features
        # a feature that does something before a handler, or after it, behind the bits it wants
        self.before_hooks = []
        self.after_hooks = []
        for one in features:
            if type(one).before_handler is not Extension.before_handler:
                self.before_hooks += (0, one)
            if type(one).after_handler is not Extension.after_handler:
                self.after_hooks += (0, one)
        self.scheduled = [self.timers, self.separate]
        self.active = None  # the part that due() asks first, as long as it has more to send
        self.idle = False  # nothing is due before calm_until_ms
        self.idle_until_ms = 0
        self.entropy = b""
        self.client = None  # set by Client
        self.on_log = None  # a function of the application: it takes the text of each exception
        self.option_mask = 0
        special = _UNUSUAL
        refuse = CRITICAL_OPTIONS & ~_UNDERSTOOD
        for feature in features:
            self.option_mask |= feature.option_mask
            special |= feature.slow_path_mask
            refuse &= ~feature.critical_mask
        self.refuse = refuse
        self.view.index[SLOW_PATH] = special | refuse
        self.after_mask = self.option_mask | 1 << IX_ETAG
        self.update_message_mask()
        for feature in features:
            feature.attach(self)
            if feature.scheduled:
                self.scheduled.append(feature)
        self.update_hooks()
        self.scheduled.append(self.messaging)  # last: it sends what the others have begun

    # The way of one datagram

    def datagram(self, buf, n, peer, now_ms):  # hot
        """Take buf[0:n] that came from `peer`: the length of the answer in tx, 0 for none."""
        view = self.view
        view.buf = buf
        view.peer = peer
        view.now_ms = now_ms
        if parse(buf, n, view.index, self.route_table):
            return self._arrive(view)
        return self._request(view)

    def tx_view(self, n):  # hot
        """The first n bytes of tx, to be sent before the next call."""
        self.sent = self.sent + 1 & CLOCK_MASK
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
        if self.idle and (self.idle_until_ms - now_ms - 1) & CLOCK_MASK < CLOCK_HALF:
            return 0
        self.view.now_ms = now_ms
        if self.active is not None:
            n = self.active.due(now_ms)
            if n:
                return n
            self.active = None
        self.idle = True
        for part in self.scheduled:
            n = part.due(now_ms)
            if n:
                self.idle = False
                self.active = part
                return n
        if self.idle:
            self._rest(now_ms)
        return 0

    def _rest(self, now_ms):  # hot
        nearest = CLOCK_HALF >> 2
        i = len(self.scheduled)
        while i:
            i -= 1
            left = self.scheduled[i].wait_ms(now_ms)
            if left < nearest:
                nearest = left
        self.idle_until_ms = (now_ms + nearest) & CLOCK_MASK

    def wait_ms(self, now_ms):  # hot
        """Milliseconds until due() must be called, if no datagram comes before."""
        if not self.idle:
            return 0
        left = (self.idle_until_ms - now_ms) & CLOCK_MASK
        return left if left < CLOCK_HALF else 0

    def reschedule(self):  # hot
        """Something new may be due: due() must look."""
        self.idle = False
        if self.on_wake is not None:
            self.on_wake()

    # What the rest of the engine calls

    def changed(self, resource):  # hot
        """The state of `resource` is new: features that tell others are told."""
        for feature in self.features:
            feature.changed(resource)

    def on_peer_evicted(self, who):
        """The number of a peer goes to another one."""
        for feature in self.features:
            feature.on_peer_evicted(who)

    def rejected(self, view):
        """An RST came for a message that was not confirmable."""
        for feature in self.features:
            feature.rejected(view)

    def process_stored(self, buf, n, context):  # hot
        """Process the stored request buf[0:n] of `view.peer` as if it came now.

        Return the length of the response in tx, to which the caller gives its MID. context: the
        number of the security context under which the request came, 0 for none; the response is
        not protected.
        """
        view = self.view
        view.buf = buf
        parse(buf, n, view.index, self.route_table)
        view.index[DATAGRAM_COUNT] -= 1  # counted when it came
        return process_as(self, view, context, True)

    def update_message_mask(self):
        """Settle which messages pass the message layer: all, while any of them may be a repeat."""
        watch = UNSAFE | NON_REQUEST | NOT_REQUEST | SEND_RESET | DROP
        if self.separate.open_count:
            watch |= REQUEST
        for feature in self.features:
            watch |= feature.message_mask
        self.view.index[TO_MESSAGE_LAYER] = watch

    def update_hooks(self):
        """Settle which requests each feature is shown: what it wants may be something else now."""
        for hooks in (self.before_hooks, self.after_hooks):
            for i in range(0, len(hooks), 2):
                hooks[i] = hooks[i + 1].option_mask | (_LONG if hooks[i + 1].splits_payload else 0)

    def write_code(self, code):  # hot
        """An answer of a code alone, in tx: its length."""
        return write_empty(self.tx, self.view.buf, self.view.index, code)

    # One turn more

    def _arrive(self, view):  # hot
        n = self.messaging.receive(view, view.index[FLAGS])
        if n < 0:
            n = self._request(view)
            n = self.messaging.finish_response(view, n)
        return n

    def _request(self, view):  # hot
        index = view.index
        out = index[ROUTE]
        if out >= ROUTE_LIMIT:
            if out == NO_ROUTE:
                return self._missing(view)
            return self._check(view) if out == ABSENT else self._choose(view, out)
        resource = self.resources[out]
        out = resource.handlers[index[CODE]]
        if out is None:
            return self._check(view)
        self.resource = resource
        out = call_handler(out, self.request, self.response, self)
        if not self.builder.started and _type(out) is _bytes:
            index = write_content(self.tx, view.buf, index, resource.options, out)
            return index if index > 0 else self._long(view, out, index)
        return self._complete(view, out)

    def _long(self, view, out, n):
        """Copy a payload that ready() has left over, to tx[-n]."""
        if not n:
            return self._complete(view, out)
        copy(self.tx, -n, out, 0, len(out))
        return len(out) - n

    def _missing(self, view):  # hot
        if not self.route_table[0] and self.resources:
            self.find_route(view)
            return self._request(view)
        if self.prefixes or view.index[FLAGS] & self.option_mask:
            return self._check(view)
        return self.write_code(NOT_FOUND)

    def _choose(self, view, out):  # hot
        """All is plain but an Accept, and of that it is known only that it may be met; or but a
        block that is asked for.
        """
        if out >= ROUTE_BLOCK2:
            out = self.resources[out - ROUTE_BLOCK2]
            blocks = self.builder.blockwise
            return self._check(view) if blocks is None else blocks.serve(view, out)
        resource = self.resources[out - ROUTE_ACCEPT]
        out = resource.handlers[view.index[CODE]]
        accept = view.index[IX_ACCEPT]
        if out is None or accept not in (resource.content_formats or ()):
            return self._check(view)
        self.resource = resource
        self.builder.negotiated_format = self.response.negotiated = accept
        out = call_handler(out, self.request, self.response, self)
        out = self._complete(view, out)
        self.builder.negotiated_format = ABSENT
        self.response.negotiated = None
        return out

    def _check(self, view):  # hot
        """The whole of what a server has to look at before anything acts."""
        index = view.index
        out = index[FLAGS]
        if out & 1 << IX_PROXY:
            out = PROXYING_NOT_SUPPORTED
        elif out & 1 << IX_OSCORE and self.oscore is not None and not view.context:
            return self.protected_request(view, -1)
        elif out & self.refuse:
            out = BAD_OPTION
        else:
            out = index[ROUTE_ANY]
            out = self._refusal(
                view, self.resources[out] if out < ROUTE_LIMIT else self.match(view)
            )
            if not out:
                out = self.resource.handlers[index[CODE]]
                out = call_handler(out, self.request, self.response, self)
        n = self._complete(view, out)
        self.builder.reset()
        self.response.negotiated = None
        if index[FLAGS] & _KNOWN:
            view.reset()
        return n

    def protected_request(self, view, stub):  # hot
        """Serve a request under OSCORE: unprotect, request, protect (RFC 8613 section 8).

        stub: -1; for a duplicate, where in `messaging.cached_responses` the stub of its response
        lies. Return the length of the response in tx.
        """
        oscore = self.oscore
        context = oscore.unprotect_request(view, stub)
        if context is None:
            return oscore.refuse(view)
        if oscore.repeated_code:
            n = self.write_code(oscore.repeated_code)
        else:
            n = process_as(self, view, context.index, False)
        return oscore.protect_response(view, context, n)

    def _refusal(self, view, resource):  # hot
        """Why the request must not reach its handler, as a code; 0: it may."""
        self.resource = resource
        if resource is None:
            return NOT_FOUND
        code = view.index[CODE]
        flags = view.index[FLAGS]
        if code > 7 or resource.handlers[code] is None:
            return METHOD_NOT_ALLOWED
        if self.access is not None and not self.access.admits(view, resource):
            return UNAUTHORIZED
        if flags & BAD_METHOD_OR_SIZE:
            return self._too_long()
        code = 0
        if flags & _NEGOTIATED:
            code = self._negotiate(view, resource)
            if not code and flags & (1 << IX_IF_MATCH | 1 << IX_IF_NONE_MATCH):
                code = self._precondition(view, resource)
            if code:
                return code
        if flags & UNSAFE:
            if resource.echo:
                code = self.challenge(view)
        elif not resource.exists:
            code = NOT_FOUND
        if not code and flags & self.option_mask:
            code = self._before(view, resource)
        return code

    def _before(self, view, resource):  # hot
        i = 0
        while i < _len(self.before_hooks):
            if view.index[FLAGS] & self.before_hooks[i]:
                refusal = self.before_hooks[i + 1].before_handler(view, resource)
                if refusal:
                    return refusal
            i += 2
        return 0

    def _negotiate(self, view, resource):  # hot
        formats = resource.content_formats
        accept = view.index[IX_ACCEPT]
        if accept != NO_ACCEPT and formats is not None:
            if accept in formats:
                self.builder.negotiated_format = accept
            elif accept != self.error_format or not view.index[FLAGS] & UNSAFE:
                return NOT_ACCEPTABLE
            self.response.negotiated = accept
        if view.has(IX_CONTENT_FORMAT) and resource.accepts is not None:
            if view.index[IX_CONTENT_FORMAT] not in resource.accepts:
                return UNSUPPORTED_CONTENT_FORMAT
        return 0

    def _precondition(self, view, resource):  # hot
        if resource.conditional:
            return 0
        etag = resource.etag if resource.exists else None
        return 0 if self.request.satisfies_if_match(etag) else PRECONDITION_FAILED

    def _complete(self, view, out):  # hot
        """Make a message of what the handler returned, None mostly: it has filled the reply."""
        builder = self.builder
        if out is not None or not builder.started or self.separate.open_count:
            if out is None and not builder.started and not self.separate.open_count:
                if view.index[FLAGS] & (UNSAFE | self.after_mask) == UNSAFE:
                    return self.write_code(
                        DEFAULT_CODES[view.index[CODE]]
                    )  # done, and nothing to say
            if _type(out) is _bytes and not self.separate.open_count:
                if builder.started:
                    builder.set_payload(out)
                else:
                    builder.start_with_payload(out)
            elif not self._fill(view, builder, out):
                return self.messaging.write_ack(view)
        if (
            view.index[FLAGS] & self.after_mask
            or builder.fields[FIELD_TOTAL] > builder.max_payload
        ):
            return self._after(view, builder, builder.fields)
        return builder.finish(view)

    def _fill(self, view, builder, out):  # hot
        """Bring the reply in line with what was returned. False: it will come later."""
        if out is SEPARATE:
            if self.separate.find(view) >= 0:
                builder.started = False
                builder.want_whole()
                return False
            self.failed(ValueError("LATER needs a request.ticket() to answer with"))
            return True
        if self.separate.open_count:
            self.separate.cancel(view)
        if out is None:
            if not builder.started:
                builder.start()
        elif isinstance(out, int) and not isinstance(out, bool):
            self._code(builder, out)
        elif isinstance(out, _PAYLOADS):
            if not builder.started:
                builder.start()
            builder.set_payload(out.encode() if isinstance(out, str) else out)
        else:
            self.failed(TypeError("a handler returns None, a response code, bytes or str"))
        return True

    def _code(self, builder, code):
        if not 0x40 <= code < 0xC0:
            self.failed(ValueError("a handler returns response codes, 2.00 to 5.31"))
        elif code >= 0x80:
            if not builder.started or builder.fields[FIELD_CODE] != code:
                builder.set_code(code)
        else:
            if not builder.started:
                builder.start()
            builder.fields[FIELD_CODE] = code

    def _after(self, view, builder, fields):  # hot
        """Let features complete the reply, and see whether the asker has it already."""
        if fields[FIELD_CODE] == 0:
            fields[FIELD_CODE] = DEFAULT_CODES[view.index[CODE]]
        flags = view.index[FLAGS]
        if flags & 1 << IX_ETAG and fields[FIELD_ETAG] and fields[FIELD_CODE] == CONTENT:
            if has_value(view.buf, view.index, IX_ETAG, builder.etag):
                fields[FIELD_CODE] = VALID
                fields[FIELD_PAYLOAD_LENGTH] = fields[FIELD_TOTAL] = 0
        if fields[FIELD_TOTAL] > builder.max_payload:
            flags |= _LONG
        i = 0
        while i < _len(self.after_hooks):
            if flags & self.after_hooks[i]:
                self.after_hooks[i + 1].after_handler(view, builder)
            i += 2
        i = builder.finish(view)
        return self.messaging.write_ack(view) if builder.suppressed else i

    def _too_long(self):  # hot
        self.counters[COUNT_TOO_LONG] += 1
        self.builder.set_code(REQUEST_ENTITY_TOO_LARGE)
        self.builder.fields[FIELD_SIZE1] = self.view.index[MAX_PAYLOAD]
        return REQUEST_ENTITY_TOO_LARGE

    def failed(self, error):
        """The handler at hand raised: what the answer is."""
        builder = self.builder
        if isinstance(error, CoapError):
            builder.set_code(error.code)
            if error.why:
                builder.write(error.why.encode() if isinstance(error.why, str) else error.why)
            if error.max_age_s is not None:
                builder.fields[FIELD_MAX_AGE] = error.max_age_s
        else:
            builder.set_code(INTERNAL_SERVER_ERROR)
            self.log(error)
