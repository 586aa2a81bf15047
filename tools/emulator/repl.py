"""MicroPython's raw REPL over the console: runs source code and returns what it prints."""

INTERRUPT = b"\r\x03\x03"
RAW = b"\x01"
FRIENDLY = b"\x02"
END = b"\x04"
PROMPT = b"raw REPL; CTRL-B to exit\r\n>"


class ReplError(Exception):
    """The source code raised; the text is MicroPython's traceback."""


class Repl:
    """Interrupts what runs and takes over the console.

    Raises:
        TimeoutError: nothing answers like a REPL.
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
        """Let `source` begin, and leave it running."""
        self._console.write(source.encode() + END)
        self._console.read_until(b"OK", limit_ms)

    def finish(self, limit_ms=10_000):
        """Wait for the end of what start() began; as exec()."""
        output = self._console.read_until(END, limit_ms)[:-1]
        error = self._console.read_until(END, limit_ms)[:-1]
        self._console.read_until(b">", limit_ms)
        if error:
            raise ReplError(error.decode(errors="replace").strip())
        return output.decode(errors="replace").replace("\r\n", "\n")

    def interrupt(self, limit_ms=10_000):
        """Ctrl-C for what start() began; return what it had printed."""
        self._console.write(b"\x03")
        try:
            return self.finish(limit_ms)
        except ReplError as error:
            if "KeyboardInterrupt" not in str(error):
                raise
            return ""

    def leave(self):
        """Back to the friendly REPL."""
        self._console.write(FRIENDLY)
