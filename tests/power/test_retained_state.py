"""Retained state: torn writes, flipped bits, each kind of memory, number reservation."""

import os

from power import retained_state
from power.event_log import PIN, EventLog
from power.retained_state import (
    BackupRegisters,
    DoubleBuffer,
    NumberReservation,
    RtcMemory,
    StateFiles,
    memory_of,
)
from support import cases, raises


class Torn(Exception):
    pass


class Ram:
    """A memory whose next write ends after `left` bytes."""

    def __init__(self, slot_bytes=128):
        self.slot_bytes = slot_bytes
        self.halves = [bytearray(slot_bytes), bytearray(slot_bytes)]
        self.left = -1

    def read(self, i):
        return bytes(self.halves[i])

    def write(self, i, data):
        n = len(data) if self.left < 0 else self.left
        self.halves[i][:n] = data[:n]
        if n < len(data):
            raise Torn


def journal_of(slots):
    log = EventLog(4)
    image = slots.load()
    assert image is None or log.restore(image)
    return log


def test_last_saved_image_is_loaded():
    ram = Ram()
    slots = DoubleBuffer(ram)
    assert slots.load() is None and not slots.is_damaged
    for i in range(5):
        slots.save(bytes((i,)) * i)
        fresh = DoubleBuffer(ram)
        assert fresh.load() == bytes((i,)) * i and not fresh.is_damaged


def test_save_after_load_overwrites_the_older_image():
    ram = Ram()
    for i in range(6):
        slots = DoubleBuffer(ram)
        slots.load()
        slots.save(b"%d" % i)
    assert sorted([DoubleBuffer(ram)._read(i)[1] for i in (0, 1)]) == [b"4", b"5"]


def test_write_torn_at_any_byte_loses_only_that_write():
    ram = Ram()
    slots = DoubleBuffer(ram)
    log = journal_of(slots)
    for i in range(3):
        log.record(i & 1, PIN, 1000 + i)
        slots.save(log.state())
    log.record(1, PIN, 1003)
    n = 10 + len(log.state())
    kept = [bytes(half) for half in ram.halves]
    for cut in range(n + 1):
        ram.halves = [bytearray(half) for half in kept]
        ram.left = cut
        slots = DoubleBuffer(ram)
        slots.load()
        try:
            slots.save(log.state())
        except Torn:
            pass
        ram.left = -1
        slots = DoubleBuffer(ram)
        found = journal_of(slots)
        assert found.number == (4 if cut == n else 3), cut
        assert found.events[:3] == log.events[:3], cut
        # and goes on
        found.record(0, PIN, 1010)
        slots.save(found.state())
        assert journal_of(DoubleBuffer(ram)).number == found.number


def test_any_flipped_bit_makes_the_other_image_load():
    ram = Ram(64)
    slots = DoubleBuffer(ram)
    slots.load()
    slots.save(b"the older image")
    slots.save(b"the newer image")
    for half, wanted in ((0, b"the older image"), (1, b"the newer image")):
        for at in range(10 + 15):
            for bit in range(8):
                ram.halves[half][at] ^= 1 << bit
                slots = DoubleBuffer(ram)
                assert slots.load() == wanted and slots.is_damaged, (half, at, bit)
                ram.halves[half][at] ^= 1 << bit
    ram.halves[0][5] ^= 1
    ram.halves[1][5] ^= 1
    slots = DoubleBuffer(ram)
    assert slots.load() is None and slots.is_damaged
    slots.save(b"anew")
    assert DoubleBuffer(ram).load() == b"anew"


def test_empty_half_beside_an_image_counts_as_loss():
    for saves in (1, 2, 3):
        for half in (0, 1):
            ram = Ram()
            slots = DoubleBuffer(ram)
            slots.load()
            for i in range(saves):
                slots.save(b"%d" % i)
            fresh = DoubleBuffer(ram)
            assert fresh.load() == b"%d" % (saves - 1) and not fresh.is_damaged
            ram.halves[half][:] = bytes(128)
            fresh = DoubleBuffer(ram)
            assert fresh.load() is not None and fresh.is_damaged, (saves, half)


def test_random_bytes_are_no_image():
    for byte in (0x00, 0xFF, 0xA7, 0x58):
        ram = Ram()
        ram.halves = [bytearray(bytes((byte,)) * 128), bytearray(bytes((byte,)) * 128)]
        slots = DoubleBuffer(ram)
        assert slots.load() is None and slots.is_damaged == (byte != 0)


