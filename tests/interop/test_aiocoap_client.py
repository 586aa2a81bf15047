"""aiocoap's client against the simulated node, on each interpreter."""

import asyncio
import json

import aiocoap
import cbor2
import pytest
from aiocoap.numbers.codes import Code
from aiocoap.optiontypes import OpaqueOption
from aiocoapclient import PATIENCE_S, described, exchange, links, request

TEXT, OCTET_STREAM, JSON, CBOR = 0, 42, 50, 60
OTHER_ETAG = b"another"
UNKNOWN_CRITICAL, UNKNOWN_ELECTIVE = 65001, 65000


@pytest.mark.parametrize(("line", "is_open"), [("door open", True), ("door close", False)])
def test_door_in_text_json_and_cbor(node, line, is_open):
    node.tell(line)
    url = f"{node.url}/s/contact"
    response = request(url)
    assert response.code == aiocoap.CONTENT, described(response)
    assert response.mtype == aiocoap.ACK
    assert (response.payload, response.opt.content_format) == (
        b"open" if is_open else b"closed",
        TEXT,
    )
    for accept, loads in ((JSON, json.loads), (CBOR, cbor2.loads)):
        response = request(url, accept=accept)
        assert response.opt.content_format == accept, described(response)
        assert loads(response.payload) is is_open, described(response)


@pytest.mark.parametrize(
    ("path", "line", "low", "high"),
    [
        ("s/temp", "temp 36.9", 36.85, 36.95),
        ("s/hr", "hr 88", 86, 90),
        ("s/spo2", "spo2 95", 93, 97),
        ("s/steps", "steps 1200", 1200, 1200),
        ("s/batt", "battery 4200", 100, 100),
        ("s/batt", "battery 2900", 0, 0),
    ],
)
def test_numbers_in_text_json_and_cbor(node, path, line, low, high):
    node.tell(line)
    for accept, number in ((TEXT, float), (JSON, json.loads), (CBOR, cbor2.loads)):
        response = request(f"{node.url}/{path}", accept=accept)
        assert response.code == aiocoap.CONTENT, described(response)
        assert response.opt.content_format == accept, described(response)
        assert low <= float(number(response.payload)) <= high, described(response)


@pytest.mark.parametrize(
    ("code", "path", "options", "answer"),
    [
        ("GET", "no/such", {}, "4.04"),
        ("GET", "s", {}, "4.04"),
        ("GET", "s/contact/", {}, "4.04"),
        ("POST", "s/contact", {"content_format": TEXT}, "4.05"),
        ("DELETE", "config", {}, "4.05"),
        ("GET", "s/contact", {"accept": OCTET_STREAM}, "4.06"),
        ("PUT", "config", {"content_format": TEXT}, "4.15"),
        ("PUT", "config", {"content_format": JSON, "if_match": [OTHER_ETAG]}, "4.12"),
        ("PUT", "config", {"content_format": JSON, "if_none_match": True}, "4.12"),
    ],
)
def test_errors(node, code, path, options, answer):
    response = request(f"{node.url}/{path}", Code[code], b"{}", **options)
    assert response.code.dotted == answer, described(response)


@pytest.mark.parametrize(
    ("number", "answer"), [(UNKNOWN_CRITICAL, "4.02"), (UNKNOWN_ELECTIVE, "2.05")]
)
def test_unknown_options(node, number, answer):
    message = aiocoap.Message(code=aiocoap.GET, uri=f"{node.url}/s/contact")
    message.opt.add_option(OpaqueOption(number, b"x"))
    (response,) = asyncio.run(exchange(message))
    assert response.code.dotted == answer, described(response)


def test_configuration_by_etag_and_if_match(node):
    url = f"{node.url}/config"
    before = request(url)
    config = json.loads(before.payload)
    assert before.opt.content_format == JSON, described(before)
    assert before.opt.etag

    unchanged = request(url, etags=[before.opt.etag])
    assert (unchanged.code, unchanged.payload) == (aiocoap.VALID, b""), described(unchanged)
    assert unchanged.opt.etag == before.opt.etag

    wanted = {"heartbeat_s": config["heartbeat_s"] + 1, "name": "Küche"}
    body = json.dumps(wanted).encode()
    options = {"content_format": JSON, "if_match": [before.opt.etag]}
    response = request(url, aiocoap.PUT, body, **options)
    assert response.code == aiocoap.CHANGED, described(response)
    after = request(url, etags=[before.opt.etag])
    assert after.code == aiocoap.CONTENT, described(after)
    assert after.opt.etag != before.opt.etag
    assert json.loads(after.payload) == {**config, **wanted}

    late = request(url, aiocoap.PUT, b'{"heartbeat_s": 4000}', **options)
    assert late.code == aiocoap.PRECONDITION_FAILED, described(late)
    assert request(url).payload == after.payload

    back = request(url, aiocoap.PUT, before.payload, content_format=JSON)
    assert back.code == aiocoap.CHANGED, described(back)
    assert request(url).opt.etag == before.opt.etag


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"kind": "gate"}', "kind"),
        (b'{"heartbeat_s": "soon"}', "heartbeat_s"),
        (b'{"name": "ok", "gateway": 1}', "gateway"),
        (b'{"colour": "red"}', "colour"),
        (b'{"name": ', ""),
    ],
)
def test_wrong_configuration_changes_nothing_and_is_named(node, body, field):
    url = f"{node.url}/config"
    before = request(url).payload
    response = request(url, aiocoap.PUT, body, content_format=JSON)
    assert response.code == aiocoap.BAD_REQUEST, described(response)
    assert field in response.payload.decode()
    assert request(url).payload == before


def test_discovery_names_resources_that_are_there(node):
    found = links(request(f"{node.url}/.well-known/core"))
    contact = found["/s/contact"]
    assert contact["rt"] == ["oic.r.sensor.contact urn:oma:lwm2m:ext:3200"]
    assert contact["if"] == ["core.s"]
    assert set(contact["ct"][0].split()) >= {"0", "50", "60"}
    for path in ("s/tamper", "s/batt", "s/hr", "s/spo2", "s/temp", "s/steps", "s/accel"):
        assert "rt" in found[f"/{path}"], path
    assert found["/config"]["ct"] == ["50"]
    for path in found:
        code = request(node.url + path).code
        # the first minute has no row yet
        assert code == aiocoap.CONTENT or (path, code) == (
            "/s/batch",
            aiocoap.SERVICE_UNAVAILABLE,
        )


def test_non_is_answered_by_non(node):
    response = request(f"{node.url}/s/contact", non=True)
    assert response.mtype == aiocoap.NON, described(response)
    assert response.code == aiocoap.CONTENT


def test_requests_at_the_same_time(node):
    paths = ["s/contact", "config", "no/such", "s/temp"] * 10
    messages = [aiocoap.Message(code=aiocoap.GET, uri=f"{node.url}/{path}") for path in paths]
    codes = [response.code.dotted for response in asyncio.run(exchange(*messages))]
    assert codes == ["2.05", "2.05", "4.04", "2.05"] * 10


def test_ping_is_answered_by_reset(node):
    assert node.answers_ping(PATIENCE_S)
