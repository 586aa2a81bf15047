"""Large responses in blocks: Block2 of RFC 7959."""

import gc

from coap import Resource
from coap.blockwise import Blockwise
from coap.numbers import GET, POST, PUT
from coap.resource import CoapError
from support import cases
from support.engine import ask, request
from support.features import (
    BLOCK1,
    BLOCK2,
    ETAG,
    MAX_AGE,
    QUERY,
    SIZE2,
    Value,
    block,
    plain,
    seeded,
    text,
)

BODY = text(1500)


class Written(Resource):
    """A GET writes the value in pieces of 7 bytes."""

    value = BODY

    def get(self, request, reply):
        for at in range(0, len(self.value), 7):
            reply.write(self.value, at, min(7, len(self.value) - at))


class Part(Resource):
    """A GET provides only the requested part."""

    value = BODY
    etag = b"e"

    def get(self, request, reply):
        at = reply.offset
        reply.part(self.value[at : at + reply.wanted], len(self.value))


class Text(Resource):
    value = BODY

    def get(self, request, reply):
        return self.value.decode()


def serving(*features, **settings):
    node = seeded(*(features or (Blockwise(),)), **settings)
    node.add("bytes", Value(BODY))
    node.add("written", Written())
    node.add("part", Part())
    node.add("text", Text())
    return node


def collect(node, path, szx, first=True, code=GET):
    """GET all blocks as a client does; return the body and the responses."""
    body = b""
    found = []
    num = 0
    while True:
        if num % 16 == 15:
            gc.collect()  # the responses would fragment a small heap
        options = [] if num == 0 and not first else [block(BLOCK2, num, 0, szx)]
        answer = ask(node, request(code, path, options=options))
        assert answer.code == 0x45, answer
        value = answer.uint(BLOCK2)
        body += answer.payload
        found.append(answer)
        if value is None or not value & 8:
            return body, found
        szx = value & 7
        assert len(answer.payload) == 16 << szx
        assert value >> 4 == (len(body) >> (szx + 4)) - 1
        num = len(body) >> (szx + 4)


@cases(*[(path, szx) for path in ("bytes", "written", "part", "text") for szx in range(7)])
def test_every_size_by_every_way_to_answer(path, szx):
    body, found = collect(serving(), path, szx)
    assert body == BODY
    assert {answer.uint(BLOCK2) & 7 for answer in found} == {szx}
    assert len(found) == (1500 + (16 << szx) - 1) // (16 << szx)
    assert len({answer.all(ETAG)[0] for answer in found}) == 1
    assert found[0].uint(SIZE2) == 1500
    assert [answer.all(SIZE2) for answer in found[1:]] == [[]] * (len(found) - 1)


@cases("bytes", "written", "part", "text")
def test_a_large_answer_is_cut_unasked(path):
    body, found = collect(serving(), path, 6, first=False)
    assert body == BODY and [answer.uint(BLOCK2) for answer in found] == [0x0E, 0x16]


@cases((1024, 6), (1023, 5), (512, 5), (256, 4), (100, 2), (16, 0))
def test_our_blocks_are_as_large_as_a_message_can_hold(room, szx):
    node = serving(max_payload=room)
    for path in ("bytes", "written", "part"):
        body, found = collect(node, path, 6)
        assert body == BODY and {answer.uint(BLOCK2) & 7 for answer in found} == {szx}
        assert collect(node, path, 6, first=False)[0] == BODY


def test_a_part_that_is_too_short_is_a_mistake():
    node = serving()
    node.get("short")(lambda request, reply: reply.part(b"abc", 1000))
    for options in ([], [block(BLOCK2, 0, szx=2)], [block(BLOCK2, 3, szx=2)]):
        answer = ask(node, request(GET, "short", options=options))
        assert (answer.code, answer.payload) == (0xA0, b"")


def test_a_later_block_of_a_larger_size_than_ours_is_its_first_part():
    node = serving(max_payload=128)
    for path in ("bytes", "written", "part"):
        answer = plain(node, path, options=[block(BLOCK2, 1, 0, 6)])
        assert answer.payload == BODY[1024:1152]
        assert answer.uint(BLOCK2) == 8 << 4 | 8 | 3


def test_the_size_may_change_in_between():
    node = serving()
    first = plain(node, "written", options=[block(BLOCK2, 0, 0, 6)])
    second = plain(node, "written", options=[block(BLOCK2, 64, 0, 0)])
    assert first.payload + second.payload == BODY[:1040]
    assert first.all(ETAG) == second.all(ETAG)


