"""The plugtest's descriptions with libcoap's client: test_core_01_... is TD_COAP_CORE_01."""

import aiocoapclient
import pytest
from aiocoap import PUT
from aiocoap.numbers.codes import Code
from libcoapclient import observing, request
from processes import ROOT

TEXT, XML, JSON = 0, 41, 50
LICENSE = ROOT / "LICENSE"  # a text of a little more than one block


def code(url, method, payload=None, non=False, more=()):
    form = TEXT if payload else None
    exchange = request(url, method, payload, content_format=form, non=non, more=more)
    answer = "NON" if non else "ACK"
    assert exchange.reply.type == answer, exchange.transcript
    assert exchange.reply.token == exchange.messages[0].token, exchange.transcript
    if not non:
        assert exchange.reply.mid == exchange.messages[0].mid, exchange.transcript
    return exchange.reply.code


def received(exchange, *codes):
    return [m for m in exchange.distinct if m.way == "received" and m.code in codes]


def change(url, payload, form=TEXT, code=PUT):
    """Another client changes the resource."""
    return aiocoapclient.request(url, code, payload, content_format=form)


def observed(url, *changes, **options):
    """What libcoap's client saw while it observed. changes: pairs of a function that is called,
    and what is true of the messages when the client has seen what came of it.
    """
    with observing(url, **options) as client:
        for make, is_seen in changes:
            make()
            client.until(lambda is_seen=is_seen: is_seen(client))
    return client.messaging


def has(payload):
    """Did a notification bring this?"""
    return lambda client: payload in [m.payload for m in received(client, "2.05")[1:]]


def ended(code):
    """Did the observation end with this code?"""
    return lambda client: received(client, code)


def methods(url, non):
    code(url, "put", "there")
    assert code(url, "get", non=non) == "2.05"
    assert code(url, "delete", non=non) == "2.02"
    assert code(url, "put", "there", non) in ("2.01", "2.04")
    assert code(url, "post", "posted", non) in ("2.01", "2.04")


def test_core_01_02_03_04_methods(plugtest):
    methods(f"{plugtest.url}/test", non=False)


def test_core_05_06_07_08_methods_by_non(plugtest):
    methods(f"{plugtest.url}/test", non=True)


def test_core_10_token_of_eight_bytes(plugtest):
    code(f"{plugtest.url}/test", "put", "there")
    exchange = request(f"{plugtest.url}/test", more=["-T", "8 bytes."])
    assert len(exchange.messages[0].token) == 2 * 8, exchange.transcript
    assert exchange.reply.token == exchange.messages[0].token, exchange.transcript
    assert exchange.reply.code == "2.05"


def test_core_13_several_uri_path(plugtest):
    exchange = request(f"{plugtest.url}/seg1/seg2/seg3")
    assert exchange.messages[0].option("Uri-Path") == ["seg1", "seg2", "seg3"]
    assert (exchange.reply.code, exchange.payload) == ("2.05", b"three segments")


def test_core_14_several_uri_query(plugtest):
    exchange = request(f"{plugtest.url}/query?first=1&second=2&third=3")
    assert exchange.payload == b"first=1\nsecond=2\nthird=3", exchange.transcript


def test_core_18_location_path(plugtest):
    exchange = request(f"{plugtest.url}/test", "post", "posted", TEXT)
    assert exchange.reply.code == "2.01", exchange.transcript
    location = ["location1", "location2", "location3"]
    assert exchange.reply.option("Location-Path") == location, exchange.transcript


def test_core_19_location_query(plugtest):
    exchange = request(f"{plugtest.url}/location-query", "post", "posted", TEXT)
    assert exchange.reply.code == "2.01", exchange.transcript
    assert exchange.reply.option("Location-Query") == ["first=1", "second=2"]


def test_core_20_accept(plugtest):
    for form, payload in ((TEXT, b"21.5"), (XML, b"<temperature>21.5</temperature>")):
        exchange = request(f"{plugtest.url}/multi-format", accept=form)
        assert (exchange.reply.code, exchange.payload) == ("2.05", payload), exchange.transcript


