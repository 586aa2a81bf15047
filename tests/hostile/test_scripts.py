"""Attacks of one party on a node with keys, over real sockets: what others still get."""

import json
import struct
import time

import pytest
from attackers import Attackers, address, segments
from ports import GET, NON, Keys, Port
from processes import simulated

from keys import make as make_keys
from support.engine import decode, encode, request, uint
from support.features import BLOCK1, OBSERVE, block, text

ACK = 2
POST, PUT = 2, 3
CONTENT, CHANGED, CONTINUE, UNAUTHORIZED = 0x45, 0x44, 0x5F, 0x81
QUERY, ACCEPT = 15, 17
SENML_JSON = 110
CONFIG = b'{"heartbeat_s": 60}'
PROBED_S = 25  # after which those that do not respond to a probe are gone


class Attacked:
    """A node, its port, and the client that has keys."""

    def __init__(self, process, made):
        self.process = process
        self.number = process.port
        self.keys = Keys(json.loads((made / "oscore.json").read_text())[0])

    def port(self, host="127.0.0.1"):
        """Return a new port of a host."""
        return Port(self.number, host)

    def toggle(self):
        """Open or close the door."""
        self.process.tell("")

    def protected(self, code=GET, path="config", payload=b"", options=()):
        """Return the code of the response to a protected request from a new port, None if it is
        not protected.
        """
        with self.port() as port:
            _, inner = self.keys.ask(port, code, path, payload, options)
            return inner and inner.code


@pytest.fixture
def node(tmp_path):
    made = make_keys.make("door-1", keys=tmp_path / "keys")
    arguments = ("--rate", "20", "--oscore", str(made / "oscore.json"))
    with simulated("micropython", "door", *arguments) as process:
        yield Attacked(process, made)


def verified(node, host):
    """Return a port that has acknowledged a notification."""
    port = node.port(host)
    token = b"\7"
    assert port.ask(request(GET, "s/contact", token=token, options=[(OBSERVE, b"")])).all(OBSERVE)
    node.toggle()
    message = port.receive(3)
    assert message.kind == 0
    port.acknowledge(message)
    port.ask(request(GET, "s/contact", token=token, options=[(OBSERVE, b"\1")]))
    return port


# A. One party takes what belongs to all


def test_a_client_that_polls_leaves_room_for_another(node):
    with verified(node, "127.0.0.1") as port:
        for _ in range(17):
            assert node.keys.ask(port, GET, "s/contact")[1].code == CONTENT
            time.sleep(0.05)
    assert [node.protected(GET, "s/contact") for _ in range(3)] == [CONTENT] * 3


def test_requests_without_keys_do_not_lock_out_who_has_keys(node):
    assert node.protected() == CONTENT
    with verified(node, address(1)) as port:
        for _ in range(19):
            assert port.ask(request(POST, "config", payload=b"{}")) is not None
    assert [node.protected(PUT, payload=CONFIG) for _ in range(3)] == [CHANGED] * 3
    with node.port() as stranger:
        assert stranger.get("s/contact").code == CONTENT


@pytest.mark.parametrize("count", [8, 32])
def test_forged_registrations_do_not_deny_observe(node, count):
    for number in range(count):
        with node.port(address(number)) as port:
            port.send(request(GET, "s/contact", options=[(OBSERVE, b"")]))
            port.receive()
    with node.port() as port:
        _, inner = node.keys.ask(port, GET, "s/contact", options=[(OBSERVE, b"")])
        assert inner.all(OBSERVE), "with keys"
    with node.port() as port:
        end_s = time.monotonic() + PROBED_S
        while not port.get("s/contact", (OBSERVE, b"")).all(OBSERVE):
            assert time.monotonic() < end_s, "without keys"
            time.sleep(1)


def test_uploads_that_nobody_finishes_do_not_keep_others_from_theirs(node):
    assert node.protected() == CONTENT
    for number in range(4):
        with node.port(address(number)) as port:
            options = [block(BLOCK1, 0, 1), (QUERY, b"%d" % number)]
            for code in (GET, PUT):
                port.ask(request(code, "s/contact", options=options, payload=text(64)))
    body = CONFIG.ljust(32)
    with node.port() as port:
        codes = []
        for number, piece in enumerate((body[:16], body[16:])):
            options = [(12, b"\x32"), block(BLOCK1, number, 1 - number, 0)]
            codes.append(node.keys.ask(port, PUT, "config", piece, options)[1].code)
    assert codes == [CONTINUE, CHANGED]
    with node.port(address(9)) as port:
        datagram = request(GET, "s/contact", options=[block(BLOCK1, 0, 1)], payload=text(64))
        assert port.ask(datagram).code in (0x80, 0x82)


