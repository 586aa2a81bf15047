"""The answer to the request at hand, while it is being made (RFC 7252 section 5.2).

Its numbers lie in the array `q` (the Q_ slots of scan.py), so that machine code fills and writes
it. Untouched, it stands for the constant options of the resource. Handlers see it as a Reply.
"""

from array import array

from micropython import const

import coap.compose as compose
from coap.compose import append, blank, decimal, emit, fraction, inherit
from coap.copying import copy
from coap.message import Writer

# Numbers of other files: the compiler folds only the constants of the file at hand
_TOO_LONG = const(9)  # counters.TOO_LONG
_ETAG = const(4)  # numbers.ETAG
_JSON = const(50)  # numbers.JSON
_CBOR = const(60)  # numbers.CBOR
_DELETED = const(0x42)  # numbers.DELETED
_CHANGED = const(0x44)  # numbers.CHANGED
_CONTENT = const(0x45)  # numbers.CONTENT
_INTERNAL_SERVER_ERROR = const(0xA0)  # numbers.INTERNAL_SERVER_ERROR
_ROOM = const(58)  # scan.ROOM
_Q_CODE = const(0)  # compose.Q_CODE
_Q_ETAG = const(1)  # compose.Q_ETAG
_Q_OBSERVE = const(2)  # compose.Q_OBSERVE
_Q_FORMAT = const(3)  # compose.Q_FORMAT
_Q_START = const(9)  # compose.Q_START
_Q_LENGTH = const(10)  # compose.Q_LENGTH
_Q_AT = const(11)  # compose.Q_AT
_Q_DIGEST = const(12)  # compose.Q_DIGEST
_Q_SKIP = const(13)  # compose.Q_SKIP
_Q_LIMIT = const(14)  # compose.Q_LIMIT
_Q_BASE = const(15)  # compose.Q_BASE
_Q_ALL = const(16)  # compose.Q_ALL
_ABSENT = const(0x3FFFFFFF)  # scan.ABSENT


# Codes of answers for which nobody chose one, by method
DEFAULTS = (0, _CONTENT, _CHANGED, _CHANGED, _DELETED, _CONTENT, _CHANGED, _CHANGED)

_DECIMALS_MAX = const(10)
_TRUE = (b"1", b"true", b"\xf5")
_FALSE = (b"0", b"false", b"\xf4")
_NUMBERS = (6, 12, 14, 23, 27, 28, 60)  # of the options from Q_OBSERVE on


_len = len  # found at once: the names that are built in are searched one by one


