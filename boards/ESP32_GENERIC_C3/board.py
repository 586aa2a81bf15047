"""ESP32-C3 modules: the reference board for a node on a battery.

Only GPIO0 to GPIO5 wake the chip from deep sleep: the contacts are there, away from the strapping
pins 2, 8, 9. The battery is on ADC1 (GPIO0 to GPIO4). USB has GPIO18 and GPIO19.
"""

from board_common import *

NAME = "ESP32_GENERIC_C3"
REED_PIN = 3
TAMPER_PIN = 4
REED_HOLD = True  # or IDF's pull-down holds an open contact low in deep sleep
BATTERY_ADC_PIN = 0  # ADC1
SDA_PIN = 6
SCL_PIN = 7
BOOT_PIN = 9  # a strapping pin, free once the board runs
WIFI_OPTIONS = ESP32_WIFI
SLOTS = dict(SLOTS, peers=8, observers=4, blocks=1)
