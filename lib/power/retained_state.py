"""State that outlives a sleep or a loss of power: where and how it is stored.

DoubleBuffer writes one image to two places alternately, so a torn write leaves the previous one.
BackupRegisters, RtcMemory and StateFiles are such places, memory_of() chooses among them. What is
stored is decided by write_state() of door_cycle.py and wearable_cycle.py. pack()
and unpack() put several parts into one image. NumberReservation makes sure that a number is never
used twice, even when the memory that counts it is lost.

A place holds a head of 10 bytes and the image: a mark, a sequence number (2 bytes), the length
(2), a CRC-32 over sequence number, length and image (4), and the inverted mark. The first image is
written to both places: from then on an empty place beside a full one means a loss.

What the ports offer:

- machine.mem_backup(), since MicroPython 1.29, is a memoryview: 2048 bytes on ESP32, kept in deep
  sleep and over a reset; about 28 bytes on RP2, too few for an image.
- machine.RTC().memory() on ESP32 is the same RTC memory, as one string of bytes.
- A file is replaced as a whole: the new one is written beside it and renamed.
"""

import os
from binascii import crc32, hexlify, unhexlify

from micropython import const

from power.event_log import EPOCH_BYTES, new_epoch

RTC_BYTES = 2048
FILE_SLOT_BYTES = 2048

_HEAD = const(10)
_MARK = const(0xA7)
_MASK = const(0x3FFFFFFF)
_RESERVATION_BYTES = const(24)  # no file of a reservation is longer


class DoubleBuffer:
    """Load and save an image in two places of `memory`: BackupRegisters, RtcMemory or StateFiles.

    is_damaged: load() found only one place valid, so a newer image may have been lost.
    """

    def __init__(self, memory):
        self.memory = memory
        self.image_max = memory.slot_bytes - _HEAD  # bytes
        self.is_damaged = False
        self._sequence = 0
        self._next = 0

    def load(self):
        """Return the newest valid image, None if there is none."""
        self.is_damaged = False
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
            self.is_damaged = True
        self._sequence = newest[0]
        return newest[1]

    def save(self, image):
        """Write the image over the older one. Raises ValueError if it is too long, or OSError."""
        n = len(image)
        if n > self.image_max:
            raise ValueError("an image has at most {} bytes, not {}".format(self.image_max, n))
        if self._sequence == 0:
            self._write(image, n)
        self._write(image, n)

    def _write(self, image, n):
        sequence = (self._sequence + 1) & 0xFFFF
        head = bytes((sequence >> 8, sequence & 255, n >> 8, n & 255))
        check = _check(head, image)
        self.memory.write(self._next, bytes((_MARK,)) + head + check + b"\x58" + image)
        self._sequence = sequence
        self._next ^= 1

    def _read(self, i):
        """Return (sequence number, image) of place i, None if it is not valid."""
        data = self.memory.read(i)
        if not any(data[:_HEAD]):
            return None  # nothing was ever written
        head = bytes(data[1:5])
        n = head[2] << 8 | head[3] if len(head) == 4 else self.image_max + 1
        if data[0] == _MARK and n <= self.image_max and len(data) >= _HEAD + n:
            image = bytes(data[_HEAD : _HEAD + n])
            if bytes(data[5:9]) == _check(head, image) and data[9] == _MARK ^ 0xFF:
                return head[0] << 8 | head[1], image
        self.is_damaged = True
        return None


def _check(head, image):
    value = crc32(image, crc32(head))
    return bytes((value >> 24 & 255, value >> 16 & 255, value >> 8 & 255, value & 255))


def _is_newer(sequence, other):
    return 0 < (sequence - other) & 0xFFFF < 0x8000


class BackupRegisters:
    """The halves of a memoryview of bytes."""

    def __init__(self, view):
        self.slot_bytes = len(view) // 2
        self._view = view

    def read(self, i):
        """Return the bytes of half i."""
        return bytes(self._view[i * self.slot_bytes : (i + 1) * self.slot_bytes])

    def write(self, i, data):
        """Write `data` to the start of half i."""
        at = i * self.slot_bytes
        self._view[at : at + len(data)] = data


