"""The options of RFC 7252: critical and elective ones, conditions, formats (section 5.4, 5.10)."""

from coap.numbers import (
    ACCEPT,
    ACK,
    CBOR,
    CONTENT_FORMAT,
    ETAG,
    IF_MATCH,
    IF_NONE_MATCH,
    JSON,
    NON,
    PROXY_SCHEME,
    PROXY_URI,
    RST,
    TEXT,
    URI_HOST,
    URI_PORT,
)
from conformance.check import check, want, want_code
from conformance.client import SILENCE_S

XML = 41
UNKNOWN_CRITICAL, UNKNOWN_ELECTIVE = 65001, 65002
NO_FORMAT = 65534


@check("7252 5.4.1", "unknown critical option in CON: 4.02", "test")
def critical(subject, test):
    client = subject.client()
    for value in (b"", b"x", b"x" * 300):
        want_code(client.ask("GET", test, options=[(UNKNOWN_CRITICAL, value)]), "4.02")
    want_code(client.ask("GET", "no/such", options=[(UNKNOWN_CRITICAL, b"")]), "4.02")


@check("7252 5.4.1", "unknown critical option in NON: silence or RST", "test")
def critical_non(subject, test):
    client = subject.client()
    client.send(client.request("GET", test, kind=NON, options=[(UNKNOWN_CRITICAL, b"")]))
    response = client.receive(SILENCE_S)
    want(response is None or response.kind == RST, "a response", response)


@check("7252 5.4.1", "a request with an unknown critical option has no effect", "counter")
def critical_effect(subject, counter):
    client = subject.client()
    before = client.ask("GET", counter).payload
    client.ask("POST", counter, options=[(UNKNOWN_CRITICAL, b"x")])
    want(client.ask("GET", counter).payload == before, "it was executed")


@check("7252 5.4.1", "unknown elective options are ignored", "test")
def elective(subject, test):
    client = subject.client()
    for value in (b"", b"x", b"x" * 13, b"x" * 269, b"x" * 300):
        want_code(client.ask("GET", test, options=[(UNKNOWN_ELECTIVE, value)]), "2.05")


def of_wrong_length(subject, test, *options):
    client = subject.client()
    for number, value in options:
        response = client.ask("GET", test, options=[(number, value)])
        want(response.code == "4.02", f"option {number} of {len(value)} bytes: not 4.02", response)


@check("7252 5.4.3", "critical option of a wrong length: 4.02", "test")
def lengths(subject, test):
    wrong = (IF_NONE_MATCH, b"x"), (ACCEPT, b"\1\2\3"), (IF_MATCH, b"x" * 9)
    of_wrong_length(subject, test, *wrong)


@check("7252 5.4.3", "Uri-Host and Uri-Port of a wrong length: 4.02", "test")
def host_lengths(subject, test):
    of_wrong_length(subject, test, (URI_PORT, b"\1\2\3"), (URI_HOST, b""))


@check("7252 5.4.5", "critical option that may not be repeated, twice: 4.02", "test")
def repeated(subject, test):
    client = subject.client()
    response = client.ask("GET", test, options=[(ACCEPT, b""), (ACCEPT, b"")])
    want_code(response, "4.02")


@check("7252 5.4.6", "thirty options in one request", "query")
def many(subject, query):
    client = subject.client()
    queries = "&".join(f"q{i}={i}" for i in range(30))
    want_code(client.ask("GET", f"{query}?{queries}"), "2.05", "4.02")


@check("7252 5.10.1", "Uri-Host and Uri-Port are accepted", "test")
def host(subject, test):
    client = subject.client()
    options = [(URI_HOST, b"mote.local"), (URI_PORT, b"\x16\x33")]
    want_code(client.ask("GET", test, options=options), "2.05")


@check("7252 5.10.2", "Proxy-Uri and Proxy-Scheme: 5.05")
def proxy(subject):
    client = subject.client()
    response = client.ask("GET", "", options=[(PROXY_URI, b"coap://other.example/test")])
    want_code(response, "5.05")
    options = [(URI_HOST, b"other.example"), (PROXY_SCHEME, b"coap")]
    want_code(client.ask("GET", "test", options=options), "5.05")


@check("7252 5.10.4", "Accept chooses the format", "multi-format", plugtest="CORE_20")
def accept(subject, path):
    client = subject.client()
    seen = set()
    for accepted in (TEXT, XML):
        response = client.ask("GET", path, accept=accepted)
        want_code(response, "2.05")
        want(response.uint(CONTENT_FORMAT) == accepted, "another format", response)
        seen.add(response.payload)
    want(len(seen) == 2 and b"" not in seen, "the same payload in both formats")


