"""Separate responses, as foreign clients take them (RFC 7252 section 5.2.2)."""

import aiocoap
import aiocoapclient
import libcoapclient
import nodeclient
import pytest
from processes import node_program


@pytest.fixture(scope="module", params=["micropython", "cpython"])
def url(request):
    with node_program("late_node.py", request.param) as process:
        yield f"{process.url}/late"


def test_libcoap_gets_an_empty_ack_then_a_con_that_it_acknowledges(url):
    exchange = libcoapclient.request(url)
    request, ack, response, settled = exchange.distinct
    assert exchange.payload == b"at last", exchange.transcript
    assert (ack.type, ack.code, ack.token) == ("ACK", "0.00", ""), exchange.transcript
    assert ack.mid == request.mid
    assert (response.type, response.code) == ("CON", "2.05"), exchange.transcript
    assert response.token == request.token
    assert (settled.type, settled.mid) == ("ACK", response.mid), exchange.transcript


def test_libcoap_gets_one_non_for_a_non(url):
    exchange = libcoapclient.request(url, non=True)
    assert [m.type for m in exchange.messages] == ["NON", "NON"], exchange.transcript
    assert exchange.payload == b"at last"


def test_libcoap_gets_a_late_error(url):
    exchange = libcoapclient.request(url, "put", "x", content_format=0)
    received = [(m.type, m.code) for m in exchange.distinct if m.way == "received"]
    assert received == [("ACK", "0.00"), ("CON", "4.03")], exchange.transcript


def test_aiocoap(url):
    response = aiocoapclient.request(url)
    assert (response.mtype, response.code) == (aiocoap.CON, aiocoap.CONTENT)
    assert response.payload == b"at last"


def test_node(url):
    response = nodeclient.request(url)
    assert (response.code, response.payload) == ("2.05", b"at last")
