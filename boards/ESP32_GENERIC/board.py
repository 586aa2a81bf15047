"""ESP32 modules (WROOM, WROVER, PICO).

Contacts are on pins that wake the chip from deep sleep (RTC GPIOs), away from the strapping pins
0, 2, 5, 12, 15. The battery is on ADC1: ADC2 belongs to Wi-Fi.
"""

from board_common import *

NAME = "ESP32_GENERIC"
REED_PIN = 27
TAMPER_PIN = 26
BATTERY_ADC_PIN = 34  # ADC1, input only
SDA_PIN = 21
SCL_PIN = 22
BOOT_PIN = 0  # a strapping pin, free once the board runs
WIFI_OPTIONS = ESP32_WIFI
