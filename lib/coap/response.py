"""The response to the present request, while it is made (RFC 7252 section 5.2).

Its numbers lie in the array `fields` (FIELD_... in coap.codec), which machine code fills and
serializes. Until it is started it stands for the constant options of the resource. ResponseBuilder
is for the engine and its extensions; handlers get a Response, which shows the same.
"""

from array import array

from micropython import const

from coap.codec import (
    ABSENT,
    FIELD_BUDGET,
    FIELD_BUFFER_START,
    FIELD_CODE,
    FIELD_CONTENT_FORMAT,
    FIELD_ETAG,
    FIELD_HASH,
    FIELD_LIMIT,
    FIELD_MAX_AGE,
    FIELD_MOST,
    FIELD_OBSERVE,
    FIELD_PAYLOAD_LENGTH,
    FIELD_PAYLOAD_START,
    FIELD_SHORT,
    FIELD_SKIP,
    FIELD_TOTAL,
    FIELD_USED,
    FIELDS,
    FLAGS,
    MAX_PAYLOAD,
    SAFE_BYTES,
    SIZE,
    TX_PAYLOAD,
    UNSAFE,
    append_payload,
    clear_fields,
    copy,
    inherit_fields,
    serialize,
    take_from_budget,
    write_cbor_number,
    write_decimal,
    write_empty,
)
from coap.counters import COUNT_SHORTENED, COUNT_TOO_LONG
from coap.message import MessageBuilder
from coap.numbers import (
    BAD_OPTION,
    CBOR,
    CHANGED,
    CONTENT,
    CREATED,
    DELETED,
    ETAG,
    INTERNAL_SERVER_ERROR,
    JSON,
    LOCATION_PATH,
    LOCATION_QUERY,
    METHOD_NOT_ALLOWED,
    NOT_ACCEPTABLE,
    NOT_FOUND,
    SERVICE_UNAVAILABLE,
    UNSUPPORTED_CONTENT_FORMAT,
)

# Response codes by method, for handlers that set none
DEFAULT_CODES = (0, CONTENT, CHANGED, CHANGED, DELETED, CONTENT, CHANGED, CHANGED)

_DECIMALS_MAX = const(10)
_SAFE_FACTOR = const(3)  # or so many times the bytes of the request
_SAFE_PAYLOAD = const(64)  # keeps a response with all options of a block within _SAFE_BYTES
_TRUE = (b"1", b"true", b"\xf5")
_FALSE = (b"0", b"false", b"\xf4")
_OPTION_NUMBERS = (6, 12, 14, 23, 27, 28, 60)  # of the fields from FIELD_OBSERVE on


_len = len  # cached builtin: see lib/coap/README.md


