"""What the plugtest node has beside the plugtest: counters, a store, a document."""

import gc
import json

from coap.numbers import (
    ACCEPT,
    CBOR,
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
    MERGE_PATCH_JSON,
    OBSERVE,
    PATCH,
    POST,
    PUT,
    TEXT,
    URI_PATH,
)
from support import cases
from support.engine import ask, due, get, request, uint
from support.plugtest_node import code, found, observe, plugnode, put, send, told


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

    there = len(node.resources), len(node.table)
    for _ in range(20):
        come_and_go()
    assert (len(node.resources), len(node.table)) == there
    if hasattr(gc, "mem_alloc"):
        gc.collect()
        before = gc.mem_alloc()
        for _ in range(100):
            come_and_go()
        gc.collect()
        assert gc.mem_alloc() - before < 1024  # an entry takes about as much


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
