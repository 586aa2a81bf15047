"""Numbers that are never used twice, even when the memory that counts them is lost.

A file holds a number that none in use has reached; it is written once for every `step` numbers.
After a loss of memory counting goes on from there, and the numbers in between stay unused.
"""

import json

from micropython import const

from power.memory import replace

_MASK = const(0x3FFFFFFF)
_HALF = const(0x20000000)


class Reserve:
    """path: the file, None keeps it in RAM only; limit: no number in use has reached it."""

    def __init__(self, path, step=64):
        self._path = path
        self.step = step
        self.limit = self._read()

    def cover(self, number):
        """Make sure that `number` and those soon after it may be used. Raises OSError."""
        ahead = (self.limit - number) & _MASK
        if 0 < ahead <= 2 * self.step and self.limit >= 0:
            return
        self.limit = (number + self.step) & _MASK
        if self._path is not None:
            replace(self._path, b"%d" % self.limit)

    def _read(self):
        try:
            with open(self._path or "", "rb") as file:
                limit = json.loads(file.read(12))
        except (OSError, ValueError):
            return -1
        return limit if type(limit) is int and 0 <= limit <= _MASK else -1
