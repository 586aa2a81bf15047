"""The wire format (RFC 7252 section 3): parse and serialize, compiled to machine code.

parse() indexes a message in place into an array of ints, the *index*; nothing is copied:

    1..23    a cell for each option: the value of a uint option, else where its first header lies
    24+cell  where the last option of that number ends (equal numbers are neighbours on the wire)
    48..     facts about the message, named below
    64+n     what is known of option number n: cell, kind and longest value
    128..    facts and settings of the node

FLAGS say what the message is, one bit a fact; bit `1 << cell` says that the option is present.
serialize() writes a response from the array *fields*.

Contract: pointers carry no length, so each function states what its caller guarantees. Ints stay
below 2**30, the small ints of a 32-bit board, and are never negative: `ptr32` reads -1 as
0xffffffff on a 64-bit one. The same text runs on CPython, where the pointer types are identities
and every index is checked. lib/coap/README.md says why the code has this form.
"""

# pyright: reportCallIssue=false
import sys
from array import array

import micropython
from micropython import const

# Cells of the options
IX_IF_MATCH = const(1)
IX_URI_HOST = const(2)
IX_ETAG = const(3)
IX_IF_NONE_MATCH = const(4)
IX_OBSERVE = const(5)
IX_URI_PORT = const(6)
IX_URI_PATH = const(7)
IX_CONTENT_FORMAT = const(8)
IX_URI_QUERY = const(9)
IX_ACCEPT = const(10)
IX_BLOCK2 = const(11)
IX_BLOCK1 = const(12)
IX_SIZE2 = const(13)
IX_SIZE1 = const(14)
IX_PROXY = const(15)
IX_OSCORE = const(16)
IX_ECHO = const(17)
IX_NO_RESPONSE = const(18)
IX_REQUEST_TAG = const(19)
IX_MAX_AGE = const(20)
IX_LOCATION_PATH = const(21)
IX_LOCATION_QUERY = const(22)
IX_UNKNOWN = const(23)  # a critical option that is not in the table, or not well-formed
IX_ENDS = const(24)

# Facts
FLAGS = const(48)  # bits that say what the message is
TYPE = const(49)
CODE = const(50)
MID = const(51)
TOKEN = const(52)  # where the token starts
OPTIONS_START = const(53)  # where the token ends
ROUTE = const(54)  # route of a plain request, or NO_ROUTE, ABSENT, ROUTE_ACCEPT + route, ...
PAYLOAD = const(55)  # where the payload starts; SIZE when there is none
SIZE = const(56)
TOKEN_MAX = const(57)  # setting: longest token (RFC 8974); 8 means plain RFC 7252
MAX_PAYLOAD = const(58)  # setting: longest payload of a message
TX_PAYLOAD = const(59)  # setting: where in the tx buffer a response collects its payload
VALUE = const(60)  # result of next_option(): where the value lies, and its length
LENGTH = const(61)
MAX_MESSAGE = const(62)  # setting: longest message
DATAGRAM_COUNT = const(63)  # datagrams that parse() has seen, modulo 2**30
OPTION_TABLE = const(64)
ROUTE_ANY = const(128)  # route of a request, plain or not; ABSENT for none
SLOW_PATH = const(129)  # setting: a request with one of these bits is not plain
TO_MESSAGE_LAYER = const(130)  # setting: the bits of FLAGS that parse() returns

# Bits of FLAGS beyond the option slots
REQUEST = const(1 << 0)
UNSAFE = const(1 << 24)  # a request with side effects: executed once
NON_REQUEST = const(1 << 25)  # a request that wants no ACK
NOT_REQUEST = const(1 << 26)  # an ACK, RST, ping or response
BAD_METHOD_OR_SIZE = const(1 << 27)  # a request with an unknown method, or too long for the node
SEND_RESET = const(1 << 28)  # format error in a CON: RST
DROP = const(1 << 29)  # format error that is dropped

ABSENT = const(0x3FFFFFFF)  # "no value" where 0 is one
NO_ROUTE = const(0x3FFFFFFE)  # ROUTE of a request whose path names no resource, else plain
ROUTE_LIMIT = const(256)  # more than any route
ROUTE_ACCEPT = const(256)  # added to ROUTE: plain except that its Accept must be checked
ROUTE_BLOCK2 = const(512)  # added to ROUTE: plain except for its Block2
NO_ACCEPT = const(0x10000)  # index[ACCEPT] of a request without Accept
ANY_FORMAT = const(0xFFFE)  # of a route: no Accept, or any Content-Format, is plain
NOT_PLAIN = const(0xFFFD)  # of a route: no request for its resource is plain


_SLOT = const(31)
_UINT = const(1 << 5)
_MANY = const(1 << 6)  # repeatable
_FULL = const(1 << 7)  # may not be empty
_LONGEST = const(8)  # shift of the longest length
_MASK = const(0x3FFFFFFF)
_HASH_SEED = const(5381)