def test_a_host_with_many_ports_leaves_others_their_share(node):
    assert node.protected() == CONTENT
    held = [verified(node, address(1)) for _ in range(16)]
    noisy = node.port(address(1))
    codes = []
    for _ in range(20):
        for _ in range(10):
            noisy.send(request(GET, "s/contact", NON))
        with node.port(address(2)) as port:
            codes.append(port.get("s/contact") is not None)
        codes.append(node.protected(GET, "s/contact") == CONTENT)
    for port in [noisy, *held]:
        port.__exit__()
    assert sum(codes) >= 0.97 * len(codes), codes


def test_ever_new_ports_of_one_host_have_one_rate(node):
    ports = [node.port(address(1)) for _ in range(400)]
    served = 0
    start_s = time.monotonic()
    while time.monotonic() - start_s < 3:
        for port in ports:
            port.send(request(GET, "s/contact"))
            time.sleep(0.0005)
    for port in ports:
        while message := port.receive(0.001):
            served += message.code == CONTENT
        port.__exit__()
    assert served <= 2 * (40 + 4 * 20), f"{served} in 3 s at a rate of 20"


# B. Trust that was not earned


@pytest.mark.parametrize(
    ("path", "accept"), [(".well-known/core", None), ("diag", SENML_JSON), ("s/contact", 112)]
)
def test_a_flood_of_forged_addresses_gets_no_more_than_the_budget(node, path, accept):
    def forged(chance, _):
        options = [*segments(path), *([(ACCEPT, uint(accept))] if accept else [])]
        return encode(0, GET, chance.randrange(65536), b"", options)

    with Attackers(node.number, 300) as attackers:
        attackers.run(500, 5, forged)
        attackers.run(0, 0.2)
        assert sum(one.received_bytes for one in attackers.all) > 0
        assert attackers.beyond <= 8192 + 1152


def test_who_reads_the_mids_of_others_can_not_acknowledge_for_a_victim(node):
    """The victim's port sends what is forged, and reads nothing."""
    with node.port(address(1)) as victim, node.port(address(2)) as attacker:
        victim.send(request(GET, "s/contact", options=[(OBSERVE, b""), (QUERY, b"c.pmax=1")]))
        time.sleep(1.5)
        for _ in range(3):
            attacker.send(request(GET, "s/batt", NON))
            mid = attacker.receive().mid
            for distance in range(-32, 33):
                victim.send(encode(ACK, 0, mid + distance & 0xFFFF))
            time.sleep(2)
        got = []
        while message := victim.receive(0.1):
            got.append(message)
        notifications = [message for message in got if message.kind < 2 and message.code]
        assert len({message.mid for message in notifications}) <= 1, "a stream to a victim"


def test_a_forged_request_does_not_block_a_genuine_one(node):
    with node.port() as port:
        assert node.keys.ask(port, GET, "config")[1].code == CONTENT
        forged = request(PUT, "config", mid=500, token=b"zz", payload=b"q")
        assert port.ask(forged).code == UNAUTHORIZED
        plain = request(
            PUT, "config", mid=500, token=b"yy", options=[(12, b"\x32")], payload=CONFIG
        )
        outer = port.ask(node.keys.end.request(plain))
        assert outer.token == b"yy"
        assert node.keys.end.inner(outer).code == CHANGED


def test_a_protected_request_is_executed_once_from_any_address(node):
    with node.port() as port, node.port(address(1)) as other:
        assert node.keys.ask(port, GET, "config")[1].code == CONTENT
        datagram = node.keys.end.request(
            request(PUT, "config", options=[(12, b"\x32")], payload=CONFIG)
        )
        assert node.keys.end.inner(port.ask(datagram)).code == CHANGED
        assert other.ask(datagram).code == UNAUTHORIZED
        other.send(struct.pack(">BBH", 0x40, 0, 1))
        assert decode(b"\x70\0\0\1").kind == other.receive().kind
