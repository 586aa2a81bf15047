"""The modules of a simulated ESP32: machine, esp32, time, os; in the time of a World.

`machine` is the simulator's, with what a chip that sleeps has besides. Its quirks: deep sleep ends
in a reset, a wake source is a level, ticks begin anew with each life while the clock of the RTC
goes on, RTC memory outlives everything but a loss of power.
"""

import os as real_os

import machine
from world import Asleep

RTC_BYTES = 2048
TIMER_WAKE = 4
EXT0_WAKE = 2
EXT1_WAKE = 3
GPIO_WAKE = 7
WAKES = {"wake_on_ext0": EXT0_WAKE, "wake_on_ext1": EXT1_WAKE, "wake_on_gpio": GPIO_WAKE}
CHIPS = {
    "esp32": ("wake_on_ext0", "wake_on_ext1", "wake_on_gpio"),
    "esp32s3": ("wake_on_ext0", "wake_on_ext1", "wake_on_gpio"),
    "esp32c3": ("wake_on_gpio",),
    "esp32c6": ("wake_on_ext1", "wake_on_gpio"),
}
# In deep sleep these work only where there is nothing else
LIGHT_ONLY = {"esp32": ("wake_on_gpio",), "esp32s3": ("wake_on_gpio",)}


class Chip:
    """What is behind the modules. mem_backup: has the port that call, as MicroPython 1.29 has?"""

    def __init__(self, world, kind="esp32c3", mem_backup=True):
        self.world = world
        self.kind = kind
        self.memory = bytearray(RTC_BYTES)
        self.rtc_length = 0
        self.born_ms = 0  # when the present life began
        self.clock_zero_ms = 0  # when the RTC was at 0
        self.level = None  # that is armed
        self.by = 0  # wake reason of that source
        self.watchdog_ms = 0
        self.fed_ms = 0
        machine.reset_cause = lambda: self.cause
        machine.wake_reason = lambda: self.woken
        machine.TIMER_WAKE = TIMER_WAKE
        machine.deepsleep = self._deepsleep
        machine.WDT = self._wdt
        machine.RTC = self._rtc
        if mem_backup:
            machine.mem_backup = lambda: memoryview(self.memory)
        self.cause = machine.PWRON_RESET
        self.woken = 0

    def modules(self):
        """{name: module}, made anew for each life."""
        esp32 = Module()
        esp32.WAKEUP_ALL_LOW, esp32.WAKEUP_ANY_HIGH = False, True
        for name in CHIPS[self.kind]:
            setattr(esp32, name, self._arm(name))
        return {"machine": machine, "esp32": esp32, "time": self._time(), "os": self._os()}

    def start(self, cause, woken=0):
        """A life begins."""
        self.cause = cause
        self.woken = woken
        self.born_ms = self.world.now_ms
        self.level = None
        self.watchdog_ms = 0
        for wire in machine._wires.values():
            wire.pins.clear()

    def lose_memory(self):
        self.memory[:] = bytes(RTC_BYTES)
        self.rtc_length = 0
        self.clock_zero_ms = self.world.now_ms

    def _rtc(self):
        rtc = Module()
        rtc.memory = self._rtc_memory
        return rtc

    def _rtc_memory(self, data=None):
        if data is None:
            return bytes(self.memory[: self.rtc_length])
        self.memory[: len(data)] = data
        self.rtc_length = len(data)
        return None

    def _deepsleep(self, span_ms=0):
        raise Asleep(span_ms, self.level)

    def _wdt(self, id=0, timeout=5000):
        self.watchdog_ms = timeout
        self.fed_ms = self.world.now_ms
        dog = Module()
        dog.feed = self._feed
        return dog

    def _feed(self):
        assert self.world.now_ms - self.fed_ms <= self.watchdog_ms, "the watchdog bites"
        self.fed_ms = self.world.now_ms

    def _arm(self, name):
        def arm(pins, level):
            if name in LIGHT_ONLY.get(self.kind, ()):
                return
            assert name == "wake_on_ext0" or isinstance(pins, (tuple, list))
            self.level = 1 if level else 0
            self.by = WAKES[name]

        return arm

    def _time(self):
        world = self.world
        time = Module()
        time.ticks_ms = lambda: (world.now_ms - self.born_ms) & 0x3FFFFFFF
        time.ticks_diff = lambda a, b: ((a - b + 0x20000000) & 0x3FFFFFFF) - 0x20000000
        time.ticks_add = lambda a, b: (a + b) & 0x3FFFFFFF
        time.sleep_ms = world.pass_ms
        time.sleep = lambda s: world.pass_ms(int(s * 1000))
        time.time = lambda: (world.now_ms - self.clock_zero_ms) // 1000
        return time

    def _os(self):
        os = Module()
        for name in dir(real_os):
            setattr(os, name, getattr(real_os, name))
        os.urandom = lambda n: bytes([self.world.chance.below(256) for _ in range(n)])
        return os


class Module:
    """Stands in for a module: what is set on it can be imported from it."""