_len = len  # cached builtin: see lib/coap/README.md

# (option number, cell, kind, longest value); IX_PROXY stands for two numbers
_KNOWN = (
    (1, IX_IF_MATCH, _MANY, 8),
    (3, IX_URI_HOST, _FULL, 255),
    (4, IX_ETAG, _MANY | _FULL, 8),
    (5, IX_IF_NONE_MATCH, 0, 0),
    (6, IX_OBSERVE, _UINT, 3),
    (7, IX_URI_PORT, _UINT, 2),
    (8, IX_LOCATION_PATH, _MANY, 255),
    (9, IX_OSCORE, 0, 255),
    (11, IX_URI_PATH, _MANY, 255),
    (12, IX_CONTENT_FORMAT, _UINT, 2),
    (14, IX_MAX_AGE, _UINT, 4),
    (15, IX_URI_QUERY, _MANY, 255),
    (17, IX_ACCEPT, _UINT, 2),
    (20, IX_LOCATION_QUERY, _MANY, 255),
    (23, IX_BLOCK2, _UINT, 3),
    (27, IX_BLOCK1, _UINT, 3),
    (28, IX_SIZE2, _UINT, 4),
    (35, IX_PROXY, _MANY | _FULL, 1034),
    (39, IX_PROXY, _MANY | _FULL, 255),
    (60, IX_SIZE1, _UINT, 4),
    (61, IX_ECHO, _FULL, 40),  # 252, 258 and 292 have rows of unassigned low numbers
    (62, IX_NO_RESPONSE, _UINT, 1),
    (63, IX_REQUEST_TAG, _MANY, 8),
)

# Critical options: refused unless the node or an extension understands them
CRITICAL_OPTIONS = const(
    1 << IX_IF_MATCH
    | 1 << IX_URI_HOST
    | 1 << IX_IF_NONE_MATCH
    | 1 << IX_URI_PORT
    | 1 << IX_URI_PATH
    | 1 << IX_URI_QUERY
    | 1 << IX_ACCEPT
    | 1 << IX_BLOCK2
    | 1 << IX_BLOCK1
    | 1 << IX_PROXY
    | 1 << IX_OSCORE
    | 1 << IX_UNKNOWN
)


def new_index(max_payload=1024, token_max=8):
    """Return a new index for parse(), with settings and table filled in."""
    index = array("i", [0] * 131)
    index[TO_MESSAGE_LAYER] = _MASK
    for number, slot, kind, longest in _KNOWN:
        index[OPTION_TABLE + number] = slot | kind | longest << _LONGEST
    index[TOKEN_MAX] = token_max
    index[MAX_PAYLOAD] = max_payload
    index[MAX_MESSAGE] = max_payload + 128
    index[TX_PAYLOAD] = 80 + token_max
    return index


