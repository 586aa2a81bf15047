"""A Pico with an IP stack, reached over PPP on a UART: pins and sizes.

It is the board that an emulator can have, for there is no radio in it. It runs on a real Pico too,
with a PPP peer at the other end of the UART (`pppd` on a serial adapter, for one).
"""

NAME = "PICO_EMU"

# How the node is reached, and where: UART1.
LINK = "ppp"
PPP_UART_ID = 1
PPP_TX_PIN = 8
PPP_RX_PIN = 9

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
