"""node's coap package against the simulated node, on each interpreter."""

import json

from nodeclient import request


def test_get(node):
    node.tell("door open")
    response = request(f"{node.url}/s/contact")
    assert (response.code, response.payload) == ("2.05", b"open"), response
    assert response.options["Content-Format"] == "text/plain"


def test_get_as_json_by_non(node):
    node.tell("door close")
    options = {"Accept": "application/json"}
    response = request(f"{node.url}/s/contact", confirmable=False, options=options)
    assert (response.code, response.payload) == ("2.05", b"false"), response


def test_put_configuration(node):
    url = f"{node.url}/config"
    heartbeat_s = json.loads(request(url).payload)["heartbeat_s"] + 1
    body = json.dumps({"heartbeat_s": heartbeat_s}).encode()
    changed = request(url, "PUT", body, options={"Content-Format": "application/json"})
    assert changed.code == "2.04", changed
    assert json.loads(request(url).payload)["heartbeat_s"] == heartbeat_s


def test_discovery(node):
    response = request(f"{node.url}/.well-known/core")
    assert response.code == "2.05", response
    assert response.options["Content-Format"] == "application/link-format"
    assert b"</s/contact>;" in response.payload


def test_unknown_path(node):
    assert request(f"{node.url}/no/such").code == "4.04"
