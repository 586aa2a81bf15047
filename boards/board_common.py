"""The common part of all boards: link, battery, sizes of the node's tables.

A board.py imports all of it and overrides what differs. Names of board.py: NAME; LINK and SLIPMUX
with their pins (see firmware/links.py); REED_PIN, TAMPER_PIN and BATTERY_ADC_PIN (None where there
is no such part); REED_HOLD, False where a chip that wakes by GPIO is not to hold its pads in deep
sleep; SDA_PIN and SCL_PIN; BOOT_PIN, the button, on boards other than a Pico;
WIFI_OPTIONS, keywords for WLAN.config(); and those below.
"""

LINK = "wifi"
SLIPMUX = "console"  # CoAP also over the line of the REPL: before there is Wi-Fi, or without it

# "external": a resistor of 1 MOhm from each contact's pin to 3V3, with 1 to 4.7 nF to ground; or a
# changeover contact between 3V3 and ground. "internal": the chip's pull-up of about 45 kOhm, which
# costs 73 uA while a contact is closed, and which the pins of an S3 do not have in deep sleep.
REED_PULL = "external"

BATTERY_DIVIDER_NUM = 2  # two equal resistors: the pin sees half of the battery
BATTERY_DIVIDER_DEN = 1
BATTERY_CHEMISTRY = "liion"
I2C_ID = 0

RECV_MAX = 1152  # bytes of the longest datagram, as RFC 7252 section 4.6 assumes of any node
# Arguments of the node's tables.
SLOTS = {
    "dedup_entries": 16,
    "exchanges": 4,
    "peers": 16,
    "observers": 8,
    "blocks": 2,
    "block_bytes": 768,  # the longest body received is that of /config
    "cached_response_bytes": 32,  # of a longer response a duplicate gets the code only
    "separate_responses": 1,
}
# The same for a chip with 500 KB of RAM: SLOTS = dict(LARGE_SLOTS). A tuple stays in flash.
LARGE_SLOTS = (
    ("dedup_entries", 32),
    ("exchanges", 8),
    ("peers", 32),
    ("observers", 16),
    ("blocks", 4),
    ("block_bytes", 2048),
    ("cached_response_bytes", 64),
    ("separate_responses", 4),
)

# Without a limit the ESP32's driver retries for ever, without a pause, and gets in the way of the
# next connect() (github.com/micropython/micropython/issues/17661).
ESP32_WIFI = {"reconnects": 2}
# With power saving, on by default, datagrams wait at the access point while the radio naps.
# This is WLAN.PM_NONE, for a board on the mains or USB.
PICO_WIFI = {"pm": 0x10}
