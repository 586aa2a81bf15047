"""ESP32-S3 modules.

GPIO0 to GPIO21 wake the chip from deep sleep: the contacts are there, away from the strapping pins
0, 3, 45, 46. The battery is on ADC1 (GPIO1 to GPIO10). USB has GPIO19 and GPIO20, octal memory
GPIO33 to GPIO37.
"""

from board_common import *

NAME = "ESP32_GENERIC_S3"
REED_PIN = 4
TAMPER_PIN = 5
BATTERY_ADC_PIN = 1  # ADC1
SDA_PIN = 8
SCL_PIN = 9
BOOT_PIN = 0  # a strapping pin, free once the board runs
WIFI_OPTIONS = ESP32_WIFI
SLOTS = dict(LARGE_SLOTS)
