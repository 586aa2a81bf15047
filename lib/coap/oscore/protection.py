"""Protecting and unprotecting messages: the OSCORE option, inner and outer message
(RFC 8613 sections 4 to 6 and 8).

Theory of operation. To protect, the plain message lies in `tx`: split_message() moves its class E
options and payload to the AEAD's text buffer and leaves the class U options in `tx`, where the
OSCORE option and the ciphertext are appended. To unprotect, the outer message lies in view.buf:
its ciphertext is decrypted and the inner message rebuilt in the AEAD's block buffer, which becomes
view.buf. It is valid until the next message is protected.

Between the two sides lies the request's Partial IV, which binds a response to its request. A
request that is unprotected carries it as its first option, with the reserved number 0, which every
parser skips: whoever stores the request, as Observe does, can have later responses protected.

A Partial IV is a bytearray(PIV_BYTES): its length, then its bytes.
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
    VALUE,
    copy,
    next_option,
    parse,
)
from coap.numbers import OBSERVE, OSCORE, URI_HOST, URI_PORT
from coap.oscore.aead import Aead, write_aad, write_nonce

PIV_BYTES = const(6)
NO_PIV = b"\0"
_MAX_PIV = const(5)
_OPTION_BYTES = const(48)  # longest value of an OSCORE option that is written
# The most that a message grows by, beside that value: code, marker, tag, header of the OSCORE
# option, a second Observe, and a delta that gets longer where Uri-Host and Uri-Port are left out
_OVERHEAD = const(20)

# Cells of Protector.fields: what parse_option() finds in the value of an OSCORE option
PIV_AT = const(0)
PIV_LENGTH = const(1)  # 0: none
CONTEXT_AT = const(2)
CONTEXT_LENGTH = const(3)  # ABSENT: none
KID_AT = const(4)
KID_LENGTH = const(5)  # ABSENT: none
PIV_HIGH = const(6)  # the Partial IV >> 20
PIV_LOW = const(7)  # its low 20 bits
# and what split_message() leaves in tx
_OUTER_END = const(8)
_OUTER_NUMBER = const(9)  # of the last option
FIELDS = const(10)


class Protector:
    """Protects and unprotects the messages of one node, one at a time.

    fields: of the OSCORE option read last; request_piv: the Partial IV of the request that the
    message is or answers; option[0:option_length]: value of the OSCORE option to write.
    """

    def __init__(self, node):
        self.node = node
        self.tx = node.tx
        self.aead = Aead(max(node.view.index[MAX_MESSAGE], len(node.tx)))
        self.message = self.aead.blocks
        self.fields = array("i", [0] * FIELDS)
        self.request_piv = bytearray(PIV_BYTES)
        self.option = bytearray(_OPTION_BYTES)
        self.option_length = 0

    # Unprotecting

    def read_option(self, view):  # hot
        """Parse the message's OSCORE option into `fields`; return False if it is malformed."""
        next_option(view.buf, view.index[IX_OSCORE], view.index)
        return parse_option(view.buf, view.index[VALUE], view.index[LENGTH], self.fields) == 1

    def read_piv(self, piv, buf):  # hot
        """Copy the Partial IV that read_option() found in `buf` to `piv`."""
        piv[0] = self.fields[PIV_LENGTH]
        copy(piv, 1, buf, self.fields[PIV_AT], piv[0])

    def read_stored_piv(self, view):  # hot
        """Read request_piv from a request of restore_inner(); return False if it has none."""
        at = view.index[OPTIONS_START]
        length = view.buf[at] if at < view.index[SIZE] else 0
        if not 0 < length <= _MAX_PIV or at + length >= view.index[SIZE]:
            return False
        copy(self.request_piv, 0, view.buf, at, 1 + length)
        return True

    def decrypt(self, context, view):  # hot
        """Decrypt the message's payload, after set_aad_and_nonce().

        Return the length of the plaintext, or 0 if it is forged or empty.
        """
        n = view.index[SIZE] - view.index[PAYLOAD]
        n = self.aead.decrypt(context.recipient_key, view.buf, view.index[PAYLOAD], n)
        return n if n > 0 else 0

    def restore_inner(self, view, n, piv):  # hot
        """Make the plaintext of n bytes the message in `view`.

        piv: request_piv for a request, NO_PIV for a response.
        """
        n = write_inner(self.message, view.buf, view.index, self.aead.text, n, piv)
        view.buf = self.message
        parse(self.message, n, view.index, self.node.route_table)
        view.index[DATAGRAM_COUNT] -= 1  # the outer message was counted

    # Both ways

    def set_aad_and_nonce(self, context, kid):  # hot
        """Prepare the AEAD for a request from `kid`, or its response, with request_piv."""
        write_aad(self.aead.aad, kid, self.request_piv)
        write_nonce(self.aead.nonce, context.common_iv, kid, self.request_piv)

    def set_nonce(self, context, piv_id, piv):  # hot
        """Use the nonce of another Partial IV: a response may have its own (section 5.2)."""
        write_nonce(self.aead.nonce, context.common_iv, piv_id, piv)

    # Protecting

    def set_new_piv(self, context):  # hot
        """Give a response a Partial IV of its own; return False if there is no number left."""
        number = context.next_sequence_number()
        if number < 0:
            return False
        self.option_length = write_piv(self.option, number)
        self.set_nonce(context, context.sender_id, self.option)
        return True

    def write_request_option(self, context):  # hot
        """Write the option of a request: request_piv, ID context and kid."""
        option = self.option
        end = 1 + self.request_piv[0]
        copy(option, 0, self.request_piv, 0, end)
        option[0] |= context.option_flags
        copy(option, end, context.option_tail, 0, len(context.option_tail))
        self.option_length = end + len(context.option_tail)

    def split(self, start, n, option_bytes):  # hot
        """Split the message tx[0:n], options from `start` on, into plaintext and outer message.

        option_bytes: how long the value of the OSCORE option may become. Return the length of the
        plaintext, or 0 if the protected message would be too long: then tx is unchanged.
        """
        if n + option_bytes + _OVERHEAD > len(self.tx):
            return 0
        return split_message(self.tx, start, n, self.aead.text, self.fields)

    def encrypt(self, context, m):  # hot
        """Encrypt the plaintext of m bytes, whose MAC was computed, and complete the message.

        Return its length.
        """
        m = self.aead.encrypt(context.sender_key, m)
        return write_outer(
            self.tx, self.fields, self.option, self.option_length, self.aead.text, m
        )

    def protect(self, context, start, n):  # hot
        """Protect tx[0:n], options from `start` on; return its length, 0 if it is too long."""
        m = self.split(start, n, self.option_length)
        if not m:
            return 0
        self.aead.compute_mac(context.sender_key, m)
        return self.encrypt(context, m)


