"""The plugtest's resources for TD_COAP_CORE, BLOCK and LINK."""

from coap.numbers import (
    ACCEPT,
    ACK,
    BLOCK2,
    CBOR,
    CON,
    CONTENT_FORMAT,
    DELETE,
    ETAG,
    GET,
    IF_MATCH,
    IF_NONE_MATCH,
    JSON,
    LOCATION_PATH,
    LOCATION_QUERY,
    POST,
    PUT,
    TEXT,
    URI_QUERY,
)
from support import cases
from support.engine import ask, due, get, request, uint
from support.plugtest_node import block, code, download, found, plugnode, put, send, upload

BODY = b"".join([b"%03d: a line of a body that comes in blocks\n" % i for i in range(30)])


# TD_COAP_CORE


def test_methods_of_test():
    node = plugnode()
    assert get(node, "test").payload == b"This is /test"
    assert code(put(node, "test", b"{}", JSON)) == "2.04"
    message = get(node, "test")
    assert (message.payload, message.uint(CONTENT_FORMAT)) == (b"{}", JSON)
    assert code(send(node, DELETE, "test")) == "2.02"
    assert code(send(node, DELETE, "test")) == "2.02"
    assert code(get(node, "test")) == "4.04"
    assert code(put(node, "test", b"again")) == "2.01"


def test_post_to_test_creates_at_a_location():
    node = plugnode()
    location = "location1/location2/location3"
    assert code(get(node, location)) == "4.04"
    message = send(node, POST, "test", b"made", TEXT)
    assert code(message) == "2.01"
    assert message.all(LOCATION_PATH) == [b"location1", b"location2", b"location3"]
    assert get(node, location).payload == b"made"
    assert code(send(node, DELETE, location)) == "2.02"
    assert code(get(node, location)) == "4.04"


def test_segments_queries_and_location_query():
    node = plugnode()
    assert get(node, "seg1/seg2/seg3").payload == b"three segments"
    queries = [(URI_QUERY, b"first=1"), (URI_QUERY, b"echo=1")]
    assert get(node, "query", *queries).payload == b"first=1\necho=1"
    assert get(node, "query").payload == b"no query"
    message = send(node, POST, "location-query")
    assert code(message) == "2.01"
    assert message.all(LOCATION_QUERY) == [b"first=1", b"second=2"]


def test_separate_answers_after_two_seconds():
    node = plugnode()
    data = request(GET, "separate", token=b"later")
    ack = ask(node, data, now_ms=100)
    assert (ack.kind, ack.code) == (ACK, 0)
    due(node, 101)
    assert due(node, 2100) == []
    assert ask(node, data, now_ms=2000).code == 0
    ((peer, message),) = due(node, 2101)
    assert (peer, message.kind, code(message), message.token) == ("peer", CON, "2.05", b"later")
    assert message.payload == b"answered separately"


def test_separate_has_a_limit_and_says_so():
    node = plugnode()
    codes = [code(get(node, "separate", peer=str(i))) for i in range(9)]
    assert codes == ["0.00"] * 8 + ["5.03"]


@cases((TEXT,), (41,), (JSON,), (CBOR,))
def test_multi_format(form):
    node = plugnode()
    message = get(node, "multi-format", (ACCEPT, uint(form)))
    assert (code(message), message.uint(CONTENT_FORMAT)) == ("2.05", form)
    assert len(message.payload) > 3
    assert code(get(node, "multi-format", (ACCEPT, uint(42)))) == "4.06"


def test_validate_by_etag_and_if_match():
    node = plugnode()
    (tag,) = get(node, "validate").all(ETAG)
    assert code(get(node, "validate", (ETAG, tag))) == "2.03"
    assert code(put(node, "validate", b"2", TEXT, (IF_MATCH, tag))) == "2.04"
    assert code(get(node, "validate", (ETAG, tag))) == "2.05"
    assert code(put(node, "validate", b"3", TEXT, (IF_MATCH, tag))) == "4.12"
    assert get(node, "validate").payload == b"2"
    (second,) = get(node, "validate").all(ETAG)
    put(node, "validate", b"2", JSON)
    assert get(node, "validate").all(ETAG) != [second]


def test_create1_only_once():
    node = plugnode()
    none = (IF_NONE_MATCH, b"")
    assert code(get(node, "create1")) == "4.04"
    assert code(put(node, "create1", b"one", TEXT, none)) == "2.01"
    assert code(put(node, "create1", b"two", TEXT, none)) == "4.12"
    assert code(put(node, "create1", b"two")) == "2.04"
    assert code(send(node, DELETE, "create1")) == "2.02"
    assert code(put(node, "create1", b"no", TEXT, (IF_MATCH, b""))) == "4.12"


# TD_COAP_BLOCK


def test_large_is_constant_and_as_large_as_its_link_says():
    node = plugnode()
    whole, blocks = download(node, "large")
    assert len(whole) > 2048 and blocks == 3
    assert download(node, "large", 0) == (whole, (len(whole) + 15) // 16)
    links, _ = download(node, ".well-known/core")
    assert b"</large>;sz=%d;" % len(whole) in links


def test_large_update_create_and_post():
    node = plugnode()
    assert code(upload(node, PUT, "large-update", BODY)) == "2.04"
    assert download(node, "large-update")[0] == BODY
    message = upload(node, POST, "large-create", BODY)
    assert code(message) == "2.01"
    assert message.all(LOCATION_PATH) == [b"large-create", b"0"]
    assert download(node, "large-create/0")[0] == BODY
    message = upload(node, POST, "large-post", BODY)
    assert (code(message), message.uint(BLOCK2) & 15) == ("2.04", 14)
    rest = send(node, POST, "large-post", b"", TEXT, (BLOCK2, block(1, 0, 6)))
    assert message.payload + rest.payload == BODY


def test_large_create_keeps_the_newest():
    node = plugnode()
    there = len(node.resources)
    for i in range(6):
        message = send(node, POST, "large-create", b"%d" % i, TEXT)
        assert message.all(LOCATION_PATH)[1] == b"%d" % i
    assert len(node.resources) == there + 4
    assert code(get(node, "large-create/1")) == "4.04"
    assert get(node, "large-create/2").payload == b"2"
    assert code(send(node, DELETE, "large-create/3")) == "2.02"
    assert code(get(node, "large-create/3")) == "4.04"
    for _ in range(6):
        assert code(send(node, POST, "large-create", b"", TEXT)) == "2.01"
    assert len(node.resources) == there + 4


# TD_COAP_LINK


@cases(
    (b"rt=Type1", ["/link1", "/link3"]),
    (b"rt=*", ["/link1", "/link2", "/link3"]),
    (b"rt=Type2", ["/link1", "/link2"]),
    (b"if=If*", ["/link1", "/link2"]),
    (b"sz=*", ["/large"]),
    (b"href=/link1", ["/link1"]),
    (b"href=/link*", ["/link1", "/link2", "/link3"]),
    (b"obs", ["/obs", "/obs-large", "/obs-non", "/obs-pumping"]),
)
def test_filters(query, wanted):
    assert sorted(found(plugnode(), ".well-known/core", query)) == wanted


def test_path_lists_what_is_below_it():
    node = plugnode()
    assert "ct=40" in found(node)["/path"]
    links = found(node, "path")
    assert sorted(links) == ["/path/sub1", "/path/sub2"]
    for path in links:
        assert get(node, path[1:]).payload == path.encode()
