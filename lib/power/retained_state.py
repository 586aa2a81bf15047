"""Two places for one image, written in turn: a write that is torn leaves the image before it.

A slot is a head of 10 bytes and the image: a mark, a sequence number (2 bytes), the length (2), a
CRC-32 over sequence number, length and image (4), and the mark again, inverted. The first image
goes into both, so that an empty slot beside another one is known to be a loss.
"""

import json
import os
from binascii import crc32

from micropython import const

_HEAD = const(10)
_MARK = const(0xA7)


class DoubleBuffer:
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


# Where an image outlives a sleep: RTC memory where there is some, else files.
#
# - machine.mem_backup() is a memoryview since MicroPython 1.29: 2048 bytes on ESP32, which keeps
# it
#   in deep sleep and over a reset; some 28 on RP2, which is too little for anything here.
# - machine.RTC().memory() is the same RTC memory on an ESP32 before that, as one string of bytes.
# - A file takes the place of the one before as a whole: it is written beside it and renamed.

RTC_BYTES = 2048
FILE_SLOT_BYTES = 2048


class BackupRegisters:
    """A memoryview of bytes, in two halves."""

    def __init__(self, view):
        self.slot_bytes = len(view) // 2
        self._view = view

    def read(self, i):
        return bytes(self._view[i * self.slot_bytes : (i + 1) * self.slot_bytes])

    def write(self, i, data):
        at = i * self.slot_bytes
        self._view[at : at + len(data)] = data


class RtcMemory:
    """machine.RTC().memory(), in two halves. What is there of other sizes is not ours: empty."""

    slot_bytes = RTC_BYTES // 2

    def __init__(self, rtc):
        self._rtc = rtc

    def read(self, i):
        data = self._all()
        return bytes(data[i * self.slot_bytes : (i + 1) * self.slot_bytes])

    def write(self, i, data):
        # the half that is not written stays the same to the bit, however far the copying gets
        new = self._all()
        at = i * self.slot_bytes
        new[at : at + len(data)] = data
        self._rtc.memory(new)

    def _all(self):
        data = bytearray(self._rtc.memory())
        return data if len(data) == RTC_BYTES else bytearray(RTC_BYTES)


class StateFiles:
    """Two files, `path` with 0 and 1 at its end. A flash that is full or broken: OSError."""

    slot_bytes = FILE_SLOT_BYTES

    def __init__(self, path):
        self._paths = (path + "0", path + "1")

    def read(self, i):
        try:
            with open(self._paths[i], "rb") as file:
                return file.read(self.slot_bytes)
        except OSError:
            return b""

    def write(self, i, data):
        replace(self._paths[i], data)


def replace(path, data):
    """Write a file as a whole or not at all. Raises OSError."""
    with open(path + ".new", "wb") as file:
        file.write(data)
    os.rename(path + ".new", path)


def best(machine, path):
    """The memory that a board has for the images."""
    backup = getattr(machine, "mem_backup", None)
    if backup is not None:
        view = backup()
        if getattr(view, "itemsize", 1) == 1 and len(view) >= RTC_BYTES:
            return BackupRegisters(view)
    rtc = machine.RTC()
    if hasattr(rtc, "memory"):
        return RtcMemory(rtc)
    return StateFiles(path)


# Several short pieces of state as one image: two bytes of length, and the piece.


def pack(*parts):
    """One image. Raises ValueError for a part of 64 KB or more."""
    image = b""
    for part in parts:
        n = len(part)
        if n > 0xFFFF:
            raise ValueError("a part has less than 64 KB")
        image += bytes((n >> 8, n & 255)) + part
    return image


def unpack(image, count):
    """The parts of an image that has `count` of them, None for any other."""
    parts = []
    at = 0
    while at + 2 <= len(image):
        n = image[at] << 8 | image[at + 1]
        parts.append(bytes(image[at + 2 : at + 2 + n]))
        at += 2 + n
    return parts if at == len(image) and len(parts) == count else None


# Numbers that are never used twice, even when the memory that counts them is lost.
#
# A file holds a number that none in use has reached; it is written once for every `step` numbers.
# After a loss of memory counting goes on from there, and the numbers in between stay unused.

_MASK = const(0x3FFFFFFF)
_HALF = const(0x20000000)


class NumberReservation:
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
