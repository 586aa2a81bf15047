"""Messages, read where they lie (RFC 7252 section 3); compiled to machine code.

The same text runs on CPython, where the pointer types are identities and every index is checked.
Pointers carry no length, so each function states what its caller promises.

`scan()` indexes a message once into an array of ints, the *index*, and nothing is copied:

    1..23    one slot an option: the value of a uint option, else where its first header lies
    24+slot  where the last option of that number ends (equal numbers are neighbours on the wire)
    48..     the facts of the message named below
    64+n     what is known of option number n: slot, kind and longest value
    128..    facts and settings of its owner

FLAGS say what the message is, one bit a fact; bit `1 << slot` says that the option is there.
Ints stay below 2**30, the small ints of a 32-bit board, and are never negative: `ptr32` reads -1
as 0xffffffff on a 64-bit one.
"""

from array import array

import micropython
from micropython import const

# Option slots
IF_MATCH = const(1)
_URI_HOST = const(2)
_ETAG = const(3)
IF_NONE_MATCH = const(4)
_OBSERVE = const(5)
_URI_PORT = const(6)
URI_PATH = const(7)
CONTENT_FORMAT = const(8)
URI_QUERY = const(9)
ACCEPT = const(10)
_BLOCK2 = const(11)
_BLOCK1 = const(12)
_SIZE2 = const(13)
_SIZE1 = const(14)
_PROXY = const(15)
_OSCORE = const(16)
_ECHO = const(17)
_NO_RESPONSE = const(18)
_REQUEST_TAG = const(19)
_MAX_AGE = const(20)
_LOCATION_PATH = const(21)
_LOCATION_QUERY = const(22)
_UNKNOWN = const(23)  # an option that is critical and not in the table, or not as it may be
ENDS = const(24)

# Facts
FLAGS = const(48)  # what scan() returned
TYPE = const(49)
CODE = const(50)
MID = const(51)
TOKEN = const(52)  # where the token starts
HEAD = const(53)  # where it ends
_ROUTE = const(54)  # number of the route that a plain request names, MISSING or ABSENT
PAYLOAD = const(55)  # where the payload starts; SIZE when there is none
SIZE = const(56)
_TOKEN_MAX = const(57)  # setting: longest token (RFC 8974); 8 means plain RFC 7252
_ROOM = const(58)  # setting: longest payload of a message
_BODY = const(59)  # setting: where in the tx buffer a reply collects its payload
VALUE = const(60)  # result of step(): where the value lies, and how long it is
_LENGTH = const(61)
_LIMIT = const(62)  # setting: longest message
_COUNT = const(63)  # datagrams that scan() has seen, modulo 2**30
_TABLE = const(64)
_FOUND = const(128)  # number of the route that a request names, plain or not; ABSENT: none
_SPECIAL = const(129)  # setting: a request with one of these bits is not plain
_WATCH = const(130)  # setting: the bits that scan() returns

# Bits of FLAGS beyond the option slots
_REQUEST = const(1 << 0)
_UNSAFE = const(1 << 24)  # a request with side effects: executed once
_NON = const(1 << 25)  # a request that wants no ACK
_OTHER = const(1 << 26)  # no request: ACK, RST, ping or a response
_ODD = const(1 << 27)  # a request with a method that has no name, or longer than the node takes
_REFUSE = const(1 << 28)  # format error in a CON: RST
_SILENT = const(1 << 29)  # format error that gets no answer

_ABSENT = const(0x3FFFFFFF)  # "no value" where 0 is one
_MISSING = const(0x3FFFFFFE)  # ROUTE of a request that is plain, but for its path
_ROUTES = const(256)  # ROUTE is below it where there is one
_CHOICE = const(256)  # added to ROUTE: all is plain but that an Accept is to be met
_CUT = const(512)  # added to ROUTE: all is plain but that a block of the answer is asked for
_NO_ACCEPT = const(0x10000)  # index[ACCEPT] of a request without Accept
_ANY_FORMAT = const(0xFFFE)  # a route with which no Accept, or any Content-Format, is plain
_LOOK = const(0xFFFD)  # a route that is never plain: its resource does not exist at present


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
    (3, _URI_HOST, _FULL, 255),
    (4, _ETAG, _MANY | _FULL, 8),
    (5, IF_NONE_MATCH, 0, 0),
    (6, _OBSERVE, _UINT, 3),
    (7, _URI_PORT, _UINT, 2),
    (8, _LOCATION_PATH, _MANY, 255),
    (9, _OSCORE, 0, 255),
    (11, URI_PATH, _MANY, 255),
    (12, CONTENT_FORMAT, _UINT, 2),
    (14, _MAX_AGE, _UINT, 4),
    (15, URI_QUERY, _MANY, 255),
    (17, ACCEPT, _UINT, 2),
    (20, _LOCATION_QUERY, _MANY, 255),
    (23, _BLOCK2, _UINT, 3),
    (27, _BLOCK1, _UINT, 3),
    (28, _SIZE2, _UINT, 4),
    (35, _PROXY, _MANY | _FULL, 1034),
    (39, _PROXY, _MANY | _FULL, 255),
    (60, _SIZE1, _UINT, 4),
    (61, _ECHO, _FULL, 40),  # 252, 258 and 292 have their rows at unassigned low numbers
    (62, _NO_RESPONSE, _UINT, 1),
    (63, _REQUEST_TAG, _MANY, 8),
)

