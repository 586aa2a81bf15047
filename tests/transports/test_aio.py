"""serve_udp(): a node beside other asyncio tasks, on the machine's own sockets."""

import asyncio
import os
import select
import socket
import time

from coap import SEPARATE
from coap.counters import COUNT_REOPENED
from coap.node import Node
from coap.numbers import ACK, CON, CONTENT, GET
from coap.transports.aio import serve as serve_node
from coap.transports.aio import serve_udp
from coap.transports.udp import Udp
from support.engine import decode, encode, request

PATIENCE_S = 3
LOOK_S = 0.005


def free_port():
    """A port that is probably free: below those that systems give to clients."""
    low, high = os.urandom(2)
    return 20000 + (low | high << 8) % 12000


async def come_true(is_so, patience_s=PATIENCE_S):
    """Does a condition come true? It is looked at so often, not so long: on a busy computer the
    server, a task beside this one, is late as well.
    """
    for _ in range(int(patience_s / LOOK_S)):
        if is_so():
            return True
        await asyncio.sleep(LOOK_S)
    return is_so()


def opened(node):
    for _ in range(20):
        port = free_port()
        try:
            return Udp(node, "127.0.0.1", port), port
        except OSError:
            pass
    raise AssertionError("no free port")


class Client:
    """Asks without blocking the loop that serves."""

    def __init__(self, port):
        self.address = socket.getaddrinfo("127.0.0.1", port)[0][-1]
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.poll = select.poll()
        self.poll.register(self.sock, 1)

    def send(self, data):
        self.sock.sendto(data, self.address)

    async def receive(self, patience_s=PATIENCE_S):
        """The next message; None when none comes."""
        if not await come_true(lambda: self.poll.poll(0), patience_s):
            return None
        return decode(self.sock.recvfrom(2000)[0])

    async def ask(self, data):
        self.send(data)
        return await self.receive()


def serving(scenario):
    """Run `scenario(node, udp, client)` while the node is served."""
    node = Node()
    node.get("a")(lambda request, reply: b"ok")
    udp, port = opened(node)
    client = Client(port)

    async def main():
        server = asyncio.create_task(serve_udp(udp))
        await asyncio.sleep(0)
        try:
            await scenario(node, udp, client)
        finally:
            server.cancel()
            try:
                await server
            except asyncio.CancelledError:
                pass
        assert udp.sock is None  # its port is given back

    try:
        asyncio.run(main())
    finally:
        client.sock.close()


def test_requests_are_answered():
    async def scenario(node, udp, client):
        for _ in range(5):
            assert (await client.ask(request(GET, "a"))).payload == b"ok"
        assert (await client.ask(request(GET, "nowhere"))).code == 0x84

    serving(scenario)


def test_other_tasks_run_meanwhile():
    async def scenario(node, udp, client):
        ran = []

        async def other():
            while True:
                ran.append(1)
                await asyncio.sleep(0.01)

        task = asyncio.create_task(other())
        for _ in range(10):
            assert (await client.ask(request(GET, "a"))).code == CONTENT
            await asyncio.sleep(0.01)
        task.cancel()
        assert len(ran) >= 5

    serving(scenario)


def test_a_burst():
    async def scenario(node, udp, client):
        for _ in range(40):
            client.send(request(GET, "a"))
        for _ in range(40):
            assert (await client.receive()).payload == b"ok"

    serving(scenario)


def test_timers():
    async def scenario(node, udp, client):
        ran = []
        start = time.time()
        node.every(20, ran.append)
        await asyncio.sleep(0.3)
        assert await come_true(lambda: len(ran) >= 3)
        assert len(ran) <= (time.time() - start) * 50 + 2

    serving(scenario)


def test_what_other_tasks_bring_about_is_sent_at_once():
    async def scenario(node, udp, client):
        tickets = []

        @node.get("slow")
        def slow(request, reply):
            tickets.append(request.defer())
            return SEPARATE

        for _ in range(3):
            assert (await client.ask(request(GET, "slow", token=b"t"))).code == 0
            await asyncio.sleep(0.05)  # the server is at rest
            node.respond(tickets.pop(), b"at last")
            message = await client.receive(1)
            assert message is not None, "nothing was sent"
            assert (message.kind, message.payload) == (CON, b"at last")
            client.send(encode(ACK, 0, message.mid))
            assert await come_true(lambda: node.messaging.open_count == 0)

    serving(scenario)


def test_retransmissions():
    async def scenario(node, udp, client):
        node.messaging.ack_timeout_ms = 50

        @node.get("slow")
        def slow(request, reply):
            node.respond(request.defer(), b"x")
            return SEPARATE

        assert (await client.ask(request(GET, "slow"))).code == 0
        first = await client.receive()
        again = await client.receive()
        assert first.payload == again.payload == b"x" and first.mid == again.mid
        client.send(encode(ACK, 0, first.mid))
        assert await come_true(lambda: node.messaging.open_count == 0)
        while await client.receive(LOOK_S):
            pass  # sent before the ACK was received
        assert await client.receive(0.4) is None

    serving(scenario)


def test_an_empty_datagram():
    async def scenario(node, udp, client):
        for _ in range(2):
            client.send(b"")
            client.send(b"")
            assert (await client.ask(request(GET, "a"))).payload == b"ok"
        assert node.counters[COUNT_REOPENED] == 0

    serving(scenario)


def test_a_socket_that_is_opened_anew_by_others():
    async def scenario(node, udp, client):
        for _ in range(3):
            udp.reopen()
            await asyncio.sleep(0.05)
            assert (await client.ask(request(GET, "a"))).payload == b"ok"

    serving(scenario)


def test_a_network_that_is_away_for_a_while():
    async def scenario(node, udp, client):
        ran = []
        node.every(20, ran.append)
        works = udp._open

        def fails():
            raise OSError(19, "no network")

        udp._open = fails
        udp.reopen()
        assert udp.sock is None
        await asyncio.sleep(0.2)
        assert await come_true(lambda: len(ran) >= 3)  # the application goes on
        udp._open = works
        await come_true(lambda: udp.sock is not None, 5)
        assert (await client.ask(request(GET, "a"))).payload == b"ok"

    serving(scenario)


def test_serve_as_applications_call_it():
    async def main():
        node = Node()
        node.get("a")(lambda request, reply: b"ok")
        port = free_port()
        server = asyncio.create_task(serve_node(node, "127.0.0.1", port))
        await asyncio.sleep(0.05)
        client = Client(port)
        try:
            assert (await client.ask(request(GET, "a"))).payload == b"ok"
        finally:
            client.sock.close()
            server.cancel()
            try:
                await server
            except asyncio.CancelledError:
                pass

    asyncio.run(main())
