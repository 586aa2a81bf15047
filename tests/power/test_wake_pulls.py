"""Contacts that wake an ESP32-C3, with the pulls that ESP-IDF sets on the pads before deep sleep.

gpio_deep_sleep_wakeup_prepare() of its sleep_modes.c: a pad that wakes the chip at a high level
gets its pull-up off and its pull-down on, one that wakes it at a low level the reverse. A pad that
is on hold keeps its own pulls.
"""

from power.sleep_modes import Esp32DeepSleep
from support import cases, expected_failure

INTERNAL, EXTERNAL = "internal", "external"  # where the pull-up is
PULL_UP, PULL_DOWN = 1, 2


class Pad:
    """A pin with its two internal resistors, and a reed contact to ground."""

    IN, PULL_UP, PULL_DOWN = 0, PULL_UP, PULL_DOWN

    def __init__(self, wiring, closed):
        self.external = wiring == EXTERNAL
        self.pull = None if self.external else PULL_UP
        self.held = False
        self.closed = closed

    def init(self, mode=-1, pull=-1, value=None, drive=None, alt=None, hold=None):
        if hold is not None:
            self.held = hold
        if pull != -1 and not self.held:
            self.pull = pull

    def value(self):
        # the external resistor of 1 MOhm yields to the internal one of 45 kOhm
        if self.closed or self.pull == PULL_DOWN:
            return 0
        return 1 if self.external or self.pull == PULL_UP else 0


class Esp32C3:
    WAKEUP_ALL_LOW, WAKEUP_ANY_HIGH = False, True

    def wake_on_gpio(self, pins, level):
        self.pins, self.level = pins, level


class Machine:
    def __init__(self, esp32, meanwhile):
        self.esp32 = esp32
        self.meanwhile = meanwhile
        self.woken = None

    def deepsleep(self, span_ms):
        for pad in self.esp32.pins:
            if not pad.held:
                pad.pull = PULL_DOWN if self.esp32.level else PULL_UP
        self.meanwhile()
        self.woken = [pad for pad in self.esp32.pins if pad.value() == int(self.esp32.level)]


def wakes(wiring, closed):
    """Return True if a contact in this state wakes the chip when it moves."""
    pad, esp32 = Pad(wiring, closed), Esp32C3()

    def move():
        pad.closed = not closed

    machine = Machine(esp32, move)
    Esp32DeepSleep(machine, esp32, pad).sleep(3_600_000, 1 if closed else 0)
    return machine.woken == [pad]


@cases(INTERNAL, EXTERNAL)
@expected_failure("an open contact reads 0 with the pull-down of ESP-IDF")
def test_a_contact_that_opens_wakes_the_chip(wiring):
    assert wakes(wiring, True)


@cases(INTERNAL, EXTERNAL)
def test_a_contact_that_closes_wakes_the_chip(wiring):
    assert wakes(wiring, False)