def test_sequence_numbers_wrap():
    ram = Ram()
    slots = DoubleBuffer(ram)
    slots.load()
    slots._sequence = 0xFFFD
    for i in range(6):
        slots.save(b"%d" % i)
        assert DoubleBuffer(ram).load() == b"%d" % i


def test_oversized_image_is_refused_and_changes_nothing():
    ram = Ram(32)
    slots = DoubleBuffer(ram)
    slots.save(bytes(22))
    assert "22 bytes" in str(raises(ValueError, slots.save, bytes(23)))
    assert DoubleBuffer(ram).load() == bytes(22)


class Rtc:
    def __init__(self, content=b""):
        self.content = content

    def memory(self, data=None):
        if data is None:
            return self.content
        self.content = bytes(data)
        return None


class Machine:
    """What memory_of() looks at."""

    def __init__(self, backup=None, rtc=None):
        if backup is not None:
            self.mem_backup = lambda: memoryview(backup)
        self.RTC = lambda: rtc


def test_memory_kind_is_chosen_by_the_board():
    rtc = Rtc()
    assert isinstance(memory_of(Machine(bytearray(2048), rtc), ""), BackupRegisters)
    assert isinstance(memory_of(Machine(bytearray(28), rtc), ""), RtcMemory)
    assert isinstance(memory_of(Machine(None, rtc), ""), RtcMemory)
    assert isinstance(memory_of(Machine(None, object()), "build-test"), StateFiles)


def memories():
    return (
        BackupRegisters(memoryview(bytearray(2048))),
        RtcMemory(Rtc()),
        StateFiles("build-test-power"),
    )


def test_each_memory_keeps_both_halves():
    for memory in memories():
        try:
            slots = DoubleBuffer(memory)
            assert slots.load() is None and not slots.is_damaged
            for image in (b"a" * 900, b"b" * 10, b"c"):
                slots.save(image)
                fresh = DoubleBuffer(memory)
                assert fresh.load() == image and not fresh.is_damaged, memory
            assert fresh.image_max >= 1000
        finally:
            if isinstance(memory, StateFiles):
                os.remove("build-test-power0")
                os.remove("build-test-power1")


def test_foreign_rtc_memory_is_no_image():
    slots = DoubleBuffer(RtcMemory(Rtc(b"a counter of the user's")))
    assert slots.load() is None and not slots.is_damaged


def test_reserved_numbers_continue_after_memory_loss():
    path = "build-test-reserve"
    try:
        assert NumberReservation(path).limit == -1
        used = number = 0
        for _ in range(5):
            reserve = NumberReservation(path)
            number = max(reserve.limit, number)
            for _ in range(100):
                number += 1
                reserve.reserve(number)
                assert number > used
                used = number
                assert NumberReservation(path).limit > number
            number = 0
    finally:
        os.remove(path)


def test_reservation_limits_flash_writes():
    path = "build-test-reserve"
    try:
        reserve = NumberReservation(path)
        limits = []
        for number in range(640):
            reserve.reserve(number)
            if reserve.limit not in limits:
                limits.append(reserve.limit)
        assert len(limits) == 10
    finally:
        os.remove(path)


@cases(b"", b"x", b"-4", b"1.5", b"[1]", b"99999999999", b"\xff\xfe", b"null", b"true")
def test_broken_reservation_file_reserves_nothing(content):
    path = "build-test-reserve"
    with open(path, "wb") as file:
        file.write(content)
    try:
        assert NumberReservation(path).limit == -1
    finally:
        os.remove(path)


def test_reservation_without_a_file():
    reserve = NumberReservation(None)
    reserve.reserve(5)
    assert reserve.limit == 69


def test_reserved_numbers_wrap():
    reserve = NumberReservation(None)
    reserve.reserve((1 << 30) - 3)
    assert reserve.limit == 61
    reserve.reserve(60)
    assert reserve.limit == 61
    reserve.reserve(61)
    assert reserve.limit == 125


@cases(((),), ((b"",),), ((b"one", b"", b"x" * 700),))
def test_sections_round_trip(parts):
    image = retained_state.pack(*parts)
    assert retained_state.unpack(image, len(parts)) == list(parts)
    assert retained_state.unpack(image, len(parts) + 1) is None
    for n in range(1, len(image)):
        cut = retained_state.unpack(image[:n], len(parts))
        assert cut is None or cut != list(parts)
    assert retained_state.unpack(image + b"\0", len(parts)) is None