@cases("bytes", "written", "part")
def test_out_of_range(path):
    node = serving()
    last = plain(node, path, options=[block(BLOCK2, 23, 0, 2)])
    assert last.payload == BODY[23 * 64 :] and last.uint(BLOCK2) == 23 << 4 | 2
    for num in (24, 1000, 0xFFFFF):
        answer = plain(node, path, options=[block(BLOCK2, num, 0, 2)])
        assert (answer.code, answer.payload) == (0x80, b"")


@cases(0, 1, 5)
def test_size_7_is_reserved(num):
    assert plain(serving(), "bytes", options=[block(BLOCK2, num, 0, 7)]).code == 0x80


def test_an_answer_that_fits_has_a_block_only_where_one_was_asked_for():
    node = serving()
    node.add("small", Value(b"small"))
    answer = plain(node, "small")
    assert answer.all(BLOCK2) == [] and answer.all(ETAG) == []
    answer = plain(node, "small", options=[block(BLOCK2, 0, 0, 3)])
    assert (answer.payload, answer.uint(BLOCK2), answer.uint(SIZE2)) == (b"small", 3, 5)


def test_a_body_of_whole_blocks_ends_with_one():
    node = serving()
    node.add("even", Value(text(128)))
    body, found = collect(node, "even", 2)
    assert body == text(128) and [answer.uint(BLOCK2) for answer in found] == [0x0A, 0x12]
    assert plain(node, "even", options=[block(BLOCK2, 2, 0, 2)]).code == 0x80


def test_an_empty_body_has_no_blocks():
    node = serving()
    node.add("empty", Value(b""))
    answer = plain(node, "empty", options=[block(BLOCK2, 0)])
    assert (answer.code, answer.payload) == (0x45, b"")
    assert plain(node, "empty", options=[block(BLOCK2, 1)]).code == 0x80


@cases("bytes", "written", "text")
def test_the_etag_tells_two_states_apart(path):
    node = serving()
    first = plain(node, path, options=[block(BLOCK2, 0)])
    assert plain(node, path, options=[block(BLOCK2, 1)]).all(ETAG) == first.all(ETAG)
    node.resource_at(path).value = BODY[:-1] + b"!"
    second = plain(node, path, options=[block(BLOCK2, 1)])
    assert second.payload == BODY[64:128] and second.all(ETAG) != first.all(ETAG)


def test_the_etag_tells_a_buffer_from_what_it_was():
    node = serving()
    value = bytearray(BODY)
    node.add("buffer", Value(value))
    assert collect(node, "buffer", 6)[0] == BODY
    first = ask(node, request(GET, "buffer", options=[block(BLOCK2, 0, 0, 6)]))
    value[1400] ^= 1
    second = ask(node, request(GET, "buffer", options=[block(BLOCK2, 1, 0, 6)]))
    assert first.all(ETAG) != second.all(ETAG)


def test_two_transfers_at_a_time_keep_their_etags():
    node = serving()
    node.add("other", Value(text(1500, 99)))
    tags = []
    for num in (0, 1, 0):
        for path in ("bytes", "other"):
            answer = ask(node, request(GET, path, options=[block(BLOCK2, num, 0, 6)]))
            tags.append(answer.all(ETAG))
    assert tags[0] != tags[1]
    assert tags[0::2] == [tags[0]] * 3 and tags[1::2] == [tags[1]] * 3


def test_the_etag_of_the_resource_is_kept_and_a_match_has_no_block():
    node = serving()
    node.add("tagged", Value(BODY, etag=b"mine"))
    for num in (0, 1):
        options = [block(BLOCK2, num)]
        assert plain(node, "tagged", options=options).all(ETAG) == [b"mine"]
        answer = plain(node, "tagged", options=options + [(ETAG, b"mine")])
        assert (answer.code, answer.payload, answer.all(BLOCK2)) == (0x43, b"", [])


def test_a_part_without_an_etag_claims_none():
    node = serving()
    node.resource_at("part").etag = b""
    node.resource_at("part").refresh()
    body, found = collect(node, "part", 4)
    assert body == BODY and [answer.all(ETAG) for answer in found] == [[]] * len(found)


def test_size2_is_told_to_who_asks():
    node = serving()
    answer = plain(node, "written", options=[block(BLOCK2, 3), (SIZE2, b"")])
    assert answer.uint(SIZE2) == 1500


