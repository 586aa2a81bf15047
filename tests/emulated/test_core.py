"""The emulated Pico's processor: each instruction does what it does in rp2040js, or should."""

import subprocess
from pathlib import Path

from emulator import dependencies

CHECK = Path(__file__).with_name("core_check.mjs")
STATES = 2  # of registers, flags and memory for each opcode


def test_every_opcode_in_random_states():
    done = subprocess.run(
        [dependencies.node(), CHECK, str(STATES)], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, f"{65536 * STATES} instructions, 0 differ\n"), (
        done.stdout + done.stderr
    )
