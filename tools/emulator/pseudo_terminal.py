"""A serial line of an emulated Pico as a serial device of this computer (a pseudo-terminal).

Programs that expect a board on /dev/tty... can use it: mpremote, `make deploy`, `make config`, a
terminal. The Pico must run in real time, because these programs wait by this computer's clock.
"""

import contextlib
import os
import select
import threading
import tty

from setup.console import Problem

CHUNK_BYTES = 4096


class PseudoTerminal:
    """Connects a Stream of a running Pico to a device until it is closed; use it in a `with`.

    The device remains while programs open and close it, and when the Pico is reset. Input is never
    lost; output waits for a reader, and is lost when the system's buffer is full.

    Attributes:
        device: its path for DEV=, such as /dev/pts/3.
    """

    def __init__(self, stream):
        self._stream = stream
        # The other end stays open here: otherwise reading fails while no program has it open.
        self._end, self._other_end = os.openpty()
        tty.setraw(self._other_end)
        os.set_blocking(self._end, False)
        self.device = os.ttyname(self._other_end)
        self._stop, self._stopper = os.pipe()
        self._thread = threading.Thread(target=self._copy_input, daemon=True)
        self._thread.start()
        stream.tap = self._write

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Remove the device."""
        self._stream.tap = None
        os.close(self._stopper)
        self._thread.join()
        for descriptor in (self._end, self._other_end, self._stop):
            os.close(descriptor)

    def _write(self, data):
        while data:
            try:
                data = data[os.write(self._end, data) :]
            except OSError:
                return  # no program has read for long

    def _copy_input(self):
        while True:
            ready, _, _ = select.select([self._end, self._stop], [], [])
            if self._stop in ready:
                return
            # That the Pico has ended is reported where it is used.
            with contextlib.suppress(Problem, BlockingIOError):
                self._stream.write(os.read(self._end, CHUNK_BYTES))