def test_max_age_and_query():
    node = serving()
    value = node.add("value", Value(BODY, max_age_s=9))
    value.handlers[GET] = lambda request, reply: request.query("c") * 100
    answer = plain(node, "value", options=[block(BLOCK2, 1), (QUERY, b"c=x")])
    assert answer.payload == b"x" * 36 and answer.uint(MAX_AGE) == 9


def test_an_error_is_not_cut():
    node = serving()

    @node.get("error")
    def error(request, reply):
        reply.write(BODY)
        raise CoapError(0xA3, "because it is so long a text", 7)

    for num in (0, 3):
        answer = plain(node, "error", options=[block(BLOCK2, num, 0, 0)])
        assert (answer.code, answer.payload) == (0xA3, b"because it is so long a text")
        assert answer.all(BLOCK2) == [] and answer.uint(MAX_AGE) == 7


def test_the_next_answer_is_whole():
    node = serving()
    node.add("small", Value(BODY[:500]))
    for path in ("written", "bytes", "nothing", "small"):
        plain(node, path, options=[block(BLOCK2, 2, 0, 0)])
        assert plain(node, "small").payload == BODY[:500]


def test_without_the_feature_a_block_is_refused_and_a_large_answer_an_error():
    from coap.link_format import WellKnownCore

    node = serving(WellKnownCore())
    assert plain(node, "bytes", options=[block(BLOCK2, 0)]).code == 0x82
    for path in ("bytes", "written", "part"):
        assert plain(node, path).code == 0xA0
    assert ask(node, request(PUT, "bytes", options=[block(BLOCK1, 0)], payload=b"1")).code == 0x82


def test_discovery_in_blocks():
    from coap.link_format import WellKnownCore

    node = serving(WellKnownCore(), Blockwise())
    for i in range(70):
        node.add("r%d" % i, Value(rt="r"))
    whole = b",".join([b'</r%d>;rt="r";ct=0;obs' % i for i in range(70)])
    for szx in (0, 2, 6):
        body, found = collect(node, ".well-known/core", szx)
        assert body.endswith(whole) and body.startswith(b"</bytes>;")
        assert len({answer.all(ETAG)[0] for answer in found}) == 1
    options = [(QUERY, b"rt=r"), block(BLOCK2, 1, 0, 2)]
    assert plain(node, ".well-known/core", options=options).payload == whole[64:128]


# Long responses to requests that must be executed only once


class Counted(Resource):
    """Count executions; a long response starts with the count."""

    def __init__(self, way):
        super().__init__()
        self.way = way
        self.done = 0

    def post(self, request, reply):
        self.done += 1
        body = b"%d " % self.done + BODY
        if self.way == "bytes":
            return body
        for at in range(0, len(body), 10):
            reply.write(body, at, min(10, len(body) - at))
        return 0x45


@cases(*[(way, szx) for way in ("bytes", "written") for szx in (None, 0, 4, 6)])
def test_a_long_answer_to_a_post_is_executed_once(way, szx):
    node = serving()
    counted = node.add("counted", Counted(way))
    options = [] if szx is None else [block(BLOCK2, 0, 0, szx)]
    answer = ask(node, request(POST, "counted", options=options))
    body = answer.payload
    tags = {answer.all(ETAG)[0]}
    assert answer.uint(SIZE2) == 1502
    while answer.uint(BLOCK2) & 8:
        szx = answer.uint(BLOCK2) & 7
        options = [block(BLOCK2, len(body) >> szx + 4, 0, szx)]
        answer = ask(node, request(POST, "counted", options=options))
        assert answer.code in (0x44, 0x45), answer
        body += answer.payload
        tags.add(answer.all(ETAG)[0])
    assert body == b"1 " + BODY and counted.done == 1 and len(tags) == 1


def test_a_second_post_gets_its_own_answer():
    node = serving()
    counted = node.add("counted", Counted("written"))
    for n in (b"1", b"2", b"3"):
        assert ask(node, request(POST, "counted")).payload[:1] == n
        second = ask(node, request(POST, "counted", options=[block(BLOCK2, 0, 0, 0)]))
        third = ask(node, request(POST, "counted", options=[block(BLOCK2, 1, 0, 0)]))
        body = b"%d " % counted.done + BODY
        assert second.payload + third.payload == body[:32]
        counted.done -= 1


