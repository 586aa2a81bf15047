"""What the conformance application does beside the checks: limits, names, merge patches."""

import json

import pytest
from processes import HOST

from coap.numbers import (
    ACCEPT,
    CBOR,
    CONTENT_FORMAT,
    ETAG,
    IF_MATCH,
    IF_NONE_MATCH,
    JSON,
    LOCATION_PATH,
    MERGE_PATCH_JSON,
    TEXT,
)
from conformance.client import Client
from support import engine

STORE_ENTRIES = 64
ENTRY_BYTES = 64
CREATED_KEPT = 4


@pytest.fixture
def client(plugtest):
    """A client of the node, whose document is as it was at first."""
    client = Client((HOST, plugtest.port))
    members = json.loads(client.ask("GET", "fetch").payload)
    patch = {**dict.fromkeys(members), "a": 1, "b": 2}
    client.ask(
        "PATCH", "fetch", payload=json.dumps(patch).encode(), content_format=MERGE_PATCH_JSON
    )
    yield client
    client.close()


def put(client, path, payload, *options, form=TEXT):
    """The code of the response to a PUT."""
    parts = {"payload": payload, "content_format": form, "options": options}
    return client.ask("PUT", path, **parts).code


@pytest.mark.parametrize(
    ("names", "code"),
    [
        ([], "4.05"),
        ([b""], "4.00"),
        ([b"a/b"], "4.00"),
        ([b"\xff\xfe"], "4.00"),
        ([b"a", b"b"], "4.00"),
        ([b"n" * 33], "4.00"),
        ([b"n" * 32], "2.01"),
        (["ü".encode()], "2.01"),
    ],
)
def test_names_in_the_store(client, names, code):
    path = [b"store", *names]
    assert put(client, path, b"x") == code
    found = client.ask("GET", path).code
    assert found == ("2.05" if code == "2.01" or not names else "4.04")
    client.ask("DELETE", path)


def test_conditions_of_entries(client):
    any_tag, none = (IF_MATCH, b""), (IF_NONE_MATCH, b"")
    assert put(client, "store/a", b"1", any_tag) == "4.12"
    assert put(client, "store/a", b"{}", none, form=JSON) == "2.01"
    assert put(client, "store/a", b"2", none) == "4.12"
    entry = client.ask("GET", "store/a")
    assert (entry.payload, entry.uint(CONTENT_FORMAT)) == (b"{}", JSON)
    assert client.ask("GET", "store").payload.startswith(b"</store/a>")
    (tag,) = entry.all(ETAG)
    assert client.ask("GET", "store/a", options=[(ETAG, tag)]).code == "2.03"
    assert put(client, "store/a", b"2", (IF_MATCH, tag)) == "2.04"
    assert put(client, "store/a", b"3", (IF_MATCH, tag)) == "4.12"
    assert client.ask("DELETE", "store/b", options=[(IF_MATCH, tag)]).code == "4.12"
    assert [client.ask("DELETE", "store/a").code for _ in range(2)] == ["2.02", "2.02"]
    assert client.ask("GET", "store").payload == b""


def test_the_store_is_full_after_64_entries_of_64_bytes(client):
    whole, longer = b"x" * ENTRY_BYTES, b"x" * (ENTRY_BYTES + 1)
    assert put(client, "store/a", longer) == "4.13"
    try:
        codes = {put(client, f"store/n{i}", whole) for i in range(STORE_ENTRIES)}
        assert codes == {"2.01"}
        assert put(client, "store/n0", longer) == "4.13"
        assert put(client, "store/more", b"x") == "5.03"
        assert put(client, "store/n63", b"y") == "2.04"
        assert client.ask("DELETE", "store/n7").code == "2.02"
        assert put(client, "store/more", b"x") == "2.01"
    finally:
        for name in ("more", *(f"n{i}" for i in range(STORE_ENTRIES))):
            client.ask("DELETE", f"store/{name}")


