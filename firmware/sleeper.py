"""A door or window on a battery: the application of the settings, asleep nearly all the time.

Puts together what lib/power needs: the board's pins and chip, its radio, the node with a report to
the gateway, and the memory that outlives a sleep. Runs instead of the service of startup.py.
"""

import sys
import time

import gateway
import keys
import safety
from apps import events
from coap.defaults import usual
from coap.node import Node
from coap.report import Report
from coap.transports.udp import Udp, peer
from journal import MASK, Journal
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
OBSERVERS = 4  # more would not fit beside the journal in an ESP32's RTC memory
REPORT_MS = 20000
LINGER_MS = 3000  # for each request that the gateway has queued
ACK_TIMEOUT_MS = 1000  # RFC 7252 section 4.8.1 allows no less; it is the radio that waits


class Clock:
    """Time as lib/power wants it."""

    def __init__(self):
        self.ticks_ms = time.ticks_ms
        self.sleep_ms = time.sleep_ms

    def seconds(self):
        return int(time.time()) & MASK


class Charge:
    """What is left in the battery: measured while the radio is off, for its current sags it."""

    def __init__(self, resource):
        self.pct = None  # percent, None without a battery that is measured
        self._resource = resource

    def measure(self):
        if self._resource is not None:
            self.pct = self._resource.value()


def run(board, machine, settings, access, name, trial):
    """Live; on a chip that wakes with a reset, until the first sleep."""
    from apps import door

    watchdog = safety.Watchdog(machine, sys.platform)
    clock = Clock()
    journal = Journal()
    report = Report(
        peer(*gateway.address(settings.gateway)),
        gateway.endpoint(settings.name, name),
        REPORT_MS,
        LINGER_MS,
    )
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
        report_ms=REPORT_MS,
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


def make_node(board, report, say=print):
    """The node of a board that sleeps: its tables and keys, and a request of its own at a time."""
    sizes = dict(board.SLOTS)
    observers = min(sizes.pop("observers"), OBSERVERS)
    blocks = sizes.pop("blocks")
    block_bytes = sizes.pop("block_bytes", 2048)
    sizes.pop("requests", 0)
    features = usual(observers, blocks, block_bytes, requests=1)
    room = board.RECV_MAX - 128
    features += keys.features(keys.FILE, say)
    return Node(*features, report, room=room, ack_timeout_ms=ACK_TIMEOUT_MS, **sizes)


def chip(machine, pin, feed):
    """How this board sleeps."""
    if sys.platform == "rp2":
        return Rp2(machine, pin, feed)
    import esp32  # pyright: ignore[reportMissingImports]

    return Esp32(machine, esp32, pin)


def network_module():
    """Only a node that has a radio imports it."""
    import network

    return network


def roll_back(machine, trial, failures):
    """Settings that never reached the gateway give way."""
    if failures >= safety.TRIAL_FAILURES and trial.failed():
        machine.reset()
