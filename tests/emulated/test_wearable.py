"""The wearable's sensors on the emulated Pico's I2C bus, in virtual time."""

import pytest
from chips.lis3dh import Lis3dh
from chips.max30205 import Max30205
from pico_client import CONTENT, LINK_LIMIT_MS, PicoClient, path_options

pytestmark = pytest.mark.emulated
PULSE_LIMIT_MS = 60_000
UNAVAILABLE = 0xA3
PULSE_OFF = 3  # beats a minute


@pytest.fixture(scope="module")
def client(wired):
    wired.power()
    assert wired.run_until(lambda: wired.link_up, LINK_LIMIT_MS), wired.console.read()
    with PicoClient(wired) as client:
        client.wait_for("/s/contact", b"closed")
        yield client


def test_temperature(wired, client):
    client.wait_for("/s/temp", b"36.60")
    wired.wiring.command("temp 39.25")
    client.wait_for("/s/temp", b"39.25")


def test_steps_and_acceleration(wired, client):
    client.wait_for("/s/steps", b"0")
    wired.wiring.command("steps 1234")
    client.wait_for("/s/steps", b"1234")
    x, y, z = (float(axis) for axis in client.get("/s/accel").split())
    assert abs(x) < 0.01 and abs(y) < 0.01 and abs(z - 1) < 0.01


def test_pulse_and_oxygen_come_out_of_the_light(wired, client):
    wired.wiring.command("hr 96")
    wired.wiring.command("spo2 95")
    end_ms = wired.now_ms + PULSE_LIMIT_MS
    while True:
        wired.run_ms(2000)
        rate, saturation = _value(client, "/s/hr"), _value(client, "/s/spo2")
        if rate and saturation:
            rate, saturation = float(rate), float(saturation)
            if abs(rate - 96) <= PULSE_OFF and abs(saturation - 95) <= 2:
                break
        assert wired.now_ms < end_ms, (rate, saturation)


def test_only_a_disconnected_sensor_has_no_value(wired, client):
    chip = wired.wiring.temperature
    wired.i2c_remove(0, chip.address)
    assert _value(client, "/s/temp") is None
    assert _value(client, "/s/steps") == b"1234"
    wired.i2c(0, chip)
    client.wait_for("/s/temp", b"39.25")


def test_the_lid(wired, client):
    client.wait_for("/s/tamper", b"ok")
    wired.wiring.command("tamper on")
    client.wait_for("/s/tamper", b"tampered")


def test_the_other_chips_of_a_wearable(wired, client):
    """A MAX30205 and a LIS3DH, which counts no steps, where the usual ones were."""
    wiring = wired.wiring
    for chip in (wiring.temperature, wiring.motion):
        wired.i2c_remove(0, chip.address)
    wired.i2c(0, warm := Max30205())
    wired.i2c(0, moved := Lis3dh())
    warm.set_mc(38_125)
    moved.set_mg(-500, 250, 750)
    wired.link_up = False
    wired.reset()
    assert wired.run_until(lambda: wired.link_up, LINK_LIMIT_MS), wired.console.read()
    client.wait_for("/s/contact", b"closed")
    wired.run_ms(2000)
    client.wait_for("/s/temp", b"38.13")
    client.wait_for("/s/accel", b"-0.500 0.250 0.750")
    assert _value(client, "/s/steps") is None


def _value(client, path):
    """The payload of a sensor's GET; None when it has no value, which is 5.03."""
    response = client.request(1, path_options(path))
    if response[1] == UNAVAILABLE:
        return None
    assert response[1] == CONTENT, (path, response)
    return response[response.index(b"\xff", 6) + 1 :]