def test_large_create_keeps_the_newest(client):
    posts = [client.ask("POST", "large-create", payload=b"%d" % i) for i in range(6)]
    assert {response.code for response in posts} == {"2.01"}
    locations = [response.all(LOCATION_PATH) for response in posts]
    found = [client.ask("GET", location) for location in locations]
    assert [response.code for response in found] == ["4.04"] * 2 + ["2.05"] * CREATED_KEPT
    assert [response.payload for response in found[2:]] == [b"2", b"3", b"4", b"5"]
    assert client.ask("DELETE", locations[3]).code == "2.02"
    assert client.ask("GET", locations[3]).code == "4.04"


def test_a_post_creates_what_its_location_names(client):
    location = "location1/location2/location3"
    assert client.ask("POST", "test", payload=b"made", content_format=TEXT).code == "2.01"
    assert client.ask("GET", location).payload == b"made"
    assert client.ask("DELETE", location).code == "2.02"
    assert client.ask("GET", location).code == "4.04"


def test_the_counter_has_three_formats(client):
    value = int(client.ask("POST", "counter").payload)
    assert value < 24  # in CBOR one byte
    for form, payload in ((TEXT, b"%d" % value), (JSON, b"%d" % value), (CBOR, bytes([value]))):
        options = [(ACCEPT, engine.uint(form))]
        assert client.ask("GET", "counter", options=options).payload == payload


@pytest.mark.parametrize(
    ("payload", "form", "code"),
    [(b"a", TEXT, "2.05"), (b"c", TEXT, "4.22"), (b"\xff", TEXT, "4.00"), (b"b", CBOR, "4.15")],
)
def test_fetch_returns_a_member(client, payload, form, code):
    response = client.ask("FETCH", "fetch", payload=payload, content_format=form)
    assert response.code == code
    if code == "2.05":
        assert (response.payload, response.uint(CONTENT_FORMAT)) == (b"1", JSON)
        assert not response.all(ETAG)


@pytest.mark.parametrize("method", ["PATCH", "iPATCH"])
@pytest.mark.parametrize(
    ("patch", "document"),
    [
        (b'{"b":3,"c":{"d":null,"e":[1]}}', {"a": 1, "b": 3, "c": {"e": [1]}}),
        (b'{"a":null}', {"b": 2}),
        (b'{"absent":null}', {"a": 1, "b": 2}),
        (b"{}", {"a": 1, "b": 2}),
        (b' {"a":{"x":1}} ', {"a": {"x": 1}, "b": 2}),
    ],
)
def test_merge_patch(client, method, patch, document):
    response = client.ask(method, "fetch", payload=patch, content_format=MERGE_PATCH_JSON)
    assert response.code == "2.04", response
    assert json.loads(client.ask("GET", "fetch").payload) == document


@pytest.mark.parametrize(
    ("patch", "form", "code"),
    [
        (b'{"a":', MERGE_PATCH_JSON, "4.00"),
        (b'{"a":3', MERGE_PATCH_JSON, "4.00"),
        (b"\xff", MERGE_PATCH_JSON, "4.00"),
        (b"", MERGE_PATCH_JSON, "4.00"),
        (b"[1]", MERGE_PATCH_JSON, "4.22"),
        (b'{"a":3}', JSON, "4.15"),
        (b'{"a":3}', None, "4.15"),
        (b'{"a":"' + b"x" * 512 + b'"}', MERGE_PATCH_JSON, "4.13"),
        (b'{"a":' * 40 + b"1" + b"}" * 40, MERGE_PATCH_JSON, "2.04"),
    ],
)
def test_patches_that_are_refused_change_nothing(client, patch, form, code):
    response = client.ask("iPATCH", "fetch", payload=patch, content_format=form)
    assert response.code == code, response
    if code != "2.04":
        assert client.ask("GET", "fetch").payload == b'{"a":1,"b":2}'


def test_a_patch_is_executed_once(client):
    (tag,) = client.ask("GET", "fetch").all(ETAG)
    parts = {"options": [(IF_MATCH, tag)], "content_format": MERGE_PATCH_JSON}
    patch = client.request("PATCH", "fetch", payload=b'{"a":3}', **parts)
    assert [client.response(client.send(patch)).code for _ in range(2)] == ["2.04", "2.04"]
    assert client.ask("PATCH", "fetch", payload=b'{"a":4}', **parts).code == "4.12"
