"""How boards are reached: the link and serial line that board.py names, PPP, /wifi."""

import json
import os
import sys

import coap.transports.slipmux as slipmux_module
import config
import links
import startup
from coap.node import Node
from coap.numbers import GET, JSON, PUT
from ppp import PppLink
from serve import Service
from support import cases, raises
from support.engine import ask, due, request
from support.fake_radio import FakeNetwork
from wifi import WifiLink
from wifi_resource import Wifi

CONTENT_FORMAT = 12
ACCESS = b'{"ssid": "attic", "password": "correct horse", "country": "DE"}'
FILE = "build-test-links.json"


class Board:
    """A board.py of these names."""

    WIFI_OPTIONS = {}

    def __init__(self, **names):
        for name in names:
            setattr(self, name, names[name])


PPP_BOARD = Board(LINK="ppp", PPP_UART_ID=1, PPP_TX_PIN=8, PPP_RX_PIN=9)
PICO = Board(LINK="slipmux", SLIPMUX_UART_ID=0, SLIPMUX_TX_PIN=0, SLIPMUX_RX_PIN=1)


class Uart:
    """Stands in for machine.UART, and for the ends of a console."""

    opened = []

    def __init__(self, *numbers, **named):
        self.opened.append((numbers, named))
        self.buffer = self

    def readinto(self, _buf):
        return None

    def write(self, data):
        return len(data)


class Poll:
    def register(self, *_words):
        pass

    unregister = register

    def ipoll(self, _wait_ms):
        return ()


class Machine:
    """Stands in for the module."""

    UART = Uart

    @staticmethod
    def Pin(number):
        return "GP{}".format(number)

    @staticmethod
    def reset():
        raise AssertionError("nobody asked for it")


class Ppp:
    """network.PPP: comes up when it was polled `needs` times after connect()."""

    def __init__(self, uart):
        self.uart = uart
        self.needs = 3
        self.state = 0
        self.log = []

    def poll(self):
        if self.state == 3:
            self.needs -= 1
            if self.needs <= 0:
                self.state = 4

    def connect(self):
        if self.state >= 3:
            raise OSError(114)  # EALREADY
        self.log.append("connect")
        self.state = 3

    def disconnect(self):
        self.log.append("disconnect")
        if self.state != 4:  # else the other end is asked first
            self.state = 0

    def __del__(self):
        self.log.append("del")
        self.state = 0

    def status(self):
        return self.state

    def isconnected(self):
        return self.state == 4

    def ipconfig(self, what):
        assert what == "addr4"
        return ("192.168.7.2", "255.255.255.255")


class PppNetwork(FakeNetwork):
    PPP = Ppp


class modules:
    """`with modules():` boards' modules are the fakes above."""

    def __enter__(self):
        fakes = {"machine": Machine, "network": PppNetwork()}
        self.before = {name: sys.modules.get(name) for name in fakes}
        self.poller = slipmux_module.Poller
        slipmux_module.Poller = Poll
        sys.modules.update(fakes)
        Uart.opened.clear()
        return fakes["network"]

    def __exit__(self, *_error):
        slipmux_module.Poller = self.poller
        for name, module in self.before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


def put_file(content):
    with open(FILE, "wb") as file:
        file.write(content)


# What a board asks for


@cases((Board(),), (Board(LINK="wifi"),))
def test_wifi_link_needs_credentials(board):
    with modules():
        assert links.choose(board, "mote", FILE, print) is None
        put_file(ACCESS)
        try:
            assert isinstance(links.choose(board, "mote", FILE, print), WifiLink)
            put_file(b'{"ssid": ""}')
            raises(ValueError, links.choose, board, "mote", FILE, print)
        finally:
            os.remove(FILE)


def test_ppp_link_needs_no_credentials():
    with modules() as network:
        link = links.choose(PPP_BOARD, "mote-c0de", FILE, print)
        assert isinstance(link, PppLink)
        assert network.name == "mote-c0de"
    assert Uart.opened[0][0] == (1, 115200)
    assert (Uart.opened[0][1]["tx"], Uart.opened[0][1]["rx"]) == ("GP8", "GP9")
    assert Uart.opened[0][1]["rxbuf"] >= 1500  # a whole packet, while the node is busy


