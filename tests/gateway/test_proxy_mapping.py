"""How the proxy translates between HTTP and CoAP (RFC 8075), and what its URIs mean."""

import pytest
from aiocoap import Message
from aiocoap.numbers import codes
from aiocoap.numbers.codes import Code
from tools.gateway import accept as accepting
from tools.gateway import mapping, targets
from tools.gateway.mapping import Refused

# The whole table: each response code, and with a payload where that matters.
TABLE = [
    (2, 1, b"", 201),
    (2, 2, b"", 204),
    (2, 2, b"gone", 200),
    (2, 3, b"", 304),
    (2, 4, b"", 204),
    (2, 4, b"on", 200),
    (2, 5, b"21", 200),
    (4, 0, b"", 400),
    (4, 1, b"", 403),
    (4, 2, b"", 500),
    (4, 3, b"", 403),
    (4, 4, b"", 404),
    (4, 5, b"", 405),
    (4, 6, b"", 406),
    (4, 9, b"", 409),
    (4, 12, b"", 412),
    (4, 13, b"", 413),
    (4, 15, b"", 415),
    (4, 22, b"", 422),
    (4, 29, b"", 429),
    (5, 0, b"", 500),
    (5, 1, b"", 501),
    (5, 2, b"", 502),
    (5, 3, b"", 503),
    (5, 4, b"", 504),
    (5, 5, b"", 502),
    # Codes that the table does not know are those of their class.
    (4, 8, b"", 400),
    (4, 30, b"", 400),
    (5, 31, b"", 500),
    (2, 30, b"", 502),
    (7, 1, b"", 502),
]


def response(code, payload=b"", **options):
    """Return a CoAP response."""
    message = Message(code=Code(code), payload=payload)
    for name, value in options.items():
        setattr(message.opt, name, value)
    return message


def refused(status, function, *args):
    """Assert that a call raises Refused with a status."""
    with pytest.raises(Refused) as caught:
        function(*args)
    assert caught.value.status == status, str(caught.value)


@pytest.mark.parametrize(("major", "minor", "payload", "status"), TABLE)
def test_status(major, minor, payload, status):
    assert mapping.http_status(response(major << 5 | minor, payload)) == status


@pytest.mark.parametrize(
    ("method", "code"),
    [
        ("GET", codes.GET),
        ("HEAD", codes.GET),
        ("PUT", codes.PUT),
        ("POST", codes.POST),
        ("DELETE", codes.DELETE),
    ],
)
def test_methods(method, code):
    assert mapping.coap_request(method, {}, b"").code == code


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get"])
def test_other_methods_are_refused(method):
    refused(405, mapping.coap_request, method, {}, b"")


def test_patch_takes_patches_only():
    for name, number in (("json-patch+json", 51), ("merge-patch+json", 52)):
        headers = {"Content-Type": f"application/{name}"}
        request = mapping.coap_request("PATCH", headers, b"{}")
        assert (request.code, request.opt.content_format) == (codes.PATCH, number)
    refused(415, mapping.coap_request, "PATCH", {"Content-Type": "application/json"}, b"{}")
    refused(415, mapping.coap_request, "PATCH", {}, b"")


@pytest.mark.parametrize(
    ("media_type", "number"),
    [
        ("text/plain", 0),
        ("text/plain; charset=utf-8", 0),
        ('Text/Plain; Charset="UTF-8"', 0),
        ("application/link-format", 40),
        ("application/xml", 41),
        ("application/octet-stream", 42),
        ("application/exi", 47),
        ("application/json", 50),
        ("application/cbor", 60),
        ("application/senml+json", 110),
        ("application/senml+cbor", 112),
        ("application/coap-payload;cf=65000", 65000),
    ],
)
def test_media_types(media_type, number):
    request = mapping.coap_request("PUT", {"Content-Type": media_type}, b"1")
    assert request.opt.content_format == number
    assert request.payload == b"1"


@pytest.mark.parametrize(
    "media_type",
    [
        "",
        "text/html",
        "application/x-www-form-urlencoded",
        "application/coap-payload",
        "application/coap-payload;cf=65536",
        "application/coap-payload;cf=-1",
        "text/plain; charset=klingon",
    ],
)
def test_unknown_media_types_are_refused(media_type):
    refused(415, mapping.coap_request, "PUT", {"Content-Type": media_type}, b"1")


