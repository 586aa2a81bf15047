"""I2C buses of an emulated Pico with the simulator's register models.

The models of tools/simulator/chips get the same calls as on the simulated board: the first byte of
a write is the register pointer, and a read of many bytes is one call. Their clock is the Pico's.
"""

import copy
import sys

from setup.console import ROOT

# The models import `machine` and `micropython` as on a board.
for folder in ("simulator", "cpython"):
    if str(ROOT / "tools" / folder) not in sys.path:
        sys.path.append(str(ROOT / "tools" / folder))

import machine  # noqa: E402

FETCHED_BYTES = 32  # fetched from the model at once during a read


class Buses:
    """Models by (bus, address). `reply(bytes or None)` lets a stopped transfer continue."""

    def __init__(self, reply):
        self.chips = {}
        self._reply = reply
        self._trial = None  # a copy of the model that is read: the number of bytes is unknown yet

    def attach(self, bus, chip, address=None):
        """Connect a model, at its own address unless another one is given."""
        self.chips[bus, chip.address if address is None else address] = chip

    def detach(self, bus, address):
        """Disconnect a model: nothing acknowledges its address any more."""
        self.chips.pop((bus, address), None)

    def handle(self, event):
        """Handle one I2C event of the emulator, see i2c.mjs."""
        machine.clock.hold(int(event["ms"]))
        chip = self.chips.get((event["bus"], event["address"]))
        kind = event["i2c"]
        if kind in ("read", "write"):
            self._start(chip, kind == "read")
        elif kind == "more":
            self._reply(self._fetch())
        elif chip is not None and kind == "written":
            chip.pointer = event["data"][0]
            chip.write(bytes(event["data"][1:]))
        elif chip is not None and kind == "consumed":
            # Reading has effects, such as a FIFO that advances: those of the bytes really read.
            chip.read(bytearray(event["count"]))

    def _start(self, chip, reads):
        if chip is None or chip.fault:
            self._reply(None)
        elif reads:
            self._trial = copy.deepcopy(chip)
            self._reply(self._fetch())
        else:
            self._reply([])

    def _fetch(self):
        buffer = bytearray(FETCHED_BYTES)
        self._trial.read(buffer)
        return list(buffer)