def test_core_21_etag(plugtest):
    url = f"{plugtest.url}/validate"
    code(url, "put", "for libcoap")
    (tag,) = request(url).reply.option("ETag")
    valid = request(url, more=["-O", f"4,{tag}"])
    assert (valid.reply.code, valid.reply.payload) == ("2.03", ""), valid.transcript
    assert code(url, "put", "changed for libcoap") == "2.04"
    changed = request(url, more=["-O", f"4,{tag}"])
    assert changed.reply.code == "2.05", changed.transcript
    assert changed.reply.option("ETag") != [tag]


def test_core_22_if_match(plugtest):
    url = f"{plugtest.url}/validate"
    code(url, "put", "first for libcoap")
    (tag,) = request(url).reply.option("ETag")
    assert code(url, "put", "second for libcoap", more=["-O", f"1,{tag}"]) == "2.04"
    assert code(url, "put", "third for libcoap", more=["-O", f"1,{tag}"]) == "4.12"
    assert request(url).payload == b"second for libcoap"


def test_core_23_if_none_match(plugtest):
    url = f"{plugtest.url}/create1"
    code(url, "delete")
    assert code(url, "put", "one", more=["-O", "5,"]) == "2.01"
    assert code(url, "put", "two", more=["-O", "5,"]) == "4.12"
    assert request(url).payload == b"one"


def test_core_31_ping(plugtest):
    with observing(f"{plugtest.url}/obs-non", more=["-K", "1"]) as client:
        client.until(lambda: [m for m in client.messages if m.type == "RST"])
    exchange = client.messaging
    pings = [m for m in exchange.messages if (m.way, m.type, m.code) == ("sent", "CON", "0.00")]
    resets = [m.mid for m in exchange.messages if m.type == "RST"]
    assert pings and pings[0].mid in resets, exchange.transcript


def test_block_01_06_early_negotiation(plugtest):
    for size, more in ((64, "64"), (16, "16")):
        exchange = request(f"{plugtest.url}/large", more=["-b", more])
        blocks = [m.option("Block2")[0] for m in received(exchange, "2.05")]
        assert blocks[0] == f"0/M/{size}", exchange.transcript
        assert blocks[-1] == f"{len(blocks) - 1}/_/{size}", exchange.transcript
        assert len(exchange.payload) > 2048


def test_block_02_late_negotiation(plugtest):
    exchange = request(f"{plugtest.url}/large")
    blocks = [m.option("Block2")[0] for m in received(exchange, "2.05")]
    assert blocks == ["0/M/1024", "1/M/1024", "2/_/1024"], exchange.transcript


def test_block_03_put(plugtest):
    url = f"{plugtest.url}/large-update"
    exchange = request(url, "put", content_format=TEXT, more=["-f", str(LICENSE), "-b", "128"])
    assert exchange.reply.code == "2.04", exchange.transcript
    assert len(received(exchange, "2.31")) == LICENSE.stat().st_size // 128, exchange.transcript
    assert request(url).payload == LICENSE.read_bytes()


def test_block_04_post_creates(plugtest):
    url = f"{plugtest.url}/large-create"
    exchange = request(url, "post", content_format=TEXT, more=["-f", str(LICENSE), "-b", "128"])
    assert exchange.reply.code == "2.01", exchange.transcript
    location = "/".join(exchange.reply.option("Location-Path"))
    assert request(f"{plugtest.url}/{location}").payload == LICENSE.read_bytes()


def test_block_05_post_both_ways(plugtest):
    url = f"{plugtest.url}/large-post"
    exchange = request(url, "post", content_format=TEXT, more=["-f", str(LICENSE)])
    assert exchange.reply.code == "2.04", exchange.transcript
    assert exchange.payload == LICENSE.read_bytes(), exchange.transcript