@micropython.viper
def parse(buf: ptr8, n: int, index: ptr32, routes: ptr8) -> int:
    """Index the message buf[0:n] and find its route; return the FLAGS that index[TO_MESSAGE_LAYER]
    names. Any bytes are valid input; buf holds n of them. routes: see coap.resource.route_table().

    A format error is DROP, or SEND_RESET in a CON (RFC 7252 sections 3 and 4.2). The first of a
    non-repeatable option counts; a later one, or a value out of its length range, is an unknown
    option (sections 5.4.3 and 5.4.5).
    """
    index[FLAGS] = DROP
    index[DATAGRAM_COUNT] = (index[DATAGRAM_COUNT] + 1) & _MASK
    if n < 4:
        return DROP
    head = buf[0]
    if head >> 6 != 1:
        return DROP
    kind = head >> 4 & 3
    bad = DROP
    if kind == 0:
        bad = SEND_RESET
    code = buf[1]
    index[TYPE] = kind
    index[CODE] = code
    index[MID] = buf[2] << 8 | buf[3]
    index[FLAGS] = bad
    i = 4
    length = head & 15
    if length > 8:
        if index[TOKEN_MAX] <= 8 or length > 13:
            return bad
        if length == 13:
            if n < 5:
                return bad
            length = 13 + buf[4]
            i = 5
        if length > index[TOKEN_MAX]:
            return bad
    index[TOKEN] = i
    i += length
    if i > n:
        return bad
    index[OPTIONS_START] = i
    flags = 0
    family = code >> 5
    if code == 0:
        if n > 4 or kind == 1:
            return bad
        flags = NOT_REQUEST
    elif family == 0:
        flags = REQUEST
        if kind > 1:
            flags = NOT_REQUEST
        elif kind == 1:
            flags |= NON_REQUEST
        if code > 7:
            flags |= BAD_METHOD_OR_SIZE
        elif code != 1 and code != 5:
            flags |= UNSAFE
        if n > index[MAX_MESSAGE]:
            flags |= BAD_METHOD_OR_SIZE
    elif family == 1 or family > 5:
        return bad
    else:
        flags = NOT_REQUEST
    number = 0
    path_hash = 0
    index[PAYLOAD] = n
    index[SIZE] = n
    index[IX_ACCEPT] = NO_ACCEPT
    while i < n:
        at = i
        head = buf[i]
        i += 1
        if head == 0xFF:
            if i == n:
                return bad
            index[PAYLOAD] = i
            break
        delta = head >> 4
        length = head & 15
        if delta > 12:
            if delta == 13:
                if i >= n:
                    return bad
                delta = 13 + buf[i]
                i += 1
            elif delta == 14:
                if i + 1 >= n:
                    return bad
                delta = 269 + (buf[i] << 8 | buf[i + 1])
                i += 2
            else:
                return bad
        if length > 12:
            if length == 13:
                if i >= n:
                    return bad
                length = 13 + buf[i]
                i += 1
            elif length == 14:
                if i + 1 >= n:
                    return bad
                length = 269 + (buf[i] << 8 | buf[i + 1])
                i += 2
            else:
                return bad
        number += delta
        end = i + length
        if end > n or number > 65535:
            return bad
        known = 0
        if number < 61:
            known = index[OPTION_TABLE + number]
        elif number == 252:
            known = index[OPTION_TABLE + 61]
        elif number == 258:
            known = index[OPTION_TABLE + 62]
        elif number == 292:
            known = index[OPTION_TABLE + 63]
        slot = known & _SLOT
        if known == 0 or length > known >> _LONGEST or (length == 0 and known & _FULL):
            if number & 1:
                flags |= 1 << IX_UNKNOWN
        elif flags >> slot & 1:
            if known & _MANY:
                index[IX_ENDS + slot] = end
            elif number & 1:
                flags |= 1 << IX_UNKNOWN
        else:
            flags |= 1 << slot
            index[IX_ENDS + slot] = end
            if known & _UINT:
                value = 0
                if length == 4 and buf[i] > 0x3F:
                    value = _MASK
                else:
                    while i < end:
                        value = value << 8 | buf[i]
                        i += 1
                index[slot] = value
            else:
                index[slot] = at
        if slot == IX_URI_PATH:
            path_hash = (path_hash * 33 ^ length) & 255
            while i < end:
                path_hash = (path_hash * 33 ^ buf[i]) & 255
                i += 1
        i = end
    index[FLAGS] = flags
    index[ROUTE] = ABSENT
    index[ROUTE_ANY] = ABSENT
    if flags & NOT_REQUEST:
        return flags & index[TO_MESSAGE_LAYER]
    # The segments are compared as they lie on the wire; only the first delta depends on what
    # precedes the path. The root is the empty path or one empty segment.
    first = 0
    length = 0
    if flags & 1 << IX_URI_PATH:
        first = index[IX_URI_PATH]
        length = index[IX_ENDS + IX_URI_PATH] - first
        if length == 1:
            length = 0
    special = flags & index[SLOW_PATH]
    count = routes[0]
    slot = 0
    while slot < count:
        slot += 1
        if routes[slot] != path_hash:
            continue
        at = count + 2 * slot
        at = routes[at - 1] << 8 | routes[at]
        if routes[at] << 8 | routes[at + 1] != length:
            continue
        at += 4
        if length:
            if (buf[first] ^ routes[at]) & 15:
                continue
            i = 1
            while i < length and buf[first + i] == routes[at + i]:
                i += 1
            if i < length:
                continue
        slot -= 1
        index[ROUTE_ANY] = slot
        if not special & ~(1 << IX_BLOCK2):
            number = index[IX_ACCEPT]
            value = routes[at - 2] << 8 | routes[at - 1]
            if number == NO_ACCEPT and value != NOT_PLAIN:
                index[ROUTE] = slot
            elif value == ANY_FORMAT:
                index[ROUTE] = ROUTE_ACCEPT + slot
            elif number == value and value != NOT_PLAIN:
                index[ROUTE] = slot
            if flags & 1 << IX_CONTENT_FORMAT:
                at += length
                value = routes[at] << 8 | routes[at + 1]
                if value != ANY_FORMAT and (
                    value == NOT_PLAIN or value != index[IX_CONTENT_FORMAT]
                ):
                    index[ROUTE] = ABSENT
            if special:
                index[ROUTE] = ROUTE_BLOCK2 + slot if index[ROUTE] == slot else ABSENT
        return flags & index[TO_MESSAGE_LAYER]
    if special == 0:
        index[ROUTE] = NO_ROUTE
    return flags & index[TO_MESSAGE_LAYER]


