"""Sleeps until the contact moves, or for SPAN_MS: as the firmware does, deep where the chip can.

It writes what it finds to the notes, since the serial line is cut in the sleep.
"""

import json
import sys
import time

import board
import machine
from machine import Pin

from power.sleep_modes import Esp32DeepSleep, Rp2LightSleep

SPAN_MS = 25000
NOTES = "check-board.json"


def note(found):
    """Append a line to the notes."""
    with open(NOTES, "a") as file:
        file.write(json.dumps(found) + "\n")


is_esp32 = sys.platform == "esp32"
pull = Pin.PULL_UP if getattr(board, "REED_PULL", "internal") == "internal" else None
if is_esp32:
    pin = Pin(board.REED_PIN, Pin.IN, pull, hold=False)
else:
    pin = Pin(board.REED_PIN, Pin.IN, pull)
time.sleep_ms(20)
level = pin.value()
if is_esp32:
    import esp32

    note({"level": level, "began_ms": 1000 * int(time.time())})
    mode = Esp32DeepSleep(machine, esp32, pin, holds=getattr(board, "REED_HOLD", True))
    mode.sleep(SPAN_MS, 1 - level)
else:
    pin.irq(lambda _: None, Pin.IRQ_RISING | Pin.IRQ_FALLING)
    start_ms = time.ticks_ms()
    Rp2LightSleep(machine, time.ticks_ms, pin).sleep(SPAN_MS, 1 - level)
    slept_ms = time.ticks_diff(time.ticks_ms(), start_ms)
    note({"level": level, "slept_ms": slept_ms, "level_after": pin.value()})