class ResponseBuilder:
    """The response under construction; one serves all requests of a node.

    The source address of a request may be forged, to have its victim get the response. So peers
    that have not shown that they receive at their addresses share a budget: amplification_bytes
    within 10 s, of what goes beyond both 3 times the request and 136 bytes. Over it they get short
    blocks; a body that does not go in blocks waits behind an Echo. None: no budget. Peers under
    OSCORE and the serial line of Access are not counted.
    """

    def __init__(self, node, amplification_bytes):
        self.node = node
        self.tx = node.tx
        self.index = node.view.index
        self.fields = array("i", [0] * FIELDS)
        self.etag = b""  # valid where fields[FIELD_ETAG], its length, is not 0
        self.payload_source = b""  # buffer of the payload, from fields[FIELD_PAYLOAD_START] on
        self.extra_options = None  # options without a field: [(number, bytes)]
        self.started = False
        self.suppressed = False  # by No-Response: an empty ACK, or nothing, is sent
        self.negotiated_format = ABSENT  # the Content-Format of Accept
        self.buffer = self.tx  # where a payload is collected, from fields[FIELD_BUFFER_START] on
        self.fields[FIELD_BUDGET] = ABSENT if amplification_bytes is None else amplification_bytes
        self.fields[FIELD_SHORT] = min(_SAFE_PAYLOAD, self.index[MAX_PAYLOAD])
        take_from_budget(self.fields, 0, 0, self.index[MAX_PAYLOAD])
        self.challenge = None  # set by Echo
        self.blockwise = None  # set by Blockwise, which has buffers for longer payloads
        self.reset()

    def reset(self):  # hot
        """Set the defaults for the next request: a payload from its beginning, in one message."""
        fields = self.fields
        self.suppressed = False
        self.negotiated_format = ABSENT
        fields[FIELD_LIMIT] = self.index[MAX_PAYLOAD]
        fields[FIELD_TOTAL] = fields[FIELD_SKIP] = 0
        fields[FIELD_BUFFER_START] = self.index[TX_PAYLOAD]
        self.buffer = self.tx

    def choose_most(self, view):  # hot
        """Set FIELD_MOST: all that a message carries, or a short payload if the budget is used."""
        fields = self.fields
        fields[FIELD_MOST] = self.index[MAX_PAYLOAD]
        if fields[FIELD_USED] >= fields[FIELD_BUDGET] and not (view.context or view.fresh):
            if not self.take(view.peer, 0):
                fields[FIELD_MOST] = fields[FIELD_SHORT]
                if fields[FIELD_LIMIT] > fields[FIELD_SHORT]:
                    self.node.counters[COUNT_SHORTENED] += 1

    def may_send(self, view, n):  # hot
        """Return True if a response of n bytes may be sent, and count them.

        A stored request, of an observer or a group, was sent once: its bytes do not count again.
        """
        if n <= SAFE_BYTES or (n <= _SAFE_FACTOR * self.index[SIZE] and not view.is_stored):
            return True
        return view.context or view.fresh or self.take(view.peer, n - SAFE_BYTES)

    def take(self, peer, n):  # hot
        """Take n bytes from the budget if the peer is not verified; return False if it is used."""
        if self.node.messaging.is_verified(peer):
            return True
        if self.node.access is not None and peer is self.node.access.line:
            return True
        whole = self.index[MAX_PAYLOAD]
        return take_from_budget(self.fields, n, self.node.view.now_ms, whole) == 1

    def want_whole(self):
        """Collect the payload from its beginning, up to the length of a message."""
        fields = self.fields
        fields[FIELD_SKIP] = 0
        fields[FIELD_LIMIT] = self.index[MAX_PAYLOAD]
        fields[FIELD_BUFFER_START] = self.index[TX_PAYLOAD]
        self.buffer = self.tx

    def discard_partial(self):
        """Drop a payload that has outgrown a message: another one takes its place."""
        self.want_whole()
        self.payload_source = self.tx

    def start(self):  # hot
        """Start the response with the constant options of the resource.

        A response about a change of the resource inherits neither ETag nor Max-Age.
        """
        resource = self.node.resource
        self.started = True
        self.payload_source = self.buffer
        self.extra_options = None
        inherit_fields(self.fields, resource.fields, self.index, self.negotiated_format)
        if self.fields[FIELD_ETAG]:
            self.etag = resource.etag

    def start_with_payload(self, payload):
        """Do start() and set_payload() in one."""
        resource = self.node.resource
        fields = self.fields
        self.started = True
        self.payload_source = payload
        self.extra_options = None
        inherit_fields(fields, resource.fields, self.index, self.negotiated_format)
        fields[FIELD_PAYLOAD_LENGTH] = fields[FIELD_TOTAL] = _len(payload)
        if fields[FIELD_ETAG]:
            self.etag = resource.etag

    def set_code(self, code):  # hot
        """Start a response of `code` without the options of the resource, as for an error."""
        self.started = True
        self.extra_options = None
        clear_fields(self.fields, code)
        if code > 0x7F:
            self.want_whole()  # of an error, whatever block the request named
        self.payload_source = self.buffer

    def refuse(self, code, option=0):  # hot
        """Start an error response that says why (RFC 7252 section 5.5.2).

        option: for 4.02, the number of the option that is refused (section 5.4.1).
        """
        self.set_code(code)
        fields = self.fields
        if code == BAD_OPTION:
            self.write(b"option ")
            option = write_decimal(self.tx, self.index[TX_PAYLOAD] + 7, option, 0)
            fields[FIELD_PAYLOAD_LENGTH] = fields[FIELD_TOTAL] = option - self.index[TX_PAYLOAD]
            return
        if code == NOT_FOUND:
            text = b"no such resource"
        elif code == METHOD_NOT_ALLOWED:
            text = b"no such method here"
        elif code == NOT_ACCEPTABLE:
            text = b"not in this format"
        elif code == UNSUPPORTED_CONTENT_FORMAT:
            text = b"format not accepted"
        else:
            return
        self.payload_source = text
        fields[FIELD_PAYLOAD_LENGTH] = fields[FIELD_TOTAL] = _len(text)

    def number(self, value, decimals=0):  # hot
        """Write value / 10**decimals as payload, in the negotiated format.

        Text and JSON: 36.62 for (3662, 2). CBOR: an integer, or a decimal fraction (tag 4).
        -2**30 < value < 2**30, decimals: 0 to 10; allocates nothing. Raise ValueError beyond.
        """
        if not 0 <= decimals <= _DECIMALS_MAX:
            raise ValueError("decimals: 0 to 10")
        if not self.started:
            self.start()
        if self.buffer is not self.tx:
            self.discard_partial()
        fields = self.fields
        start = self.index[TX_PAYLOAD]
        if fields[FIELD_CONTENT_FORMAT] == CBOR:
            end = write_cbor_number(self.tx, start, value, decimals)
        else:
            end = write_decimal(self.tx, start, value, decimals)
        fields[FIELD_PAYLOAD_START] = start
        fields[FIELD_PAYLOAD_LENGTH] = fields[FIELD_TOTAL] = end - start

    def boolean(self, flag):  # hot
        """Write a truth value as payload: `1` or `0` as text, a JSON or CBOR boolean."""
        if not self.started:
            self.start()
        form = self.fields[FIELD_CONTENT_FORMAT]
        self.write((_TRUE if flag else _FALSE)[1 if form == JSON else 2 if form == CBOR else 0])

    def write(self, piece, start=0, length=-1):  # hot
        """Append piece[start:start+length] to the payload; only the wanted block is kept."""
        if not self.started:
            self.start()
        if length < 0:
            length = _len(piece) - start
        fields = self.fields
        if self.blockwise is not None and fields[FIELD_TOTAL] + length > fields[FIELD_LIMIT]:
            self.blockwise.move_to_slot(self)
        append_payload(self.buffer, piece, start, length, fields)

    def part(self, piece, total):
        """Give a payload of `total` bytes by its bytes from `offset` on, `wanted` of them.

        For content too large or slow to write whole for each block, such as a file. Set an etag
        that changes with the content.
        """
        if not self.started:
            self.start()
        fields = self.fields
        if len(piece) < fields[FIELD_LIMIT] and fields[FIELD_SKIP] + len(piece) < total:
            raise ValueError("part: give `wanted` bytes, or all that there are")
        fields[FIELD_TOTAL] = fields[FIELD_SKIP]
        fields[FIELD_HASH] = ABSENT  # not known of the whole payload
        append_payload(self.buffer, piece, 0, len(piece), fields)  # LIMIT bytes at most
        fields[FIELD_TOTAL] = total
        fields[FIELD_HASH] = ABSENT

    def set_payload(self, payload):  # hot
        """Take these bytes as the whole payload; they are not copied."""
        if self.buffer is not self.tx:
            self.discard_partial()
        fields = self.fields
        self.payload_source = payload
        fields[FIELD_PAYLOAD_START] = 0
        fields[FIELD_PAYLOAD_LENGTH] = fields[FIELD_TOTAL] = _len(payload)

    def finish(self, view):  # hot
        """Write the response into tx and return its length; what does not fit becomes 5.00."""
        self.started = False
        if self.extra_options:
            n = self._finish_slowly(view)
        else:
            n = serialize(
                self.tx, view.buf, self.index, self.fields, self.etag, self.payload_source, 0
            )
            if n < 0:
                return self._finish_long(view, -n)
        if n:
            return n
        self.node.counters[COUNT_TOO_LONG] += 1
        clear_fields(self.fields, INTERNAL_SERVER_ERROR)
        return serialize(
            self.tx, view.buf, self.index, self.fields, self.etag, self.payload_source, 0
        )

    def _finish_long(self, view, at):  # hot
        """Copy the payload to tx[at]; without a budget for it write what stands in its place."""
        n = self.fields[FIELD_PAYLOAD_LENGTH]
        if not self.may_send(view, at + n):
            return self._finish_short(view)
        copy(self.tx, at, self.payload_source, self.fields[FIELD_PAYLOAD_START], n)
        return at + n

    def _finish_short(self, view):
        """Write a response without the payload; return its length.

        What has no side effects may be asked for again, with an Echo.
        """
        fields = self.fields
        self.node.counters[COUNT_SHORTENED] += 1
        if fields[FIELD_CODE] < 0x60 and not view.index[FLAGS] & UNSAFE:
            if self.challenge is not None:
                self.challenge(view)
            else:
                self.set_code(SERVICE_UNAVAILABLE)
        elif fields[FIELD_PAYLOAD_LENGTH]:
            fields[FIELD_PAYLOAD_LENGTH] = 0
        else:
            self.set_code(fields[FIELD_CODE])  # its options are too long
        return self.finish(view)

    def _finish_slowly(self, view):
        # merge fields and extra options in the order of their numbers
        fields = self.fields
        tx = self.tx
        if not serialize(tx, view.buf, self.index, fields, self.etag, self.payload_source, 1):
            return 0
        n = write_empty(tx, view.buf, view.index, fields[FIELD_CODE], b"")
        options = list(self.extra_options or ())  # type: list
        if fields[FIELD_ETAG]:
            options.append((ETAG, self.etag))
        for field, number in enumerate(_OPTION_NUMBERS, FIELD_OBSERVE):
            if fields[field] != ABSENT:
                options.append((number, fields[field]))
        writer = MessageBuilder(tx).resume(n)
        for number in sorted({number for number, _ in options}):
            for other, value in options:
                if other == number:
                    if isinstance(value, int):
                        writer.uint(number, value)
                    else:
                        writer.option(number, value)
        length = fields[FIELD_PAYLOAD_LENGTH]
        if self.payload_source is tx and length and writer.n >= self.index[TX_PAYLOAD]:
            writer.n = -1  # the options have run over the payload that lies in tx
        n = max(writer.payload(self.payload_source, fields[FIELD_PAYLOAD_START], length).n, 0)
        return n if self.may_send(view, n) else self._finish_short(view)


