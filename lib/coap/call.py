"""One request of ours: what is asked, how far it has got, and what is answered.

The message layer has it written anew for each retransmission, so a Call holds no message. It and
its fields are made once and serve one request after the other.
"""

from array import array

from micropython import const

import coap.scan as s
from coap.copying import copy
from coap.target import text, with_option
from coap.token import SIZE

# Numbers of other files: the compiler folds only the constants of the file at hand
_FETCH = const(5)  # numbers.FETCH
_ETAG = const(3)  # scan.ETAG
_CONTENT_FORMAT = const(8)  # scan.CONTENT_FORMAT
_MAX_AGE = const(20)  # scan.MAX_AGE
_LOCATION_PATH = const(21)  # scan.LOCATION_PATH
_LOCATION_QUERY = const(22)  # scan.LOCATION_QUERY
_VALUE = const(60)  # scan.VALUE
_LENGTH = const(61)  # scan.LENGTH
_ABSENT = const(0x3FFFFFFF)  # scan.ABSENT

# public: what became of a request that was not answered, Response.failure
TIMEOUT = const(1)
RESET = const(2)
BROKEN = const(3)
TOO_LONG = const(4)
UNPROTECTED = const(5)
_FAILURES = ("", "timeout", "reset", "broken transfer", "too long", "not under OSCORE")

# States of a Call
FREE = const(0)
READY = const(1)  # to be sent
OPEN = const(2)  # confirmable, and in the message layer
AWAITED = const(3)  # sent, and no response yet
WATCHING = const(4)  # observed: the next notification is awaited

REGISTER = const(0)
DEREGISTER = const(1)

# The fields that are ints, and their option numbers
_OBSERVE = const(0)
_FORMAT = const(1)
_ACCEPT = const(2)
_BLOCK2 = const(3)
_BLOCK1 = const(4)
_SIZE1 = const(5)
_NUMBERS = (6, 12, 17, 23, 27, 60)
_FIELDS = const(6)


