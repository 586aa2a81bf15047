"""The modules of a simulated ESP32 or RP2: machine, esp32, rp2, time, os, sys, in a World's time.

`machine` is the simulator's, with what a chip that sleeps has besides. Its quirks: deep sleep ends
in a reset, a wake source is a level, ticks begin anew with each life while the clock of the RTC
goes on, RTC memory outlives everything but a loss of power. An RP2 has no deep sleep of use: its
light sleep ends with the time or with an edge on a pin that has a handler, and goes on drawing
the radio's current where that was not deinitialised; its watchdog runs 8.4 s at most, in sleep
too, and what it retains over a reset is too little for anything.
"""

import os as real_os
import sys as real_sys

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
RP2 = ("rp2040", "rp2350")
WATCHDOG_MAX_MS = 8388
LIGHT_SLEEP_MAX_MS = 4_294_967  # a 32-bit timer in microseconds
BYTE_US = 23  # on the I2C bus, at 400 kHz
# In deep sleep these work only where there is nothing else
LIGHT_ONLY = {"esp32": ("wake_on_gpio",), "esp32s3": ("wake_on_gpio",)}


class Chip:
    """What is behind the modules. mem_backup: has the port that call, as MicroPython 1.29 has?

    nap_phase: what the sensors draw in a nap; work_ms(phase): what the processor needs after one.
    """

    def __init__(self, world, kind="esp32c3", mem_backup=True):
        self.world = world
        self.kind = kind
        self.is_rp2 = kind in RP2
        self.nap_phase = lambda: "nap"
        self.work_ms = lambda phase: 0
        self.naps = 0
        self.radio_drains = lambda: False  # does the radio draw its current in light sleep?
        self._bus_us = 0
        self.memory = bytearray(RTC_BYTES)
        self.rtc_length = 0
        self.born_ms = 0  # when the present life began
        self.clock_zero_ms = 0  # when the RTC was at 0
        self.armed = {}  # {source: [(wire, level, wake reason)]}
        self.watchdog_ms = 0
        self.fed_ms = 0
        machine.reset_cause = lambda: self.cause
        machine.wake_reason = lambda: self.woken
        machine.TIMER_WAKE = TIMER_WAKE
        machine.deepsleep = self._deepsleep
        machine.lightsleep = self._lightsleep
        machine.I2C = self._i2c(machine.I2C)
        machine.WDT = self._wdt
        machine.RTC = self._rtc
        if self.is_rp2:
            machine.RTC = Module
            machine.mem_backup = lambda region=0: memoryview(bytearray(16))
        elif mem_backup:
            machine.mem_backup = lambda: memoryview(self.memory)
        self.cause = machine.PWRON_RESET
        self.woken = 0

    def modules(self):
        """{name: module}, made anew for each life."""
        shared = {"machine": machine, "time": self._time(), "os": self._os()}
        if self.is_rp2:
            rp2 = Module()
            rp2.bootsel_button = lambda: 0
            return dict(shared, rp2=rp2, sys=_sys("rp2"))
        esp32 = Module()
        esp32.WAKEUP_ALL_LOW, esp32.WAKEUP_ANY_HIGH = False, True
        for name in CHIPS[self.kind]:
            setattr(esp32, name, self._arm(name))
        return dict(shared, esp32=esp32, sys=_sys("esp32"))

    def start(self, cause, woken=0):
        """A life begins."""
        self.cause = cause
        self.woken = woken
        self.born_ms = self.world.now_ms
        self.armed = {}
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
        assert not self.is_rp2, "deep sleep of an RP2 is a reset"
        raise Asleep(span_ms, [one for armed in self.armed.values() for one in armed])

    def _lightsleep(self, span_ms):
        world = self.world
        assert 0 < span_ms < LIGHT_SLEEP_MAX_MS
        self.naps += 1
        phase, nap_phase = world.phase, self.nap_phase()
        world.phase = "radio" if self.radio_drains() else "sleep" if self.is_rp2 else nap_phase
        pins = [pin for wire in machine._wires.values() for pin in wire.pins]
        levels = [pin.value() for pin in pins]
        world.until(
            world.now_ms + span_ms,
            (lambda: [pin.value() for pin in pins] != levels) if self.is_rp2 else None,
        )
        world.phase = phase
        world.pass_ms(self.work_ms(nap_phase))

    def _i2c(self, real):
        def took(n):
            self._bus_us += (n + 3) * BYTE_US
            if self._bus_us >= 1000:
                span_ms = self._bus_us // 1000
                self._bus_us %= 1000
                self.world.pass_ms(span_ms)

        class I2C(real):
            def readfrom_mem_into(self, address, register, buffer):
                took(len(buffer))
                super().readfrom_mem_into(address, register, buffer)

            def writeto_mem(self, address, register, data):
                took(len(data))
                super().writeto_mem(address, register, data)

        return I2C

    def _wdt(self, id=0, timeout=5000):
        if self.is_rp2 and timeout > WATCHDOG_MAX_MS:
            raise ValueError("timeout exceeds 8388")
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
            if name == "wake_on_ext0":
                pins = (pins,)
            assert isinstance(pins, (tuple, list))
            assert level or len(pins) == 1 or self.kind != "esp32", "it wakes when all are low"
            level = 1 if level else 0
            self.armed[name] = [(machine.wire(pin.id), level, WAKES[name]) for pin in pins]

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


def _sys(platform):
    sys = Module()
    for name in dir(real_sys):
        setattr(sys, name, getattr(real_sys, name))
    sys.platform = platform
    return sys


class Module:
    """Stands in for a module: what is set on it can be imported from it."""
