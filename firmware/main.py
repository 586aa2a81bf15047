"""What the board runs after boot.py: the node, until Ctrl-C."""

import gc

# Each file that is imported leaves a hole in the heap. Collected soon, it serves for the next one;
# else an RP2040 has 70 KB free, and no 2 KB of them in a row for a buffer.
gc.threshold(16384)

import startup  # noqa: E402

startup.main()
