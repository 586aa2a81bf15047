"""ESP32-S3 modules: pins and sizes.

GPIO0 to GPIO21 wake the chip from deep sleep: the contacts lie there, away from the strapping pins
0, 3, 45, 46. The battery is on ADC1 (GPIO1 to GPIO10). USB has GPIO19 and GPIO20, octal memory
GPIO33 to GPIO37.
"""

NAME = "ESP32_GENERIC_S3"
LINK = "wifi"  # how the node is reached
SLIPMUX = "console"  # and over the line of the REPL: before there is Wi-Fi, or without it

REED_PIN = 4
TAMPER_PIN = 5
BATTERY_ADC_PIN = 1  # ADC1
BATTERY_DIVIDER_NUM = 2  # two equal resistors: the pin sees half of the battery
BATTERY_DIVIDER_DEN = 1
BATTERY_CHEMISTRY = "liion"
I2C_ID = 0
SDA_PIN = 8
SCL_PIN = 9
BOOT_PIN = 0  # the button; a strapping pin, free once the board runs

# Sizes of the node's tables, and the longest datagram that it takes.
SLOTS = {
    "dedup_entries": 32,
    "exchanges": 8,
    "peers": 32,
    "observers": 16,
    "blocks": 4,
    "block_bytes": 2048,  # the longest that is sent to it are its settings
    "cached_response_bytes": 64,  # of a longer one a repeat learns the code
    "separate_responses": 4,  # to answer later
}
RECV_MAX = 1152  # bytes, as RFC 7252 section 4.6 assumes of any node

# Keywords for WLAN.config(). Without a limit the driver tries again for ever, without a pause, and
# gets in the way of the next connect() (github.com/micropython/micropython/issues/17661).
WIFI_OPTIONS = {"reconnects": 2}
