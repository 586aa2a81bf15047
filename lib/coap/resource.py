"""Resources: what paths name (RFC 7252 section 5.10.1, 6.4).

Options that never change are written once, when the resource is made, so that most answers are a
copy and a payload; resources that are alike share them.
"""

from array import array

from micropython import const

from coap.compose import blank
from coap.message import Writer

# Numbers of other files: the compiler folds only the constants of the file at hand
_ETAG = const(4)  # numbers.ETAG
_CONTENT_FORMAT = const(12)  # numbers.CONTENT_FORMAT
_MAX_AGE = const(14)  # numbers.MAX_AGE
_CONTENT = const(0x45)  # numbers.CONTENT
_LOOK = const(0xFFFD)  # scan.LOOK
_ANY_FORMAT = const(0xFFFE)  # scan.ANY_FORMAT
_Q_ETAG = const(1)  # compose.Q_ETAG
_Q_FORMAT = const(3)  # compose.Q_FORMAT
_Q_MAX_AGE = const(4)  # compose.Q_MAX_AGE
_Q_ALL = const(16)  # compose.Q_ALL
_CONSTANTS = const(5)  # of the numbers of an answer: up to Q_MAX_AGE they may be its resource's

LATER = object()  # what a handler returns when node.respond() will answer

_OPTIONS_BYTES = const(24)  # of an ETag, a Content-Format and a Max-Age, and some

_METHODS = ("get", "post", "put", "delete", "fetch", "patch", "ipatch")


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
    decimals = 0  # of the int that value() returns, where it has one: see coap.conditions
    listed = True  # in /.well-known/core
    confirmable = None  # notifications: True all CON, False only those that must be, None some
    multicast = True  # answers GET and FETCH sent to a group
    echo = False  # what changes it needs a fresh Echo (RFC 9175)
    access = None  # who may use it: see coap.access; None: as the node has it
    streams = False  # takes a request that comes in blocks block by block
    prefix = False  # also serves every path below its own
    conditional = False  # sees to If-Match and If-None-Match itself
    exists = True  # False: GET is 4.04 and If-None-Match passes
    max_age_s = None  # Max-Age of its answers; None leaves the default of 60 s
    etag = b""  # strong ETag of its present state: 2.03 and If-Match then work by themselves
    written = (b"", True, None)  # the state that route and options were written for

    def __init__(self):
        self.node = None
        self.path = ""
        self.route = 0  # where in the table of the node its route lies
        self.options = b"\0"
        self.q = array("i")
        self.handlers = [None] * 8

    def bind(self, node, path):
        """Called by node.add(): give the resource its path and its handlers."""
        self.node = node
        self.path = path
        for i, name in enumerate(_METHODS):
            handler = getattr(self, name, None)
            if handler is not None:
                self.handlers[i + 1] = handler
        self._write_options()

    def plain_accept(self):
        """The Accept with which a request needs no look at its options: a mark of scan.py, too."""
        formats = self.content_formats
        access = self.node and self.node.access
        if self.echo or not self.exists or (access and not access.shows(self)):
            return _LOOK
        return formats[0] if formats and len(formats) == 1 else _ANY_FORMAT

    def plain_format(self):
        """The Content-Format with which a request needs no look: as plain_accept()."""
        formats = self.accepts
        if formats is None:
            return _ANY_FORMAT
        return formats[0] if len(formats) == 1 else _LOOK

    def refresh(self):
        """Write the constant options anew; changed() does it when it must."""
        self._write_options()
        if self.node:
            self.node.reroute(self)

    def _write_options(self):
        if len(self.etag) > 8:
            raise ValueError("an ETag has at most 8 bytes: /" + self.path)
        written = (self.etag, self.exists, self.max_age_s)
        if self.written != written:
            self.written = written
        q = array("i", [0] * _Q_ALL)
        blank(q, _CONTENT)
        scratch = bytearray(_OPTIONS_BYTES)
        writer = Writer(scratch).resume(0)
        if self.etag:
            q[_Q_ETAG] = len(self.etag)
            writer.option(_ETAG, self.etag)
        if self.content_formats:
            q[_Q_FORMAT] = self.content_formats[0]
            writer.uint(_CONTENT_FORMAT, self.content_formats[0])
        if self.max_age_s is not None:
            q[_Q_MAX_AGE] = self.max_age_s
            writer.uint(_MAX_AGE, self.max_age_s)
        self.q = q[:_CONSTANTS]
        self.options = bytes((writer.n,)) + scratch[: writer.n]
        for other in self.node.resources if self.node else ():  # what is alike is kept once
            if other.q == self.q:
                self.q = other.q
            if other.options == self.options:
                self.options = other.options

    def changed(self):
        """The state changed, and perhaps etag, exists or max_age_s: observers are told.

        May be called often; it allocates only when one of the three is new.
        """
        etag, exists, max_age_s = self.written
        if exists != self.exists:
            self.refresh()
        elif etag != self.etag or max_age_s != self.max_age_s:
            self._write_options()
        if self.node:
            self.node.changed(self)
