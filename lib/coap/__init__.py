"""Mote's CoAP: a server and client for constrained nodes (RFC 7252).

    from coap import Node
    from coap.transports.udp import run

    node = Node()

    @node.get("hello")
    def hello(request, response):
        return b"world"

    run(node)

Names are loaded when they are first used, so that a node loads only the modules that it needs.
"""

_HOME = {
    "Node": "presets",
    "Resource": "resource",
    "CoapError": "resource",
    "SEPARATE": "resource",
}


def __getattr__(name):
    if name in _HOME:
        module = __import__("coap." + _HOME[name], None, None, (name,))
        value = getattr(module, name)
    else:
        # MicroPython calls this before it looks for a file: `from coap import numbers`
        try:
            value = __import__("coap." + name, None, None, ("*",))
        except ImportError:
            raise AttributeError("coap has no " + name)
    globals()[name] = value
    return value
