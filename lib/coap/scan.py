"""Every loop over bytes: the one file that is compiled to machine code (RFC 7252 section 3).

The same text runs on CPython, where the pointer types are identities and every index is checked.
Pointers carry no length, so each function states what its caller promises.

`scan()` indexes a message once into an array of ints, the *index*, and nothing is copied:

    1..23    one slot an option: the value of a uint option, else where its first header lies
    24+slot  where the last option of that number ends (equal numbers are neighbours on the wire)
    48..     the facts of the message named below
    64+n     what is known of option number n: slot, kind and longest value
    128..    facts and settings of its owner

FLAGS say what the message is, one bit a fact; bit `1 << slot` says that the option is there. Ints stay below 2**30, the small ints of a 32-bit board, and are never negative: `ptr32`
reads -1 as 0xffffffff on a 64-bit one.
"""

from array import array

import micropython
from micropython import const

# Option slots
IF_MATCH = const(1)
URI_HOST = const(2)
ETAG = const(3)
IF_NONE_MATCH = const(4)
OBSERVE = const(5)
URI_PORT = const(6)
URI_PATH = const(7)
CONTENT_FORMAT = const(8)
URI_QUERY = const(9)
ACCEPT = const(10)
BLOCK2 = const(11)
BLOCK1 = const(12)
SIZE2 = const(13)
SIZE1 = const(14)
PROXY = const(15)
OSCORE = const(16)
ECHO = const(17)
NO_RESPONSE = const(18)
REQUEST_TAG = const(19)
MAX_AGE = const(20)
LOCATION_PATH = const(21)
LOCATION_QUERY = const(22)
UNKNOWN = const(23)  # an option that is critical and not in the table, or not as it may be
ENDS = const(24)

# Facts
FLAGS = const(48)  # what scan() returned
TYPE = const(49)
CODE = const(50)
MID = const(51)
TOKEN = const(52)  # where the token starts
HEAD = const(53)  # where it ends
ROUTE = const(54)  # number of the route that a plain request names, MISSING or ABSENT
PAYLOAD = const(55)  # where the payload starts; SIZE when there is none
SIZE = const(56)
TOKEN_MAX = const(57)  # setting: longest token (RFC 8974); 8 means plain RFC 7252
ROOM = const(58)  # setting: longest payload of a message
BODY = const(59)  # setting: where in the tx buffer a reply collects its payload
VALUE = const(60)  # result of step(): where the value lies, and how long it is
LENGTH = const(61)
LIMIT = const(62)  # setting: longest message
COUNT = const(63)  # datagrams that scan() has seen, modulo 2**30
TABLE = const(64)
FOUND = const(128)  # number of the route that a request names, plain or not; ABSENT: none
SPECIAL = const(129)  # setting: a request with one of these bits is not plain
WATCH = const(130)  # setting: the bits that scan() returns

# Bits of FLAGS beyond the option slots
REQUEST = const(1 << 0)
UNSAFE = const(1 << 24)  # a request with side effects: executed once
NON = const(1 << 25)  # a request that wants no ACK
OTHER = const(1 << 26)  # no request: ACK, RST, ping or a response
ODD = const(1 << 27)  # a request with a method that has no name, or longer than the node takes
REFUSE = const(1 << 28)  # format error in a CON: RST
SILENT = const(1 << 29)  # format error that gets no answer

ABSENT = const(0x3FFFFFFF)  # "no value" where 0 is one
MISSING = const(0x3FFFFFFE)  # ROUTE of a request that is plain, but for its path
ROUTES = const(256)  # ROUTE is below it where there is one
NO_ACCEPT = const(0x10000)  # index[ACCEPT] of a request without Accept
ANY_FORMAT = const(0xFFFE)  # a route with which no Accept is plain
LOOK = const(0xFFFD)  # a route that is never plain: its resource does not exist at present

_SLOT = const(31)
_UINT = const(1 << 5)
_MANY = const(1 << 6)  # repeatable
_FULL = const(1 << 7)  # may not be empty
_LONGEST = const(8)  # shift of the longest length
_MASK = const(0x3FFFFFFF)
_HASH_SEED = const(5381)

_len = len  # found at once: the names that are built in are searched one by one

