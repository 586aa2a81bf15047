"""A fake `machine` module: the pins, ADC, I2C buses and clock of a simulated board.

It precedes MicroPython's built-in module on `sys.path`, so sensor drivers and applications run
unchanged on a PC, on MicroPython and on CPython. `clock`, `wire()` and `bus()`, which no port has,
control the surroundings of the board:

    wire(14).drive(1)         # set the level of GPIO 14; interrupt handlers run at once
    wire(14).drive(None)      # let go: the pull, or an external resistor, sets the level
    wire(34).microvolts = n   # set what an ADC on GPIO 34 measures
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
_RTC_MEMORY_MAX = const(2048)  # of an ESP32
_TICKS_MASK = const(0x3FFFFFFF)
_TICKS_HALF = const(0x20000000)


class Clock:
    """The milliseconds of the simulated world, modulo 2**30: real time until `hold()`."""

    def __init__(self):
        self._held_ms = -1

    def ms(self):
        """Return the time in milliseconds."""
        return self._held_ms if self._held_ms >= 0 else _real_ms() & _TICKS_MASK

    def hold(self, now_ms=0):
        """Stop at `now_ms`; only `advance()` moves the time from now on."""
        self._held_ms = now_ms & _TICKS_MASK

    def advance(self, span_ms):
        """Move the held time on."""
        self._held_ms = (self.ms() + span_ms) & _TICKS_MASK

    def release(self):
        """Follow real time again."""
        self._held_ms = -1


class Wire:
    """The net of one GPIO: its level, its voltage, and the pins with an interrupt handler.

    The level is that of what drives it, a contact or chip; without that, of the pad's internal
    resistor of 45 kOhm; without that, of an external pull-up of 1 MOhm with 4.7 nF, which rises in
    RISE_MS. A net without any of them floats: it keeps its level.

    pull: of the pad, 0, Pin.PULL_UP or Pin.PULL_DOWN, as its registers say; held: the pad is
    latched and keeps the pull that it had; has_resistor: there is an external pull-up.
    """

    RISE_MS = 7

    def __init__(self):
        self.level = 1
        self.microvolts = 0
        self.pins = []
        self.pull = 0
        self.held = False
        self.has_resistor = False
        self._driven = None
        self._pad_pull = 0
        self._rises_ms = -1  # when the capacitor is charged, -1 if it is or does not charge

    def drive(self, level):
        """Set the level, 0 or 1, or None to let go; handlers of the edge run before the return."""
        self._driven = level if level is None else 1 if level else 0
        self._settle()

    def set_pull(self, pull):
        """Set the pull in the pad's registers; a pad on hold keeps its own."""
        self.pull = pull
        self.hold(self.held)

    def hold(self, on):
        """Latch the pad, or release it to what its registers say."""
        self.held = on
        if not on:
            self._pad_pull = self.pull
        self._settle()

    def read(self):
        """Return the level at this moment."""
        if self._rises_ms >= 0 and (clock.ms() - self._rises_ms) & _TICKS_MASK < _TICKS_HALF:
            self._rises_ms = -1
            self._change(1)
        return self.level

    def _settle(self):
        level = self._driven
        if level is None and self._pad_pull:
            level = 1 if self._pad_pull == Pin.PULL_UP else 0
        if level is not None:
            self._rises_ms = -1
            self._change(level)
        elif self.has_resistor and self.level == 0 and self._rises_ms < 0:
            self._rises_ms = (clock.ms() + self.RISE_MS) & _TICKS_MASK

    def _change(self, level):
        if level == self.level:
            return
        self.level = level
        for pin in self.pins:
            pin.edge(level)


class Pin:
    """A GPIO of the fake board, as machine.Pin of an ESP32."""

    IN = 0
    OUT = 1
    OPEN_DRAIN = 2
    PULL_UP = 1
    PULL_DOWN = 2
    IRQ_FALLING = 2
    IRQ_RISING = 1

    def __init__(self, id, mode=IN, pull=-1, value=None, hold=None):
        self.id = id
        self._wire = wire(id)
        self._handler = None
        self._trigger = 0
        self.init(mode, pull, value, hold)

    def init(self, mode=-1, pull=-1, value=None, hold=None):
        """Change what is given, the hold last. pull: None switches the resistors off."""
        if mode != -1:
            self.mode = mode
        if pull != -1:
            self._wire.set_pull(pull or 0)
        if value is not None:
            self._wire.drive(value)
        if hold is not None:
            self._wire.hold(False)  # the port applies what was set meanwhile
            self._wire.hold(hold)

    def value(self, level=None):
        """Return the level, or set it."""
        if level is None:
            return self._wire.read()
        self._wire.drive(level)
        return None

    def __call__(self, level=None):
        return self.value(level)

    def on(self):
        """Set the level to 1."""
        self._wire.drive(1)

    def off(self):
        """Set the level to 0."""
        self._wire.drive(0)

    def irq(self, handler=None, trigger=IRQ_FALLING | IRQ_RISING, hard=False):
        """Call `handler(pin)` at the edges in `trigger`; a handler None ends it."""
        self._handler = handler
        self._trigger = trigger
        pins = self._wire.pins
        if handler is not None and self not in pins:
            pins.append(self)
        elif handler is None and self in pins:
            pins.remove(self)

    def edge(self, level):
        """Call the handler if it wants an edge to this level."""
        if self._trigger & (self.IRQ_RISING if level else self.IRQ_FALLING):
            self._handler(self)


