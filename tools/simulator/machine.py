"""A fake `machine` module: the pins, ADC and I2C buses of a board that is not there.

Found on `sys.path` before MicroPython's built-in module, so the sensor drivers and the
applications run unchanged on a PC, on MicroPython and on CPython. The other side of the wires,
which no real port has, is at the end of the names: `clock`, `wire()` and `bus()` are for
whoever plays the outside world.

    wire(14).drive(1)         # level on GPIO 14: interrupt handlers run at once
    wire(34).microvolts = n   # what an ADC on GPIO 34 measures
    bus(8).attach(chip)       # put a register model on the bus whose SDA is GPIO 8

Reading a pin, an ADC or a bus allocates nothing, so heap-locked tests can include them.
"""

import time

from micropython import const

PWRON_RESET = 1
HARD_RESET = 2
WDT_RESET = 3
DEEPSLEEP_RESET = 4
SOFT_RESET = 5

_ENODEV = const(19)
_ETIMEDOUT = const(110)
_FULL_SCALE_UV = const(3_300_000)
_FULL_SCALE_0DB_UV = const(950_000)  # an ESP32 without attenuation, its default
_TICKS_MASK = const(0x3FFFFFFF)


class Clock:
    """Milliseconds of the simulated world, modulo 2**30: real until `hold()`, then by hand."""

    def __init__(self):
        self._held_ms = -1

    def ms(self):
        return self._held_ms if self._held_ms >= 0 else _real_ms() & _TICKS_MASK

    def hold(self, now_ms=0):
        """Stop at `now_ms`; from here only `advance()` moves time."""
        self._held_ms = now_ms & _TICKS_MASK

    def advance(self, span_ms):
        self._held_ms = (self.ms() + span_ms) & _TICKS_MASK

    def release(self):
        """Follow real time again."""
        self._held_ms = -1


class Wire:
    """What is soldered to one GPIO: a level, a voltage, and the pins that listen."""

    def __init__(self):
        self.level = 1  # a floating input with a pull-up
        self.microvolts = 0
        self.pins = []

    def drive(self, level):
        """Put `level` (0 or 1) on the wire; both-edge and matching handlers run before return."""
        level = 1 if level else 0
        if level == self.level:
            return
        self.level = level
        for pin in self.pins:
            pin.edge(level)


class Pin:
    IN = 0
    OUT = 1
    OPEN_DRAIN = 2
    PULL_UP = 1
    PULL_DOWN = 2
    IRQ_FALLING = 2
    IRQ_RISING = 1

    def __init__(self, id, mode=IN, pull=None, value=None):
        self.id = id
        self.mode = mode
        self.pull = pull
        self._wire = wire(id)
        self._handler = None
        self._trigger = 0
        if value is not None:
            self._wire.drive(value)

    def init(self, mode=IN, pull=None, value=None):
        self.mode = mode
        self.pull = pull
        if value is not None:
            self._wire.drive(value)

    def value(self, level=None):
        if level is None:
            return self._wire.level
        self._wire.drive(level)
        return None

    def __call__(self, level=None):
        return self.value(level)

    def on(self):
        self._wire.drive(1)

    def off(self):
        self._wire.drive(0)

    def irq(self, handler=None, trigger=IRQ_FALLING | IRQ_RISING, hard=False):
        """Call `handler(pin)` on the edges in `trigger`; None stops it."""
        self._handler = handler
        self._trigger = trigger
        pins = self._wire.pins
        if handler is not None and self not in pins:
            pins.append(self)
        elif handler is None and self in pins:
            pins.remove(self)

    def edge(self, level):
        if self._trigger & (self.IRQ_RISING if level else self.IRQ_FALLING):
            self._handler(self)


class ADC:
    ATTN_0DB = 0
    ATTN_11DB = 3

    def __init__(self, pin, *, atten=ATTN_0DB):
        self._wire = wire(pin.id if isinstance(pin, Pin) else pin)
        self._full_uv = _FULL_SCALE_UV if atten == self.ATTN_11DB else _FULL_SCALE_0DB_UV

    def read_uv(self):
        return min(self._wire.microvolts, self._full_uv)

    def read_u16(self):
        return self.read_uv() * 65535 // self._full_uv


class Bus:
    """An I2C bus: register models by address, and the faults that a bus can have."""

    def __init__(self):
        self.chips = {}
        self.stuck = False  # SDA held low: every transfer times out

    def attach(self, chip):
        self.chips[chip.address] = chip
        return chip

    def chip(self, address):
        """The model that acknowledges `address`. OSError as a port raises it, otherwise."""
        if self.stuck:
            raise OSError(_ETIMEDOUT, "ETIMEDOUT")
        chip = self.chips.get(address)
        if chip is None:
            raise OSError(_ENODEV, "ENODEV")
        if chip.fault:
            raise OSError(chip.fault, "fault")
        return chip


class I2C:
    def __init__(self, id=0, *, scl, sda, freq=400_000, timeout=50_000):
        self._bus = bus(sda.id)

    def scan(self):
        return sorted(self._bus.chips)

    def readfrom_mem_into(self, address, register, buffer):
        chip = self._bus.chip(address)
        chip.pointer = register
        chip.read(buffer)

    def readfrom_mem(self, address, register, length):
        buffer = bytearray(length)
        self.readfrom_mem_into(address, register, buffer)
        return bytes(buffer)

    def writeto_mem(self, address, register, data):
        chip = self._bus.chip(address)
        chip.pointer = register
        chip.write(data)

    def readfrom_into(self, address, buffer):
        self._bus.chip(address).read(buffer)

    def readfrom(self, address, length):
        buffer = bytearray(length)
        self.readfrom_into(address, buffer)
        return bytes(buffer)

    def writeto(self, address, data):
        """The first byte sets the register pointer, as every chip modelled here has it."""
        chip = self._bus.chip(address)
        if len(data):
            chip.pointer = data[0]
            chip.write(data[1:])
        return len(data) + 1


def unique_id():
    return _state["unique_id"]


def reset_cause():
    return _state["reset_cause"]


def reset():
    """Ends the program: a simulated board has nothing to boot into."""
    raise SystemExit(0)


# The outside world.


def wire(id):
    """The Wire at GPIO `id`."""
    if id not in _wires:
        _wires[id] = Wire()
    return _wires[id]


def bus(sda_id):
    """The Bus whose SDA is GPIO `sda_id`."""
    if sda_id not in _buses:
        _buses[sda_id] = Bus()
    return _buses[sda_id]


def power_on(cause=PWRON_RESET):
    """Forget all wires, buses and settings, as a new board would; tests start with it."""
    _wires.clear()
    _buses.clear()
    clock.release()
    _state["reset_cause"] = cause
    rtc_memory[:] = b""
    _state["unique_id"] = b"\xa0\xb1\xc2\xd3\xe4\xf5"


def __getattr__(name):
    """What only some programs use is loaded when they do: SoftI2C, RTC, WDT, freq() and others."""
    import machine_more

    return getattr(machine_more, name)


def _real_ms():
    if hasattr(time, "ticks_ms"):
        return time.ticks_ms()
    return time.monotonic_ns() // 1_000_000


_wires = {}
_buses = {}
_state = {}
rtc_memory = bytearray()
clock = Clock()
power_on()