def test_obs_01_con_notifications(plugtest):
    url = f"{plugtest.url}/obs"
    exchange = observed(
        url,
        *((lambda body=body: change(url, body.encode()), has(body)) for body in ("one", "two")),
    )
    first, *told = received(exchange, "2.05")
    assert first.type == "ACK", exchange.transcript
    assert len(told) > 1 and {m.type for m in told} == {"CON"}, exchange.transcript
    numbers = [int(m.option("Observe")[0]) for m in (first, *told)]
    assert numbers == sorted(set(numbers)), exchange.transcript
    assert {m.token for m in told} == {first.token}


def test_obs_02_non_notifications(plugtest):
    url = f"{plugtest.url}/obs-non"
    exchange = observed(url, (lambda: change(url, b"told"), has("told")), non=True)
    told = received(exchange, "2.05")
    assert {m.type for m in told} == {"NON"}, exchange.transcript


def test_obs_07_delete(plugtest):
    url = f"{plugtest.url}/obs"
    try:
        exchange = observed(url, (lambda: change(url, b"", None, Code.DELETE), ended("4.04")))
    finally:
        assert change(url, b"back").code.dotted == "2.01"
    last = received(exchange, "4.04")
    assert [m.type for m in last] == ["CON"], exchange.transcript
    assert not last[0].option("Observe")


def test_obs_08_other_content_format(plugtest):
    url = f"{plugtest.url}/obs"
    exchange = observed(url, (lambda: change(url, b"{}", JSON), ended("4.06")))
    last = received(exchange, "4.06")
    assert [m.type for m in last] == ["CON"], exchange.transcript
    assert not last[0].option("Observe")
    change(url, b"text again")


def test_obs_09_update(plugtest):
    url = f"{plugtest.url}/obs"
    observed(url, (lambda: change(url, b"for libcoap"), has("for libcoap")))


def test_obs_12_deregistration(plugtest):
    url = f"{plugtest.url}/obs"
    exchange = observed(url)
    last = [m for m in exchange.messages if m.way == "sent" and m.code == "GET"][-1]
    assert last.option("Observe") == ["1"], exchange.transcript


def test_obs_13_large(plugtest):
    url = f"{plugtest.url}/obs-large"
    body = b"large for libcoap " * 80

    def is_seen(client):
        return [m.option("Block2") for m in received(client, "2.05")].count(["1/_/1024"]) > 1

    exchange = observed(url, (lambda: change(url, body), is_seen))
    blocks = [m.option("Block2")[0] for m in received(exchange, "2.05")]
    assert blocks[:2] == ["0/M/1024", "1/_/1024"], exchange.transcript
    assert blocks[-2:] == ["0/M/1024", "1/_/1024"], exchange.transcript
    assert exchange.payload.endswith(body[1024:]), exchange.transcript


@pytest.mark.parametrize(
    ("query", "there", "absent"),
    [
        ("", ["/test", "/link1", "/link3", "/path"], []),
        ("?rt=Type1", ["/link1", "/link3"], ["/link2", "/test"]),
        ("?rt=*", ["/link1", "/link2", "/link3"], ["/test"]),
        ("?rt=Type2", ["/link1", "/link2"], ["/link3"]),
        ("?if=If*", ["/link1", "/link2"], ["/link3", "/test"]),
        ("?sz=*", ["/large"], ["/test"]),
        ("?href=/link1", ["/link1"], ["/link2", "/test"]),
        ("?href=/link*", ["/link1", "/link2", "/link3"], ["/test"]),
    ],
)
def test_link_01_02_03_04_05_06_07_08_filters(plugtest, query, there, absent):
    exchange = request(f"{plugtest.url}/.well-known/core{query}")
    assert exchange.reply.code == "2.05", exchange.transcript
    links = exchange.payload.decode()
    for path in there:
        assert f"<{path}>" in links, exchange.transcript
    for path in absent:
        assert f"<{path}>" not in links, exchange.transcript


def test_link_09_hierarchy(plugtest):
    for path in ("/path/sub1", "/path/sub2"):
        assert f"<{path}>".encode() in request(f"{plugtest.url}/path").payload
        assert request(plugtest.url + path).payload == path.encode()
