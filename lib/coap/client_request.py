"""One request of ours: what is asked, how far it has got, and what is answered.

The message layer has it written anew for each retransmission, so a Call holds no message. It and
its fields are made once and serve one request after the other.
"""

from array import array

from micropython import const

import coap.codec as s
from coap.codec import (
    ABSENT,
    IX_CONTENT_FORMAT,
    IX_ETAG,
    IX_LOCATION_PATH,
    IX_LOCATION_QUERY,
    IX_MAX_AGE,
    LENGTH,
    VALUE,
    copy,
)
from coap.numbers import FETCH, URI_PATH, URI_QUERY

# public: what became of a request that was not answered, Response.failure
TIMEOUT = const(1)
RESET = const(2)
BROKEN = const(3)
TOO_LONG = const(4)
UNPROTECTED = const(5)
_FAILURES = ("", "timeout", "reset", "broken transfer", "too long", "not under OSCORE")

# What becomes of a protected message: see coap.oscore.client
IGNORED = const(0)  # not for this request, or not genuine
DONE = const(1)  # handled internally: not to be delivered
TAKEN = const(2)  # the response to this request

# States of a request
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


class ClientRequest:
    """Attributes that may be set until the node sends it, that is until the caller returns:

    on_answer: the function that is told; confirmable: False sends a NON; content_format: of the
    payload, ABSENT for none; accept: the Content-Format asked for; into: a buffer that collects
    the answer's payload; limit_ms: give up after this time, 0 leaves it to the message layer;
    patience_ms: wait for a response since the empty ACK, or since a NON was sent.
    """

    def __init__(self, client):
        self.client = client
        self.token = bytearray(TOKEN_BYTES)
        self.watch = bytearray(TOKEN_BYTES)  # token of the observation
        self.fields = array("i", [ABSENT] * _FIELDS)
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
        self.peer = self.on_response = self.into = None
        self.payload = b""
        self.options = ()
        self.slot = -1  # in the message layer
        self.mid = ABSENT
        self.closing = False  # deregistering: nobody hears the answer
        self.observing = False
        self.number = ABSENT  # of the last notification
        self.etag_length = -1  # -1: no block has come

    def begin(self, peer, method, options, szx):  # hot
        """Take a request to `peer`; szx: the block size to begin with."""
        self.peer = peer
        self.method = method
        self.options = options
        self.state = READY
        self.confirmable = True
        self.content_format = self.accept = ABSENT
        self.limit_ms = 0
        self.began_ms = -1
        self.szx1 = self.szx2 = self.largest = szx
        self.wish = ABSENT
        self.retries = 0  # for blocks that do not go together
        self.restart()

    def restart(self):  # hot
        """Ask from the beginning."""
        self.sent = 0  # bytes of the payload that have been taken
        self.offset = 0  # bytes of the answer that have come
        self.etag_length = -1

    def tell(self, on_response):  # hot
        """Call on_answer(response) with what comes; the Call itself is returned."""
        self.on_response = on_response
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
        if self.fields[_BLOCK1] != ABSENT:
            self._write_block(writer, 16 << self.szx1)
        elif self._carries(len(self.payload), self.offset > 0):
            writer.payload(self.payload)
        return writer.n

    def _fill(self, fields, length, fetching):  # hot
        fields[_OBSERVE] = ABSENT if fetching else self.wish
        carries = self._carries(length, fetching)
        fields[_FORMAT] = self.content_format if carries else ABSENT
        fields[_ACCEPT] = self.accept
        fields[_BLOCK1] = fields[_BLOCK2] = fields[_SIZE1] = ABSENT
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
        return not fetching or (self.method == FETCH and length <= 16 << self.szx1)

    def _write_options(self, writer, options):  # hot
        i = 0
        field = 0
        while field < _FIELDS:
            if self.fields[field] != ABSENT:
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
        if view.has(IX_ETAG):
            s.next_option(view.buf, view.index[IX_ETAG], view.index)
            length = view.index[LENGTH]
        if self.etag_length < 0:
            copy(self.etag, 0, view.buf, view.index[VALUE], length)
            self.etag_length = length
        if length != self.etag_length:
            return False
        return not length or s.equal(self.etag, 0, view.buf, view.index[VALUE], length) == 1


