"""Contacts that wake an ESP32 or ESP32-C3, with what ESP-IDF does to their pads before deep sleep.

gpio_deep_sleep_wakeup_prepare() of its sleep_modes.c: a pad that wakes the chip at a high level
gets its pull-up off and its pull-down on, one that wakes it at a low level the reverse. A pad that
is on hold keeps its own pulls, and is seen at no level by ext0 and ext1.
"""

from power.sleep_modes import Esp32DeepSleep
from support import cases

INTERNAL, EXTERNAL, CHANGEOVER = "internal", "external", "changeover"  # what pulls it up
PULL_UP, PULL_DOWN = 1, 2


class Pad:
    """A pin with its two internal resistors, and a reed contact to ground."""

    IN, PULL_UP, PULL_DOWN = 0, PULL_UP, PULL_DOWN

    def __init__(self, wiring, closed):
        self.wiring = wiring
        self.pull = PULL_UP if wiring == INTERNAL else None
        self.held = False
        self.closed = closed

    def init(self, mode=-1, pull=-1, value=None, drive=None, alt=None, hold=None):
        if hold is not None:
            self.held = hold
        if pull != -1 and not self.held:
            self.pull = pull

    def value(self):
        if self.closed:
            return 0
        if self.wiring == CHANGEOVER:
            return 1
        # the external resistor of 1 MOhm yields to the internal one of 45 kOhm
        if self.pull == PULL_DOWN:
            return 0
        return 1 if self.wiring == EXTERNAL or self.pull == PULL_UP else 0


class Esp32C3:
    WAKEUP_ALL_LOW, WAKEUP_ANY_HIGH = False, True

    def __init__(self):
        self.pins = ()

    def wake_on_gpio(self, pins, level):
        assert not any(pad.held for pad in pins), "held before its wake source is armed"
        self.pins, self.level = pins, level

    def prepare(self):
        for pad in self.pins:
            if not pad.held:
                pad.pull = PULL_DOWN if self.level else PULL_UP
        return self.pins


class Esp32(Esp32C3):
    def wake_on_ext0(self, pin, level):
        self.pins, self.level = (pin,), level

    def wake_on_ext1(self, pins, level):
        self.pins += pins

    def prepare(self):
        return [pad for pad in self.pins if not pad.held]


class Machine:
    def __init__(self, esp32, meanwhile):
        self.esp32 = esp32
        self.meanwhile = meanwhile
        self.woken = None

    def deepsleep(self, span_ms):
        pads = self.esp32.prepare()
        self.meanwhile()
        self.woken = [pad for pad in pads if pad.value() == int(self.esp32.level)]


def wakes(wiring, closed, chip=Esp32C3, holds=True, has_lid=False):
    """Return the number of contacts in this state that wake the chip when they move together."""
    pads = [Pad(wiring, closed) for _ in range(1 + has_lid)]

    def move():
        for pad in pads:
            pad.closed = not closed

    esp32 = chip()
    machine = Machine(esp32, move)
    level = 1 if closed else 0
    lid, lid_level = (pads[1], level) if has_lid else (None, None)
    mode = Esp32DeepSleep(machine, esp32, pads[0], lid, holds=holds)
    mode.sleep(3_600_000, level, lid_level)
    return len(machine.woken)


@cases(INTERNAL, EXTERNAL, CHANGEOVER)
def test_a_contact_that_opens_wakes_the_chip(wiring):
    assert wakes(wiring, True) == wakes(wiring, True, Esp32) == 1


@cases(INTERNAL, EXTERNAL, CHANGEOVER)
def test_a_contact_that_closes_wakes_the_chip(wiring):
    assert wakes(wiring, False) == wakes(wiring, False, Esp32) == 1


@cases((Esp32C3, True), (Esp32C3, False), (Esp32, True), (Esp32, False))
def test_the_lid_wakes_the_chip_as_the_door_does(chip, closed):
    assert wakes(EXTERNAL, closed, chip, has_lid=True) == 2


@cases((INTERNAL, 0), (EXTERNAL, 0), (CHANGEOVER, 1))
def test_without_hold_only_a_changeover_contact_opens_against_the_pull_down(wiring, wanted):
    assert wakes(wiring, True, holds=False) == wanted
    assert wakes(wiring, False, holds=False) == 1


@cases(False, True)
def test_nothing_is_held_without_a_wake_source(closed):
    pad, esp32 = Pad(EXTERNAL, closed), Esp32C3()
    Esp32DeepSleep(Machine(esp32, lambda: None), esp32, pad).sleep(1000, None)
    assert not pad.held and esp32.pins == ()
