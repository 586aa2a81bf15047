"""The request/response layer: a datagram in, the response in the tx buffer (RFC 7252 section 5).

Theory of operation. A transport hands each datagram to Node.datagram() and sends what that
writes, and calls Node.due() until it returns 0. Nothing here opens a socket or reads a clock.

A plain request names a resource that exists, by a method that it has, and carries no option that
needs a look: datagram(), _handle_request() and write_content() serve it. parse() decides which way
a message takes, by two settings in its index: a bit in TO_MESSAGE_LAYER sends it through the
message layer first, a bit in SLOW_PATH sends a request through _check(). Extensions set such bits,
so that a plain request pays nothing for them.

The layer below is coap.messaging (deduplication, ACK, RST, retransmission), the one above are the
handlers and the extensions. lib/coap/README.md draws the layers and says why hot code looks as it
does.
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
    FIELD_FREE,
    FIELD_MAX_AGE,
    FIELD_MOST,
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
    refused_option,
    write_content,
    write_empty,
)
from coap.counters import COUNT_TOO_LONG, COUNTER_NAMES
from coap.extension import Extension, call_handler, process_as
from coap.message import MessageView
from coap.messaging import MessageLayer
from coap.node_base import NodeBase, Timers
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

_BYTES_PER_VIEW = const(48)  # of tx, for each length whose memoryview is kept
_LONG = DROP  # in the flags of after_mask: the payload is too long for one message
_type = type  # cached builtins: see lib/coap/README.md
_bytes = bytes
_len = len
_PAYLOAD_TYPES = (bytes, str, bytearray, memoryview)  # what a handler may return as payload
# critical options that every node understands
_UNDERSTOOD = (
    1 << IX_IF_MATCH
    | 1 << IX_URI_HOST
    | 1 << IX_IF_NONE_MATCH
    | 1 << IX_URI_PORT
    | 1 << IX_URI_PATH
    | 1 << IX_URI_QUERY
    | 1 << IX_ACCEPT
)
# options by which a request asks more of a resource than its method
_NEGOTIATED = 1 << IX_ACCEPT | 1 << IX_CONTENT_FORMAT | 1 << IX_IF_MATCH | 1 << IX_IF_NONE_MATCH
_VIEW_STATE = 1 << IX_BLOCK1 | 1 << IX_ECHO  # options that set attributes of the view
_UNUSUAL = (
    1 << IX_IF_MATCH | 1 << IX_ETAG | 1 << IX_IF_NONE_MATCH | 1 << IX_PROXY | BAD_METHOD_OR_SIZE
)


class Node(NodeBase):
    """A CoAP endpoint without a socket: transports give it datagrams and the time.

    extensions: what it can do beyond RFC 7252. max_payload: bytes of the longest payload of one
    message; token_max: bytes of the longest token (RFC 8974); separate_responses: deferred
    responses at a time; timers: timers of the application at a time; amplification_bytes: to peers
    that are not verified, see ResponseBuilder. All other settings are those of MessageLayer.
    """

    last_error = ""
    on_wake = None  # called by reschedule(): set by a transport that sleeps between calls of due()

    # Set by extensions. They are attributes of the class because a node looks some fifty
    # attributes up per request, and each takes longer the fuller the table of the instance is.
    error_format = -1  # by ProblemDetails
    group = None  # by Multicast
    conditions = None  # by ConditionalObserve, for Observe
    access = None  # by Access
    # by Oscore
    oscore = None  # type: Any

    def __init__(
        self,
        *extensions,
        max_payload=1024,
        token_max=8,
        separate_responses=4,
        timers=8,
        amplification_bytes=8192,
        **messaging,
    ):
        super().__init__()
        self.view = MessageView(max_payload, token_max)
        self.tx = bytearray(self.view.index[TX_PAYLOAD] + max_payload)
        self.counters = array("i", [0] * len(COUNTER_NAMES))
        self.views = {}
        self.sent = 0  # datagrams, modulo 2**30
        self.peer = None  # destination of the message that due() wrote
        self.resource = None
        self.request = Request(self.view, self)
        self.builder = ResponseBuilder(self, amplification_bytes)
        self.response = Response(self.builder)
        self.messaging = MessageLayer(self, **messaging)
        self.separate = SeparateResponses(self, separate_responses)
        self.timers = Timers(self, timers)
        self.extensions = extensions
        # pairs of a mask and an extension that overrides the method, in one list
        self.before_hooks = []
        self.after_hooks = []
        for one in extensions:
            if type(one).before_handler is not Extension.before_handler:
                self.before_hooks += (0, one)
            if type(one).after_handler is not Extension.after_handler:
                self.after_hooks += (0, one)
        self.scheduled = [self.timers, self.separate]
        self.active = None  # the part that due() asks first, as long as it has more to send
        self.idle = False  # nothing is due before idle_until_ms
        self.idle_until_ms = 0
        self.entropy = b""
        self.client = None  # set by Client
        self.on_log = None  # set by the application: called with the text of each exception
        self.option_mask = 0
        slow = _UNUSUAL
        refused = CRITICAL_OPTIONS & ~_UNDERSTOOD
        for extension in extensions:
            self.option_mask |= extension.option_mask
            slow |= extension.slow_path_mask
            refused &= ~extension.critical_mask
        self.refuse = refused
        self.view.index[SLOW_PATH] = slow | refused
        self.after_mask = self.option_mask | 1 << IX_ETAG
        self.update_message_mask()
        for extension in extensions:
            extension.attach(self)
            if extension.scheduled:
                self.scheduled.append(extension)
        self.update_hooks()
        self.scheduled.append(self.messaging)  # last: it sends what the others have begun

    # From a datagram to its response

    def datagram(self, buf, n, peer, now_ms):  # hot
        """Process the datagram buf[0:n] from `peer`; return the length of the response in tx, 0
        for none.
        """
        view = self.view
        view.buf = buf
        view.peer = peer
        view.now_ms = now_ms
        if parse(buf, n, view.index, self.route_table):
            return self._through_messaging(view)
        return self._handle_request(view)

    def tx_view(self, n):  # hot
        """Return tx[0:n] as a memoryview, which is valid until the next call of the node."""
        self.sent = self.sent + 1 & CLOCK_MASK
        try:
            return self.views[n]
        except KeyError:
            return self._make_view(n)

    def _make_view(self, n):
        if len(self.views) * _BYTES_PER_VIEW >= len(self.tx):
            self.views.clear()
        view = self.views[n] = memoryview(self.tx)[:n]
        return view

    def due(self, now_ms):  # hot
        """Do what is due; return the length of a message in tx for `self.peer`, 0 when all is
        done. The caller sends the message and calls again.
        """
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
            self._update_idle(now_ms)
        return 0

    def _update_idle(self, now_ms):  # hot
        nearest = CLOCK_HALF >> 2
        i = len(self.scheduled)
        while i:
            i -= 1
            left = self.scheduled[i].wait_ms(now_ms)
            if left < nearest:
                nearest = left
        self.idle_until_ms = (now_ms + nearest) & CLOCK_MASK

    def wait_ms(self, now_ms):  # hot
        """Return the milliseconds until due() must be called, unless a datagram comes before."""
        if not self.idle:
            return 0
        left = (self.idle_until_ms - now_ms) & CLOCK_MASK
        return left if left < CLOCK_HALF else 0

    def reschedule(self):  # hot
        """Have due() look at every part again: something new may be due."""
        self.idle = False
        if self.on_wake is not None:
            self.on_wake()

    # Called by the other layers

    def changed(self, resource):  # hot
        """Tell the extensions that the state of `resource` has changed."""
        for extension in self.extensions:
            if type(extension).changed is not Extension.changed:
                extension.changed(resource)

    def on_peer_evicted(self, peer_index):
        """Tell the extensions that `peer_index` now stands for another peer."""
        for extension in self.extensions:
            extension.on_peer_evicted(peer_index)

    def rejected(self, view):
        """Tell the extensions of an RST for a message that was not confirmable."""
        for extension in self.extensions:
            extension.rejected(view)

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
        """Set which messages pass the message layer: all requests while a response is deferred,
        since any may be a duplicate of the one that waits.
        """
        mask = UNSAFE | NON_REQUEST | NOT_REQUEST | SEND_RESET | DROP
        if self.separate.open_count:
            mask |= REQUEST
        for extension in self.extensions:
            mask |= extension.message_mask
        self.view.index[TO_MESSAGE_LAYER] = mask

    def update_hooks(self):
        """Set which requests each extension is shown; called when an option_mask has changed."""
        for hooks in (self.before_hooks, self.after_hooks):
            for i in range(0, len(hooks), 2):
                hooks[i] = hooks[i + 1].option_mask | (_LONG if hooks[i + 1].splits_payload else 0)

    def write_code(self, code):  # hot
        """Write a response that is only a code into tx; return its length."""
        return write_empty(self.tx, self.view.buf, self.view.index, code, b"")

    # Steps of a request

    def _through_messaging(self, view):  # hot
        n = self.messaging.receive(view, view.index[FLAGS])
        if n < 0:
            n = self._handle_request(view)
            n = self.messaging.finish_response(view, n)
        return n

    def _handle_request(self, view):  # hot
        # One local in turn for route, handler and result: the frame has no word left.
        index = view.index
        out = index[ROUTE]
        if out >= ROUTE_LIMIT:
            if out == NO_ROUTE:
                return self._without_route(view)
            return self._check(view) if out == ABSENT else self._with_one_option(view, out)
        resource = self.resources[out]
        out = resource.handlers[index[CODE]]
        if out is None:
            return self._check(view)
        self.resource = resource
        out = call_handler(out, self.request, self.response, self)
        if not self.builder.started and _type(out) is _bytes:
            index = write_content(self.tx, view.buf, index, resource.options, out)
            return index if index > 0 else self._append_long(view, out, index)
        return self._complete(view, out)

    def _append_long(self, view, payload, n):
        """Copy to tx[-n] a payload that write_content() has left to copy(); n = 0: it wrote
        nothing.
        """
        if not n or not self.builder.may_send(view, len(payload) - n):
            return self._complete(view, payload)
        copy(self.tx, -n, payload, 0, len(payload))
        return len(payload) - n

    def _without_route(self, view):  # hot
        if not self.route_table[0] and self.resources:
            self.find_route(view)
            return self._handle_request(view)
        if self.prefixes or view.index[FLAGS] & self.option_mask:
            return self._check(view)
        return write_empty(self.tx, view.buf, view.index, NOT_FOUND, b"no such resource")

    def _with_one_option(self, view, out):  # hot
        """Serve a request that is plain except for its Accept, or for its Block2."""
        # `out` is in turn route, handler and result, as in _handle_request().
        if out >= ROUTE_BLOCK2:
            out = self.resources[out - ROUTE_BLOCK2]
            blockwise = self.builder.blockwise
            return self._check(view) if blockwise is None else blockwise.respond_block2(view, out)
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
        """Serve any request: check all that may speak against it before its handler runs."""
        index = view.index
        result = index[FLAGS]
        if result & 1 << IX_PROXY:
            result = PROXYING_NOT_SUPPORTED
        elif result & 1 << IX_OSCORE and self.oscore is not None and not view.context:
            return self.protected_request(view)
        elif result & self.refuse:
            result = self._refuse_option(view)
        else:
            result = index[ROUTE_ANY]
            result = self._find_refusal(
                view, self.resources[result] if result < ROUTE_LIMIT else self.match(view)
            )
            if not result:
                result = self.resource.handlers[index[CODE]]
                result = call_handler(result, self.request, self.response, self)
            elif not self.builder.started:
                self.builder.refuse(result)
        n = self._complete(view, result)
        self.builder.reset()
        self.response.negotiated = None
        if index[FLAGS] & _VIEW_STATE:
            view.reset()
        return n

    def protected_request(self, view):  # hot
        """Serve a request under OSCORE: unprotect, request, protect (RFC 8613 section 8).

        Return the length of the response in tx.
        """
        oscore = self.oscore
        context = oscore.unprotect_request(view)
        if context is None:
            return oscore.refuse(view)
        if oscore.repeated_code:
            return oscore.repeat_code(view, context)
        n = process_as(self, view, context.index, False)
        return oscore.protect_response(view, context, n)

    def _find_refusal(self, view, resource):  # hot
        """Return the code of the error that keeps the request from its handler, 0 for none."""
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
            return self._refuse_too_long()
        code = 0
        if flags & _NEGOTIATED:
            code = self._negotiate(view, resource)
            if not code and flags & (1 << IX_IF_MATCH | 1 << IX_IF_NONE_MATCH):
                code = self._check_precondition(view, resource)
            if code:
                return code
        if flags & UNSAFE:
            if resource.echo:
                code = self.builder.challenge(view)
        elif not resource.exists:
            code = NOT_FOUND
        if not code and flags & self.option_mask:
            code = self._run_before_hooks(view, resource)
        return code

    def _run_before_hooks(self, view, resource):  # hot
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

    def _check_precondition(self, view, resource):  # hot
        if resource.conditional:
            return 0
        etag = resource.etag if resource.exists else None
        return 0 if self.request.satisfies_if_match(etag) else PRECONDITION_FAILED

    def _complete(self, view, result):  # hot
        """Write the response from what the handler returned and what it put into the builder;
        return its length.
        """
        builder = self.builder
        if result is not None or not builder.started or self.separate.open_count:
            if result is None and not builder.started and not self.separate.open_count:
                if view.index[FLAGS] & (UNSAFE | self.after_mask) == UNSAFE:
                    return self.write_code(DEFAULT_CODES[view.index[CODE]])
            if _type(result) is _bytes and not self.separate.open_count:
                if builder.started:
                    builder.set_payload(result)
                else:
                    builder.start_with_payload(result)
            elif not self._apply_result(view, builder, result):
                return self.messaging.write_ack(view)
        if (
            view.index[FLAGS] & self.after_mask
            or builder.fields[FIELD_TOTAL] > builder.fields[FIELD_FREE]
        ):
            return self._run_after_hooks(view, builder, builder.fields)
        return builder.finish(view)

    def _apply_result(self, view, builder, result):  # hot
        """Put what the handler returned into the builder; return False for SEPARATE."""
        if result is SEPARATE:
            if self.separate.find(view) >= 0:
                builder.started = False
                builder.want_whole()
                return False
            self.failed(ValueError("SEPARATE needs a request.defer() before it"))
            return True
        if self.separate.open_count:
            self.separate.cancel(view)
        if result is None:
            if not builder.started:
                builder.start()
        elif isinstance(result, int) and not isinstance(result, bool):
            self._apply_code(builder, result)
        elif isinstance(result, _PAYLOAD_TYPES):
            if not builder.started:
                builder.start()
            builder.set_payload(result.encode() if isinstance(result, str) else result)
        else:
            self.failed(TypeError("a handler returns None, a response code, bytes or str"))
        return True

    def _apply_code(self, builder, code):
        if not 0x40 <= code < 0xC0:
            self.failed(ValueError("a handler returns response codes, 2.00 to 5.31"))
        elif code >= 0x80:
            if not builder.started or builder.fields[FIELD_CODE] != code:
                builder.set_code(code)
        else:
            if not builder.started:
                builder.start()
            builder.fields[FIELD_CODE] = code

    def _run_after_hooks(self, view, builder, fields):  # hot
        """Turn 2.05 into 2.03 where the client has the representation, let extensions complete the
        response, and write it.
        """
        if fields[FIELD_CODE] == 0:
            fields[FIELD_CODE] = DEFAULT_CODES[view.index[CODE]]
        flags = view.index[FLAGS]
        if flags & 1 << IX_ETAG and fields[FIELD_ETAG] and fields[FIELD_CODE] == CONTENT:
            if has_value(view.buf, view.index, IX_ETAG, builder.etag):
                fields[FIELD_CODE] = VALID
                fields[FIELD_PAYLOAD_LENGTH] = fields[FIELD_TOTAL] = 0
        fields[FIELD_MOST] = view.index[MAX_PAYLOAD]
        if fields[FIELD_TOTAL] > fields[FIELD_FREE]:
            builder.choose_most(view)
            if fields[FIELD_TOTAL] > fields[FIELD_MOST]:
                flags |= _LONG
        i = 0
        while i < _len(self.after_hooks):
            if flags & self.after_hooks[i]:
                self.after_hooks[i + 1].after_handler(view, builder)
            i += 2
        i = builder.finish(view)
        return self.messaging.write_ack(view) if builder.suppressed else i

    def _refuse_option(self, view):  # hot
        self.builder.refuse(BAD_OPTION, refused_option(view.buf, view.index, self.refuse))
        return BAD_OPTION

    def _refuse_too_long(self):  # hot
        self.counters[COUNT_TOO_LONG] += 1
        self.builder.set_code(REQUEST_ENTITY_TOO_LARGE)
        self.builder.fields[FIELD_SIZE1] = self.view.index[MAX_PAYLOAD]
        if self.builder.blockwise is not None:
            self.builder.blockwise.name_block(self.view, self.resource)
        return REQUEST_ENTITY_TOO_LARGE

    def failed(self, error):
        """Put the response to an exception of a handler into the builder; return None."""
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
