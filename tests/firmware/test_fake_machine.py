"""The simulated board's `machine` module, against what boards do."""

import machine
from chips import Chip
from machine import ADC, I2C, Pin, bus, clock, wire

from support import raises


class Heard:
    def __init__(self):
        self.levels = []

    def handler(self, pin):
        self.levels.append(pin.value())


def test_irq_handler_is_called_for_its_edges():
    for trigger, wanted in (
        (Pin.IRQ_RISING, [1, 1]),
        (Pin.IRQ_FALLING, [0, 0]),
        (Pin.IRQ_RISING | Pin.IRQ_FALLING, [0, 1, 0, 1]),
    ):
        machine.power_on()
        heard = Heard()
        Pin(5).irq(handler=heard.handler, trigger=trigger)
        for level in (0, 1, 1, 0, 0, 1):
            wire(5).drive(level)
        assert heard.levels == wanted


def test_removed_irq_handler_is_not_called():
    machine.power_on()
    heard = Heard()
    pin = Pin(5)
    pin.irq(handler=heard.handler)
    pin.irq(handler=None)
    wire(5).drive(0)
    assert heard.levels == [] and wire(5).pins == []


def pad(has_resistor=False):
    """The wire of an open contact, and its pin without pulls."""
    machine.power_on()
    clock.hold(0)
    net = wire(5)
    net.has_resistor = has_resistor
    pin = Pin(5, Pin.IN, None)
    net.drive(0)
    net.drive(None)
    return net, pin


def test_an_open_contact_has_the_level_of_its_pull():
    net, pin = pad()
    assert pin.value() == 0, "it floats"
    pin.init(Pin.IN, Pin.PULL_UP)
    assert pin.value() == 1
    pin.init(pull=Pin.PULL_DOWN)
    assert pin.value() == 0
    net.drive(1)
    assert pin.value() == 1, "a contact to 3V3 is stronger"
    clock.release()


def test_an_external_resistor_takes_time_and_yields_to_the_internal_one():
    net, pin = pad(has_resistor=True)
    heard = Heard()
    pin.irq(handler=heard.handler)
    clock.advance(6)
    assert pin.value() == 0
    clock.advance(1)
    assert pin.value() == 1 and heard.levels == [1]
    pin.init(Pin.IN, Pin.PULL_DOWN)
    clock.advance(1000)
    assert pin.value() == 0
    pin.init(Pin.IN, None)
    clock.advance(3)
    net.drive(0)  # it bounces: the capacitor is empty again
    net.drive(None)
    clock.advance(6)
    assert pin.value() == 0
    clock.advance(1)
    assert pin.value() == 1
    clock.release()


def test_a_pad_on_hold_keeps_its_pull_until_it_is_released():
    net, pin = pad()
    pin.init(Pin.IN, Pin.PULL_UP, hold=True)
    net.set_pull(Pin.PULL_DOWN)
    assert pin.value() == 1
    pin.init(Pin.IN, Pin.PULL_DOWN)
    assert pin.value() == 1, "this init does not release it"
    pin = Pin(5, Pin.IN, Pin.PULL_DOWN, hold=False)
    assert pin.value() == 0
    pin.init(Pin.IN, Pin.PULL_UP, hold=True)
    assert pin.value() == 1, "what was set is applied first"
    clock.release()


def test_two_pins_on_one_wire_see_one_level():
    machine.power_on()
    out, other = Pin(5, Pin.OUT, value=0), Pin(5, Pin.IN)
    assert other.value() == 0
    out.on()
    assert other() == 1
    out(0)
    assert other.value() == 0


def test_an_adc_reads_microvolts_and_16_bits():
    machine.power_on()
    for atten, full_uv in ((ADC.ATTN_11DB, 3_300_000), (ADC.ATTN_0DB, 950_000)):
        adc = ADC(Pin(34), atten=atten)
        for microvolts, raw in ((0, 0), (full_uv // 2, 32767), (full_uv, 65535)):
            wire(34).microvolts = microvolts
            assert adc.read_uv() == microvolts and adc.read_u16() == raw
        wire(34).microvolts = 5_000_000
        assert adc.read_uv() == full_uv and adc.read_u16() == 65535


def test_adc_attenuation_is_off_by_default():
    machine.power_on()
    wire(34).microvolts = 2_000_000
    assert ADC(Pin(34)).read_uv() == 950_000


def i2c():
    machine.power_on()
    return I2C(0, scl=Pin(22), sda=Pin(21))


def test_register_pointer_advances():
    i2c0 = i2c()
    chip = bus(21).attach(Chip(0x40))
    assert i2c0.scan() == [0x40]
    i2c0.writeto_mem(0x40, 0x10, b"\x01\x02\x03")
    assert i2c0.readfrom_mem(0x40, 0x11, 2) == b"\x02\x03"
    i2c0.writeto(0x40, b"\xff\x09\x08")  # the pointer wraps
    assert chip.registers[0xFF] == 9 and chip.registers[0] == 8
    i2c0.writeto(0x40, b"\x10")
    assert i2c0.readfrom(0x40, 3) == b"\x01\x02\x03"


def test_absent_i2c_address_raises_enodev():
    i2c0 = i2c()
    assert raises(OSError, i2c0.readfrom_mem, 0x40, 0, 1).errno == 19
    chip = bus(21).attach(Chip(0x40))
    for errno in (5, 19):
        chip.fault = errno
        assert raises(OSError, i2c0.writeto_mem, 0x40, 0, b"\0").errno == errno
    bus(21).stuck = True
    assert raises(OSError, i2c0.readfrom, 0x40, 1).errno == 110


def test_two_buses_are_independent():
    i2c()
    bus(21).attach(Chip(0x40))
    assert I2C(1, scl=Pin(19), sda=Pin(18)).scan() == []


def test_held_clock_moves_by_hand_only():
    clock.hold(0x3FFFFFF0)
    assert clock.ms() == 0x3FFFFFF0
    clock.advance(32)
    assert clock.ms() == 16
    watchdog = machine.WDT(timeout=1000)
    clock.advance(1000)
    assert not watchdog.expired()
    clock.advance(1)
    assert watchdog.expired()
    clock.release()
    assert 0 <= clock.ms() <= 0x3FFFFFFF


def test_power_on_clears_all_state():
    machine.RTC().memory(b"kept")
    assert machine.RTC().memory() == b"kept"
    raises(ValueError, machine.RTC().memory, bytes(2049))
    machine.power_on(machine.DEEPSLEEP_RESET)
    assert machine.RTC().memory() == b""
    assert machine.reset_cause() == machine.DEEPSLEEP_RESET
    machine.power_on()
    assert machine.reset_cause() == machine.PWRON_RESET
    assert len(machine.unique_id()) == 6
    raises(SystemExit, machine.reset)
