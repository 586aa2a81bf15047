"""The modules of a simulated ESP32 or RP2: machine, esp32, rp2, time, os, sys, in virtual time.

`machine` is the simulator's, with the calls of a chip that sleeps added. Quirks of an ESP32: deep
sleep ends in a reset, a wake source is a level, ticks start at 0 with each boot while the RTC's
clock continues, RTC memory survives everything but a loss of power. Before deep sleep ESP-IDF sets
its own pulls on pads that wake by GPIO, and holds them until the start; hold outlives every reset
but power-on. ext0 and ext1 see a pad that is on hold at no level, and on chips whose RTC pads have
resistors of their own, without a pull. Of an RP2: its deep sleep is of no use; its pins have no
hold; light sleep ends with its time or with an edge on a pin that has a handler; a radio that was
not deinitialised still draws its current; the watchdog runs at most 8.4 s, in sleep too; no memory
worth using survives a reset. Runs on MicroPython.
"""

import os as real_os
import sys as real_sys

import machine
from clock import DeepSleep

RTC_BYTES = 2048
TIMER_WAKE = 4
# esp32 functions that arm a wake source, and the reason that machine.wake_reason() then returns
WAKE_REASONS = {"wake_on_ext0": 2, "wake_on_ext1": 3, "wake_on_gpio": 7}
WAKE_SOURCES = {
    "esp32": ("wake_on_ext0", "wake_on_ext1", "wake_on_gpio"),
    "esp32s3": ("wake_on_ext0", "wake_on_ext1", "wake_on_gpio"),
    "esp32c3": ("wake_on_gpio",),
    "esp32c6": ("wake_on_ext1", "wake_on_gpio"),
}
# These sources cannot end a deep sleep
LIGHT_SLEEP_ONLY = {"esp32": ("wake_on_gpio",), "esp32s3": ("wake_on_gpio",)}
# Pin sets the pulls of the digital pad only; the RTC pad that ext0 and ext1 see has none
OWN_RTC_PULLS = ("esp32s3", "esp32c6")
C3_WAKE_PINS = range(6)
RP2 = ("rp2040", "rp2350")
MAX_WATCHDOG_MS = 8388
MAX_LIGHT_SLEEP_MS = 4_294_967  # a 32-bit timer in microseconds
BYTE_US = 23  # on the I2C bus, at 400 kHz


class Module:
    """Stands in for a module: what is set on it can be imported from it."""


class Rp2Pin(machine.Pin):
    """A pin of an RP2: without hold."""

    def __init__(self, id, mode=machine.Pin.IN, pull=-1, value=None):
        super().__init__(id, mode, pull, value)