class Response:
    """The response as a handler fills it in; one serves all requests of a node.

    What is set holds for this response only. number(), boolean(), write() and part() give the
    payload without allocating: see ResponseBuilder.
    """

    def __init__(self, builder):
        self._builder = builder
        self.negotiated = None  # the Content-Format of Accept, None without Accept
        # bound once: a method around each would cost a call more
        self.number = builder.number
        self.boolean = builder.boolean
        self.write = builder.write
        self.part = builder.part

    @property
    def code(self):
        """The response code, 0 while the default of the method holds."""
        builder = self._builder
        return builder.fields[FIELD_CODE] if builder.started else 0

    @code.setter
    def code(self, code):
        fields = self._start()
        fields[FIELD_CODE] = code

    @property
    def content_format(self):
        """The Content-Format, None for none."""
        builder = self._builder
        form = (
            builder.fields[FIELD_CONTENT_FORMAT] if builder.started else builder.negotiated_format
        )
        if form == ABSENT and not builder.started:
            form = builder.node.resource.fields[FIELD_CONTENT_FORMAT]
        return None if form == ABSENT else form

    @content_format.setter
    def content_format(self, form):
        fields = self._start()
        fields[FIELD_CONTENT_FORMAT] = ABSENT if form is None else form

    @property
    def max_age_s(self):
        """Max-Age in seconds, None for the default of 60."""
        builder = self._builder
        fields = builder.fields if builder.started else builder.node.resource.fields
        return None if fields[FIELD_MAX_AGE] == ABSENT else fields[FIELD_MAX_AGE]

    @max_age_s.setter
    def max_age_s(self, seconds):
        fields = self._start()
        fields[FIELD_MAX_AGE] = ABSENT if seconds is None else seconds

    @property
    def etag(self):
        """The strong ETag of the representation, at most 8 bytes; b"" for none."""
        builder = self._builder
        if not builder.started:
            return builder.node.resource.etag
        return builder.etag if builder.fields[FIELD_ETAG] else b""

    @etag.setter
    def etag(self, etag):
        if len(etag) > 8:
            raise ValueError("an ETag has at most 8 bytes")
        fields = self._start()
        fields[FIELD_ETAG] = len(etag)
        self._builder.etag = etag

    @property
    def offset(self):
        """Where in the payload the wanted part begins; for part()."""
        return self._builder.fields[FIELD_SKIP]

    @property
    def wanted(self):
        """Bytes of the wanted part; for part()."""
        return self._builder.fields[FIELD_LIMIT]

    def location(self, *segments):
        """Name the path of a created resource (RFC 7252 section 5.10.7); the code becomes 2.01."""
        self._add_options(LOCATION_PATH, segments)

    def location_query(self, *queries):
        """Name the query of the location."""
        self._add_options(LOCATION_QUERY, queries)

    def _start(self):
        # Called in a statement of its own: in the target of an assignment MicroPython allocates a
        # bound method.
        builder = self._builder
        if not builder.started:
            builder.start()
        return builder.fields

    def _add_options(self, number, values):
        fields = self._start()
        if fields[FIELD_CODE] == 0:
            fields[FIELD_CODE] = CREATED
        if self._builder.extra_options is None:
            self._builder.extra_options = []
        for value in values:
            value = value.encode() if isinstance(value, str) else value
            self._builder.extra_options.append((number, value))
