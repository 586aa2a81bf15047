"""Heap that a door node takes, step by step: on the emulated Pico, or on this computer.

Both run size_probe.py with Mote frozen in and words of 32 bits, so that objects are as large as on
a board. Each source of figures is a function that returns {step: bytes}.
"""

import os
import subprocess

from launch.command import manifest
from setup import source
from setup.console import ROOT, Problem

PROBE = ROOT / "tools" / "size_probe.py"
FIRMWARE = ROOT / "build" / "firmware" / "PICO_EMU" / "firmware.uf2"
ON_PICO = "import board\nkept = run(board)\n"
# The board's own sizes, with the simulated pins.
ON_UNIX = """
import board
board.power_on()
text = open({board!r}).read()
names = {{}}
exec(text, names)
board.SLOTS = names["SLOTS"]
board.RECV_MAX = names["RECV_MAX"]
del text, names
kept = run(board)
"""
HEAP = "256k"
LIMIT_MS = 60_000
LIMIT_S = 60


def on_pico(firmware=FIRMWARE):
    """{step: bytes} on the emulated Pico. Raises Problem when it cannot run."""
    from emulator.pico import Pico
    from emulator.repl import ReplError

    try:
        with Pico(firmware) as pico:
            pico.power()
            said = pico.repl().exec(PROBE.read_text() + ON_PICO, LIMIT_MS)
    except (ReplError, TimeoutError) as error:
        why = str(error).splitlines()[-1]
        raise Problem(f"the firmware of PICO_EMU does not make a door node: {why}") from None
    return steps(said)


def on_unix(board="PICO_EMU"):
    """{step: bytes} on this computer, with the sizes of a board. Raises Problem.

    The interpreter has words of 32 bits where this computer can build that, see setup/source.py.
    """
    program, _ = source.frozen(*manifest())
    settings = ON_UNIX.format(board=str(ROOT / "boards" / board / "board.py"))
    argv = [program, "-X", f"heapsize={HEAP}", "-c", PROBE.read_text() + settings]
    environ = {**os.environ, "MICROPYPATH": ".frozen"}
    done = subprocess.run(argv, capture_output=True, text=True, env=environ, timeout=LIMIT_S)
    if done.returncode:
        why = (done.stderr + done.stdout).strip().splitlines()[-1]
        raise Problem(f"the frozen interpreter does not make a door node: {why}")
    return steps(done.stdout)


def steps(text):
    """{step: bytes} of what the probe printed."""
    found = {}
    for line in text.splitlines():
        words = line.split()
        if words[:1] == ["heap"]:
            found[" ".join(words[1:-1])] = int(words[-1])
    return found


def sums(found):
    """{"modules", "node", "application", "all"}: bytes."""
    modules = sum(size for step, size in found.items() if step.startswith("import "))
    node = found["slots"] + found["node"]
    application = found["settings"] + found["resources"]
    return {
        "modules": modules,
        "node": node,
        "application": application,
        "all": modules + node + application,
    }
