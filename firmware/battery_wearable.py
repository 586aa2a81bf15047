"""A wearable on a battery: runs the wearable's application in a WearableCycle.

startup.py calls run() instead of the mains node when the settings say "power": "battery".
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
    """Run until Ctrl-C."""
    battery_node = BatteryNode(board, machine, settings, access, name, trial)
    node = battery_node.node
    worn = wearable.setup(node, board, settings)
    worn.stop_timer()
    rows = Rows(worn.batch, NumberReservation(NUMBERS_FILE))
    ticks_ms = battery_node.clock.ticks_ms

    def pack(batch, battery_pct):
        """Return the payload of a report."""
        starts = battery_node.starts.unfinished
        return rows.pack(batch, ticks_ms(), battery_pct, settings.heartbeat_s, starts)

    mode = sleep_mode(machine, battery_node.watchdog.feed, ticks_ms)
    cycle = battery_node.make_cycle(
        WearableCycle, mode, rows, pack, wearable=worn, timers=node.timers
    )
    battery_node.run(cycle)


def sleep_mode(machine, feed, ticks_ms):
    """Return the sleep mode of this board between two fillings of the FIFO."""
    if sys.platform == "rp2":
        return Rp2LightSleep(machine, ticks_ms, None, feed)
    return Esp32LightSleep(machine)
