"""Lists what responds on the board's I2C bus."""

import board
from machine import I2C, Pin

bus = I2C(board.I2C_ID, sda=Pin(board.SDA_PIN), scl=Pin(board.SCL_PIN), freq=100000)
report({"addresses": bus.scan()})  # noqa: F821
