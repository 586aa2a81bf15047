"""RFC 8132, 7967, 8613 of a server without keys, 9175 and 9290."""

import json
import os

from coap.numbers import (
    ACK,
    CONTENT_FORMAT,
    ECHO,
    IF_MATCH,
    JSON,
    MERGE_PATCH_JSON,
    NO_RESPONSE,
    NON,
    OSCORE,
    PROBLEM_DETAILS,
    REQUEST_TAG,
    TEXT,
)
from conformance.check import check, want, want_code
from conformance.checks.block import BODY, got_back
from conformance.client import EMPTY, SILENCE_S

SEPARATE_S = 3  # the plugtest's /separate takes 2 s


def document(client, path):
    return json.loads(want_code(client.ask("GET", path), "2.05").payload)


@check("8132 2", "FETCH gives the part that its payload names", "fetch")
def fetch(subject, path):
    client = subject.client()
    client.ask("iPATCH", path, payload=b'{"a":1,"b":2}', content_format=MERGE_PATCH_JSON)
    response = client.ask("FETCH", path, payload=b"b", content_format=TEXT)
    want_code(response, "2.05")
    want(response.payload == b"2" and response.uint(CONTENT_FORMAT) == JSON, "not 2", response)


@check("8132 2.2", "FETCH in a format that is not taken: 4.15", "fetch")
def fetch_format(subject, path):
    response = subject.client().ask("FETCH", path, payload=b"b", content_format=MERGE_PATCH_JSON)
    want_code(response, "4.15")


@check("8132 3", "PATCH and iPATCH change a part", "fetch")
def patch(subject, path):
    client = subject.client()
    for method in ("PATCH", "iPATCH"):
        before = document(client, path)
        body = json.dumps({method: len(before), "gone": None}).encode()
        want_code(client.ask(method, path, payload=body, content_format=MERGE_PATCH_JSON), "2.04")
        want(document(client, path) == {**before, method: len(before)}, "another document")
        body = json.dumps({method: None}).encode()
        want_code(client.ask(method, path, payload=body, content_format=MERGE_PATCH_JSON), "2.04")
        want(document(client, path) == before, "another document")


@check("8132 3.4", "PATCH: 4.15, 4.00, 4.22 and 4.12 change nothing", "fetch")
def patch_errors(subject, path):
    client = subject.client()
    before = document(client, path)
    for code, payload, form, options in (
        ("4.15", b'{"a":3}', TEXT, []),
        ("4.00", b'{"a":', MERGE_PATCH_JSON, []),
        ("4.22", b"[1]", MERGE_PATCH_JSON, []),
        ("4.12", b'{"a":3}', MERGE_PATCH_JSON, [(IF_MATCH, b"other")]),
    ):
        for method in ("PATCH", "iPATCH"):
            response = client.ask(
                method, path, payload=payload, content_format=form, options=options
            )
            want_code(response, code)
    want(document(client, path) == before, "changed all the same")


@check("7967 2", "No-Response: an unwanted response to NON is not sent", ("test", "counter"))
def no_response(subject, test, counter):
    client = subject.client()
    client.ask("POST", counter)
    before = int(client.ask("GET", counter).payload)
    for path, value in ((test, 2), (counter, 26), ("no/such", 8)):
        method = "POST" if path == counter else "GET"
        options = [(NO_RESPONSE, bytes([value]))]
        client.send(client.request(method, path, kind=NON, options=options))
        response = client.receive(SILENCE_S)
        want(response is None, "a response", response)
    want(int(client.ask("GET", counter).payload) == before + 1, "not executed")


@check("7967 2", "No-Response: responses of other classes are sent", "test")
def other_classes(subject, test):
    client = subject.client()
    want_code(client.ask("GET", test, kind=NON, options=[(NO_RESPONSE, b"\x08")]), "2.05")
    want_code(client.ask("GET", "no/such", kind=NON, options=[(NO_RESPONSE, b"\2")]), "4.04")