class RtcMemory:
    """The halves of machine.RTC().memory(). Content of another length is not ours: empty."""

    slot_bytes = RTC_BYTES // 2

    def __init__(self, rtc):
        self._rtc = rtc

    def read(self, i):
        """Return the bytes of half i."""
        data = self._all()
        return bytes(data[i * self.slot_bytes : (i + 1) * self.slot_bytes])

    def write(self, i, data):
        """Write `data` to the start of half i; the other half keeps every bit meanwhile."""
        new = self._all()
        at = i * self.slot_bytes
        new[at : at + len(data)] = data
        self._rtc.memory(new)

    def _all(self):
        data = bytearray(self._rtc.memory())
        return data if len(data) == RTC_BYTES else bytearray(RTC_BYTES)


class StateFiles:
    """Two files: `path` + "0" and `path` + "1"."""

    slot_bytes = FILE_SLOT_BYTES

    def __init__(self, path):
        self._paths = (path + "0", path + "1")

    def read(self, i):
        """Return the content of file i, b"" if it cannot be read."""
        try:
            with open(self._paths[i], "rb") as file:
                return file.read(self.slot_bytes)
        except OSError:
            return b""

    def write(self, i, data):
        """Replace file i. Raises OSError if the flash is full or broken."""
        replace(self._paths[i], data)


def replace(path, data):
    """Write a file as a whole or not at all. Raises OSError."""
    with open(path + ".new", "wb") as file:
        file.write(data)
    os.rename(path + ".new", path)


def memory_of(machine, path):
    """Return the best place for a DoubleBuffer that the board has; `path`: of StateFiles."""
    backup = getattr(machine, "mem_backup", None)
    if backup is not None:
        view = backup()
        if getattr(view, "itemsize", 1) == 1 and len(view) >= RTC_BYTES:
            return BackupRegisters(view)
    rtc = machine.RTC()
    if hasattr(rtc, "memory"):
        return RtcMemory(rtc)
    return StateFiles(path)


def pack(*parts):
    """Return one image of several parts. Raises ValueError for a part of 64 KB or more."""
    image = b""
    for part in parts:
        n = len(part)
        if n > 0xFFFF:
            raise ValueError("a part has less than 64 KB")
        image += bytes((n >> 8, n & 255)) + part
    return image


def unpack(image, count):
    """Return the list of parts of an image of `count` parts, None for any other image."""
    parts = []
    at = 0
    while at + 2 <= len(image):
        n = image[at] << 8 | image[at + 1]
        parts.append(bytes(image[at + 2 : at + 2 + n]))
        at += 2 + n
    return parts if at == len(image) and len(parts) == count else None


class NumberReservation:
    """A file with a number that no number in use has reached, and the epoch of the numbers.

    It is written once for every `step` numbers. After a loss of memory, counting continues
    from there; the numbers in between stay unused. path: the file, None keeps it in RAM only.
    limit: the number in the file, -1 if there is none. epoch: 4 bytes, random without a file,
    zeros for the file of a version without epochs.
    """

    def __init__(self, path, step=64):
        self._path = path
        self.step = step
        self.limit = -1
        self.epoch = new_epoch()
        self._read()

    def reserve(self, number):
        """Reserve `number` and at least the next `step` - 1 if it was not reserved yet.

        Raises OSError if the file cannot be written.
        """
        ahead = (self.limit - number) & _MASK
        if 0 < ahead <= 2 * self.step and self.limit >= 0:
            return
        self.limit = (number + self.step) & _MASK
        if self._path is not None:
            replace(self._path, b"%d " % self.limit + hexlify(self.epoch))

    def _read(self):
        try:
            with open(self._path or "", "rb") as file:
                words = file.read(_RESERVATION_BYTES).split()
            limit = int(words[0])
            epoch = unhexlify(words[1]) if len(words) > 1 else bytes(EPOCH_BYTES)
        except (OSError, ValueError, IndexError):
            return
        if 0 <= limit <= _MASK and len(epoch) == EPOCH_BYTES:
            self.limit = limit
            self.epoch = epoch