class ClientResponse:
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
        return None if self.failure else self._view.uint(IX_CONTENT_FORMAT)

    @property
    def max_age_s(self):
        """Seconds for which the answer holds."""
        return 0 if self.failure else self._view.uint(IX_MAX_AGE, 60)

    @property
    def etag(self):
        """The ETag, b"" for none."""
        values = () if self.failure else self._view.values(IX_ETAG)
        return values[0] if values else b""

    def location(self):
        """Location-Path and Location-Query, as a path for the next request; "" for none."""
        if self.failure:
            return ""
        return options_to_path(
            self._view.values(IX_LOCATION_PATH), self._view.values(IX_LOCATION_QUERY)
        )

    def __str__(self):
        if self.failure:
            return _FAILURES[self.failure]
        return "{}.{:02}".format(self.code >> 5, self.code & 31)


# What a request of ours is sent to: "path/to?query=1&other" as the options it becomes.
#
# The text is that of a URI behind its first slash (RFC 7252 section 6.4), so `%2F` is a slash
# inside a segment, and a slash at the end stands for an empty segment.

_HEX = b"0123456789abcdef"


def path_to_options(path):
    """The options of a path and query (str or bytes) as a tuple: number, bytes, number, ...

    Raises ValueError for what is no such text.
    """
    text = path.encode() if isinstance(path, str) else bytes(path)
    if text.startswith(b"/"):
        raise ValueError("a path begins without a slash: write " + str(text[1:], "utf-8"))
    at = text.find(b"?")
    found = []
    if at:
        for segment in (text if at < 0 else text[:at]).split(b"/") if text else ():
            found += (URI_PATH, _plain(segment))
    if at >= 0:
        for part in text[at + 1 :].split(b"&"):
            found += (URI_QUERY, _plain(part))
    return tuple(found)


def options_to_path(segments, queries=()):
    """The path and query that options() takes, of a Location (RFC 7252 section 5.10.7)."""
    path = "/".join([_quoted(segment, b"/?%") for segment in segments])
    if queries:
        path += "?" + "&".join([_quoted(query, b"&%") for query in queries])
    return path


def with_option(options, number, value):
    """The tuple with one option more, behind those of the same number."""
    at = 0
    while at < len(options) and options[at] <= number:
        at += 2
    return options[:at] + (number, value) + options[at:]


def _plain(part):
    pieces = part.split(b"%")
    out = pieces[0]
    for piece in pieces[1:]:
        high, low = _HEX.find(piece[:1].lower()), _HEX.find(piece[1:2].lower())
        if len(piece) < 2 or high < 0 or low < 0:
            raise ValueError("a % in a path is written %25")
        out += bytes((high << 4 | low,)) + piece[2:]
    if len(out) > 255:
        raise ValueError("a path segment or query has at most 255 bytes")
    return out


def _quoted(part, special):
    return "".join([chr(c) if 32 < c < 127 and c not in special else "%%%02X" % c for c in part])


# Tokens that nobody off the path can guess and that do not come twice (RFC 7252 section 5.3.1).
#
# A token is a counter, enciphered with SPECK32/64 under a key from the node's entropy: words of 16
# bits, which boards count without allocating.

_ROUNDS = const(22)
TOKEN_BYTES = const(4)  # bytes of a token


class Tokens:
    """The tokens of one client."""

    def __init__(self):
        self.rounds = array("H", [0] * _ROUNDS)
        self.count = 0

    def seed(self, entropy):
        """Take another key, from at least 8 random bytes; fewer are repeated."""
        entropy = bytes(entropy or b"\0")
        words = []
        for i in range(4):
            low = entropy[2 * i % len(entropy)]
            words.append(low | entropy[(2 * i + 1) % len(entropy)] << 8)
        self.schedule(words)

    def schedule(self, words):
        """Make the round keys from a key of four words, the lowest first."""
        key = words[0]
        parts = list(words[1:])
        for i in range(_ROUNDS):
            self.rounds[i] = key
            part = ((parts[0] >> 7 | parts[0] << 9) + key) & 0xFFFF ^ i
            parts = parts[1:] + [part]
            key = (key << 2 | key >> 14) & 0xFFFF ^ part

    def next(self, token):  # hot
        """Write the next token into four bytes."""
        self.count = (self.count + 1) & 0x3FFFFFFF
        self.encipher(self.count >> 16, self.count & 0xFFFF, token)

    def encipher(self, x, y, token):  # hot
        """Write the block of two words, enciphered."""
        i = 0
        while i < _ROUNDS:
            x = ((x >> 7 | x << 9) + y) & 0xFFFF ^ self.rounds[i]
            y = (y << 2 | y >> 14) & 0xFFFF ^ x
            i += 1
        token[0] = x >> 8
        token[1] = x & 255
        token[2] = y >> 8
        token[3] = y & 255