# What a request may carry without anybody having to refuse it
_CRITICAL = const(
    1 << IF_MATCH
    | 1 << _URI_HOST
    | 1 << IF_NONE_MATCH
    | 1 << _URI_PORT
    | 1 << URI_PATH
    | 1 << URI_QUERY
    | 1 << ACCEPT
    | 1 << _BLOCK2
    | 1 << _BLOCK1
    | 1 << _PROXY
    | 1 << _OSCORE
    | 1 << _UNKNOWN
)


def index(room=1024, token_max=8):
    """A new index for `scan()`: settings and table filled in."""
    r = array("i", [0] * 131)
    r[_WATCH] = _MASK
    for number, slot, kind, longest in _KNOWN:
        r[_TABLE + number] = slot | kind | longest << _LONGEST
    r[_TOKEN_MAX] = token_max
    r[_ROOM] = room
    r[_LIMIT] = room + 128
    r[_BODY] = 80 + token_max
    return r


@micropython.viper
def scan(buf: ptr8, n: int, r: ptr32, routes: ptr8) -> int:
    """Index the message in buf[0:n] and find its route; return those of its FLAGS that r[WATCH]
    names. Any bytes are fine; buf holds n of them. Of `routes` see coap.routes.table().

    A format error is SILENT, or REFUSE in a CON: RFC 7252 sections 3 and 4.2. The first of a
    non-repeatable option counts; a later one, or a value out of its length range, is an unknown
    option (section 5.4.3, 5.4.5).
    """
    r[FLAGS] = _SILENT
    r[_COUNT] = (r[_COUNT] + 1) & _MASK
    if n < 4:
        return _SILENT
    head = buf[0]
    if head >> 6 != 1:
        return _SILENT
    kind = head >> 4 & 3
    bad = _SILENT
    if kind == 0:
        bad = _REFUSE
    code = buf[1]
    r[TYPE] = kind
    r[CODE] = code
    r[MID] = buf[2] << 8 | buf[3]
    r[FLAGS] = bad
    i = 4
    length = head & 15
    if length > 8:
        if r[_TOKEN_MAX] <= 8 or length > 13:
            return bad
        if length == 13:
            if n < 5:
                return bad
            length = 13 + buf[4]
            i = 5
        if length > r[_TOKEN_MAX]:
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
        flags = _OTHER
    elif family == 0:
        flags = _REQUEST
        if kind > 1:
            flags = _OTHER
        elif kind == 1:
            flags |= _NON
        if code > 7:
            flags |= _ODD
        elif code != 1 and code != 5:
            flags |= _UNSAFE
        if n > r[_LIMIT]:
            flags |= _ODD
    elif family == 1 or family > 5:
        return bad
    else:
        flags = _OTHER
    number = 0
    digest = 0
    r[PAYLOAD] = n
    r[SIZE] = n
    r[ACCEPT] = _NO_ACCEPT
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
            known = r[_TABLE + number]
        elif number == 252:
            known = r[_TABLE + 61]
        elif number == 258:
            known = r[_TABLE + 62]
        elif number == 292:
            known = r[_TABLE + 63]
        slot = known & _SLOT
        if known == 0 or length > known >> _LONGEST or (length == 0 and known & _FULL):
            if number & 1:
                flags |= 1 << _UNKNOWN
        elif flags >> slot & 1:
            if known & _MANY:
                r[ENDS + slot] = end
            elif number & 1:
                flags |= 1 << _UNKNOWN
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
    r[_ROUTE] = _ABSENT
    r[_FOUND] = _ABSENT
    if flags & _OTHER:
        return flags & r[_WATCH]
    # The segments are compared as they lie on the wire; only the first delta depends on what
    # precedes the path. The root is the empty path or one empty segment.
    first = 0
    length = 0
    if flags & 1 << URI_PATH:
        first = r[URI_PATH]
        length = r[ENDS + URI_PATH] - first
        if length == 1:
            length = 0
    special = flags & r[_SPECIAL]
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
        r[_FOUND] = slot
        if not special & ~(1 << _BLOCK2):
            number = r[ACCEPT]
            value = routes[at - 2] << 8 | routes[at - 1]
            if number == _NO_ACCEPT and value != _LOOK:
                r[_ROUTE] = slot
            elif value == _ANY_FORMAT:
                r[_ROUTE] = _CHOICE + slot
            elif number == value and value != _LOOK:
                r[_ROUTE] = slot
            if flags & 1 << CONTENT_FORMAT:
                at += length
                value = routes[at] << 8 | routes[at + 1]
                if value != _ANY_FORMAT and (value == _LOOK or value != r[CONTENT_FORMAT]):
                    r[_ROUTE] = _ABSENT
            if special:
                r[_ROUTE] = _CUT + slot if r[_ROUTE] == slot else _ABSENT
        return flags & r[_WATCH]
    if special == 0:
        r[_ROUTE] = _MISSING
    return flags & r[_WATCH]


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
    r[_LENGTH] = length
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
def digest(buf: ptr8, start: int, n: int, value: int) -> int:
    """Continue a 30-bit digest over buf[start:start+n]."""
    n += start
    while start + 8 <= n:  # a bit above the 30th never comes down: it is enough to mask at times
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
