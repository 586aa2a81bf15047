# Runs on a board, or on an interpreter with everything frozen in. A line for each step of making a
# door node: "heap", what is done, the bytes that live on after it. Then one for each module that
# is still there: "module", its name. run(board) takes the board's module, or what has its names.
import gc
import sys

REQUESTS = 1  # of the node's own at a time: the client is there too
CORE = ("scan", "message", "resource", "exchange", "node", "transports.udp")
FEATURES = ("link", "conditions", "observe", "block", "silence", "client", "defaults")
APPLICATION = ("senml", "config", "apps.diagnostics", "apps.device", "apps.door")


def used():
    """Bytes in use after a collection; the second one frees what the first has untied."""
    gc.collect()
    gc.collect()
    return gc.mem_alloc()


class Steps:
    """Prints what was taken since the step before."""

    def __init__(self):
        self.before = 0
        self.before = used()

    def done(self, name):
        now = used()
        print("heap", name, now - self.before)
        self.before = used()


def load(step, name):
    __import__(name)
    step.done("import " + name)


def run(board):
    """The node and what holds it, so that nothing of it is collected."""
    step = Steps()
    for name in CORE + FEATURES:
        load(step, "coap." + name)
    for name in APPLICATION:
        load(step, name)
    node = made(board)
    step.done("node")
    settings = sys.modules["config"].Settings()
    step.done("settings")
    sys.modules["apps.door"].setup(node, board, settings)
    step.done("resources")
    sys.modules["unload"].unload("coap.presets")  # as startup.py does
    step.done("unload coap.presets")
    for name in sys.modules:
        print("module", name)
    return node, settings


def made(board):
    slots = dict(board.SLOTS)
    slots["requests"] = REQUESTS
    return sys.modules["coap.presets"].for_board(slots, board.RECV_MAX)
