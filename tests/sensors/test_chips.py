"""Drivers of the I2C chips against register models, and on a failing bus."""

import machine
from chips import lis3dh, lsm6dsox, max30102, max30205, tmp117
from machine import I2C, Pin, SoftI2C, bus, clock, wire

from sensors import max30205 as max30205_module
from sensors.driver import FirstOf
from sensors.lis3dh import SIDES, Lis3dh
from sensors.lsm6dsox import Lsm6dsox
from sensors.max30102 import BATCH_MS, Max30102
from sensors.max30205 import Max30205
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
        return Lsm6dsox(wires), bus(21).attach(lsm6dsox.Lsm6dsox(wire=wire(5)))
    if name == "lis3dh":
        return Lis3dh(wires), bus(21).attach(lis3dh.Lis3dh(wire=wire(5)))
    if name == "max30205":
        max30205_module.ticks_ms = clock.ms
        return Max30205(wires), bus(21).attach(max30205.Max30205())
    return Max30102(wires), bus(21).attach(max30102.Max30102())


CHIPS = ("tmp117", "lsm6dsox", "max30102", "max30205", "lis3dh")
# Where another chip's identity shows, and what is there.
IDENTITIES = {"lsm6dsox": 0x0F, "max30102": 0xFF, "lis3dh": 0x0F}


@cases(*CHIPS)
def test_chip_is_detected_and_sleeps(name):
    driver, _ = pair(name)
    assert driver.probe() and driver.ready
    driver.sleep()
    assert not driver.ready
    driver.read()
    assert driver.ready


@cases(*CHIPS)
def test_absent_chip_is_survived(name):
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
    if name in IDENTITIES:
        model.registers[IDENTITIES[name]] = 0x11
    else:
        model.words[0x0F if name == "tmp117" else 3] = 0x0118
    assert not driver.probe()
    assert raises(OSError, driver.read).errno == ENODEV


@cases(*CHIPS)
def test_chip_is_reinitialised_after_a_fault(name):
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
def test_tmp117_temperature(set_mc, read_mc):
    thermometer, model = pair("tmp117")
    model.set_mc(set_mc)
    assert thermometer.read() == read_mc


def test_temperature_before_the_first_conversion():
    thermometer, model = pair("tmp117")
    thermometer.probe()
    model.turn_on_ms = 125
    model.lose_registers()
    assert thermometer.read() is None


def test_temperature_stands_still_in_shutdown():
    thermometer, model = pair("tmp117")
    thermometer.read()
    thermometer.sleep()
    model.set_mc(20_000)
    assert model.words[0] == 4685  # 36.602
    assert thermometer.read() == 20_000


@cases((36_600, 36_602), (37_004, 37_004), (0, 0), (-4_250, -4_250), (50_000, 50_000), (4, 4))
def test_max30205_temperature(set_mc, read_mc):
    thermometer, model = pair("max30205")
    model.set_mc(set_mc)
    assert thermometer.read() is None  # the first conversion takes 50 ms
    clock.advance(50)
    assert thermometer.read() == read_mc
    thermometer.sleep()
    model.set_mc(20_000)
    assert model.words[0] == (set_mc * 32 + 62) // 125 & 0xFFFF  # it stands still
    assert thermometer.read() is None
    clock.advance(50)
    assert thermometer.read() == 20_000


def test_present_thermometer_is_read():
    wires = i2c()
    max30205_module.ticks_ms = clock.ms
    either = FirstOf(Tmp117(wires), Max30205(wires))
    assert not either.probe() and either.unit == "mCel"
    assert raises(OSError, either.read).errno == ENODEV
    bus(21).attach(max30205.Max30205()).set_mc(37_000)
    either.read()
    clock.advance(50)
    assert either.read() == 37_000
    bus(21).attach(tmp117.Tmp117()).set_mc(38_000)  # in its place, at the same address
    either.sleep()
    assert either.read() == 38_000
    assert allocated(either.read, 10) == 0


