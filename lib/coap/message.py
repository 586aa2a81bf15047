"""A message in a buffer: MessageView reads it, MessageBuilder appends one (RFC 7252 section 3).

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
    """The message in process: its buffer, its sender and its index, which parse() fills.

    Nothing is copied: what a view returns is valid until the next datagram. An option is named by
    its cell in the index, IX_ETAG and the like.
    """

    def __init__(self, max_payload=1024, token_max=8):
        self.index = new_index(max_payload, token_max)
        self.buf = b""
        self.peer = None
        self.peer_index = 0  # the peer's entry in the message layer, once it has one
        self.now_ms = 0
        self.group = False  # sent to a group
        self.is_stored = False  # a stored request is served again
        self.uses_identity = False  # its handler has read peer, token or MID: no shared response
        self.context = 0  # number of the security context under which it came; 0 for none
        self.reset()

    def reset(self):
        """Set what Block1 and Echo change to its defaults: the payload is that of the datagram."""
        self.body = None  # buffer of a payload that came in blocks, once it is complete
        self.length = 0  # of that payload
        self.offset = 0  # of the present block in the payload
        self.more = False  # blocks will follow
        self.transfer = -1  # number of the transfer
        self.fresh = False  # the request brought a valid Echo

    def has(self, option):  # hot
        """Return True if the option is present."""
        return self.index[FLAGS] >> option & 1 != 0

    def uint(self, option, missing=None):  # hot
        """Return the value of a uint option, `missing` when it is absent."""
        return self.index[option] if self.index[FLAGS] >> option & 1 else missing

    def token(self):
        """Return a copy of the token."""
        return bytes(self.buf[self.index[TOKEN] : self.index[OPTIONS_START]])

    def payload(self):  # hot
        """Return the payload as a memoryview on the datagram, or on the buffer of its blocks."""
        index = self.index
        if self.body is not None:
            return memoryview(self.body)[: self.length]
        return memoryview(self.buf)[index[PAYLOAD] : index[SIZE]]

    def values(self, option):
        """Return copies of the values of an option that is no uint, in order."""
        found = []
        index = self.index
        if self.has(option):
            at = index[option]
            end = index[IX_ENDS + option]
            while at < end:
                at = next_option(self.buf, at, index)
                found.append(bytes(self.buf[index[VALUE] : at]))
        return found

    def has_value(self, option, value):
        """Return True if one of the values of an opaque option is `value`; allocate nothing."""
        return has_value(self.buf, self.index, option, value) != 0


class MessageBuilder:
    """Append one message to a buffer, options in ascending order of their numbers.

    `n` is the length so far. When something does not fit it becomes -1 and stays so, so that the
    caller checks it once, at the end.
    """

    def __init__(self, buf):
        self.buf = buf
        self.n = 0
        self.number = 0

    def begin(self, kind, code, mid, token=b""):  # hot
        """Start a message; a token longer than 12 bytes is written as in RFC 8974."""
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
        """Continue after a header and token that lie in buf[0:n]."""
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
        """Append a uint option in its shortest form (RFC 7252 section 3.2)."""
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
        """Append source[start:start+length] as payload; an empty one gets no marker."""
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
