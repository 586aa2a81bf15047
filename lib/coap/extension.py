"""What a feature is: a file that a node can do without.

A feature names the option bits that wake it and is never called for a request without them; a file
left out of a manifest costs nothing.
"""

import micropython


class Extension:
    """Base of all features. Slots that a subclass does not need cost it nothing."""

    option_mask = 0  # bits of scan(): requests that have one are shown to before() and after()
    slow_path_mask = (
        0  # bits of scan(): requests that have one need the long way; usually as `wants`
    )
    critical_mask = 0  # critical options that need not be refused
    message_mask = 0  # bits of scan(): messages that have one pass the message layer
    splits_payload = False  # after() is also shown answers that are too long for one message
    scheduled = False  # has due(now_ms) and wait_ms(now_ms), as Node has them

    def attach(self, node):
        """The node is made: add resources, keep a reference."""
        self.node = node

    def before_handler(self, view, resource):
        """The handler of `resource` is about to run: 0 to go on, a code to refuse."""
        return 0

    def after_handler(self, view, builder):
        """The handler has filled `reply`: complete it."""

    def changed(self, resource):
        """The state of `resource` is new."""

    def rejected(self, view):
        """An RST came, and no exchange has its MID."""

    def state(self):
        """What must survive a reset, less than 64 KB."""
        return b""

    def restore(self, part):
        """Go on from what state() returned."""

    def on_peer_evicted(self, who):
        """The number of a peer goes to another one."""


# Calls of what may raise, compiled to machine code.
#
# As bytecode these functions would take their frames from the heap, at every request: a frame has
# 11 words on the C stack, and `except ... as` needs more. Machine code keeps its frame on the C
# stack whatever its size.


@micropython.native
def call_handler(handler, request, reply, node):
    """Call a handler; an exception becomes what node.failed() makes of it."""
    try:
        return handler(request, reply)
    except Exception as error:
        return node.failed(error)


@micropython.native
def call_callback(function, argument, node):
    """Call what the application gave; its exception is counted and logged."""
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
        return node._request(view)
    finally:
        view.context = 0
        view.is_stored = False


@micropython.native
def run_step(transport):
    """Let a transport have its turn; what the network and the heap refuse goes to fault()."""
    try:
        return transport.run_step()
    except (OSError, MemoryError) as error:
        return transport.fault(error)
