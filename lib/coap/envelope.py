"""How OSCORE puts a message into another one, and takes it out (RFC 8613 sections 4 to 6, 8).

What is protected stands in `tx`, what comes in the message at hand; in between the text lies in
the buffers of one Ccm. A message that was taken out lies in its blocks until one is sealed.
"""

from array import array

from micropython import const

from coap.ccm import Ccm
from coap.cipher import associated, nonce, put_piv, take_piv
from coap.copying import copy
from coap.framing import (
    FIELDS,
    keep_outer,
    merge,
    parse,
    put_option,
    split_inner,
)
from coap.scan import scan, step

# The numbers of scan.py: the compiler folds only the constants of the file at hand
_OSCORE = const(16)  # scan.OSCORE
_PAYLOAD = const(55)  # scan.PAYLOAD
_SIZE = const(56)  # scan.SIZE
_VALUE = const(60)  # scan.VALUE
_LENGTH = const(61)  # scan.LENGTH
_LIMIT = const(62)  # scan.LIMIT
_COUNT = const(63)  # scan.COUNT
_SPECIAL = const(129)  # scan.SPECIAL

_PIV = const(6)  # bytes of a Partial IV and its length
_VALUE_MOST = const(48)  # bytes of an option value of ours
_MORE = const(20)  # bytes that a message grows by, beside that value: marker, tag, Observe


class Envelope:
    """One serves all messages of a node. `fields`: of the option that read() found; `piv`: of the
    request that is protected, or that was; `value`, `length`: the option that seal() writes.
    """

    def __init__(self, node):
        self.node = node
        self.tx = node.tx
        self.ccm = Ccm(max(node.view.r[_LIMIT], len(node.tx)))
        self.message = self.ccm.blocks
        self.fields = array("i", [0] * FIELDS)
        self.piv = bytearray(_PIV)
        self.value = bytearray(_VALUE_MOST)
        self.length = 0

    # What comes

    def read(self, view):  # hot
        """Find the OSCORE option of the message at hand. False: it is malformed."""
        step(view.buf, view.r[_OSCORE], view.r)
        return parse(view.buf, view.r[_VALUE], view.r[_LENGTH], self.fields) == 1

    def take_piv(self, view):  # hot
        """The Partial IV that read() found is that of the request."""
        take_piv(self.piv, view.buf, self.fields)

    def open(self, context, view):  # hot
        """Decrypt the message at hand, for which bind() was called: length of the text, 0: no."""
        n = view.r[_SIZE] - view.r[_PAYLOAD]
        n = self.ccm.open(context.recipient, view.buf, view.r[_PAYLOAD], n)
        return n if n > 0 else 0

    def unwrap(self, view, n, marked):  # hot
        """The text of n bytes becomes the message at hand; marked: with the OSCORE option."""
        n = merge(self.message, view.buf, view.r, self.ccm.text, n, marked)
        view.buf = self.message
        view.r[_SPECIAL] ^= 1 << _OSCORE  # a request that was taken out may be a plain one
        scan(self.message, n, view.r, self.node.table)
        view.r[_SPECIAL] ^= 1 << _OSCORE
        view.r[_COUNT] -= 1  # it has been counted when it came

    # What is to be protected, of either

    def bind(self, context, kid):  # hot
        """The request is that of `kid`, with the Partial IV in `piv`."""
        associated(self.ccm.aad, kid, self.piv)
        nonce(self.ccm.once, context.iv, kid, self.piv)

    def vary(self, context, name, piv):  # hot
        """An answer has a Partial IV of its own, of the endpoint `name`."""
        nonce(self.ccm.once, context.iv, name, piv)

    # What goes

    def answer_anew(self, context):  # hot
        """An answer takes a number of its own. False: there is none."""
        number = context.take()
        if number < 0:
            return False
        self.length = put_piv(self.value, number)
        self.vary(context, context.sender_id, self.value)
        return True

    def ask(self, context):  # hot
        """The option of a request with the Partial IV in `piv`."""
        self.length = put_option(self.value, self.piv, context.tail, context.flags)

    def write_text(self, head, n):  # hot
        """The text of the message tx[0:n], whose options begin at `head`: its length; 0: the
        message would be too long.
        """
        if n + self.length + _MORE > len(self.tx):
            return 0
        return split_inner(self.ccm.text, self.tx, head, n)

    def sign(self, context, m):  # hot
        """Compute the tag of the text of m bytes; it is the sender's chain then."""
        self.ccm.sign(context.sender, m)

    def close(self, context, head, n, m):  # hot
        """Put the signed text of m bytes into the message tx[0:n] it was made of: its length."""
        m = self.ccm.seal(context.sender, m)
        n = keep_outer(self.tx, head, n, self.value, self.length)
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