class ADC:
    """An analog input, as machine.ADC of an ESP32."""

    ATTN_0DB = 0
    ATTN_11DB = 3

    def __init__(self, pin, *, atten=ATTN_0DB):
        self._wire = wire(pin.id if isinstance(pin, Pin) else pin)
        self._full_uv = _FULL_SCALE_UV if atten == self.ATTN_11DB else _FULL_SCALE_0DB_UV

    def read_uv(self):
        """Return the voltage in microvolts, at most the full scale."""
        return min(self._wire.microvolts, self._full_uv)

    def read_u16(self):
        """Return the voltage as 0 to 65535 of the full scale."""
        return self.read_uv() * 65535 // self._full_uv


class Bus:
    """An I2C bus: its register models by address, and the faults that a bus can have."""

    def __init__(self):
        self.chips = {}
        self.stuck = False  # True: SDA is held low, every transfer times out

    def attach(self, chip):
        """Add a register model; return it."""
        self.chips[chip.address] = chip
        return chip

    def chip(self, address):
        """Return the model that acknowledges `address`. Raise OSError as a port does if none."""
        if self.stuck:
            raise OSError(_ETIMEDOUT, "ETIMEDOUT")
        chip = self.chips.get(address)
        if chip is None:
            raise OSError(_ENODEV, "ENODEV")
        if chip.fault:
            raise OSError(chip.fault, "fault")
        return chip


class I2C:
    """A bus controller, as machine.I2C."""

    def __init__(self, id=0, *, scl, sda, freq=400_000, timeout=50_000):
        self._bus = bus(sda.id)

    def scan(self):
        """Return the addresses of all chips."""
        return sorted(self._bus.chips)

    def readfrom_mem_into(self, address, register, buffer):
        """Fill the buffer from a register on."""
        chip = self._bus.chip(address)
        chip.pointer = register
        chip.read(buffer)

    def readfrom_mem(self, address, register, length):
        """Return bytes from a register on."""
        buffer = bytearray(length)
        self.readfrom_mem_into(address, register, buffer)
        return bytes(buffer)

    def writeto_mem(self, address, register, data):
        """Write bytes from a register on."""
        chip = self._bus.chip(address)
        chip.pointer = register
        chip.write(data)

    def readfrom_into(self, address, buffer):
        """Fill the buffer from the chip's pointer on."""
        self._bus.chip(address).read(buffer)

    def readfrom(self, address, length):
        """Return bytes from the chip's pointer on."""
        buffer = bytearray(length)
        self.readfrom_into(address, buffer)
        return bytes(buffer)

    def writeto(self, address, data):
        """Write bytes; the first sets the register pointer, as on every chip modelled here."""
        chip = self._bus.chip(address)
        if len(data):
            chip.pointer = data[0]
            chip.write(data[1:])
        return len(data) + 1


class SoftI2C(I2C):
    """A bus controller in software, as machine.SoftI2C."""

    def __init__(self, scl, sda, *, freq=400_000, timeout=50_000):
        super().__init__(-1, scl=scl, sda=sda, freq=freq, timeout=timeout)


class RTC:
    """The memory that survives deep sleep, as on an ESP32, and nothing else of machine.RTC."""

    def memory(self, data=None):
        """Return the memory's bytes, or replace them. Raise ValueError if there are too many."""
        if data is None:
            return bytes(rtc_memory)
        if len(data) > _RTC_MEMORY_MAX:
            raise ValueError("buffer too long")
        rtc_memory[:] = data
        return None


class WDT:
    """A watchdog that resets nothing; tests call expired()."""

    def __init__(self, id=0, timeout=5000):
        self.timeout_ms = timeout
        self.feed()

    def feed(self):
        """Note the time."""
        self._fed_ms = clock.ms()

    def expired(self):
        """Return True if a watchdog would have reset the board by now."""
        return (clock.ms() - self._fed_ms) & _TICKS_MASK > self.timeout_ms


def freq(hz=None):
    """Return the CPU clock in Hz, or set it without any effect."""
    if hz is None:
        return _state["freq_hz"]
    _state["freq_hz"] = hz
    return None


def idle():
    """Let other processes run, as a CPU waits for an interrupt."""
    time.sleep(0)


def set_unique_id(serial):
    """Make this another board."""
    _state["unique_id"] = serial


def unique_id():
    """Return the six bytes of the board's serial number."""
    return _state["unique_id"]


def reset_cause():
    """Return why the board started, such as PWRON_RESET."""
    return _state["reset_cause"]


def reset():
    """End the program: a simulated board does not boot again."""
    raise SystemExit(0)


# The surroundings of the board


def wire(id):
    """Return the Wire at GPIO `id`."""
    if id not in _wires:
        _wires[id] = Wire()
    return _wires[id]


def bus(sda_id):
    """Return the Bus whose SDA is GPIO `sda_id`."""
    if sda_id not in _buses:
        _buses[sda_id] = Bus()
    return _buses[sda_id]


def power_on(cause=PWRON_RESET):
    """Remove all wires, buses and memory, as on a new board; tests start with it."""
    _wires.clear()
    _buses.clear()
    clock.release()
    _state["reset_cause"] = cause
    rtc_memory[:] = b""
    _state["unique_id"] = b"\xa0\xb1\xc2\xd3\xe4\xf5"
    _state["freq_hz"] = 160_000_000


def _real_ms():
    """Return a monotonic time of this computer in milliseconds."""
    if hasattr(time, "ticks_ms"):
        return time.ticks_ms()
    return time.monotonic_ns() // 1_000_000


_wires = {}
_buses = {}
_state = {}
rtc_memory = bytearray()
clock = Clock()
power_on()
