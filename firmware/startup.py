"""From power-on to a node that answers: a moment for the user, settings, application, link.

Whatever goes wrong, the board can be reached over its serial line: the window is there after every
reset (only a node that wakes from deep sleep has none), and Ctrl-C ends the node at any time. What
safe mode is, and when it comes, is in safety.py; a node on a battery goes on in sleeper.py,
or in napper.py.

Parts, in the order of their use: safety.Window, make_node(), open_line(), links.choose(),
make_service(), run().
"""

import gc
import os
import sys
import time

import config
import credentials
import links
import recovery
from serve import Service
from unload import unload

SETTINGS_FILE = "config.json"
SECRETS_FILE = "secrets.json"
RESTART_MS = 10000
RATE = 20  # requests a second that one peer may send; twice as many at once


def hostname(unique_id):
    """Return the node's name on the network: "mote-" and the last two bytes of its id."""
    return "mote-{:02x}{:02x}".format(unique_id[-2], unique_id[-1])


def load_settings(path=SETTINGS_FILE, say=print):
    """Return the settings in the file; the defaults, and a line that says why, if it is broken."""
    try:
        return config.Settings.load(path)
    except ValueError as error:
        say("{}; starting with the defaults".format(error))
        return config.Settings(path)


def exists(path):
    """Is there such a file?"""
    try:
        os.stat(path)
    except OSError:
        return False
    return True


def add_apps(node, board, settings):
    """Give the node the application that its settings name; the other one is not even loaded."""
    if settings.app != "wearable":
        from apps import door

        door.setup(node, board, settings)
    if settings.app != "door":
        from apps import wearable

        wearable.setup(node, board, settings)


def open_udp(node, udp, say):
    """Open the port, and join the group of all CoAP nodes; where that fails, say so and go on."""
    from coap.transports.group import Group

    transport = udp(node)
    try:
        Group(transport)
    except OSError as error:
        # a port without groups: the node can still be asked by its name
        say("CoAP: no answers to 224.0.1.187: {}".format(error))
    return transport


def with_gateway(slots, settings):
    """Return the sizes of the node's tables, with requests of its own if it has a gateway."""
    slots = dict(slots)
    if settings.gateway:
        from gateway import REQUESTS

        slots["requests"] = REQUESTS
    return slots


def registration(node, settings, name, say=print, reached=None):
    """Return what registers the node with its gateway whenever the link comes up.

    None where there is nothing to do; a line says why if that is a gateway of no use. reached() is
    called once that has worked: at the gateway, or on the network for a node without one.
    """
    if not settings.gateway:
        return reached
    import gateway

    if not gateway.is_numeric(settings.gateway):
        say("gateway: must be a numeric IPv4 address here, like coap://192.168.1.2")
        return None
    ep = gateway.endpoint(settings.name, name)
    return gateway.Gateway(node, settings.gateway, ep, say, reached).linked


def is_on_battery(settings):
    """Do the settings want a node that sleeps?"""
    return settings.power == "battery"


def why_awake(settings, access):
    """Why a node on a battery can not sleep with these settings; "" when it can."""
    from gateway import is_numeric

    if settings.app == "both":
        return "power: a node on a battery needs app door or wearable, not both"
    if access is None:
        return "power: a node on a battery needs the Wi-Fi access"
    if not settings.gateway or not is_numeric(settings.gateway):
        return "power: a node on a battery needs a gateway with a numeric IPv4 address"
    from battery import too_many_keys

    return too_many_keys()


def make_node(board, settings, say=print):
    """The node of this board with the application of these settings, and its keys."""
    slots = with_gateway(board.SLOTS, settings)
    from coap.presets import node_for_board

    node = node_for_board(
        slots, board.RECV_MAX, RATE, True, credentials.features(credentials.FILE, say)
    )
    unload("coap.presets")
    add_apps(node, board, settings)
    return node


def open_line(node, board, machine):
    """The board's serial line, None where it has none; over it the node takes its Wi-Fi access."""
    line = links.open_line(board, node)
    if node.access is not None:
        node.access.line = line  # whoever is there could as well put other keys on the board
    if line is not None and links.wifi(board):
        from wifi_resource import Wifi

        node.add("wifi", Wifi(line, SECRETS_FILE, machine.reset))
    return line


