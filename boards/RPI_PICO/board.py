"""Raspberry Pi Pico without radio, reached over slipmux on UART0, beside the console on USB.

GP23, GP24, GP25 and GP29 (ADC3) serve the power supply and the LED.
"""

from board_common import *

NAME = "RPI_PICO"
LINK = "slipmux"
SLIPMUX = "uart"
SLIPMUX_UART_ID = 0
SLIPMUX_TX_PIN = 0
SLIPMUX_RX_PIN = 1
REED_PIN = 14
TAMPER_PIN = 15
REED_PULL = "internal"  # no part needed; a tenth of what the board draws in its sleep
BATTERY_ADC_PIN = 26  # ADC0
SDA_PIN = 4
SCL_PIN = 5
