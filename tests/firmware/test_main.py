"""main() as a whole on fake boards: REPL, service, restarts, safe mode."""

import os
import sys

import config
import recovery
import startup
from coap import Resource
from config import Settings
from support import cases, raises
from support.fake_radio import AccessPoint, FakeNetwork

SETTINGS_FILE = "build-test-settings.json"
SECRETS_FILE = "build-test-secrets.json"
BATTERY = {"power": "battery", "app": "door", "gateway": "coap://192.0.2.7"}


class Clock:
    """Stands in for the module time: sleeping takes none."""

    def __init__(self):
        self.now_ms = 0

    def ticks_ms(self):
        return self.now_ms

    def sleep_ms(self, ms):
        self.now_ms += ms


class Button:
    """The pin of the BOOT button."""

    IN = PULL_UP = 0
    held = False

    def __init__(self, id, mode, pull):
        assert id == BoardModule.BOOT_PIN

    def value(self):
        return 0 if self.held else 1


class BoardMachine:
    Pin = Button

    def __init__(self, pressed):
        Button.held = pressed
        self.resets = 0
        self.timeouts = []
        self.fed = 0

    def reset_cause(self):
        return 1  # power-on

    def unique_id(self):
        return b"\x24\x0a\xc4\x00\xc0\xde"

    def reset(self):
        self.resets += 1

    def WDT(self, timeout):
        self.timeouts.append(timeout)
        return self

    def feed(self):
        self.fed += 1


class BoardModule:
    SLOTS = {"dedup_entries": 4, "exchanges": 2, "peers": 4, "observers": 1, "blocks": 0}
    RECV_MAX = 512
    WIFI_OPTIONS = {"reconnects": 2}
    BOOT_PIN = 9


class UdpModule:
    """Stands in for coap.transports.udp: Ctrl-C comes at the third step."""

    def __init__(self):
        self.nodes = []
        self.log = []
        self.on_step = None
        self.Udp, self.peer = self.open, self.address  # methods themselves cannot be imported

    def open(self, node):
        self.nodes.append(node)
        return self

    def address(self, host, port):
        return host, port

    def step(self, _max_ms):
        self.log.append("step")
        if self.on_step is not None:
            self.on_step()
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
    """Runs startup.main() on a board of fakes; `secrets` is the file's content, None: no file;
    `content` that of the settings, in place of `settings`, and b"" for no file.
    """

    def __init__(
        self,
        secrets=b'{"ssid": "attic"}',
        pressed=False,
        add_apps=None,
        content=None,
        good=None,
        **settings,
    ):
        self.good = good  # the access that was the last good one, beside the settings at hand
        self.left = {}  # content of the files at the end
        self.clock = Clock()
        self.machine = BoardMachine(pressed)
        self.network = FakeNetwork()
        self.network.access_point = AccessPoint(delay_ms=0)
        self.udp = UdpModule()
        self.group = GroupModule()
        self.gc = Collector()
        self.apps = []
        self.add_apps = add_apps or self.note_apps
        self.secrets = secrets
        chosen = Settings()
        chosen.update(settings)
        self.content = chosen.as_json() if content is None else content
        self.modules = {
            "board": BoardModule(),
            "machine": self.machine,
            "network": self.network,
            "coap.transports.udp": self.udp,
            "coap.transports.group": self.group,
        }

    def note_apps(self, node, _board, settings):
        self.apps.append((node, settings.app))

    def run(self):
        files = [(SETTINGS_FILE, self.content or None), (SECRETS_FILE, self.secrets)]
        if self.good is not None:
            files += ((SETTINGS_FILE + ".good", self.content), (SECRETS_FILE + ".good", self.good))
        for path, content in files:
            if content is not None:
                with open(path, "wb") as file:
                    file.write(content)
        before = {name: sys.modules.get(name) for name in self.modules}
        kept = (startup.time, startup.add_apps, startup.SECRETS_FILE, startup.gc)
        settings_file, startup.SETTINGS_FILE = startup.SETTINGS_FILE, SETTINGS_FILE
        sys.modules.update(self.modules)
        startup.time, startup.add_apps, startup.gc = self.clock, self.add_apps, self.gc
        startup.SECRETS_FILE = SECRETS_FILE
        if not hasattr(sys, "print_exception"):  # CPython
            sys.print_exception = print
        try:
            startup.main()
        finally:
            startup.time, startup.add_apps, startup.SECRETS_FILE, startup.gc = kept
            startup.SETTINGS_FILE = settings_file
            for name, module in before.items():
                if module is None:
                    del sys.modules[name]
                else:
                    sys.modules[name] = module
            for path in (SETTINGS_FILE, SECRETS_FILE):
                for name in (path, path + ".good"):
                    try:
                        with open(name, "rb") as file:
                            self.left[name] = file.read()
                        os.remove(name)
                    except OSError:
                        pass
        return self


