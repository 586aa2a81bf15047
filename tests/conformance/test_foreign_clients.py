"""The plugtest's descriptions with foreign clients: test_core_01_... is TD_COAP_CORE_01.

What libcoap's client alone shows, or does, has tests of its own.
"""

import pytest
from libcoapclient import observing, received_by, request

from coap.numbers import JSON, LINK_FORMAT, TEXT
from conformance.foreign_clients import CLIENTS

XML = 41
BODY = b"".join(b"%03d: a line of a body that comes in blocks\n" % i for i in range(30))
ENDED = None  # aiocoap does not say by which message


def with_clients(*names):
    """Run the test with each of these clients, as `client`."""
    return pytest.mark.parametrize("client", [CLIENTS[name] for name in names], ids=names)


every_client = with_clients("aiocoap", "libcoap", "node")
most_clients = with_clients("aiocoap", "libcoap")


def put(client, url, payload, form=TEXT, **options):
    """The code of the response to a PUT."""
    return client.request(url, "PUT", payload, content_format=form, **options).code


def change(url, payload, form=TEXT):
    """Another client changes the resource, for which a notification with this payload comes."""
    return lambda: put(CLIENTS["aiocoap"], url, payload, form), lambda m: m.payload == payload


@every_client
@pytest.mark.parametrize("non", [False, True], ids=["con", "non"])
def test_core_01_02_03_04_05_06_07_08_methods(plugtest, client, non):
    url = f"{plugtest.url}/test"
    put(client, url, b"at first")
    responses = [
        client.request(url, "PUT", b"there", non, content_format=TEXT),
        client.request(url, non=non),
        client.request(url, "POST", b"posted", non, content_format=TEXT),
        client.request(url, "DELETE", non=non),
        client.request(url, "PUT", b"there", non, content_format=TEXT),
    ]
    assert [response.code for response in responses] == ["2.04", "2.05", "2.01", "2.02", "2.01"]
    assert {response.kind for response in responses} < {"", "NON" if non else "ACK"}
    assert (responses[1].payload, responses[1].content_format) == (b"there", TEXT)


@every_client
def test_core_09_separate(plugtest, client):
    response = client.request(f"{plugtest.url}/separate")
    assert response.kind in ("CON", ""), response
    assert (response.code, response.payload) == ("2.05", b"answered separately"), response


@every_client
def test_core_13_14_several_uri_path_and_uri_query(plugtest, client):
    assert client.request(f"{plugtest.url}/seg1/seg2/seg3").payload == b"three segments"
    response = client.request(f"{plugtest.url}/query?first=1&second=2&third=3")
    assert response.payload == b"first=1\nsecond=2\nthird=3", response


@most_clients
def test_core_18_19_location(plugtest, client):
    response = client.request(f"{plugtest.url}/test", "POST", b"posted", content_format=TEXT)
    location = ("location1", "location2", "location3")
    assert (response.code, response.location) == ("2.01", location), response
    response = client.request(f"{plugtest.url}/location-query", "POST")
    assert response.code == "2.01", response
    assert response.location_query == ("first=1", "second=2"), response


@every_client
@pytest.mark.parametrize("form", [TEXT, XML, JSON])
def test_core_20_accept(plugtest, client, form):
    response = client.request(f"{plugtest.url}/multi-format", accept=form)
    assert (response.code, response.content_format) == ("2.05", form), response
    assert b"21.5" in response.payload, response


@most_clients
def test_core_21_22_etag_and_if_match(plugtest, client):
    url = f"{plugtest.url}/validate"
    put(client, url, b"at first")
    tag = client.request(url).etag
    valid = client.request(url, etag=tag)
    assert (valid.code, valid.etag, valid.payload) == ("2.03", tag, b""), valid
    assert put(client, url, b"changed", if_match=tag) == "2.04"
    changed = client.request(url, etag=tag)
    assert (changed.code, changed.payload) == ("2.05", b"changed"), changed
    assert put(client, url, b"too late", if_match=tag) == "4.12"
    assert client.request(url).payload == b"changed"


