"""One request of this node: its message, the state of its transfer, and its response.

The message layer has a request written again for each retransmission, so a ClientRequest keeps
what the message is made of and not the message. Client makes its ClientRequests once and reuses
them: one is valid until its last response, the one ClientResponse only within on_response.
"""

from array import array

from micropython import const

from coap.codec import (
    ABSENT,
    IX_CONTENT_FORMAT,
    IX_ETAG,
    IX_LOCATION_PATH,
    IX_LOCATION_QUERY,
    IX_MAX_AGE,
    LENGTH,
    TOKEN,
    VALUE,
    copy,
    equal,
    next_option,
)
from coap.numbers import FETCH, URI_PATH, URI_QUERY

# public: why a request got no response, ClientResponse.failure
TIMEOUT = const(1)
RESET = const(2)
BROKEN = const(3)
TOO_LONG = const(4)
UNPROTECTED = const(5)
_FAILURES = ("", "timeout", "reset", "broken transfer", "too long", "not under OSCORE")

# What becomes of a message that may be a protected response: see coap.oscore.client
IGNORED = const(0)  # not for this request, or not genuine
HANDLED = const(1)  # handled internally: acknowledge it, but do not deliver it
DELIVER = const(2)  # the response to this request

# States of a request
FREE = const(0)
READY = const(1)  # to be sent
IN_EXCHANGE = const(2)  # confirmable, and in the message layer
AWAITING_RESPONSE = const(3)  # sent, or acknowledged without a response
OBSERVING = const(4)  # the next notification is awaited

# Values of the Observe option
REGISTER = const(0)
DEREGISTER = const(1)

TOKEN_BYTES = const(4)

# The options with an int value, and their numbers
_OBSERVE = const(0)
_FORMAT = const(1)
_ACCEPT = const(2)
_BLOCK2 = const(3)
_BLOCK1 = const(4)
_SIZE1 = const(5)
_NUMBERS = (6, 12, 17, 23, 27, 60)
_FIELDS = const(6)

_ETAG_BYTES = const(8)
_SPECK_ROUNDS = const(22)
_HEX = b"0123456789abcdef"
_MAX_SEGMENT_BYTES = 255


