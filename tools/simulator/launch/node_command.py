"""The command that starts a node: interpreter, import paths, frozen modules, or an emulator."""

import os
import subprocess
import sys

from fold import folded
from setup import interpreter, micropython
from setup.console import ROOT

SIMULATOR = ROOT / "tools" / "simulator"
NODE_MAIN = SIMULATOR / "node_main.py"
IMPORT_PATHS = tuple(
    ROOT / path for path in ("lib", "firmware", "tools/simulator", "tools/conformance")
)
SHIM = ROOT / "tools" / "cpython"
# A smaller heap has no room for the compiler and the compiled modules beside the node.
FROZEN_BELOW = 512 << 10
BOARD_BITS = 32
# Frequent collections keep lasting objects together. Otherwise half of the heap may be free, but
# in gaps too small for a datagram. Without "", the present folder, on the path no file or folder
# there, such as `keys`, is taken for a module.
FROZEN_START = "import gc, sys; sys.path.remove(''); gc.threshold(100); import board, node_main"
FROZEN_RUN = "sys.exit(node_main.main(sys.argv[1:]))"
SHRINK_BELOW = 96 << 10
RECEIVER = ROOT / "tools" / "battery_sim" / "receiver.py"
PICO = "PICO_EMU"
PICO_FLASH = ROOT / "build" / "pico.flash"
PICO_RUN = ROOT / "tools" / "emulator" / "run.py"


def simulated(options):
    """Return (argv, environment, title: interpreter and version) of a simulated node.

    Raises:
        Problem: there is no usable interpreter, or the one for a small heap cannot be built.
    """
    if options.interpreter == "cpython":
        start, added, title = on_cpython()
    elif options.heap and options.heap < FROZEN_BELOW:
        start, added, title = on_frozen(options.heap, options.oscore)
    else:
        start, added, title = on_micropython(options.heap)
    argv = [str(word) for word in start] + node_arguments(options)
    return argv, {**os.environ, **added}, title


def on_cpython():
    """Return (argv, environment, title) for the Python in .venv."""
    python = ROOT / ".venv" / "bin" / "python"
    done = subprocess.run([python, "--version"], capture_output=True, text=True)
    added = {"PYTHONPATH": joined(SHIM, *IMPORT_PATHS), "PYTHONUNBUFFERED": "1"}
    return [python, "-X", "utf8", NODE_MAIN], added, "C" + done.stdout.strip()


def on_micropython(heap):
    """Return (argv, environment, title) for the MicroPython found; heap: bytes, None: default."""
    found, _ = interpreter.find()
    root = folded(native=found.viper)
    *paths, main = (root / path.relative_to(ROOT) for path in (*IMPORT_PATHS, NODE_MAIN))
    size = ["-X", f"heapsize={heap}"] if heap else []
    title = "MicroPython " + ".".join(str(number) for number in found.version)
    added = {"MICROPYPATH": joined(*paths, ".frozen")}
    return [found.path, *size, main], added, title


def on_frozen(heap, keys=None):
    """Return (argv, environment, title) for a MicroPython with all modules frozen in.

    Args:
        heap: bytes on a board, whose words have 32 bits; 64-bit words get twice as many.
    """
    program, bits = micropython.frozen()
    parts = [FROZEN_START, f"board.shrink({bool(keys)})", FROZEN_RUN]
    if heap >= SHRINK_BELOW:
        parts.pop(1)
    heap = heap * bits // BOARD_BITS
    title = f"{bits}-bit MicroPython {micropython.VERSION} with {heap // 1024} KiB of heap"
    argv = [program, "-X", f"heapsize={heap}", "-c", "; ".join(parts)]
    return argv, {"MICROPYPATH": ".frozen"}, title


def node_arguments(options):
    """Return the arguments of node_main.py."""
    given = ["--app", options.app, "--host", options.host, "--port", str(options.port)]
    given += ["--rate", str(options.rate)]
    for name in ("seed", "group", "iface", "rd", "oscore"):
        if value := getattr(options, name):
            given += [f"--{name}", str(value)]
    return given


def joined(*paths):
    """Return a search path of these folders."""
    return os.pathsep.join(str(path) for path in paths)


def on_battery(options):
    """Return (argv, environment, title) of a node on a battery and the receiver of its reports.

    Raises:
        Problem: there is no usable interpreter.
    """
    found, _ = interpreter.find()
    argv = [str(ROOT / ".venv" / "bin" / "python"), str(RECEIVER), "--app", options.app]
    argv += ["--speed", str(options.speed), "--host", options.host, "--port", str(options.port)]
    title = "MicroPython " + ".".join(str(number) for number in found.version)
    return argv, {**os.environ, "PYTHONUNBUFFERED": "1"}, title


def emulated_pico(options):
    """Return (argv, environment, title) of an emulated Pico; build its firmware if necessary.

    Raises:
        Problem: Node.js, the emulator or what builds the firmware is missing.
    """
    from emulator import dependencies
    from host.device import find_board
    from setup import firmware

    dependencies.node()
    dependencies.bootrom()
    image, *_ = firmware.build_from_debian(find_board(PICO))
    argv = [sys.executable, str(PICO_RUN), "--firmware", str(image)]
    argv += ["--host", options.host, "--port", str(options.port)]
    argv += ["--flash", os.path.abspath(options.flash or PICO_FLASH)]
    if options.app:
        argv += ["--app", options.app]
    return argv, dict(os.environ), "an emulated Raspberry Pi Pico"


def pico_notes(options, device):
    """Return lines about the serial line and the flash file of an emulated Pico."""
    flash = os.path.relpath(options.flash or PICO_FLASH)
    return [
        f"Its USB cable leads to {device}, also for mpremote: make config DEV={device}",
        f"It keeps its settings in {flash}: without that file it is as new.",
        "",
    ]
