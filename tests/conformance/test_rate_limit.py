"""A peer beyond its rate gets 4.29 with Max-Age, other peers are served (RFC 8516)."""

import asyncio
import socket
import time

import aiocoap
import pytest
from aiocoapclient import exchange, request
from processes import simulated

from coap.numbers import CONTENT, GET
from support import engine

RATE = 2  # requests a second; twice as many at once


@pytest.fixture(scope="module", params=["micropython", "cpython"])
def limited(request):
    with simulated(request.param, "plugtest", "--rate", str(RATE)) as process:
        yield process


def requests(url, n):
    return [aiocoap.Message(code=aiocoap.GET, uri=f"{url}/counter") for _ in range(n)]


def test_more_than_the_burst_is_refused_with_max_age(limited):
    start = time.monotonic()
    responses = asyncio.run(exchange(*requests(limited.url, 40)))
    spent_s = time.monotonic() - start
    refused = [r for r in responses if r.code == aiocoap.TOO_MANY_REQUESTS]
    served = [r for r in responses if r.code == aiocoap.CONTENT]
    assert len(refused) + len(served) == 40, {r.code for r in responses}
    assert RATE <= len(served) <= 2 * RATE + RATE * spent_s + 1, (len(served), spent_s)
    for response in refused:
        assert (response.opt.max_age, response.payload) == (1, b"")


def test_a_peer_that_waits_for_max_age_is_served(limited):
    async def refused_and_then():
        # one client, one port: the second round is the same peer's
        context = await aiocoap.Context.create_client_context(transports=["udp6"])
        try:
            pending = [context.request(m).response for m in requests(limited.url, 40)]
            last = max(await asyncio.gather(*pending), key=lambda response: response.code)
            assert last.code == aiocoap.TOO_MANY_REQUESTS
            await asyncio.sleep(last.opt.max_age)
            return await context.request(*requests(limited.url, 1)).response
        finally:
            await context.shutdown()

    assert asyncio.run(refused_and_then()).code == aiocoap.CONTENT


def test_another_peer_is_served_meanwhile(limited):
    asyncio.run(exchange(*requests(limited.url, 40)))
    assert request(f"{limited.url}/counter").code == aiocoap.TOO_MANY_REQUESTS, "of the same host"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.settimeout(10)
        other.bind(("127.0.0.2", 0))
        port = int(limited.url.rpartition(":")[2])
        other.sendto(engine.request(GET, "counter"), ("127.0.0.1", port))
        assert engine.decode(other.recv(2048)).code == CONTENT


def test_without_a_rate_no_request_is_refused(plugtest):
    responses = asyncio.run(exchange(*requests(plugtest.url, 40)))
    assert {response.code for response in responses} == {aiocoap.CONTENT}