@check("7967 2", "No-Response in CON: an empty ACK", "test")
def no_response_con(subject, test):
    client = subject.client()
    request = client.send(client.request("GET", test, options=[(NO_RESPONSE, b"\x02")]))
    response = client.reaction(request)
    want(response is not None and response.kind == ACK, "no ACK", response)
    want(response.code == EMPTY, "not empty", response)
    want(client.receive(SILENCE_S) is None, "a response came all the same")


@check("7967 2", "No-Response: no separate response either", "separate")
def no_response_separate(subject, path):
    client = subject.client()
    request = client.send(client.request("GET", path, options=[(NO_RESPONSE, b"\x02")]))
    response = client.reaction(request)
    want(response is not None and response.code == EMPTY, "not an empty ACK", response)
    want(client.receive(SEPARATE_S) is None, "a response came all the same")


@check("9175 2.3", "Echo: 4.01 with a value, and with it again 2.04", "echo-required")
def echo(subject, path):
    client = subject.client()
    before = int(client.ask("GET", path).payload)
    challenge = client.ask("POST", path)
    want_code(challenge, "4.01")
    values = challenge.all(ECHO)
    want(len(values) == 1 and 1 <= len(values[0]) <= 40, "no Echo value", challenge)
    want(int(client.ask("GET", path).payload) == before, "executed without a value")
    want_code(client.ask("POST", path, options=[(ECHO, values[0])]), "2.04")
    want(int(client.ask("GET", path).payload) == before + 1, "not executed")


@check("9175 2.3", "Echo: a wrong value, or another client's: 4.01", "echo-required")
def echo_wrong(subject, path):
    client, thief = subject.client(), subject.client()
    value = client.ask("POST", path).all(ECHO)
    want(value, "no Echo value")
    forged = value[0][:-1] + bytes([value[0][-1] ^ 1])
    for asker, wrong in ((client, forged), (client, b"x"), (client, bytes(40)), (thief, value[0])):
        response = asker.ask("POST", path, options=[(ECHO, wrong)])
        want_code(response, "4.01")
        want(response.all(ECHO), "no new value", response)


@check("9175 3.3", "Request-Tag keeps two transfers of one client apart", "large-update")
def request_tag(subject, path):
    client = subject.client()
    for at in (0, 64, 128):
        for tag, first in ((b"one", 0), (b"two", 192)):
            response = client.ask(
                "PUT",
                path,
                payload=BODY[first + at : first + at + 64],
                block1=(at // 64, int(at < 128), 2),
                content_format=TEXT,
                options=[(REQUEST_TAG, tag)],
            )
            want_code(response, *(["2.31"] if at < 128 else ["2.04", "2.01"]))
            if at == 128:
                got_back(client, path, BODY[first : first + 192])


@check("9290 2", "problem details for an error under Accept 257", "problem")
def problem(subject, _):
    client = subject.client()
    response = client.ask("GET", "no/such", accept=PROBLEM_DETAILS)
    want_code(response, "4.04")
    want(response.uint(CONTENT_FORMAT) == PROBLEM_DETAILS, "in another format", response)
    is_map = response.payload and response.payload[0] >> 5 == 5
    want(is_map and b"\x23\x18\x84" in response.payload, "not a map with the code", response)


@check("9175 3.3", "Request-Tag is ignored where there are no blocks", "test")
def tag_alone(subject, test):
    options = [(REQUEST_TAG, os.urandom(4))]
    want_code(subject.client().ask("GET", test, options=options), "2.05")


@check("8613 8.2", "OSCORE without keys for it: 4.02 or 4.01, and nothing is done", "test")
def no_keys(subject, test):
    client = subject.client()
    want_code(client.ask("PUT", test, payload=b"as it was", content_format=TEXT), "2.04", "2.01")
    # a Partial IV and an unknown kid; then an option that is malformed
    for value in (b"\x09\x14\x7f", b"\x0f" + bytes(8)):
        options = [(OSCORE, value)]
        response = client.ask("PUT", test, payload=bytes(24), options=options, content_format=TEXT)
        want_code(response, "4.02", "4.01")
    want(client.ask("GET", test).payload == b"as it was", "the resource was changed")
