"""Raspberry Pi Pico without radio, reached over slipmux on a UART: pins and sizes.

GP23, GP24, GP25 and GP29 (ADC3) serve the power supply and the LED.
"""

NAME = "RPI_PICO"

# How the node is reached, and where: UART0, beside the console on USB.
LINK = "slipmux"
SLIPMUX_UART_ID = 0
SLIPMUX_TX_PIN = 0
SLIPMUX_RX_PIN = 1

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
