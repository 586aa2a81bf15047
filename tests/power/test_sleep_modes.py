"""Sleep drivers of the ESP32 and RP2: armed wake sources, wake reasons, sleep."""

from power.sleep_modes import AWAKE, PIN, POWER_ON, RESET, TIMER, Esp32DeepSleep, Rp2LightSleep
from support import cases


class Asleep(Exception):
    pass


class Esp32Machine:
    PWRON_RESET = 1
    WDT_RESET = 3
    DEEPSLEEP_RESET = 4

    def __init__(self, cause=1, reason=0):
        self.cause = cause
        self.reason = reason
        self.slept = []

    def reset_cause(self):
        return self.cause

    def wake_reason(self):
        return self.reason

    def deepsleep(self, span_ms):
        self.slept.append(span_ms)
        raise Asleep


class Module:
    WAKEUP_ALL_LOW = False
    WAKEUP_ANY_HIGH = True

    def __init__(self, *names):
        self.armed = []
        for name in names:
            setattr(self, name, self._arm(name))

    def _arm(self, name):
        return lambda pins, level: self.armed.append((name, pins, level))


class Pad:
    """A pin of an ESP32, with what is set on it."""

    def __init__(self):
        self.inits = []

    def init(self, **settings):
        self.inits.append(settings)


ALL = ("wake_on_ext0", "wake_on_ext1", "wake_on_gpio")
PIN_ONLY, LID_ONLY, BOTH = (0,), (1,), (0, 1)


@cases(
    (ALL, 1, "wake_on_ext0", False),
    (ALL, 0, "wake_on_ext0", False),
    (ALL[1:], 1, "wake_on_ext1", True),
    (ALL[2:], 1, "wake_on_gpio", True),
    (ALL[2:], 0, "wake_on_gpio", True),
)
def test_contact_is_armed_with_the_wake_source_of_the_chip(names, level, wanted, tuples):
    machine, esp32, pin = Esp32Machine(), Module(*names), Pad()
    try:
        Esp32DeepSleep(machine, esp32, pin).sleep(5000, level)
        raise AssertionError("it returned")
    except Asleep:
        pass
    assert esp32.armed == [(wanted, (pin,) if tuples else pin, level == 1)]
    assert machine.slept == [5000]
    assert pin.inits == ([{"hold": True}] if wanted == "wake_on_gpio" else [])


def test_without_a_level_nothing_is_armed():
    machine, esp32 = Esp32Machine(), Module(*ALL)
    try:
        Esp32DeepSleep(machine, esp32, "pin").sleep(200_000_000, None)
    except Asleep:
        pass
    assert esp32.armed == [] and machine.slept == [86_400_000]


@cases((1, 0, POWER_ON), (3, 0, RESET), (2, 0, RESET), (4, 4, TIMER), (4, 2, PIN), (4, 7, PIN))
def test_wake_reason_by_reset_cause(cause, reason, wanted):
    assert Esp32DeepSleep(Esp32Machine(cause, reason), Module(), "pin").wake_reason() == wanted


class Rp2Machine:
    PWRON_RESET = 1
    WDT_RESET = 3

    def __init__(self, pin, cause=1, tick_ms=1 << 29):
        self.pin = pin
        self.cause = cause
        self.tick_ms = tick_ms  # of a timer that ends light sleep early, as that of lwIP
        self.now_ms = (1 << 30) - 1000  # the clock wraps soon
        self.slept = []

    def ticks_ms(self):
        return self.now_ms & 0x3FFFFFFF

    def reset_cause(self):
        return self.cause

    def lightsleep(self, span_ms):
        self.slept.append(span_ms)
        self.now_ms += min(span_ms, self.tick_ms)
        if self.pin.moves_at == len(self.slept):
            self.pin.level = 1


class Pin:
    level = 0
    moves_at = -1

    def value(self):
        return self.level


def test_rp2_light_sleep_is_split_to_feed_the_watchdog():
    pin, fed = Pin(), []
    machine = Rp2Machine(pin)
    chip = Rp2LightSleep(machine, machine.ticks_ms, pin, lambda: fed.append(len(machine.slept)))
    assert chip.wake_reason() == POWER_ON
    chip.sleep(20_000, 1)
    assert machine.slept == [7000, 7000, 6000] and fed == [0, 1, 2]
    assert chip.wake_reason() == TIMER


def test_rp2_without_watchdog_sleeps_in_one_piece():
    pin = Pin()
    machine = Rp2Machine(pin, 3)
    chip = Rp2LightSleep(machine, machine.ticks_ms, pin)
    assert chip.wake_reason() == RESET
    chip.sleep(2 * 3_600_000 + 5, 1)
    assert machine.slept == [3_600_000, 3_600_000, 5]