@micropython.viper
def path_has_prefix(buf: ptr8, index: ptr32, routes: ptr8, route: int) -> int:
    """Return 1 if the path of the request begins with all segments of the route at
    routes[route:], as any path does with those of the root.
    """
    n = routes[route] << 8 | routes[route + 1]
    if n == 0:
        return 1
    if not index[FLAGS] & 1 << IX_URI_PATH:
        return 0
    at = index[IX_URI_PATH]
    length = index[IX_ENDS + IX_URI_PATH] - at
    route += 4
    if length < n or (buf[at] ^ routes[route]) & 15:
        return 0
    i = 1
    while i < n:
        if buf[at + i] != routes[route + i]:
            return 0
        i += 1
    return 1


@micropython.viper
def next_option(buf: ptr8, at: int, index: ptr32) -> int:
    """Walk over the option at `at`: return where the next one starts. index[VALUE] and
    index[LENGTH] get its value. parse() must have accepted the message.
    """
    head = buf[at]
    at += 1
    delta = head >> 4
    length = head & 15
    if delta == 13:
        at += 1
    elif delta == 14:
        at += 2
    if length == 13:
        length = 13 + buf[at]
        at += 1
    elif length == 14:
        length = 269 + (buf[at] << 8 | buf[at + 1])
        at += 2
    index[VALUE] = at
    index[LENGTH] = length
    return at + length


@micropython.viper
def refused_option(buf: ptr8, index: ptr32, refused: int) -> int:
    """Return the number of the first critical option that is unknown, not well-formed, or whose
    bit is in `refused`; 0 for none. parse() must have accepted the message.
    """
    at = index[OPTIONS_START]
    number = 0
    before = 0
    while at < index[SIZE] and buf[at] != 0xFF:
        delta = buf[at] >> 4
        length = buf[at] & 15
        at += 1
        if delta == 13:
            delta = 13 + buf[at]
            at += 1
        elif delta == 14:
            delta = 269 + (buf[at] << 8 | buf[at + 1])
            at += 2
        if length == 13:
            length = 13 + buf[at]
            at += 1
        elif length == 14:
            length = 269 + (buf[at] << 8 | buf[at + 1])
            at += 2
        at += length
        number += delta
        if number & 1:
            known = 0
            if number < 61:
                known = index[OPTION_TABLE + number]
            if known == 0 or refused >> (known & _SLOT) & 1:
                return number
            if length > known >> _LONGEST or (length == 0 and known & _FULL):
                return number
            if number == before and not known & _MANY:
                return number
        before = number
    return 0


@micropython.viper
def has_value(buf: ptr8, index: ptr32, slot: int, value) -> int:
    """Return 1 if one of the values of an opaque option is `value`."""
    if not index[FLAGS] & 1 << slot:
        return 0
    wanted = ptr8(value)  # pyright: ignore[reportCallIssue]
    n = int(_len(value))
    at = index[slot]
    end = index[IX_ENDS + slot]
    while at < end:
        length = buf[at] & 15
        delta = buf[at] >> 4
        at += 1
        if delta == 13:
            at += 1
        elif delta == 14:
            at += 2
        if length == 13:
            length = 13 + buf[at]
            at += 1
        elif length == 14:
            length = 269 + (buf[at] << 8 | buf[at + 1])
            at += 2
        if length == n:
            i = 0
            while i < n and buf[at + i] == wanted[i]:
                i += 1
            if i == n:
                return 1
        at += length
    return 0


@micropython.viper
def equal(a: ptr8, at: int, b: ptr8, start: int, n: int) -> int:
    """Return 1 if a[at:at+n] == b[start:start+n]; both hold so many bytes."""
    i = 0
    while i < n:
        if a[at + i] != b[start + i]:
            return 0
        i += 1
    return 1


@micropython.viper
def same_token(a: ptr8, b: ptr8, index: ptr32) -> int:
    """Return 1 if message a has the token of message b, which is indexed; a is as long as b's
    header and token.
    """
    if (a[0] ^ b[0]) & 15:
        return 0
    n = index[OPTIONS_START]
    i = 4
    while i < n:
        if a[i] != b[i]:
            return 0
        i += 1
    return 1


@micropython.viper
def hash_bytes(buf: ptr8, start: int, n: int, value: int) -> int:
    """Continue a 30-bit hash over buf[start:start+n]; return it."""
    n += start
    while start + 8 <= n:  # higher bits never move down: masking once in 8 bytes is enough
        value = value * 33 ^ buf[start]
        value = value * 33 ^ buf[start + 1]
        value = value * 33 ^ buf[start + 2]
        value = value * 33 ^ buf[start + 3]
        value = value * 33 ^ buf[start + 4]
        value = value * 33 ^ buf[start + 5]
        value = value * 33 ^ buf[start + 6]
        value = (value * 33 ^ buf[start + 7]) & _MASK
        start += 8
    while start < n:
        value = (value * 33 ^ buf[start]) & _MASK
        start += 1
    return value


