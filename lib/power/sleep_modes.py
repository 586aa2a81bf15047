"""How each chip sleeps, how a pin wakes it, and what woke it.

Every wake source is a level, not an edge. So the pin is read and the other level is armed: a
contact that moves in between wakes the chip at once, and no edge is missed.

- ESP32, S2, S3: wake_on_ext0() for one pin. C6, H2: wake_on_ext1(). C2, C3: wake_on_gpio(), since
  MicroPython 1.27, GPIO0 to GPIO5. On other chips wake_on_gpio() works in light sleep only, hence
  the order in which they are tried. Deep sleep ends in a reset and stops the watchdog.
- On ESP32, S2, S3 the lid has a wake source of its own: wake_on_ext1(). On the others one call has
  one level for all pins: the lid wakes the chip if its wake level is that of the contact, as when
  door and lid are both closed; otherwise its move is noticed at the next wake.
- Before wake_on_gpio() in deep sleep ESP-IDF sets pulls of its own: a pad that wakes the chip at a
  high level gets a pull-down of 45 kOhm, with which an open contact stays low. A pad that is on
  hold keeps the pulls that it has, so the pads are held, directly before the sleep. The hold lasts
  over every reset but power-on: whoever configures the pins next passes hold=False. Pads of ext0
  and ext1 must not be held: the latch would keep them from the RTC, to which IDF routes them then.
- Light sleep of an ESP32 keeps the RAM, not the Wi-Fi: the radio has to be off. The USB of a C3 or
  S3 stays off until the next reset; the five seconds for Ctrl-C after a start are meant for that.
- RP2: light sleep keeps the RAM and lasts 71 minutes at most. A pin wakes the chip if it has an
  interrupt handler, which the contact's driver has set. A watchdog cannot be stopped and must be
  fed every 8.3 s: the sleep is cut into pieces. With lwIP, as on a Pico W, a timer ends each piece
  after 64 ms at most in MicroPython 1.24 and 1.25 (its issue 16181); the clock says how much of
  the sleep is left. Those wakes cost energy; later versions do not have them.
"""

from micropython import const

from power.event_log import AWAKE, PIN, POWER_ON, RESET, TIMER

_EXT1_WAKE = const(3)  # for ports whose `machine` lacks this constant
_TIMER_WAKE = const(4)  # the same
_PIECE_MS = const(7000)
_LONGEST_MS = const(86_400_000)
_TICKS_MASK = const(0x3FFFFFFF)


class Esp32DeepSleep:
    """Deep sleep of an ESP32: it ends in a reset.

    machine, esp32: the modules; pin: the contact's Pin; lid_pin: the lid's Pin or None; lid_gpio:
    the lid's GPIO number; holds: whether pads of wake_on_gpio() are held during the sleep.
    """

    def __init__(self, machine, esp32, pin, lid_pin=None, lid_gpio=None, holds=True):
        self._machine = machine
        self._esp32 = esp32
        self._pin = pin
        self._lid_pin = lid_pin
        self._lid_gpio = lid_gpio
        self._holds = holds
        self._has_ext0 = hasattr(esp32, "wake_on_ext0")

    def wake_reason(self):
        """Return PIN, TIMER, POWER_ON or RESET: why the chip started."""
        machine = self._machine
        cause = machine.reset_cause()
        if cause == machine.DEEPSLEEP_RESET:
            timer = getattr(machine, "TIMER_WAKE", _TIMER_WAKE)
            return TIMER if machine.wake_reason() == timer else PIN
        return POWER_ON if cause == machine.PWRON_RESET else RESET

    def woken_by_lid(self):
        """Return True if the lid woke the chip, None if that is not known."""
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
        """Sleep for span_ms, or until a pin is at its level; None: that pin does not wake."""
        if level is not None:
            self._arm(level, lid_level)
        self._machine.deepsleep(min(span_ms, _LONGEST_MS))

    def _arm(self, level, lid_level):
        esp32 = self._esp32
        pins = (self._pin,)
        if self._has_ext0:
            esp32.wake_on_ext0(self._pin, self._trigger(level))
            if lid_level is None:
                return
            pins, level = (self._lid_pin,), lid_level
        elif lid_level == level:
            pins = (self._pin, self._lid_pin)
        if hasattr(esp32, "wake_on_ext1"):
            esp32.wake_on_ext1(pins, self._trigger(level))
            return
        esp32.wake_on_gpio(pins, self._trigger(level))
        if self._holds:
            for pin in pins:
                pin.init(hold=True)

    def _trigger(self, level):
        return self._esp32.WAKEUP_ANY_HIGH if level else self._esp32.WAKEUP_ALL_LOW


class Esp32LightSleep:
    """Light sleep of an ESP32. machine: the module."""

    def __init__(self, machine):
        self._machine = machine

    def sleep(self, span_ms, level, lid_level=None):
        """Sleep for span_ms and return; no pin wakes the chip."""
        self._machine.lightsleep(min(span_ms, _LONGEST_MS))


class Rp2LightSleep:
    """Light sleep of an RP2.

    machine: the module; ticks_ms: a clock that runs in sleep; pin, lid_pin: the Pins of contact
    and lid, or None; feed: feeds the watchdog, None if there is none.
    """

    def __init__(self, machine, ticks_ms, pin, feed=None, lid_pin=None):
        self._machine = machine
        self._ticks_ms = ticks_ms
        self._pin = pin
        self._lid_pin = lid_pin
        self._feed = feed
        self._woken = None

    def wake_reason(self):
        """Return what ended the last light sleep, or why the chip started."""
        if self._woken is not None:
            return self._woken
        return POWER_ON if self._machine.reset_cause() == self._machine.PWRON_RESET else RESET

    def woken_by_lid(self):
        """Return False: the drivers of contact and lid have counted their edges themselves."""
        return False

    def sleep(self, span_ms, level, lid_level=None):
        """Sleep for span_ms, or until a pin is at its level, and return."""
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