class Chip:
    """The state behind the modules: wake sources, pads, retained memory, watchdog, clocks.

    has_mem_backup: whether the port has machine.mem_backup(), as MicroPython 1.29
    sets_pulls: whether IDF sets its pulls (CONFIG_ESP_SLEEP_GPIO_ENABLE_INTERNAL_RESISTORS)
    nap_phase(): the phase of clock.PHASES of a light sleep of an ESP32
    work_ms: {phase of a light sleep: time that the processor needs after it}
    """

    def __init__(self, clock, kind, has_mem_backup, sets_pulls=True):
        self.clock = clock
        machine.clock.ms = lambda: clock.now_ms & 0x3FFFFFFF
        self.kind = kind
        self.is_rp2 = kind in RP2
        self._sets_pulls = sets_pulls
        self.nap_phase = lambda: "nap"
        self.work_ms = {}
        self.radio_draws = lambda: False
        self.naps = 0
        self.memory = bytearray(RTC_BYTES)
        self._rtc_length = 0
        self._bus_us = 0
        self._booted_ms = 0
        self._clock_zero_ms = 0  # when the RTC was at 0
        self._armed = {}  # {source: [(wire, level, wake reason)]}
        self._fed_ms = 0
        self._watchdog_ms = 0
        self._cause = machine.PWRON_RESET
        self._wake_reason = 0
        machine.reset_cause = lambda: self._cause
        machine.wake_reason = lambda: self._wake_reason
        machine.TIMER_WAKE = TIMER_WAKE
        machine.deepsleep = self._deepsleep
        machine.lightsleep = self._lightsleep
        machine.I2C = self._timed_i2c(machine.I2C)
        machine.WDT = self._watchdog
        machine.RTC = self._rtc
        if self.is_rp2:
            machine.Pin = Rp2Pin
            machine.RTC = Module
            machine.mem_backup = lambda region=0: memoryview(bytearray(16))
        elif has_mem_backup:
            machine.mem_backup = lambda: memoryview(self.memory)

    def modules(self):
        """Return {name: module} for a new boot."""
        modules = {"machine": machine, "time": self._time(), "os": self._os()}
        if self.is_rp2:
            modules["sys"] = _copy(real_sys, platform="rp2")
            modules["rp2"] = rp2 = Module()
            rp2.bootsel_button = lambda: 0
            return modules
        modules["sys"] = _copy(real_sys, platform="esp32")
        modules["esp32"] = esp32 = Module()
        esp32.WAKEUP_ALL_LOW, esp32.WAKEUP_ANY_HIGH = False, True
        for name in WAKE_SOURCES[self.kind]:
            setattr(esp32, name, self._arming(name))
        return modules

    def boot(self, cause, wake_reason=0):
        """Start with this reset cause: ticks at 0, nothing armed, no interrupt handlers.

        The pads' registers are as after a reset, without pulls; IDF releases what it has held.
        """
        self._cause = cause
        self._wake_reason = wake_reason
        self._booted_ms = self.clock.now_ms
        if cause == machine.DEEPSLEEP_RESET:
            for wire, _, _ in self._armed.get("wake_on_gpio", ()):
                wire.hold(False)
        self._armed = {}
        for wire in machine._wires.values():
            wire.pins.clear()
            wire.set_pull(0)

    def release_pads(self):
        """End every hold, as a loss of power does."""
        for wire in machine._wires.values():
            wire.hold(False)

    def lose_memory(self):
        """Clear what is retained, and the RTC's clock."""
        self.memory[:] = bytes(RTC_BYTES)
        self._rtc_length = 0
        self._clock_zero_ms = self.clock.now_ms

    def _rtc(self):
        rtc = Module()
        rtc.memory = self._rtc_memory
        return rtc

    def _rtc_memory(self, data=None):
        if data is None:
            return bytes(self.memory[: self._rtc_length])
        self.memory[: len(data)] = data
        self._rtc_length = len(data)
        return None

    def _deepsleep(self, span_ms=0):
        assert not self.is_rp2, "deep sleep of an RP2 is a reset"
        awaited, kept = [], []
        for name, armed in self._armed.items():
            for wire, level, reason in armed:
                if name == "wake_on_gpio":
                    self._prepare(wire, level)
                elif wire.held:
                    continue  # latched as a digital pad before IDF routes it to the RTC
                elif self.kind in OWN_RTC_PULLS:
                    wire.set_pull(0)
                awaited.append((wire, level, reason))
                kept.append(wire)
        for wire in machine._wires.values():
            if wire not in kept:
                wire.set_pull(0)  # the digital part has no power
        raise DeepSleep(span_ms, awaited)

    def _prepare(self, wire, level):
        """Do what gpio_deep_sleep_wakeup_prepare() of IDF does to a pad."""
        if self._sets_pulls:
            wire.set_pull(machine.Pin.PULL_DOWN if level else machine.Pin.PULL_UP)
        wire.hold(True)

    def _lightsleep(self, span_ms):
        clock = self.clock
        assert 0 < span_ms < MAX_LIGHT_SLEEP_MS
        self.naps += 1
        phase, nap_phase = clock.phase, self.nap_phase()
        clock.phase = "radio" if self.radio_draws() else "sleep" if self.is_rp2 else nap_phase
        pins = [pin for wire in machine._wires.values() for pin in wire.pins]
        levels = [pin.value() for pin in pins]
        clock.run_until(
            clock.now_ms + span_ms,
            (lambda: [pin.value() for pin in pins] != levels) if self.is_rp2 else None,
        )
        clock.phase = phase
        clock.wait_ms(self.work_ms.get(nap_phase, 0))

    def _timed_i2c(self, real):
        def pass_time(data):
            self._bus_us += (len(data) + 3) * BYTE_US
            if self._bus_us >= 1000:
                span_ms = self._bus_us // 1000
                self._bus_us %= 1000
                self.clock.wait_ms(span_ms)

        class I2C(real):
            def readfrom_mem_into(self, address, register, buffer):
                pass_time(buffer)
                super().readfrom_mem_into(address, register, buffer)

            def writeto_mem(self, address, register, data):
                pass_time(data)
                super().writeto_mem(address, register, data)

        return I2C

    def _watchdog(self, id=0, timeout=5000):
        if self.is_rp2 and timeout > MAX_WATCHDOG_MS:
            raise ValueError("timeout exceeds 8388")
        self._watchdog_ms = timeout
        self._fed_ms = self.clock.now_ms
        watchdog = Module()
        watchdog.feed = self._feed
        return watchdog

    def _feed(self):
        assert self.clock.now_ms - self._fed_ms <= self._watchdog_ms, "the watchdog has expired"
        self._fed_ms = self.clock.now_ms

    def _arming(self, name):
        def arm(pins, level):
            if name in LIGHT_SLEEP_ONLY.get(self.kind, ()):
                return
            if name == "wake_on_ext0":
                pins = (pins,)
            assert isinstance(pins, (tuple, list))
            is_all_low = self.kind == "esp32" and not level and len(pins) > 1
            assert not is_all_low, "an ESP32 wakes only when all of these pins are low"
            if self.kind == "esp32c3":
                assert all(pin.id in C3_WAKE_PINS for pin in pins), "not a pin that wakes a C3"
            level = 1 if level else 0
            reason = WAKE_REASONS[name]
            self._armed[name] = [(machine.wire(pin.id), level, reason) for pin in pins]

        return arm

    def _time(self):
        clock = self.clock
        time = Module()
        time.ticks_ms = lambda: (clock.now_ms - self._booted_ms) & 0x3FFFFFFF
        time.ticks_diff = lambda a, b: ((a - b + 0x20000000) & 0x3FFFFFFF) - 0x20000000
        time.ticks_add = lambda a, b: (a + b) & 0x3FFFFFFF
        time.sleep_ms = clock.wait_ms
        time.sleep = lambda s: clock.wait_ms(int(s * 1000))
        time.time = lambda: (clock.now_ms - self._clock_zero_ms) // 1000
        return time

    def _os(self):
        below = self.clock.random.below
        return _copy(real_os, urandom=lambda n: bytes([below(256) for _ in range(n)]))


def _copy(module, **changes):
    """Return a copy of a module with other values for some names."""
    copy = Module()
    for name in dir(module):
        setattr(copy, name, getattr(module, name))
    for name, value in changes.items():
        setattr(copy, name, value)
    return copy
