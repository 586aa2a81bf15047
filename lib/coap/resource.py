"""Resources and the replies of their handlers: the application's side of RFC 7252 section 5.

A Resource is what a path names; a Reply is what a handler fills in. Options that never change are
written once, when the resource is made, so that most answers are a copy and a payload.
"""

from array import array

import coap.scan as s
from coap.message import Writer
from coap.numbers import (
    CBOR,
    CONTENT,
    INTERNAL_SERVER_ERROR,
    JSON,
    LOCATION_PATH,
    LOCATION_QUERY,
    URI_PATH,
)
from coap.scan import ABSENT, copy, decimal, digest, emit

LATER = object()  # what a handler returns when node.respond() will answer

_METHODS = ("get", "post", "put", "delete", "fetch", "patch", "ipatch")
_TRUE = (b"1", b"true", b"\xf5")
_FALSE = (b"0", b"false", b"\xf4")
_CBOR_SIZE = (0, 24, 25, 0, 26)


class CoapError(Exception):
    """Raised in a handler: the answer is `code`, with `why` as its diagnostic payload.

    `max_age_s` says for how long the answer holds, as 5.03 and 4.29 may.
    """

    def __init__(self, code, why="", max_age_s=None):
        super().__init__(code, why)
        self.code = code
        self.why = why
        self.max_age_s = max_age_s


class Resource:
    """What a path names. Subclass it where there is state, or let node.get() make one.

    Methods get, post, put, delete, fetch, patch, ipatch (self, request, reply) are its handlers.
    """

    content_formats = (0,)  # that it can answer in, the first by default; None: its own affair
    accepts = None  # Content-Formats that it takes in a request (else 4.15); None: any
    rt = ""  # resource types, separated by spaces (RFC 6690)
    interface = ""  # interface descriptions, the attribute "if"
    title = ""
    size = None  # bytes of its representation, the attribute "sz"
    observable = False
    listed = True  # in /.well-known/core
    confirmable = None  # notifications: True all CON, False none but the daily one, None some
    multicast = True  # answers GET and FETCH sent to a group
    echo = False  # what changes it needs a fresh Echo (RFC 9175)
    streams = False  # takes a request that comes in blocks block by block
    prefix = False  # also serves every path below its own
    conditional = False  # sees to If-Match and If-None-Match itself
    exists = True  # False: GET is 4.04 and If-None-Match passes
    max_age_s = None  # Max-Age of its answers; None leaves the default of 60 s
    etag = b""  # strong ETag of its present state: 2.03 and If-Match then work by themselves

    def __init__(self):
        self.node = None
        self.path = ""
        self.route = b""
        self.options = b"\0"
        self.q = array("i", [0] * s.Q_SIZE)
        self.handlers = [None] * 8
        self.link = None  # its entry in /.well-known/core, made when it is first asked for
        self.written = (b"", True, None)  # the state that route and options were written for

    def bind(self, node, path):
        """Called by node.add(): give the resource its path and its handlers."""
        self.node = node
        self.path = path
        for i, name in enumerate(_METHODS):
            handler = getattr(self, name, None)
            if handler is not None:
                self.handlers[i + 1] = handler
        self.refresh()

    def refresh(self):
        """Write the constant options anew; changed() does it when it must."""
        formats = self.content_formats
        form = formats[0] if formats else ABSENT
        accept = s.ANY_FORMAT if formats is None or len(formats) > 1 else form
        self.route = route(self.path, accept if self.exists and not self.echo else s.LOOK)
        if len(self.etag) > 8:
            raise ValueError("an ETag has at most 8 bytes: /" + self.path)
        self.link = None
        self.written = (self.etag, self.exists, self.max_age_s)
        q = self.q
        for i in range(s.Q_SIZE):
            q[i] = ABSENT
        q[s.Q_CODE] = CONTENT
        q[s.Q_ETAG] = len(self.etag)
        q[s.Q_FORMAT] = form
        q[s.Q_MAX_AGE] = ABSENT if self.max_age_s is None else self.max_age_s
        q[s.Q_START] = q[s.Q_LENGTH] = 0
        index = s.index()
        index[s.HEAD] = 4
        scratch = bytearray(48)
        n = emit(scratch, scratch, index, q, self.etag, b"")
        self.options = bytes([n - 4]) + bytes(scratch[4:n])

    def changed(self):
        """The state changed, and perhaps etag, exists or max_age_s: observers are told.

        May be called often; it allocates only when one of the three is new.
        """
        etag, exists, max_age_s = self.written
        if etag != self.etag or exists != self.exists or max_age_s != self.max_age_s:
            self.refresh()
        if self.node:
            self.node.changed(self)