def test_a_later_block_of_no_kept_answer_is_incomplete_and_executes_nothing():
    node = serving()
    counted = node.add("counted", Counted("bytes"))
    assert ask(node, request(POST, "counted", options=[block(BLOCK2, 1)])).code == 0x88
    ask(node, request(POST, "counted"))
    answer = ask(node, request(POST, "counted", options=[block(BLOCK2, 1)]), "somebody else")
    assert answer.code == 0x88
    options = [block(BLOCK2, 1), (QUERY, b"q")]
    assert ask(node, request(POST, "counted", options=options)).code == 0x88
    assert ask(node, request(POST, "counted", options=[block(BLOCK2, 100)])).code == 0x80
    assert counted.done == 1


def test_the_etag_of_a_kept_answer_is_the_handlers():
    node = serving()

    @node.post("tagged")
    def tagged(request, reply):
        reply.etag = b"T"
        reply.content_format = 50
        return BODY

    for num in (0, 1, 2):
        answer = ask(node, request(POST, "tagged", options=[block(BLOCK2, num, 0, 5)]))
        assert (answer.all(ETAG), answer.uint(12)) == ([b"T"], 50)
        assert answer.payload == BODY[512 * num :][:512]


def test_a_kept_answer_expires():
    node = serving(Blockwise(lifetime_ms=5000))
    node.add("counted", Counted("bytes"))
    ask(node, request(POST, "counted"))
    assert node.due(0) == 0 and node.wait_ms(0) == 5000
    options = [block(BLOCK2, 1)]
    assert ask(node, request(POST, "counted", options=options), now_ms=4000).code == 0x44
    assert node.due(8999) == 0
    assert ask(node, request(POST, "counted", options=options), now_ms=8999).code == 0x44
    assert node.due(13999) == 0
    assert ask(node, request(POST, "counted", options=options), now_ms=14000).code == 0x88


@cases("bytes", "written")
def test_an_answer_that_no_slot_can_hold_is_an_error(way):
    node = serving(Blockwise(bytes=1024))
    counted = node.add("counted", Counted(way))
    assert ask(node, request(POST, "counted")).code == 0xA0 and counted.done == 1
    node.add("small", Value(b"small"))
    assert plain(node, "small").payload == b"small"


def test_a_failure_after_much_was_written_leaves_no_trace():
    node = serving(Blockwise(slots=1))

    @node.post("fails")
    def fails(request, reply):
        reply.write(BODY)
        raise CoapError(0x89, "no")

    node.add("counted", Counted("written"))
    for _ in range(3):
        answer = ask(node, request(POST, "fails"))
        assert (answer.code, answer.payload) == (0x89, b"no")
    assert ask(node, request(POST, "counted")).payload[:2] == b"1 "
    assert plain(node, "written").payload == BODY[:1024]


@cases("bytes", "written", "part", "text")
def test_the_etag_of_blocks_validates_whatever_their_size(path):
    node = serving()
    for szx in (0, 2, 6):
        first = plain(node, path, options=[block(BLOCK2, 0, 0, szx)])
        tags = [(ETAG, b"other"), (ETAG, first.all(ETAG)[0])]
        for more in ([], [block(BLOCK2, 0, 0, 4)], [block(BLOCK2, 1, 0, 2)]):
            answer = plain(node, path, options=tags + more)
            assert (answer.code, answer.payload) == (0x43, b"")
            assert answer.all(ETAG) == [tags[1][1]] and answer.all(BLOCK2) == []
            assert answer.all(SIZE2) == []
        assert plain(node, path, options=tags[:1]).code == 0x45


@cases("bytes", "written", "text")
def test_the_etag_of_small_blocks_validates_a_body_of_one_message(path):
    node = serving()
    resource = node.resource_at(path)
    resource.value = BODY[:300]
    (tag,) = plain(node, path, options=[block(BLOCK2, 0, 0, 1)]).all(ETAG)
    answer = plain(node, path, options=[(ETAG, tag)])
    assert (answer.code, answer.payload) == (0x43, b"")
    resource.value = BODY[1:301]
    answer = plain(node, path, options=[(ETAG, tag)])
    assert (answer.code, answer.payload) == (0x45, BODY[1:301])


def test_an_etag_does_not_validate_what_a_post_returns():
    node = serving()
    node.resource_at("bytes").handlers[POST] = lambda request, reply: reply.write(BODY)
    first = ask(node, request(POST, "bytes"))
    answer = ask(node, request(POST, "bytes", options=[(ETAG, first.all(ETAG)[0])]))
    assert answer.code == first.code and answer.payload == first.payload