@micropython.viper
def hash_option(buf: ptr8, index: ptr32, slot: int, value: int) -> int:
    """Continue a 30-bit hash over all options of one number, present or not; return it."""
    value = (value * 33 ^ slot) & _MASK
    if index[FLAGS] & 1 << slot:
        # the first header's delta depends on the options before it
        at = index[slot]
        n = index[IX_ENDS + slot]
        value = (value * 33 ^ (buf[at] & 15)) & _MASK
        at += 1
        while at < n:
            value = (value * 33 ^ buf[at]) & _MASK
            at += 1
    return value


# Responses, written byte by byte (RFC 7252 section 3). The caller guarantees room: 76 bytes and
# the token before the payload, index[MAX_PAYLOAD] for it.

# Fields of a response, those that are sent in the order of their option numbers
FIELD_CODE = const(0)
FIELD_ETAG = const(1)  # length of the ETag
FIELD_OBSERVE = const(2)
FIELD_CONTENT_FORMAT = const(3)
FIELD_MAX_AGE = const(4)
FIELD_BLOCK2 = const(5)
FIELD_BLOCK1 = const(6)
FIELD_SIZE2 = const(7)
FIELD_SIZE1 = const(8)
FIELD_PAYLOAD_START = const(9)  # where in its buffer the payload lies
FIELD_PAYLOAD_LENGTH = const(10)
FIELDS_SENT = const(11)
# the others
FIELD_TOTAL = const(11)  # payload bytes written so far, kept or not
FIELD_HASH = const(12)  # of these bytes; 0 while it is not needed
FIELD_SKIP = const(13)  # FIELD_LIMIT bytes after the first FIELD_SKIP are kept
FIELD_LIMIT = const(14)
FIELD_BUFFER_START = const(15)  # where in its buffer the kept part lies
FIELD_SHORT = const(16)  # bytes of payload that every peer may get in one message
FIELD_MOST = const(17)  # that the peer of this response may get
FIELD_BUDGET = const(18)  # bytes to all unverified peers within a period, ABSENT: any number
FIELD_USED = const(19)  # of these, since FIELD_PERIOD_MS
FIELD_PERIOD_MS = const(20)
FIELD_FREE = const(21)  # bytes of payload for which no look at the peer is needed now
FIELDS = const(22)
_PERIOD_MS = const(10000)

# Results of select_block2()
BLOCK_MORE = const(1)
BLOCK_WITHOUT_ETAG = const(2)

# The notification in tx, for readdress()
NOTIFY_OPTION_AT = const(0)  # where its Observe option lies
NOTIFY_MID = const(1)  # of the next one
NOTIFY_VALUE = const(2)

SAFE_BYTES = const(136)  # that any request may bring about (RFC 9175 section 2.4)
SHORT_COPY = const(96)  # up to here a loop is faster than a call of copy()


@micropython.viper
def write_empty(tx: ptr8, buf: ptr8, index: ptr32, code: int, text) -> int:
    """Write a response without options; return its length. The MID of a NON comes later.

    text: bytes of its diagnostic payload, b"" for none.
    """
    n = index[OPTIONS_START]
    kind = 0x60
    if index[TYPE]:
        kind = 0x50
    tx[0] = kind | buf[0] & 15
    tx[1] = code
    i = 2
    while i < n:
        tx[i] = buf[i]
        i += 1
    length = int(_len(text))
    if length:
        payload = ptr8(text)  # pyright: ignore[reportCallIssue]
        tx[n] = 0xFF
        n += 1
        i = 0
        while i < length:
            tx[n] = payload[i]
            n += 1
            i += 1
    return n


@micropython.viper
def write_content(tx: ptr8, buf: ptr8, index: ptr32, options: ptr8, out) -> int:
    """Write a 2.05 with options written before; return its length, 0 if it takes more than that.

    `options` is a length byte and the bytes; `out` the payload, bytes. A request with side
    effects and a payload that is too long return 0. For a long payload, return minus the place
    where the caller must copy() it.
    """
    n = int(_len(out))
    payload = ptr8(out)  # pyright: ignore[reportCallIssue]
    if n > index[MAX_PAYLOAD] or index[FLAGS] & UNSAFE:
        return 0
    at = index[OPTIONS_START]
    kind = 0x60
    if index[TYPE]:
        kind = 0x50
    tx[0] = kind | buf[0] & 15
    tx[1] = 0x45
    i = 2
    while i < at:
        tx[i] = buf[i]
        i += 1
    length = options[0]
    i = 1
    while i <= length:
        tx[at] = options[i]
        at += 1
        i += 1
    if n:
        tx[at] = 0xFF
        at += 1
        if n > SHORT_COPY:
            return 0 - at
        i = 0
        while i < n:
            tx[at] = payload[i]
            at += 1
            i += 1
    return at


@micropython.viper
def clear_fields(fields: ptr32, code: int):
    """Start a response that is only a code."""
    i = FIELDS_SENT
    while i:
        i -= 1
        fields[i] = ABSENT
    fields[FIELD_CODE] = code
    fields[FIELD_ETAG] = 0
    fields[FIELD_PAYLOAD_START] = 0
    fields[FIELD_PAYLOAD_LENGTH] = 0
    fields[FIELD_TOTAL] = 0
    fields[FIELD_HASH] = 0