class Reply:
    """What the handler at hand answers. Untouched, it is the resource's constant options.

    One Reply serves every request of a node. Setters take effect at once, for this answer only.
    """

    def __init__(self, node, body):
        self.node = node
        self.tx = node.tx
        self.body = body  # where in tx the payload is collected
        self.q = array("i", [0] * s.Q_SIZE)
        self.tag = b""  # the ETag
        self.source = b""  # the payload's
        self.extra = None  # options that emit() does not know: [(number, bytes)]
        self.touched = False
        self.silent = False  # No-Response: nobody wants to hear it
        self.chosen = ABSENT  # the negotiated Content-Format when it is not the default
        self.at = 0  # payload bytes written so far, whether they fit or not
        self.digest = 0  # of them
        # Only a part of the payload may be wanted: `limit` bytes from `skip` on, into `into`.
        self.skip = 0
        self.limit = 0
        self.into = self.tx
        self.base = body
        self.reset()

    def reset(self):
        """The next request is a plain one: the payload from its beginning, in one message."""
        self.silent = False
        self.chosen = ABSENT
        self.skip = 0
        self.limit = self.node.view.r[s.ROOM]
        self.into = self.tx
        self.base = self.body

    def start(self):
        """The first change: begin with the resource's constants.

        What changes a resource answers about the change: it inherits neither ETag nor Max-Age.
        """
        resource = self.node.resource
        self.clear(0)
        q = self.q
        base = resource.q
        q[s.Q_FORMAT] = base[s.Q_FORMAT] if self.chosen == ABSENT else self.chosen
        if not self.node.view.r[s.FLAGS] & s.UNSAFE:
            q[s.Q_MAX_AGE] = base[s.Q_MAX_AGE]
            q[s.Q_ETAG] = base[s.Q_ETAG]
            self.tag = resource.etag

    def clear(self, code):
        """An answer that owes nothing to the resource: an error, or an acknowledgement of one."""
        self.touched = True
        q = self.q
        i = s.Q_SIZE
        while i:
            i -= 1
            q[i] = ABSENT
        q[s.Q_CODE] = code
        q[s.Q_ETAG] = q[s.Q_START] = q[s.Q_LENGTH] = 0
        self.source = self.tx
        self.extra = None
        self.at = 0
        self.digest = 5381

    @property
    def code(self):
        return self.q[s.Q_CODE] if self.touched else 0

    @code.setter
    def code(self, code):
        if not self.touched:
            self.start()
        self.q[s.Q_CODE] = code

    @property
    def content_format(self):
        """The format that was negotiated: None when the answer has none."""
        form = self.q[s.Q_FORMAT] if self.touched else self.chosen
        if form == ABSENT and not self.touched:
            form = self.node.resource.q[s.Q_FORMAT]
        return None if form == ABSENT else form

    @content_format.setter
    def content_format(self, form):
        if not self.touched:
            self.start()
        self.q[s.Q_FORMAT] = ABSENT if form is None else form

    @property
    def max_age_s(self):
        age = self.q[s.Q_MAX_AGE] if self.touched else self.node.resource.q[s.Q_MAX_AGE]
        return None if age == ABSENT else age

    @max_age_s.setter
    def max_age_s(self, seconds):
        if not self.touched:
            self.start()
        self.q[s.Q_MAX_AGE] = ABSENT if seconds is None else seconds

    @property
    def etag(self):
        return self.tag if self.touched else self.node.resource.etag

    @etag.setter
    def etag(self, etag):
        if len(etag) > 8:
            raise ValueError("an ETag has at most 8 bytes")
        if not self.touched:
            self.start()
        self.q[s.Q_ETAG] = len(etag)
        self.tag = etag

    def location(self, *segments):
        """Where a created resource lies (RFC 7252 section 5.10.7); the code becomes 2.01."""
        self._more(LOCATION_PATH, segments)

    def location_query(self, *queries):
        """The query part of the location."""
        self._more(LOCATION_QUERY, queries)

    def number(self, value, decimals=0):
        """The payload is value / 10**decimals, in the format that was negotiated.

        text and JSON: 36.62 for (3662, 2). CBOR: an integer, or a decimal fraction (tag 4).
        -2**30 < value < 2**30; allocates nothing.
        """
        if not self.touched:
            self.start()
        start = self.body
        if self.q[s.Q_FORMAT] == CBOR:
            end = _cbor_number(self.tx, start, value, decimals)
        else:
            end = decimal(self.tx, start, value, decimals)
        self.source = self.tx
        self.q[s.Q_START] = start
        self.q[s.Q_LENGTH] = self.at = end - start

    def boolean(self, flag):
        """The payload is a truth value: `1` or `0` as text, a JSON or CBOR boolean."""
        if not self.touched:
            self.start()
        form = self.q[s.Q_FORMAT]
        self.write((_TRUE if flag else _FALSE)[1 if form == JSON else 2 if form == CBOR else 0])

    def write(self, piece, start=0, length=None):
        """Append piece[start:start+length] to the payload; only what is in the window is kept."""
        if not self.touched:
            self.start()
        if length is None:
            length = len(piece) - start
        self.digest = digest(piece, start, length, self.digest)
        at = self.at - self.skip
        self.at += length
        if at < 0:
            if at + length <= 0:
                return
            start -= at
            length += at
            at = 0
        if at + length > self.limit:
            length = self.limit - at
            if length <= 0:
                return
        copy(self.into, self.base + at, piece, start, length)
        self.source = self.into
        self.q[s.Q_START] = self.base
        self.q[s.Q_LENGTH] = at + length

    def part(self, piece, total):
        """The payload has `total` bytes; `piece` are those from `offset` on, `wanted` at most.

        For what is too large or too slow to be written whole for each block: a file, a ring. Give
        it an etag that changes with the content.
        """
        length = min(len(piece), self.limit)
        self.write(piece, 0, 0)
        copy(self.into, self.base, piece, 0, length)
        self.source = self.into
        self.q[s.Q_START] = self.base
        self.q[s.Q_LENGTH] = length
        self.at = total

    @property
    def offset(self):
        """Where in the payload the part begins that is wanted."""
        return self.skip

    @property
    def wanted(self):
        """How many bytes of the payload are wanted."""
        return self.limit

    def cut(self):
        """Is a part of the payload lost? Block2 says that there is more; a diagnostic may end."""
        q = self.q
        return self.at > self.limit and q[s.Q_BLOCK2] == ABSENT and q[s.Q_CODE] < 0x60

    def finish(self, view):
        """Write the reply into tx: its length."""
        self.touched = False
        q = self.q
        if q[s.Q_LENGTH] == 0 and q[s.Q_CODE] != CONTENT:
            q[s.Q_FORMAT] = ABSENT  # an empty payload has no format
        if self.extra:
            return self._finish_slowly(view)
        return emit(self.tx, view.buf, view.r, q, self.tag, self.source)

    def _more(self, number, values):
        if not self.touched:
            self.start()
        if self.q[s.Q_CODE] == 0:
            self.q[s.Q_CODE] = 0x41
        if self.extra is None:
            self.extra = []
        for value in values:
            self.extra.append((number, value.encode() if isinstance(value, str) else value))

    def _finish_slowly(self, view):
        # options of two kinds: merge them in the order of their numbers
        q = self.q
        tx = self.tx
        n = s.bare(tx, view.buf, view.r, q[s.Q_CODE])
        all_options = list(self.extra)
        if q[s.Q_ETAG]:
            all_options.append((4, self.tag))
        for field, number in enumerate((6, 12, 14, 23, 27, 28, 60), s.Q_OBSERVE):
            if q[field] != ABSENT:
                all_options.append((number, q[field]))
        writer = Writer(tx).resume(n)
        for number in sorted({number for number, _ in all_options}):
            for other, value in all_options:
                if other == number:
                    if isinstance(value, int):
                        writer.uint(number, value)
                    else:
                        writer.option(number, value)
        length = q[s.Q_LENGTH]
        if self.source is tx and length and writer.n >= self.body:
            writer.n = -1  # the options have run over the payload that lies in tx
        n = writer.payload(self.source, q[s.Q_START], length).n
        return n if n > 0 else s.bare(tx, view.buf, view.r, INTERNAL_SERVER_ERROR)


