"""Raspberry Pi Pico 2 W, Arm cores: pins and sizes.

GP23, GP24, GP25 and GP29 (ADC3, the supply voltage) are wired to the radio: the battery needs a
divider of its own on GP26. A contact wants its resistor to the supply: an internal pull-down of
this chip can hold a released input at about 2 V (RP2350 data sheet, erratum E9).
"""

NAME = "RPI_PICO2_W"
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

# Keywords for WLAN.config(). With power saving, on by default, datagrams wait at the access point
# while the radio naps; this is WLAN.PM_NONE, for a board on the mains or USB.
WIFI_OPTIONS = {"pm": 0x10}
