"""I2C buses of an emulated Pico: its transfers, answered by the simulator's register models.

The models of tools/simulator/chips see a transfer as on the simulated board: the first byte of a
write is the register pointer, and a read of many bytes is one call. Their clock is the Pico's.
"""

import copy
import sys

from setup.console import ROOT

# The models import `machine` and `micropython` as on a board; here, those that CPython has.
for folder in ("simulator", "cpython"):
    if str(ROOT / "tools" / folder) not in sys.path:
        sys.path.append(str(ROOT / "tools" / folder))

import machine  # noqa: E402

AHEAD = 32  # bytes of a read that are fetched at once


class Buses:
    """Chips by (bus, address). `answer(bytes or None)` lets a waiting transfer go on."""

    def __init__(self, answer):
        self.chips = {}
        self._answer = answer
        self._trial = None  # a copy of the chip that is read from: how far is not known yet

    def attach(self, bus, chip, address=None):
        """Solder a chip to a bus, at its own address unless another one is given."""
        self.chips[bus, chip.address if address is None else address] = chip

    def detach(self, bus, address):
        """Unsolder it: from then on nobody acknowledges the address."""
        self.chips.pop((bus, address), None)

    def take(self, event):
        """Work on one event of the emulator."""
        machine.clock.hold(int(event["ms"]))
        chip = self.chips.get((event["bus"], event["address"]))
        what = event["i2c"]
        if what in ("read", "write"):
            self._start(chip, what == "read")
        elif what == "more":
            self._answer(self._ahead())
        elif chip is not None and what == "written":
            chip.pointer = event["data"][0]
            chip.write(bytes(event["data"][1:]))
        elif chip is not None and what == "taken":
            # Reading has effects, such as a FIFO that moves on: those of what was really read.
            chip.read(bytearray(event["count"]))

    def _start(self, chip, reads):
        if chip is None or chip.fault:
            self._answer(None)
        elif reads:
            self._trial = copy.deepcopy(chip)
            self._answer(self._ahead())
        else:
            self._answer([])

    def _ahead(self):
        buffer = bytearray(AHEAD)
        self._trial.read(buffer)
        return list(buffer)
