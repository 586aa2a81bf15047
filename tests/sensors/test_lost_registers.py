"""Sensors that lose their registers in a brown-out but still respond on the bus.

Each driver notices that and starts its chip again: no value is shown that the chip has not
measured, and no counter jumps. The chips take their time until the first sample.
"""

import machine
from chips import lis3dh, lsm6dsox, max30102, max30205, tmp117
from machine import I2C, Pin, bus, clock, wire

from sensors import max30205 as max30205_module
from sensors.lis3dh import Lis3dh
from sensors.lsm6dsox import Lsm6dsox
from sensors.max30102 import BATCH_MS
from sensors.max30205 import Max30205
from sensors.oximeter import Oximeter
from sensors.tmp117 import Tmp117
from support import cases, raises

SDA, SCL = 21, 22


def i2c():
    machine.power_on()
    clock.hold(0)
    return I2C(0, scl=Pin(SCL), sda=Pin(SDA))


def worn():
    """(Oximeter, its chip) after half a minute on a finger."""
    wires = i2c()
    chip = bus(SDA).attach(max30102.Max30102())
    oximeter = Oximeter(wires)
    sampling(oximeter, 30)
    assert oximeter.heart_rate() == 72
    return oximeter, chip


def sampling(oximeter, seconds):
    for _ in range(seconds * 1000 // BATCH_MS):
        clock.advance(BATCH_MS)
        oximeter.sample()


def test_an_oximeter_that_makes_no_samples_shows_no_heart_rate():
    oximeter, chip = worn()
    chip.lose_registers()
    chip.finger = False
    sampling(oximeter, 30)
    try:
        assert oximeter.heart_rate() is None and oximeter.spo2() is None
    except OSError:
        pass  # it is known not to work
    clock.release()


def test_an_oximeter_measures_again():
    oximeter, chip = worn()
    chip.lose_registers()
    chip.pulse_per_min = 150
    sampling(oximeter, 60)
    assert abs(oximeter.heart_rate() - 150) <= 3
    clock.release()


def pedometer():
    """(Lsm6dsox, its chip) after 5,000 steps."""
    wires = i2c()
    chip = bus(SDA).attach(lsm6dsox.Lsm6dsox())
    driver = Lsm6dsox(wires)
    assert driver.probe()
    chip.walk(5000)
    assert driver.read_steps() == 5000
    return driver, chip


def test_steps_go_on_from_where_they_were():
    driver, chip = pedometer()
    chip.lose_registers()
    assert driver.read_steps() == 5000
    chip.walk(1000)
    assert driver.read_steps() == 6000
    clock.release()


def test_unnoticed_step_counter_reset_does_not_jump():
    driver, chip = pedometer()
    chip.lose_registers()
    driver.read()
    chip.walk(100)
    assert 5000 <= driver.read_steps() <= 5100
    clock.release()


def accelerometer(name):
    wires = i2c()
    if name == "lis3dh":
        driver, chip = Lis3dh(wires), bus(SDA).attach(lis3dh.Lis3dh())
    else:
        driver, chip = Lsm6dsox(wires), bus(SDA).attach(lsm6dsox.Lsm6dsox())
    assert driver.probe()
    assert driver.read() in range(980, 1020)
    return driver, chip


@cases("lis3dh", "lsm6dsox")
def test_an_accelerometer_measures_again(name):
    driver, chip = accelerometer(name)
    chip.lose_registers()
    chip.set_mg(1000, 0, 0)
    for _ in range(5):
        clock.advance(1000)
        driver.read()
    assert abs(driver.x_mg - 1000) < 10
    clock.release()


@cases("lis3dh", "lsm6dsox")
def test_an_accelerometer_notices_movement_again(name):
    driver, chip = accelerometer(name)
    chip.lose_registers()
    for _ in range(5):
        clock.advance(1000)
        driver.moved()
    chip.set_mg(1000, 500, -500)
    assert driver.moved()
    clock.release()


def thermometer(name):
    """(driver, chip) at 36.6 degrees; the chip takes its time."""
    wires = i2c()
    max30205_module.ticks_ms = clock.ms
    if name == "tmp117":
        driver, chip = Tmp117(wires), bus(SDA).attach(tmp117.Tmp117())
        chip.turn_on_ms = 125
    else:
        driver, chip = Max30205(wires), bus(SDA).attach(max30205.Max30205())
    driver.probe()
    clock.advance(200)
    assert abs(driver.read() - 36_600) < 10
    return driver, chip


@cases("tmp117", "max30205")
def test_a_thermometer_shows_no_value_until_its_first_conversion(name):
    driver, chip = thermometer(name)
    chip.lose_registers()
    seen = []
    for _ in range(20):
        seen.append(driver.read())
        clock.advance(10)
    count = seen.count(None)
    assert 5 <= count <= 13 and seen[:count] == [None] * count
    assert abs(seen[count] - 36_600) < 10 and seen[count:] == [seen[count]] * (20 - count)
    clock.release()


@cases(("tmp117", 0x0620), ("tmp117", 0x0C20), ("max30205", 0x01), ("max30205", 0x20))
def test_a_thermometer_of_another_mode_is_started_again(name, configuration):
    driver, chip = thermometer(name)
    chip.words[1] = configuration
    chip.set_mc(37_000)
    driver.read()
    clock.advance(200)
    assert abs(driver.read() - 37_000) < 10
    clock.release()


@cases(("lis3dh", 700), ("lsm6dsox", 76))
def test_an_accelerometer_shows_no_value_until_its_first_sample(name, turn_on_ms):
    driver, chip = accelerometer(name)
    chip.turn_on_ms = turn_on_ms
    for _ in range(3):
        chip.lose_registers()
        assert driver.read() is None and driver.z_mg in range(980, 1020)
        clock.advance(turn_on_ms - 1)
        assert driver.read() is None
        clock.advance(1)
        assert driver.read() in range(980, 1020)
        assert driver.read() in range(980, 1020)  # though no sample is new
    clock.release()


# The registers that start() sets: page (1: embedded functions), register.
SET = (
    [("lis3dh", 0, register) for register in (0x20, 0x21, 0x22, 0x23, 0x24, 0x30, 0x32)]
    + [("lsm6dsox", 0, register) for register in (0x10, 0x12, 0x56, 0x58, 0x5B, 0x5E)]
    + [("lsm6dsox", 1, 0x04)]
)


@cases(*SET)
def test_an_accelerometer_that_lost_one_register_works_again(name, page, register):
    driver, chip = accelerometer(name)
    chip.wire = wire(5)
    chip.wire.drive(0)
    registers = chip.embedded if page else chip.registers
    before = registers[register]
    registers[register] = 0
    for _ in range(2):
        driver.read()
        driver.moved()
        if name == "lsm6dsox":
            driver.read_steps()
    assert registers[register] == before
    chip.set_mg(1000, 700, -700)
    assert chip.wire.level == 1 and driver.moved()
    clock.release()


def test_a_lis3dh_that_was_powered_down_measures_right():
    driver, chip = accelerometer("lis3dh")
    for _ in range(3):
        driver.sleep()
        assert driver.read() in range(980, 1020)
    driver.sleep()
    chip.put(0x20, 0x27)  # powered up without the read of REFERENCE, for comparison
    assert chip.get(0x2D) != 1000 >> 4
    clock.release()


@cases(0, 1, 100, 5000, 40_000, 61_000, 65_535)
def test_steps_never_jump(before):
    wires = i2c()
    chip = bus(SDA).attach(lsm6dsox.Lsm6dsox())
    driver = Lsm6dsox(wires)
    chip.steps = before
    assert driver.read_steps() == 0
    chip.walk(20)
    assert driver.read_steps() == 20
    total = 20
    for read in (driver.read_steps, driver.read, driver.moved, driver.probe):
        chip.lose_registers()
        read()
        chip.walk(7)
        total += 7
        assert driver.read_steps() == total, read
    clock.release()


def test_steps_go_on_when_only_the_counter_begins_at_0():
    driver, chip = pedometer()
    chip.put(0x01, 0x80)
    chip.put(0x64, 0x80)
    chip.walk(3)
    assert driver.read_steps() == 5003
    clock.release()


@cases(0x08, 0x09, 0x0A, 0x0C, 0x0D)
def test_an_oximeter_that_lost_one_register_measures_again(register):
    oximeter, chip = worn()
    before = chip.registers[register]
    chip.registers[register] = 0
    chip.pulse_per_min = 100
    sampling(oximeter, 30)
    assert chip.registers[register] == before
    assert abs(oximeter.heart_rate() - 100) <= 2
    clock.release()


def test_an_oximeter_that_lost_its_registers_measures_the_pulse_anew():
    oximeter, chip = worn()
    chip.lose_registers()
    sampling(oximeter, 1)
    assert oximeter.heart_rate() is None and oximeter.spo2() is None
    sampling(oximeter, 10)
    assert oximeter.heart_rate() == 72
    clock.release()


def test_an_oximeter_that_makes_no_samples_though_set_up_does_not_respond():
    oximeter, chip = worn()
    push = chip._push
    chip._push = lambda: None
    for _ in range(3):
        clock.advance(BATCH_MS)
        oximeter.sample()
    assert raises(OSError, oximeter.heart_rate)
    sampling(oximeter, 60)
    assert raises(OSError, oximeter.spo2)
    chip._push = push
    sampling(oximeter, 20)
    assert oximeter.heart_rate() == 72
    clock.release()


@cases(0, 1, 2, 3, 4, 5, 6)
def test_registers_lost_while_the_light_is_off(periods):
    oximeter, chip = worn()
    chip.finger = False
    sampling(oximeter, 20)
    for _ in range(periods):
        clock.advance(BATCH_MS)
        oximeter.sample()
    chip.lose_registers()
    sampling(oximeter, 5)
    assert oximeter.heart_rate() is None
    chip.finger = True
    sampling(oximeter, 20)
    assert oximeter.heart_rate() == 72
    clock.release()