class Answer:
    """One serves all requests of a node; `body` is where in tx a payload is collected."""

    def __init__(self, node, body):
        self.node = node
        self.tx = node.tx
        self.r = node.view.r
        self.body = body
        self.q = array("i", [0] * _Q_ALL)
        self.tag = b""  # the ETag, where q[Q_ETAG] says that there is one
        self.source = b""  # where the payload lies, from q[Q_START] on
        self.extra = None  # options that emit() does not know: [(number, bytes)]
        self.touched = False
        self.silent = False  # No-Response: nobody wants to hear it
        self.chosen = _ABSENT  # the negotiated Content-Format when it is not the default
        self.into = self.tx  # where the payload is collected, from q[Q_BASE] on
        self.most = 0  # bytes of payload that the message may have
        self.blocks = None  # the feature Block: it finds room for more than that
        self.reset()

    def reset(self):  # hot
        """The next request is a plain one: the payload from its beginning, in one message."""
        q = self.q
        self.silent = False
        self.chosen = _ABSENT
        self.most = q[_Q_LIMIT] = self.r[_ROOM]
        q[_Q_AT] = q[_Q_SKIP] = 0
        q[_Q_BASE] = self.body
        self.into = self.tx

    def whole(self):
        """The whole payload is wanted, as far as a message goes."""
        q = self.q
        q[_Q_SKIP] = 0
        q[_Q_LIMIT] = self.most
        q[_Q_BASE] = self.body
        self.into = self.tx

    def leave(self):
        """The payload that has outgrown a message is given up for another."""
        self.whole()
        self.source = self.tx

    def start(self):  # hot
        """The first change: begin with the resource's constants.

        What changes a resource answers about the change: it inherits neither ETag nor Max-Age.
        """
        resource = self.node.resource
        self.touched = True
        self.source = self.into
        self.extra = None
        inherit(self.q, resource.q, self.r, self.chosen)
        if self.q[_Q_ETAG]:
            self.tag = resource.etag

    def take(self, payload):
        """start() and give() in one."""
        resource = self.node.resource
        q = self.q
        self.touched = True
        self.source = payload
        self.extra = None
        inherit(q, resource.q, self.r, self.chosen)
        q[_Q_LENGTH] = q[_Q_AT] = _len(payload)
        if q[_Q_ETAG]:
            self.tag = resource.etag

    def clear(self, code):  # hot
        """An answer that owes nothing to the resource: an error, or an acknowledgement of one."""
        self.touched = True
        self.extra = None
        blank(self.q, code)
        if code > 0x7F:
            self.whole()  # of an error, also where a block was asked for
        self.source = self.into

    def number(self, value, decimals=0):  # hot
        """The payload is value / 10**decimals, in the format that was negotiated.

        text and JSON: 36.62 for (3662, 2). CBOR: an integer, or a decimal fraction (tag 4).
        -2**30 < value < 2**30, decimals: 0 to 10; allocates nothing.
        """
        if not 0 <= decimals <= _DECIMALS_MAX:
            raise ValueError("decimals: 0 to 10")
        if not self.touched:
            self.start()
        if self.into is not self.tx:
            self.leave()
        q = self.q
        start = self.body
        if q[_Q_FORMAT] == _CBOR:
            end = fraction(self.tx, start, value, decimals)
        else:
            end = decimal(self.tx, start, value, decimals)
        q[_Q_START] = start
        q[_Q_LENGTH] = q[_Q_AT] = end - start

    def boolean(self, flag):  # hot
        """The payload is a truth value: `1` or `0` as text, a JSON or CBOR boolean."""
        if not self.touched:
            self.start()
        form = self.q[_Q_FORMAT]
        self.write((_TRUE if flag else _FALSE)[1 if form == _JSON else 2 if form == _CBOR else 0])

    def write(self, piece, start=0, length=-1):  # hot
        """Append piece[start:start+length] to the payload; only what is in the window is kept."""
        if not self.touched:
            self.start()
        if length < 0:
            length = _len(piece) - start
        q = self.q
        if self.blocks is not None and q[_Q_AT] + length > q[_Q_LIMIT]:
            self.blocks.spill(self)
        append(self.into, piece, start, length, q)

    def part(self, piece, total):
        """The payload has `total` bytes; `piece` are those from `offset` on, `wanted` at most.

        For what is too large or too slow to be written whole for each block: a file, a ring. Give
        it an etag that changes with the content.
        """
        if not self.touched:
            self.start()
        q = self.q
        if len(piece) < q[_Q_LIMIT] and q[_Q_SKIP] + len(piece) < total:
            raise ValueError("part: all bytes that are wanted, where there are so many")
        q[_Q_AT] = q[_Q_SKIP]
        q[_Q_DIGEST] = _ABSENT  # of the whole it is not known
        append(self.into, piece, 0, len(piece), q)  # LIMIT bytes at most
        q[_Q_AT] = total
        q[_Q_DIGEST] = _ABSENT

    def give(self, payload):  # hot
        """The payload is the whole of these bytes, which are not copied."""
        if self.into is not self.tx:
            self.leave()
        q = self.q
        self.source = payload
        q[_Q_START] = 0
        q[_Q_LENGTH] = q[_Q_AT] = _len(payload)

    def finish(self, view):  # hot
        """Write the answer into tx: its length. What does not fit becomes 5.00."""
        self.touched = False
        n = 0
        if self.extra:
            n = self._finish_slowly(view)
        else:
            n = emit(self.tx, view.buf, self.r, self.q, self.tag, self.source, 0)
            if n < 0:
                copy(self.tx, -n, self.source, self.q[_Q_START], self.q[_Q_LENGTH])
                n = self.q[_Q_LENGTH] - n
        if n:
            return n
        self.node.counters[_TOO_LONG] += 1
        blank(self.q, _INTERNAL_SERVER_ERROR)
        return emit(self.tx, view.buf, self.r, self.q, self.tag, self.source, 0)

    def _finish_slowly(self, view):
        # options of two kinds: merge them in the order of their numbers
        q = self.q
        tx = self.tx
        if not emit(tx, view.buf, self.r, q, self.tag, self.source, 1):
            return 0
        n = compose.bare(tx, view.buf, view.r, q[_Q_CODE])
        options = list(self.extra or ())  # type: list
        if q[_Q_ETAG]:
            options.append((_ETAG, self.tag))
        for field, number in enumerate(_NUMBERS, _Q_OBSERVE):
            if q[field] != _ABSENT:
                options.append((number, q[field]))
        writer = Writer(tx).resume(n)
        for number in sorted({number for number, _ in options}):
            for other, value in options:
                if other == number:
                    if isinstance(value, int):
                        writer.uint(number, value)
                    else:
                        writer.option(number, value)
        length = q[_Q_LENGTH]
        if self.source is tx and length and writer.n >= self.body:
            writer.n = -1  # the options have run over the payload that lies in tx
        return max(writer.payload(self.source, q[_Q_START], length).n, 0)
