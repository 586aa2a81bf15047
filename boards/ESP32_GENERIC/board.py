"""ESP32 modules (WROOM, WROVER, PICO): pins and sizes.

Contacts lie on pins that can wake the chip from deep sleep (RTC GPIOs), away from the strapping
pins 0, 2, 5, 12, 15. The battery is on ADC1: ADC2 belongs to Wi-Fi.
"""

NAME = "ESP32_GENERIC"
LINK = "wifi"  # how the node is reached
SLIPMUX = "console"  # and over the line of the REPL: before there is Wi-Fi, or without it

REED_PIN = 27
TAMPER_PIN = 26
BATTERY_ADC_PIN = 34  # ADC1, input only
BATTERY_DIVIDER_NUM = 2  # two equal resistors: the pin sees half of the battery
BATTERY_DIVIDER_DEN = 1
BATTERY_CHEMISTRY = "liion"
I2C_ID = 0
SDA_PIN = 21
SCL_PIN = 22
BOOT_PIN = 0  # the button; a strapping pin, free once the board runs

# Sizes of the node's tables, and the longest datagram that it takes.
SLOTS = {
    "dedup_entries": 16,
    "exchanges": 4,
    "peers": 16,
    "observers": 8,
    "blocks": 2,
    "block_bytes": 768,  # the longest that is sent to it are its settings
    # of a longer one, an error with a reason, a repeat learns the code
    "cached_response_bytes": 32,
    "separate_responses": 1,  # to answer later; the applications answer at once
}
RECV_MAX = 1152  # bytes, as RFC 7252 section 4.6 assumes of any node

# Keywords for WLAN.config(). Without a limit the driver tries again for ever, without a pause, and
# gets in the way of the next connect() (github.com/micropython/micropython/issues/17661).
WIFI_OPTIONS = {"reconnects": 2}