# (option number, slot, kind, longest value); a PROXY option may come in two numbers
_KNOWN = (
    (1, IF_MATCH, _MANY, 8),
    (3, URI_HOST, _FULL, 255),
    (4, ETAG, _MANY | _FULL, 8),
    (5, IF_NONE_MATCH, 0, 0),
    (6, OBSERVE, _UINT, 3),
    (7, URI_PORT, _UINT, 2),
    (8, LOCATION_PATH, _MANY, 255),
    (9, OSCORE, 0, 255),
    (11, URI_PATH, _MANY, 255),
    (12, CONTENT_FORMAT, _UINT, 2),
    (14, MAX_AGE, _UINT, 4),
    (15, URI_QUERY, _MANY, 255),
    (17, ACCEPT, _UINT, 2),
    (20, LOCATION_QUERY, _MANY, 255),
    (23, BLOCK2, _UINT, 3),
    (27, BLOCK1, _UINT, 3),
    (28, SIZE2, _UINT, 4),
    (35, PROXY, _MANY | _FULL, 1034),
    (39, PROXY, _MANY | _FULL, 255),
    (60, SIZE1, _UINT, 4),
    (61, ECHO, _FULL, 40),  # 252, 258 and 292 have their rows at unassigned low numbers
    (62, NO_RESPONSE, _UINT, 1),
    (63, REQUEST_TAG, _MANY, 8),
)

# What a request may carry without anybody having to refuse it
CRITICAL = const(
    1 << IF_MATCH
    | 1 << URI_HOST
    | 1 << IF_NONE_MATCH
    | 1 << URI_PORT
    | 1 << URI_PATH
    | 1 << URI_QUERY
    | 1 << ACCEPT
    | 1 << BLOCK2
    | 1 << BLOCK1
    | 1 << PROXY
    | 1 << OSCORE
    | 1 << UNKNOWN
)


def index(room=1024, token_max=8):
    """A new index for `scan()`: settings and table filled in."""
    r = array("i", [0] * 131)
    r[WATCH] = _MASK
    for number, slot, kind, longest in _KNOWN:
        r[TABLE + number] = slot | kind | longest << _LONGEST
    r[TOKEN_MAX] = token_max
    r[ROOM] = room
    r[LIMIT] = room + 128
    r[BODY] = 80 + token_max
    return r


