"""Clients of others complete discovery, and read long representations, during a flood of forged
requests that has used up the budget for long responses.
"""

import asyncio
import contextlib
import threading

import aiocoap
import libcoapclient
import nodeclient
import pytest
from attackers import Attackers, segments
from processes import simulated

from support.engine import encode

GET = 1
ADDRESSES = 300
PER_S = 500
BUDGET_BYTES, BUDGET_S, MESSAGE_BYTES = 8192, 10, 1152
CORE = "/.well-known/core"
PATHS = (CORE, "/diag")


@pytest.fixture(scope="module", params=["micropython", "cpython"])
def node(request):
    with simulated(request.param, "both", "--rate", "20") as process:
        yield process


@contextlib.contextmanager
def flooded(node):
    """Ask for the list of resources from many addresses; check what these have got."""

    def forged(chance, _):
        mid = chance.randrange(65536)
        return encode(0, GET, mid, b"", segments(".well-known/core"))

    is_over = threading.Event()
    is_used_up = threading.Event()

    def each_s(second):
        if second:
            is_used_up.set()
        return is_over.is_set()

    with Attackers(node.port, ADDRESSES) as attackers:
        thread = threading.Thread(target=attackers.run, args=(PER_S, 100, forged, each_s))
        thread.start()
        try:
            is_used_up.wait()
            yield
        finally:
            is_over.set()
            thread.join()
        periods = attackers.sent / PER_S // BUDGET_S + 2
        assert any(one.received_bytes for one in attackers.all)
        assert attackers.beyond <= periods * (BUDGET_BYTES + MESSAGE_BYTES)


async def get(url):
    """Return the payload that a client of aiocoap gets."""
    context = await aiocoap.Context.create_client_context()
    try:
        message = aiocoap.Message(code=aiocoap.GET, uri=url)
        async with asyncio.timeout(60):
            return (await context.request(message).response_raising).payload
    finally:
        await context.shutdown()


def by_aiocoap(url):
    """Return the payload that aiocoap's client gets."""
    return asyncio.run(get(url))


def by_ten(url):
    """Return the payload that ten clients of aiocoap get, all of one host at once."""

    async def run():
        return await asyncio.gather(*[get(url) for _ in range(10)])

    (payload,) = set(asyncio.run(run()))
    return payload


def by_libcoap(url):
    """Return the payload that libcoap's client gets."""
    return libcoapclient.request(url).payload


def by_node(url):
    """Return the payload that node's coap gets."""
    return nodeclient.request(url).payload


@pytest.mark.parametrize(
    ("client", "path"),
    [
        *((one, path) for one in (by_aiocoap, by_libcoap, by_node) for path in PATHS),
        (by_ten, CORE),
    ],
)
def test_clients_read_all_during_a_flood(node, client, path):
    before = client(node.url + path)
    with flooded(node):
        found = client(node.url + path)
    if path == "/diag":  # its values change
        names = [line.partition(b":")[0] for line in found.split(b"\n")]
        assert names == [line.partition(b":")[0] for line in before.split(b"\n")]
    else:
        assert found == before and len(found) > 500
