"""Tells what the board is: versions, processor, heap, file system, Mote."""

import gc
import os
import sys

import machine

gc.collect()
free = gc.mem_free()
block = free
while block > 64:
    try:
        bytearray(block)
        break
    except MemoryError:
        block -= block // 16
gc.collect()
found = {
    "platform": sys.platform,
    "machine": getattr(sys.implementation, "_machine", ""),
    "micropython": ".".join([str(part) for part in sys.implementation[1][:3]]),
    "mpy": getattr(sys.implementation, "_mpy", 0) & 0xFF,
    "frequency_hz": machine.freq() if isinstance(machine.freq(), int) else machine.freq()[0],
    "heap_free": free,
    "heap_used": gc.mem_alloc(),
    "largest_block": block,
}
disk = os.statvfs("/")
found["flash_free"] = disk[0] * disk[3]
try:
    import board

    found["board"] = board.NAME
    found["pins"] = {
        name: getattr(board, name)
        for name in dir(board)
        if name.endswith("_PIN") and isinstance(getattr(board, name), int)
    }
    from apps import VERSION

    found["mote"] = VERSION
except ImportError as error:
    found["mote"] = "missing: " + str(error)
report(found)  # noqa: F821, defined before this text
