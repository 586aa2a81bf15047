"""Raspberry Pi Pico 2 W, Arm cores.

GP23, GP24, GP25 and GP29 (ADC3, the supply voltage) are wired to the radio: the battery needs a
divider of its own on GP26. A contact needs a resistor to the supply: an internal pull-down of this
chip can hold a released input at about 2 V (RP2350 data sheet, erratum E9).
"""

from board_common import *

NAME = "RPI_PICO2_W"
REED_PIN = 14
TAMPER_PIN = 15
REED_PULL = "internal"  # no part needed; a tenth of what the board draws in its sleep
BATTERY_ADC_PIN = 26  # ADC0
SDA_PIN = 4
SCL_PIN = 5
WIFI_OPTIONS = PICO_WIFI
SLOTS = dict(LARGE_SLOTS)
