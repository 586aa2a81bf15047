"""A wearable on a battery: its radio is off nearly all the time, its core for most of it.

Puts together what lib/power/nap.py needs. Runs instead of the service of startup.py.
"""

import sys

from apps import wearable
from apps.samples import Rows
from battery import BatteryNode
from power.retained_state import NumberReservation
from power.sleep_modes import Esp32LightSleep, Rp2LightSleep
from power.wearable_cycle import WearableCycle

NUMBERS_FILE = "rows"


def run(board, machine, settings, access, name, trial):
    """Live until Ctrl-C."""
    common = BatteryNode(board, machine, settings, access, name)
    node = common.node
    worn = wearable.setup(node, board, settings)
    worn.by_hand()
    rows = Rows(worn.batch, NumberReservation(NUMBERS_FILE))

    def pack(offer, charge_pct):
        return rows.pack(offer, common.clock.ticks_ms(), charge_pct, settings.heartbeat_s)

    how = chip(machine, common.watchdog.feed, common.clock.ticks_ms)
    parts = common.parts(how, rows, pack)
    parts["worn"] = worn
    parts["timers"] = node.timers
    common.live(WearableCycle, parts, trial)


def chip(machine, feed, ticks_ms):
    """How this board naps."""
    if sys.platform == "rp2":
        return Rp2LightSleep(machine, ticks_ms, None, feed)
    return Esp32LightSleep(machine)
