"""The methods of RFC 7252, section 5.8, as TD_COAP_CORE_01 to 08 and 13 to 19 use them."""

from coap.numbers import ACK, CON, CONTENT_FORMAT, LOCATION_PATH, LOCATION_QUERY, NON, TEXT
from conformance.check import check, want, want_code


def put(client, path, kind=CON, payload=b"put here"):
    return client.ask("PUT", path, kind=kind, payload=payload, content_format=TEXT)


def of_kind(response, kind):
    want(response.kind == (ACK if kind == CON else NON), "of another type", response)
    return response


def get(subject, test, kind):
    client = subject.client()
    put(client, test)
    response = of_kind(client.ask("GET", test, kind=kind), kind)
    want_code(response, "2.05")
    want(response.payload and response.uint(CONTENT_FORMAT) is not None, "bare", response)


def delete(subject, test, kind):
    client = subject.client()
    put(client, test)
    want_code(of_kind(client.ask("DELETE", test, kind=kind), kind), "2.02")


def change(subject, test, kind):
    client = subject.client()
    put(client, test)
    want_code(of_kind(put(client, test, kind, b"changed"), kind), "2.04", "2.01")
    response = client.ask("GET", test)
    want(response.payload == b"changed", "GET gives something else", response)


def post(subject, test, kind):
    client = subject.client()
    put(client, test)
    response = client.ask("POST", test, kind=kind, payload=b"posted", content_format=TEXT)
    want_code(of_kind(response, kind), "2.01", "2.04")


@check("7252 5.8.1", "CON GET: 2.05 with Content-Format", "test", plugtest="CORE_01")
def con_get(subject, test):
    get(subject, test, CON)


@check("7252 5.8.4", "CON DELETE: 2.02", "test", plugtest="CORE_02")
def con_delete(subject, test):
    delete(subject, test, CON)
    put(subject.client(), test)


@check("7252 5.8.3", "CON PUT: 2.04 or 2.01, and it holds", "test", plugtest="CORE_03")
def con_put(subject, test):
    change(subject, test, CON)


@check("7252 5.8.2", "CON POST: 2.01 or 2.04", "test", plugtest="CORE_04")
def con_post(subject, test):
    post(subject, test, CON)


@check("7252 5.8.1", "NON GET", "test", plugtest="CORE_05")
def non_get(subject, test):
    get(subject, test, NON)


@check("7252 5.8.4", "NON DELETE", "test", plugtest="CORE_06")
def non_delete(subject, test):
    delete(subject, test, NON)
    put(subject.client(), test)


@check("7252 5.8.3", "NON PUT", "test", plugtest="CORE_07")
def non_put(subject, test):
    change(subject, test, NON)


@check("7252 5.8.2", "NON POST", "test", plugtest="CORE_08")
def non_post(subject, test):
    post(subject, test, NON)


@check("7252 5.8.3", "PUT creates with 2.01, after DELETE again", "create1")
def create(subject, create1):
    client = subject.client()
    client.ask("DELETE", create1)
    want_code(client.ask("GET", create1), "4.04")
    want_code(put(client, create1), "2.01")
    want_code(put(client, create1), "2.04")
    want_code(client.ask("GET", create1), "2.05")
    want_code(client.ask("DELETE", create1), "2.02")
    want_code(client.ask("GET", create1), "4.04")


@check("7252 5.8.4", "DELETE of what is not there: 2.02", "create1")
def delete_absent(subject, create1):
    client = subject.client()
    client.ask("DELETE", create1)
    want_code(client.ask("DELETE", create1), "2.02")


@check("7252 5.8", "methods that a resource lacks, and unknown ones: 4.05", "get-only")
def not_allowed(subject, path):
    client = subject.client()
    for method in ("POST", "0.08", "0.31"):
        want_code(client.ask(method, path), "4.05")


@check("7252 5.9.2.5", "no such resource: 4.04")
def not_found(subject):
    want_code(subject.client().ask("GET", "no/such/resource"), "4.04")


@check("7252 5.4.5", "several Uri-Path", "seg1/seg2/seg3", plugtest="CORE_13")
def segments(subject, path):
    response = subject.client().ask("GET", path)
    want_code(response, "2.05")
    want(response.payload, "empty", response)


@check("7252 6.5", "segments are compared whole: a/b in one is not two", "seg1/seg2/seg3")
def whole_segments(subject, path):
    client = subject.client()
    one, two, three = [part.encode() for part in path.split("/")]
    for other in (
        [one + b"/" + two, three],
        [one, two],
        [one, two, three, three],
        [one, two, three, b""],
        [one, two + three],
        [one.upper(), two, three],
        [one, two, b"\xff\xfe"],
    ):
        want_code(client.ask("GET", other), "4.04", "4.00")


@check("7252 5.4.5", "several Uri-Query", "query", plugtest="CORE_14")
def queries(subject, query):
    response = subject.client().ask("GET", f"{query}?first=1&second=2&third=3")
    want_code(response, "2.05")
    want(response.payload, "empty", response)


@check("7252 5.10.7", "several Location-Path", ("test", "location"), plugtest="CORE_18")
def location_path(subject, test, _):
    client = subject.client()
    put(client, test)
    response = client.ask("POST", test, payload=b"posted", content_format=TEXT)
    want_code(response, "2.01")
    location = response.all(LOCATION_PATH)
    want(location == [b"location1", b"location2", b"location3"], "another location", response)


@check("7252 5.10.7", "several Location-Query", "location-query", plugtest="CORE_19")
def location_query(subject, path):
    response = subject.client().ask("POST", path, payload=b"posted", content_format=TEXT)
    want_code(response, "2.01")
    want(response.all(LOCATION_QUERY) == [b"first=1", b"second=2"], "another query", response)
