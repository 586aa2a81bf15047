"""Large requests in blocks: Block1 of RFC 7959, and Request-Tag of RFC 9175."""

import sys

from coap import Resource
from coap.blockwise import Blockwise
from coap.counters import COUNT_BLOCKS_EVICTED, COUNT_BLOCKS_REFUSED
from coap.numbers import FETCH, GET, NON, POST, PUT
from coap.resource import SEPARATE, CoapError
from support import cases
from support.engine import ask, due, encode, request
from support.features import (
    ACCEPT,
    BLOCK1,
    BLOCK2,
    CONTENT_FORMAT,
    MAX_AGE,
    QUERY,
    REQUEST_TAG,
    SIZE1,
    block,
    option,
    plain,
    seeded,
    text,
    verify,
)

BODY = text(1500)


class Store(Resource):
    """Keep the payload of a PUT and count; a POST returns its payload."""

    def __init__(self):
        super().__init__()
        self.value = b""
        self.done = 0

    def get(self, request, reply):
        return self.value

    def put(self, request, reply):
        self.done += 1
        self.value = request.payload_bytes()
        assert request.payload_length == len(self.value)

    def post(self, request, reply):
        self.done += 1
        reply.write(request.payload)
        return 0x44

    def fetch(self, request, reply):
        self.done += 1
        return request.payload_bytes()[::-1] if request.query("r") else request.payload


class Stream(Resource):
    """Sees each block."""

    streams = True

    def __init__(self):
        super().__init__()
        self.seen = []

    def put(self, request, reply):
        self.seen.append((request.transfer, request.offset, request.more, request.payload_bytes()))
        if request.payload_bytes() == b"bad!" * 4:
            raise CoapError(0x96, "bad")
        return b"end" if not request.more else b"ignored"


def serving(**settings):
    node = seeded(Blockwise(**settings))
    node.add("store", Store())
    node.add("stream", Stream())
    return node


def send(
    node, body, num, szx=2, path="store", code=PUT, peer="peer", options=(), now_ms=0, **more
):
    """One block of the body."""
    size = 16 << szx
    piece = body[num * size : num * size + size]
    rest = 1 if (num + 1) * size < len(body) else 0
    options = [block(BLOCK1, num, rest, szx)] + list(options)
    return ask(node, request(code, path, options=options, payload=piece, **more), peer, now_ms)


def transfer(node, body, szx=2, **more):
    """Send all blocks of the body; return the last response."""
    size = 16 << szx
    last = (len(body) - 1) // size
    for num in range(last):
        answer = send(node, body, num, szx, **more)
        assert answer.code == 0x5F and answer.payload == b"", answer
        assert answer.uint(BLOCK1) == num << 4 | 8 | szx
    return send(node, body, last, szx, **more)


@cases(*[(szx, length) for szx in range(7) for length in (1, 15, 16, 17, 1024, 1500, 2048)])
def test_all_sizes_in_order(szx, length):
    node = serving()
    answer = transfer(node, text(length), szx)
    assert answer.code == 0x44
    assert answer.uint(BLOCK1) == (length - 1) // (16 << szx) << 4 | szx
    assert node.resource_at("store").value == text(length) and node.resource_at("store").done == 1


def test_non_requests_too():
    node = serving()
    assert transfer(node, BODY, 6, kind=NON).kind == NON
    assert node.resource_at("store").value == BODY


def test_out_of_order_is_incomplete_and_the_transfer_goes_on():
    node = serving()
    assert send(node, BODY, 0).code == 0x5F
    for num in (2, 0xFFFFF, 3):
        answer = send(node, BODY, num)
        assert (answer.code, answer.all(BLOCK1)) == (0x88, [])
    for num in range(1, 23):
        assert send(node, BODY, num).code == 0x5F
    assert send(node, BODY, 23).code == 0x44
    assert node.resource_at("store").value == BODY


def test_the_last_block_again_is_incomplete():
    node = serving()
    transfer(node, BODY)
    assert send(node, BODY, 23).code == 0x88 and node.resource_at("store").done == 1