def test_a_node_starts_joins_and_serves_until_ctrl_c():
    start = Start()
    raises(KeyboardInterrupt, start.run)
    assert start.clock.now_ms >= 5000
    assert start.network.name == "mote-c0de"
    assert start.udp.nodes == [start.apps[0][0]]
    assert start.apps[0][1] == "both"
    assert start.udp.log == ["step", "step", "step", "close"]
    assert start.network.radio.on is False
    assert start.machine.resets == 0
    assert start.group.joined == [start.udp]
    assert start.gc.thresholds == [10000]
    node = start.udp.nodes[0]
    assert node.group is not None and node.messaging.rate_limiter.rate == startup.RATE


def test_port_without_multicast_serves_unicast():
    start = Start()
    start.group.failure = OSError(22, "join")
    raises(KeyboardInterrupt, start.run)
    assert start.udp.log == ["step", "step", "step", "close"]


def test_link_messages_are_logged():
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
def test_node_registers_with_its_gateway(uri, port):
    start = Start(gateway=uri)
    raises(KeyboardInterrupt, start.run)
    node = start.udp.nodes[0]
    assert node.due(0) == 0
    n = node.due(10)
    assert n and node.peer == ("192.0.2.7", port)
    assert b"rt=core.rd" in bytes(node.tx_view(n))


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


def test_missing_wifi_credentials_leave_the_repl():
    start = Start(secrets=None).run()
    assert start.network.radio.attempts == []
    assert start.machine.resets == 0


class SerialLine:
    """Stands in for a Slipmux: Ctrl-C comes at the third step."""

    shared = True

    def __init__(self):
        self.log = []

    def step(self, _max_ms):
        self.log.append("step")
        if len(self.log) == 3:
            raise KeyboardInterrupt

    def beside(self, transport):
        self.log.append("beside")

    def close(self):
        self.log.append("close")


@cases((None, 3), (b'{"ssid": ""}', 3), (b'{"ssid": "attic"}', 1))
def test_serial_line_is_served_whatever_the_wifi_credentials(secrets, steps):
    line = SerialLine()
    kept = startup.links.open_line
    startup.links.open_line = lambda _board, _node: line
    start = Start(secrets=secrets)
    try:
        raises(KeyboardInterrupt, start.run)
    finally:
        startup.links.open_line = kept
    assert start.machine.resets == 0
    if steps == 3:
        assert line.log == ["step", "step", "step", "close"]
        assert start.network.radio.attempts == []
    else:
        assert line.log == ["step", "beside", "close"]  # once while it joins
        assert start.udp.log == ["step", "step", "step", "close"]


def test_the_watchdog_is_fed_by_the_loop_and_ends_with_it():
    start = Start()
    raises(KeyboardInterrupt, start.run)
    # the last step was Ctrl-C; then it gets a time of many days
    assert start.machine.fed >= 2 and start.machine.timeouts == [60000, 2000000000]


def log_of(start):
    """What the node says of safe mode in /diag, and how its run ended."""
    found = []

    def add_diag(node, _board, _settings):
        node.add("diag", Resource())
        found.append(node.resource_at("diag"))

    start.add_apps = add_diag
    raises(KeyboardInterrupt, start.run)
    return getattr(found[0], "safe_mode", "")


@cases(
    ({"pressed": True}, "BOOT"),
    ({"content": b"{"}, "build-test-settings.json: must be"),
    ({"content": b'{"heartbeat_s": 5}'}, "heartbeat_s"),
    ({"content": b""}, "no build-test-settings.json"),
    ({"power": "battery"}, "app door"),
    ({"power": "battery", "app": "door"}, "gateway"),
    ({"power": "battery", "app": "door", "gateway": "coap://gw.local"}, "gateway"),
)
def test_safe_mode_serves_without_a_watchdog_and_says_why(options, why):
    start = Start(**options)
    assert why in log_of(start)
    assert start.machine.timeouts == [] and start.udp.log == ["step", "step", "step", "close"]


def test_valid_settings_do_not_cause_safe_mode():
    assert log_of(Start()) == ""


@cases(
    ({"pressed": True}, 2, 1),
    ({"pressed": True}, 4, 0),
    (dict(BATTERY, pressed=True), 2, 1),
    ({"content": b"{"}, 2, 0),
    ({"power": "battery"}, 2, 0),
)
def test_safe_mode_ends_unless_settings_caused_it(options, part, resets):
    start = Start(**options)

    def step():
        start.clock.now_ms += recovery.SAFE_MS // part

    start.udp.on_step = step
    raises(KeyboardInterrupt, start.run)  # at the third step: two have ended
    assert start.machine.resets == resets


