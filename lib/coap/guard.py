"""Calls of what may raise, compiled to machine code.

As bytecode these functions would take their frames from the heap, at every request: a frame has
11 words on the C stack, and `except ... as` needs more. Machine code keeps its frame on the C
stack whatever its size.
"""

import micropython


@micropython.native
def guard(handler, request, reply, node):
    """Call a handler; an exception becomes what node.failed() makes of it."""
    try:
        return handler(request, reply)
    except Exception as error:
        return node.failed(error)


@micropython.native
def call(function, argument, node):
    """Call what the application gave; its exception is counted and logged."""
    try:
        return function(argument)
    except Exception as error:
        return node.log(error)


@micropython.native
def inside(node, context, n):
    """Answer the request at hand, or the one of n bytes that was kept, as one that came under a
    security context; whatever happens, the next one has not.
    """
    node.view.context = context
    try:
        return node.replay(n) if n else node._request(node.view)
    finally:
        node.view.context = 0


@micropython.native
def turn(transport):
    """Let a transport have its turn; what the network and the heap refuse goes to fault()."""
    try:
        return transport.turn()
    except (OSError, MemoryError) as error:
        return transport.fault(error)