@most_clients
def test_core_23_if_none_match(plugtest, client):
    url = f"{plugtest.url}/create1"
    client.request(url, "DELETE")
    assert put(client, url, b"one", if_none_match=True) == "2.01"
    assert put(client, url, b"two", if_none_match=True) == "4.12"
    assert client.request(url).payload == b"one"


@most_clients
def test_block_01_06_early_negotiation(plugtest, client):
    url = f"{plugtest.url}/large"
    whole = client.request(url).payload
    assert len(whole) > 2048
    for szx in (0, 2):
        response = client.request(url, szx=szx)
        assert (response.code, response.payload) == ("2.05", whole), response


@every_client
def test_block_02_late_negotiation(plugtest, client):
    response = client.request(f"{plugtest.url}/large")
    assert response.code == "2.05", response
    assert response.payload.count(b"\n") == 40, response


@most_clients
def test_block_03_put(plugtest, client):
    url = f"{plugtest.url}/large-update"
    assert put(client, url, BODY) == "2.04"
    assert client.request(url).payload == BODY


@most_clients
def test_block_04_post_creates(plugtest, client):
    response = client.request(f"{plugtest.url}/large-create", "POST", BODY, content_format=TEXT)
    assert response.code == "2.01", response
    location = "/".join(response.location)
    assert client.request(f"{plugtest.url}/{location}").payload == BODY


@most_clients
def test_block_05_post_both_ways(plugtest, client):
    response = client.request(f"{plugtest.url}/large-post", "POST", BODY, content_format=TEXT)
    assert (response.code, response.payload) == ("2.04", BODY), response


@most_clients
def test_obs_01_09_notifications(plugtest, client):
    url = f"{plugtest.url}/obs"
    seen = client.observe(url, change(url, b"one"), change(url, b"two"))
    assert [message.payload for message in seen[1:]] == [b"one", b"two"]
    assert {message.kind for message in seen[1:]} == {"CON"}
    numbers = [message.observe for message in seen]
    assert None not in numbers and numbers == sorted(set(numbers))


@most_clients
def test_obs_02_non_notifications(plugtest, client):
    url = f"{plugtest.url}/obs-non"
    # the first one may be confirmable, to verify the client's address
    _, _, notification = client.observe(url, change(url, b"one"), change(url, b"two"), non=True)
    assert (notification.kind, notification.payload) == ("NON", b"two")


@most_clients
@pytest.mark.parametrize("code", ["4.04", "4.06"], ids=["07 DELETE", "08 another format"])
def test_obs_07_08_the_last_notification(plugtest, client, code):
    url = f"{plugtest.url}/obs"
    other = CLIENTS["aiocoap"]
    make = {
        "4.04": lambda: other.request(url, "DELETE"),
        "4.06": lambda: put(other, url, b"{}", JSON),
    }[code]
    try:
        first, last = client.observe(url, (make, lambda message: message.code == code))
    finally:
        put(other, url, b"back")
    assert first.observe is not None
    assert last is ENDED or (last.kind, last.observe) == ("CON", None)


@most_clients
def test_obs_10_plain_get_does_not_end_it(plugtest, client):
    url = f"{plugtest.url}/obs"
    make, is_it = change(url, b"still notified")
    _, notification = client.observe(url, (lambda: (client.request(url), make()), is_it))
    assert notification.payload == b"still notified"


@with_clients("aiocoap")
def test_obs_13_14_large(plugtest, client):
    url = f"{plugtest.url}/obs-large"
    body = b"large " * 200
    first, large, small = client.observe(url, change(url, body), change(url, b"small"))
    assert len(first.payload) > 4 and (large.payload, small.payload) == (body, b"small")


@every_client
def test_link_01_all(plugtest, client):
    response = client.request(f"{plugtest.url}/.well-known/core")
    assert (response.code, response.content_format) == ("2.05", LINK_FORMAT), response
    for path in ("/test", "/obs", "/large", "/link1", "/path", "/path/sub1", "/store"):
        assert path in response.links, path
    assert ";obs" in response.links["/obs"]
    assert 'rt="Type1 Type2"' in response.links["/link1"]


