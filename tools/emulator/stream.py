"""A serial line of an emulated Pico as a stream of bytes."""

SHOWN = 200  # bytes of what came instead, in an error


class Stream:
    """What a UART or the console sends, and a way to send to it.

    The Pico gives it `put(bytes)`, which takes what is typed, and its own `run_until`.
    """

    def __init__(self, name, put, run_until):
        self.received = bytearray()
        self.tap = None  # takes the bytes instead, as soon as they come
        self._name = name
        self._put = put
        self._run_until = run_until

    def feed(self, data):
        """Bytes have come from the Pico."""
        if self.tap is not None:
            self.tap(data)
        else:
            self.received += data

    def write(self, data):
        """Send bytes to the Pico, at the speed of the line."""
        self._put(bytes(data))

    def read(self):
        """Everything that has come since the last reading, without waiting."""
        data = bytes(self.received)
        del self.received[: len(data)]
        return data

    def read_until(self, pattern, limit_ms=5000):
        """Let the Pico run until it has sent `pattern`; return all bytes up to its end.

        Raises:
            TimeoutError: it has not within `limit_ms` of its own time.
            Problem: the emulator has ended.
        """
        if not self._run_until(lambda: pattern in self.received, limit_ms):
            got = bytes(self.received[-SHOWN:])
            raise TimeoutError(f"no {pattern!r} from the {self._name} in {limit_ms} ms: {got!r}")
        end = self.received.index(pattern) + len(pattern)
        data = bytes(self.received[:end])
        del self.received[:end]
        return data