# Machine code, as in coap.codec: each function states what its caller guarantees.


@micropython.viper
def parse_option(buf: ptr8, at: int, n: int, fields: ptr32) -> int:
    """Parse the option value buf[at:at+n] (section 6.1); return 1, or 0 if it is malformed."""
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
    if flags == 0 or flags > 0x1F or n > _MAX_PIV or at + n > end:
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
def write_piv(piv: ptr8, number: int) -> int:
    """Write a Partial IV, as short as possible but never empty; return 1 + its length.

    Without kid and ID context this is also the value of an OSCORE option.
    """
    n = 1
    while n < 4 and number >> (8 * n):  # RISC-V shifts by 32 as by 0
        n += 1
    piv[0] = n
    i = n
    while i:
        piv[i] = number & 255
        number = number >> 8
        i -= 1
    return n + 1


@micropython.viper
def split_message(tx: ptr8, at: int, n: int, text: ptr8, fields: ptr32) -> int:
    """Write the plaintext (section 5.3) of the message tx[0:n] to `text` and return its length.

    What stays in tx is the outer message: header, token and class U options (section 4.1), up to
    fields[_OUTER_END]. Uri-Host and Uri-Port are class U; Observe is both, and empty in the
    plaintext of a response. The options begin at `at` and are well-formed; `text` holds n + 2
    bytes.
    """
    code = tx[1]
    text[0] = code
    end = 1
    outer = at
    number = 0
    inner_number = 0
    outer_number = 0
    outer_code = 2  # POST
    if code > 31:
        outer_code = 0x44  # 2.04 Changed
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
        number += delta
        start = at  # of the extended length, which is copied with the value
        length = head & 15
        if length == 13:
            length = 14 + tx[at]
        elif length == 14:
            length = 271 + (tx[at] << 8 | tx[at + 1])
        stop = at + length
        if number != int(URI_HOST) and number != int(URI_PORT):
            delta = number - inner_number
            inner_number = number
            length = head & 15
            i = start
            if number == int(OBSERVE) and code > 31:
                length = 0
                i = stop
            if delta < 13:
                text[end] = delta << 4 | length
                end += 1
            elif delta < 269:
                text[end] = 0xD0 | length
                text[end + 1] = delta - 13
                end += 2
            else:
                text[end] = 0xE0 | length
                text[end + 1] = (delta - 269) >> 8
                text[end + 2] = (delta - 269) & 255
                end += 3
            while i < stop:
                text[end] = tx[i]
                end += 1
                i += 1
        if number == int(URI_HOST) or number == int(OBSERVE) or number == int(URI_PORT):
            tx[outer] = (number - outer_number) << 4 | head & 15
            outer += 1
            outer_number = number
            if number == int(OBSERVE):
                outer_code = (outer_code & 0x40) | 5  # FETCH, 2.05 Content
            i = start
            while i < stop:  # never behind its place: the outer message only gets shorter
                tx[outer] = tx[i]
                outer += 1
                i += 1
        at = stop
    while at < n:
        text[end] = tx[at]
        end += 1
        at += 1
    tx[1] = outer_code
    fields[_OUTER_END] = outer
    fields[_OUTER_NUMBER] = outer_number
    return end


