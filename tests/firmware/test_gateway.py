"""Registration with the gateway's resource directory: address, endpoint name, times."""

import coap.transports.udp as udp
import gateway
from coap.client import Client
from coap.link_format import WellKnownCore
from coap.numbers import ACK, CONTENT, CREATED, GET, POST
from config_schema import is_numeric
from support import cases, raises
from support.engine import Peer, encode
from support.features import Value, seeded
from support.lossy_link import LossyLink


@cases(
    ("coap://192.168.1.2", "192.168.1.2", 5683),
    ("coap://192.168.1.2:61616", "192.168.1.2", 61616),
    ("coap://gateway.local:5700", "gateway.local", 5700),
    ("coap://[fe80::1]", "fe80::1", 5683),
    ("coap://[fe80::1]:5700", "fe80::1", 5700),
)
def test_gateway_uri_is_split(uri, host, port):
    assert gateway.address(uri) == (host, port)


@cases(
    ("coap://192.168.1.2", True),
    ("coap://255.0.0.255:1", True),
    ("coap://256.0.0.1", False),
    ("coap://1.2.3", False),
    ("coap://1.2..3", False),
    ("coap://1.2.3.0004", False),
    ("coap://gateway.local", False),
    ("coap://a.b.c.d", False),
    ("coap://[::1]", False),
)
def test_ipv4_literal_is_recognised(uri, is_so):
    assert is_numeric(uri) is is_so


@cases(
    ("front door", "front door"),
    ("mote", "mote-c0de"),  # what every node is called at first
    ("x" * 63, "x" * 63),
    ("ü" * 32, "mote-c0de"),  # 64 bytes
)
def test_endpoint_name(name, ep):
    assert gateway.endpoint(name, "mote-c0de") == ep


class Net:
    """A node and a directory on a wire, and what the directory is asked."""

    def __init__(self):
        self.node = seeded(WellKnownCore(), Client())
        self.node.add("s/door", Value(b"open"))
        self.wire = LossyLink()
        self.wire.join("node", self.node)
        self.wire.join("rd", Peer(self.wire, self.answer))
        self.asked = []
        self.said = []
        self.names = []
        self.deaf = False
        self.gateway = gateway.Gateway(self.node, "coap://192.0.2.7", "hall", self.said.append)

    def answer(self, message):
        if self.deaf:
            return None
        self.asked.append((message.code, message.all(15)))
        if message.code == GET:
            return encode(
                ACK, CONTENT, message.mid, message.token, [(12, b"\x28")], b'</rd>;rt="core.rd"'
            )
        location = [(8, b"reg"), (8, b"1")]
        return encode(ACK, CREATED, message.mid, message.token, location, b"")

    def peer(self, host, port):
        self.names.append((host, port))
        return "rd"

    def linked(self, span_ms=1000):
        """What the directory is asked when the link is up."""
        self.asked = []
        kept, udp.peer = udp.peer, self.peer
        try:
            self.gateway.linked()
        finally:
            udp.peer = kept
        self.wire.run(span_ms)
        return [code for code, _ in self.asked]


def test_no_registration_before_the_link_is_up():
    net = Net()
    net.wire.run(100_000)
    assert net.asked == [] and net.names == []


def test_registration_when_the_link_is_up():
    net = Net()
    assert net.linked() == [GET, POST]
    assert net.names == [("192.0.2.7", 5683)]
    assert net.asked[1][1] == [b"ep=hall", b"lt=90000"]
    assert net.said == ["directory: registered"]


def test_registration_again_after_a_link_loss():
    # the directory has the node's address from the request
    net = Net()
    net.linked()
    assert net.linked() == [POST]
    assert net.names == [("192.0.2.7", 5683)]


def test_link_recovery_cuts_the_back_off_short():
    net = Net()
    net.deaf = True
    net.linked(10 * 3600 * 1000)
    assert net.said == ["directory: timeout"]
    net.deaf = False
    assert net.linked() == [GET, POST]
    assert net.said[-1] == "directory: registered"


def test_an_unknown_host_is_an_error():
    net = Net()

    def unknown(host, port):
        raise OSError(-2)

    net.peer = unknown
    raises(OSError, net.linked)