@every_client
@pytest.mark.parametrize(
    ("query", "paths"), [("rt=Type1", {"/link1", "/link3"}), ("href=/link1", {"/link1"})]
)
def test_link_02_07_filters(plugtest, client, query, paths):
    assert set(client.request(f"{plugtest.url}/.well-known/core?{query}").links) == paths


@most_clients
@pytest.mark.parametrize(
    ("query", "paths"),
    [
        ("rt=*", {"/link1", "/link2", "/link3"}),
        ("rt=Type2", {"/link1", "/link2"}),
        ("if=If*", {"/link1", "/link2"}),
        ("sz=*", {"/large"}),
        ("href=/link*", {"/link1", "/link2", "/link3"}),
    ],
)
def test_link_03_04_05_06_08_filters(plugtest, client, query, paths):
    assert set(client.request(f"{plugtest.url}/.well-known/core?{query}").links) == paths


@most_clients
def test_link_09_hierarchy(plugtest, client):
    assert "ct=40" in client.request(f"{plugtest.url}/.well-known/core").links["/path"]
    found = client.request(f"{plugtest.url}/path").links
    assert set(found) == {"/path/sub1", "/path/sub2"}
    for path in found:
        assert client.request(plugtest.url + path).payload == path.encode()


@most_clients
def test_every_linked_resource_responds(plugtest, client):
    for path in client.request(f"{plugtest.url}/.well-known/core").links:
        if path not in ("/separate", "/echo-required"):  # one takes 2 s, the other only POST
            code = client.request(plugtest.url + path).code
            assert code[0] == "2" or code == "4.05", (path, code)


# What libcoap's client shows of the messages


@with_clients("libcoap")
def test_core_10_token_of_eight_bytes(plugtest, client):
    exchange = request(f"{plugtest.url}/seg1/seg2/seg3", more=["-T", "8 bytes."])
    sent = exchange.messages[0]
    assert len(sent.token) == 2 * 8, exchange.transcript
    response = exchange.response
    assert (response.token, response.mid) == (sent.token, sent.mid), exchange.transcript


@with_clients("libcoap")
def test_core_31_ping(plugtest, client):
    with observing(f"{plugtest.url}/obs-non", more=["-K", "1"]) as listener:
        listener.until(lambda: [m for m in listener.messages if m.type == "RST"])
    exchange = listener.exchange
    pings = [m for m in exchange.messages if (m.way, m.type, m.code) == ("sent", "CON", "0.00")]
    resets = [m.mid for m in exchange.messages if m.type == "RST"]
    assert pings and pings[0].mid in resets, exchange.transcript


def blocks(exchange):
    """The Block2 options of the responses."""
    return [m.option("Block2")[0] for m in received_by(exchange) if m.option("Block2")]


@with_clients("libcoap")
def test_block_01_02_06_sizes(plugtest, client):
    for more, size in (([], 1024), (["-b", "64"], 64), (["-b", "16"], 16)):
        exchange = request(f"{plugtest.url}/large", more=more)
        found = blocks(exchange)
        last = len(found) - 1
        wanted = [f"{i}/{'_' if i == last else 'M'}/{size}" for i in range(last + 1)]
        assert found == wanted and len(exchange.payload) > 2048, exchange.transcript


@with_clients("libcoap")
def test_obs_12_deregistration(plugtest, client):
    with observing(f"{plugtest.url}/obs") as listener:
        pass
    exchange = listener.exchange
    last = [m for m in exchange.messages if m.way == "sent" and m.code == "GET"][-1]
    assert last.option("Observe") == ["1"], exchange.transcript


@with_clients("libcoap")
def test_obs_13_large(plugtest, client):
    url = f"{plugtest.url}/obs-large"
    put(CLIENTS["aiocoap"], url, b"large at first " * 80)
    body = b"large for libcoap " * 80
    with observing(url) as listener:
        put(CLIENTS["aiocoap"], url, body)
        listener.until(lambda: blocks(listener).count("1/_/1024") > 1)
    found = blocks(listener.exchange)
    for part in (found[:2], found[-2:]):
        assert part == ["0/M/1024", "1/_/1024"], listener.exchange.transcript
    assert listener.exchange.payload.endswith(body[1024:]), listener.exchange.transcript