@micropython.viper
def scan(buf: ptr8, n: int, r: ptr32, routes: ptr8) -> int:
    """Index the message in buf[0:n] and find its route; return those of its FLAGS that r[WATCH]
    names. Any bytes are fine; buf holds n of them. Of `routes` see coap.routes.table().

    A format error is SILENT, or REFUSE in a CON: RFC 7252 sections 3 and 4.2. The first of a
    non-repeatable option counts; a later one, or a value out of its length range, is an unknown
    option (section 5.4.3, 5.4.5).
    """
    r[FLAGS] = SILENT
    r[COUNT] = (r[COUNT] + 1) & _MASK
    if n < 4:
        return SILENT
    head = buf[0]
    if head >> 6 != 1:
        return SILENT
    kind = head >> 4 & 3
    bad = SILENT
    if kind == 0:
        bad = REFUSE
    code = buf[1]
    r[TYPE] = kind
    r[CODE] = code
    r[MID] = buf[2] << 8 | buf[3]
    r[FLAGS] = bad
    i = 4
    length = head & 15
    if length > 8:
        if r[TOKEN_MAX] <= 8 or length > 13:
            return bad
        if length == 13:
            if n < 5:
                return bad
            length = 13 + buf[4]
            i = 5
        if length > r[TOKEN_MAX]:
            return bad
    r[TOKEN] = i
    i += length
    if i > n:
        return bad
    r[HEAD] = i
    flags = 0
    family = code >> 5
    if code == 0:
        if n > 4 or kind == 1:
            return bad
        flags = OTHER
    elif family == 0:
        flags = REQUEST
        if kind > 1:
            flags = OTHER
        elif kind == 1:
            flags |= NON
        if code > 7:
            flags |= ODD
        elif code != 1 and code != 5:
            flags |= UNSAFE
        if n > r[LIMIT]:
            flags |= ODD
    elif family == 1 or family > 5:
        return bad
    else:
        flags = OTHER
    number = 0
    digest = 0
    r[PAYLOAD] = n
    r[SIZE] = n
    r[ACCEPT] = NO_ACCEPT
    while i < n:
        at = i
        head = buf[i]
        i += 1
        if head == 0xFF:
            if i == n:
                return bad
            r[PAYLOAD] = i
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
            known = r[TABLE + number]
        elif number == 252:
            known = r[TABLE + 61]
        elif number == 258:
            known = r[TABLE + 62]
        elif number == 292:
            known = r[TABLE + 63]
        slot = known & _SLOT
        if known == 0 or length > known >> _LONGEST or (length == 0 and known & _FULL):
            if number & 1:
                flags |= 1 << UNKNOWN
        elif flags >> slot & 1:
            if known & _MANY:
                r[ENDS + slot] = end
                if slot == URI_PATH:
                    digest = (digest * 33 ^ length) & 255
                    while i < end:
                        digest = (digest * 33 ^ buf[i]) & 255
                        i += 1
            elif number & 1:
                flags |= 1 << UNKNOWN
        else:
            flags |= 1 << slot
            r[ENDS + slot] = end
            if known & _UINT:
                value = 0
                if length == 4 and buf[i] > 0x3F:
                    value = _MASK
                else:
                    while i < end:
                        value = value << 8 | buf[i]
                        i += 1
                r[slot] = value
            else:
                r[slot] = at
                if slot == URI_PATH:
                    digest = (digest * 33 ^ length) & 255
                    while i < end:
                        digest = (digest * 33 ^ buf[i]) & 255
                        i += 1
        i = end
    r[FLAGS] = flags
    r[ROUTE] = ABSENT
    r[FOUND] = ABSENT
    if flags & OTHER:
        return flags & r[WATCH]
    # The segments are compared as they lie on the wire; only the first delta depends on what
    # precedes the path. The root is the empty path or one empty segment.
    first = 0
    length = 0
    if flags & 1 << URI_PATH:
        first = r[URI_PATH]
        length = r[ENDS + URI_PATH] - first
        if length == 1:
            length = 0
    count = routes[0]
    slot = 0
    while slot < count:
        slot += 1
        if routes[slot] != digest:
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
        r[FOUND] = slot
        if not flags & r[SPECIAL]:
            number = r[ACCEPT]
            value = routes[at - 2] << 8 | routes[at - 1]
            if value != LOOK and (
                number == NO_ACCEPT or (number == value and value != ANY_FORMAT)
            ):
                r[ROUTE] = slot
        return flags & r[WATCH]
    if not flags & r[SPECIAL]:
        r[ROUTE] = MISSING
    return flags & r[WATCH]