def test_text_is_utf8_for_the_node():
    headers = {"Content-Type": "text/plain; charset=iso-8859-1"}
    assert mapping.coap_request("PUT", headers, b"\xfc").payload == "ü".encode()
    refused(415, mapping.coap_request, "PUT", {"Content-Type": "text/plain"}, b"\xfc")


@pytest.mark.parametrize(
    ("number", "media_type"),
    [
        (None, "text/plain; charset=utf-8"),
        (0, "text/plain; charset=utf-8"),
        (40, "application/link-format"),
        (50, "application/json"),
        (112, "application/senml+cbor"),
        (257, "application/concise-problem-details+cbor"),
        (11050, "application/coap-payload;cf=11050"),  # JSON, but deflated
        (65000, "application/coap-payload;cf=65000"),
    ],
)
def test_content_type_of_a_response(number, media_type):
    found = mapping.http_headers(response(0x45, b"x", content_format=number))
    assert found["Content-Type"] == media_type


def test_entity_tags():
    get = mapping.coap_request("GET", {"If-None-Match": '"01ab", W/"ff", "x", "aabb"'}, b"")
    assert list(get.opt.etags) == [b"\x01\xab", b"\xff", b"\xaa\xbb"]
    many = ", ".join(f'"{number:02x}"' for number in range(20))
    assert len(mapping.coap_request("GET", {"If-None-Match": many}, b"").opt.etags) == 8
    assert mapping.http_headers(response(0x45, b"", etag=b"\x01\xab"))["ETag"] == '"01ab"'
    long = {"If-None-Match": f'"{"00" * 9}"'}
    assert not mapping.coap_request("GET", long, b"").opt.etags


def test_conditions_of_writes():
    text = {"Content-Type": "text/plain"}
    put = mapping.coap_request("PUT", {**text, "If-None-Match": "*"}, b"1")
    assert put.opt.if_none_match
    put = mapping.coap_request("PUT", {**text, "If-Match": "*"}, b"1")
    assert list(put.opt.if_match) == [b""]
    put = mapping.coap_request("PUT", {**text, "If-Match": '"01", W/"02", "zz"'}, b"1")
    assert list(put.opt.if_match) == [b"\x01"]
    # A condition is never dropped: one that CoAP can not hold is not fulfilled.
    refused(412, mapping.coap_request, "PUT", {**text, "If-Match": '"zz"'}, b"1")
    refused(412, mapping.coap_request, "PUT", {**text, "If-Match": 'W/"01"'}, b"1")
    refused(412, mapping.coap_request, "DELETE", {"If-None-Match": '"01"'}, b"")


def test_a_get_with_any_tag_asks_plainly():
    get = mapping.coap_request("GET", {"If-None-Match": "*"}, b"")
    assert not get.opt.etags
    assert not get.opt.if_none_match


@pytest.mark.parametrize(
    ("accept", "number", "any_else"),
    [
        ("", None, True),
        ("*/*", None, True),
        ("text/plain", 0, False),
        ("TEXT/PLAIN", 0, False),
        ("text/*", 0, False),
        ("application/*", 50, False),
        ("application/json;q=0.5, application/cbor", 60, False),
        ("application/json;q=0.5, application/cbor;q=0.4", 50, False),
        ("application/json, */*;q=0.1", 50, True),
        ("text/html, application/senml+json;q=0.2", 110, False),
        ("application/coap-payload;cf=65000", 65000, False),
        ("application/json;q=0, application/cbor", 60, False),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", 41, True),
        ("application/json;q=2, text/plain;q=0.1", 0, False),  # no such quality
    ],
)
def test_accept(accept, number, any_else):
    found = accepting.acceptable(accept)
    assert (found.content_format, found.any_else, found.stream) == (number, any_else, False)


@pytest.mark.parametrize(
    "accept",
    ["text/html", "image/*", "application/json;q=0", "*/*;q=0", "application/coap-payload"],
)
def test_nothing_acceptable(accept):
    refused(406, accepting.acceptable, accept)


def test_accept_of_a_stream():
    assert accepting.acceptable("text/event-stream").stream
    found = accepting.acceptable("text/event-stream, application/senml+json")
    assert (found.content_format, found.any_else, found.stream) == (110, False, True)


