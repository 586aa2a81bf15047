"""A message in a buffer: View reads one where it lies, Writer appends one (RFC 7252 section 3).

 0                   1                   2                   3
|Ver| T |  TKL  |      Code     |          Message ID           |
|   Token (if any, TKL bytes) ...                               |
|   Options (if any) ...                                        |
|1 1 1 1 1 1 1 1|    Payload (if any) ...                       |
"""

from coap.codec import (
    FLAGS,
    IX_ENDS,
    OPTIONS_START,
    PAYLOAD,
    SIZE,
    TOKEN,
    VALUE,
    copy,
    has_value,
    new_index,
    next_option,
    write_option_header,
)


class MessageView:
    """The message of the datagram at hand: its buffer, who sent it, and its index.

    `r` is filled by scan(); see there. Nothing is copied: a View is valid until the next datagram.
    """

    def __init__(self, max_payload=1024, token_max=8):
        self.index = new_index(max_payload, token_max)
        self.buf = b""
        self.peer = None
        self.peer_index = 0  # the peer's number in the message layer, once it has one
        self.now_ms = 0
        self.group = False  # it was sent to a group
        self.is_stored = False  # it was kept, and is answered again
        self.uses_identity = False  # its handler has asked who asks: nobody else gets the answer
        self.context = 0  # number of the security context under which it came; 0: anybody's
        self.reset()

    def reset(self):
        """The next request is a plain one: its payload is in the datagram."""
        self.body = None  # a payload that came in blocks, once it is whole
        self.length = 0  # of it
        self.offset = 0  # of the block at hand in the payload
        self.more = False  # blocks will follow
        self.transfer = -1  # number of the transfer
        self.fresh = False  # the request brought a good Echo

    def has(self, slot):  # hot
        """Is the option there?"""
        return self.index[FLAGS] >> slot & 1 != 0

    def uint(self, slot, missing=None):  # hot
        """The value of a uint option, `missing` when it is absent."""
        return self.index[slot] if self.index[FLAGS] >> slot & 1 else missing

    def token(self):
        """A copy of the token."""
        return bytes(self.buf[self.index[TOKEN] : self.index[OPTIONS_START]])

    def payload(self):  # hot
        """The payload as a memoryview on the datagram, or on what its blocks were put into."""
        r = self.index
        if self.body is not None:
            return memoryview(self.body)[: self.length]
        return memoryview(self.buf)[r[PAYLOAD] : r[SIZE]]

    def values(self, slot):
        """Copies of the values of an option that is no uint, in order."""
        found = []
        r = self.index
        if self.has(slot):
            at = r[slot]
            end = r[IX_ENDS + slot]
            while at < end:
                at = next_option(self.buf, at, r)
                found.append(bytes(self.buf[r[VALUE] : at]))
        return found

    def has_value(self, slot, value):
        """Is one of the values of an opaque option this one? Allocates nothing."""
        return has_value(self.buf, self.index, slot, value) != 0


class MessageBuilder:
    """Append one message to a buffer, options in ascending order of their numbers.

    Overflow is sticky: whatever does not fit makes `n` -1 for good, and only the last one asks.
    """

    def __init__(self, buf):
        self.buf = buf
        self.n = 0
        self.number = 0

    def begin(self, kind, code, mid, token=b""):  # hot
        """Start a message. A token longer than 12 bytes is written as RFC 8974 says."""
        self.n = 4
        self.number = 0
        if self._room(len(token) + 2):
            buf = self.buf
            buf[0] = 0x40 | kind << 4
            buf[1] = code
            buf[2] = mid >> 8
            buf[3] = mid & 255
            self._token(buf, token)
        return self

    def _token(self, buf, token):  # hot
        length = len(token)
        buf[0] |= length if length < 13 else 13 if length < 269 else 14
        if length > 268:
            buf[4] = (length - 269) >> 8
            buf[5] = (length - 269) & 255
            self.n = 6
        elif length > 12:
            buf[4] = length - 13
            self.n = 5
        copy(buf, self.n, token, 0, length)
        self.n += length

    def resume(self, n):  # hot
        """Go on behind a header and token that lie in buf[0:n]."""
        self.n = n
        self.number = 0
        return self

    def option(self, number, value):  # hot
        """Append an option with the bytes `value`."""
        if number < self.number:
            raise ValueError("write options in ascending order of their numbers")
        if self._room(len(value) + 5):
            self.n = write_option_header(self.buf, self.n, number - self.number, len(value))
            copy(self.buf, self.n, value, 0, len(value))
            self.n += len(value)
            self.number = number
        return self

    def uint(self, number, value):  # hot
        """Append a uint option, as short as it goes (RFC 7252 section 3.2)."""
        if number < self.number:
            raise ValueError("write options in ascending order of their numbers")
        if self._room(9):
            length = 0
            while value >> 8 * length:
                length += 1
            at = write_option_header(self.buf, self.n, number - self.number, length)
            self.number = number
            while length:
                length -= 1
                self.buf[at] = value >> 8 * length & 255
                at += 1
            self.n = at
        return self

    def payload(self, source, start=0, length=None):  # hot
        """Append source[start:start+length]; an empty payload gets no marker."""
        if length is None:
            length = len(source) - start
        if length and self._room(length + 1):
            self.buf[self.n] = 0xFF
            copy(self.buf, self.n + 1, source, start, length)
            self.n += length + 1
        return self

    def _room(self, more):  # hot
        if self.n < 0 or self.n + more > len(self.buf):
            self.n = -1
            return False
        return True