def route(path, accept):
    """How a path is compared: length, the Accept that may come with it, its options as sent."""
    options = bytearray(3 * len(path) + 8)
    writer = Writer(options).resume(0)
    if path:
        for segment in path.split("/"):
            segment = segment.encode()
            if len(segment) > 255:
                raise ValueError("a path segment has at most 255 bytes: shorten " + path)
            writer.option(URI_PATH, segment)
    return bytes((writer.n >> 8, writer.n & 255, accept >> 8 & 255, accept & 255)) + bytes(
        options[: writer.n]
    )


def route_hash(route_bytes):
    """The hash that scan() gives to requests for this route."""
    message = b"\x40\x01\x00\x00" + route_bytes[4:]
    r = s.index()  # not the node's: a handler may add a resource
    s.scan(message, len(message), r)
    return r[s.HASH]


def _cbor_number(tx, at, value, decimals):
    if decimals:
        tx[at] = 0xC4  # decimal fraction: [exponent, mantissa]
        tx[at + 1] = 0x82
        tx[at + 2] = 0x1F + decimals
        at += 3
    major = 0
    if value < 0:
        major = 0x20
        value = -1 - value
    size = 0 if value < 24 else 1 if value < 256 else 2 if value < 65536 else 4
    tx[at] = major | (_CBOR_SIZE[size] if size else value)
    at += 1
    while size:
        size -= 1
        tx[at] = value >> 8 * size & 255
        at += 1
    return at
