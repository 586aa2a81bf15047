"""A second reading of RFC 7252 section 3: slow, plain, and sharing nothing with lib/coap.

`parse` and `encode` are inverse on valid messages. The property tests hold scan and Writer to it.
"""

from dataclasses import dataclass

CON, NON, ACK, RST = range(4)
EMPTY = 0
GET, FETCH = 1, 5
LAST_METHOD = 7
EXTENDED_BYTE, EXTENDED_WORD, RESERVED = 13, 14, 15
FROM_BYTE, FROM_WORD = 13, 269
LARGEST_NUMBER = 65535
LARGEST_LENGTH = FROM_WORD + 65535


class FormatError(Exception):
    """A message that cannot be processed; `answer` is "reset" or "silence" (sections 4.2, 4.3)."""

    def __init__(self, answer):
        super().__init__(answer)
        self.answer = answer


@dataclass(frozen=True)
class Definition:
    """What the registry says of an option (section 5.10 and later documents)."""

    shortest: int
    longest: int
    repeatable: bool = False
    uint: bool = False

    def allows(self, value):
        return self.shortest <= len(value) <= self.longest


DEFINITIONS = {
    1: Definition(0, 8, repeatable=True),  # If-Match
    3: Definition(1, 255),  # Uri-Host
    4: Definition(1, 8, repeatable=True),  # ETag
    5: Definition(0, 0),  # If-None-Match
    6: Definition(0, 3, uint=True),  # Observe
    7: Definition(0, 2, uint=True),  # Uri-Port
    8: Definition(0, 255, repeatable=True),  # Location-Path
    9: Definition(0, 255),  # OSCORE
    11: Definition(0, 255, repeatable=True),  # Uri-Path
    12: Definition(0, 2, uint=True),  # Content-Format
    14: Definition(0, 4, uint=True),  # Max-Age
    15: Definition(0, 255, repeatable=True),  # Uri-Query
    17: Definition(0, 2, uint=True),  # Accept
    20: Definition(0, 255, repeatable=True),  # Location-Query
    23: Definition(0, 3, uint=True),  # Block2
    27: Definition(0, 3, uint=True),  # Block1
    28: Definition(0, 4, uint=True),  # Size2
    35: Definition(1, 1034),  # Proxy-Uri
    39: Definition(1, 255),  # Proxy-Scheme
    60: Definition(0, 4, uint=True),  # Size1
    252: Definition(1, 40),  # Echo
    258: Definition(0, 1, uint=True),  # No-Response
    292: Definition(0, 8, repeatable=True),  # Request-Tag
}


@dataclass(frozen=True)
class Message:
    """A message as its parts; options are (number, value) in the order of the wire."""

    type: int
    code: int
    mid: int
    token: bytes = b""
    options: tuple = ()
    payload: bytes = b""

    @property
    def is_request(self):
        return self.type in (CON, NON) and self.code >> 5 == 0 and self.code != EMPTY

    def recognized(self):
        """Return {number: values} of the options that count, and whether a critical one does not.

        A value out of its length range is not recognized (section 5.4.3), nor is a repetition of
        what may not be repeated (section 5.4.5). A critical option has an odd number.
        """
        counted, refused = {}, False
        for number, value in self.options:
            definition = DEFINITIONS.get(number)
            if (
                definition is None
                or not definition.allows(value)
                or (number in counted and not definition.repeatable)
            ):
                refused = refused or number % 2 == 1
            else:
                counted.setdefault(number, []).append(value)
        return counted, refused


class _Reader:
    """Takes bytes from the front; running out is a format error."""

    def __init__(self, data, answer):
        self.data = data
        self.answer = answer

    def take(self, count):
        if count > len(self.data):
            raise FormatError(self.answer)
        taken, self.data = self.data[:count], self.data[count:]
        return taken

    def number(self, count):
        return int.from_bytes(self.take(count), "big")

    def nibble_value(self, nibble):
        """Return the delta or length that a nibble and the bytes after it stand for."""
        if nibble == RESERVED:
            raise FormatError(self.answer)
        if nibble == EXTENDED_WORD:
            return FROM_WORD + self.number(2)
        if nibble == EXTENDED_BYTE:
            return FROM_BYTE + self.number(1)
        return nibble


def parse(data, longest_token=8):
    """Return the Message in a datagram, or raise FormatError.

    With a `longest_token` over 8 the token length may take another byte (RFC 8974 section 2.1).
    """
    if len(data) < 4 or data[0] >> 6 != 1:
        raise FormatError("silence")
    kind = data[0] >> 4 & 0b11
    answer = "reset" if kind == CON else "silence"
    code = data[1]
    mid = int.from_bytes(data[2:4], "big")
    reader = _Reader(data[4:], answer)
    if code >> 5 in (1, 6, 7):  # reserved
        raise FormatError(answer)
    if code == EMPTY and (len(data) > 4 or data[0] & 0b1111 or kind == NON):
        raise FormatError(answer)

    token_length = data[0] & 0b1111
    if token_length > 8:
        if longest_token <= 8 or token_length >= EXTENDED_WORD:
            raise FormatError(answer)
        token_length = reader.nibble_value(token_length)
        if token_length > longest_token:
            raise FormatError(answer)
    token = reader.take(token_length)

    options = []
    number = 0
    while reader.data and reader.data[0] != 0xFF:
        header = reader.number(1)
        number += reader.nibble_value(header >> 4)
        length = reader.nibble_value(header & 0b1111)
        if number > LARGEST_NUMBER:
            raise FormatError(answer)
        options.append((number, reader.take(length)))

    payload = b""
    if reader.data:
        payload = reader.data[1:]
        if not payload:
            raise FormatError(answer)
    return Message(kind, code, mid, token, tuple(options), payload)


def encode(message):
    """Return the datagram of a message; tokens over 12 bytes as in RFC 8974."""
    nibble, extension = _nibble(len(message.token))
    data = bytes([0b01 << 6 | message.type << 4 | nibble, message.code])
    data += message.mid.to_bytes(2, "big") + extension + message.token
    previous = 0
    for number, value in message.options:
        delta, delta_extension = _nibble(number - previous)
        length, length_extension = _nibble(len(value))
        data += bytes([delta << 4 | length]) + delta_extension + length_extension + value
        previous = number
    if message.payload:
        data += b"\xff" + message.payload
    return data


def uint(value):
    """Return a uint option's value, as short as it goes (section 3.2)."""
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def _nibble(value):
    """Return the nibble that stands for a delta or length, and the bytes that extend it."""
    if value < FROM_BYTE:
        return value, b""
    if value < FROM_WORD:
        return EXTENDED_BYTE, (value - FROM_BYTE).to_bytes(1, "big")
    return EXTENDED_WORD, (value - FROM_WORD).to_bytes(2, "big")
