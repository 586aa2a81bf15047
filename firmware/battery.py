"""What a door and a wearable on a battery have in common: clock, charge, node, report and wiring.

See sleeper.py and napper.py, which run them.
"""

import sys
import time

import credentials
import gateway
import recovery
from coap.messaging import GIVEN_UP
from coap.node import Node
from coap.observe import Observe
from coap.transports import address
from coap.transports.udp import Udp, peer
from power.event_log import CLOCK_MASK
from power.report import Report
from power.retained_state import DoubleBuffer, best
from power.schedule import WakeSchedule
from power.wifi_fast import FastJoin
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
        return int(time.time()) & CLOCK_MASK


class BatteryMeter:
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


class BatteryNode:
    """The parts that both have, for lib/power. The application is added to `node` before parts().

    machine: the module; access: to the Wi-Fi; name: of the node on the network.
    """

    def __init__(self, board, machine, settings, access, name):
        self.watchdog = recovery.Watchdog(machine, sys.platform)
        self.clock = Clock()
        self.report = make_report(settings, name)
        self.node = make_node(board, self.report)
        credentials.protect(self.node, self.report.peer)
        unload("config_schema")  # the settings have been checked
        self._board = board
        self._machine = machine
        self._settings = settings
        self._access = access
        self._name = name

    def parts(self, chip, journal, pack, told=()):
        """What DutyCycle works with. chip: of power.sleep_modes; journal: an EventLog;
        pack(offer, charge_pct): the report; told: resources, see Talk.
        """
        node = self.node
        board = self._board
        charge = BatteryMeter(node.resource_at("s/batt"))
        network = network_module()
        options = board.WIFI_OPTIONS
        say = node.resource_at("diag/log").say
        link = FastJoin(network, self._access, self._name, sys.platform, options, say)

        def packed(offer):
            return pack(offer, charge.pct)

        return {
            "clock": self.clock,
            "chip": chip,
            "link": link,
            "talk": ReportSession(node, self.report, lambda: Udp(node), packed, told),
            "journal": journal,
            "pace": WakeSchedule(self._settings.heartbeat_s),
            "slots": DoubleBuffer(best(self._machine, STATE_FILE)),
            "feed": self.watchdog.feed,
            "measure": charge.measure,
        }

    def live(self, kind, parts, trial):
        """Live as a `kind`, a power.duty_cycle.Life, until Ctrl-C; trial: of the settings."""
        secure = self.node.oscore
        life = kind(
            parts,
            say=self.node.resource_at("diag/log").say,
            told=trial.passed,
            failed=lambda failures: roll_back(self._machine, trial, failures),
        )
        if secure is not None:
            secure.sequence_store.invalidate = life.keep
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
    from coap.presets import default_extensions

    features = default_extensions(observers, blocks, block_bytes, requests=1)
    room = board.RECV_MAX - 128
    features += credentials.features(credentials.FILE, say)
    unload("coap.presets")
    return Node(*features, report, room=room, ack_timeout_ms=ACK_TIMEOUT_MS, **sizes)


def network_module():
    """Only a node that has a radio imports it."""
    import network

    return network


def roll_back(machine, trial, failures):
    """Settings that never reached the gateway give way."""
    if failures >= recovery.TRIAL_FAILURES and trial.failed():
        machine.reset()


def too_many_keys():
    """Why what is kept of the keys over a sleep would not fit; "" when it does."""
    try:
        contexts = len(credentials.load(credentials.FILE))
    except ValueError:
        return ""  # the node starts without keys, and says why
    if contexts <= CONTEXTS:
        return ""
    return "{}: a node on a battery has room for {} contexts, not {}".format(
        credentials.FILE, CONTEXTS, contexts
    )


# What a node that is awake for a moment has to say: its report, and news for its observers.
#
# The report goes first. Observers hear once it is on its way, by CON, for after a restart their
# addresses are not verified; one that has not acknowledged in three wakes is forgotten, or it
# would
# cost a few seconds of radio at every wake for ever.

STRIKES = 3


class ReportSession:
    """node: with a power.report.Report; open_transport: makes what has step(ms) and close().

    pack(offer): the payload of a report; told: the resources that observers hear of at each one;
    others tell their changes themselves.
    """

    def __init__(self, node, report, open_transport, pack, told):
        self._node = node
        self._report = report
        self._open_transport = open_transport
        self._pack = pack
        self._told = told
        self._transport = None
        self._owed = False  # to observers
        self._strikes = 0  # wakes in a row in which somebody did not acknowledge
        self.datagrams = 0
        node.pack_peer, node.unpack_peer = address.pack, address.unpack

    def open(self):
        """The link is up. Raises OSError."""
        exchange = self._node.messaging
        mid = exchange.mid
        self._transport = self._open_transport()
        if mid:
            exchange.mid = mid  # the transport has seeded the node: go on with those we had

    def close(self):
        """The link goes down; a report that is still under way has failed."""
        self._report.stop()
        self._strike()
        if self._transport is not None:
            self._transport.close()
            self._transport = None
        if self._node.oscore is not None:
            self._node.oscore.retain()  # nothing is sent or taken until the link is up again

    def send(self, offer, on_done):
        """Report what a journal offers; on_done(taken) is called once."""
        self._owed = True
        self._report.send(self._pack(offer), lambda report: on_done(report.released))

    def step(self, max_ms):
        """Send and take what there is. Raises OSError."""
        self._transport.step(max_ms)
        if self._owed:
            self._owed = False
            for resource in self._told:
                resource.changed()
            self._transport.step(0)

    def waiting(self):
        """Is there a reason to stay awake?"""
        return self._owed or self._report.busy or self._node.messaging.open_count > 0

    def state(self):
        """What must outlive a sleep, as bytes."""
        return bytes((self._strikes,)) + self._node.state()

    def restore(self, blob, newest=True):
        """Go on from what state() gave. False: it is not usable.

        newest: nothing was used up after that. Else the exact sequence numbers are not taken.
        """
        if self._node.oscore is not None:
            self._node.oscore.sequence_store.is_latest = newest
        if not self._node.restore(blob[1:]):
            return False
        self._strikes = min(blob[0], STRIKES)
        return True

    def _strike(self):
        exchange = self._node.messaging
        late = [slot for slot, owner in enumerate(exchange.owners) if isinstance(owner, Observe)]
        self._strikes = self._strikes + 1 if late else 0
        if self._strikes >= STRIKES:
            self._strikes = 0
            for slot in late:
                owner = exchange.owners[slot]
                if owner is not None:  # the first one's end may have been the second one's
                    exchange.close_exchange(slot)
                    owner.on_exchange_done(slot, GIVEN_UP)
