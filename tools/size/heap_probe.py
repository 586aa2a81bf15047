# Runs on a board, or on an interpreter with everything frozen in. Prints a line for each step of
# making a door node: "heap", the step, the bytes that it leaves in use. run(board) takes the
# board's module, or what has its names.
import gc
import sys

REQUESTS = 1  # requests of the node's own at a time: the client is there too
MODULES = (
    "coap.codec",
    "coap.message",
    "coap.messaging",
    "coap.resource",
    "coap.node",
    "coap.transports.udp",
    "coap.link_format",
    "coap.conditional_observe",
    "coap.observe",
    "coap.blockwise",
    "coap.no_response",
    "coap.client",
    "coap.presets",
    "senml",
    "config",
    "apps.diagnostics",
    "apps.device",
    "apps.door",
)


def used():
    """Return the bytes in use after a collection; the second one frees what the first unties."""
    gc.collect()
    gc.collect()
    return gc.mem_alloc()


class Steps:
    """Prints the bytes of heap that each step takes."""

    def __init__(self):
        self.before = 0
        self.before = used()

    def done(self, name):
        """Print the bytes taken since the previous step."""
        now = used()
        print("heap", name, now - self.before)
        self.before = used()


def run(board):
    """Return the node and what holds it, so that nothing of it is collected."""
    step = Steps()
    for name in MODULES:
        __import__(name)
        step.done("import " + name)
    node = made(board)
    step.done("node")
    settings = sys.modules["config"].Settings()
    step.done("settings")
    sys.modules["apps.door"].setup(node, board, settings)
    step.done("resources")
    sys.modules["unload"].unload("coap.presets")  # as startup.py does
    step.done("unload coap.presets")
    return node, settings


def made(board):
    """Return a node with the board's sizes."""
    slots = dict(board.SLOTS)
    slots["requests"] = REQUESTS
    return sys.modules["coap.presets"].node_for_board(slots, board.RECV_MAX)