class ClientRequest:
    """Attributes that may be set until the node sends the request, that is until the caller of
    Client.request() returns:

    on_response: function(response) that gets each response; confirmable: False sends a NON;
    content_format: of the payload, ABSENT for none; accept: the Content-Format asked for; into: a
    buffer that collects the payload of the response; timeout_ms: give up after this time, 0 leaves
    it to the message layer; response_timeout_ms: how long a response is awaited after the empty
    ACK, or after a NON was sent.
    """

    def __init__(self, client):
        self.client = client
        self.token = bytearray(TOKEN_BYTES)
        self.observe_token = bytearray(TOKEN_BYTES)
        self.fields = array("i", [ABSENT] * _FIELDS)
        self.etag = bytearray(_ETAG_BYTES)  # of the response whose blocks are fetched
        self.context = None  # the security context of the peer, None for plain CoAP
        self.oscore_state = None  # what coap.oscore.client keeps of the request
        self.sent_ms = self.deadline_ms = 0  # last send or ACK; end of the wait for a response
        self.notified_ms = self.stale_ms = 0  # last notification; when its Max-Age has passed
        self.begin(None, 0, ())
        self.clear()

    def clear(self):  # hot
        """Reset to FREE."""
        self.state = FREE
        self.peer = self.on_response = self.into = None
        self.payload = b""
        self.options = ()
        self.exchange = -1  # in the message layer
        self.mid = ABSENT
        self.deregistering = False  # the response is not delivered
        self.observing = False
        self.observe_number = ABSENT  # Observe value of the last notification
        self.etag_length = -1  # -1: no block was received

    def begin(self, peer, method, options):  # hot
        """Start a request to `peer` with the defaults of the client."""
        self.peer = peer
        self.method = method
        self.options = options
        self.state = READY
        self.confirmable = True
        self.content_format = self.accept = ABSENT
        self.timeout_ms = 0
        self.began_ms = -1
        self.response_timeout_ms = self.client.response_timeout_ms
        self.szx1 = self.szx2 = self.max_szx = self.client.szx
        self.observe_value = ABSENT  # REGISTER, DEREGISTER, or ABSENT for no Observe option
        self.retries = 0  # of transfers whose blocks did not fit together
        self.restart()

    def restart(self):  # hot
        """Begin the transfer again with the first block."""
        self.sent = 0  # bytes of the payload that were acknowledged
        self.offset = 0  # bytes of the response that were received
        self.etag_length = -1

    def deliver_to(self, on_response):  # hot
        """Set on_response; return the request itself."""
        self.on_response = on_response
        return self

    def option(self, number, value):
        """Add an option with a value of bytes; not one that is an attribute here."""
        self.options = with_option(self.options, number, value)

    def is_observation(self, view):  # hot
        """Return True if the message has the token of the observation.

        The further blocks of a notification are fetched with other tokens.
        """
        return (
            self.observing
            and equal(view.buf, view.index[TOKEN], self.observe_token, 0, TOKEN_BYTES) == 1
        )

    def is_same_etag(self, view):  # hot
        """Return True if the block belongs to the same response as those before it."""
        length = 0
        if view.has(IX_ETAG):
            next_option(view.buf, view.index[IX_ETAG], view.index)
            length = view.index[LENGTH]
        if self.etag_length < 0:
            copy(self.etag, 0, view.buf, view.index[VALUE], length)
            self.etag_length = length
        if length != self.etag_length:
            return False
        return not length or equal(self.etag, 0, view.buf, view.index[VALUE], length) == 1

    # The message

    def write(self, writer, kind, mid):  # hot
        """Write the request, or the block of it to be sent next, with a MessageBuilder.

        Return the length, -1 if it is too long.
        """
        self._set_fields(self.fields, len(self.payload), self.offset > 0)
        self.mid = mid
        writer.begin(kind, self.method, mid, self.token)
        self._write_options(writer, self.options)
        if self.fields[_BLOCK1] != ABSENT:
            self._write_block(writer, 16 << self.szx1)
        elif self._has_payload(len(self.payload), self.offset > 0):
            writer.payload(self.payload)
        return writer.n

    def _set_fields(self, fields, length, is_next_block):  # hot
        fields[_OBSERVE] = ABSENT if is_next_block else self.observe_value
        has_payload = self._has_payload(length, is_next_block)
        fields[_FORMAT] = self.content_format if has_payload else ABSENT
        fields[_ACCEPT] = self.accept
        fields[_BLOCK1] = fields[_BLOCK2] = fields[_SIZE1] = ABSENT
        if is_next_block or self.max_szx < 6:
            fields[_BLOCK2] = self.offset >> (self.szx2 + 4) << 4 | self.szx2
        if has_payload and length > 16 << self.szx1:
            fields[_BLOCK1] = self.sent >> (self.szx1 + 4) << 4 | self.szx1
            if length > self.sent + (16 << self.szx1):
                fields[_BLOCK1] |= 8
            if not self.sent:
                fields[_SIZE1] = length

    def _has_payload(self, length, is_next_block):  # hot
        # RFC 7959 section 2.7: the next block of the response is asked for without the request's
        # payload, except that a FETCH has no meaning without it
        return not is_next_block or (self.method == FETCH and length <= 16 << self.szx1)

    def _write_block(self, writer, size):  # hot
        left = len(self.payload) - self.sent
        writer.payload(self.payload, self.sent, left if left < size else size)

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


class ClientResponse:
    """Argument of on_response, valid only within that call: one serves all requests.

    code: as an int, 0x45 for 2.05; 0 if there is no response, and `failure` is TIMEOUT, RESET,
    BROKEN (blocks that do not fit together), TOO_LONG or UNPROTECTED (a plain response to a
    protected request). offset: of the payload in the whole body. more: True if further pieces of
    the body follow. last: True if nothing follows. str() returns code or failure as text.
    """

    def __init__(self, node):
        self._view = node.view
        self.code = self.failure = self.offset = self.length = 0
        self.more = self.last = False
        self.request = None
        self.into = None

    @property
    def payload(self):
        """The payload, or a piece of it, as a memoryview that is valid within on_response."""
        if self.into is not None:
            return memoryview(self.into)[: self.length]
        return memoryview(b"") if self.failure else self._view.payload()

    def payload_bytes(self):
        """Return a copy of the payload."""
        return bytes(self.payload)

    @property
    def peer(self):
        """The endpoint that sent the response."""
        return self._view.peer

    @property
    def content_format(self):
        """The Content-Format of the payload, None if the response has none."""
        return None if self.failure else self._view.uint(IX_CONTENT_FORMAT)

    @property
    def max_age_s(self):
        """How long the response is fresh, in seconds."""
        return 0 if self.failure else self._view.uint(IX_MAX_AGE, 60)

    @property
    def etag(self):
        """The ETag, b"" for none."""
        values = () if self.failure else self._view.values(IX_ETAG)
        return values[0] if values else b""

    def location(self):
        """Return Location-Path and Location-Query as a path for a request, "" for none."""
        if self.failure:
            return ""
        return options_to_path(
            self._view.values(IX_LOCATION_PATH), self._view.values(IX_LOCATION_QUERY)
        )

    def __str__(self):
        if self.failure:
            return _FAILURES[self.failure]
        return "{}.{:02}".format(self.code >> 5, self.code & 31)


