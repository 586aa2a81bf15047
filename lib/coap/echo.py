"""Echo (RFC 9175): proof that a request is fresh and that its sender receives at its address.

The value is the time and a keyed hash of it with the peer, so that nothing is stored for peers.
"""

from hashlib import sha256

from micropython import const

from coap.codec import IX_ECHO
from coap.extension import Extension
from coap.numbers import CLOCK_MASK, ECHO, UNAUTHORIZED

_TAG = const(8)  # bytes of the keyed hash


class Echo(Extension):
    """Requests with side effects to a resource with `echo` get 4.01 and an Echo value, until one
    returns a value not older than fresh_ms. A peer that returns a value is verified.
    """

    option_mask = slow_path_mask = 1 << IX_ECHO

    def __init__(self, fresh_ms=30000):
        self.fresh_ms = fresh_ms
        self.secret = None

    def attach(self, node):
        """Let resources with `echo` challenge their clients."""
        self.node = node
        node.builder.challenge = self.challenge

    def before_handler(self, view, resource):
        """Mark the peer as verified when it returns a fresh Echo. Return 0."""
        if not view.fresh and self._is_fresh(view):
            self.node.messaging.mark_verified(view.peer)
            view.fresh = True
        return 0

    def challenge(self, view):
        """Return 0 for a fresh request; else put 4.01 with a new value into the builder and return
        that code.
        """
        if view.has(IX_ECHO):
            self.before_handler(view, None)
        if view.fresh:
            return 0
        builder = self.node.builder
        builder.set_code(UNAUTHORIZED)
        builder.extra_options = [(ECHO, self._value(view.peer, view.now_ms))]
        return UNAUTHORIZED

    def _is_fresh(self, view):
        value = view.values(IX_ECHO)[0]
        if len(value) != 4 + _TAG:
            return False
        then_ms = value[0] << 24 | value[1] << 16 | value[2] << 8 | value[3]
        if then_ms > CLOCK_MASK or (view.now_ms - then_ms) & CLOCK_MASK > self.fresh_ms:
            return False
        good = self._value(view.peer, then_ms)
        differ = 0
        for i in range(len(value)):
            differ |= value[i] ^ good[i]  # in constant time
        return differ == 0

    def _value(self, peer, when_ms):
        if self.secret is None:
            self.secret = self.node.entropy
        time = bytes((when_ms >> 24, when_ms >> 16 & 255, when_ms >> 8 & 255, when_ms & 255))
        name = peer if isinstance(peer, bytes) else repr(peer).encode()
        return time + sha256(self.secret + time + name + self.secret).digest()[:_TAG]