class Call:
    """Attributes that may be set until the node sends it, that is until the caller returns:

    on_answer: the function that is told; confirmable: False sends a NON; content_format: of the
    payload, ABSENT for none; accept: the Content-Format asked for; into: a buffer that collects
    the answer's payload; limit_ms: give up after this time, 0 leaves it to the message layer;
    patience_ms: wait for a response since the empty ACK, or since a NON was sent.
    """

    def __init__(self, client):
        self.client = client
        self.token = bytearray(SIZE)
        self.watch = bytearray(SIZE)  # token of the observation
        self.fields = array("i", [_ABSENT] * _FIELDS)
        self.etag = bytearray(8)  # of the answer whose blocks are fetched
        self.context = None  # of the peer; the request is protected with it
        self.asked = None  # and what is known of it then
        self.patience_ms = 0
        self.sent_ms = self.until_ms = 0  # when it was sent, or its ACK came; when that is over
        self.number_ms = self.fresh_ms = 0  # when a notification came; when it is no longer fresh
        self.begin(None, 0, (), 6)
        self.clear()

    def clear(self):  # hot
        """Belong to nobody."""
        self.state = FREE
        self.peer = self.on_answer = self.into = None
        self.payload = b""
        self.options = ()
        self.slot = -1  # in the message layer
        self.mid = _ABSENT
        self.closing = False  # deregistering: nobody hears the answer
        self.observing = False
        self.number = _ABSENT  # of the last notification
        self.etag_length = -1  # -1: no block has come

    def begin(self, peer, method, options, szx):  # hot
        """Take a request to `peer`; szx: the block size to begin with."""
        self.peer = peer
        self.method = method
        self.options = options
        self.state = READY
        self.confirmable = True
        self.content_format = self.accept = _ABSENT
        self.limit_ms = 0
        self.began_ms = -1
        self.szx1 = self.szx2 = self.largest = szx
        self.wish = _ABSENT
        self.retries = 0  # for blocks that do not go together
        self.restart()

    def restart(self):  # hot
        """Ask from the beginning."""
        self.sent = 0  # bytes of the payload that have been taken
        self.offset = 0  # bytes of the answer that have come
        self.etag_length = -1

    def tell(self, on_answer):  # hot
        """Call on_answer(response) with what comes; the Call itself is returned."""
        self.on_answer = on_answer
        return self

    def option(self, number, value):
        """Send one option more, as bytes; those that have a field are not given here."""
        self.options = with_option(self.options, number, value)

    # The message

    def write(self, writer, kind, mid):  # hot
        """Write the request, or the part of it whose turn it is: its length, -1: too long."""
        self._fill(self.fields, len(self.payload), self.offset > 0)
        self.mid = mid
        writer.begin(kind, self.method, mid, self.token)
        self._write_options(writer, self.options)
        if self.fields[_BLOCK1] != _ABSENT:
            self._write_block(writer, 16 << self.szx1)
        elif self._carries(len(self.payload), self.offset > 0):
            writer.payload(self.payload)
        return writer.n

    def _fill(self, fields, length, fetching):  # hot
        fields[_OBSERVE] = _ABSENT if fetching else self.wish
        carries = self._carries(length, fetching)
        fields[_FORMAT] = self.content_format if carries else _ABSENT
        fields[_ACCEPT] = self.accept
        fields[_BLOCK1] = fields[_BLOCK2] = fields[_SIZE1] = _ABSENT
        if fetching or self.largest < 6:
            fields[_BLOCK2] = self.offset >> (self.szx2 + 4) << 4 | self.szx2
        if carries and length > 16 << self.szx1:
            fields[_BLOCK1] = self.sent >> (self.szx1 + 4) << 4 | self.szx1
            if length > self.sent + (16 << self.szx1):
                fields[_BLOCK1] |= 8
            if not self.sent:
                fields[_SIZE1] = length

    def _carries(self, length, fetching):  # hot
        # RFC 7959 section 2.7: the answer's next block is asked for without the request's payload,
        # except that a FETCH is nothing without its own
        return not fetching or (self.method == _FETCH and length <= 16 << self.szx1)

    def _write_options(self, writer, options):  # hot
        i = 0
        field = 0
        while field < _FIELDS:
            if self.fields[field] != _ABSENT:
                while i < len(options) and options[i] <= _NUMBERS[field]:
                    writer.option(options[i], options[i + 1])
                    i += 2
                writer.uint(_NUMBERS[field], self.fields[field])
            field += 1
        while i < len(options):
            writer.option(options[i], options[i + 1])
            i += 2

    def _write_block(self, writer, size):  # hot
        left = len(self.payload) - self.sent
        writer.payload(self.payload, self.sent, left if left < size else size)

    # The answer

    def same_etag(self, view):  # hot
        """Does the block at hand belong to those that came? The first one always does."""
        length = 0
        if view.has(_ETAG):
            s.step(view.buf, view.r[_ETAG], view.r)
            length = view.r[_LENGTH]
        if self.etag_length < 0:
            copy(self.etag, 0, view.buf, view.r[_VALUE], length)
            self.etag_length = length
        if length != self.etag_length:
            return False
        return not length or s.equal(self.etag, 0, view.buf, view.r[_VALUE], length) == 1


class Response:
    """What `on_answer` is given: one serves all calls, so keep nothing of it.

    code: 2.05 is 0x45; 0: there is no answer, and `failure` is TIMEOUT, RESET, BROKEN (blocks
    that do not fit together), TOO_LONG or UNPROTECTED (a secured request was answered in clear).
    offset: where in the whole the payload lies; more:
    further pieces of it will come; last: nothing will come any more. str() tells code or failure.
    """

    def __init__(self, node):
        self._view = node.view
        self.code = self.failure = self.offset = self.length = 0
        self.more = self.last = False
        self.call = None
        self.into = None

    @property
    def payload(self):
        """The payload, or a piece of it: a memoryview that is valid within the function."""
        if self.into is not None:
            return memoryview(self.into)[: self.length]
        return memoryview(b"") if self.failure else self._view.payload()

    def payload_bytes(self):
        """The payload, copied."""
        return bytes(self.payload)

    @property
    def peer(self):
        """Who answers."""
        return self._view.peer

    @property
    def content_format(self):
        """The Content-Format of the payload, None when the answer does not say."""
        return None if self.failure else self._view.uint(_CONTENT_FORMAT)

    @property
    def max_age_s(self):
        """Seconds for which the answer holds."""
        return 0 if self.failure else self._view.uint(_MAX_AGE, 60)

    @property
    def etag(self):
        """The ETag, b"" for none."""
        values = () if self.failure else self._view.values(_ETAG)
        return values[0] if values else b""

    def location(self):
        """Location-Path and Location-Query, as a path for the next request; "" for none."""
        if self.failure:
            return ""
        return text(self._view.values(_LOCATION_PATH), self._view.values(_LOCATION_QUERY))

    def __str__(self):
        if self.failure:
            return _FAILURES[self.failure]
        return "{}.{:02}".format(self.code >> 5, self.code & 31)