@micropython.viper
def write_outer(tx: ptr8, fields: ptr32, option: ptr8, length: int, text: ptr8, n: int) -> int:
    """Complete the outer message that split_message() left in tx; return its length.

    The OSCORE option gets the value option[0:length], length < 269; the payload is text[0:n].
    """
    end = fields[_OUTER_END]
    delta = int(OSCORE) - fields[_OUTER_NUMBER]
    if length < 13:
        tx[end] = delta << 4 | length
    else:
        tx[end] = delta << 4 | 13
        end += 1
        tx[end] = length - 13
    end += 1
    i = 0
    while i < length:
        tx[end] = option[i]
        end += 1
        i += 1
    tx[end] = 0xFF
    end += 1
    i = 0
    while i < n:
        tx[end] = text[i]
        end += 1
        i += 1
    return end


@micropython.viper
def write_inner(out: ptr8, buf: ptr8, index: ptr32, text: ptr8, n: int, piv: ptr8) -> int:
    """Write the inner message for the plaintext text[0:n], n > 0; return its length.

    Header and token are those of the outer message in `buf`. A Partial IV that is not empty
    becomes the first option: its length byte is the header of option 0. A malformed plaintext
    gives a malformed message. `out` holds the outer message.
    """
    end = index[int(OPTIONS_START)]
    i = 0
    while i < end:
        out[i] = buf[i]
        i += 1
    out[1] = text[0]
    length = piv[0]
    if length:
        i = 0
        while i <= length:
            out[end] = piv[i]
            end += 1
            i += 1
    i = 1
    while i < n:
        out[end] = text[i]
        end += 1
        i += 1
    return end
