"""Runs after boot.py: the node, until Ctrl-C."""

import gc
import sys

# Each import leaves garbage in the heap. Collected early, its memory is reused by the next import;
# otherwise an RP2040 has 70 KB free, but no contiguous 2 KB for a buffer.
gc.threshold(16384)

if sys.implementation.version < (1, 25):
    print("Mote needs MicroPython 1.25 or newer, see `make flash`; this is", sys.version)
else:
    import startup

    startup.main()
