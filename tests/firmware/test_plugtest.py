"""The plugtest's resources: those of the public test descriptions, and our own."""

import json

from apps import plugtest
from coap.numbers import (
    ACCEPT,
    ACK,
    BLOCK1,
    BLOCK2,
    CBOR,
    CON,
    CONTENT_FORMAT,
    DELETE,
    ECHO,
    ETAG,
    FETCH,
    GET,
    IF_MATCH,
    IF_NONE_MATCH,
    IPATCH,
    JSON,
    LOCATION_PATH,
    LOCATION_QUERY,
    MERGE_PATCH_JSON,
    NON,
    OBSERVE,
    PATCH,
    POST,
    PUT,
    TEXT,
    URI_PATH,
    URI_QUERY,
)
from coap.transports.wire import Wire
from engine import Peer, answer, ask, due, encode, get, request, silent, uint
from support import cases, retained

BODY = b"".join([b"%03d: a line of a body that comes in blocks\n" % i for i in range(30)])


def plugnode(now_ms=0):
    """A node with the resources, its timers started."""
    node = plugtest.make_node()
    plugtest.setup(node)
    node.seed(b"12345678")
    assert due(node, now_ms) == []
    return node


def code(message):
    return "{}.{:02}".format(message.code >> 5, message.code & 31)


def send(node, method, path, payload=b"", content_format=None, *options, now_ms=0, peer="peer"):
    """The answer to a request."""
    options = list(options)
    if content_format is not None:
        options.append((CONTENT_FORMAT, uint(content_format)))
    return ask(node, request(method, path, options=options, payload=payload), peer, now_ms)


def put(node, path, payload, content_format=TEXT, *options, now_ms=0, peer="peer"):
    return send(node, PUT, path, payload, content_format, *options, now_ms=now_ms, peer=peer)


def block(number, more, szx):
    return uint(number << 4 | more << 3 | szx)


def download(node, path, szx=6):
    """The whole payload, and how many blocks it came in."""
    payload = b""
    number = 0
    while True:
        message = get(node, path, (BLOCK2, block(number, 0, szx)))
        assert code(message) == "2.05", message
        payload += message.payload
        number += 1
        if not (message.uint(BLOCK2) or 0) & 8:
            return payload, number


