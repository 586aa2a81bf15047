"""The answer to the request at hand, while it is being made (RFC 7252 section 5.2).

Its numbers lie in the array `q` (the Q_ slots of scan.py), so that machine code fills and writes
it. Untouched, it stands for the constant options of the resource. Handlers see it as a Reply.
"""

from array import array

from micropython import const

import coap.codec as compose
from coap.codec import (
    ABSENT,
    FIELD_BUFFER_START,
    FIELD_CODE,
    FIELD_CONTENT_FORMAT,
    FIELD_ETAG,
    FIELD_HASH,
    FIELD_LIMIT,
    FIELD_MAX_AGE,
    FIELD_OBSERVE,
    FIELD_PAYLOAD_LENGTH,
    FIELD_PAYLOAD_START,
    FIELD_SKIP,
    FIELD_TOTAL,
    FIELDS,
    MAX_PAYLOAD,
    append_payload,
    clear_fields,
    copy,
    inherit_fields,
    serialize,
    write_cbor_number,
    write_decimal,
)
from coap.counters import COUNT_TOO_LONG
from coap.message import MessageBuilder
from coap.numbers import (
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
)

# Codes of answers for which nobody chose one, by method
DEFAULT_CODES = (0, CONTENT, CHANGED, CHANGED, DELETED, CONTENT, CHANGED, CHANGED)

_DECIMALS_MAX = const(10)
_TRUE = (b"1", b"true", b"\xf5")
_FALSE = (b"0", b"false", b"\xf4")
_NUMBERS = (6, 12, 14, 23, 27, 28, 60)  # of the options from Q_OBSERVE on


_len = len  # found at once: the names that are built in are searched one by one


