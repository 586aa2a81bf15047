"""Runs after boot.py: the node, until Ctrl-C."""

import gc

# Each import leaves garbage in the heap. Collected early, its memory is reused by the next import;
# otherwise an RP2040 has 70 KB free, but no contiguous 2 KB for a buffer.
gc.threshold(16384)

import startup  # noqa: E402

startup.main()
