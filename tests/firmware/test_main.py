"""main() as a whole, on a board of fakes: who gets the REPL, who serves, who starts anew."""

import os
import sys

import startup
from coap import Resource
from fake_radio import AccessPoint, FakeNetwork
from support import raises


class Clock:
    """Stands in for the module time: sleeping takes none."""

    def __init__(self):
        self.now_ms = 0

    def ticks_ms(self):
        return self.now_ms

    def sleep_ms(self, ms):
        self.now_ms += ms


class BoardMachine:
    def __init__(self):
        self.resets = 0

    def reset_cause(self):
        return 1  # power-on

    def unique_id(self):
        return b"\x24\x0a\xc4\x00\xc0\xde"

    def reset(self):
        self.resets += 1


class BoardModule:
    SLOTS = {"remembered": 4, "exchanges": 2, "peers": 4, "observers": 1, "blocks": 0}
    RECV_MAX = 512
    WIFI_OPTIONS = {"reconnects": 2}

    def __init__(self, pressed=False):
        self.pressed = pressed

    def boot_button_pressed(self):
        return self.pressed


class UdpModule:
    """Stands in for coap.transports.udp: Ctrl-C comes at the third step."""

    def __init__(self):
        self.nodes = []
        self.log = []
        self.Udp = self.open  # a method itself cannot be imported

    def open(self, node):
        self.nodes.append(node)
        return self

    def step(self, _max_ms):
        self.log.append("step")
        if len(self.log) == 3:
            raise KeyboardInterrupt

    def close(self):
        self.log.append("close")


class Start:
    """Runs startup.main() on a board of fakes; `secrets` is the file's content, None: no file."""

    def __init__(self, secrets=b'{"ssid": "attic"}', pressed=False, add_apps=None):
        self.clock = Clock()
        self.machine = BoardMachine()
        self.network = FakeNetwork()
        self.network.access_point = AccessPoint(delay_ms=0)
        self.udp = UdpModule()
        self.apps = []
        self.add_apps = add_apps or self.note_apps
        self.secrets = secrets
        self.modules = {
            "board": BoardModule(pressed),
            "machine": self.machine,
            "network": self.network,
            "coap.transports.udp": self.udp,
        }

    def note_apps(self, node, _board, settings):
        self.apps.append((node, settings.app))

    def run(self):
        secrets_file = "build-test-secrets.json"
        if self.secrets is not None:
            with open(secrets_file, "wb") as file:
                file.write(self.secrets)
        before = {name: sys.modules.get(name) for name in self.modules}
        kept = (startup.time, startup.add_apps, startup.SECRETS_FILE)
        sys.modules.update(self.modules)
        startup.time, startup.add_apps = self.clock, self.add_apps
        startup.SECRETS_FILE = secrets_file
        if not hasattr(sys, "print_exception"):  # CPython
            sys.print_exception = print
        try:
            startup.main()
        finally:
            startup.time, startup.add_apps, startup.SECRETS_FILE = kept
            for name, module in before.items():
                if module is None:
                    del sys.modules[name]
                else:
                    sys.modules[name] = module
            if self.secrets is not None:
                os.remove(secrets_file)
        return self


def test_a_node_starts_joins_and_serves_until_ctrl_c():
    start = Start()
    raises(KeyboardInterrupt, start.run)
    assert start.clock.now_ms >= 3000
    assert start.network.name == "mote-c0de"
    assert start.udp.nodes == [start.apps[0][0]]
    assert start.apps[0][1] == "both"
    assert start.udp.log == ["step", "step", "step", "close"]
    assert start.network.radio.on is False
    assert start.machine.resets == 0


def test_what_the_link_says_is_kept_in_the_log():
    said = []

    class Log(Resource):
        def say(self, line):
            said.append(line)

    def add_log(node, _board, _settings):
        node.add("diag/log", Log())

    raises(KeyboardInterrupt, Start(add_apps=add_log).run)
    assert len(said) == 1 and "mote-c0de.local" in said[0]


def test_without_wifi_access_the_repl_is_left_alone():
    start = Start(secrets=None).run()
    assert start.network.radio.attempts == []
    assert start.machine.resets == 0


def test_the_button_leaves_the_repl_alone():
    start = Start(pressed=True).run()
    assert start.clock.now_ms == 0
    assert start.apps == []


def test_a_broken_application_restarts_the_node_after_a_pause():
    def broken(_node, _board, _settings):
        raise RuntimeError("on purpose")

    start = Start(add_apps=broken).run()
    assert start.machine.resets == 1
    assert start.clock.now_ms == 13000


def test_wrong_wifi_access_restarts_the_node_too():
    assert Start(secrets=b'{"ssid": ""}').run().machine.resets == 1