@cases(1, 5, 23)
def test_without_a_start_it_is_incomplete(num):
    node = serving()
    assert send(node, BODY, num).code == 0x88 and node.resource_at("store").done == 0


@cases((0, 1, 2, 63), (0, 1, 2, 65), (0, 0, 2, 65), (1, 1, 0, 15), (0, 1, 0, 0), (0, 1, 7, 64))
def test_a_block_of_the_wrong_length(num, more, szx, length):
    node = serving()
    options = [block(BLOCK1, num, more, szx)]
    answer = ask(node, request(PUT, "store", options=options, payload=b"x" * length))
    assert answer.code == 0x80 and node.resource_at("store").done == 0


def test_too_large():
    node = serving(bytes=1024)
    body = text(1100)
    for num in range(16):
        assert send(node, body, num).code == 0x5F
    answer = send(node, body, 16)
    assert (answer.code, answer.uint(SIZE1)) == (0x8D, 1024)
    assert answer.uint(BLOCK1) == 16 << 4 | 8 | 2
    assert send(node, body, 17).code == 0x88
    assert transfer(node, text(1024), path="store").code == 0x44


def test_announced_too_large():
    node = serving(bytes=1024)
    answer = send(node, BODY, 0, options=[option(SIZE1, 1500)])
    assert (answer.code, answer.uint(SIZE1)) == (0x8D, 1024)
    assert send(node, BODY, 0, options=[option(SIZE1, 1024)]).code == 0x5F
    assert send(node, BODY, 0, path="stream", options=[option(SIZE1, 99999)]).code == 0x5F


def test_a_block_larger_than_a_message_is_refused_with_the_size_that_fits():
    node = seeded(Blockwise(), max_payload=128)
    node.add("store", Store())
    answer = send(node, BODY, 0, 6)
    assert answer.code == 0x8D and answer.uint(BLOCK1) == 8 | 3
    assert transfer(node, BODY, 3).code == 0x44 and node.resource_at("store").value == BODY


def test_the_node_may_ask_for_smaller_blocks_at_once():
    node = seeded(Blockwise(), max_payload=600)  # blocks of 512, and yet 1024 would not fit
    node.add("store", Store())
    node.view.index[62] = 1152  # the longest message that it takes
    answer = send(node, BODY, 0, 6)
    assert answer.code == 0x5F and answer.uint(BLOCK1) == 8 | 5
    assert send(node, BODY, 2, 5).code == 0x44  # in the size that was asked for
    assert node.resource_at("store").value == BODY


def test_block_0_begins_anew():
    node = serving()
    send(node, BODY, 0)
    send(node, BODY, 1)
    assert transfer(node, text(200, 500)).code == 0x44
    assert node.resource_at("store").value == text(200, 500)
    send(node, BODY, 0)
    # a request of one block only is no part of what was before
    assert send(node, b"short", 0).code == 0x44 and node.resource_at("store").value == b"short"
    assert send(node, BODY, 1).code == 0x88


def test_expiry():
    node = serving(lifetime_ms=1000)
    send(node, BODY, 0, now_ms=0)
    assert node.due(0) == 0 and node.wait_ms(0) == 1000
    assert node.due(999) == 0
    assert send(node, BODY, 1, now_ms=999).code == 0x5F
    assert node.due(1998) == 0
    assert send(node, BODY, 2, now_ms=1998).code == 0x5F
    assert node.due(2998) == 0 and node.extensions[0].transfers.used == 0
    assert send(node, BODY, 3, now_ms=2998).code == 0x88


def test_two_at_once():
    node = serving()
    one, two = text(300), text(300, 900)
    for num in range(4):
        assert send(node, one, num, peer="one").code == 0x5F
        assert send(node, two, num, peer="two").code == 0x5F
    assert send(node, one, 4, peer="one", code=PUT).code == 0x44
    assert node.resource_at("store").value == one
    assert send(node, two, 4, peer="two").code == 0x44
    assert node.resource_at("store").value == two