class ResponseBuilder:
    """One serves all requests of a node; `body` is where in tx a payload is collected."""

    def __init__(self, node, body):
        self.node = node
        self.tx = node.tx
        self.index = node.view.index
        self.payload_offset = body
        self.fields = array("i", [0] * FIELDS)
        self.etag = b""  # the ETag, where q[Q_ETAG] says that there is one
        self.payload_source = b""  # where the payload lies, from q[Q_START] on
        self.extra_options = None  # options that emit() does not know: [(number, bytes)]
        self.started = False
        self.suppressed = False  # No-Response: nobody wants to hear it
        self.negotiated_format = ABSENT  # the negotiated Content-Format when it is not the default
        self.buffer = self.tx  # where the payload is collected, from q[Q_BASE] on
        self.max_payload = 0  # bytes of payload that the message may have
        self.blockwise = None  # the feature Block: it finds room for more than that
        self.reset()

    def reset(self):  # hot
        """The next request is a plain one: the payload from its beginning, in one message."""
        fields = self.fields
        self.suppressed = False
        self.negotiated_format = ABSENT
        self.max_payload = fields[FIELD_LIMIT] = self.index[MAX_PAYLOAD]
        fields[FIELD_TOTAL] = fields[FIELD_SKIP] = 0
        fields[FIELD_BUFFER_START] = self.payload_offset
        self.buffer = self.tx

    def want_whole(self):
        """The whole payload is wanted, as far as a message goes."""
        fields = self.fields
        fields[FIELD_SKIP] = 0
        fields[FIELD_LIMIT] = self.max_payload
        fields[FIELD_BUFFER_START] = self.payload_offset
        self.buffer = self.tx

    def discard_partial(self):
        """The payload that has outgrown a message is given up for another."""
        self.want_whole()
        self.payload_source = self.tx

    def start(self):  # hot
        """The first change: begin with the resource's constants.

        What changes a resource answers about the change: it inherits neither ETag nor Max-Age.
        """
        resource = self.node.resource
        self.started = True
        self.payload_source = self.buffer
        self.extra_options = None
        inherit_fields(self.fields, resource.fields, self.index, self.negotiated_format)
        if self.fields[FIELD_ETAG]:
            self.etag = resource.etag

    def start_with_payload(self, payload):
        """start() and give() in one."""
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
        """An answer that owes nothing to the resource: an error, or an acknowledgement of one."""
        self.started = True
        self.extra_options = None
        clear_fields(self.fields, code)
        if code > 0x7F:
            self.want_whole()  # of an error, also where a block was asked for
        self.payload_source = self.buffer

    def number(self, value, decimals=0):  # hot
        """The payload is value / 10**decimals, in the format that was negotiated.

        text and JSON: 36.62 for (3662, 2). CBOR: an integer, or a decimal fraction (tag 4).
        -2**30 < value < 2**30, decimals: 0 to 10; allocates nothing.
        """
        if not 0 <= decimals <= _DECIMALS_MAX:
            raise ValueError("decimals: 0 to 10")
        if not self.started:
            self.start()
        if self.buffer is not self.tx:
            self.discard_partial()
        fields = self.fields
        start = self.payload_offset
        if fields[FIELD_CONTENT_FORMAT] == CBOR:
            end = write_cbor_number(self.tx, start, value, decimals)
        else:
            end = write_decimal(self.tx, start, value, decimals)
        fields[FIELD_PAYLOAD_START] = start
        fields[FIELD_PAYLOAD_LENGTH] = fields[FIELD_TOTAL] = end - start

    def boolean(self, flag):  # hot
        """The payload is a truth value: `1` or `0` as text, a JSON or CBOR boolean."""
        if not self.started:
            self.start()
        form = self.fields[FIELD_CONTENT_FORMAT]
        self.write((_TRUE if flag else _FALSE)[1 if form == JSON else 2 if form == CBOR else 0])

    def write(self, piece, start=0, length=-1):  # hot
        """Append piece[start:start+length] to the payload; only what is in the window is kept."""
        if not self.started:
            self.start()
        if length < 0:
            length = _len(piece) - start
        fields = self.fields
        if self.blockwise is not None and fields[FIELD_TOTAL] + length > fields[FIELD_LIMIT]:
            self.blockwise.move_to_slot(self)
        append_payload(self.buffer, piece, start, length, fields)

    def part(self, piece, total):
        """The payload has `total` bytes; `piece` are those from `offset` on, `wanted` at most.

        For what is too large or too slow to be written whole for each block: a file, a ring. Give
        it an etag that changes with the content.
        """
        if not self.started:
            self.start()
        fields = self.fields
        if len(piece) < fields[FIELD_LIMIT] and fields[FIELD_SKIP] + len(piece) < total:
            raise ValueError("part: all bytes that are wanted, where there are so many")
        fields[FIELD_TOTAL] = fields[FIELD_SKIP]
        fields[FIELD_HASH] = ABSENT  # of the whole it is not known
        append_payload(self.buffer, piece, 0, len(piece), fields)  # LIMIT bytes at most
        fields[FIELD_TOTAL] = total
        fields[FIELD_HASH] = ABSENT

    def set_payload(self, payload):  # hot
        """The payload is the whole of these bytes, which are not copied."""
        if self.buffer is not self.tx:
            self.discard_partial()
        fields = self.fields
        self.payload_source = payload
        fields[FIELD_PAYLOAD_START] = 0
        fields[FIELD_PAYLOAD_LENGTH] = fields[FIELD_TOTAL] = _len(payload)

    def finish(self, view):  # hot
        """Write the answer into tx: its length. What does not fit becomes 5.00."""
        self.started = False
        n = 0
        if self.extra_options:
            n = self._finish_slowly(view)
        else:
            n = serialize(
                self.tx, view.buf, self.index, self.fields, self.etag, self.payload_source, 0
            )
            if n < 0:
                copy(
                    self.tx,
                    -n,
                    self.payload_source,
                    self.fields[FIELD_PAYLOAD_START],
                    self.fields[FIELD_PAYLOAD_LENGTH],
                )
                n = self.fields[FIELD_PAYLOAD_LENGTH] - n
        if n:
            return n
        self.node.counters[COUNT_TOO_LONG] += 1
        clear_fields(self.fields, INTERNAL_SERVER_ERROR)
        return serialize(
            self.tx, view.buf, self.index, self.fields, self.etag, self.payload_source, 0
        )

    def _finish_slowly(self, view):
        # options of two kinds: merge them in the order of their numbers
        fields = self.fields
        tx = self.tx
        if not serialize(tx, view.buf, self.index, fields, self.etag, self.payload_source, 1):
            return 0
        n = compose.write_empty(tx, view.buf, view.index, fields[FIELD_CODE])
        options = list(self.extra_options or ())  # type: list
        if fields[FIELD_ETAG]:
            options.append((ETAG, self.etag))
        for field, number in enumerate(_NUMBERS, FIELD_OBSERVE):
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
        if self.payload_source is tx and length and writer.n >= self.payload_offset:
            writer.n = -1  # the options have run over the payload that lies in tx
        return max(writer.payload(self.payload_source, fields[FIELD_PAYLOAD_START], length).n, 0)


