"""Serial lines of an emulated Pico: a stream of bytes, and MicroPython's raw REPL on it."""

SHOWN_BYTES = 200  # of other output, in an error
INTERRUPT = b"\r\x03\x03"
RAW = b"\x01"
END = b"\x04"
PROMPT = b"raw REPL; CTRL-B to exit\r\n>"


class Stream:
    """The output of a UART or the console, and a way to send to it.

    Args:
        name: for errors.
        send: function that sends bytes to the Pico.
        run_until: that of the Pico.

    Attributes:
        tap: function that gets the output instead of read(), as soon as it comes; or None.
    """

    def __init__(self, name, send, run_until):
        self.received = bytearray()
        self.tap = None
        self._name = name
        self._send = send
        self._run_until = run_until

    def feed(self, data):
        """Add output of the Pico."""
        if self.tap is not None:
            self.tap(data)
        else:
            self.received += data

    def write(self, data):
        """Send bytes to the Pico, at the speed of the line."""
        self._send(bytes(data))

    def read(self):
        """Return all output since the last call, without waiting."""
        data = bytes(self.received)
        del self.received[: len(data)]
        return data

    def read_until(self, pattern, limit_ms=5000):
        """Let the Pico run until it has sent `pattern`; return all bytes up to its end.

        Raises:
            TimeoutError: the Pico did not send it within `limit_ms` of its own time.
            Problem: the emulator has ended.
        """
        if not self._run_until(lambda: pattern in self.received, limit_ms):
            got = bytes(self.received[-SHOWN_BYTES:])
            raise TimeoutError(f"no {pattern!r} from the {self._name} in {limit_ms} ms: {got!r}")
        end = self.received.index(pattern) + len(pattern)
        data = bytes(self.received[:end])
        del self.received[:end]
        return data


class ReplError(Exception):
    """The source code raised; the text is MicroPython's traceback."""


class Repl:
    """The raw REPL: interrupts the running program and executes source code.

    Raises:
        TimeoutError: the console does not respond as a REPL does.
    """

    def __init__(self, console, limit_ms=10_000):
        self._console = console
        console.write(INTERRUPT + RAW)
        console.read_until(PROMPT, limit_ms)

    def exec(self, source, limit_ms=10_000):
        """Run `source` to its end; return what it printed. Raises ReplError or TimeoutError."""
        self.start(source)
        return self.finish(limit_ms)

    def start(self, source, limit_ms=10_000):
        """Start `source` and leave it running."""
        self._console.write(source.encode() + END)
        self._console.read_until(b"OK", limit_ms)

    def finish(self, limit_ms=10_000):
        """Wait for the end of what start() started; return and raise as exec()."""
        output = self._console.read_until(END, limit_ms)[:-1]
        error = self._console.read_until(END, limit_ms)[:-1]
        self._console.read_until(b">", limit_ms)
        if error:
            raise ReplError(error.decode(errors="replace").strip())
        return output.decode(errors="replace").replace("\r\n", "\n")
