"""The simulated board: the constants of a real board.py, and the parts wired to its pins."""

import machine

NAME = "SIMULATOR"

REED_PIN = 14
TAMPER_PIN = 27
REED_PULL = "internal"
BATTERY_ADC_PIN = 34
BATTERY_DIVIDER_NUM = 2
BATTERY_DIVIDER_DEN = 1
BATTERY_CHEMISTRY = "liion"
I2C_ID = 0
SDA_PIN = 21
SCL_PIN = 22

SLOTS = {
    "dedup_entries": 16,
    "exchanges": 4,
    "peers": 16,
    "observers": 8,
    "blocks": 2,
    "block_bytes": 1024,  # its settings are the longest body that it receives
}
RECV_MAX = 1152
_FEWER_SLOTS = (
    ("peers", 8),
    ("observers", 4),
    ("blocks", 1),
    ("separate_responses", 1),
)
_SHORT_SLOTS = (("dedup_entries", 8), ("block_bytes", 512), ("cached_response_bytes", 16))
# What only tests use of the fake `machine`, which on a board takes no heap at all.
_NOT_USED = ("RTC", "WDT", "SoftI2C", "freq", "idle", "reset")
_SHORT_RECV_MAX = 320  # payloads of 192 bytes: what is longer comes in blocks


def shrink(has_keys):
    """Take the sizes for a heap in which more would leave no memory for datagrams.

    has_keys: OSCORE takes 8 KB more, half of it for messages.
    """
    global RECV_MAX
    SLOTS.update(dict(_FEWER_SLOTS))
    for name in _NOT_USED:
        delattr(machine, name)
    if has_keys:
        SLOTS.update(dict(_SHORT_SLOTS))
        RECV_MAX = _SHORT_RECV_MAX


def set_door(is_open):
    """Open or close the reed contact."""
    machine.wire(REED_PIN).drive(None if is_open else 0)


def is_door_open():
    """Return True if the reed contact is open."""
    return machine.wire(REED_PIN).read() == 1


def set_lid(is_open):
    """Open or close the tamper contact."""
    machine.wire(TAMPER_PIN).drive(None if is_open else 0)


def set_battery(mv):
    """Set the battery's voltage."""
    pin_uv = mv * 1000 * BATTERY_DIVIDER_DEN // BATTERY_DIVIDER_NUM
    machine.wire(BATTERY_ADC_PIN).microvolts = pin_uv


class Body:
    """The wearer: three chips on the I2C bus, imported only for a wearable."""

    def __init__(self, seed=1):
        from chips.lsm6dsox import Lsm6dsox
        from chips.max30102 import Max30102
        from chips.tmp117 import Tmp117

        bus = machine.bus(SDA_PIN)
        self.light = bus.attach(Max30102(seed=seed))
        self.temperature = bus.attach(Tmp117())
        self.motion = bus.attach(Lsm6dsox())


def power_on():
    """Reset the board: door closed, lid closed, battery at 83 percent, no chips."""
    machine.power_on()
    set_door(False)
    set_lid(False)
    set_battery(4032)