# What a handler fills in: an Answer without its bytes and numbers.


class Response:
    """The answer to the request at hand; setters hold for this answer only.

    One Reply serves every request of a node. number(), boolean(), write() and part() give the
    payload without allocating: see Answer.
    """

    def __init__(self, builder):
        self._answer = builder
        self.negotiated = None  # the Content-Format that Accept asked for, None without Accept
        # bound once: a method of ours would cost a frame more at each call
        self.number = builder.number
        self.boolean = builder.boolean
        self.write = builder.write
        self.part = builder.part

    @property
    def code(self):
        """The response code, 0 while the default of the method stands."""
        builder = self._answer
        return builder.fields[FIELD_CODE] if builder.started else 0

    @code.setter
    def code(self, code):
        fields = self._numbers()
        fields[FIELD_CODE] = code

    @property
    def content_format(self):
        """The format that was negotiated; None when the answer has none."""
        builder = self._answer
        form = (
            builder.fields[FIELD_CONTENT_FORMAT] if builder.started else builder.negotiated_format
        )
        if form == ABSENT and not builder.started:
            form = builder.node.resource.fields[FIELD_CONTENT_FORMAT]
        return None if form == ABSENT else form

    @content_format.setter
    def content_format(self, form):
        fields = self._numbers()
        fields[FIELD_CONTENT_FORMAT] = ABSENT if form is None else form

    @property
    def max_age_s(self):
        """Seconds for which the answer holds; None for the default of 60."""
        builder = self._answer
        fields = builder.fields if builder.started else builder.node.resource.fields
        return None if fields[FIELD_MAX_AGE] == ABSENT else fields[FIELD_MAX_AGE]

    @max_age_s.setter
    def max_age_s(self, seconds):
        fields = self._numbers()
        fields[FIELD_MAX_AGE] = ABSENT if seconds is None else seconds

    @property
    def etag(self):
        """The strong ETag of what is answered, at most 8 bytes; b"" for none."""
        builder = self._answer
        if not builder.started:
            return builder.node.resource.etag
        return builder.etag if builder.fields[FIELD_ETAG] else b""

    @etag.setter
    def etag(self, etag):
        if len(etag) > 8:
            raise ValueError("an ETag has at most 8 bytes")
        fields = self._numbers()
        fields[FIELD_ETAG] = len(etag)
        self._answer.etag = etag

    @property
    def offset(self):
        """Where in the payload the part begins that is wanted; for part()."""
        return self._answer.fields[FIELD_SKIP]

    @property
    def wanted(self):
        """How many bytes of the payload are wanted; for part()."""
        return self._answer.fields[FIELD_LIMIT]

    def location(self, *segments):
        """Where a created resource lies (RFC 7252 section 5.10.7); the code becomes 2.01."""
        self._more(LOCATION_PATH, segments)

    def location_query(self, *queries):
        """The query part of the location."""
        self._more(LOCATION_QUERY, queries)

    def _numbers(self):
        # To be called on its own: MicroPython makes a bound method for a call in an assignment's
        # target.
        builder = self._answer
        if not builder.started:
            builder.start()
        return builder.fields

    def _more(self, number, values):
        fields = self._numbers()
        if fields[FIELD_CODE] == 0:
            fields[FIELD_CODE] = CREATED
        if self._answer.extra_options is None:
            self._answer.extra_options = []
        for value in values:
            value = value.encode() if isinstance(value, str) else value
            self._answer.extra_options.append((number, value))
