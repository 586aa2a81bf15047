"""From power-on to a node that responds: a pause for the user, settings, application, link.

Whatever fails, the board can be reached over its serial line: after each reset, except a wake
from deep sleep, there is a pause for Ctrl-C, and Ctrl-C ends the node at any time. recovery.py
describes safe mode. A node on a battery continues in battery_door.py or battery_wearable.py.

The steps in their order: recovery.wait_for_user(), make_node(), open_line(), links.choose(),
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
RATE = 20  # requests per second from one peer; twice as many in a burst


def hostname(unique_id):
    """Return the node's name on the network: "mote-" and the last two bytes of its ID in hex."""
    return "mote-{:02x}{:02x}".format(unique_id[-2], unique_id[-1])


def load_settings(path=SETTINGS_FILE, say=print):
    """Return the settings in the file; if it is broken, the defaults, and say the reason."""
    try:
        return config.Settings.load(path)
    except ValueError as error:
        say("{}; starting with the defaults".format(error))
        return config.Settings(path)


def exists(path):
    """Return True if there is such a file."""
    try:
        os.stat(path)
    except OSError:
        return False
    return True


def add_apps(node, board, settings):
    """Add the applications that the settings name to the node; import no other."""
    if settings.app != "wearable":
        from apps import door

        door.setup(node, board, settings)
    if settings.app != "door":
        from apps import wearable

        wearable.setup(node, board, settings)


def open_udp(node, udp, say):
    """Return an open UDP transport that has joined the All CoAP Nodes group, if the port can."""
    from coap.transports.group import Group

    transport = udp(node)
    try:
        Group(transport)
    except OSError as error:
        # a port without multicast: the node is still reached by its name
        say("CoAP: no responses to 224.0.1.187: {}".format(error))
    return transport


def with_gateway(slots, settings):
    """Return the sizes of the node's tables, with client requests if it has a gateway."""
    slots = dict(slots)
    if settings.gateway:
        from gateway import REQUESTS

        slots["requests"] = REQUESTS
    return slots


def make_registration(node, settings, name, say=print, reached=None):
    """Return the function to call when the link comes up: it registers the node at its gateway.

    None if there is nothing to call; an unusable gateway is reported to say(). reached() is called
    after each registration, or when the link comes up for a node without a gateway.
    """
    if not settings.gateway:
        return reached
    import gateway
    from config_schema import is_numeric

    if not is_numeric(settings.gateway):
        say("gateway: must be a numeric IPv4 address here, like coap://192.168.1.2")
        return None
    ep = gateway.endpoint(settings.name, name)
    return gateway.Gateway(node, settings.gateway, ep, say, reached).linked


def is_on_battery(settings):
    """Return True if the settings ask for a node that sleeps."""
    return settings.power == "battery"


def sleep_blocked_by(settings, access, board):
    """Return why a node on a battery cannot sleep with these settings; "" if it can."""
    from config_schema import sleep_blocked_by

    why = sleep_blocked_by(settings.app, settings.gateway, links.wifi(board))
    if not why and settings.app == "door" and not can_wake():
        why = "power: this MicroPython cannot wake the board by a pin, see boards/README.md"
    if not why and access is None:
        why = "power: a node on a battery needs the Wi-Fi access"
    if not why:
        from battery import too_many_keys

        why = too_many_keys()
    return why


def can_wake():
    """Return True if a pin can wake the board: on an ESP32-C3 only since MicroPython 1.27."""
    if sys.platform != "esp32":
        return True
    import esp32  # pyright: ignore[reportMissingImports]

    for name in ("wake_on_ext0", "wake_on_ext1", "wake_on_gpio"):
        if hasattr(esp32, name):
            return True
    return False


def make_node(board, settings, say=print):
    """Return the node of this board with its keys and the application of its settings."""
    slots = with_gateway(board.SLOTS, settings)
    from coap.presets import node_for_board

    node = node_for_board(
        slots, board.RECV_MAX, RATE, True, credentials.features(credentials.FILE, say)
    )
    unload("coap.presets")
    add_apps(node, board, settings)
    return node


def open_line(node, board, machine):
    """Return the board's serial line, or None; over it the node accepts its Wi-Fi access."""
    line = links.open_line(board, node)
    if node.access is not None:
        node.access.line = line  # who has access to it could replace the keys anyway
    if line is not None and links.wifi(board):
        from wifi_resource import Wifi

        node.add("wifi", Wifi(line, SECRETS_FILE, machine.reset))
    return line


