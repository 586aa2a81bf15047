"""Light sleep on the emulated Pico, with the firmware of a board without a network.

lwIP's timer ends it every 64 ms in MicroPython 1.24 and 1.25 (github.com/micropython/micropython/
issues/16181), on a Pico W as with PPP: who sleeps there looks at the clock and sleeps again.
"""

import pytest

from emulator.pico import Pico
from host import device
from setup import firmware

pytestmark = pytest.mark.emulated
SPAN_MS = 5000
LWIP_TICK_MS = 64
SLEEP = """
import machine, time
before_ms = time.ticks_ms()
machine.lightsleep(5000)
print(time.ticks_diff(time.ticks_ms(), before_ms))
"""


def slept_ms(pico):
    pico.power()
    python = pico.repl()
    began_ms = pico.now_ms
    by_its_clock_ms = int(python.exec(SLEEP, 2 * SPAN_MS))
    assert 0 <= pico.now_ms - began_ms - by_its_clock_ms < 50
    return by_its_clock_ms


def test_it_lasts_as_long_as_it_should():
    image = firmware.build_from_debian(device.find_board("RPI_PICO"))[0]
    with Pico(image, ppp_uart=None) as pico:
        assert SPAN_MS <= slept_ms(pico) <= SPAN_MS + 1


def test_with_a_network_it_lasts_until_the_next_tick_of_lwip(make_pico):
    assert slept_ms(make_pico(ppp_uart=None)) <= LWIP_TICK_MS
