"""Requests that tasks wait for, between two nodes on the machine's own sockets."""

import asyncio
import os

from coap.blockwise import Blockwise
from coap.client import Client
from coap.node import Node
from coap.transports.aio import serve_udp, wait_for
from coap.transports.udp import Udp, peer
from support.features import text


def opened(node):
    """(transport, port) on a free port."""
    for _ in range(20):
        low, high = os.urandom(2)
        port = 42000 + (low | high << 8) % 8000
        try:
            return Udp(node, "127.0.0.1", port), port
        except OSError:
            pass
    raise AssertionError("no free port")


async def between(work):
    """Run work(client, address) beside a client node and a server node."""
    server = Node(Blockwise(), ack_timeout_ms=100)
    server.get("v")(lambda request, reply: b"open")
    server.get("long")(lambda request, reply: text(3000))
    node = Node(Client(2), ack_timeout_ms=100)
    server_udp, port = opened(server)
    node_udp, _ = opened(node)
    tasks = [asyncio.create_task(serve_udp(udp)) for udp in (server_udp, node_udp)]
    try:
        return await asyncio.wait_for(work(node.client, peer("127.0.0.1", port)), 10)
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            try:
                await task
            except asyncio.CancelledError:
                pass


def test_answers():
    async def work(client, address):
        short = await wait_for(client.get(address, "v"))
        assert (str(short), short.code, short.payload) == ("2.05", 0x45, b"open")
        long = await wait_for(client.get(address, "long"))
        assert long.payload == text(3000)
        missing = await wait_for(client.get(address, "nothing"))
        assert str(missing) == "4.04" and missing.payload == b"no such resource"
        assert not client.active_count

    asyncio.run(between(work))


def test_a_payload_that_does_not_fit_ends_the_wait():
    def full(response):
        raise MemoryError

    async def work(client, address):
        response = type(client.response_handler.response)
        kept, response.payload_bytes = response.payload_bytes, full
        try:
            for path in ("v", "long"):
                try:
                    await wait_for(client.get(address, path))
                    raise AssertionError("no error")
                except MemoryError:
                    pass
                assert not client.active_count
        finally:
            response.payload_bytes = kept

    asyncio.run(between(work))


def test_two_at_a_time():
    async def work(client, address):
        first, second = await asyncio.gather(
            wait_for(client.get(address, "v")), wait_for(client.get(address, "long"))
        )
        assert first.payload == b"open" and second.payload == text(3000)

    asyncio.run(between(work))


def test_nobody_answers():
    async def work(client, _address):
        call = client.get(peer("127.0.0.1", 9), "v")
        call.timeout_ms = 200
        answer = await wait_for(call)
        assert str(answer) == "timeout" and answer.code == 0

    asyncio.run(between(work))


def test_a_cancelled_task_cancels_its_request():
    async def work(client, _address):
        call = client.get(peer("127.0.0.1", 9), "v")
        try:
            await asyncio.wait_for(wait_for(call), 0.2)
        except asyncio.TimeoutError:
            assert not client.active_count
            return
        raise AssertionError("it was answered")

    asyncio.run(between(work))
