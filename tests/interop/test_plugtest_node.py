"""The plugtest's descriptions with node's client: test_core_01_... is TD_COAP_CORE_01."""

import pytest
from nodeclient import request

TEXT = {"Content-Format": "text/plain"}


@pytest.mark.parametrize("confirmable", [True, False], ids=["con", "non"])
def test_core_01_02_03_04_05_06_07_08_methods(plugtest, confirmable):
    url = f"{plugtest.url}/test"
    codes = [
        request(url, method, body, confirmable, TEXT if body else None).code
        for method, body in (
            ("PUT", b"there"),
            ("GET", b""),
            ("POST", b"posted"),
            ("DELETE", b""),
            ("PUT", b"there"),
        )
    ]
    assert codes[1:] == ["2.05", "2.01", "2.02", "2.01"]


def test_core_09_separate(plugtest):
    assert request(f"{plugtest.url}/separate").payload == b"answered separately"


def test_core_13_14_several_uri_path_and_uri_query(plugtest):
    assert request(f"{plugtest.url}/seg1/seg2/seg3").payload == b"three segments"
    response = request(f"{plugtest.url}/query?first=1&second=2&third=3")
    assert response.payload == b"first=1\nsecond=2\nthird=3", response


def test_core_20_accept(plugtest):
    for form in ("text/plain", "application/xml"):
        response = request(f"{plugtest.url}/multi-format", options={"Accept": form})
        assert (response.code, response.options["Content-Format"]) == ("2.05", form), response


def test_block_02_late_negotiation(plugtest):
    response = request(f"{plugtest.url}/large")
    assert response.code == "2.05", response
    assert response.payload.count(b"\n") == 40


@pytest.mark.parametrize("query", ["", "?rt=Type1", "?href=/link1"])
def test_link_01_02_07_discovery(plugtest, query):
    response = request(f"{plugtest.url}/.well-known/core{query}")
    assert response.options["Content-Format"] == "application/link-format", response
    assert b"</link1>" in response.payload
    assert (b"</test>" in response.payload) == (query == "")
