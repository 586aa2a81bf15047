"""A door or window on a battery: the application of the settings, asleep nearly all the time.

Puts together what lib/power/cycle.py needs. Runs instead of the service of startup.py.
"""

import sys

from apps import events
from asleep import Common
from journal import Journal
from power.chips import Esp32, Rp2
from power.cycle import Cycle
from power.reserve import Reserve

NUMBERS_FILE = "numbers"


def run(board, machine, settings, access, name, trial):
    """Live; on a chip that wakes with a reset, until the first sleep."""
    from apps import door

    common = Common(board, machine, settings, access, name)
    seconds = common.clock.seconds
    beat_s = settings.heartbeat_s
    journal = Journal()
    told = door.setup_asleep(common.node, board, settings, journal, seconds)
    for resource in told:
        resource.max_age_s = beat_s + beat_s // 10 + 60
    contact = told[0].reed
    lid = told[1].reed if len(told) > 1 else None

    def pack(offer, charge_pct):
        return events.report(journal, offer, seconds(), charge_pct, beat_s)

    feed = common.watchdog.feed
    pins = (contact.pin, lid and lid.pin, board.TAMPER_PIN)
    how = chip(machine, pins, feed, common.clock.ticks_ms)
    parts = common.parts(how, journal, pack, told)
    parts["contact"] = contact
    parts["lid"] = lid
    parts["reserve"] = Reserve(NUMBERS_FILE)
    common.live(Cycle, parts, trial)


def chip(machine, pins, feed, ticks_ms):
    """How this board sleeps. pins: the contact's, the lid's or None, and the number of that."""
    pin, lid_pin, lid_gpio = pins
    if sys.platform == "rp2":
        return Rp2(machine, ticks_ms, pin, feed, lid_pin)
    import esp32  # pyright: ignore[reportMissingImports]

    return Esp32(machine, esp32, pin, lid_pin, lid_gpio)
