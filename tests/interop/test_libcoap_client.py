"""libcoap's coap-client against the simulated node, on each interpreter."""

import json

import pytest
from libcoapclient import request

JSON = "application/json"


def test_get_is_answered_in_the_ack(node):
    node.tell("door open")
    exchange = request(f"{node.url}/s/contact", more=["-T", "8 bytes."])
    sent, reply = exchange.messages
    assert exchange.payload == b"open", exchange.transcript
    assert (reply.type, reply.code, reply.mid) == ("ACK", "2.05", sent.mid), exchange.transcript
    assert len(sent.token) == 2 * 8, exchange.transcript
    assert reply.token == sent.token, exchange.transcript


def test_non_is_answered_by_non(node):
    exchange = request(f"{node.url}/s/contact", non=True)
    assert [m.type for m in exchange.messages] == ["NON", "NON"], exchange.transcript
    assert exchange.response.code == "2.05"


@pytest.mark.parametrize(
    ("accept", "payload"), [("text/plain", b"closed"), (JSON, b"false"), ("cbor", b"\xf4")]
)
def test_accept(node, accept, payload):
    node.tell("door close")
    exchange = request(f"{node.url}/s/contact", accept=accept)
    assert exchange.payload == payload, exchange.transcript


@pytest.mark.parametrize(
    ("path", "options", "code"),
    [
        ("no/such", {}, "4.04"),
        ("s/contact", {"method": "delete"}, "4.05"),
        ("s/contact", {"method": "fetch"}, "4.05"),
        ("s/contact", {"accept": 42}, "4.06"),
        ("config", {"method": "put", "payload": "x", "content_format": 0}, "4.15"),
        ("s/contact", {"more": ["-O", "65001,x"]}, "4.02"),
        ("s/contact", {"more": ["-O", "65000,x"]}, "2.05"),
        ("s/contact", {"more": ["-O", "3,mote.local"]}, "2.05"),
    ],
)
def test_codes(node, path, options, code):
    exchange = request(f"{node.url}/{path}", **options)
    assert exchange.response.code == code, exchange.transcript


def test_put_configuration_with_if_match(node):
    url = f"{node.url}/config"
    before = request(url)
    etag = before.response.option("ETag")[0]
    heartbeat_s = json.loads(before.payload)["heartbeat_s"] + 1
    body = json.dumps({"heartbeat_s": heartbeat_s})
    options = {"payload": body, "content_format": JSON, "more": ["-O", f"1,{etag}"]}
    changed = request(url, "put", **options)
    assert (changed.response.type, changed.response.code) == ("ACK", "2.04"), changed.transcript
    assert json.loads(request(url).payload)["heartbeat_s"] == heartbeat_s
    late = request(url, "put", **options)
    assert late.response.code == "4.12", late.transcript


def test_discovery(node):
    exchange = request(f"{node.url}/.well-known/core")
    formats = [m.option("Content-Format") for m in exchange.messages if m.code == "2.05"]
    assert formats[0] == ["application/link-format"], exchange.transcript
    assert b"</s/contact>;" in exchange.payload, exchange.transcript
