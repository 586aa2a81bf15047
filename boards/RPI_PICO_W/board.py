"""Raspberry Pi Pico W: pins and sizes.

GP23, GP24, GP25 and GP29 (ADC3, the supply voltage) are wired to the radio: the battery needs a
divider of its own on GP26.
"""

NAME = "RPI_PICO_W"
LINK = "wifi"  # how the node is reached
SLIPMUX = "console"  # and over the line of the REPL: before there is Wi-Fi, or without it

REED_PIN = 14
TAMPER_PIN = 15
BATTERY_ADC_PIN = 26  # ADC0
BATTERY_DIVIDER_NUM = 2  # two equal resistors: the pin sees half of the battery
BATTERY_DIVIDER_DEN = 1
BATTERY_CHEMISTRY = "liion"
I2C_ID = 0
SDA_PIN = 4
SCL_PIN = 5

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

# Keywords for WLAN.config(). With power saving, on by default, datagrams wait at the access point
# while the radio naps; this is WLAN.PM_NONE, for a board on the mains or USB.
WIFI_OPTIONS = {"pm": 0x10}