def teller(node, line):
    """What takes lines for the log: they are kept, printed and sent over a line of CoAP alone."""
    log = node.resource_at("diag/log")
    say = log.say if log else print
    if line is None or line.shared:
        return say

    def tell(text):
        say(text)
        line.say(text)

    return tell


def make_service(node, link, line, settings, name, say, reached=None):
    """What serves the node over its link and its line."""

    def open_transport():
        from coap.transports.udp import Udp

        transport = open_udp(node, Udp, say)
        if hasattr(link, "attend"):
            link.attend(transport)
        return transport

    on_open = None
    if link is not None:
        on_open = registration(node, settings, name, say, reached)
    clock = time.ticks_ms, time.sleep_ms
    return Service(node, link, open_transport, *clock, say, on_open, line)


def run(service, link, attend):
    """Serve until an exception; close what is open. attend() is called all the time."""
    unload("config_schema")  # settings and access have been checked
    # Collect early: a datagram needs one contiguous block, and a full heap has none left.
    gc.collect()
    gc.threshold(gc.mem_free() // 4)
    try:
        while True:
            service.step()
            attend()
    finally:
        service.close()
        if link is not None:
            link.close()


def main():
    """Run the node; return when the user wants the REPL or nobody could reach the node.

    Any other end is followed by a restart, so that a node in the attic comes back by itself.
    """
    import board
    import machine

    button = recovery.boot_button(machine, board)
    why = recovery.Window(machine, button, time.sleep_ms).open()
    try:
        _run(board, machine, why)
    except Exception as error:
        sys.print_exception(error)
        wait_ms = recovery.SAFE_MS if why else RESTART_MS
        print("Mote restarts in {} s; Ctrl-C for the REPL".format(wait_ms // 1000))
        time.sleep_ms(wait_ms)
        machine.reset()


def _run(board, machine, why):
    wrong = []
    settings = load_settings(SETTINGS_FILE, wrong.append)
    if not exists(SETTINGS_FILE):
        wrong.append("no {}: starting with the defaults".format(SETTINGS_FILE))
    passes = why != ""  # the settings may be good
    why = why or " ".join(wrong)
    name = hostname(machine.unique_id())
    trial = recovery.Trial((SETTINGS_FILE, SECRETS_FILE))
    access = None
    try:
        access = config.load_secrets(SECRETS_FILE)
    except ValueError as error:
        if trial.failed():
            machine.reset()
            return
        why = why or str(error)
    if is_on_battery(settings) and not why:
        why = why_awake(settings, access)
        if not why:
            if settings.app == "door":  # pyright: ignore[reportAttributeAccessIssue]
                import battery_door as runner
            else:
                import battery_wearable as runner
            runner.run(board, machine, settings, access, name, trial)
            return
    _stay_awake(board, machine, settings, name, trial, why, passes)


def _stay_awake(board, machine, settings, name, trial, why, passes):
    node = make_node(board, settings)
    line = open_line(node, board, machine)
    say = teller(node, line)
    if why:
        say("safe mode: " + why)
        if node.resource_at("diag"):
            node.resource_at("diag").safe_mode = why
    try:
        link = links.choose(board, name, SECRETS_FILE, say)
    except ValueError as error:
        say(str(error))  # a line stays, to put it right; without one, the REPL
        link = None
    if link is None and line is None:
        print("No {} on this board: run `make config`".format(SECRETS_FILE))
        return
    if line is not None:
        say("CoAP: on the serial line")
    service = make_service(node, link, line, settings, name, say, trial.passed)
    if why:
        run(service, link, recovery.Respite(machine, time.ticks_ms, passes).attend)
        return
    watchdog = recovery.Watchdog(machine, sys.platform)

    def attend():
        watchdog.feed()
        if trial.expired(time.ticks_ms()):
            machine.reset()

    try:
        run(service, link, attend)
    except KeyboardInterrupt:
        watchdog.stop()
        raise
