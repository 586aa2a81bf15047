"""What transports wait with, alike on MicroPython and CPython: a poll of streams, and a clock."""

import select
import time

POLLIN = 1

if hasattr(time, "ticks_ms"):
    ticks_ms = time.ticks_ms
else:

    def ticks_ms():
        """CPython's clock as MicroPython counts it: milliseconds modulo 2**30."""
        now_ns = time.monotonic_ns()  # pyright: ignore[reportAttributeAccessIssue]
        return now_ns // 1000000 & 0x3FFFFFFF


class _HostPoller:
    """CPython's poll as MicroPython has it: objects instead of file numbers, and ipoll()."""

    def __init__(self):
        self.poll = select.poll()
        self.objects = {}

    def register(self, stream, events):
        self.objects[stream.fileno()] = stream
        self.poll.register(stream, events)

    def unregister(self, stream):
        del self.objects[stream.fileno()]
        self.poll.unregister(stream)

    def ipoll(self, wait_ms):
        for number, event in self.poll.poll(wait_ms):
            if number in self.objects:
                yield self.objects[number], event


Poller = select.poll if hasattr(select.poll(), "ipoll") else _HostPoller
