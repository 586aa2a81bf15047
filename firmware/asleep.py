"""What a door and a wearable on a battery have in common: clock, charge, node, report and wiring.

See sleeper.py and napper.py, which run them.
"""

import sys
import time

import gateway
import keys
import safety
from coap.node import Node
from coap.report import Report
from coap.transports.udp import Udp, peer
from journal import MASK
from power.fastjoin import FastJoin
from power.memory import best
from power.pace import Pace
from power.slots import Slots
from talk import Talk
from unload import unload

OBSERVERS = 4  # more would not fit beside the journal in an ESP32's RTC memory
CONTEXTS = 6  # of OSCORE: nor would these, see power/__init__.py
STATE_FILE = "state"
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
    """What is left in the battery, and how far the radio pulls it down. resource: /s/batt or None.

    The percentage is that of the battery at rest: measured while the radio is off.
    """

    def __init__(self, resource):
        self.pct = None  # percent, None without a battery that is measured
        self._resource = resource

    def measure(self, sending):
        """Look at the battery; `sending`: the radio does."""
        if self._resource is None:
            return
        battery = self._resource.battery
        if sending:
            battery.note_load()
        else:
            battery.note_rest()
            self.pct = self._resource.value()


class Common:
    """The parts that both have, for lib/power. The application is added to `node` before parts().

    machine: the module; access: to the Wi-Fi; name: of the node on the network.
    """

    def __init__(self, board, machine, settings, access, name):
        self.watchdog = safety.Watchdog(machine, sys.platform)
        self.clock = Clock()
        self.report = make_report(settings, name)
        self.node = make_node(board, self.report)
        keys.protect(self.node, self.report.peer)
        unload("fields")  # the settings have been checked
        self._board = board
        self._machine = machine
        self._settings = settings
        self._access = access
        self._name = name

    def parts(self, chip, journal, pack, told=()):
        """What power.life.Life works with. chip: of power.chips; journal: what there is to tell;
        pack(offer, charge_pct): the report; told: resources, see Talk.
        """
        node = self.node
        board = self._board
        charge = Charge(node.at("s/batt"))
        network = network_module()
        options = board.WIFI_OPTIONS
        say = node.at("diag/log").say
        link = FastJoin(network, self._access, self._name, sys.platform, options, say)

        def packed(offer):
            return pack(offer, charge.pct)

        return {
            "clock": self.clock,
            "chip": chip,
            "link": link,
            "talk": Talk(node, self.report, lambda: Udp(node), packed, told),
            "journal": journal,
            "pace": Pace(self._settings.heartbeat_s),
            "slots": Slots(best(self._machine, STATE_FILE)),
            "feed": self.watchdog.feed,
            "measure": charge.measure,
        }

    def live(self, kind, parts, trial):
        """Live as a `kind`, a power.life.Life, until Ctrl-C; trial: of the settings."""
        secure = self.node.secure
        life = kind(
            parts,
            say=self.node.at("diag/log").say,
            told=trial.passed,
            failed=lambda failures: roll_back(self._machine, trial, failures),
        )
        if secure is not None:
            secure.ledger.void = life.keep
        try:
            life.run()
        except KeyboardInterrupt:
            self.watchdog.stop()
            raise


def make_report(settings, name):
    """The report to the gateway of the settings."""
    receiver = peer(*gateway.address(settings.gateway))
    return Report(receiver, gateway.endpoint(settings.name, name), REPORT_MS, LINGER_MS)


def make_node(board, report, say=print):
    """The node of a board that sleeps: its tables and keys, and a request of its own at a time."""
    sizes = dict(board.SLOTS)
    observers = min(sizes.pop("observers"), OBSERVERS)
    blocks = sizes.pop("blocks")
    block_bytes = sizes.pop("block_bytes", 2048)
    sizes.pop("requests", 0)
    from coap.defaults import usual

    features = usual(observers, blocks, block_bytes, requests=1)
    room = board.RECV_MAX - 128
    features += keys.features(keys.FILE, say)
    unload("coap.defaults")
    return Node(*features, report, room=room, ack_timeout_ms=ACK_TIMEOUT_MS, **sizes)


def network_module():
    """Only a node that has a radio imports it."""
    import network

    return network


def roll_back(machine, trial, failures):
    """Settings that never reached the gateway give way."""
    if failures >= safety.TRIAL_FAILURES and trial.failed():
        machine.reset()


def too_many_keys():
    """Why what is kept of the keys over a sleep would not fit; "" when it does."""
    try:
        contexts = len(keys.load(keys.FILE))
    except ValueError:
        return ""  # the node starts without keys, and says why
    if contexts <= CONTEXTS:
        return ""
    return "{}: a node on a battery has room for {} contexts, not {}".format(
        keys.FILE, CONTEXTS, contexts
    )
