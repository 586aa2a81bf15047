"""What a door and a wearable on a battery have in common: clock, charge, node and report.

See sleeper.py and napper.py, which run them.
"""

import time

import gateway
import keys
import safety
from coap.defaults import usual
from coap.node import Node
from coap.report import Report
from coap.transports.udp import peer
from journal import MASK

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
    features = usual(observers, blocks, block_bytes, requests=1)
    room = board.RECV_MAX - 128
    features += keys.features(keys.FILE, say)
    return Node(*features, report, room=room, ack_timeout_ms=ACK_TIMEOUT_MS, **sizes)


def network_module():
    """Only a node that has a radio imports it."""
    import network

    return network


def roll_back(machine, trial, failures):
    """Settings that never reached the gateway give way."""
    if failures >= safety.TRIAL_FAILURES and trial.failed():
        machine.reset()
