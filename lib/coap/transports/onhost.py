"""A poll and a clock for CPython, as MicroPython has them: see polling.py."""

import select
import time


class Poller:
    """Objects instead of file numbers, and ipoll()."""

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


def ticks_ms():
    """Milliseconds modulo 2**30."""
    now_ns = time.monotonic_ns()  # pyright: ignore[reportAttributeAccessIssue]
    return now_ns // 1000000 & 0x3FFFFFFF
