"""Free an I2C bus that a chip holds: a board that was reset in the middle of a byte leaves its
chip waiting for clocks, with SDA low, and then no transfer works (NXP UM10204 section 3.1.16).
"""

from micropython import const

_CLOCKS = const(9)  # the rest of a byte and its acknowledgement, at most


def release(scl, sda):
    """Clock until SDA is high, and give a stop. Pins as machine.Pin; before I2C() is made of them.

    Returns whether the bus is free.
    """
    sda.init(sda.OPEN_DRAIN, value=1)
    scl.init(scl.OPEN_DRAIN, value=1)
    clocks = _CLOCKS
    while sda.value() == 0 and clocks:
        clocks -= 1
        scl.value(0)  # a call takes over a microsecond, so this is slow enough for any chip
        scl.value(1)
    sda.value(0)
    sda.value(1)
    return sda.value() == 1
