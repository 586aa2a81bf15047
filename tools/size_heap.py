"""Heap that a door node takes, step by step: on the emulated Pico, or on this computer.

Both run size_probe.py with Mote frozen in and words of 32 bits, so that objects are as large as on
a board. Each source of figures is a function that returns what the probe printed: a Heap.
"""

import ast
import os
import subprocess
from dataclasses import dataclass

import build_mpy
from setup import micropython
from setup.console import ROOT, Problem

PROBE = ROOT / "tools" / "size_probe.py"
FIRMWARE = ROOT / "build" / "firmware" / "PICO_EMU" / "firmware.uf2"
ON_PICO = "import board\nkept = run(board)\n"
# The board's own sizes, with the simulated pins; what is soldered to them is no part of the node.
ON_UNIX = """
import board
board.power_on()
text = open({board!r}).read()
names = {{}}
exec(text, names)
board.SLOTS = names["SLOTS"]
board.RECV_MAX = names["RECV_MAX"]
del text, names
machine = board.machine
for pin in (board.REED_PIN, board.TAMPER_PIN, board.BATTERY_ADC_PIN):
    machine.wire(pin)
kept = run(board)
"""
HEAP = "256k"
LIMIT_MS = 60_000
LIMIT_S = 60
# Where words have 32 bits: an object, and its place in the table of a class or module
FUNCTION_BYTES = 16 + 8
CLASS_BYTES = 96 + 8  # with its table, empty
MODULE_BYTES = 32 + 8


@dataclass
class Heap:
    """steps: {what was done: bytes}; modules: the names of those that are there afterwards."""

    steps: dict
    modules: list


def on_pico(firmware=FIRMWARE):
    """The Heap on the emulated Pico. Raises Problem when it cannot run."""
    from emulator.pico import Pico
    from emulator.serial_line import ReplError

    try:
        with Pico(firmware) as pico:
            pico.power()
            said = pico.repl().exec(PROBE.read_text() + ON_PICO, LIMIT_MS)
    except (ReplError, TimeoutError) as error:
        why = str(error).splitlines()[-1]
        raise Problem(f"the firmware of PICO_EMU does not make a door node: {why}") from None
    return read(said)


def on_unix(board="PICO_EMU"):
    """The Heap on this computer, with the sizes of a board. Raises Problem.

    The interpreter has words of 32 bits where this computer can build that.
    """
    program, _ = micropython.frozen()
    settings = ON_UNIX.format(board=str(ROOT / "boards" / board / "board.py"))
    argv = [program, "-X", f"heapsize={HEAP}", "-c", PROBE.read_text() + settings]
    environ = {**os.environ, "MICROPYPATH": ".frozen"}
    done = subprocess.run(argv, capture_output=True, text=True, env=environ, timeout=LIMIT_S)
    if done.returncode:
        why = (done.stderr + done.stdout).strip().splitlines()[-1]
        raise Problem(f"the frozen interpreter does not make a door node: {why}")
    return read(done.stdout)


def read(text):
    """The Heap that the probe printed."""
    found = Heap({}, [])
    for line in text.splitlines():
        words = line.split()
        if words[:1] == ["heap"]:
            found.steps[" ".join(words[1:-1])] = int(words[-1])
        elif words[:1] == ["module"]:
            found.modules.append(words[1])
    return found


def sums(steps):
    """{"modules", "node", "application", "made", "all"}: bytes. What is made, the node and its
    application, is what remains when the modules are left out.
    """
    made = {"node": steps["node"], "application": steps["settings"] + steps["resources"]}
    modules = sum(steps.values()) - sum(made.values())
    return {
        "modules": modules,
        **made,
        "made": sum(made.values()),
        "all": sum(steps.values()),
    }


def code(modules):
    """(how many of these modules are ours, functions and methods in them, classes): objects on the
    heap, also when their code is frozen.
    """
    ours = functions = classes = 0
    for path, file in build_mpy.sources():
        name = path.as_posix().removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        if name in modules:
            body = ast.parse(file.read_bytes()).body
            inner = [node for node in body if isinstance(node, ast.ClassDef)]
            body += [node for one in inner for node in one.body]
            ours += 1
            functions += sum(isinstance(node, ast.FunctionDef) for node in body)
            classes += len(inner)
    return ours, functions, classes


def least(modules):
    """Bytes of heap that these modules take, whatever else is in them."""
    ours, functions, classes = code(modules)
    return ours * MODULE_BYTES + functions * FUNCTION_BYTES + classes * CLASS_BYTES