def test_caching():
    assert mapping.http_headers(response(0x45, b"1"))["Cache-Control"].startswith("max-age=60")
    headers = mapping.http_headers(response(0x45, b"1", max_age=100), age_s=40)
    assert headers["Cache-Control"].startswith("max-age=140,")  # 100 s are left of it
    assert headers["Age"] == "40"
    headers = mapping.http_headers(response(0x43, b"", max_age=7, etag=b"\x01"))
    assert headers["Cache-Control"].startswith("max-age=7,")
    assert headers["ETag"] == '"01"'
    for code in (0x84, 0xA4, 0x44, 0x41):
        assert mapping.http_headers(response(code))["Cache-Control"] == "no-store"


@pytest.mark.parametrize("code", [0xA3, 0x9D])
def test_retry_after(code):
    assert mapping.http_headers(response(code, max_age=5))["Retry-After"] == "5"
    assert mapping.http_headers(response(code))["Retry-After"] == "60"


def test_allow():
    assert mapping.http_headers(response(0x85))["Allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    ("rest", "query", "found"),
    [
        ("coap://door-1/s/contact", "", ("door-1", ("s", "contact"), ())),
        ("coap:/door-1/s/contact", "", ("door-1", ("s", "contact"), ())),
        ("COAP://door-1/s", "a=1&b", ("door-1", ("s",), ("a=1", "b"))),
        ("door-1/s/contact", "stale", ("door-1", ("s", "contact"), ("stale",))),
        ("coap://door-1", "", ("door-1", (), ())),
        ("coap://door-1/", "", ("door-1", (), ())),
        ("coap://door-1/a/", "", ("door-1", ("a", ""), ())),
        ("coap://door%201/a%2Fb", "c%26d", ("door 1", ("a/b",), ("c&d",))),
        ("coap%3A%2F%2Fdoor-1%2Fs%3Fx", "", ("door-1", ("s",), ("x",))),
        ("", "target_uri=coap://door-1/s?x=1", ("door-1", ("s",), ("x=1",))),
        ("", "target_uri=coap%3A%2F%2F%5Bfd00%3A%3A2%5D%3A99%2Fs", ("[fd00::2]:99", ("s",), ())),
        ("192.168.1.7:5683/s", "", ("192.168.1.7:5683", ("s",), ())),
    ],
)
def test_targets(rest, query, found):
    assert targets.parse(rest, query) == found


@pytest.mark.parametrize(
    ("rest", "query"),
    [
        ("", ""),
        ("", "target=coap://door-1/"),
        ("", "target_uri="),
        ("http://door-1/s", ""),
        ("coaps://door-1/s", ""),
        ("coap+tcp://door-1/s", ""),
        ("file:///etc/passwd", ""),
        ("", "target_uri=http%3A%2F%2F169.254.169.254%2F"),
        ("coap:///s", ""),
        ("coap://door-1/../x", ""),
        ("coap://door-1/%2e%2e/x", ""),
        ("coap://door-1/./x", ""),
        ("", "target_uri=coap%3A%2F%2Fdoor-1%2Fs%23f"),
        ("coap://door-1/" + "a" * 256, ""),
    ],
)
def test_what_is_no_target(rest, query):
    refused(400, targets.parse, rest, query)


def test_endpoints():
    place = targets.endpoint("192.168.1.7")
    assert place == targets.endpoint("192.168.1.7:5683")
    assert place == targets.endpoint("[::ffff:192.168.1.7]:5683")
    assert place != targets.endpoint("192.168.1.7:5684")
    assert targets.endpoint("[FD00::2]") == targets.endpoint("fd00:0:0::2")
    for text in (
        "2130706433",
        "0x7f.1",
        "127.1",
        "0177.0.0.1",
        "127.0.0.01",
        "door-1",
        "",
        "[::1",
    ):
        assert targets.endpoint(text) is None, text
    assert targets.endpoint("127.0.0.1:99999999") is None


def test_forbidden_addresses():
    for text in ("169.254.169.254", "[::ffff:169.254.169.254]", "[::ffff:a9fe:a9fe]", "0.0.0.0"):
        place = targets.endpoint(text)
        assert place is not None and targets.is_forbidden(place[0]), text
    for text in ("[ff02::1]", "224.0.1.187", "255.255.255.255", "[::]", "[fd00:ec2::254]"):
        place = targets.endpoint(text)
        assert place is not None and targets.is_forbidden(place[0]), text
    for text in ("192.168.1.7", "[fe80::1]", "[fd00::2]", "127.0.0.1", "10.0.0.1"):
        place = targets.endpoint(text)
        assert place is not None and not targets.is_forbidden(place[0]), text
