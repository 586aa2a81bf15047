"""Extensions: capabilities beyond RFC 7252, each in a file that a node can do without.

An extension names the bits of FLAGS (coap.codec) for which it must be called, and is never called
for a message without them. It stands beside the request/response layer and sees the message layer
only through the node. What a manifest leaves out costs nothing.
"""

import micropython
from micropython import const

from coap.codec import ABSENT

# The merit of an entry of a ClaimedTable: rank, standing, share, and age; the least leaves first.
_RANK = const(27)
_STAYS = const(26)
_SHARE = const(21)
_SHARE_MAX = const(31)
_AGE_MAX = const((1 << 21) - 1)  # in 8 ms
ANY_RANK = const(3)  # more than any


class Extension:
    """Base class of all extensions; a method that is not overridden is not called."""

    option_mask = 0  # requests with one of these bits are shown to before_handler, after_handler
    slow_path_mask = 0  # requests with one of these bits are not plain; mostly as option_mask
    critical_mask = 0  # bits of critical options that the extension understands
    message_mask = 0  # messages with one of these bits pass the message layer
    splits_payload = False  # after_handler also gets responses too long for one message
    scheduled = False  # it has due(now_ms) and wait_ms(now_ms), as Node has them

    def attach(self, node):
        """Add resources and keep a reference, now that the node is made."""
        self.node = node

    def before_handler(self, view, resource):
        """Return 0 to let the handler of `resource` run, or the code of an error."""
        return 0

    def after_handler(self, view, builder):
        """Complete the response of the handler in `builder`."""

    def changed(self, resource):
        """Act on a change of the state of `resource`."""

    def rejected(self, view):
        """Act on an RST for a message that was not confirmable."""

    def state(self):
        """Return what must survive a reset, as bytes, less than 64 KB."""
        return b""

    def restore(self, part):
        """Continue from `part`, which state() returned before a reset."""

    def on_peer_evicted(self, peer_index):
        """Forget what is kept for `peer_index`, which now stands for another peer."""


class ClaimedTable:
    """Base of tables with a fixed number of entries, for which clients compete.

    A subclass has the attributes `node`; `peers`, the clients, None where an entry is free; and
    `words`, an array of ENTRY_WORDS ints for each entry, of which the one at CONTEXT_WORD is the
    number of its security context. See "Fixed tables" in README.md.
    """

    ENTRY_WORDS = 0
    CONTEXT_WORD = 0

    def standing(self, i, rank):
        """Return the age of entry i in ms, inverted (~) if it leaves for a client of its rank."""
        raise NotImplementedError

    def claim(self, view):  # hot
        """Return a free entry for the sender of a request, else the one that leaves; -1: none."""
        i = 0
        while i < len(self.peers):
            if self.peers[i] is None:
                return i
            i += 1
        i = self._share(view.peer, view.context)
        return self.weakest(self.node.messaging.rank(view), i)

    def weakest(self, rank, share):  # hot
        """Return the entry that leaves for a client of this rank with `share` entries; -1: none.

        A lower rank leaves, and of the same one an entry that yields, and one of a client with at
        least two entries more. Among these the lowest rank leaves, of it who yields, then who
        holds most, then the oldest.
        """
        found = -1
        least = ABSENT
        i = len(self.peers)
        while i:
            i -= 1
            merit = self._merit(i)
            if merit < least and merit >> _RANK <= rank:
                if (
                    merit >> _RANK < rank
                    or not merit >> _STAYS & 1
                    or _SHARE_MAX - (merit >> _SHARE & _SHARE_MAX) > share + 1
                ):
                    least = merit
                    found = i
        return found

    def _share(self, peer, context):  # hot
        """Return how many entries a client holds: a security context, or without one a host."""
        count = 0
        i = len(self.peers)
        while i:
            i -= 1
            if self.peers[i] is not None:
                if self.words[i * self.ENTRY_WORDS + self.CONTEXT_WORD] == context:
                    if context or self.peers[i] == peer:
                        count += 1
        return count

    def _merit(self, i):  # hot
        context = self.words[i * self.ENTRY_WORDS + self.CONTEXT_WORD]
        merit = self.node.messaging.rank_of(self.peers[i], context)
        age_ms = self.standing(i, merit)
        merit *= 2
        if age_ms >= 0:
            merit += 1
        else:
            age_ms = ~age_ms
        i = self._share(self.peers[i], context)
        merit = merit << _STAYS - _SHARE | _SHARE_MAX - min(i, _SHARE_MAX)
        return merit << _SHARE | _AGE_MAX - min(age_ms >> 3, _AGE_MAX)


# Barriers for exceptions, compiled to machine code: a bytecode function with `except ... as` needs
# a larger frame than the C stack gives it (see lib/coap/README.md), one in machine code does not.


@micropython.native
def call_handler(handler, request, response, node):
    """Call a handler and return its result; an exception goes to node.failed()."""
    try:
        return handler(request, response)
    except Exception as error:
        return node.failed(error)


@micropython.native
def call_callback(function, argument, node):
    """Call a function of the application; an exception goes to node.log()."""
    try:
        return function(argument)
    except Exception as error:
        return node.log(error)


@micropython.native
def process_as(node, view, context, is_stored):
    """Process the request in `view` under a security context, 0 for none; return the length of
    the response in tx. Whatever happens, the next request is a new one without context.
    """
    try:
        view.context = context
        view.is_stored = is_stored
        return node._handle_request(view)
    finally:
        view.context = 0
        view.is_stored = view.group = False


@micropython.native
def run_step(transport):
    """Call transport.run_step(); OSError and MemoryError go to transport.fault()."""
    try:
        return transport.run_step()
    except (OSError, MemoryError) as error:
        return transport.fault(error)
