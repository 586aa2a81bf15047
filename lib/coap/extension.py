"""Extensions: capabilities beyond RFC 7252, each in a file that a node can do without.

An extension names the bits of FLAGS (coap.codec) for which it must be called, and is never called
for a message without them. It stands beside the request/response layer and sees the message layer
only through the node. What a manifest leaves out costs nothing.
"""

import micropython


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
