"""The rest of the fake `machine`: what a node that only answers does not need.

Apart so that it costs memory only where it is used; `machine` finds the names here by itself.
"""

import time

import machine


class SoftI2C(machine.I2C):
    def __init__(self, scl, sda, *, freq=400_000, timeout=50_000):
        super().__init__(-1, scl=scl, sda=sda, freq=freq, timeout=timeout)


class RTC:
    """Only the memory that survives deep sleep (ESP32: 2048 bytes)."""

    def memory(self, data=None):
        if data is None:
            return bytes(machine.rtc_memory)
        if len(data) > 2048:
            raise ValueError("buffer too long")
        machine.rtc_memory[:] = data
        return None


class WDT:
    """Remembers when it was fed; `expired()` is for tests, nothing is reset."""

    def __init__(self, id=0, timeout=5000):
        self.timeout_ms = timeout
        self.feed()

    def feed(self):
        self._fed_ms = machine.clock.ms()

    def expired(self):
        return (machine.clock.ms() - self._fed_ms) & 0x3FFFFFFF > self.timeout_ms


def freq(hz=None):
    """The CPU clock in Hz; setting it changes nothing here."""
    global _freq_hz
    if hz is None:
        return _freq_hz
    _freq_hz = hz
    return None


def idle():
    time.sleep(0)


_freq_hz = 160_000_000