def upload(node, method, path, body, szx=4):
    """The answer to the last block."""
    size = 16 << szx
    for at in range(0, len(body), size):
        more = at + size < len(body)
        option = (BLOCK1, block(at // size, more, szx))
        message = send(node, method, path, body[at : at + size], TEXT, option)
        assert not more or code(message) == "2.31", message
    return message


def observe(node, path, token=b"ob", peer="watcher", now_ms=0, kind=CON):
    """Register: the answer."""
    data = request(GET, path, kind=kind, token=token, options=[(OBSERVE, b"")])
    message = ask(node, data, peer, now_ms)
    assert message.uint(OBSERVE) is not None, message
    return message


def told(node, now_ms):
    """The one notification that is due; it is acknowledged."""
    messages = due(node, now_ms)
    assert len(messages) == 1, messages
    peer, message = messages[0]
    if message.kind == CON:
        answer(node, encode(ACK, 0, message.mid), peer, now_ms)
    return message


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


# TD_COAP_OBS


@cases(("obs", CON), ("obs-non", NON))
def test_clocks_tell_every_five_seconds(path, kind):
    node = plugnode()
    first = observe(node, path)
    assert (first.payload, first.uint(14)) == (b"tick 0", 5)
    number = first.uint(OBSERVE)
    for tick in range(1, 30):
        assert due(node, 5000 * tick - 1) == []
        message = told(node, 5000 * tick)
        # each 20th is CON, so that a client that is gone is found out
        assert message.kind == (CON if tick == 20 else kind)
        assert message.payload == b"tick %d" % tick
        assert message.uint(OBSERVE) > number
        number = message.uint(OBSERVE)


def test_a_put_lasts_one_whole_period():
    node = plugnode()
    observe(node, "obs")
    put(node, "obs", b"put", now_ms=4000)
    assert told(node, 4000).payload == b"put"
    assert due(node, 8999) == []
    assert get(node, "obs", now_ms=8999).payload == b"put"
    assert told(node, 9000).payload == b"tick 1"
    for i in range(50):  # a timer that is not given back would run out of slots
        assert code(put(node, "obs", b"%d" % i, now_ms=9000)) == "2.04"


def test_delete_ends_obs_and_put_brings_it_back():
    node = plugnode()
    observe(node, "obs")
    assert code(send(node, DELETE, "obs", now_ms=1000)) == "2.02"
    last = told(node, 1000)
    assert (code(last), last.uint(OBSERVE)) == ("4.04", None)
    assert due(node, 60000) == []
    assert code(get(node, "obs")) == "4.04"
    assert code(put(node, "obs", b"back", now_ms=60000)) == "2.01"
    assert get(node, "obs").payload == b"back"
    observe(node, "obs", now_ms=60000)
    assert due(node, 60000) == []
    assert told(node, 65000).payload.startswith(b"tick ")


def test_another_format_ends_obs():
    node = plugnode()
    observe(node, "obs")
    put(node, "obs", b"{}", JSON)
    last = told(node, 0)
    assert (code(last), last.uint(OBSERVE)) == ("4.06", None)
    put(node, "obs", b"text")
    assert due(node, 1) == []


def test_obs_large_and_obs_pumping_need_blocks():
    node = plugnode()
    first = observe(node, "obs-large")
    assert (first.uint(BLOCK2), len(first.payload)) == (14, 1024)
    message = told(node, 5000)
    assert (message.uint(BLOCK2), len(message.payload)) == (14, 1024)
    assert code(put(node, "obs-large", b"small", now_ms=5001)) == "2.04"
    assert told(node, 5001).payload == b"small"
    node = plugnode()
    observe(node, "obs-pumping")
    seen = [told(node, 500 * tick).uint(BLOCK2) for tick in range(1, 9)]
    assert seen == [14, None, 14, None] * 2


def test_pumping_tells_the_newest_to_one_who_is_slow():
    node = plugnode()
    observe(node, "obs-pumping")
    due(node, 500)
    sent = []
    for now_ms in range(1000, 3600, 500):
        sent += due(node, now_ms)
    assert len(sent) == 1  # the retransmission, not one a change
    assert sent[0][1].payload.startswith(b"tick ")
    assert not sent[0][1].payload.startswith(b"tick 1.")


def test_a_client_that_is_gone_is_given_up():
    # TD_COAP_OBS_05, in virtual time
    node = plugnode()
    wire = Wire()
    gone = Peer(wire, silent)
    wire.join("gone", gone)
    wire.join("node", node)
    data = request(GET, "obs", token=b"gone", options=[(OBSERVE, b"")])
    wire.send("gone", "node", data)
    wire.run(300000)
    times = [elapsed_ms for elapsed_ms, message in gone.got[1:]]
    assert len(times) == 5
    assert times[-1] - times[0] < 46000
    assert wire.elapsed_ms == 300000


# TD_COAP_LINK


def found(node, path=".well-known/core", *queries):
    """The links at a path: {href: attributes as text}."""
    message = get(node, path, *[(URI_QUERY, query) for query in queries])
    payload = message.payload
    if (message.uint(BLOCK2) or 0) & 8:
        assert not queries
        payload, _ = download(node, path)
    text = str(payload, "utf-8")
    return {part.split(">")[0]: part.split(">")[1] for part in text.split("<")[1:]}


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


# Our own


def test_counter_counts_executions():
    node = plugnode()
    data = request(POST, "counter")
    for _ in range(3):
        assert ask(node, data).payload == b"1"
    assert send(node, POST, "counter").payload == b"2"
    for form, payload in ((TEXT, b"2"), (JSON, b"2"), (CBOR, b"\x02")):
        assert get(node, "counter", (ACCEPT, uint(form))).payload == payload


def test_echo_required():
    node = plugnode()
    refused = send(node, POST, "echo-required")
    assert code(refused) == "4.01"
    (value,) = refused.all(ECHO)
    assert get(node, "echo-required").payload == b"0"
    assert code(send(node, POST, "echo-required", b"", None, (ECHO, value))) == "2.04"
    assert get(node, "echo-required").payload == b"1"


def test_store_creates_changes_and_removes():
    node = plugnode()
    assert code(get(node, "store/a")) == "4.04"
    assert code(put(node, "store/a", b"{}", JSON)) == "2.01"
    assert code(put(node, "store/a", b"[1]", JSON)) == "2.04"
    message = get(node, "store/a")
    assert (message.payload, message.uint(CONTENT_FORMAT)) == (b"[1]", JSON)
    assert list(found(node, "store")) == ["/store/a"]
    assert code(send(node, DELETE, "store/a")) == "2.02"
    assert code(send(node, DELETE, "store/a")) == "2.02"
    assert code(get(node, "store/a")) == "4.04"
    assert found(node, "store") == {}


def test_store_keeps_conditions_of_entries():
    node = plugnode()
    assert code(put(node, "store/a", b"1", TEXT, (IF_MATCH, b""))) == "4.12"
    assert code(put(node, "store/a", b"1", TEXT, (IF_NONE_MATCH, b""))) == "2.01"
    assert code(put(node, "store/a", b"2", TEXT, (IF_NONE_MATCH, b""))) == "4.12"
    (tag,) = get(node, "store/a").all(ETAG)
    assert code(get(node, "store/a", (ETAG, tag))) == "2.03"
    assert code(put(node, "store/a", b"2", TEXT, (IF_MATCH, tag))) == "2.04"
    assert code(put(node, "store/a", b"3", TEXT, (IF_MATCH, tag))) == "4.12"
    assert code(send(node, DELETE, "store/b", b"", None, (IF_MATCH, tag))) == "4.12"


@cases(
    ([b"store"], "4.05"),
    ([b"store", b""], "4.00"),
    ([b"store", b"a/b"], "4.00"),
    ([b"store", b"\xff\xfe"], "4.00"),
    ([b"store", b"a", b"b"], "4.00"),
    ([b"store", b"n" * 33], "4.00"),
    ([b"store", b"n" * 32], "2.01"),
    ([b"store", "ü".encode()], "2.01"),
)
def test_names_in_the_store(segments, wanted):
    node = plugnode()
    options = [(URI_PATH, segment) for segment in segments]
    assert code(ask(node, request(PUT, options=options, payload=b"x"))) == wanted
    there = code(ask(node, request(GET, options=options)))
    assert there == ("2.05" if wanted == "2.01" or len(segments) == 1 else "4.04")


def test_store_is_full_after_64_entries_of_64_bytes():
    node = plugnode()
    assert code(put(node, "store/a", b"x" * 65)) == "4.13"
    for i in range(64):
        assert code(put(node, "store/n%d" % i, b"x" * 64)) == "2.01"
    assert code(put(node, "store/n0", b"x" * 65)) == "4.13"
    assert code(put(node, "store/more", b"x")) == "5.03"
    assert code(put(node, "store/n63", b"y")) == "2.04"
    assert code(send(node, DELETE, "store/n7")) == "2.02"
    assert code(put(node, "store/more", b"x")) == "2.01"


def test_observers_of_one_name_hear_of_it_alone():
    node = plugnode()
    for name in ("one", "two"):
        put(node, "store/" + name, b"0")
        observe(node, "store/" + name, name.encode())
    put(node, "store/two", b"1")
    message = told(node, 0)
    assert (message.token, message.payload) == (b"two", b"1")
    send(node, DELETE, "store/one")
    message = told(node, 1)
    assert (message.token, code(message), message.uint(OBSERVE)) == (b"one", "4.04", None)
    put(node, "store/one", b"new")
    assert due(node, 2) == []


def test_coming_and_going_entries_keep_no_memory():
    node = plugnode()

    def come_and_go():
        put(node, "store/name", b"x")
        observe(node, "store/name")
        send(node, DELETE, "store/name")
        due(node, 0)

    there = len(node.resources), len(node.routes)
    for _ in range(20):
        come_and_go()
    assert (len(node.resources), len(node.routes)) == there
    assert retained(lambda: None) == 0


def test_fetch_gives_a_member():
    node = plugnode()
    assert get(node, "fetch").payload == b'{"a":1,"b":2}'
    message = send(node, FETCH, "fetch", b"b", TEXT)
    assert (code(message), message.payload) == ("2.05", b"2")
    assert message.uint(CONTENT_FORMAT) == JSON and not message.all(ETAG)
    assert send(node, FETCH, "fetch", b"a").payload == b"1"
    for payload, form, wanted in (
        (b"c", TEXT, "4.22"),
        (b"\xff", TEXT, "4.00"),
        (b"b", CBOR, "4.15"),
    ):
        assert code(send(node, FETCH, "fetch", payload, form)) == wanted


@cases(
    (b'{"b":3,"c":{"d":null,"e":[1]}}', {"a": 1, "b": 3, "c": {"e": [1]}}),
    (b'{"a":null}', {"b": 2}),
    (b'{"absent":null}', {"a": 1, "b": 2}),
    (b"{}", {"a": 1, "b": 2}),
    (b' {"a":{"x":1}} ', {"a": {"x": 1}, "b": 2}),
)
def test_merge_patch(patch, wanted):
    for method in (PATCH, IPATCH):
        node = plugnode()
        message = send(node, method, "fetch", patch, MERGE_PATCH_JSON)
        assert code(message) == "2.04", message
        assert json.loads(get(node, "fetch").payload) == wanted


@cases(
    (b'{"a":', MERGE_PATCH_JSON, "4.00"),
    (b'{"a":3', MERGE_PATCH_JSON, "4.00"),
    (b"\xff", MERGE_PATCH_JSON, "4.00"),
    (b"", MERGE_PATCH_JSON, "4.00"),
    (b"[1]", MERGE_PATCH_JSON, "4.22"),
    (b'{"a":3}', JSON, "4.15"),
    (b'{"a":3}', None, "4.15"),
    (b'{"a":"' + b"x" * 512 + b'"}', MERGE_PATCH_JSON, "4.13"),
    (b'{"a":' * 40 + b"1" + b"}" * 40, MERGE_PATCH_JSON, "2.04"),
)
def test_patches_that_are_refused_change_nothing(patch, form, wanted):
    node = plugnode()
    message = send(node, IPATCH, "fetch", patch, form)
    assert code(message) == wanted, message
    if wanted != "2.04":
        assert get(node, "fetch").payload == b'{"a":1,"b":2}'


def test_patch_is_executed_once():
    node = plugnode()
    (tag,) = get(node, "fetch").all(ETAG)
    options = [(IF_MATCH, tag), (CONTENT_FORMAT, uint(MERGE_PATCH_JSON))]
    data = request(PATCH, "fetch", options=options, payload=b'{"a":3}')
    assert code(ask(node, data)) == "2.04"
    assert code(ask(node, data)) == "2.04"
    late = request(PATCH, "fetch", options=options, payload=b'{"a":4}')
    assert code(ask(node, late)) == "4.12"
