"""Answers, written byte by byte (RFC 7252 section 3); compiled to machine code, see scan.py.

The caller promises room: 76 bytes and the token before the payload, ROOM after.
"""

import micropython
from micropython import const

# The numbers of scan.py: the compiler folds only the constants of the file at hand
_BLOCK2 = const(11)  # scan.BLOCK2
_BLOCK1 = const(12)  # scan.BLOCK1
_SIZE2 = const(13)  # scan.SIZE2
_FLAGS = const(48)  # scan.FLAGS
_TYPE = const(49)  # scan.TYPE
_CODE = const(50)  # scan.CODE
_MID = const(51)  # scan.MID
_HEAD = const(53)  # scan.HEAD
_ROOM = const(58)  # scan.ROOM
_BODY = const(59)  # scan.BODY
_LIMIT = const(62)  # scan.LIMIT
_UNSAFE = const(1 << 24)  # scan.UNSAFE
_NON = const(1 << 25)  # scan.NON
_ABSENT = const(0x3FFFFFFF)  # scan.ABSENT
_MASK = const(0x3FFFFFFF)
_HASH_SEED = const(5381)

# The ints of a reply that emit() writes, in the order of their option numbers
_Q_CODE = const(0)
_Q_ETAG = const(1)  # length of the ETag
_Q_OBSERVE = const(2)
_Q_FORMAT = const(3)
_Q_MAX_AGE = const(4)
_Q_BLOCK2 = const(5)
_Q_BLOCK1 = const(6)
_Q_SIZE2 = const(7)
_Q_SIZE1 = const(8)
_Q_START = const(9)  # where in its buffer the payload lies
_Q_LENGTH = const(10)
_Q_SIZE = const(11)
# and what else is known of it
_Q_AT = const(11)  # payload bytes written so far, whether they are kept or not
_Q_DIGEST = const(12)  # of them; 0 while it is not needed
_Q_SKIP = const(13)  # only a part is kept: LIMIT bytes after the first SKIP
_Q_LIMIT = const(14)
_Q_BASE = const(15)  # where in its buffer the kept part lies
_Q_ALL = const(16)

# What cut() says of a block
_MORE = const(1)
_UNMARKED = const(2)

# What is known of the notification that lies in tx, to give it to others
_W_AT = const(0)  # where its Observe option lies
_W_MID = const(1)  # of the next one
_W_NUMBER = const(2)

_SHORT = const(96)  # bytes that are copied here in less time than it takes to have them copied

_len = len  # found at once: the names that are built in are searched one by one


