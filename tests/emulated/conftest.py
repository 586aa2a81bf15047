"""The tests of `make test-emulated`: real firmware on an emulated Pico."""

import pytest

import device
from emulator.pico import Pico
from setup import firmware
from setup.console import Problem


def pytest_ignore_collect(config):
    """Only when this folder is asked for: it takes minutes, and a compiler for the Pico."""
    return None if any("emulated" in word for word in config.args) else True


@pytest.fixture(scope="session")
def image():
    """The firmware for the emulated Pico, built when something in it has changed."""
    try:
        return firmware.build_from_debian(device.find_board("PICO_EMU"))[0]
    except Problem as problem:
        pytest.exit(str(problem), returncode=2)


@pytest.fixture
def make_pico(image):
    """A function of Pico's keywords: a Pico with the project's firmware, ended after the test."""
    made = []

    def make(**options):
        made.append(Pico(image, **options))
        return made[-1]

    yield make
    for pico in made:
        pico.close()


@pytest.fixture
def pico(make_pico):
    """A running Pico in real time: door closed, lid on, battery at 4.0 V."""
    pico = make_pico(realtime=True)
    for pin in (14, 15):
        pico.pin(pin, 0)
    pico.adc(26, 2002)
    pico.power()
    return pico
