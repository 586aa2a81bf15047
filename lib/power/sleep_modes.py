"""What the chips want: why they woke, how a pin wakes them, and how they sleep.

Every wake source is a level, not an edge. So the pin is read, the other level is armed, and a
contact that moves in between wakes the chip at once: nothing is missed.

- ESP32, S2, S3: wake_on_ext0() for one pin. C6, H2: wake_on_ext1(). C2, C3: wake_on_gpio(), since
  MicroPython 1.27, GPIO0 to GPIO5. Other chips have that too, but there it works only in light
  sleep, hence the order. Deep sleep ends in a reset; a watchdog that runs ends with it.
- A lid has a source of its own on ESP32, S2, S3: wake_on_ext1(). On the others one call has one
  level for all pins: the lid wakes the chip while it is awaited at the same level as the contact,
  as when door and lid are closed; else what it did is seen at the next wake.
- Light sleep of an ESP32 keeps the RAM, not the Wi-Fi: the radio has to be off. The USB of a C3 or
  S3 is gone until the next reset, which the window at the start is for.
- RP2: a light sleep of at most 71 minutes keeps the RAM. A pin wakes it when a handler is set,
  which the contact's driver has done. A watchdog, once started, goes on and has to be fed at least
  every 8.3 s: the sleep is cut into pieces. With lwIP, as on a Pico W, a timer ends each piece
  after 64 ms at most in MicroPython 1.24 and 1.25 (its issue 16181): the clock tells what is left
  of the sleep. So many wakes cost energy; later versions do without.
"""

from micropython import const

AWAKE, PIN, TIMER, POWER_ON, RESET = 0, 1, 2, 3, 4  # as in journal.py

_EXT1_WAKE = const(3)  # where machine has no name for it
_TIMER_WAKE = const(4)  # likewise
_PIECE_MS = const(7000)
_LONGEST_MS = const(86_400_000)
_TICKS_MASK = const(0x3FFFFFFF)


class Esp32DeepSleep:
    """machine, esp32: the modules; pin: the contact's Pin; lid_pin: the lid's, if there is one,
    lid_gpio: its number.
    """

    def __init__(self, machine, esp32, pin, lid_pin=None, lid_gpio=None):
        self._machine = machine
        self._esp32 = esp32
        self._pin = pin
        self._lid_pin = lid_pin
        self._lid_gpio = lid_gpio
        self._has_ext0 = hasattr(esp32, "wake_on_ext0")

    def reason(self):
        """PIN, TIMER, POWER_ON or RESET."""
        machine = self._machine
        cause = machine.reset_cause()
        if cause == machine.DEEPSLEEP_RESET:
            timer = getattr(machine, "TIMER_WAKE", _TIMER_WAKE)
            return TIMER if machine.wake_reason() == timer else PIN
        return POWER_ON if cause == machine.PWRON_RESET else RESET

    def by_lid(self):
        """Was it the lid that woke the chip? None: that can not be told."""
        if self._lid_pin is None:
            return None
        if not self._has_ext0:
            return self._is_only_lid()
        return self._machine.wake_reason() == getattr(self._machine, "EXT1_WAKE", _EXT1_WAKE)

    def _is_only_lid(self):
        if not hasattr(self._machine, "wake_pins"):  # since MicroPython 1.29
            return None
        woken = self._machine.wake_pins()
        return self._lid_gpio in woken if len(woken) == 1 else None

    def sleep(self, span_ms, level, lid_level=None):
        """Sleep for span_ms, or until a pin is at its level (None: whatever it does)."""
        if level is not None:
            self._arm(level, lid_level)
        self._machine.deepsleep(min(span_ms, _LONGEST_MS))

    def _arm(self, level, lid_level):
        esp32 = self._esp32
        pins = (self._pin,)
        if self._has_ext0:
            esp32.wake_on_ext0(self._pin, self._wanted(level))
            if lid_level is None:
                return
            pins, level = (self._lid_pin,), lid_level
        elif lid_level == level:
            pins = (self._pin, self._lid_pin)
        arm = getattr(esp32, "wake_on_ext1", None) or esp32.wake_on_gpio
        arm(pins, self._wanted(level))

    def _wanted(self, level):
        return self._esp32.WAKEUP_ANY_HIGH if level else self._esp32.WAKEUP_ALL_LOW


class Esp32LightSleep:
    """An ESP32 that naps: machine is the module."""

    def __init__(self, machine):
        self._machine = machine

    def sleep(self, span_ms, level, lid_level=None):
        """Sleep for span_ms, and return then; no pin wakes it."""
        self._machine.lightsleep(min(span_ms, _LONGEST_MS))


class Rp2LightSleep:
    """machine: the module; ticks_ms: the clock, which goes on in sleep; pin: the contact's Pin,
    lid_pin: the lid's; feed: keeps the watchdog calm.
    """

    def __init__(self, machine, ticks_ms, pin, feed=None, lid_pin=None):
        self._machine = machine
        self._ticks_ms = ticks_ms
        self._pin = pin
        self._lid_pin = lid_pin
        self._feed = feed
        self._woken = None

    def reason(self):
        """As above; after a light sleep what ended it."""
        if self._woken is not None:
            return self._woken
        return POWER_ON if self._machine.reset_cause() == self._machine.PWRON_RESET else RESET

    def by_lid(self):
        """As above: the drivers of contact and lid have counted their edges."""
        return False

    def sleep(self, span_ms, level, lid_level=None):
        """As above, and return then."""
        self._woken = TIMER
        while span_ms > 0:
            if _is_at(self._pin, level) or _is_at(self._lid_pin, lid_level):
                self._woken = AWAKE  # the driver has counted the edges
                return
            piece_ms = span_ms if self._feed is None else min(span_ms, _PIECE_MS)
            piece_ms = min(piece_ms, 60 * 60_000)
            if self._feed is not None:
                self._feed()
            before_ms = self._ticks_ms()
            self._machine.lightsleep(piece_ms)
            span_ms -= max(1, (self._ticks_ms() - before_ms) & _TICKS_MASK)


def _is_at(pin, level):
    return level is not None and pin.value() == level