def test_board_without_network_gets_a_serial_line():
    with modules():
        assert links.choose(PICO, "mote", FILE, print) is None
        line = links.open_line(PICO, Node())
        assert not line.shared and not line.waits
        assert Uart.opened[0][0] == (0, 115200)
        assert links.open_line(Board(LINK="wifi"), Node()) is None


def test_the_console_is_shared_with_the_repl():
    with modules():
        before = sys.stdin, sys.stdout
        if sys.implementation.name == "cpython":  # boards have these with a plain buffer
            sys.stdin = sys.stdout = Uart()
        try:
            line = links.open_line(Board(SLIPMUX="console"), Node())
            assert line.shared and line.waits
            line.close()
        finally:
            if sys.implementation.name == "cpython":
                sys.stdin, sys.stdout = before


# PPP


class Chain:
    """A PppLink on the fakes, polled every 10 ms."""

    def __init__(self):
        self.network = PppNetwork()
        self.lines = []
        self.link = PppLink(self.network, "uart", "mote", self.lines.append)
        self.ppp = self.link._ppp
        self.now_ms = 0

    def run(self, span_ms):
        for _ in range(span_ms // 10):
            self.link.poll(self.now_ms & 0x3FFFFFFF)
            self.now_ms += 10
        return self.link.up


@cases(0, 0x3FFFFFFF - 15)
def test_ppp_link_comes_up_and_is_logged(start_ms):
    chain = Chain()
    chain.now_ms = start_ms
    assert chain.run(100)
    assert (chain.link.joins, chain.link.address) == (1, "192.168.7.2")
    assert chain.lines == ["PPP: 192.168.7.2 is mote"]
    assert chain.ppp.log == ["connect"]


def test_ppp_is_tried_again_after_a_refusal_and_after_a_loss():
    chain = Chain()
    chain.ppp.needs = 1000
    chain.run(100)
    chain.ppp.state, chain.ppp.needs = -5, 3  # lwIP gave up
    assert not chain.run(1000)
    assert chain.ppp.log == ["connect"] and "no response (error 5)" in chain.lines[0]
    assert chain.run(2000) and chain.ppp.log == ["connect", "connect"]
    chain.ppp.state, chain.ppp.needs = -9, 3
    assert not chain.run(1000)
    assert chain.link.losses == 1 and chain.lines[-1] == "PPP: link lost"
    assert chain.run(3000) and chain.link.joins == 2


def test_busy_ppp_is_retried_later():
    chain = Chain()
    chain.ppp.state, chain.ppp.needs = 3, 500
    assert not chain.run(3000)
    assert "114" in chain.lines[0] or "EALREADY" in chain.lines[0]
    assert chain.run(5000)


def test_bytes_for_ppp_are_fed_from_the_steps_of_udp():
    watched = []

    class FakeUdp:
        def watch(self, stream, callback):
            watched.append((stream, callback))

    chain = Chain()
    chain.run(20)
    chain.link.attach(FakeUdp())
    assert watched[0][0] == "uart"
    while not chain.ppp.isconnected():
        watched[0][1]("uart")
    chain.link.close()
    assert not chain.link.up and chain.ppp.state == 0
    assert chain.ppp.log == ["connect", "del"], "lwIP keeps what waits for the other end"


def test_close_ends_ppp_before_it_is_up():
    chain = Chain()
    chain.run(10)
    chain.link.close()
    assert chain.ppp.state == 0 and chain.ppp.log == ["connect", "disconnect"]


# The line beside the link


class Line:
    """Stands in for a Slipmux."""

    shared = False

    def __init__(self, log):
        self.log = log

    def step(self, max_ms):
        assert 0 < max_ms <= 250
        self.log.append("line")

    def beside(self, transport):
        self.log.append("beside")

    def alone(self):
        self.log.append("alone")

    def close(self):
        self.log.append("closed")


class Link:
    step_ms = 250

    def __init__(self, states):
        self.states = list(states)

    def poll(self, _now_ms):
        return self.states.pop(0)


class Transport:
    def __init__(self, log):
        self.log = log

    def step(self, _max_ms):
        self.log.append("step")

    def reopen(self):
        self.log.append("reopen")

    def close(self):
        self.log.append("close")


def served(link, steps):
    log = []
    service = Service(Node(), link, lambda: Transport(log), lambda: 0, log.append)
    service.line = Line(log)
    for _ in range(steps):
        service.step()
    service.close()
    return log


def test_serial_line_is_served_with_and_without_network():
    assert served(Link([False, True, True, False, True]), 5) == (
        "line beside step step alone line reopen beside step closed close".split()
    )


def test_node_with_only_a_serial_line():
    assert served(None, 2) == ["line", "line", "closed"]


# /wifi


class Provisioned:
    def __init__(self):
        self.node = Node()
        self.restarts = []
        self.node.add("wifi", Wifi("line", FILE, lambda: self.restarts.append(1)))

    def put(self, content, peer="line"):
        options = ((CONTENT_FORMAT, bytes((JSON,))),)
        return ask(self.node, request(PUT, "wifi", options=options, payload=content), peer)

    def stored(self):
        try:
            with open(FILE, "rb") as file:
                content = json.loads(file.read())
        except OSError:
            return None
        os.remove(FILE)
        return content


def test_wifi_credentials_over_the_line_are_stored_and_restart_the_node():
    wifi = Provisioned()
    assert wifi.put(ACCESS).code == 0x44
    assert wifi.stored() == json.loads(ACCESS)
    due(wifi.node, 500)
    assert wifi.restarts == []
    due(wifi.node, 1500)
    assert wifi.restarts == [1]


@cases("10.0.0.7", (("10.0.0.7", 5683),), b"\x02\x00")
def test_wifi_credentials_from_the_network_are_refused(peer):
    wifi = Provisioned()
    answer = wifi.put(ACCESS, peer)
    assert answer.code == 0x83 and b"serial line" in answer.payload
    assert wifi.stored() is None
    due(wifi.node, 5000)
    assert wifi.restarts == []


@cases(
    (b"", b"JSON"),
    (b"[]", b"JSON object"),
    (b'{"ssid": ""}', b"ssid"),
    (b'{"ssid": "attic", "password": "short"}', b"password"),
    (b'{"ssid": "attic", "other": 1}', b"other"),
)
def test_invalid_wifi_credentials_are_refused_by_field(content, field):
    wifi = Provisioned()
    answer = wifi.put(content)
    assert answer.code == 0x80 and field in answer.payload and b"short" not in answer.payload
    assert wifi.stored() is None


def test_wifi_credentials_cannot_be_read():
    wifi = Provisioned()
    assert ask(wifi.node, request(GET, "wifi"), "line").code == 0x85


def test_wifi_credentials_that_cannot_be_stored():
    wifi = Provisioned()
    kept = config.save_secrets

    def full(_path, _fields):
        raise OSError(28)

    config.save_secrets = full
    try:
        assert wifi.put(ACCESS).code == 0xA0
    finally:
        config.save_secrets = kept
    due(wifi.node, 5000)
    assert wifi.restarts == []


@cases((Board(SLIPMUX="console"), True), (PICO, False))
def test_wifi_resource_exists_on_wifi_boards_only(board, there):
    with modules():
        kept = links.open_line
        links.open_line = lambda _board, node: Line([])
        try:
            node = Node()
            startup.open_line(node, board, Machine if there else None)
            assert (node.resource_at("wifi") is not None) == there
        finally:
            links.open_line = kept


def test_log_lines_go_over_a_dedicated_serial_line():
    said = []
    line = Line([])
    line.say = said.append
    tell = startup.make_logger(Node(), line)
    tell("up")
    line.shared = True
    assert startup.make_logger(Node(), line) is print
    assert said == ["up"]