@micropython.viper
def inherit_fields(fields: ptr32, base: ptr32, index: ptr32, form: int):
    """Start a response with the fields of its resource, or the negotiated format `form`."""
    i = FIELDS_SENT
    while i:
        i -= 1
        fields[i] = ABSENT
    fields[FIELD_CONTENT_FORMAT] = form
    if form == ABSENT:
        fields[FIELD_CONTENT_FORMAT] = base[FIELD_CONTENT_FORMAT]
    fields[FIELD_ETAG] = 0
    if not index[FLAGS] & UNSAFE:
        fields[FIELD_ETAG] = base[FIELD_ETAG]
        fields[FIELD_MAX_AGE] = base[FIELD_MAX_AGE]
    fields[FIELD_CODE] = 0
    fields[FIELD_PAYLOAD_START] = 0
    fields[FIELD_PAYLOAD_LENGTH] = 0
    fields[FIELD_TOTAL] = 0
    fields[FIELD_HASH] = 0


@micropython.viper
def take_from_budget(fields: ptr32, n: int, now_ms: int, whole: int) -> int:
    """Take n bytes from the budget of unverified peers; return 0 if it is used up, else 1.

    whole: bytes of payload that a message carries. FIELD_FREE is that until the budget is used up.
    """
    if (now_ms - fields[FIELD_PERIOD_MS]) & _MASK >= _PERIOD_MS:
        fields[FIELD_PERIOD_MS] = now_ms
        fields[FIELD_USED] = 0
    left = fields[FIELD_BUDGET] - fields[FIELD_USED]
    fields[FIELD_FREE] = whole if left > n else fields[FIELD_SHORT]
    if left <= 0:
        return 0
    fields[FIELD_USED] += n
    return 1


@micropython.viper
def append_payload(into: ptr8, piece: ptr8, start: int, length: int, fields: ptr32):
    """Append piece[start:start+length] to the payload; keep what of it is wanted.

    `into` has room for FIELD_LIMIT bytes from FIELD_BUFFER_START on. The hash is computed, and
    kept, only for a payload that takes more than one message.
    """
    base = fields[FIELD_BUFFER_START]
    at = fields[FIELD_TOTAL]
    if fields[FIELD_SKIP] or at + length > fields[FIELD_LIMIT]:
        value = fields[FIELD_HASH]
        if value == 0:
            value = _HASH_SEED
            i = base
            end = base + at
            while i < end:
                value = (value * 33 ^ into[i]) & _MASK
                i += 1
        i = start
        end = start + length
        while i < end:
            value = (value * 33 ^ piece[i]) & _MASK
            i += 1
        fields[FIELD_HASH] = value
    fields[FIELD_TOTAL] = at + length
    at -= fields[FIELD_SKIP]
    if at < 0:
        start -= at
        length += at
        at = 0
    if at + length > fields[FIELD_LIMIT]:
        length = fields[FIELD_LIMIT] - at
    if length > 0:
        fields[FIELD_PAYLOAD_START] = base
        fields[FIELD_PAYLOAD_LENGTH] = at + length
        at += base
        end = start + length
        while start < end:
            into[at] = piece[start]
            at += 1
            start += 1


@micropython.viper
def block2_window(index: ptr32, fields: ptr32, szx: int) -> int:
    """Set the part of the payload that Block2 names: return 0 for the first, 1 for a later one, -1
    for a value that is not valid. szx: the largest block that a message takes.
    """
    value = index[IX_BLOCK2]
    size = value & 7
    if size == 7 or (value > 15 and index[FLAGS] & 1 << IX_BLOCK1):
        return -1
    # Of a block larger than ours the first part is sent; the client goes on with our size.
    fields[FIELD_SKIP] = (value >> 4) << (size + 4)
    if size > szx:
        size = szx
    size = 16 << size
    if size < fields[FIELD_LIMIT]:
        fields[FIELD_LIMIT] = size
    if value > 15:
        return 1
    return 0


