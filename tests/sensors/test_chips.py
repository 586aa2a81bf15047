"""TMP117, LSM6DSOX and MAX30102 against their register models, and a bus that fails."""

import machine
from chips import lsm6dsox, max30102, tmp117
from machine import I2C, Pin, SoftI2C, bus, clock

from sensors.lsm6dsox import Lsm6dsox
from sensors.max30102 import Max30102
from sensors.tmp117 import Tmp117
from support import allocated, cases, locked, raises

EIO = 5
ENODEV = 19
ETIMEDOUT = 110


def i2c():
    machine.power_on()
    clock.hold(0)
    return I2C(0, scl=Pin(22), sda=Pin(21), freq=400_000)


def pair(name):
    """(driver, model) of one chip on a bus, not yet started."""
    wires = i2c()
    if name == "tmp117":
        return Tmp117(wires), bus(21).attach(tmp117.Tmp117())
    if name == "lsm6dsox":
        return Lsm6dsox(wires), bus(21).attach(lsm6dsox.Lsm6dsox())
    return Max30102(wires), bus(21).attach(max30102.Max30102())


CHIPS = ("tmp117", "lsm6dsox", "max30102")


@cases(*CHIPS)
def test_a_chip_is_found_and_sleeps(name):
    driver, _ = pair(name)
    assert driver.probe() and driver.ready
    driver.sleep()
    assert not driver.ready
    driver.read()
    assert driver.ready


@cases(*CHIPS)
def test_no_chip_is_no_crash(name):
    driver, model = pair(name)
    del bus(21).chips[model.address]
    assert not driver.probe()
    assert raises(OSError, driver.read).errno == ENODEV
    bus(21).attach(model)  # plugged in late
    driver.read()
    assert driver.ready


@cases(*CHIPS)
def test_another_chip_at_the_address_is_refused(name):
    driver, model = pair(name)
    if name == "tmp117":
        model.words[0x0F] = 0x0118
    else:
        model.registers[0x0F if name == "lsm6dsox" else 0xFF] = 0x11
    assert not driver.probe()
    assert raises(OSError, driver.read).errno == ENODEV


@cases(*CHIPS)
def test_a_fault_passes_and_the_chip_starts_anew(name):
    driver, model = pair(name)
    driver.read()
    for errno in (EIO, ENODEV):
        model.fault = errno
        assert raises(OSError, driver.read).errno == errno
        assert not driver.ready
    model.fault = 0
    bus(21).stuck = True
    assert raises(OSError, driver.read).errno == ETIMEDOUT
    bus(21).stuck = False
    driver.read()
    assert driver.ready


@cases(
    (36_600, 36_602),
    (36_800, 36_797),
    (0, 0),
    (-4_250, -4_250),
    (-55_000, -55_000),
    (150_000, 150_000),
    (7, 8),
)
def test_temperature(set_mc, read_mc):
    thermometer, model = pair("tmp117")
    model.set_mc(set_mc)
    assert thermometer.read() == read_mc


def test_temperature_before_the_first_conversion():
    thermometer, model = pair("tmp117")
    thermometer.probe()
    model.forget()
    assert thermometer.read() is None


def test_temperature_stands_still_in_shutdown():
    thermometer, model = pair("tmp117")
    thermometer.read()
    thermometer.sleep()
    model.set_mc(20_000)
    assert model.words[0] == 4685  # 36.602
    assert thermometer.read() == 20_000


def test_acceleration():
    motion, model = pair("lsm6dsox")
    for axes in ((0, 0, 1000), (-1000, 250, 12), (3990, -3990, 1), (-1, 0, 1)):
        model.set_mg(*axes)
        strongest = motion.read()
        read = (motion.x_mg, motion.y_mg, motion.z_mg)
        for i in range(3):
            assert abs(axes[i] - read[i]) <= 1
        assert strongest == max([abs(axis) for axis in read])


def test_acceleration_beyond_the_range_is_its_end():
    motion, model = pair("lsm6dsox")
    model.set_mg(9000, -9000, 0)
    motion.read()
    assert (motion.x_mg, motion.y_mg) == (3998, -3998)


def test_steps_count_on_over_16_bits_faults_and_resets():
    motion, model = pair("lsm6dsox")
    motion.probe()
    assert motion.read_steps() == 0
    model.walk(65_000)
    assert motion.read_steps() == 65_000
    motion.read()  # the other register page
    model.walk(1_000)
    assert motion.read_steps() == 66_000
    model.fault = EIO
    raises(OSError, motion.read_steps)
    model.fault = 0
    model.walk(5)
    assert motion.read_steps() == 66_005
    model.put(0x01, 0)
    model.put(0x12, 1)  # the chip is reset behind the driver's back
    motion.ready = False
    motion.read()
    model.walk(7)
    assert motion.read_steps() == 66_012


def test_steps_from_before_the_start_are_not_ours():
    motion, model = pair("lsm6dsox")
    model.steps = 500
    assert motion.read_steps() == 0


def test_steps_need_pedometer_and_accelerometer():
    motion, model = pair("lsm6dsox")
    model.walk(10)
    assert motion.read_steps() == 0
    motion.sleep()
    model.walk(10)
    assert motion.read_steps() == 0


def test_light_comes_in_order_and_none_is_lost():
    light, model = pair("max30102")
    light.probe()
    count = 0
    for _ in range(20):
        clock.advance(100)
        while light.read():
            count += 1
            assert 30_000 < light.red < light.infrared <= 0x3FFFF
    assert count == 100 and light.lost == 0  # 50 a second
    assert light.read() is None


def test_light_that_nobody_read_is_counted_as_lost():
    light, model = pair("max30102")
    light.probe()
    clock.advance(900)  # 45 samples into 32 places
    count = 0
    while light.read():
        count += 1
    assert count == 32 and light.lost == 13
    clock.advance(60)
    assert light.read() and light.lost == 13


def test_light_without_a_finger():
    light, model = pair("max30102")
    model.finger = False
    light.probe()
    clock.advance(100)
    assert light.read()
    assert light.infrared < 2_000


def test_no_light_asleep():
    light, model = pair("max30102")
    light.probe()
    light.sleep()
    clock.advance(500)
    assert model.get(0x04) == 0


def test_the_same_on_a_soft_bus():
    i2c()
    bus(21).attach(tmp117.Tmp117())
    assert Tmp117(SoftI2C(scl=Pin(22), sda=Pin(21))).read() == 36_602


@cases(*CHIPS)
def test_reading_allocates_nothing(name):
    driver, _ = pair(name)
    driver.probe()
    clock.advance(600)
    assert allocated(driver.read, 10) == 0
    locked(driver.read)
    if name == "lsm6dsox":
        assert allocated(driver.read_steps, 10) == 0
