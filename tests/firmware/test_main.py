"""main() as a whole, on a board of fakes: who gets the REPL, who serves, who starts anew."""

import os
import sys

import startup
from coap import Resource
from config import Settings
from fake_radio import AccessPoint, FakeNetwork
from support import cases, raises


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
        self.Udp, self.peer = self.open, self.address  # methods themselves cannot be imported

    def open(self, node):
        self.nodes.append(node)
        return self

    def address(self, host, port):
        return host, port

    def step(self, _max_ms):
        self.log.append("step")
        if len(self.log) == 3:
            raise KeyboardInterrupt

    def close(self):
        self.log.append("close")


class GroupModule:
    """Stands in for coap.transports.group."""

    def __init__(self, failure=None):
        self.joined = []
        self.failure = failure
        self.Group = self.join

    def join(self, transport):
        if self.failure:
            raise self.failure
        self.joined.append(transport)


class Collector:
    """Stands in for the module gc, which CPython has in another shape."""

    def __init__(self):
        self.thresholds = []

    def collect(self):
        pass

    def mem_free(self):
        return 40000

    def threshold(self, amount):
        self.thresholds.append(amount)


class Start:
    """Runs startup.main() on a board of fakes; `secrets` is the file's content, None: no file."""

    def __init__(self, secrets=b'{"ssid": "attic"}', pressed=False, add_apps=None, **settings):
        self.clock = Clock()
        self.machine = BoardMachine()
        self.network = FakeNetwork()
        self.network.access_point = AccessPoint(delay_ms=0)
        self.udp = UdpModule()
        self.group = GroupModule()
        self.gc = Collector()
        self.apps = []
        self.add_apps = add_apps or self.note_apps
        self.secrets = secrets
        self.settings = Settings()
        self.settings.update(settings)
        self.modules = {
            "board": BoardModule(pressed),
            "machine": self.machine,
            "network": self.network,
            "coap.transports.udp": self.udp,
            "coap.transports.group": self.group,
        }

    def note_apps(self, node, _board, settings):
        self.apps.append((node, settings.app))

    def run(self):
        secrets_file = "build-test-secrets.json"
        if self.secrets is not None:
            with open(secrets_file, "wb") as file:
                file.write(self.secrets)
        before = {name: sys.modules.get(name) for name in self.modules}
        kept = (startup.time, startup.add_apps, startup.SECRETS_FILE, startup.gc)
        load_settings, startup.load_settings = startup.load_settings, lambda: self.settings
        sys.modules.update(self.modules)
        startup.time, startup.add_apps, startup.gc = self.clock, self.add_apps, self.gc
        startup.SECRETS_FILE = secrets_file
        if not hasattr(sys, "print_exception"):  # CPython
            sys.print_exception = print
        try:
            startup.main()
        finally:
            startup.time, startup.add_apps, startup.SECRETS_FILE, startup.gc = kept
            startup.load_settings = load_settings
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
    assert start.group.joined == [start.udp]
    assert start.gc.thresholds == [10000]
    node = start.udp.nodes[0]
    assert node.group is not None and node.exchange.gate.rate == startup.RATE


def test_a_port_without_groups_serves_all_the_same():
    start = Start()
    start.group.failure = OSError(22, "join")
    raises(KeyboardInterrupt, start.run)
    assert start.udp.log == ["step", "step", "step", "close"]


def test_what_the_link_says_is_kept_in_the_log():
    said = []

    class Log(Resource):
        def say(self, line):
            said.append(line)

    def add_log(node, _board, _settings):
        node.add("diag/log", Log())

    raises(KeyboardInterrupt, Start(add_apps=add_log).run)
    assert len(said) == 1 and "mote-c0de.local" in said[0]


def test_a_node_without_a_gateway_has_no_client():
    start = Start()
    raises(KeyboardInterrupt, start.run)
    assert start.udp.nodes[0].client is None


@cases(("coap://192.0.2.7", 5683), ("coap://192.0.2.7:5700", 5700))
def test_a_node_asks_its_gateway_for_the_directory(uri, port):
    start = Start(gateway=uri)
    raises(KeyboardInterrupt, start.run)
    node = start.udp.nodes[0]
    assert node.due(0) == 0
    n = node.due(10)
    assert n and node.peer == ("192.0.2.7", port)
    assert b"rt=core.rd" in bytes(node.out(n))


def test_a_gateway_with_a_name_is_refused_and_the_node_serves():
    said = []

    class Log(Resource):
        def say(self, line):
            said.append(line)

    def add_log(node, _board, _settings):
        node.add("diag/log", Log())

    start = Start(add_apps=add_log, gateway="coap://gateway.local")
    raises(KeyboardInterrupt, start.run)
    assert "numeric IPv4" in said[0]
    node = start.udp.nodes[0]
    node.due(0)
    assert node.due(10) == 0 and start.udp.log[0] == "step"


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
