"""The wrappers of the foreign clients, proved against foreign servers: what fails here is not
the node's fault."""

import aiocoapclient
import libcoapclient
import nodeclient
import pytest
from aiocoap import DELETE, NOT_FOUND, PUT
from processes import HOST, free_port


def test_libcoap_shows_type_code_options_and_payload(aiocoap_process):
    exchange = libcoapclient.request(f"{aiocoap_process.url}/s/contact")
    assert exchange.payload == b"closed", exchange.transcript
    assert exchange.response.type == "ACK"
    assert exchange.response.code == "2.05"
    assert exchange.response.mid == exchange.messages[0].mid
    assert exchange.response.token == exchange.messages[0].token


def test_libcoap_shows_an_error(aiocoap_process):
    assert libcoapclient.request(f"{aiocoap_process.url}/no/such").response.code == "4.04"


def test_libcoap_sends_non_and_content_format(libcoap_process):
    url = f"{libcoap_process.url}/libcoap-non"
    exchange = libcoapclient.request(url, "put", "hello", content_format=50, non=True)
    sent = exchange.messages[0]
    assert (sent.type, sent.code, sent.payload) == ("NON", "PUT", "hello"), exchange.transcript
    assert sent.option("Content-Format") == ["application/json"]
    assert (exchange.response.type, exchange.response.code) == ("NON", "2.01"), exchange.transcript


def test_libcoap_sees_a_separate_response(libcoap_process):
    exchange = libcoapclient.request(f"{libcoap_process.url}/async?1")
    received = [(m.type, m.code) for m in exchange.distinct if m.way == "received"]
    assert received == [("ACK", "0.00"), ("CON", "2.05")], exchange.transcript


def test_libcoap_without_a_server_fails_with_the_transcript(monkeypatch):
    monkeypatch.setattr(libcoapclient, "BREAK_S", 1)
    with pytest.raises(pytest.fail.Exception, match=r"no response:\n\$ .*coap-client"):
        libcoapclient.request(f"coap://{HOST}:{free_port()}/x")


def test_aiocoap_puts_gets_and_deletes(libcoap_process):
    url = f"{libcoap_process.url}/aiocoap"
    assert aiocoapclient.request(url, PUT, b"1", content_format=0).code.dotted == "2.01"
    response = aiocoapclient.request(url)
    assert response.payload == b"1", aiocoapclient.described(response)
    assert response.mtype.name == "ACK"
    assert aiocoapclient.request(url, non=True).mtype.name == "NON"
    assert aiocoapclient.request(url, DELETE).code.dotted == "2.02"
    assert aiocoapclient.request(url).code == NOT_FOUND


def test_aiocoap_reads_links(libcoap_process):
    links = aiocoapclient.links(aiocoapclient.request(f"{libcoap_process.url}/.well-known/core"))
    assert links["/time"]["rt"] == ["ticks"]
    assert links["/time"]["obs"] == [None]


def test_aiocoap_without_a_server_fails_with_the_url():
    url = f"coap://{HOST}:{free_port()}/x"
    with pytest.raises(pytest.fail.Exception, match=url):
        aiocoapclient.request(url)


def test_node_gets(aiocoap_process):
    response = nodeclient.request(f"{aiocoap_process.url}/s/contact")
    assert (response.code, response.payload) == ("2.05", b"closed")
    assert response.options["Content-Format"] == "text/plain"


def test_node_puts_and_sends_non(libcoap_process):
    url = f"{libcoap_process.url}/node"
    assert (
        nodeclient.request(url, "PUT", b"2", options={"Content-Format": "text/plain"}).code
        == "2.01"
    )
    assert nodeclient.request(url, confirmable=False).payload == b"2"


def test_node_without_a_server_fails(monkeypatch):
    monkeypatch.setattr(nodeclient, "PATIENCE_S", 1)
    with pytest.raises(pytest.fail.Exception, match="node's client, GET coap://"):
        nodeclient.request(f"coap://{HOST}:{free_port()}/x")
