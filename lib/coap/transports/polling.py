"""What transports wait with, alike on MicroPython and CPython: a poll of streams, and a clock."""

import select
import time

POLLIN = 1

if hasattr(select.poll(), "ipoll"):
    Poller = select.poll
    ticks_ms = time.ticks_ms
else:
    import coap.transports.onhost as onhost

    Poller = onhost.Poller
    ticks_ms = onhost.ticks_ms