@micropython.viper
def select_block2(index: ptr32, fields: ptr32, szx: int, most: int, whole: int) -> int:
    """Reduce the payload to the wanted block and set Block2.

    szx, most: its largest size, as an exponent and in bytes; whole: the payload is complete, not
    the collected part. Return -1 when the payload ends before that block, else bits: BLOCK_MORE
    when others follow, BLOCK_WITHOUT_ETAG when there are several and no ETag says that they
    belong together.
    """
    start = fields[FIELD_SKIP]
    total = fields[FIELD_TOTAL]
    if start and start >= total:
        return -1
    if index[FLAGS] & 1 << IX_BLOCK2 and index[IX_BLOCK2] & 7 < szx:
        szx = index[IX_BLOCK2] & 7
    size = 16 << szx
    while szx and size > most:
        szx -= 1
        size = 16 << szx
    if whole:
        fields[FIELD_PAYLOAD_START] = start
    length = total - start
    how = 0
    if length > size:
        length = size
        how = BLOCK_MORE
    if total > size and not fields[FIELD_ETAG]:
        how |= BLOCK_WITHOUT_ETAG
    fields[FIELD_PAYLOAD_LENGTH] = length
    fields[FIELD_BLOCK2] = (start >> (szx + 4)) << 4 | szx
    if how & BLOCK_MORE:
        fields[FIELD_BLOCK2] |= 8
    if start == 0 or index[FLAGS] & 1 << IX_SIZE2:
        fields[FIELD_SIZE2] = total
    return how


@micropython.viper
def serialize(
    tx: ptr8, buf: ptr8, index: ptr32, fields: ptr32, etag: ptr8, payload: ptr8, look: int
) -> int:
    """Write the whole response from its fields; return its length, or for a long payload minus the
    place where the caller must copy() it.

    Return 0 when a part of the payload would be lost; with Block2 more follows, and a diagnostic
    payload may be cut. Also settle the code that nobody set, and drop the Content-Format of an
    empty payload other than of 2.05; with `look` do only that, and return 1.

    buf lends the token, and the MID of a CON; the payload may lie in tx, from TX_PAYLOAD on.
    """
    if fields[FIELD_CODE] == 0:
        method = index[CODE]
        fields[FIELD_CODE] = 0x44
        if method == 1 or method == 5:
            fields[FIELD_CODE] = 0x45
        elif method == 4:
            fields[FIELD_CODE] = 0x42
    if fields[FIELD_PAYLOAD_LENGTH] > index[MAX_PAYLOAD]:
        return 0
    if (
        fields[FIELD_TOTAL] > fields[FIELD_LIMIT]
        and fields[FIELD_BLOCK2] == ABSENT
        and fields[FIELD_CODE] < 0x60
    ):
        return 0
    fields[FIELD_TOTAL] = 0
    if fields[FIELD_PAYLOAD_LENGTH] == 0 and fields[FIELD_CODE] != 0x45:
        fields[FIELD_CONTENT_FORMAT] = ABSENT
    if look:
        return 1
    n = index[OPTIONS_START]
    kind = 0x60
    if index[TYPE]:
        kind = 0x50
    tx[0] = kind | buf[0] & 15
    tx[1] = fields[FIELD_CODE]
    i = 2
    while i < n:
        tx[i] = buf[i]
        i += 1
    number = 0
    length = fields[FIELD_ETAG]
    if length:
        tx[n] = 0x40 | length
        n += 1
        i = 0
        while i < length:
            tx[n] = etag[i]
            n += 1
            i += 1
        number = 4
    field = FIELD_OBSERVE
    while field <= FIELD_SIZE1:
        value = fields[field]
        if value != ABSENT:
            option = 6
            if field == FIELD_CONTENT_FORMAT:
                option = 12
            elif field == FIELD_MAX_AGE:
                option = 14
            elif field == FIELD_BLOCK2:
                option = 23
            elif field == FIELD_BLOCK1:
                option = 27
            elif field == FIELD_SIZE2:
                option = 28
            elif field == FIELD_SIZE1:
                option = 60
            length = 0
            if value > 0xFFFFFF:
                length = 4
            elif value > 0xFFFF:
                length = 3
            elif value > 0xFF:
                length = 2
            elif value:
                length = 1
            number = option - number
            if number < 13:
                tx[n] = number << 4 | length
                n += 1
            else:
                tx[n] = 0xD0 | length
                tx[n + 1] = number - 13
                n += 2
            number = option
            while length:
                length -= 1
                tx[n] = value >> (8 * length) & 255
                n += 1
        field += 1
    length = fields[FIELD_PAYLOAD_LENGTH]
    if length:
        tx[n] = 0xFF
        n += 1
        if length > SHORT_COPY:
            return 0 - n
        i = fields[FIELD_PAYLOAD_START]
        length += i
        while i < length:
            tx[n] = payload[i]
            n += 1
            i += 1
    return n


@micropython.viper
def readdress(tx: ptr8, request: ptr8, written: ptr32) -> int:
    """Turn the NON notification in tx into that of the client that sent `request`, with a token of
    the same length, at most 8 bytes. Return 0, and write nothing, if the Observe value has another
    length.
    """
    at = written[NOTIFY_OPTION_AT]
    mid = written[NOTIFY_MID]
    number = written[NOTIFY_VALUE]
    length = tx[at] & 15
    size = 0
    if number > 0xFFFF:
        size = 3
    elif number > 0xFF:
        size = 2
    elif number:
        size = 1
    if size != length:
        return 0
    tx[2] = mid >> 8
    tx[3] = mid & 255
    i = 4 + (tx[0] & 15)
    while i > 4:
        i -= 1
        tx[i] = request[i]
    while length:
        length -= 1
        at += 1
        tx[at] = number >> (8 * length) & 255
    return 1


