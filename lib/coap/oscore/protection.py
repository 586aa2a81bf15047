"""How OSCORE puts a message into another one, and takes it out (RFC 8613 sections 4 to 6, 8).

What is protected stands in `tx`, what comes in the message at hand; in between the text lies in
the buffers of one Ccm. A message that was taken out lies in its blocks until one is sealed.
"""

from array import array

import micropython
from micropython import const

from coap.codec import (
    ABSENT,
    DATAGRAM_COUNT,
    IX_OSCORE,
    LENGTH,
    MAX_MESSAGE,
    OPTIONS_START,
    PAYLOAD,
    SIZE,
    SLOW_PATH,
    VALUE,
    copy,
    next_option,
    parse,
)
from coap.oscore.aead import Aead, write_aad, write_nonce

_PIV = const(6)  # bytes of a Partial IV and its length
_VALUE_MOST = const(48)  # bytes of an option value of ours
_MORE = const(20)  # bytes that a message grows by, beside that value: marker, tag, Observe


class Protector:
    """One serves all messages of a node. `fields`: of the option that read() found; `piv`: of the
    request that is protected, or that was; `value`, `length`: the option that seal() writes.
    """

    def __init__(self, node):
        self.node = node
        self.tx = node.tx
        self.ccm = Aead(max(node.view.index[MAX_MESSAGE], len(node.tx)))
        self.message = self.ccm.blocks
        self.fields = array("i", [0] * OPTION_FIELDS)
        self.piv = bytearray(_PIV)
        self.value = bytearray(_VALUE_MOST)
        self.length = 0

    # What comes

    def read(self, view):  # hot
        """Find the OSCORE option of the message at hand. False: it is malformed."""
        next_option(view.buf, view.index[IX_OSCORE], view.index)
        return parse_option(view.buf, view.index[VALUE], view.index[LENGTH], self.fields) == 1

    def read_piv(self, view):  # hot
        """The Partial IV that read() found is that of the request."""
        read_piv(self.piv, view.buf, self.fields)

    def open(self, context, view):  # hot
        """Decrypt the message at hand, for which bind() was called: length of the text, 0: no."""
        n = view.index[SIZE] - view.index[PAYLOAD]
        n = self.ccm.open(context.recipient, view.buf, view.index[PAYLOAD], n)
        return n if n > 0 else 0

    def unwrap(self, view, n, marked):  # hot
        """The text of n bytes becomes the message at hand; marked: with the OSCORE option."""
        n = merge_inner(self.message, view.buf, view.index, self.ccm.text, n, marked)
        view.buf = self.message
        view.index[SLOW_PATH] ^= 1 << IX_OSCORE  # a request that was taken out may be a plain one
        parse(self.message, n, view.index, self.node.route_table)
        view.index[SLOW_PATH] ^= 1 << IX_OSCORE
        view.index[DATAGRAM_COUNT] -= 1  # it has been counted when it came

    # What is to be protected, of either

    def bind(self, context, kid):  # hot
        """The request is that of `kid`, with the Partial IV in `piv`."""
        write_aad(self.ccm.aad, kid, self.piv)
        write_nonce(self.ccm.once, context.iv, kid, self.piv)

    def vary(self, context, name, piv):  # hot
        """An answer has a Partial IV of its own, of the endpoint `name`."""
        write_nonce(self.ccm.once, context.iv, name, piv)

    # What goes

    def answer_anew(self, context):  # hot
        """An answer takes a number of its own. False: there is none."""
        number = context.take()
        if number < 0:
            return False
        self.length = write_piv(self.value, number)
        self.vary(context, context.sender_id, self.value)
        return True

    def ask(self, context):  # hot
        """The option of a request with the Partial IV in `piv`."""
        self.length = write_option(self.value, self.piv, context.tail, context.flags)

    def write_text(self, head, n):  # hot
        """The text of the message tx[0:n], whose options begin at `head`: its length; 0: the
        message would be too long.
        """
        if n + self.length + _MORE > len(self.tx):
            return 0
        return split_inner_options(self.ccm.text, self.tx, head, n)

    def sign(self, context, m):  # hot
        """Compute the tag of the text of m bytes; it is the sender's chain then."""
        self.ccm.sign(context.sender, m)

    def close(self, context, head, n, m):  # hot
        """Put the signed text of m bytes into the message tx[0:n] it was made of: its length."""
        m = self.ccm.seal(context.sender, m)
        n = outer_message(self.tx, head, n, self.value, self.length)
        self.tx[n] = 0xFF
        copy(self.tx, n + 1, self.ccm.text, 0, m)
        return n + 1 + m

    def seal(self, context, head, n):  # hot
        """All three: the length of the message, 0 when it is too long."""
        m = self.write_text(head, n)
        if not m:
            return 0
        self.sign(context, m)
        return self.close(context, head, n, m)


