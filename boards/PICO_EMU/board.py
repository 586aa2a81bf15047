"""A Pico with an IP stack, reached over PPP on UART1.

It is the board that an emulator can have, since it has no radio. It runs on a real Pico too, with
a PPP peer at the other end of the UART (`pppd` on a serial adapter, for example).
"""

from board_common import *

NAME = "PICO_EMU"
LINK = "ppp"
SLIPMUX = None
PPP_UART_ID = 1
PPP_TX_PIN = 8
PPP_RX_PIN = 9
REED_PIN = 14
TAMPER_PIN = 15
REED_PULL = "internal"  # no part needed; a tenth of what the board draws in its sleep
BATTERY_ADC_PIN = 26  # ADC0
SDA_PIN = 4
SCL_PIN = 5