@cases(64, 1, 6999)
def test_rp2_sleeps_on_when_a_timer_ends_light_sleep_early(tick_ms):
    pin, span_ms = Pin(), 20_000 if tick_ms > 1 else 200
    machine = Rp2Machine(pin, 1, tick_ms)
    began_ms = machine.now_ms
    chip = Rp2LightSleep(machine, machine.ticks_ms, pin, lambda: None)
    chip.sleep(span_ms, 1)
    assert machine.now_ms - began_ms == span_ms and chip.wake_reason() == TIMER


def test_rp2_sleep_ends_when_light_sleep_returns_at_once():
    machine = Rp2Machine(Pin(), 1, 0)
    Rp2LightSleep(machine, machine.ticks_ms, machine.pin).sleep(50, None)
    assert len(machine.slept) == 50


def test_rp2_sees_an_edge_between_pieces_of_sleep():
    pin = Pin()
    pin.moves_at = 3
    machine = Rp2Machine(pin, 1, 64)
    chip = Rp2LightSleep(machine, machine.ticks_ms, pin, lambda: None)
    chip.sleep(60_000, 1)
    assert len(machine.slept) == 3 and chip.wake_reason() == AWAKE


def test_contact_wakes_rp2():
    pin = Pin()
    pin.moves_at = 2
    machine = Rp2Machine(pin)
    chip = Rp2LightSleep(machine, machine.ticks_ms, pin, lambda: None)
    chip.sleep(60_000, 1)
    assert machine.slept == [7000, 7000] and chip.wake_reason() == AWAKE


def test_edge_without_an_armed_level_does_not_wake_rp2():
    pin = Pin()
    pin.moves_at = 1
    machine = Rp2Machine(pin)
    Rp2LightSleep(machine, machine.ticks_ms, pin, lambda: None).sleep(20_000, None)
    assert machine.slept == [7000, 7000, 6000]


@cases(
    (ALL, 1, 0, [("wake_on_ext0", PIN_ONLY, True), ("wake_on_ext1", LID_ONLY, False)]),
    (ALL, 1, 1, [("wake_on_ext0", PIN_ONLY, True), ("wake_on_ext1", LID_ONLY, True)]),
    (ALL, 0, None, [("wake_on_ext0", PIN_ONLY, False)]),
    (ALL[1:], 1, 1, [("wake_on_ext1", BOTH, True)]),
    (ALL[1:], 1, 0, [("wake_on_ext1", PIN_ONLY, True)]),
    (ALL[2:], 0, 0, [("wake_on_gpio", BOTH, False)]),
    (ALL[2:], 0, 1, [("wake_on_gpio", PIN_ONLY, False)]),
    (ALL[2:], 0, None, [("wake_on_gpio", PIN_ONLY, False)]),
)
def test_lid_is_armed_where_the_chip_has_a_second_source(names, level, lid_level, wanted):
    machine, esp32, pads = Esp32Machine(), Module(*names), (Pad(), Pad())
    try:
        Esp32DeepSleep(machine, esp32, *pads).sleep(5000, level, lid_level)
    except Asleep:
        pass
    armed = []
    for name, pins, high in esp32.armed:
        pins = pins if isinstance(pins, tuple) else (pins,)
        armed.append((name, tuple([pads.index(pin) for pin in pins]), high))
    assert armed == wanted
    held = wanted[0][1] if names == ALL[2:] else ()
    assert [pad.inits for pad in pads] == [[{"hold": True}] if i in held else [] for i in (0, 1)]


@cases(
    (ALL, "lid", 2, False), (ALL, "lid", 3, True), (ALL[1:], "lid", 3, None), (ALL, None, 2, None)
)
def test_lid_wake_by_wake_reason(names, lid, reason, wanted):
    assert (
        Esp32DeepSleep(Esp32Machine(4, reason), Module(*names), "pin", lid).woken_by_lid()
        is wanted
    )


@cases(((27,), True), ((14,), False), ((14, 27), None), ((), None))
def test_lid_wake_by_the_gpio_mask_of_newer_ports(woken, wanted):
    machine = Esp32Machine(4, 7)
    machine.wake_pins = lambda: woken
    assert Esp32DeepSleep(machine, Module(*ALL[2:]), "pin", "lid", 27).woken_by_lid() is wanted


def test_lid_wakes_rp2():
    pin, lid = Pin(), Pin()
    lid.moves_at = 2
    machine = Rp2Machine(lid)
    chip = Rp2LightSleep(machine, machine.ticks_ms, pin, lambda: None, lid)
    chip.sleep(60_000, 1, 1)
    assert (
        machine.slept == [7000, 7000] and chip.wake_reason() == AWAKE and not chip.woken_by_lid()
    )
