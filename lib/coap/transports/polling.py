"""Poll sockets and serial lines, and read a clock: the same on MicroPython and CPython."""

import select
import time

POLLIN = 1

if hasattr(select.poll(), "ipoll"):
    Poller = select.poll  # pyright: ignore[reportAssignmentType]
    ticks_ms = time.ticks_ms
else:

    class Poller:
        """Poll objects instead of file descriptors, and offer ipoll(), like MicroPython's."""

        def __init__(self):
            self.poll = select.poll()
            self.objects = {}

        def register(self, stream, events):
            """Wait for `events` of `stream` from now on."""
            self.objects[stream.fileno()] = stream
            self.poll.register(stream, events)

        def unregister(self, stream):
            """Stop waiting for `stream`. Raises KeyError when it is not registered."""
            del self.objects[stream.fileno()]
            self.poll.unregister(stream)

        def ipoll(self, wait_ms):
            """Yield (stream, event) for each stream that is ready within `wait_ms`."""
            for number, event in self.poll.poll(wait_ms):
                if number in self.objects:
                    yield self.objects[number], event

    def ticks_ms():
        """Return a monotonic time in milliseconds, modulo 2**30."""
        now_ns = time.monotonic_ns()  # pyright: ignore[reportAttributeAccessIssue]
        return now_ns // 1000000 & 0x3FFFFFFF
