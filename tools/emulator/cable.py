"""A serial line of an emulated Pico as a serial device of this computer (a pseudo-terminal).

What expects a board on /dev/tty... takes it: mpremote, `make deploy`, `make config`, a terminal.
The Pico must run in real time, for these programs wait by this computer's clock.
"""

import contextlib
import os
import select
import threading
import tty

from setup.console import Problem

CHUNK = 4096


class Cable:
    """Leads a Stream of a running Pico to a device until it is closed; use it in a `with`.

    The device stays while programs come and go, and when the Pico is reset. Nobody loses what is
    typed; what the Pico sends waits for a reader, and is lost as soon as the system keeps no more.

    Attributes:
        device: what DEV= gets, such as /dev/pts/3.
    """

    def __init__(self, stream):
        self._stream = stream
        # Without the other end being open here, reading fails between two programs.
        self._end, self._other_end = os.openpty()
        tty.setraw(self._other_end)
        os.set_blocking(self._end, False)
        self.device = os.ttyname(self._other_end)
        self._wake, self._waker = os.pipe()
        self._thread = threading.Thread(target=self._carry, daemon=True)
        self._thread.start()
        stream.tap = self._arrive

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Pull the plug: the device is gone."""
        self._stream.tap = None
        os.close(self._waker)
        self._thread.join()
        for descriptor in (self._end, self._other_end, self._wake):
            os.close(descriptor)

    def _arrive(self, data):
        while data:
            try:
                data = data[os.write(self._end, data) :]
            except OSError:
                return  # nobody has been reading for long

    def _carry(self):
        while True:
            ready, _, _ = select.select([self._end, self._wake], [], [])
            if self._wake in ready:
                return
            with contextlib.suppress(Problem, BlockingIOError):  # the Pico's end is told elsewhere
                self._stream.write(os.read(self._end, CHUNK))
