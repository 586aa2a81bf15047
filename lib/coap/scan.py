"""Every loop over bytes: the one file that is compiled to machine code (RFC 7252 section 3).

The same text runs on CPython, where the pointer types are identities and every index is checked.
Pointers carry no length, so each function states what its caller promises.

`scan()` indexes a message once into an array of ints, the *index*, and nothing is copied:

    1..23    one slot an option: the value of a uint option, else where its first header lies
    24+slot  where the last option of that number ends (equal numbers are neighbours on the wire)
    48..     the facts of the message named below
    64+n     what is known of option number n: slot, kind and longest value

The return value says what the message is, one bit a fact; bit `1 << slot` says that the option is
there. Ints stay below 2**30, the small ints of a 32-bit board, and are never negative: `ptr32`
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
HASH = const(54)  # of the Uri-Path segments
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

# Bits of the return value beyond the option slots
REQUEST = const(1 << 0)
UNSAFE = const(1 << 24)  # a request with side effects: executed once
NON = const(1 << 25)  # a request that wants no ACK
OTHER = const(1 << 26)  # no request: ACK, RST, ping or a response
ODD = const(1 << 27)  # a request with a method that has no name, or longer than the node takes
REFUSE = const(1 << 28)  # format error in a CON: RST
SILENT = const(1 << 29)  # format error that gets no answer

ABSENT = const(0x3FFFFFFF)  # "no value" where 0 is one
NO_ACCEPT = const(0x10000)  # index[ACCEPT] of a request without Accept
ANY_FORMAT = const(0xFFFE)  # a route that takes more than one Accept
LOOK = const(0xFFFD)  # a route that is never plain: its resource does not exist at present

_SLOT = const(31)
_UINT = const(1 << 5)
_MANY = const(1 << 6)  # repeatable
_FULL = const(1 << 7)  # may not be empty
_LONGEST = const(8)  # shift of the longest length
_MASK = const(0x3FFFFFFF)
_HASH_SEED = const(5381)

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
    """A new index for `scan()`: 128 ints, settings and table filled in."""
    r = array("i", [0] * 128)
    for number, slot, kind, longest in _KNOWN:
        r[TABLE + number] = slot | kind | longest << _LONGEST
    r[TOKEN_MAX] = token_max
    r[ROOM] = room
    r[LIMIT] = room + 128
    r[BODY] = 80 + token_max
    return r


@micropython.viper
def scan(buf: ptr8, n: int, r: ptr32) -> int:
    """Index the message in buf[0:n]; return its flags. Any bytes are fine; buf holds n of them.

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
    digest = _HASH_SEED
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
                    digest = (digest * 33 ^ length) & _MASK
                    while i < end:
                        digest = (digest * 33 ^ buf[i]) & _MASK
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
                    digest = (digest * 33 ^ length) & _MASK
                    while i < end:
                        digest = (digest * 33 ^ buf[i]) & _MASK
                        i += 1
        i = end
    r[HASH] = digest
    r[FLAGS] = flags
    return flags


@micropython.viper
def same(buf: ptr8, r: ptr32, route: ptr8) -> int:
    """Is the request for `route` (see resource.route())? 0 no, 1 yes, 2 its Accept is another.

    The segments are compared as they lie on the wire; only the first delta depends on what
    precedes the path. The root is the empty path or one empty segment.
    """
    n = route[0] << 8 | route[1]
    at = 0
    if r[FLAGS] & 1 << URI_PATH:
        at = r[URI_PATH]
        length = r[ENDS + URI_PATH] - at
        if n == 0:
            if length != 1:
                return 0
        else:
            if length != n or (buf[at] ^ route[4]) & 15:
                return 0
            i = 1
            while i < n:
                if buf[at + i] != route[4 + i]:
                    return 0
                i += 1
    elif n:
        return 0
    n = r[ACCEPT]
    form = route[2] << 8 | route[3]
    if form == LOOK or (n != NO_ACCEPT and (n != form or form == ANY_FORMAT)):
        return 2
    return 1


@micropython.viper
def under(buf: ptr8, r: ptr32, route: ptr8) -> int:
    """Does the path of the request begin with all segments of `route`? The root is above all."""
    n = route[0] << 8 | route[1]
    if n == 0:
        return 1
    if not r[FLAGS] & 1 << URI_PATH:
        return 0
    at = r[URI_PATH]
    length = r[ENDS + URI_PATH] - at
    if length < n or (buf[at] ^ route[4]) & 15:
        return 0
    i = 1
    while i < n:
        if buf[at + i] != route[4 + i]:
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
    n = int(len(value))
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
    """A 2.05 whose options were written when the resource was made; 0 when `out` is too long.

    `options` is a length byte and the bytes; `out` the payload.
    """
    n = int(len(out))
    payload = ptr8(out)  # pyright: ignore[reportCallIssue]
    if n > r[ROOM]:
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
