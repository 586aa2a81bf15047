"""A door or window on a battery: the application of the settings, asleep nearly all the time.

Puts together what lib/power needs: the board's pins and chip, its radio, the node with a report to
the gateway, and the memory that outlives a sleep. Runs instead of the service of startup.py.
"""

import sys

import keys
import safety
from apps import events
from asleep import Charge, Clock, make_node, make_report, network_module, roll_back
from coap.transports.udp import Udp
from journal import Journal
from power.chips import Esp32, Rp2
from power.cycle import Cycle
from power.fastjoin import FastJoin
from power.memory import best
from power.pace import Pace
from power.reserve import Reserve
from power.slots import Slots
from talk import Talk

STATE_FILE = "state"
NUMBERS_FILE = "numbers"


def run(board, machine, settings, access, name, trial):
    """Live; on a chip that wakes with a reset, until the first sleep."""
    from apps import door

    watchdog = safety.Watchdog(machine, sys.platform)
    clock = Clock()
    journal = Journal()
    report = make_report(settings, name)
    node = make_node(board, report)
    keys.protect(node, report.peer)
    contact = door.setup_asleep(node, board, settings, journal, clock.seconds)
    charge = Charge(node.at("s/batt"))
    log = node.at("diag/log")
    margin_s = settings.heartbeat_s // 10 + 60
    node.at("s/contact").max_age_s = settings.heartbeat_s + margin_s

    def pack(offer):
        now_s = clock.seconds()
        return events.report(journal, offer, now_s, charge.pct, settings.heartbeat_s)

    cycle = Cycle(
        {
            "contact": contact,
            "clock": clock,
            "chip": chip(machine, contact.pin, watchdog.feed),
            "link": FastJoin(
                network_module(), access, name, sys.platform, board.WIFI_OPTIONS, log.say
            ),
            "talk": Talk(node, report, lambda: Udp(node), pack, node.at("s/contact")),
            "journal": journal,
            "pace": Pace(settings.heartbeat_s),
            "slots": Slots(best(machine, STATE_FILE)),
            "reserve": Reserve(NUMBERS_FILE),
            "feed": watchdog.feed,
            "measure": charge.measure,
        },
        say=log.say,
        told=trial.passed,
        failed=lambda failures: roll_back(machine, trial, failures),
    )
    if node.secure is not None:
        node.secure.ledger.void = cycle.keep
    try:
        cycle.run()
    except KeyboardInterrupt:
        watchdog.stop()
        raise


def chip(machine, pin, feed):
    """How this board sleeps."""
    if sys.platform == "rp2":
        return Rp2(machine, pin, feed)
    import esp32  # pyright: ignore[reportMissingImports]

    return Esp32(machine, esp32, pin)
