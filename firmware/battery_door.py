"""A door or window on a battery: the application of the settings, asleep nearly all the time.

Puts together what lib/power/cycle.py needs. Runs instead of the service of startup.py.
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
    """Live; on a chip that wakes with a reset, until the first sleep."""
    from apps import door

    common = BatteryNode(board, machine, settings, access, name)
    seconds = common.clock.seconds
    beat_s = settings.heartbeat_s
    journal = EventLog()
    told = door.setup_asleep(common.node, board, settings, journal, seconds)
    for resource in told:
        resource.max_age_s = beat_s + beat_s // 10 + 60
    contact = told[0].reed
    lid = told[1].reed if len(told) > 1 else None

    def pack(offer, charge_pct):
        return door_events.report(journal, offer, seconds(), charge_pct, beat_s)

    feed = common.watchdog.feed
    pins = (contact.pin, lid and lid.pin, board.TAMPER_PIN)
    how = chip(machine, pins, feed, common.clock.ticks_ms)
    parts = common.parts(how, journal, pack, told)
    parts["contact"] = contact
    parts["lid"] = lid
    parts["reserve"] = NumberReservation(NUMBERS_FILE)
    common.live(DoorCycle, parts, trial)


def chip(machine, pins, feed, ticks_ms):
    """How this board sleeps. pins: the contact's, the lid's or None, and the number of that."""
    pin, lid_pin, lid_gpio = pins
    if sys.platform == "rp2":
        return Rp2LightSleep(machine, ticks_ms, pin, feed, lid_pin)
    import esp32  # pyright: ignore[reportMissingImports]

    return Esp32DeepSleep(machine, esp32, pin, lid_pin, lid_gpio)
