"""A wearable on a battery: its radio is off nearly all the time, its core for most of it.

Puts together what lib/power/nap.py needs. Runs instead of the service of startup.py.
"""

import sys

import keys
import safety
from apps import wearable
from apps.rows import Rows
from asleep import Charge, Clock, make_node, make_report, network_module, roll_back
from coap.transports.udp import Udp
from power.chips import Light, Rp2
from power.fastjoin import FastJoin
from power.memory import best
from power.nap import Nap
from power.pace import Pace
from power.reserve import Reserve
from power.slots import Slots
from talk import Talk

STATE_FILE = "state"
NUMBERS_FILE = "rows"


def run(board, machine, settings, access, name, trial):
    """Live until Ctrl-C."""
    watchdog = safety.Watchdog(machine, sys.platform)
    clock = Clock()
    report = make_report(settings, name)
    node = make_node(board, report)
    keys.protect(node, report.peer)
    worn = wearable.setup(node, board, settings)
    worn.by_hand()
    rows = Rows(worn.batch, Reserve(NUMBERS_FILE))
    charge = Charge(node.at("s/batt"))
    log = node.at("diag/log")

    def pack(offer):
        return rows.pack(offer, clock.ticks_ms(), charge.pct, settings.heartbeat_s)

    nap = Nap(
        {
            "clock": clock,
            "chip": chip(machine, watchdog.feed),
            "link": FastJoin(
                network_module(), access, name, sys.platform, board.WIFI_OPTIONS, log.say
            ),
            "talk": Talk(node, report, lambda: Udp(node), pack, None),
            "journal": rows,
            "pace": Pace(settings.heartbeat_s),
            "slots": Slots(best(machine, STATE_FILE)),
            "worn": worn,
            "timers": node.timers,
            "feed": watchdog.feed,
            "measure": charge.measure,
        },
        say=log.say,
        told=trial.passed,
        failed=lambda failures: roll_back(machine, trial, failures),
    )
    if node.secure is not None:
        node.secure.ledger.void = nap.keep
    try:
        nap.run()
    except KeyboardInterrupt:
        watchdog.stop()
        raise


def chip(machine, feed):
    """How this board naps."""
    if sys.platform == "rp2":
        return Rp2(machine, None, feed)
    return Light(machine)
