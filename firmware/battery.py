"""The common parts of nodes on a battery: clock, meter, node, reporter, and their wiring.

battery_door.py and battery_wearable.py build a BatteryNode, add their application to its node and
call run(), which puts together the arguments of lib/power's cycles.
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
from power.retained_state import DoubleBuffer, memory_of
from power.wake_schedule import WakeSchedule
from power.wifi_fast import FastJoin
from unload import unload

OBSERVERS = 4  # more would not fit beside the event log in an ESP32's RTC memory
CONTEXTS = 6  # of OSCORE, for the same reason: see power/__init__.py
STATE_FILE = "state"
REPORT_MS = 20000
LINGER_MS = 3000  # for each request that the gateway has queued
ACK_TIMEOUT_MS = 1000  # the shortest that RFC 7252 section 4.8.1 allows: the radio is on meanwhile
STRIKES = 3  # wakes in a row after which an observer that does not acknowledge is dropped


class Clock:
    """The time in the form that lib/power expects."""

    def __init__(self):
        self.ticks_ms = time.ticks_ms
        self.sleep_ms = time.sleep_ms

    def seconds(self):
        """Return seconds of a clock that also runs in sleep, modulo 2**30."""
        return int(time.time()) & CLOCK_MASK


class BatteryMeter:
    """Measure the battery at rest and under the radio's load. resource: /s/batt or None.

    pct: charge in percent, measured while the radio is off; None without a battery to measure.
    """

    def __init__(self, resource):
        self.pct = None
        self._resource = resource

    def measure(self, is_sending):
        """Sample the battery; is_sending: the radio sends at this moment."""
        if self._resource is None:
            return
        battery = self._resource.battery
        if is_sending:
            battery.note_load()
        else:
            battery.note_rest()
            self.pct = self._resource.value()


class BatteryNode:
    """The parts that every node on a battery has.

    Add the application to `node`, make its duty cycle with make_cycle(), and run() that.

    machine: the module; access: to the Wi-Fi; name: of the node on the network; trial: of settings
    that have not reached the gateway yet.
    """

    def __init__(self, board, machine, settings, access, name, trial):
        self.watchdog = recovery.Watchdog(machine, sys.platform)
        is_wake = machine.reset_cause() == getattr(machine, "DEEPSLEEP_RESET", None)
        self.starts = recovery.RadioStarts(is_wake, recovery.STARTS_FILE)
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
        self._trial = trial

    def make_cycle(self, cycle_class, sleep_mode, log, pack, observed=(), **own):
        """Return a DoorCycle or WearableCycle of this node.

        pack(batch, battery_pct) returns the payload of a report; observed: resources whose
        observers are notified at each report; own: further arguments of the cycle.
        """
        node = self.node
        self._meter = meter = BatteryMeter(node.resource_at("s/batt"))
        say = node.resource_at("diag/log").say
        options = self._board.WIFI_OPTIONS
        cycle = cycle_class(
            clock=self.clock,
            sleep_mode=sleep_mode,
            link=FastJoin(network_module(), self._access, self._name, sys.platform, options, say),
            reporter=ReportSession(node, self.report, Udp, pack, meter, observed),
            log=log,
            schedule=WakeSchedule(self._settings.heartbeat_s),
            memory=DoubleBuffer(memory_of(self._machine, STATE_FILE)),
            feed=self.watchdog.feed,
            measure=self._measure,
            say=say,
            on_reported=self._on_reported,
            on_failed=self._on_failed,
            hold_s=self.starts.pause_s,
            **own,
        )
        if node.oscore is not None:
            node.oscore.sequence_store.invalidate = cycle.write_state
        return cycle

    def run(self, cycle):
        """Run a cycle until Ctrl-C; on a chip that wakes with a reset, until its first sleep."""
        try:
            cycle.run()
        except KeyboardInterrupt:
            self.watchdog.stop()
            raise

    def _measure(self, is_sending):
        if not is_sending:
            self.starts.begin()  # the radio is switched on next
        self._meter.measure(is_sending)

    def _on_reported(self):
        self.starts.end()
        self._trial.passed()

    def _on_failed(self, failures):
        self.starts.end()
        roll_back(self._machine, self._trial, failures)


class ReportSession:
    """The exchange of messages while the radio is on: report, then notify observers.

    transport(node): makes what has step(max_ms) and close(); pack(batch, battery_pct): the payload
    of a report; meter: a BatteryMeter; observed: the resources that call changed() at each report,
    others do so themselves.

    The report goes first. Observers are notified when it is on its way, confirmably, since their
    addresses are not verified after a restart. An observer that has not acknowledged in STRIKES
    wakes in a row is dropped: otherwise it would cost seconds of radio at every wake. A newcomer
    in the spare entry of a full table is decided on before the node sleeps.
    """

    def __init__(self, node, report, transport, pack, meter, observed):
        self._node = node
        self._report = report
        self._make_transport = transport
        self._pack = pack
        self._meter = meter
        self._observed = observed
        self._transport = None
        self._must_notify = False
        self._strikes = 0  # wakes in a row in which an observer did not acknowledge
        self._observe = None
        for extension in node.extensions:
            if isinstance(extension, Observe):
                self._observe = extension
        node.pack_peer, node.unpack_peer = address.pack, address.unpack

    def open(self):
        """Open the transport: the link is up. Raises OSError."""
        self._transport = self._make_transport(self._node)

    def close(self):
        """Close the transport: the link goes down. A report under way has failed."""
        self._report.stop()
        self._drop_silent_observers()
        if self._observe is not None and self._observe.used == self._observe.entries:
            self._free_spare_entry()
        if self._transport is not None:
            self._transport.close()
            self._transport = None
        if self._node.oscore is not None:
            self._node.oscore.retain()  # nothing is sent or received until the link is up again

    def send(self, batch, on_done):
        """Report a batch; on_done(is_acknowledged) is called once."""
        self._must_notify = True
        payload = self._pack(batch, self._meter.pct)
        self._report.send(payload, lambda report: on_done(report.released))

    def step(self, max_ms):
        """Send and receive for at most max_ms. Raises OSError."""
        self._transport.step(max_ms)
        if self._must_notify:
            self._must_notify = False
            for resource in self._observed:
                resource.changed()
            self._transport.step(0)

    def is_waiting(self):
        """Return True if a response, an ACK or a queued request is still to come."""
        return self._must_notify or self._report.busy or self._node.messaging.open_count > 0

    def state(self):
        """Return what must outlive a sleep, as bytes."""
        return bytes((self._strikes,)) + self._node.state()

    def restore(self, blob, is_latest=True):
        """Restore what state() returned. Return False if it is not usable.

        is_latest: no newer state was lost. Otherwise the exact sequence numbers are not trusted.
        """
        if self._node.oscore is not None:
            self._node.oscore.sequence_store.is_latest = is_latest
        if not self._node.restore(blob[1:]):
            return False
        self._strikes = min(blob[0], STRIKES)
        return True

    def _free_spare_entry(self):
        self._observe.settle()
        if self._transport is not None:
            try:
                self._transport.step(0)  # whoever leaves is told so
            except OSError:
                pass  # the link is down: its Max-Age ends

    def _drop_silent_observers(self):
        messaging = self._node.messaging
        late = []
        for i, owner in enumerate(messaging.owners):
            if owner is not None and owner is self._observe:
                late.append(i)
        self._strikes = self._strikes + 1 if late else 0
        if self._strikes >= STRIKES:
            self._strikes = 0
            for i in late:
                owner = messaging.owners[i]
                if owner is not None:  # ending the first exchange may have ended the next one too
                    messaging.close_exchange(i)
                    owner.on_exchange_done(i, GIVEN_UP)


def make_report(settings, name):
    """Return the Report to the gateway that the settings name."""
    receiver = peer(*gateway.address(settings.gateway))
    return Report(receiver, gateway.endpoint(settings.name, name), REPORT_MS, LINGER_MS)


def make_node(board, report, say=print):
    """Return a node with the tables and keys of a board that sleeps, and one request at a time."""
    sizes = dict(board.SLOTS)
    observers = min(sizes.pop("observers"), OBSERVERS)
    blocks = sizes.pop("blocks")
    block_bytes = sizes.pop("block_bytes", 2048)
    sizes.pop("requests", 0)
    from coap.presets import default_extensions

    extensions = default_extensions(observers, blocks, block_bytes, requests=1)
    room = board.RECV_MAX - 128
    extensions += credentials.features(credentials.FILE, say)
    unload("coap.presets")
    return Node(*extensions, report, max_payload=room, ack_timeout_ms=ACK_TIMEOUT_MS, **sizes)


def network_module():
    """Return the module `network`, which only a board with a radio has."""
    import network

    return network


def roll_back(machine, trial, failures):
    """Go back to the last good settings if the present ones never reached the gateway."""
    if failures >= recovery.TRIAL_FAILURES and trial.failed():
        machine.reset()


def too_many_keys():
    """Return why the retained part of the security contexts would not fit, "" if it does."""
    try:
        contexts = len(credentials.load(credentials.FILE))
    except ValueError:
        return ""  # the node starts without keys, and reports the reason
    if contexts <= CONTEXTS:
        return ""
    return "{}: a node on a battery has room for {} contexts, not {}".format(
        credentials.FILE, CONTEXTS, contexts
    )
