"""The command that starts a node: which interpreter, which import paths, what is frozen in."""

import os
import subprocess

from fold import folded
from setup import interpreter, micropython
from setup.console import ROOT

NODE_MAIN = ROOT / "tools" / "simulator" / "node_main.py"
LIB = ROOT / "lib"
OTHER_PATHS = (ROOT / "firmware", ROOT / "tools" / "simulator")
IMPORT_PATHS = (LIB, *OTHER_PATHS)
SHIM = ROOT / "tools" / "cpython"
# Below this the compiler and the compiled modules would not fit beside the node.
FROZEN_BELOW = 512 << 10
BOARD_BITS = 32
# Collecting often keeps what lives together; otherwise the gaps between are soon too small for a
# datagram, although half of the heap is free.
FROZEN_START = "import gc, sys; gc.threshold(1000); import board, node_main"
FROZEN_RUN = "sys.exit(node_main.main(sys.argv[1:]))"
FEWER_SLOTS = "board.SLOTS.update(board.FEWER_SLOTS)"
FEWER_BELOW = 96 << 10


def command(options):
    """(argv, environment, the interpreter's name and version) for the node of `options`.

    Raises:
        Problem: there is no usable interpreter, or the one for a small heap cannot be built.
    """
    if options.interpreter == "cpython":
        start, added, title = on_cpython()
    elif options.heap and options.heap < FROZEN_BELOW:
        start, added, title = on_frozen(options.heap)
    else:
        start, added, title = on_micropython(options.heap)
    argv = [str(word) for word in start] + node_arguments(options)
    return argv, {**os.environ, **added}, title


def on_cpython():
    """(argv, environment, title) of the Python in .venv."""
    python = ROOT / ".venv" / "bin" / "python"
    done = subprocess.run([python, "--version"], capture_output=True, text=True)
    added = {"PYTHONPATH": joined(SHIM, *IMPORT_PATHS), "PYTHONUNBUFFERED": "1"}
    return [python, "-X", "utf8", NODE_MAIN], added, "C" + done.stdout.strip()


def on_micropython(heap):
    """(argv, environment, title) of the MicroPython found, with a heap of its own or `heap`."""
    found, _ = interpreter.find()
    root = folded(native=found.viper)
    *paths, main = (root / path.relative_to(ROOT) for path in (*IMPORT_PATHS, NODE_MAIN))
    size = ["-X", f"heapsize={heap}"] if heap else []
    title = "MicroPython " + ".".join(str(number) for number in found.version)
    added = {"MICROPYPATH": joined(*paths, ".frozen")}
    return [found.path, *size, main], added, title


def on_frozen(heap):
    """(argv, environment, title) of a MicroPython with all modules frozen in.

    Args:
        heap: bytes on a board, where a word has 32 bits; twice as many are taken for words of 64.
    """
    program, bits = micropython.frozen()
    parts = [FROZEN_START, FEWER_SLOTS, FROZEN_RUN]
    if heap >= FEWER_BELOW:
        parts.remove(FEWER_SLOTS)
    heap = heap * bits // BOARD_BITS
    title = f"{bits}-bit MicroPython {micropython.VERSION} with {heap // 1024} KiB of heap"
    argv = [program, "-X", f"heapsize={heap}", "-c", "; ".join(parts)]
    return argv, {"MICROPYPATH": ".frozen"}, title


def node_arguments(options):
    """The arguments of tools/simulator/node_main.py."""
    given = ["--app", options.app, "--host", options.host, "--port", str(options.port)]
    given += ["--rate", str(options.rate), "--seed", str(options.seed)]
    if options.group:
        given += ["--group", options.group]
    if options.iface:
        given += ["--iface", options.iface]
    if options.rd:
        given += ["--rd", options.rd]
    if options.oscore:
        given += ["--oscore", options.oscore]
    return given


def joined(*paths):
    """A search path of these folders."""
    return os.pathsep.join(str(path) for path in paths)
