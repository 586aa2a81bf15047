"""Two places for one image, written in turn: a write that is torn leaves the image before it.

A slot is a head of 10 bytes and the image: a mark, a sequence number (2 bytes), the length (2), a
CRC-32 over sequence number, length and image (4), and the mark again, inverted. The first image
goes into both, so that an empty slot beside another one is known to be a loss.
"""

from binascii import crc32

from micropython import const

_HEAD = const(10)
_MARK = const(0xA7)


class Slots:
    """memory: has slot_bytes, read(i) and write(i, bytes) for i = 0, 1; see memory.py.

    damaged: load() found but one of them whole, and what was in the other may have been newer.
    """

    def __init__(self, memory):
        self.memory = memory
        self.room = memory.slot_bytes - _HEAD  # bytes of the longest image
        self.damaged = False
        self._sequence = 0
        self._next = 0

    def load(self):
        """The newest image that is whole, None where there is none."""
        self.damaged = False
        first, second = self._read(0), self._read(1)
        newest = first
        self._next = 1
        if first is None or (second is not None and _is_newer(second[0], first[0])):
            newest = second
            self._next = 0
        if newest is None:
            self._sequence = 0
            return None
        if first is None or second is None:
            self.damaged = True
        self._sequence = newest[0]
        return newest[1]

    def save(self, image):
        """Write the image over the older one. Raises ValueError when it is too long for a slot."""
        n = len(image)
        if n > self.room:
            raise ValueError("an image has at most {} bytes, not {}".format(self.room, n))
        if self._sequence == 0:
            self._write(image, n)
        self._write(image, n)

    def _write(self, image, n):
        sequence = (self._sequence + 1) & 0xFFFF
        told = bytes((sequence >> 8, sequence & 255, n >> 8, n & 255))
        check = _check(told, image)
        self.memory.write(self._next, bytes((_MARK,)) + told + check + b"\x58" + image)
        self._sequence = sequence
        self._next ^= 1

    def _read(self, i):
        """(sequence number, image) in slot i, or None."""
        data = self.memory.read(i)
        if not any(data[:_HEAD]):
            return None  # nothing was ever written
        told = bytes(data[1:5])
        n = told[2] << 8 | told[3] if len(told) == 4 else self.room + 1
        if data[0] == _MARK and n <= self.room and len(data) >= _HEAD + n:
            image = bytes(data[_HEAD : _HEAD + n])
            if bytes(data[5:9]) == _check(told, image) and data[9] == _MARK ^ 0xFF:
                return told[0] << 8 | told[1], image
        self.damaged = True
        return None


def _check(told, image):
    value = crc32(image, crc32(told))
    return bytes((value >> 24 & 255, value >> 16 & 255, value >> 8 & 255, value & 255))


def _is_newer(sequence, other):
    return 0 < (sequence - other) & 0xFFFF < 0x8000
