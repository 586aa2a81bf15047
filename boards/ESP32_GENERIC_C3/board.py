"""ESP32-C3 modules; the reference board for a node on a battery: pins and sizes.

Only GPIO0 to GPIO5 wake the chip from deep sleep: the contacts lie there, away from the strapping
pins 2, 8, 9. The battery is on ADC1 (GPIO0 to GPIO4). USB has GPIO18 and GPIO19.
"""

NAME = "ESP32_GENERIC_C3"
LINK = "wifi"  # how the node is reached
SLIPMUX = "console"  # and over the line of the REPL: before there is Wi-Fi, or without it

REED_PIN = 3
TAMPER_PIN = 4
BATTERY_ADC_PIN = 0  # ADC1
BATTERY_DIVIDER_NUM = 2  # two equal resistors: the pin sees half of the battery
BATTERY_DIVIDER_DEN = 1
BATTERY_CHEMISTRY = "liion"
I2C_ID = 0
SDA_PIN = 6
SCL_PIN = 7
BOOT_PIN = 9  # the button; a strapping pin, free once the board runs

# Sizes of the node's tables, and the longest datagram that it takes.
SLOTS = {
    "dedup_entries": 16,
    "exchanges": 4,
    "peers": 8,
    "observers": 4,
    "blocks": 1,
    "block_bytes": 768,  # the longest that is sent to it are its settings
    # of a longer one, an error with a reason, a repeat learns the code
    "cached_response_bytes": 32,
    "separate_responses": 1,  # to answer later; the applications answer at once
}
RECV_MAX = 1152  # bytes, as RFC 7252 section 4.6 assumes of any node

# Keywords for WLAN.config(). Without a limit the driver tries again for ever, without a pause, and
# gets in the way of the next connect() (github.com/micropython/micropython/issues/17661).
WIFI_OPTIONS = {"reconnects": 2}