def test_what_makes_two_requests_parts_of_one():
    node = serving(slots=8)
    for other in (
        {"options": [(QUERY, b"q")]},
        {"options": [(REQUEST_TAG, b"")]},
        {"options": [(REQUEST_TAG, b"t")]},
        {"options": [(1, b"")]},
        {"code": POST},
        {"path": "stream"},
    ):
        send(node, BODY, 0)
        assert send(node, BODY, 1, **other).code in (0x88, 0x8C), other
        assert send(node, BODY, 1).code == 0x5F, other
    # but the token, Accept and the like may differ
    assert send(node, BODY, 2, token=b"other", options=[option(ACCEPT, 0)]).code == 0x5F


def test_request_tags_keep_two_transfers_of_one_client_apart():
    node = serving()
    one, two = text(300), text(300, 900)
    for num in range(4):
        assert send(node, one, num, options=[(REQUEST_TAG, b"1")]).code == 0x5F
        assert send(node, two, num, options=[(REQUEST_TAG, b"2")]).code == 0x5F
    assert send(node, two, 4, options=[(REQUEST_TAG, b"2")]).code == 0x44
    assert node.resource_at("store").value == two
    assert send(node, one, 4, options=[(REQUEST_TAG, b"1")]).code == 0x44
    assert node.resource_at("store").value == one


def test_no_slot_is_unavailable_and_counted():
    node = serving(slots=2)
    assert send(node, BODY, 0, peer="one").code == 0x5F
    assert send(node, BODY, 0, peer="two").code == 0x5F
    answer = send(node, BODY, 0, peer="three")
    assert (answer.code, answer.uint(MAX_AGE)) == (0xA3, 5)
    assert node.counters[COUNT_BLOCKS_REFUSED] == 1
    for num in range(1, 24):
        assert send(node, BODY, num, peer="one").code == (0x5F if num < 23 else 0x44)
    assert send(node, BODY, 0, peer="three").code == 0x5F


def test_a_slot_gets_its_buffer_with_its_first_transfer_and_keeps_it():
    node = serving(slots=2)
    buffers = node.extensions[0].transfers.buffers
    assert buffers == [None, None]
    assert transfer(node, BODY).code == 0x44
    assert buffers[1] is None and len(buffers[0]) == node.extensions[0].transfers.size
    first = buffers[0]
    assert transfer(node, BODY).code == 0x44
    assert buffers[1] is None and buffers[0] is first


class Undecided(Resource):
    """A PUT writes a long response and then returns another one."""

    def put(self, request, reply):
        reply.write(b"x" * 1500)
        if self.way == "bytes":
            return b"ok"
        if self.way == "number":
            reply.number(3662, 2)
        return None

    def get(self, request, reply):
        reply.number(2150, 2)


@cases(("bytes", b"ok"), ("number", b"36.62"))
def test_a_long_answer_that_is_given_up_leaves_nothing_behind(way, payload):
    node = serving(slots=2)
    node.add("u", Undecided()).way = way
    assert ask(node, request(GET, "u")).payload == b"21.50"
    assert ask(node, request(PUT, "u", mid=2)).payload == payload
    for mid in (3, 4):
        assert ask(node, request(GET, "u", mid=mid), "another").payload == b"21.50"
    assert transfer(node, BODY).code == 0x44


def test_a_stream_needs_no_buffer():
    node = serving(slots=1)
    assert send(node, BODY, 0, path="stream").code == 0x5F
    assert node.resource_at("stream").seen and node.extensions[0].transfers.buffers == [None]