@micropython.viper
def same_request(a: ptr8, b: ptr8, n: int) -> int:
    """Return 1 if two messages of n bytes, tokens of at most 8, differ only in MID and token."""
    if a[0] != b[0] or a[1] != b[1]:
        return 0
    i = 4 + (a[0] & 15)
    while i < n:
        if a[i] != b[i]:
            return 0
        i += 1
    return 1


@micropython.viper
def write_option_header(tx: ptr8, at: int, delta: int, length: int) -> int:
    """Write the header of an option at tx[at], at most 5 bytes; return its end."""
    first = at
    at += 1
    high = delta
    if delta > 268:
        high = 14
        tx[at] = delta - 269 >> 8
        tx[at + 1] = (delta - 269) & 255
        at += 2
    elif delta > 12:
        high = 13
        tx[at] = delta - 13
        at += 1
    low = length
    if length > 268:
        low = 14
        tx[at] = length - 269 >> 8
        tx[at + 1] = (length - 269) & 255
        at += 2
    elif length > 12:
        low = 13
        tx[at] = length - 13
        at += 1
    tx[first] = high << 4 | low
    return at


# Numbers as text


@micropython.viper
def write_decimal(tx: ptr8, at: int, value: int, decimals: int) -> int:
    """Write value / 10**decimals as text at tx[at], at most 13 bytes; return its end."""
    if value < 0:
        tx[at] = 45
        at += 1
        value = 0 - value
    digits = 1
    rest = value
    while rest > 9:
        rest = rest // 10
        digits += 1
    if digits <= decimals:
        digits = decimals + 1
    end = at + digits
    if decimals:
        end += 1
    i = end
    while digits:
        i -= 1
        rest = value // 10
        tx[i] = 48 + value - 10 * rest
        value = rest
        digits -= 1
        decimals -= 1
        if decimals == 0:
            i -= 1
            tx[i] = 46
    return end


@micropython.viper
def write_cbor_number(into: ptr8, at: int, value: int, decimals: int) -> int:
    """Write value / 10**decimals as a CBOR integer or decimal fraction (RFC 8949 section 3.4.4)
    at into[at], at most 8 bytes; return its end. decimals: at most 24.
    """
    if decimals:
        into[at] = 0xC4  # [exponent, mantissa]
        into[at + 1] = 0x82
        into[at + 2] = 0x1F + decimals
        at += 3
    major = 0
    if value < 0:
        major = 0x20
        value = -1 - value
    if value < 24:
        into[at] = major | value
        return at + 1
    major += 24
    size = 1
    if value > 0xFFFF:
        size = 4
        major += 2
    elif value > 0xFF:
        size = 2
        major += 1
    into[at] = major
    while size:
        size -= 1
        at += 1
        into[at] = value >> 8 * size & 255
    return at + 1


# Copies. Only here are pointers moved: that costs a third of an index for each byte. Words are
# moved where both buffers are aligned alike; the processors of PCs need no alignment.
_ALIGNMENT = 0 if sys.platform in ("linux", "darwin") else 3


@micropython.viper
def copy(to: ptr8, at: int, source: ptr8, start: int, n: int):
    """Set to[at:at+n] = source[start:start+n], forward: bytes may move down in one buffer."""
    to = ptr8(int(to) + at)
    source = ptr8(int(source) + start)
    if n > 31 and (int(to) ^ int(source)) & int(_ALIGNMENT) == 0:
        while int(to) & int(_ALIGNMENT):
            to[0] = source[0]
            to = ptr8(int(to) + 1)
            source = ptr8(int(source) + 1)
            n -= 1
        words = ptr32(to)
        more = ptr32(source)
        while n > 31:
            words[0] = more[0]
            words[1] = more[1]
            words[2] = more[2]
            words[3] = more[3]
            words[4] = more[4]
            words[5] = more[5]
            words[6] = more[6]
            words[7] = more[7]
            words = ptr32(int(words) + 32)
            more = ptr32(int(more) + 32)
            n -= 32
        to = ptr8(words)
        source = ptr8(more)
    while n > 7:
        to[0] = source[0]
        to[1] = source[1]
        to[2] = source[2]
        to[3] = source[3]
        to[4] = source[4]
        to[5] = source[5]
        to[6] = source[6]
        to[7] = source[7]
        to = ptr8(int(to) + 8)
        source = ptr8(int(source) + 8)
        n -= 8
    at = 0
    while at < n:
        to[at] = source[at]
        at += 1


def _copy(to, at, source, start, n):
    while n:
        to[at] = source[start]
        at += 1
        start += 1
        n -= 1


try:
    copy = ptr8(_copy)  # not machine code: pointers can not be moved
except NameError:
    del _copy
