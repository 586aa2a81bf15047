"""A node on a serial line, as clients on UDP see it through the bridge."""

import contextlib
import os
import pty
import select
import socket
import subprocess
import sys
import tty
from pathlib import Path

import libcoapclient
import pytest
from processes import HOST, ROOT, free_port, running

from coap.numbers import ACK, CON, GET, NON, POST, RST
from setup.interpreter import find
from support.engine import decode, encode, uint

URI_PATH, OBSERVE = 11, 6
NODE = Path(__file__).with_name("console_node.py")
GOODBYE_S = 60


def node_command(interpreter):
    """(program, environment) of an interpreter that finds the library."""
    lib, shim = str(ROOT / "lib"), str(ROOT / "tools" / "cpython")
    if interpreter == "cpython":
        return sys.executable, {"PYTHONPATH": f"{shim}:{lib}", "PYTHONUNBUFFERED": "1"}
    return str(ROOT / find()[0].path), {"MICROPYPATH": f"{lib}:.frozen"}


@contextlib.contextmanager
def node_on(line, interpreter, udp_port):
    """A node whose console is this file descriptor; it ends by Ctrl-C, outside of frames."""
    program, environ = node_command(interpreter)
    process = subprocess.Popen(
        [program, str(NODE), str(udp_port)],
        stdin=line,
        stdout=line,
        env={**os.environ, **environ},
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(GOODBYE_S)


@pytest.fixture(scope="module", params=["micropython", "cpython"])
def bridged(request):
    """The bridge to a node; `udp_port` is the node's own port."""
    line, far = pty.openpty()
    tty.setraw(far)
    port, udp_port = free_port(), free_port()
    command = [sys.executable, ROOT / "tools" / "host", "slipmux", os.ttyname(far), "--port", port]
    name = f"bridge to {request.param}"
    with running(name, command, port, lambda bridge: "ready" in bridge.printed) as bridge:
        with node_on(line, request.param, udp_port) as node:
            bridge.wait_for(bridge.answers_ping, "answer of the node")
            bridge.node, bridge.line, bridge.udp_port = node, line, udp_port
            bridge.far = far
            yield bridge
            os.close(far)
    os.close(line)


class Client:
    """A client that says what we want it to say."""

    def __init__(self, port):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.connect((HOST, port))
        self.sock.settimeout(60)
        self.confirmed = set()  # the MIDs of messages that were acknowledged

    def send(self, *message):
        self.sock.send(encode(*message))

    def receive(self):
        """The next message; a CON that was sent again, for an ACK is late, only gets another."""
        while True:
            message = decode(self.sock.recv(2048))
            if message.kind != CON or message.mid not in self.confirmed:
                return message
            self.send(ACK, 0, message.mid)

    def ask(self, *message):
        self.send(*message)
        return self.receive()

    def close(self):
        self.sock.close()


@pytest.fixture
def clients(bridged):
    made = [Client(bridged.port), Client(bridged.port), Client(bridged.udp_port)]
    yield made
    for client in made:
        client.close()


def test_libcoap_asks_through_the_bridge(bridged):
    url = f"coap://{HOST}:{bridged.port}"
    assert "count" in libcoapclient.request(f"{url}/.well-known/core").payload.decode()
    exchange = libcoapclient.request(f"{url}/all")  # in two blocks
    assert exchange.payload == bytes(range(256)) * 5
    assert libcoapclient.request(f"{url}/nothing").response.code == "4.04"


def test_what_the_node_says_is_shown(bridged, clients):
    assert "at your service\n" in bridged.printed
    clients[0].ask(CON, POST, 1, b"t", [(URI_PATH, b"count")])
    bridged.wait_for(lambda: "posted " in bridged.printed, "the node's own words")


def test_clients_with_the_same_numbers_do_not_meet(clients):
    first, second, _ = clients
    path = [(URI_PATH, b"count")]
    before = int(first.ask(CON, GET, 70, b"", path).payload)
    message = (CON, POST, 7, b"\1\2\3", path)
    answers = [first.ask(*message), second.ask(*message)]
    repeated = first.ask(*message)
    assert [(one.mid, one.token) for one in [*answers, repeated]] == [(7, b"\1\2\3")] * 3
    # executed for each, and once for each
    assert int(second.ask(CON, GET, 71, b"", path).payload) == before + 2


def notified(clients):
    """The notification of each client, acknowledged as it comes.

    To the node two of them are one peer, so it waits for one's ACK before it tells the other.
    """
    told = {}
    while len(told) < len(clients):
        ready, _, _ = select.select([client.sock for client in clients], [], [], 60)
        assert ready, "a notification is missing"
        for client in clients:
            if client.sock in ready and (message := client.receive()).token == b"same":
                told[client] = message
                if message.kind == CON:
                    client.confirmed.add(message.mid)
                    client.send(ACK, 0, message.mid)
    return told


def test_notifications_go_where_the_observer_is(clients):
    first, _, direct = clients
    path = [(URI_PATH, b"count")]
    for client in clients:
        assert client.ask(NON, GET, 80, b"same", [(OBSERVE, uint(0)), *path]).all(OBSERVE)
    before = int(direct.ask(CON, GET, 81, b"", path).payload)
    for mid, poster in ((82, direct), (83, first)):
        poster.send(CON, POST, mid, b"p", path)
        before += 1
        for client, told in notified(clients).items():
            assert (told.token, told.payload) == (b"same", b"%d" % before), client
    for client in clients:
        bye = client.ask(CON, GET, 84, b"same", [(OBSERVE, uint(1)), *path])
        assert not bye.all(OBSERVE)


def test_malformed_datagrams_end_at_the_bridge(bridged, clients):
    first = clients[0]
    for datagram in (b"", b"\x40", b"\x00\x01\x00\x01", b"\x50\x01\x00\x01\xff"):
        first.sock.send(datagram)
    first.sock.send(b"\x4f\x01\x12\x34")
    assert first.receive().kind == RST
    assert first.ask(CON, 0, 0x1234).kind == RST


def test_ctrl_c_on_the_console_ends_the_node(bridged):
    os.write(bridged.far, b"\r\x03")
    assert bridged.node.wait(GOODBYE_S) == 0
    bridged.wait_for(lambda: "interrupted" in bridged.printed, "the last words of the node")