def test_exception_in_safe_mode_leaves_the_repl_for_long():
    def broken(_node, _board, _settings):
        raise RuntimeError("on purpose")

    start = Start(pressed=True, add_apps=broken).run()
    assert start.machine.resets == 1
    assert start.clock.now_ms >= recovery.SAFE_MS


def test_failing_application_restarts_the_node_after_a_pause():
    def broken(_node, _board, _settings):
        raise RuntimeError("on purpose")

    start = Start(add_apps=broken).run()
    assert start.machine.resets == 1
    assert start.clock.now_ms == 15000


@cases({}, BATTERY)
def test_invalid_wifi_credentials_are_logged_and_leave_the_repl(settings):
    said = []

    class Log(Resource):
        def say(self, line):
            said.append(line)

    def add_log(node, _board, _settings):
        node.add("diag/log", Log())

    start = Start(secrets=b'{"ssid": ""}', add_apps=add_log, **settings).run()
    assert start.machine.resets == 0 and start.machine.timeouts == []
    assert said[0].startswith("safe mode: ") and "ssid" in said[0]


@cases({}, BATTERY)
def test_invalid_wifi_credentials_are_rolled_back(settings):
    good = b'{"ssid": "attic"}'
    start = Start(secrets=b'{"ssid": "at', good=good, **settings).run()
    assert start.machine.resets == 1 and start.left[SECRETS_FILE] == good
    assert start.clock.now_ms == 5000, "at once"


class Flash:
    """A flash that is full, or of which nothing can be read: open() of the modules there."""

    def __init__(self, number, modes):
        self.number = number
        self.modes = modes

    def open(self, path, mode="r"):
        if mode in self.modes and ".good" not in path:
            raise OSError(self.number)
        return open(path, mode)

    def __enter__(self):
        config.open = recovery.open = self.open
        return self

    def __exit__(self, *_error):
        del config.open, recovery.open


@cases({}, BATTERY)
def test_on_a_full_flash_broken_credentials_lead_to_safe_mode(settings):
    said = []

    class Log(Resource):
        def say(self, line):
            said.append(line)

    def add_log(node, _board, _settings):
        node.add("diag/log", Log())

    start = Start(secrets=b'{"ssid": "at', good=b'{"ssid": "attic"}', add_apps=add_log, **settings)
    with Flash(28, ("w", "wb")):
        start.run()
    assert start.machine.resets == 0 and start.machine.timeouts == []
    assert said[0].startswith("safe mode: ") and SECRETS_FILE in said[0]


@cases({}, BATTERY)
def test_files_that_can_not_be_read_lead_to_safe_mode(settings):
    said = []

    class Log(Resource):
        def say(self, line):
            said.append(line)

    def add_log(node, _board, _settings):
        node.add("diag/log", Log())

    start = Start(add_apps=add_log, **settings)
    with Flash(5, ("rb",)):
        start.run()
    assert start.machine.resets == 0 and start.machine.timeouts == []
    assert said[0].startswith("safe mode: ") and SETTINGS_FILE in said[0]


@cases(
    {"content": b"[" * 30000},
    {"content": b'{"name":' * 4000},
    {"content": b"{" + b" " * 30000 + b"}"},
    {"secrets": b"[" * 30000},
    {"secrets": b"[" * 2000},
)
def test_files_that_exhaust_the_memory_lead_to_safe_mode(files):
    safe = []

    class Diag(Resource):
        safe_mode = ""

        def bind(self, node, path):
            super().bind(node, path)
            safe.append(self)

    start = Start(add_apps=lambda node, _board, _settings: node.add("diag", Diag()), **files)
    if "secrets" in files:
        start.run()
    else:
        raises(KeyboardInterrupt, start.run)
    assert start.machine.resets == 0 and start.machine.timeouts == []
    assert (SECRETS_FILE if "secrets" in files else SETTINGS_FILE) in safe[0].safe_mode


def test_settings_that_reach_the_network_are_confirmed():
    start = Start()
    raises(KeyboardInterrupt, start.run)
    assert start.left[SECRETS_FILE + ".good"] == start.secrets
    assert start.left[SETTINGS_FILE + ".good"] == start.left[SETTINGS_FILE]


@cases(True, False)
def test_settings_that_never_reach_the_gateway_are_rolled_back(waits):
    good = b'{"ssid": "cellar"}'
    start = Start(good=good, gateway="coap://192.0.2.7")

    def step():
        start.clock.now_ms += recovery.TRIAL_MS if waits else recovery.TRIAL_MS // 4

    start.udp.on_step = step
    raises(KeyboardInterrupt, start.run)
    assert start.machine.resets == (1 if waits else 0)
    assert start.left[SECRETS_FILE] == (good if waits else start.secrets)
    assert start.left[SECRETS_FILE + ".good"] == good
