"""From power-on to a node that answers: a moment for the user, settings, Wi-Fi, application.

Whatever goes wrong, the board can be reached over its serial line: the window is there after every
reset (only a node that wakes from deep sleep has none), and Ctrl-C ends the node at any time.
"""

import gc
import sys
import time

import config

SETTINGS_FILE = "config.json"
SECRETS_FILE = "secrets.json"
WINDOW_MS = 3000
RESTART_MS = 10000
RATE = 20  # requests a second that one peer may send; twice as many at once
_SLICE_MS = 50
_STEP_MS = 250  # the link is looked at four times a second, at least


def hostname(unique_id):
    """Return the node's name on the network: "mote-" and the last two bytes of its id."""
    return "mote-{:02x}{:02x}".format(unique_id[-2], unique_id[-1])


def stays_out(machine, button_pressed, sleep_ms, say=print):
    """Wait for the start-up window to pass; return True when the user pressed the BOOT button.

    The button is looked at during the window, for at the moment of reset it selects the chip's own
    boot loader. Ctrl-C raises KeyboardInterrupt here as anywhere.
    """
    if machine.reset_cause() == getattr(machine, "DEEPSLEEP_RESET", None):
        return False
    say("Mote starts in {} s; Ctrl-C or the BOOT button keeps it off".format(WINDOW_MS // 1000))
    for _ in range(WINDOW_MS // _SLICE_MS):
        if button_pressed():
            return True
        sleep_ms(_SLICE_MS)
    return False


def load_settings(path=SETTINGS_FILE, say=print):
    """Return the settings in the file; the defaults, and a line that says why, if it is broken."""
    try:
        return config.Settings.load(path)
    except ValueError as error:
        say("{}; starting with the defaults".format(error))
        return config.Settings(path)


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


def registration(node, settings, name, say=print):
    """Return what registers the node with its gateway whenever the link comes up.

    None where there is nothing to do; a line says why if that is a gateway of no use.
    """
    if not settings.gateway:
        return None
    import gateway

    if not gateway.is_numeric(settings.gateway):
        say("gateway: must be a numeric IPv4 address here, like coap://192.168.1.2")
        return None
    return gateway.Gateway(
        node, settings.gateway, gateway.endpoint(settings.name, name), say
    ).linked


class Service:
    """Serves a node while its link is up, and keeps its timers running while it is down.

    `open_transport()` makes the transport when the link first comes up: on ESP32 there is no
    network stack earlier. Each time the link comes back the transport is opened anew, for some
    ports forget the groups that a socket had joined. `on_open()` is called whenever it is open.
    """

    def __init__(self, node, link, open_transport, ticks_ms, sleep_ms, say=print, on_open=None):
        self.transport = None
        self.serving = False
        self._node = node
        self._link = link
        self._open_transport = open_transport
        self._ticks_ms = ticks_ms
        self._sleep_ms = sleep_ms
        self._say = say
        self._on_open = on_open

    def step(self):
        """Work for a quarter of a second at most."""
        if self._link.poll(self._ticks_ms()):
            if not self.serving:
                self._open()
            if self.serving:
                self.transport.step(_STEP_MS)
                return
        else:
            self.serving = False
        now_ms = self._ticks_ms()
        while self._node.due(now_ms):
            pass  # nobody hears it: the same as lost on the way
        self._sleep_ms(_STEP_MS)

    def close(self):
        """Close the transport, if there is one."""
        self.serving = False
        if self.transport is not None:
            self.transport.close()
            self.transport = None

    def _open(self):
        gc.collect()  # receiving takes one contiguous block per datagram
        try:
            if self.transport is None:
                self.transport = self._open_transport()
            else:
                self.transport.reopen()
            self.serving = True
            if self._on_open is not None:
                self._on_open()
        except OSError as error:
            self._say("CoAP: {}".format(error))


def main():
    """Run the node; return when the user wants the REPL or the board has no Wi-Fi access yet.

    Any other end is followed by a restart, so that a node in the attic comes back by itself.
    """
    import board
    import machine

    if stays_out(machine, board.boot_button_pressed, time.sleep_ms):
        print("Mote is off until the next reset")
        return
    try:
        _run(board, machine)
    except Exception as error:
        sys.print_exception(error)
        print("Mote restarts in {} s; Ctrl-C for the REPL".format(RESTART_MS // 1000))
        time.sleep_ms(RESTART_MS)
        machine.reset()


def _run(board, machine):
    import random

    import network

    from coap.defaults import for_board
    from coap.transports.udp import Udp
    from network_link import NetworkLink

    access = config.load_secrets(SECRETS_FILE)
    if access is None:
        print("No {} on this board: run `make config`".format(SECRETS_FILE))
        return
    settings = load_settings()
    node = for_board(with_gateway(board.SLOTS, settings), board.RECV_MAX, RATE, True)
    add_apps(node, board, settings)
    log = node.at("diag/log")
    say = log.say if log else print
    name = hostname(machine.unique_id())
    on_open = registration(node, settings, name, say)
    link = NetworkLink(
        network,
        access,
        name,
        board.WIFI_OPTIONS,
        random.randrange,
        say,
    )
    service = Service(
        node, link, lambda: open_udp(node, Udp, say), time.ticks_ms, time.sleep_ms, say, on_open
    )
    # Collect early: a datagram needs one contiguous block, and a full heap has none left.
    gc.collect()
    gc.threshold(gc.mem_free() // 4)
    try:
        while True:
            service.step()
    finally:
        service.close()
        link.close()
