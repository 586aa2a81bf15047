"""Heap that a door node takes, step by step: on the emulated Pico, or on this computer.

Both run heap_probe.py with Mote frozen in and words of 32 bits, so that objects have the size that
they have on a board. What is measured is {step: bytes}, in the order of the steps.
"""

import os
import subprocess

from setup import micropython
from setup.console import ROOT, Problem

PROBE = ROOT / "tools" / "size" / "heap_probe.py"
FIRMWARE = ROOT / "build" / "firmware" / "PICO_EMU" / "firmware.uf2"
ON_PICO = "import board\nkept = run(board)\n"
# The board's own sizes, with the simulated pins; what is soldered to them is no part of the node.
ON_UNIX = """
sys.path.remove("")  # the present folder
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


def on_pico(firmware=FIRMWARE):
    """Return the steps on the emulated Pico. Raises Problem when it cannot run."""
    from emulator.pico import Pico
    from emulator.serial_line import ReplError

    try:
        with Pico(firmware) as pico:
            pico.power()
            printed = pico.repl().exec(PROBE.read_text() + ON_PICO, LIMIT_MS)
    except (ReplError, TimeoutError) as error:
        why = str(error).splitlines()[-1]
        raise Problem(f"the firmware of PICO_EMU does not make a door node: {why}") from None
    return parse(printed)


def on_unix(board="PICO_EMU"):
    """Return the steps on this computer, with the sizes of a board. Raises Problem.

    The interpreter has words of 32 bits where this computer can build that.
    """
    program, _ = micropython.frozen()
    settings = ON_UNIX.format(board=str(ROOT / "boards" / board / "board.py"))
    argv = [program, "-X", f"heapsize={HEAP}", "-c", PROBE.read_text() + settings]
    environ = {**os.environ, "MICROPYPATH": f".frozen:{ROOT / 'boards'}"}
    done = subprocess.run(argv, capture_output=True, text=True, env=environ, timeout=LIMIT_S)
    if done.returncode:
        why = (done.stderr + done.stdout).strip().splitlines()[-1]
        raise Problem(f"the frozen interpreter does not make a door node: {why}")
    return parse(done.stdout)


def parse(printed):
    """Return {step: bytes} of the probe's lines."""
    lines = [line.rpartition(" ") for line in printed.splitlines()]
    return {
        step.removeprefix("heap "): int(size) for step, _, size in lines if step[:5] == "heap "
    }


def sums(steps):
    """Return {"modules", "node", "application", "made", "all"}: bytes.

    "made" is the node and its application: what remains when the modules are left out.
    """
    node, application = steps["node"], steps["settings"] + steps["resources"]
    total, made = sum(steps.values()), node + application
    return {
        "modules": total - made,
        "node": node,
        "application": application,
        "made": made,
        "all": total,
    }
