"""Where an image outlives a sleep: RTC memory where there is some, else files.

- machine.mem_backup() is a memoryview since MicroPython 1.29: 2048 bytes on ESP32, which keeps it
  in deep sleep and over a reset; some 28 on RP2, which is too little for anything here.
- machine.RTC().memory() is the same RTC memory on an ESP32 before that, as one string of bytes.
- A file takes the place of the one before as a whole: it is written beside it and renamed.
"""

import os

RTC_BYTES = 2048
FILE_SLOT_BYTES = 2048


class Backup:
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


class Files:
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
            return Backup(view)
    rtc = machine.RTC()
    if hasattr(rtc, "memory"):
        return RtcMemory(rtc)
    return Files(path)
