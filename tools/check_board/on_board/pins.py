"""Reads a contact with each pull: whether the pin is seen in both states, and what drives it.

A pin that nothing drives follows the pull; a closed contact, or a resistor of its own, does not.
"""

import time

import board
from machine import Pin

found = {}
for name in ("REED_PIN", "TAMPER_PIN"):
    number = getattr(board, name, None)
    if number is None:
        continue
    levels = {}
    for pull, word in ((Pin.PULL_UP, "up"), (Pin.PULL_DOWN, "down"), (None, "none")):
        try:
            pin = Pin(number, Pin.IN, pull, hold=False)  # an ESP32 keeps a hold over resets
        except TypeError:
            pin = Pin(number, Pin.IN, pull)
        time.sleep_ms(20)
        levels[word] = pin.value()
    found[name] = levels
report(found)  # noqa: F821
