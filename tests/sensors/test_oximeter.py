"""The oximeter's light: on while there is a finger, else short probes."""

import machine
from chips.max30102 import Max30102
from machine import I2C, Pin, bus, clock

from sensors.max30102 import BATCH_MS
from sensors.oximeter import Oximeter
from support import allocated, cases, only, raises

SDA, SCL = 21, 22
FULL_UA = 2370  # of both LEDs: 7.2 mA for 411 us, 400 times a second each


def made(finger=True):
    """(Oximeter, the chip): it has looked once."""
    machine.power_on()
    clock.hold(0)
    chip = bus(SDA).attach(Max30102())
    chip.finger = finger
    oximeter = Oximeter(I2C(0, scl=Pin(SCL), sda=Pin(SDA)))
    oximeter.sample()
    return oximeter, chip


def led_ua(chip):
    """The LEDs' mean current, by the chip's registers."""
    if chip.registers[0x09] & 0x87 != 3:
        return 0
    return FULL_UA * (50, 100, 200, 400)[chip.registers[0x0A] >> 2 & 3] // 400


def live(oximeter, chip, seconds):
    """The LEDs' mean current while that goes by."""
    total = periods = 0
    while periods * BATCH_MS < seconds * 1000:
        clock.advance(BATCH_MS)
        total += led_ua(chip)
        periods += 1
        oximeter.sample()
    return total // periods


def test_the_light_stays_on_while_there_is_a_finger():
    oximeter, chip = made()
    assert live(oximeter, chip, 60) == FULL_UA and oximeter.heart_rate() == 72
    clock.release()


def test_without_a_finger_the_light_uses_a_fiftieth():
    oximeter, chip = made(False)
    assert live(oximeter, chip, 9) == FULL_UA
    assert 40 <= live(oximeter, chip, 300) <= 60
    # which is no fault of the sensor
    for _ in range(6):
        live(oximeter, chip, 0.4)
        assert oximeter.heart_rate() is None and oximeter.spo2() is None
    clock.release()


def test_returning_finger_is_measured():
    oximeter, chip = made()
    live(oximeter, chip, 20)
    chip.finger = False
    live(oximeter, chip, 60)
    assert oximeter.heart_rate() is None
    chip.finger = True
    live(oximeter, chip, 3.4)
    assert live(oximeter, chip, 10) == FULL_UA and oximeter.heart_rate() == 72
    assert oximeter.light.lost == 0
    clock.release()


def test_briefly_lifted_finger_keeps_the_light_on():
    oximeter, chip = made()
    for _ in range(5):
        chip.finger = False
        assert live(oximeter, chip, 8) == FULL_UA
        chip.finger = True
        live(oximeter, chip, 2)
    clock.release()


def test_sensor_lost_while_shut_down_is_found_again():
    oximeter, chip = made(False)
    live(oximeter, chip, 20)
    chip.fault = 5
    live(oximeter, chip, 10)
    raises(OSError, oximeter.heart_rate)
    chip.fault = 0
    chip.finger = True
    live(oximeter, chip, 20)
    assert oximeter.heart_rate() == 72
    clock.release()


def asked(sda):
    """When somebody talks on the bus: ms of the clock, a list that grows."""
    wires = bus(sda)
    found, chip = [], wires.chip

    def note(address):
        if not found or found[-1] != clock.ms():
            found.append(clock.ms())
        return chip(address)

    wires.chip = note
    return found


@cases(5, 110)
def test_failing_sensor_is_retried_every_five_seconds(errno):
    oximeter, chip = made()
    live(oximeter, chip, 20)
    asked_ms = asked(SDA)
    chip.fault = errno
    live(oximeter, chip, 60)
    gaps_ms = [asked_ms[i + 1] - asked_ms[i] for i in range(len(asked_ms) - 1)]
    assert len(gaps_ms) >= 10 and 5000 <= min(gaps_ms) and max(gaps_ms) <= 5000 + BATCH_MS
    raises(OSError, oximeter.heart_rate)
    # and is found again at the next look
    chip.fault = 0
    live(oximeter, chip, 5.5)
    assert oximeter.heart_rate() is None and led_ua(chip) == FULL_UA
    live(oximeter, chip, 10)
    assert oximeter.heart_rate() == 72
    clock.release()


def test_sleep_and_wake():
    oximeter, chip = made()
    live(oximeter, chip, 10)
    oximeter.sleep()
    assert led_ua(chip) == 0
    assert live(oximeter, chip, 10) > 2000 and oximeter.heart_rate() == 72
    clock.release()


@only("micropython")
def test_looking_for_a_finger_allocates_nothing():
    oximeter, chip = made(False)
    live(oximeter, chip, 20)

    def look():
        clock.advance(BATCH_MS)
        oximeter.sample()

    assert allocated(look, 30) == 0
    clock.release()