# How OSCORE frames a message in another one: the option's value, inside and outside (RFC 8613).
#
# Machine code like scan.py, and with the same promises, in a file that only a node with keys
# loads.


# What parse() finds in the value of an OSCORE option
PIV_AT = const(0)
PIV_LENGTH = const(1)  # 0: none
CONTEXT_AT = const(2)
CONTEXT_LENGTH = const(3)  # ABSENT: none
KID_AT = const(4)
KID_LENGTH = const(5)  # ABSENT: none
PIV_HIGH = const(6)  # the Partial IV >> 20
PIV_LOW = const(7)  # the rest of it
OPTION_FIELDS = const(8)


_URI_HOST = const(3)
_OBSERVE = const(6)
_URI_PORT = const(7)
_OSCORE = const(9)


# The value of the option (section 6.1)


@micropython.viper
def parse_option(buf: ptr8, at: int, n: int, fields: ptr32) -> int:
    """Take the option value buf[at:at+n] apart (section 6.1): 1, or 0 for what is none."""
    fields[PIV_LENGTH] = 0
    fields[CONTEXT_LENGTH] = int(ABSENT)
    fields[KID_LENGTH] = int(ABSENT)
    fields[PIV_HIGH] = 0
    fields[PIV_LOW] = 0
    if n == 0:
        return 1
    end = at + n
    flags = buf[at]
    at += 1
    n = flags & 7
    if flags == 0 or flags > 0x1F or n > 5 or at + n > end:
        return 0
    fields[PIV_AT] = at
    fields[PIV_LENGTH] = n
    high = 0
    low = 0
    while n:
        high = high << 8 | low >> 12
        low = (low & 0xFFF) << 8 | buf[at]
        at += 1
        n -= 1
    fields[PIV_HIGH] = high
    fields[PIV_LOW] = low
    if flags & 16:
        if at == end or at + 1 + buf[at] > end:
            return 0
        fields[CONTEXT_AT] = at + 1
        fields[CONTEXT_LENGTH] = buf[at]
        at += 1 + buf[at]
    if flags & 8:
        fields[KID_AT] = at
        fields[KID_LENGTH] = end - at
    elif at < end:
        return 0
    return 1


@micropython.viper
def write_option(out: ptr8, piv: ptr8, tail, flags: int) -> int:
    """The value of a request's OSCORE option: `tail` is ID context and kid: its length."""
    more = ptr8(tail)  # pyright: ignore[reportCallIssue]
    n = int(len(tail))
    end = piv[0] + 1
    i = 1
    while i < end:
        out[i] = piv[i]
        i += 1
    out[0] = piv[0] | flags
    i = 0
    while i < n:
        out[end] = more[i]
        end += 1
        i += 1
    return end


# Partial IVs: their length, then their bytes


@micropython.viper
def read_piv(piv: ptr8, buf: ptr8, fields: ptr32):
    """Copy the Partial IV that framing.parse() found: its length, then its bytes."""
    n = fields[PIV_LENGTH]
    at = fields[PIV_AT]
    piv[0] = n
    i = 0
    while i < n:
        piv[1 + i] = buf[at + i]
        i += 1


@micropython.viper
def write_piv(piv: ptr8, value: int) -> int:
    """Write a Partial IV in the same form, as short as it goes but never empty: 1 + its length.

    Without kid and ID context that is the value of an OSCORE option, too.
    """
    n = 1
    while n < 4 and value >> (8 * n):  # RISC-V shifts by 32 as by 0
        n += 1
    piv[0] = n
    i = n
    while i:
        piv[i] = value & 255
        value = value >> 8
        i -= 1
    return n + 1


# The message (sections 4 and 5.3)


@micropython.viper
def split_inner_options(out: ptr8, tx: ptr8, at: int, n: int) -> int:
    """Write the plaintext (section 5.3) of the message tx[0:n], options from `at` on: its length.

    Uri-Host and Uri-Port are for those on the way. The Observe of an answer is empty inside.
    `out` holds n bytes.
    """
    out[0] = tx[1]
    end = 1
    number = 0
    written = 0
    while at < n and tx[at] != 0xFF:
        head = tx[at]
        at += 1
        delta = head >> 4
        if delta == 13:
            delta = 13 + tx[at]
            at += 1
        elif delta == 14:
            delta = 269 + (tx[at] << 8 | tx[at + 1])
            at += 2
        length = head & 15
        start = at
        if length == 13:
            length = 13 + tx[at]
            at += 1
        elif length == 14:
            length = 269 + (tx[at] << 8 | tx[at + 1])
            at += 2
        number += delta
        stop = at + length
        if number != _URI_HOST and number != _URI_PORT:
            delta = number - written
            written = number
            low = head & 15
            if number == _OBSERVE and tx[1] > 31:
                low = 0
                at = stop
            high = delta
            if delta > 268:
                high = 14
                out[end + 1] = (delta - 269) >> 8
                out[end + 2] = (delta - 269) & 255
            elif delta > 12:
                high = 13
                out[end + 1] = delta - 13
            out[end] = high << 4 | low
            end += 1
            if high == 13:
                end += 1
            elif high == 14:
                end += 2
            if low:
                i = start
                while i < stop:
                    out[end] = tx[i]
                    end += 1
                    i += 1
        at = stop
    while at < n:
        out[end] = tx[at]
        end += 1
        at += 1
    return end


