"""How time passes while a check waits: with this computer's clock, or with an emulated Pico's.

In the Pico's own time a busy computer makes it slow, but not late, and waiting takes no time here.
"""

import math
import select
import time

STEP_MS = 5
LONG_STEP_MS = 25  # once a second has gone by without a message
SOON_MS = 1000
TAKEN_MS = 60  # more than it needs for any datagram


class Wall:
    """This computer's clock."""

    @staticmethod
    def now_s():
        """Return seconds since some moment."""
        return time.monotonic()

    @staticmethod
    def sleep(seconds):
        """Let time pass."""
        time.sleep(seconds)

    @staticmethod
    def wait(sock, seconds):
        """Wait until the socket has a datagram; return True if it has."""
        return has_datagram(sock, max(seconds, 0))

    @staticmethod
    def make_room():
        """Called before each datagram that is sent."""


class OfPico:
    """The clock of an emulated Pico that does not go by this computer's time.

    MicroPython's UDP socket on lwIP holds one datagram, and these clients send none twice: what
    they send goes out when the one before has been taken.
    """

    def __init__(self, pico):
        self.pico = pico
        self.free_ms = 0

    def now_s(self):
        return self.pico.now_ms / 1000

    def sleep(self, seconds):
        self.pico.run_ms(seconds * 1000)

    def wait(self, sock, seconds):
        left_ms = start_ms = seconds * 1000
        while not has_datagram(sock, 0):
            if left_ms <= 0:
                return False
            step_ms = STEP_MS if start_ms - left_ms < SOON_MS else LONG_STEP_MS
            self.pico.run_ms(min(step_ms, left_ms))
            left_ms -= step_ms
        return True

    def make_room(self):
        now_ms = self.pico.now_ms
        if now_ms < self.free_ms:
            self.pico.run_ms(self.free_ms - now_ms)
        self.free_ms = max(now_ms, self.free_ms) + TAKEN_MS


def has_datagram(sock, seconds):
    """Return True if there is a datagram, or an error, within `seconds`."""
    poll = select.poll()  # select() takes no socket above 1023
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(math.ceil(seconds * 1000)))