@micropython.viper
def bare(tx: ptr8, buf: ptr8, r: ptr32, code: int) -> int:
    """A reply of a code and nothing else: its length in tx. The MID of a NON is stamped later."""
    n = r[_HEAD]
    kind = 0x60
    if r[_TYPE]:
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
    answered otherwise, and so is what is too long. Of a long payload the place is returned,
    negative: C copies it faster.
    """
    n = int(_len(out))
    payload = ptr8(out)  # pyright: ignore[reportCallIssue]
    if n > r[_ROOM] or r[_FLAGS] & _UNSAFE:
        return 0
    at = r[_HEAD]
    kind = 0x60
    if r[_TYPE]:
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
        if n > _SHORT:
            return 0 - at
        i = 0
        while i < n:
            tx[at] = payload[i]
            at += 1
            i += 1
    return at


@micropython.viper
def blank(q: ptr32, code: int):
    """A reply of nothing but a code."""
    i = _Q_SIZE
    while i:
        i -= 1
        q[i] = _ABSENT
    q[_Q_CODE] = code
    q[_Q_ETAG] = 0
    q[_Q_START] = 0
    q[_Q_LENGTH] = 0
    q[_Q_AT] = 0
    q[_Q_DIGEST] = 0


@micropython.viper
def inherit(q: ptr32, base: ptr32, r: ptr32, form: int):
    """A reply with the constants of its resource, or of the format that was negotiated."""
    i = _Q_SIZE
    while i:
        i -= 1
        q[i] = _ABSENT
    q[_Q_FORMAT] = form
    if form == _ABSENT:
        q[_Q_FORMAT] = base[_Q_FORMAT]
    q[_Q_ETAG] = 0
    if not r[_FLAGS] & _UNSAFE:
        q[_Q_ETAG] = base[_Q_ETAG]
        q[_Q_MAX_AGE] = base[_Q_MAX_AGE]
    q[_Q_CODE] = 0
    q[_Q_START] = 0
    q[_Q_LENGTH] = 0
    q[_Q_AT] = 0
    q[_Q_DIGEST] = 0


@micropython.viper
def append(into: ptr8, piece: ptr8, start: int, length: int, q: ptr32):
    """Append piece[start:start+length] to the payload, as far as it is wanted.

    `into` has room for LIMIT bytes from BASE on. The digest is only needed, and only kept, of a
    payload that takes more than one message.
    """
    base = q[_Q_BASE]
    at = q[_Q_AT]
    if q[_Q_SKIP] or at + length > q[_Q_LIMIT]:
        value = q[_Q_DIGEST]
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
        q[_Q_DIGEST] = value
    q[_Q_AT] = at + length
    at -= q[_Q_SKIP]
    if at < 0:
        start -= at
        length += at
        at = 0
    if at + length > q[_Q_LIMIT]:
        length = q[_Q_LIMIT] - at
    if length > 0:
        q[_Q_START] = base
        q[_Q_LENGTH] = at + length
        at += base
        end = start + length
        while start < end:
            into[at] = piece[start]
            at += 1
            start += 1


@micropython.viper
def window(r: ptr32, q: ptr32, szx: int) -> int:
    """Which part of the payload Block2 asks for: 0 its first, 1 a later one; -1: none is like it.

    szx: the largest size that a message takes, as an exponent.
    """
    value = r[_BLOCK2]
    size = value & 7
    if size == 7 or (value > 15 and r[_FLAGS] & 1 << _BLOCK1):
        return -1
    # a larger block than we send is asked for: its first part, and the asker goes on with ours
    q[_Q_SKIP] = (value >> 4) << (size + 4)
    if size > szx:
        size = szx
    size = 16 << size
    if size < q[_Q_LIMIT]:
        q[_Q_LIMIT] = size
    if value > 15:
        return 1
    return 0


@micropython.viper
def cut(r: ptr32, q: ptr32, szx: int, most: int, whole: int) -> int:
    """Leave of the payload the block that is wanted, and say in the reply which one it is.

    szx, most: how large it may be, as an exponent and in bytes. whole: the payload is not the part
    that was collected, but all of it. -1: it ends before that block; else MORE when others follow
    it, and UNMARKED when there are several without an ETag that would tell that they belong
    together.
    """
    start = q[_Q_SKIP]
    total = q[_Q_AT]
    if start and start >= total:
        return -1
    if r[_FLAGS] & 1 << _BLOCK2 and r[_BLOCK2] & 7 < szx:
        szx = r[_BLOCK2] & 7
    size = 16 << szx
    while szx and size > most:
        szx -= 1
        size = 16 << szx
    if whole:
        q[_Q_START] = start
    length = total - start
    how = 0
    if length > size:
        length = size
        how = _MORE
    if total > size and not q[_Q_ETAG]:
        how |= _UNMARKED
    q[_Q_LENGTH] = length
    q[_Q_BLOCK2] = (start >> (szx + 4)) << 4 | szx
    if how & _MORE:
        q[_Q_BLOCK2] |= 8
    if start == 0 or r[_FLAGS] & 1 << _SIZE2:
        q[_Q_SIZE2] = total
    return how


@micropython.viper
def emit(tx: ptr8, buf: ptr8, r: ptr32, q: ptr32, etag: ptr8, payload: ptr8, look: int) -> int:
    """The whole reply from its ints: its length in tx. Of a long payload the place is returned,
    negative: see ready().

    0 when a part of the payload is lost; Block2 says that there is more, a diagnostic may end.
    Also settles the code that nobody chose, and that an empty payload has no format, but for a
    2.05; with `look` that is all, and 1.

    One machine-code function does not call another here: its pointers would go as ints, which
    take memory where RAM lies beyond 2**30. buf lends the token, and the MID of a CON; the
    payload may lie in tx itself, from BODY on.
    """
    if q[_Q_CODE] == 0:
        method = r[_CODE]
        q[_Q_CODE] = 0x44
        if method == 1 or method == 5:
            q[_Q_CODE] = 0x45
        elif method == 4:
            q[_Q_CODE] = 0x42
    if q[_Q_LENGTH] > r[_ROOM]:
        return 0
    if q[_Q_AT] > q[_Q_LIMIT] and q[_Q_BLOCK2] == _ABSENT and q[_Q_CODE] < 0x60:
        return 0
    q[_Q_AT] = 0
    if q[_Q_LENGTH] == 0 and q[_Q_CODE] != 0x45:
        q[_Q_FORMAT] = _ABSENT
    if look:
        return 1
    n = r[_HEAD]
    kind = 0x60
    if r[_TYPE]:
        kind = 0x50
    tx[0] = kind | buf[0] & 15
    tx[1] = q[_Q_CODE]
    i = 2
    while i < n:
        tx[i] = buf[i]
        i += 1
    number = 0
    length = q[_Q_ETAG]
    if length:
        tx[n] = 0x40 | length
        n += 1
        i = 0
        while i < length:
            tx[n] = etag[i]
            n += 1
            i += 1
        number = 4
    field = _Q_OBSERVE
    while field <= _Q_SIZE1:
        value = q[field]
        if value != _ABSENT:
            option = 6
            if field == _Q_FORMAT:
                option = 12
            elif field == _Q_MAX_AGE:
                option = 14
            elif field == _Q_BLOCK2:
                option = 23
            elif field == _Q_BLOCK1:
                option = 27
            elif field == _Q_SIZE2:
                option = 28
            elif field == _Q_SIZE1:
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
    length = q[_Q_LENGTH]
    if length:
        tx[n] = 0xFF
        n += 1
        if length > _SHORT:
            return 0 - n
        i = q[_Q_START]
        length += i
        while i < length:
            tx[n] = payload[i]
            n += 1
            i += 1
    return n


@micropython.viper
def address(tx: ptr8, request: ptr8, written: ptr32) -> int:
    """Make of the notification in tx, unconfirmable, the one for whoever sent `request`, with a
    token of the same length, at most 8 bytes. 0 when the number would need another length: then
    nothing is written.
    """
    at = written[_W_AT]
    mid = written[_W_MID]
    number = written[_W_NUMBER]
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
def alike(a: ptr8, b: ptr8, n: int) -> int:
    """1 when two messages of n bytes, with tokens of at most 8, differ but in MID and token."""
    if a[0] != b[0] or a[1] != b[1]:
        return 0
    i = 4 + (a[0] & 15)
    while i < n:
        if a[i] != b[i]:
            return 0
        i += 1
    return 1


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


@micropython.viper
def fraction(into: ptr8, at: int, value: int, decimals: int) -> int:
    """Write value / 10**decimals as a CBOR integer or decimal fraction (RFC 8949 section 3.4.4) at
    into[at], at most 8 bytes: its end. decimals: at most 24.
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