def make_logger(node, line):
    """Return a function of a line of text: print it, keep it in /diag/log, send it over `line`.

    Only a serial line that is not shared with the REPL gets it.
    """
    log = node.resource_at("diag/log")
    say = log.say if log else print
    if line is None or line.shared:
        return say

    def log_and_send(text):
        """Print, keep and send a line."""
        say(text)
        line.say(text)

    return log_and_send


def make_service(node, link, line, settings, name, say, reached=None):
    """Return the Service of the node over its link and its line; each may be None."""

    def open_transport():
        """Return the UDP transport of the link."""
        from coap.transports.udp import Udp

        transport = open_udp(node, Udp, say)
        if hasattr(link, "attach"):
            link.attach(transport)
        return transport

    on_open = None
    if link is not None:
        on_open = make_registration(node, settings, name, say, reached)
    clock = time.ticks_ms, time.sleep_ms
    return Service(node, link, open_transport, *clock, say, on_open, line)


def run(service, link, on_step):
    """Serve until an exception, then close link and service. on_step() is called at each step."""
    unload("config_schema")  # settings and access have been checked
    # Collect early: a datagram needs one contiguous block, which a full heap does not have.
    gc.collect()
    gc.threshold(gc.mem_free() // 4)
    try:
        while True:
            service.step()
            on_step()
    finally:
        service.close()
        if link is not None:
            link.close()


def main():
    """Run the node; return for the REPL after Ctrl-C, or if the node could not be reached.

    After any other exception the board restarts, so that a node that is out of reach comes back.
    """
    import board
    import machine

    unload("board_common")
    button = recovery.boot_button(machine, board)
    why = recovery.wait_for_user(machine, button, time.sleep_ms)
    try:
        _run(board, machine, why)
    except Exception as error:
        sys.print_exception(error)
        wait_ms = recovery.SAFE_MS if why else RESTART_MS
        print("Mote restarts in {} s; Ctrl-C for the REPL".format(wait_ms // 1000))
        time.sleep_ms(wait_ms)
        machine.reset()


def _run(board, machine, why):
    faults = []
    settings = load_settings(SETTINGS_FILE, faults.append)
    if not exists(SETTINGS_FILE):
        faults.append("no {}: starting with the defaults".format(SETTINGS_FILE))
    ends = why != ""  # safe mode ends by itself: the settings may be good
    why = why or " ".join(faults)
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
        why = sleep_blocked_by(settings, access, board)
        if not why:
            if settings.app == "door":  # pyright: ignore[reportAttributeAccessIssue]
                import battery_door as runner
            else:
                import battery_wearable as runner
            runner.run(board, machine, settings, access, name, trial)
            return
    run_powered(board, machine, settings, name, trial, why, ends)


def run_powered(board, machine, settings, name, trial, why, ends):
    """Run a node that does not sleep until an exception.

    why: the reason for safe mode, or ""; ends: safe mode ends by itself. Return if there is
    neither a link nor a serial line.
    """
    recovery.RadioStarts(False, recovery.STARTS_FILE).end()  # of a node on a battery
    node = make_node(board, settings)
    line = open_line(node, board, machine)
    say = make_logger(node, line)
    if why:
        say("safe mode: " + why)
        if node.resource_at("diag"):
            node.resource_at("diag").safe_mode = why
    try:
        link = links.choose(board, name, SECRETS_FILE, say)
    except ValueError as error:
        say(str(error))  # to be corrected over the line; without one, in the REPL
        link = None
    if link is None and line is None:
        print("No {} on this board: run `make config`".format(SECRETS_FILE))
        return
    if line is not None:
        say("CoAP: on the serial line")
    service = make_service(node, link, line, settings, name, say, trial.passed)
    if why:
        run(service, link, recovery.SafeModeTimer(machine, time.ticks_ms, ends).check)
        return
    watchdog = recovery.Watchdog(machine, sys.platform)

    def on_step():
        """Feed the watchdog, and end the trial of settings."""
        watchdog.feed()
        if trial.expired(time.ticks_ms()):
            machine.reset()

    try:
        run(service, link, on_step)
    except KeyboardInterrupt:
        watchdog.stop()
        raise