@micropython.viper
def under(buf: ptr8, r: ptr32, routes: ptr8, route: int) -> int:
    """Does the path of the request begin with all segments of the route at routes[route:]?

    The root is above all.
    """
    n = routes[route] << 8 | routes[route + 1]
    if n == 0:
        return 1
    if not r[FLAGS] & 1 << URI_PATH:
        return 0
    at = r[URI_PATH]
    length = r[ENDS + URI_PATH] - at
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
def step(buf: ptr8, at: int, r: ptr32) -> int:
    """Where the option after the one at `at` starts; r[VALUE] and r[LENGTH] get its value.

    The option must have passed scan().
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
    r[VALUE] = at
    r[LENGTH] = length
    return at + length


@micropython.viper
def holds(buf: ptr8, r: ptr32, slot: int, value) -> int:
    """1 when one of the values of an opaque option is `value`."""
    if not r[FLAGS] & 1 << slot:
        return 0
    wanted = ptr8(value)  # pyright: ignore[reportCallIssue]
    n = int(_len(value))
    at = r[slot]
    end = r[ENDS + slot]
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
    """1 when a[at:at+n] == b[start:start+n]; both hold so many."""
    i = 0
    while i < n:
        if a[at + i] != b[start + i]:
            return 0
        i += 1
    return 1


@micropython.viper
def same_token(a: ptr8, b: ptr8, r: ptr32) -> int:
    """1 when message a has the token of message b, whose index is r; a has as many bytes."""
    if (a[0] ^ b[0]) & 15:
        return 0
    n = r[HEAD]
    i = 4
    while i < n:
        if a[i] != b[i]:
            return 0
        i += 1
    return 1


@micropython.viper
def copy(to: ptr8, at: int, source: ptr8, start: int, n: int):
    """to[at:at+n] = source[start:start+n], forward: it may move bytes down in one buffer."""
    n += start
    while start < n:
        to[at] = source[start]
        at += 1
        start += 1


@micropython.viper
def digest(buf: ptr8, start: int, n: int, value: int) -> int:
    """Continue a 30-bit digest over buf[start:start+n]."""
    n += start
    while start < n:
        value = (value * 33 ^ buf[start]) & _MASK
        start += 1
    return value


@micropython.viper
def digest_option(buf: ptr8, r: ptr32, slot: int, value: int) -> int:
    """Continue a 30-bit digest over all options of one number, present or not."""
    value = (value * 33 ^ slot) & _MASK
    if r[FLAGS] & 1 << slot:
        # the first header's delta depends on the options before it
        at = r[slot]
        n = r[ENDS + slot]
        value = (value * 33 ^ (buf[at] & 15)) & _MASK
        at += 1
        while at < n:
            value = (value * 33 ^ buf[at]) & _MASK
            at += 1
    return value


@micropython.viper
def links(link: ptr8, n: int, query: ptr8, at: int, end: int) -> int:
    """Does the link in link[0:n] match the filter `name=value` in query[at:end]? (RFC 6690 4.1)

    `value*` matches a prefix, `name` alone any link that has the attribute; href is the target.
    Attributes with short names (rt, if, ct, rel) hold words, and match by any of them.
    """
    if at == end:
        return 1
    equals = at
    while equals < end and query[equals] != 61:
        equals += 1
    first = equals + 1
    prefix = 0
    if equals == end:
        first = end
        prefix = 1
    elif end > first and query[end - 1] == 42:
        prefix = 1
        end -= 1
    i = 2
    if equals - at == 4 and query[at] == 104 and query[at + 1] == 114:
        if query[at + 2] == 101 and query[at + 3] == 102:  # href
            i = 1
            while first < end and link[i] != 62 and link[i] == query[first]:
                i += 1
                first += 1
            if first < end:
                return 0
            return 1 if prefix or link[i] == 62 else 0
    words = 1 if equals - at < 4 else 0
    while i < n and link[i] != 62:
        i += 1
    i += 1
    while i < n:
        # at the ";" before an attribute
        i += 1
        j = at
        while j < equals and i < n and link[i] == query[j]:
            i += 1
            j += 1
        found = 0
        if j == equals and (i == n or link[i] == 61 or link[i] == 59):
            found = 1
        while i < n and link[i] != 61 and link[i] != 59:
            i += 1
        start = found
        if i < n and link[i] == 61:
            i += 1
            stop = 59
            if i < n and link[i] == 34:
                stop = 34
                i += 1
            while i < n and link[i] != stop:
                if start:
                    k = i
                    j = first
                    while j < end and k < n and link[k] != stop:
                        if link[k] == 92 and stop == 34:
                            k += 1
                        if link[k] != query[j]:
                            break
                        k += 1
                        j += 1
                    if j == end:
                        if prefix or k == n or link[k] == stop or (words and link[k] == 32):
                            return 1
                start = 0
                if link[i] == 92 and stop == 34:
                    i += 1
                elif link[i] == 32 and words:
                    start = found
                i += 1
            if stop == 34:
                i += 1
        if start and first == end:
            return 1  # nothing is asked for, and nothing is there
    return 0


# Replies. The caller promises room: 76 bytes and the token before the payload, ROOM after.


@micropython.viper
def bare(tx: ptr8, buf: ptr8, r: ptr32, code: int) -> int:
    """A reply of a code and nothing else: its length in tx. The MID of a NON is stamped later."""
    n = r[HEAD]
    kind = 0x60
    if r[TYPE]:
        kind = 0x50
    tx[0] = kind | buf[0] & 15
    tx[1] = code
    i = 2
    while i < n:
        tx[i] = buf[i]
        i += 1
    return n


@micropython.viper
def ready(tx: ptr8, buf: ptr8, r: ptr32, options: ptr8, out) -> int:
    """A 2.05 whose options were written when the resource was made; 0 when it takes more.

    `options` is a length byte and the bytes; `out` the payload, bytes. What has side effects is
    answered otherwise, and so is what is too long.
    """
    n = int(_len(out))
    payload = ptr8(out)  # pyright: ignore[reportCallIssue]
    if n > r[ROOM] or r[FLAGS] & UNSAFE:
        return 0
    at = r[HEAD]
    kind = 0x60
    if r[TYPE]:
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
        i = 0
        while i < n:
            tx[at] = payload[i]
            at += 1
            i += 1
    return at


# The ints of a reply that emit() writes, in the order of their option numbers
Q_CODE = const(0)
Q_ETAG = const(1)  # length of the ETag
Q_OBSERVE = const(2)
Q_FORMAT = const(3)
Q_MAX_AGE = const(4)
Q_BLOCK2 = const(5)
Q_BLOCK1 = const(6)
Q_SIZE2 = const(7)
Q_SIZE1 = const(8)
Q_START = const(9)  # where in its buffer the payload lies
Q_LENGTH = const(10)
Q_SIZE = const(11)
# and what else is known of it
Q_AT = const(11)  # payload bytes written so far, whether they are kept or not
Q_DIGEST = const(12)  # of them; 0 while it is not needed
Q_SKIP = const(13)  # only a part is kept: LIMIT bytes after the first SKIP
Q_LIMIT = const(14)
Q_BASE = const(15)  # where in its buffer the kept part lies
Q_ALL = const(16)


@micropython.viper
def blank(q: ptr32, code: int):
    """A reply of nothing but a code."""
    i = Q_SIZE
    while i:
        i -= 1
        q[i] = ABSENT
    q[Q_CODE] = code
    q[Q_ETAG] = 0
    q[Q_START] = 0
    q[Q_LENGTH] = 0
    q[Q_AT] = 0
    q[Q_DIGEST] = 0


@micropython.viper
def inherit(q: ptr32, base: ptr32, r: ptr32, form: int):
    """A reply with the constants of its resource, or of the format that was negotiated."""
    i = Q_SIZE
    while i:
        i -= 1
        q[i] = ABSENT
    q[Q_FORMAT] = form
    if form == ABSENT:
        q[Q_FORMAT] = base[Q_FORMAT]
    q[Q_ETAG] = 0
    if not r[FLAGS] & UNSAFE:
        q[Q_ETAG] = base[Q_ETAG]
        q[Q_MAX_AGE] = base[Q_MAX_AGE]
    q[Q_CODE] = 0
    q[Q_START] = 0
    q[Q_LENGTH] = 0
    q[Q_AT] = 0
    q[Q_DIGEST] = 0


@micropython.viper
def append(into: ptr8, piece: ptr8, start: int, length: int, q: ptr32):
    """Append piece[start:start+length] to the payload, as far as it is wanted.

    `into` has room for LIMIT bytes from BASE on. The digest is only needed, and only kept, of a
    payload that takes more than one message.
    """
    base = q[Q_BASE]
    at = q[Q_AT]
    if q[Q_SKIP] or at + length > q[Q_LIMIT]:
        value = q[Q_DIGEST]
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
        q[Q_DIGEST] = value
    q[Q_AT] = at + length
    at -= q[Q_SKIP]
    if at < 0:
        start -= at
        length += at
        at = 0
    if at + length > q[Q_LIMIT]:
        length = q[Q_LIMIT] - at
    if length > 0:
        q[Q_START] = base
        q[Q_LENGTH] = at + length
        at += base
        end = start + length
        while start < end:
            into[at] = piece[start]
            at += 1
            start += 1


@micropython.viper
def fits(r: ptr32, q: ptr32) -> int:
    """0 when a part of the payload is lost; Block2 says that there is more, a diagnostic may end.

    Also settles that an empty payload has no format, but for a 2.05.
    """
    if q[Q_LENGTH] > r[ROOM]:
        return 0
    if q[Q_AT] > q[Q_LIMIT] and q[Q_BLOCK2] == ABSENT and q[Q_CODE] < 0x60:
        return 0
    q[Q_AT] = 0
    if q[Q_LENGTH] == 0 and q[Q_CODE] != 0x45:
        q[Q_FORMAT] = ABSENT
    return 1


@micropython.viper
def emit(tx: ptr8, buf: ptr8, r: ptr32, q: ptr32, etag: ptr8, payload: ptr8) -> int:
    """The whole reply from its ints; its length in tx, 0 when it does not fit.

    buf lends the token, and the MID of a CON; the payload may lie in tx itself, from BODY on.
    """
    if not int(fits(r, q)):
        return 0
    n = r[HEAD]
    kind = 0x60
    if r[TYPE]:
        kind = 0x50
    tx[0] = kind | buf[0] & 15
    tx[1] = q[Q_CODE]
    i = 2
    while i < n:
        tx[i] = buf[i]
        i += 1
    number = 0
    length = q[Q_ETAG]
    if length:
        tx[n] = 0x40 | length
        n += 1
        i = 0
        while i < length:
            tx[n] = etag[i]
            n += 1
            i += 1
        number = 4
    field = Q_OBSERVE
    while field <= Q_SIZE1:
        value = q[field]
        if value != ABSENT:
            option = 6
            if field == Q_FORMAT:
                option = 12
            elif field == Q_MAX_AGE:
                option = 14
            elif field == Q_BLOCK2:
                option = 23
            elif field == Q_BLOCK1:
                option = 27
            elif field == Q_SIZE2:
                option = 28
            elif field == Q_SIZE1:
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
    length = q[Q_LENGTH]
    if length:
        tx[n] = 0xFF
        n += 1
        i = q[Q_START]
        length += i
        while i < length:
            tx[n] = payload[i]
            n += 1
            i += 1
    return n


@micropython.viper
def head(tx: ptr8, at: int, delta: int, length: int) -> int:
    """Write the header of an option of `length` bytes at tx[at], at most 5 bytes: its end."""
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
def decimal(tx: ptr8, at: int, value: int, decimals: int) -> int:
    """Write value / 10**decimals as text at tx[at], at most 13 bytes: its end."""
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


# The message layer: at most once, and random numbers

# The ring of remembered requests: counts and lifetimes, entries of (peer << 16 | MID, when, length
# of the stored reply with RING_NON for a NON), one word a peer: is it verified?
RING_ENTRIES = const(0)
RING_CON_MS = const(1)
RING_NON_MS = const(2)
RING_FIRST = const(3)
RING_STEP = const(3)
RING_NON = const(1 << 16)


@micropython.viper
def seen(ring: ptr32, r: ptr32, who: int, now_ms: int) -> int:
    """Look the request of peer `who` up among those that are remembered.

    The entry's number when it is there. Else an entry is made: over a dead one, and the answer is
    entries + its number; or over the oldest that the sender may push out, and it is 2 * entries +
    its number. -1 when there is none: only a verified peer pushes out a verified one.
    """
    count = ring[RING_ENTRIES]
    peers = RING_FIRST + RING_STEP * count
    trusted = ring[peers + who]
    key = who << 16 | r[MID]
    victim = -1
    oldest = -1
    i = 0
    at = RING_FIRST
    while i < count:
        other = ring[at]
        age = (now_ms - ring[at + 1]) & _MASK
        if other == ABSENT or (
            # a NON is remembered for less long
            age >= ring[RING_NON_MS] and (age >= ring[RING_CON_MS] or ring[at + 2] & RING_NON)
        ):
            if oldest != _MASK:
                oldest = _MASK
                victim = i
        elif other == key:
            return i
        elif age > oldest:
            if trusted or ring[peers + (other >> 16)] == 0:
                oldest = age
                victim = i
        at += RING_STEP
        i += 1
    if victim < 0:
        return -1
    at = RING_FIRST + RING_STEP * victim
    ring[at] = key
    ring[at + 1] = now_ms & _MASK
    ring[at + 2] = RING_NON if r[TYPE] else 0
    if oldest == _MASK:
        return count + victim
    return 2 * count + victim


@micropython.viper
def random16(state: ptr32) -> int:
    """The next of a full-period sequence of 2**30, its upper 16 bits."""
    value = (state[0] * 29773421 + 12345) & _MASK
    state[0] = value
    return value >> 14


# Frames on a serial line: RFC 1055, RFC 1662 appendix C

# What unslip() keeps of a line: how it stands, what the frame is, how long it is, how long one may
# be; the chunk at hand: where to go on, how many bytes of text lie at its start; then counts
SLIP_MODE = const(0)
SLIP_KIND = const(1)  # the first byte of the frame, which is not among its bytes
SLIP_SIZE = const(2)
SLIP_ROOM = const(3)
SLIP_AT = const(4)
SLIP_TEXT = const(5)
SLIP_WILD = const(6)  # text that is none: the rest of a frame whose start was lost
SLIP_BREAK = const(7)  # Ctrl-C came outside of frames
SLIP_DROPPED = const(8)  # frames that were too long or had a wrong escape
SLIP_WORDS = const(9)

# SLIP_MODE
SLIP_OUTSIDE = const(0)
SLIP_BEGUN = const(1)  # after an END
SLIP_INSIDE = const(2)
SLIP_ESCAPED = const(3)
SLIP_SKIPPED = const(4)  # the rest of a damaged frame


@micropython.viper
def unslip(chunk: ptr8, n: int, frame: ptr8, w: ptr32) -> int:
    """Take chunk[w[SLIP_AT]:n] until a frame ends: 1, and its SLIP_SIZE bytes lie in `frame`; 0
    when the chunk ends first.

    Text outside of frames is moved to the start of the chunk. The END of a frame may be the start
    of the next one if bytes were lost, so it is the caller that says whether the frame was good,
    with SLIP_OUTSIDE. Only the start of a long frame is kept, and one with CoAP is dropped.
    """
    at = w[SLIP_AT]
    mode = w[SLIP_MODE]
    size = w[SLIP_SIZE]
    room = w[SLIP_ROOM]
    text = w[SLIP_TEXT]
    while at < n:
        byte = chunk[at]
        at += 1
        if byte == 0xC0:
            done = 0
            if mode == SLIP_INSIDE:
                done = 1
            elif mode == SLIP_ESCAPED:
                w[SLIP_DROPPED] += 1
            mode = SLIP_BEGUN
            w[SLIP_WILD] = 0
            if done:
                w[SLIP_AT] = at
                w[SLIP_MODE] = mode
                w[SLIP_SIZE] = size
                w[SLIP_TEXT] = text
                return 1
        elif mode == SLIP_INSIDE or mode == SLIP_ESCAPED:
            if byte == 0xDB and mode == SLIP_INSIDE:
                mode = SLIP_ESCAPED
                continue
            if mode == SLIP_ESCAPED:
                mode = SLIP_INSIDE
                if byte == 0xDC:
                    byte = 0xC0
                elif byte == 0xDD:
                    byte = 0xDB
                else:
                    mode = SLIP_SKIPPED
                    w[SLIP_DROPPED] += 1
            if size < room:
                frame[size] = byte
                size += 1
            elif mode == SLIP_INSIDE and w[SLIP_KIND] == 0xA9:
                mode = SLIP_SKIPPED
                w[SLIP_DROPPED] += 1
        elif mode != SLIP_SKIPPED:
            high = byte >> 4
            if mode == SLIP_BEGUN and (
                byte == 0xA9 or byte == 10 or high == 6 or (high == 4 and byte & 15 > 4)
            ):
                mode = SLIP_INSIDE
                w[SLIP_KIND] = byte
                size = 0
            elif mode == SLIP_BEGUN and byte > 127:
                mode = SLIP_SKIPPED
                w[SLIP_DROPPED] += 1
            else:
                mode = SLIP_OUTSIDE
                if byte > 127:
                    w[SLIP_WILD] = 1
                elif byte == 13:
                    w[SLIP_WILD] = 0
                elif byte == 3 and w[SLIP_WILD] == 0:
                    w[SLIP_BREAK] = 1
                chunk[text] = byte
                text += 1
    w[SLIP_AT] = at
    w[SLIP_MODE] = mode
    w[SLIP_SIZE] = size
    w[SLIP_TEXT] = text
    return 0


@micropython.viper
def slip(out: ptr8, at: int, source: ptr8, w: ptr32) -> int:
    """Escape source[w[SLIP_AT]:w[SLIP_SIZE]] into out[at:w[SLIP_ROOM]], as much as fits: its end.

    With room for two bytes there is always some that fits.
    """
    i = w[SLIP_AT]
    n = w[SLIP_SIZE]
    room = w[SLIP_ROOM] - 1
    while i < n and at < room:
        byte = source[i]
        i += 1
        if byte == 0xC0 or byte == 0xDB:
            out[at] = 0xDB
            at += 1
            byte = 0xDC if byte == 0xC0 else 0xDD
        out[at] = byte
        at += 1
    w[SLIP_AT] = i
    return at


@micropython.viper
def fcs16(buf: ptr8, n: int, value: int) -> int:
    """Continue the frame check sequence of RFC 1662, which starts as 0xFFFF, over buf[0:n]."""
    i = 0
    while i < n:
        byte = (buf[i] ^ value) & 255
        byte = (byte ^ byte << 4) & 255
        value = value >> 8 ^ byte << 8 ^ byte << 3 ^ byte >> 4
        i += 1
    return value