@cases("lsm6dsox", "lis3dh")
def test_motion_interrupt_lasts_until_read(name):
    motion, model = pair(name)
    pin = wire(5)
    pin.drive(0)
    motion.probe()
    assert not motion.moved() and pin.level == 0
    model.set_mg(20, 0, 1010)  # a tremble
    assert not motion.moved() and pin.level == 0
    model.set_mg(20, 300, 1010)
    assert pin.level == 1
    model.set_mg(20, 300, 1010)  # it lies still again
    assert motion.moved() and pin.level == 0
    assert not motion.moved()
    model.set_mg(1000, 0, 0)
    assert pin.level == 1 and motion.moved() and not motion.moved()
    motion.sleep()
    model.set_mg(0, 0, 1000)
    assert pin.level == 0
    assert allocated(motion.moved, 10) == 0


def test_orientation():
    motion, model = pair("lis3dh")
    for i in range(6):
        axes = [20, -30, 15]
        axes[i >> 1] = -990 if i & 1 else 990
        model.set_mg(*axes)
        assert motion.side() == i
    assert SIDES[5] == "-z"
    model.set_mg(650, 0, 700)
    assert motion.side() is None


def test_burst_read_needs_the_auto_increment_bit():
    motion, model = pair("lis3dh")
    motion.probe()
    model.set_mg(256, 0, 0)
    axes = bytearray(6)
    motion.load(0x28, axes)
    assert axes == bytes((axes[0],)) * 6
    motion.load(0xA8, axes)
    assert axes[:2] == b"\x00\x10"


@cases("lsm6dsox", "lis3dh")
def test_acceleration(name):
    motion, model = pair(name)
    for axes in ((0, 0, 1000), (-1000, 250, 12), (1990, -1990, 1), (-1, 0, 1)):
        model.set_mg(*axes)
        strongest = motion.read()
        read = (motion.x_mg, motion.y_mg, motion.z_mg)
        for i in range(3):
            assert abs(axes[i] - read[i]) <= 1
        assert strongest == max([abs(axis) for axis in read])


def test_acceleration_is_clamped_to_the_range():
    motion, model = pair("lsm6dsox")
    model.set_mg(9000, -9000, 0)
    motion.read()
    assert (motion.x_mg, motion.y_mg) == (3998, -3998)


def test_step_count_continues_over_16_bit_wrap_faults_and_resets():
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


def test_steps_before_the_start_are_not_counted():
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


def test_fifo_samples_are_ordered_and_complete():
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


def test_fifo_read_in_bursts_in_time_loses_nothing():
    light, model = pair("max30102")
    light.probe()
    transfers = [0]
    load = light.load

    def counted(register, buffer):
        transfers[0] += 1
        load(register, buffer)

    light.load = counted
    count = 0
    for _ in range(10):
        clock.advance(BATCH_MS)
        while light.read():
            count += 1
    assert count == 240 and light.lost == 0
    # three bursts of eight, how many there are, twice, and whether the chip is set up
    assert transfers[0] == 10 * (3 + 2 + 1)


def test_fault_within_a_burst_yields_no_stale_samples():
    light, model = pair("max30102")
    light.probe()
    clock.advance(BATCH_MS)
    for _ in range(8):
        light.read()
    model.fault = EIO
    raises(OSError, light.read)
    model.fault = 0
    assert light.read() is None and light.ready  # it was started anew, and is empty


def test_fifo_overflow_is_counted():
    light, model = pair("max30102")
    light.probe()
    clock.advance(900)  # 45 samples into 32 places
    count = 0
    while light.read():
        count += 1
    assert count == 32 and light.lost == 13
    clock.advance(60)
    assert light.read() and light.lost == 13


def test_light_level_without_a_finger():
    light, model = pair("max30102")
    model.finger = False
    light.probe()
    clock.advance(100)
    assert light.read()
    assert light.infrared < 2_000


def test_shutdown_makes_no_samples():
    light, model = pair("max30102")
    light.probe()
    light.sleep()
    clock.advance(500)
    assert model.get(0x04) == 0


def test_soft_i2c_gives_the_same_values():
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
