"""What the chips want: why they woke, how a pin wakes them, and how they sleep.

Every wake source is a level, not an edge. So the pin is read, the other level is armed, and a
contact that moves in between wakes the chip at once: nothing is missed.

- ESP32, S2, S3: wake_on_ext0() for one pin. C6, H2: wake_on_ext1(). C2, C3: wake_on_gpio(), since
  MicroPython 1.27, GPIO0 to GPIO5. Other chips have that too, but there it works only in light
  sleep, hence the order. Deep sleep ends in a reset; a watchdog that runs ends with it.
- Light sleep of an ESP32 keeps the RAM, not the Wi-Fi: the radio has to be off. The USB of a C3 or
  S3 is gone until the next reset, which the window at the start is for.
- RP2: a light sleep of at most 71 minutes keeps the RAM. A pin wakes it when a handler is set,
  which the contact's driver has done. A watchdog, once started, goes on and has to be fed at least
  every 8.3 s: the sleep is cut into pieces.
"""

from micropython import const

AWAKE, PIN, TIMER, POWER_ON, RESET = 0, 1, 2, 3, 4  # as in journal.py

_TIMER_WAKE = const(4)  # where machine has no name for it
_PIECE_MS = const(7000)
_LONGEST_MS = const(86_400_000)


class Esp32:
    """machine, esp32: the modules; pin: the contact's Pin."""

    def __init__(self, machine, esp32, pin):
        self._machine = machine
        self._esp32 = esp32
        self._pin = pin

    def reason(self):
        """PIN, TIMER, POWER_ON or RESET."""
        machine = self._machine
        cause = machine.reset_cause()
        if cause == machine.DEEPSLEEP_RESET:
            timer = getattr(machine, "TIMER_WAKE", _TIMER_WAKE)
            return TIMER if machine.wake_reason() == timer else PIN
        return POWER_ON if cause == machine.PWRON_RESET else RESET

    def sleep(self, span_ms, level):
        """Sleep for span_ms, or until the pin is at `level` (None: whatever it does)."""
        if level is not None:
            self._arm(level)
        self._machine.deepsleep(min(span_ms, _LONGEST_MS))

    def _arm(self, level):
        esp32 = self._esp32
        wanted = esp32.WAKEUP_ANY_HIGH if level else esp32.WAKEUP_ALL_LOW
        if hasattr(esp32, "wake_on_ext0"):
            esp32.wake_on_ext0(self._pin, wanted)
        elif hasattr(esp32, "wake_on_ext1"):
            esp32.wake_on_ext1((self._pin,), wanted)
        else:
            esp32.wake_on_gpio((self._pin,), wanted)


class Light:
    """An ESP32 that naps: machine is the module."""

    def __init__(self, machine):
        self._machine = machine

    def sleep(self, span_ms, level):
        """Sleep for span_ms, and return then; no pin wakes it."""
        self._machine.lightsleep(min(span_ms, _LONGEST_MS))


class Rp2:
    """machine: the module; pin: the contact's Pin; feed: keeps the watchdog calm."""

    def __init__(self, machine, pin, feed=None):
        self._machine = machine
        self._pin = pin
        self._feed = feed
        self._woken = None

    def reason(self):
        """As above; after a light sleep what ended it."""
        if self._woken is not None:
            return self._woken
        return POWER_ON if self._machine.reset_cause() == self._machine.PWRON_RESET else RESET

    def sleep(self, span_ms, level):
        """As above, and return then."""
        self._woken = TIMER
        while span_ms > 0:
            if level is not None and self._pin.value() == level:
                self._woken = AWAKE  # the driver has counted the edges
                return
            piece_ms = span_ms if self._feed is None else min(span_ms, _PIECE_MS)
            piece_ms = min(piece_ms, 60 * 60_000)
            if self._feed is not None:
                self._feed()
            self._machine.lightsleep(piece_ms)
            span_ms -= piece_ms