def test_a_full_heap_is_unavailable_and_counted():
    node = serving(slots=1, bytes=sys.maxsize // 2)
    answer = send(node, BODY, 0)
    assert (answer.code, answer.uint(MAX_AGE)) == (0xA3, 5)
    assert node.counters[COUNT_BLOCKS_REFUSED] == 1
    node.extensions[0].transfers.size = 2048  # somebody has given memory back
    assert transfer(node, BODY).code == 0x44


def test_strangers_make_room_for_a_verified_peer_and_never_the_other_way():
    node = serving(slots=2)
    verify(node, "good")
    send(node, BODY, 0, peer="one", now_ms=10)
    send(node, BODY, 0, peer="two", now_ms=20)
    assert send(node, BODY, 0, peer="good", now_ms=30).code == 0x5F
    assert node.counters[COUNT_BLOCKS_EVICTED] == 1
    assert send(node, BODY, 1, peer="one", now_ms=35).code == 0x88  # the older one
    assert send(node, BODY, 1, peer="two", now_ms=35).code == 0x5F
    for peer in ("a", "b", "c"):
        assert send(node, BODY, 0, peer=peer, now_ms=40).code == 0xA3
    verify(node, "better")
    assert send(node, BODY, 0, peer="better", now_ms=50).code == 0x5F
    verify(node, "best")
    assert send(node, BODY, 0, peer="best", now_ms=60).code == 0xA3
    for num in range(1, 24):
        answer = send(node, BODY, num, peer="good", now_ms=60 + num)
        assert answer.code == (0x5F if num < 23 else 0x44)


def test_a_kept_answer_makes_room_before_what_is_coming():
    node = serving(slots=2)
    node.add("long", Store()).handlers[POST] = lambda request, reply: BODY
    send(node, BODY, 0, peer="one")
    ask(node, request(POST, "long"), "two")
    assert send(node, BODY, 0, peer="three").code == 0x5F
    assert send(node, BODY, 1, peer="one").code == 0x5F
    assert ask(node, request(POST, "long", options=[block(BLOCK2, 1)]), "two").code == 0x88


def test_a_verified_peer_too_takes_a_kept_answer_first():
    node = serving(slots=2)
    verify(node, "good")
    node.add("long", Store()).handlers[POST] = lambda request, reply: BODY
    send(node, BODY, 0, peer="one", now_ms=0)
    ask(node, request(POST, "long"), "two", now_ms=1000)
    assert send(node, BODY, 0, peer="good", now_ms=2000).code == 0x5F
    assert send(node, BODY, 1, peer="one", now_ms=2000).code == 0x5F


def test_an_error_elsewhere_does_not_touch_a_transfer():
    node = serving(slots=1)
    send(node, BODY, 0)
    for path, code in (("nothing", PUT), ("stream", POST), ("store", 4)):
        assert send(node, BODY, 0, path=path, code=code, peer="other").code in (0x84, 0x85)
    ask(node, encode(0, PUT, 7, b"", [(11, b"store"), (9, b""), block(BLOCK1, 0, 1)]), "other")
    assert send(node, BODY, 1).code == 0x5F


def test_a_stream_sees_block_after_block():
    node = serving(slots=2, bytes=64)
    body = text(200)
    answer = transfer(node, body, 2, path="stream")
    assert (answer.code, answer.payload, answer.uint(BLOCK1)) == (0x44, b"end", 3 << 4 | 2)
    seen = node.resource_at("stream").seen
    assert [item[1:] for item in seen] == [
        (0, True, body[:64]),
        (64, True, body[64:128]),
        (128, True, body[128:192]),
        (192, False, body[192:]),
    ]
    assert len({item[0] for item in seen}) == 1 and seen[0][0] >= 0
    assert node.extensions[0].transfers.used == 0
    ask(node, request(PUT, "stream", payload=b"one"))
    assert seen[-1] == (-1, 0, False, b"one")


def test_streams_of_two_clients_and_an_error_in_one():
    node = serving(slots=2)
    seen = node.resource_at("stream").seen
    send(node, BODY, 0, 0, "stream", peer="one")
    send(node, b"bad!" * 12, 0, 0, "stream", peer="two", options=())
    assert seen[0][0] != seen[1][0]
    assert send(node, b"bad!" * 12, 1, 0, "stream", peer="two").code == 0x88
    assert send(node, BODY, 1, 0, "stream", peer="one").code == 0x5F


def test_a_stream_out_of_order_shows_nothing():
    node = serving()
    send(node, BODY, 0, 0, "stream")
    assert send(node, BODY, 2, 0, "stream").code == 0x88
    assert len(node.resource_at("stream").seen) == 1


@cases((2, None), (2, 0), (0, 4), (6, 6))
def test_a_long_request_and_a_long_answer_execute_once(szx, answer_szx):
    node = serving()
    options = [] if answer_szx is None else [block(BLOCK2, 0, 0, answer_szx)]
    answer = transfer(node, BODY, szx, code=POST, options=options)
    body = answer.payload
    while answer.uint(BLOCK2) & 8:
        size = answer.uint(BLOCK2) & 7
        options = [block(BLOCK2, len(body) >> size + 4, 0, size)]
        answer = ask(node, request(POST, "store", options=options))
        assert answer.code == 0x44
        body += answer.payload
    assert body == BODY and node.resource_at("store").done == 1


def test_the_last_block_asks_for_the_first_of_the_answer():
    node = serving()
    for num in range(23):
        send(node, BODY, num, code=POST)
    answer = send(node, BODY, 23, code=POST, options=[block(BLOCK2, 1)])
    assert answer.code == 0x80 and node.resource_at("store").done == 0


def test_a_long_fetch():
    node = serving()
    answer = transfer(node, BODY, 4, code=FETCH)
    assert answer.code == 0x45 and answer.payload == BODY[:1024]
    rest = ask(node, request(FETCH, "store", options=[block(BLOCK2, 1, 0, 6)]))
    assert rest.payload == BODY[1024:]
    # a short one with a body of its own is another question
    options = [block(BLOCK2, 1, 0, 0)]
    answer = ask(node, request(FETCH, "store", options=options, payload=text(40, 70)))
    assert answer.payload == text(40, 70)[16:32]


def test_a_repeated_block_of_a_fetch_is_answered_as_before():
    node = serving()
    for num in (0, 1):
        first = send(node, text(48), num, 0, code=FETCH, mid=900 + num)
        again = send(node, text(48), num, 0, code=FETCH, mid=900 + num)
        assert (first.code, again.code) == (0x5F, 0x5F)
    first = send(node, text(48), 2, 0, code=FETCH, mid=902)
    again = send(node, text(48), 2, 0, code=FETCH, mid=902)
    assert first.payload == again.payload == text(48) and node.resource_at("store").done == 1


def test_a_separate_response_ends_the_transfer():
    node = serving(slots=1)
    tickets = []

    def later(request, reply):
        tickets.append((request.defer(), request.payload_bytes()))
        return SEPARATE

    node.resource_at("store").handlers[PUT] = later
    assert transfer(node, BODY).code == 0
    assert tickets[0][1] == BODY
    node.respond(tickets[0][0], b"done")
    assert due(node, 0)[0][1].payload == b"done"
    assert send(node, BODY, 0, peer="other").code == 0x5F


def test_location_is_that_of_the_last_answer():
    node = serving()

    def post(request, reply):
        reply.location("made", str(request.payload_length))

    node.resource_at("store").handlers[POST] = post
    node.resource_at("stream").handlers[POST] = post
    answer = transfer(node, text(100), 1, code=POST)
    assert (answer.code, answer.all(8)) == (0x41, [b"made", b"100"])
    assert answer.uint(BLOCK1) == 3 << 4 | 1
    answer = send(node, text(100), 0, 1, "stream", POST)
    assert (answer.code, answer.all(8)) == (0x5F, [])


def test_the_next_request_is_not_taken_for_a_part():
    node = serving()
    transfer(node, BODY)
    ask(node, request(PUT, "store", payload=b"short"))
    assert node.resource_at("store").value == b"short"
    assert plain(node, "store").payload == b"short"


@cases(GET, 4)
def test_a_method_without_a_body_takes_no_blocks(code):
    node = serving(slots=1)
    node.resource_at("store").handlers[4] = lambda request, reply: None
    for num, more in ((0, 1), (0, 0), (1, 1)):
        options = [block(BLOCK1, num, more)]
        answer = ask(node, request(code, "store", options=options, payload=text(64)), "stranger")
        assert (answer.code, answer.payload) == (0x82, b"option 27")
        assert answer.all(BLOCK1) == [] and node.extensions[0].transfers.used == 0
    options = [block(BLOCK1, 0, 1)]
    assert ask(node, request(code, "store", NON, options=options, payload=text(64))) is None
    assert send(node, BODY, 0).code == 0x5F


def test_an_upload_that_begins_again_and_again_is_silent():
    node = serving(slots=1)
    for now_ms in range(0, 25000, 5000):
        assert send(node, BODY, 0, peer="a", now_ms=now_ms).code == 0x5F
        assert send(node, BODY, 0, peer="b", now_ms=now_ms).code == 0xA3
    assert send(node, BODY, 0, peer="b", now_ms=25000).code == 0x5F
    assert send(node, BODY, 1, peer="a", now_ms=25000).code == 0x88


def test_an_upload_that_makes_progress_yields_to_none_of_its_rank():
    node = serving(slots=1)
    for num in range(10):
        now_ms = 24000 * num
        assert send(node, BODY, num, peer="a", now_ms=now_ms).code == 0x5F
        assert send(node, BODY, 0, peer="b", now_ms=now_ms + 23900).code == 0xA3


@cases(True, False)
def test_a_stranger_that_uploads_for_ever_yields_to_another(is_verified):
    node = serving(slots=1)
    if is_verified:
        verify(node, "a")
        verify(node, "b")
    for i in range(14):
        assert send(node, BODY, i % 2, peer="a", now_ms=18000 * i).code == 0x5F
        assert send(node, BODY, 0, peer="b", now_ms=18000 * i + 1).code == 0xA3
    assert send(node, BODY, 0, peer="b", now_ms=247000).code == (0xA3 if is_verified else 0x5F)


def test_who_holds_all_uploads_yields_one_to_a_client_without():
    node = serving(slots=3)
    for i in range(3):
        options = [(REQUEST_TAG, bytes((i,)))]
        assert send(node, BODY, 0, peer="a", now_ms=100 * i, options=options).code == 0x5F
    more = [(REQUEST_TAG, b"more")]
    assert send(node, BODY, 0, peer="a", now_ms=300, options=more).code == 0xA3
    assert send(node, BODY, 0, peer="b", now_ms=300).code == 0x5F
    assert send(node, BODY, 0, peer="b", now_ms=400, options=more).code == 0xA3
    assert send(node, BODY, 0, peer="c", now_ms=400).code == 0x5F
    assert send(node, BODY, 0, peer="d", now_ms=500).code == 0xA3
    for i in range(3):
        options = [(REQUEST_TAG, bytes((i,)))]
        answer = send(node, BODY, 1, peer="a", now_ms=500, options=options)
        assert answer.code == (0x5F if i == 2 else 0x88)


def test_blocks_of_another_content_format_end_the_upload():
    """RFC 7959 section 2.3."""
    node = serving(slots=1)
    mine, other = [option(CONTENT_FORMAT, 0)], [option(CONTENT_FORMAT, 50)]
    for num in range(23):
        assert send(node, BODY, num, options=mine).code == 0x5F
    assert send(node, BODY, 23, options=other).code == 0x88
    assert send(node, BODY, 23, options=mine).code == 0x88
    assert node.resource_at("store").done == 0
    assert transfer(node, BODY, options=other).code == 0x44


@cases((PUT, "store", 2048, 6), (PUT, "stream", None, 6), (GET, "store", 1024, None))
def test_a_datagram_that_is_too_long_names_block_and_body(code, path, size, szx):
    """RFC 7959 section 2.9.3."""
    node = serving()
    answer = ask(node, request(code, path, payload=bytes(1300)))
    assert (answer.code, answer.uint(BLOCK1), answer.uint(SIZE1)) == (0x8D, szx, size)