@check("7252 5.10.4", "Accept: JSON and CBOR too", "multi-format")
def accept_more(subject, path):
    client = subject.client()
    for accepted in (JSON, CBOR):
        response = client.ask("GET", path, accept=accepted)
        want_code(response, "2.05")
        want(response.uint(CONTENT_FORMAT) == accepted, "another format", response)


@check("7252 5.10.4", "Accept that cannot be met: 4.06", "multi-format")
def not_acceptable(subject, path):
    want_code(subject.client().ask("GET", path, accept=NO_FORMAT), "4.06")


@check("7252 5.5.2", "a diagnostic payload is UTF-8 without Content-Format")
def diagnostic(subject):
    response = subject.client().ask("GET", "no/such")
    want_code(response, "4.04")
    want(response.uint(CONTENT_FORMAT) is None, "it has a Content-Format", response)
    response.payload.decode()


def tagged(client, path):
    """The response to GET, and its ETag."""
    response = want_code(client.ask("GET", path), "2.05")
    tags = response.all(ETAG)
    want(len(tags) == 1 and 1 <= len(tags[0]) <= 8, "no ETag", response)
    return response, tags[0]


def changed(client, path, payload, *options):
    return client.ask("PUT", path, payload=payload, content_format=TEXT, options=options)


@check("7252 5.10.6", "ETag: 2.03 while it holds, 2.05 after", "validate", plugtest="CORE_21")
def validate(subject, path):
    client = subject.client()
    before, tag = tagged(client, path)
    same = client.ask("GET", path, options=[(ETAG, b"other"), (ETAG, tag)])
    want_code(same, "2.03")
    want(same.all(ETAG) == [tag] and not same.payload, "not only the ETag", same)
    want_code(changed(client, path, b"new: " + before.payload[:20]), "2.04")
    after = client.ask("GET", path, options=[(ETAG, tag)])
    want_code(after, "2.05")
    want(after.all(ETAG) not in ([], [tag]), "not another ETag", after)
    want(after.payload == b"new: " + before.payload[:20], "not what was put", after)


@check("7252 5.10.8.1", "If-Match: 2.04, and 4.12 when late", "validate", plugtest="CORE_22")
def if_match(subject, path):
    client = subject.client()
    _, tag = tagged(client, path)
    want_code(changed(client, path, b"first update", (IF_MATCH, tag)), "2.04")
    response, newer = tagged(client, path)
    want(response.payload == b"first update" and newer != tag, "not updated", response)
    want_code(changed(client, path, b"second update"), "2.04")
    want_code(changed(client, path, b"third update", (IF_MATCH, newer)), "4.12")
    response, _ = tagged(client, path)
    want(response.payload == b"second update", "4.12, and changed all the same", response)


@check("7252 5.10.8.1", "empty If-Match: whatever is there, 4.12 if nothing is", "create1")
def if_match_any(subject, path):
    client = subject.client()
    client.ask("DELETE", path)
    want_code(changed(client, path, b"no", (IF_MATCH, b"")), "4.12")
    want_code(client.ask("GET", path), "4.04")
    want_code(changed(client, path, b"yes"), "2.01")
    want_code(changed(client, path, b"again", (IF_MATCH, b"")), "2.04")
    client.ask("DELETE", path)


@check("7252 5.10.8.2", "If-None-Match: 2.01, then 4.12", "create1", plugtest="CORE_23")
def if_none_match(subject, path):
    client = subject.client()
    client.ask("DELETE", path)
    want_code(changed(client, path, b"first", (IF_NONE_MATCH, b"")), "2.01")
    want_code(changed(client, path, b"second", (IF_NONE_MATCH, b"")), "4.12")
    want(client.ask("GET", path).payload == b"first", "4.12, and changed all the same")
    client.ask("DELETE", path)


@check("7252 5.4.1", "the options of a response are known and in ascending order", "test")
def ascending(subject, test):
    client = subject.client()
    response = client.ask("GET", test)
    numbers = [number for number, _ in response.options]
    want(response.kind == ACK and numbers == sorted(numbers), "out of order", response)
    unknown = [number for number in numbers if number & 1 and number not in (URI_HOST, URI_PORT)]
    want(not unknown, "critical options in a response", response)
