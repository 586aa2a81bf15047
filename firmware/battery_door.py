"""A door or window on a battery: runs the door's application in a DoorCycle.

startup.py calls run() instead of the mains node when the settings say "power": "battery".
"""

import sys

from apps import door_events
from battery import BatteryNode
from power.door_cycle import DoorCycle
from power.event_log import EventLog
from power.retained_state import NumberReservation
from power.sleep_modes import Esp32DeepSleep, Rp2LightSleep

NUMBERS_FILE = "numbers"


def run(board, machine, settings, access, name, trial):
    """Run until Ctrl-C; on a chip that wakes with a reset, until the first sleep."""
    from apps import door

    battery_node = BatteryNode(board, machine, settings, access, name, trial)
    seconds = battery_node.clock.seconds
    heartbeat_s = settings.heartbeat_s
    log = EventLog()
    observed = door.setup_asleep(battery_node.node, board, settings, log, seconds)
    for resource in observed:
        resource.max_age_s = heartbeat_s + heartbeat_s // 10 + 60
    contact = observed[0].reed
    lid = observed[1].reed if len(observed) > 1 else None

    def pack(batch, battery_pct):
        """Return the payload of a report."""
        starts = battery_node.starts.unfinished
        return door_events.report(log, batch, seconds(), battery_pct, heartbeat_s, starts)

    pins = (contact.pin, lid and lid.pin, board.TAMPER_PIN)
    holds = getattr(board, "REED_HOLD", True)
    feed, ticks_ms = battery_node.watchdog.feed, battery_node.clock.ticks_ms
    mode = sleep_mode(machine, pins, feed, ticks_ms, holds)
    reservation = NumberReservation(NUMBERS_FILE)
    cycle = battery_node.make_cycle(
        DoorCycle, mode, log, pack, observed, contact=contact, lid=lid, reservation=reservation
    )
    battery_node.run(cycle)


def sleep_mode(machine, pins, feed, ticks_ms, holds=True):
    """Return the sleep mode of this board.

    pins: (the contact's Pin, the lid's Pin or None, the lid's GPIO number); holds: see
    Esp32DeepSleep.
    """
    pin, lid_pin, lid_gpio = pins
    if sys.platform == "rp2":
        return Rp2LightSleep(machine, ticks_ms, pin, feed, lid_pin)
    import esp32  # pyright: ignore[reportMissingImports]

    return Esp32DeepSleep(machine, esp32, pin, lid_pin, lid_gpio, holds)