@micropython.viper
def outer_message(tx: ptr8, at: int, n: int, value: ptr8, length: int) -> int:
    """Leave of the message tx[0:n], whose options begin at `at`, what is for others on the way,
    and add the OSCORE option: its end. tx has room for `length` + 2 bytes more.
    """
    end = at
    code = 2  # POST; FETCH with Observe
    if tx[1] > 31:
        code = 0x44  # 2.04; 2.05 with Observe
    number = 0
    written = 0
    while at < n and number < _URI_PORT and tx[at] != 0xFF:
        head = tx[at]
        if head >> 4 > 12:
            break
        at += 1
        number += head >> 4
        size = head & 15
        if size == 13:
            size = 14 + tx[at]
        elif size == 14:
            size = 271 + (tx[at] << 8 | tx[at + 1])
        if number == _URI_HOST or number == _OBSERVE or number == _URI_PORT:
            tx[end] = (number - written) << 4 | head & 15
            written = number
            if number == _OBSERVE:
                code = 5 if code < 32 else 0x45
            end += 1
            size += at
            while at < size:
                tx[end] = tx[at]
                end += 1
                at += 1
        else:
            at += size
    tx[1] = code
    if length < 13:
        tx[end] = (_OSCORE - written) << 4 | length
        end += 1
    else:
        tx[end] = (_OSCORE - written) << 4 | 13
        tx[end + 1] = length - 13
        end += 2
    i = 0
    while i < length:
        tx[end] = value[i]
        end += 1
        i += 1
    return end


@micropython.viper
def merge_inner(out: ptr8, buf: ptr8, index: ptr32, text: ptr8, n: int, marked: int) -> int:
    """Write the message that text[0:n], n > 0, stands for: its length.

    Header and token are those of `buf`, whose index is r; `marked`: the OSCORE option that step()
    has found there last is put among the options. `out` holds the message at hand and 8 bytes
    more; the text is any bytes: where it is malformed, the message is, or the mark is missing.
    """
    head = index[int(OPTIONS_START)]
    i = 0
    while i < head:
        out[i] = buf[i]
        i += 1
    out[1] = text[0]
    end = head
    i = 1
    if marked:
        at = index[int(VALUE)]
        length = index[int(LENGTH)]
        number = 0
        delta = 0
        while i < n:
            delta = text[i] >> 4
            size = text[i] & 15
            if delta > 12 or number + delta >= _OSCORE:
                break
            number += delta
            start = i
            i += 1
            if size == 13:
                if i < n:
                    size += 1 + text[i]
            elif size == 14:
                if i + 1 < n:
                    size = 271 + (text[i] << 8 | text[i + 1])
            i += size
            if i > n:
                i = n
            while start < i:
                out[end] = text[start]
                end += 1
                start += 1
        out[end] = (_OSCORE - number) << 4 | (length if length < 13 else 13)
        end += 1
        if length > 12:
            out[end] = length - 13
            end += 1
        size = at + length
        while at < size:
            out[end] = buf[at]
            end += 1
            at += 1
        if i < n and text[i] != 0xFF and delta < 15:
            # the option behind it: its number is counted from OSCORE now
            size = text[i] & 15
            i += 1
            if delta > 12 and i + delta - 13 >= n:
                out[end] = 0xF0  # it is cut off within the header: that stays malformed
                return end + 1
            if delta == 14:
                delta = 269 + (text[i] << 8 | text[i + 1])
                i += 2
            elif delta == 13:
                delta = 13 + text[i]
                i += 1
            delta = number + delta - _OSCORE
            if delta > 268:
                out[end] = 0xE0 | size
                out[end + 1] = (delta - 269) >> 8
                out[end + 2] = (delta - 269) & 255
                end += 3
            elif delta > 12:
                out[end] = 0xD0 | size
                out[end + 1] = delta - 13
                end += 2
            else:
                out[end] = delta << 4 | size
                end += 1
    while i < n:
        out[end] = text[i]
        end += 1
        i += 1
    return end