# Paths: "path/to?query=1&other", which is a URI after the slash of its authority (RFC 7252 section
# 6.4). `%2F` is a slash inside a segment; a slash at the end stands for an empty segment.


def path_to_options(path):
    """Return the Uri-Path and Uri-Query options of a path as a tuple: number, bytes, number, ...

    path: str or bytes. Raises ValueError if it is malformed.
    """
    text = path.encode() if isinstance(path, str) else bytes(path)
    if text.startswith(b"/"):
        raise ValueError("a path begins without a slash: write " + str(text[1:], "utf-8"))
    at = text.find(b"?")
    options = []
    if at:
        for segment in (text if at < 0 else text[:at]).split(b"/") if text else ():
            options += (URI_PATH, _percent_decode(segment))
    if at >= 0:
        for part in text[at + 1 :].split(b"&"):
            options += (URI_QUERY, _percent_decode(part))
    return tuple(options)


def options_to_path(segments, queries=()):
    """Return the path for these segments and queries, each bytes (RFC 7252 section 5.10.7)."""
    path = "/".join([_percent_encode(segment, b"/?%") for segment in segments])
    if queries:
        path += "?" + "&".join([_percent_encode(query, b"&%") for query in queries])
    return path


def with_option(options, number, value):
    """Return the tuple of options with one more, after those of the same number."""
    at = 0
    while at < len(options) and options[at] <= number:
        at += 2
    return options[:at] + (number, value) + options[at:]


def _percent_decode(part):
    pieces = part.split(b"%")
    out = pieces[0]
    for piece in pieces[1:]:
        high, low = _HEX.find(piece[:1].lower()), _HEX.find(piece[1:2].lower())
        if len(piece) < 2 or high < 0 or low < 0:
            raise ValueError("a % in a path is written %25")
        out += bytes((high << 4 | low,)) + piece[2:]
    if len(out) > _MAX_SEGMENT_BYTES:
        raise ValueError("a path segment or query has at most 255 bytes")
    return out


def _percent_encode(part, special):
    return "".join([chr(c) if 32 < c < 127 and c not in special else "%%%02X" % c for c in part])


class Tokens:
    """Tokens that an attacker off the path cannot guess and that do not repeat (RFC 7252 5.3.1).

    A token is a counter encrypted with SPECK32/64 under a key from the node's entropy: its 16-bit
    words are small ints, so that counting allocates nothing.
    """

    def __init__(self):
        self.round_keys = array("H", [0] * _SPECK_ROUNDS)
        self.count = 0

    def seed(self, entropy):
        """Take another key from at least 8 random bytes; fewer are repeated."""
        entropy = bytes(entropy or b"\0")
        words = []
        for i in range(4):
            low = entropy[2 * i % len(entropy)]
            words.append(low | entropy[(2 * i + 1) % len(entropy)] << 8)
        self.schedule(words)

    def schedule(self, words):
        """Compute the round keys from a key of four words, the lowest first."""
        key = words[0]
        parts = list(words[1:])
        for i in range(_SPECK_ROUNDS):
            self.round_keys[i] = key
            part = ((parts[0] >> 7 | parts[0] << 9) + key) & 0xFFFF ^ i
            parts = parts[1:] + [part]
            key = (key << 2 | key >> 14) & 0xFFFF ^ part

    def next(self, token):  # hot
        """Write the next token to token[0:4]."""
        self.count = (self.count + 1) & 0x3FFFFFFF
        self.encrypt(self.count >> 16, self.count & 0xFFFF, token)

    def encrypt(self, x, y, token):  # hot
        """Write the encrypted block of the words x and y to token[0:4]."""
        i = 0
        while i < _SPECK_ROUNDS:
            x = ((x >> 7 | x << 9) + y) & 0xFFFF ^ self.round_keys[i]
            y = (y << 2 | y >> 14) & 0xFFFF ^ x
            i += 1
        token[0] = x >> 8
        token[1] = x & 255
        token[2] = y >> 8
        token[3] = y & 255
