"""The node's client and servers that are not ours: long payloads both ways, observation."""

import time

import pytest
from processes import HOST, aiocoap_server, free_port, libcoap_server, node_server

from coap.numbers import CHANGED, CONTENT, CREATED, NOT_FOUND
from coap.presets import Node, default_extensions
from coap.transports.udp import Udp, peer

PATIENCE_S = 60
LONG = bytes(range(256)) * 20


class Asker:
    """A node with a client, in this process."""

    def __init__(self, server):
        self.node = Node(*default_extensions(requests=4))
        self.client = self.node.client
        self.udp = Udp(self.node, HOST, free_port())
        self.server = peer(HOST, server.port)
        self.told = []

    def take(self, response):
        self.told.append((response.code, response.payload_bytes(), response.last, str(response)))

    def until(self, is_so):
        deadline = time.monotonic() + PATIENCE_S
        while not is_so():
            assert time.monotonic() < deadline, self.told
            self.udp.step(20)

    def result(self, call):
        """(code, payload) of the answer to a call."""
        before = len(self.told)
        call.deliver_to(self.take)
        call.into = bytearray(8192)
        self.until(lambda: len(self.told) > before)
        return self.told[-1][:2]


@pytest.fixture(scope="module", params=[libcoap_server, aiocoap_server])
def server(request):
    with request.param() as process:
        yield process


@pytest.fixture(scope="module")
def libcoap():
    with libcoap_server() as process:
        yield process


@pytest.fixture(scope="module")
def node_coap():
    with node_server() as process:
        yield process


@pytest.fixture
def asker(request):
    names = [name for name in ("libcoap", "node_coap", "server") if name in request.fixturenames]
    asker = Asker(request.getfixturevalue(names[0]))
    yield asker
    asker.udp.close()


def test_discovery_and_what_is_not_there(asker, server):
    code, payload = asker.result(asker.client.get(asker.server, ".well-known/core"))
    assert code == CONTENT and b"</" in payload
    assert asker.result(asker.client.get(asker.server, "no/such/thing"))[0] == NOT_FOUND


def test_a_non(asker, server):
    call = asker.client.get(asker.server, ".well-known/core")
    call.confirmable = False
    assert asker.result(call)[0] == CONTENT


def test_blocks_both_ways(asker, libcoap):
    code, _ = asker.result(asker.client.put(asker.server, "long", LONG))
    assert code in (CREATED, CHANGED)
    assert asker.result(asker.client.get(asker.server, "long")) == (CONTENT, LONG)


def test_blocks_to_a_server_that_finds_them_by_their_token(asker, node_coap):
    """node's coap puts blocks together that have one token, and fails with others."""
    assert asker.result(asker.client.put(asker.server, "long", LONG))[0] == CHANGED
    assert asker.result(asker.client.get(asker.server, "long")) == (CONTENT, LONG)
    assert asker.result(asker.client.post(asker.server, "echo", LONG)) == (CONTENT, LONG)


def test_a_separate_response(asker, libcoap):
    start = time.monotonic()
    assert asker.result(asker.client.get(asker.server, "async?1"))[0] == CONTENT
    assert time.monotonic() - start > 0.9


def test_observation(asker, libcoap):
    asker.result(asker.client.put(asker.server, "watched", b"0"))
    asker.told.clear()
    call = asker.client.observe(asker.server, "watched", asker.take)
    asker.until(lambda: len(asker.told) == 1)
    for value in (b"1", b"2", b"3"):
        asker.client.put(asker.server, "watched", value)
        asker.until(lambda value=value: asker.told[-1][1] == value)
    assert not any(last for _, _, last, _ in asker.told)
    asker.client.cancel(call)
    asker.until(asker.client.has_free)
    asker.until(lambda: not asker.client.active_count)
    seen = len(asker.told)
    asker.result(asker.client.put(asker.server, "watched", b"4"))
    assert len(asker.told) == seen + 1


def test_nobody_listens(asker, server):
    dead = peer(HOST, free_port())
    call = asker.client.get(dead, "x", asker.take)
    call.timeout_ms = 500
    asker.until(lambda: asker.told)
    assert asker.told[0][3] == "timeout"
