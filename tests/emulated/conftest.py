"""The tests on an emulated Pico. Slow ones bear the mark `emulated`: `make test-emulated`."""

import contextlib

import pytest

from emulator import run
from emulator.pico import Pico
from host import device
from setup import firmware
from setup.console import Problem


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
    with contextlib.ExitStack() as made:
        yield lambda **options: made.enter_context(Pico(image, **options))


@pytest.fixture(scope="module")
def wired(image):
    """A Pico in virtual time with its sensors, not yet switched on, and its `wiring`."""
    with Pico(image) as pico:
        pico.wiring = run.Wiring(pico)
        yield pico
