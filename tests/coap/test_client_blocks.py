"""Long requests and responses of the client (RFC 7959), against a script and Mote's server."""

from coap import CoapError
from coap.blockwise import Blockwise
from coap.numbers import FETCH, NON, POST
from support import cases
from support.client_node import BLOCK1, BLOCK2, Told, asking, piggyback, reset, respond, sent
from support.engine import due
from support.features import block, seeded, text
from support.lossy_link import LossyLink

SIZE1 = 60


def serve(request, node, whole, szx=2, etag=None):
    """Respond to a GET with the block that it requests."""
    value = request.uint(BLOCK2) or 0
    start = (value >> 4) << (szx + 4)
    size = 16 << szx
    options = [block(BLOCK2, value >> 4, start + size < len(whole), szx)]
    if etag:
        options.append((4, etag))
    piggyback(node, request, 0x45, whole[start : start + size], options)


def test_blocks_are_delivered_one_by_one():
    node, client, told = asking()
    client.get("server", "v", told)
    whole = text(150)
    tokens = []
    for i in range(3):
        request = sent(node)
        tokens.append(request.token)
        assert request.uint(BLOCK2) == (i << 4 | 2 if i else None)
        serve(request, node, whole)
    assert len(set(tokens)) == 1
    assert b"".join([payload for _, payload, _ in told.all]) == whole
    assert told.offsets == [0, 64, 128] and told.more == [True, True, False]
    assert [last for _, _, last in told.all] == [False, False, True]
    assert client.has_free() and due(node, 0) == []


def test_a_buffer_collects_the_response():
    node, client, told = asking()
    client.get("server", "v", told).into = bytearray(200)
    whole = text(150)
    for _ in range(3):
        serve(sent(node), node, whole)
    assert told.only == ("2.05", whole, True) and told.offsets == [0]
    assert client.response_handler.response.into is None  # the heap has it back


def test_a_short_response_is_put_into_the_buffer():
    node, client, told = asking()
    call = client.get("server", "v", told)
    call.into = buffer = bytearray(200)
    piggyback(node, sent(node), 0x45, b"short")
    assert told.only == ("2.05", b"short", True) and buffer[:5] == b"short"


@cases(63, 149)
def test_a_buffer_that_is_too_small(size):
    node, client, told = asking()
    client.get("server", "v", told).into = bytearray(size)
    for _ in range(1 if size < 64 else 3):
        serve(sent(node), node, text(150))
    assert told.only == ("too long", b"", True) and client.has_free() and due(node, 0) == []


def test_an_error_is_not_put_into_the_buffer():
    node, client, told = asking()
    client.get("server", "v", told).into = buffer = bytearray(b"....")
    piggyback(node, sent(node), 0x84, b"no such thing")
    assert told.only == ("4.04", b"no such thing", True) and buffer == b"...."


def test_a_server_may_go_on_with_smaller_blocks():
    node, client, told = asking()
    client.get("server", "v", told)
    whole = text(150)
    serve(sent(node), node, whole, 2)
    request = sent(node)
    assert request.uint(BLOCK2) == 1 << 4 | 2
    piggyback(node, request, 0x45, whole[64:80], [block(BLOCK2, 4, 1, 0)])
    assert sent(node).uint(BLOCK2) == 5 << 4


@cases(
    (1, 1, 2, 64, False),  # not the first
    (0, 1, 2, 63, False),  # shorter than it says
    (0, 0, 2, 65, False),  # longer than it says
    (0, 1, 7, 64, False),
    (2, 1, 2, 64, True),  # one left out
    (0, 1, 2, 64, True),
)
def test_a_block_that_does_not_fit_ends_the_request(num, more, szx, length, second):
    node, client, told = asking()
    client.get("server", "v", told)
    whole = text(200)
    if second:
        serve(sent(node), node, whole)
    piggyback(node, sent(node), 0x45, whole[:length], [block(BLOCK2, num, more, szx)])
    assert told.all[-1] == ("broken transfer", b"", True) and client.has_free()
    assert due(node, 0) == []


def test_a_response_without_block2_in_the_middle():
    node, client, told = asking()
    client.get("server", "v", told)
    serve(sent(node), node, text(150))
    for _ in range(4):  # asked for again, but not for ever
        request = sent(node)
        assert request.uint(BLOCK2) == 18
        piggyback(node, request, 0x45, b"what?")
    assert told.all[-1] == ("broken transfer", b"", True)


def test_an_error_in_the_middle_is_delivered():
    node, client, told = asking()
    client.get("server", "v", told)
    serve(sent(node), node, text(150))
    piggyback(node, sent(node), 0x88)
    assert told.all[-1] == ("4.08", b"", True) and client.has_free()


def test_another_etag_restarts_the_transfer():
    node, client, told = asking()
    client.get("server", "v", told).into = bytearray(200)
    old, new = text(150), text(140, 50)
    serve(sent(node), node, old, etag=b"1")
    serve(sent(node), node, new, etag=b"2")
    for _ in range(3):
        serve(sent(node), node, new, etag=b"2")
    assert told.only == ("2.05", new, True)


def test_a_state_that_keeps_changing_is_given_up():
    node, client, told = asking()
    client.get("server", "v", told)
    rounds = 0
    while not client.has_free() or client.active_count:
        rounds += 1
        serve(sent(node), node, text(150), etag=b"%d" % rounds)
        assert rounds < 20
    assert told.all[-1][0] == "broken transfer" and rounds == 8


def test_a_payload_in_blocks():
    node, client, told = asking()
    whole = text(2500)
    client.post("server", "v", whole, told).content_format = 60
    got = b""
    tokens = []
    for i in range(3):
        request = sent(node)
        tokens.append(request.token)
        assert request.uint(12) == 60
        assert request.uint(BLOCK1) == i << 4 | (8 if i < 2 else 0) | 6
        assert request.uint(SIZE1) == (None if i else 2500)
        got += request.payload
        code = 0x5F if i < 2 else 0x44
        piggyback(node, request, code, b"", [(BLOCK1, request.all(BLOCK1)[0])])
    assert got == whole and len(set(tokens)) == 1
    assert told.only == ("2.04", b"", True)


@cases((1024, None), (1025, 8 | 6))
def test_blocks_only_where_they_are_needed(length, value):
    node, client, _ = asking()
    client.put("server", "v", bytes(length))
    assert sent(node).uint(BLOCK1) == value


def test_the_server_wants_smaller_blocks():
    node, client, told = asking()
    whole = text(1100)
    client.post("server", "v", whole, told)
    request = sent(node)
    piggyback(node, request, 0x5F, b"", [block(BLOCK1, 0, 1, 2)])
    request = sent(node)  # all of the first block was taken
    assert request.uint(BLOCK1) == 1024 // 64 << 4 | 8 | 2 and request.payload == whole[1024:1088]


def test_the_server_refuses_and_names_a_smaller_size():
    node, client, told = asking()
    whole = text(1100)
    client.post("server", "v", whole, told)
    piggyback(node, sent(node), 0x8D, b"", [block(BLOCK1, 0, 1, 1)])
    request = sent(node)
    assert request.uint(BLOCK1) == 8 | 1 and request.payload == whole[:32]
    piggyback(node, request, 0x8D, b"", [block(BLOCK1, 0, 1, 1)])
    assert told.only[0] == "4.13"


@cases((0x88, []), (0x80, [(BLOCK1, b"\x0e")]), (0x8D, []))
def test_a_final_response_before_the_last_block(code, options):
    node, client, told = asking()
    client.post("server", "v", bytes(2000), told)
    piggyback(node, sent(node), code, b"", options)
    assert told.only[0] == "{}.{:02}".format(code >> 5, code & 31) and client.has_free()


@cases(0x41, 0x44, 0x45, 0x5F)
def test_a_success_before_the_last_block_is_none(code):
    """The server does not know Block1: it took one block for the whole payload."""
    for blocks in range(2):
        node, client, told = asking()
        client.post("server", "v", bytes(3000), told)
        for i in range(blocks):
            piggyback(node, sent(node), 0x5F, b"", [block(BLOCK1, i, 1, 6)])
        piggyback(node, sent(node), code, b"taken")
        assert told.only == ("broken transfer", b"", True)
        assert client.has_free() and due(node, 0) == []


def test_a_last_block_needs_no_acknowledgement_of_its_own():
    node, client, told = asking()
    client.post("server", "v", bytes(2000), told)
    piggyback(node, sent(node), 0x5F, b"", [block(BLOCK1, 0, 1, 6)])
    piggyback(node, sent(node), 0x44)
    assert told.only[0] == "2.04"


@cases(0x44, 0x5F)
def test_a_success_for_another_block(code):
    for blocks in range(2):
        node, client, told = asking()
        client.post("server", "v", bytes(2000), told)
        for i in range(blocks):
            piggyback(node, sent(node), 0x5F, b"", [block(BLOCK1, i, 1, 6)])
        piggyback(node, sent(node), code, b"", [block(BLOCK1, 1 - blocks, 1, 6)])
        assert told.only[0] == "broken transfer"


@cases("block1", "block2")
def test_a_block_that_comes_again_is_no_other_one(option):
    """Without a MID to tell them apart: non-confirmable responses, all under one token."""
    node, client, told = asking()
    whole = text(3000)
    if option == "block1":
        client.post("server", "v", whole, told)
    else:
        client.get("server", "v", told).into = bytearray(3000)
    for i in range(3):
        request = sent(node)
        if option == "block1":
            code, payload, more = 0x5F if i < 2 else 0x44, b"", [block(BLOCK1, i, i < 2, 6)]
        else:
            code, payload = 0x45, whole[i * 1024 : i * 1024 + 1024]
            more = [block(BLOCK2, i, i < 2, 6)]
        respond(node, request, code, payload, more, kind=NON, mid=800 + i)
        if i < 2:
            respond(node, request, code, payload, more, kind=NON, mid=800 + i)
            assert told.all == []
    assert told.only[0] == ("2.04" if option == "block1" else "2.05") and client.has_free()


@cases("another transfer", "a restart", "a smaller size")
def test_each_transfer_has_a_token_of_its_own(case):
    node, client, told = asking()
    client.post("server", "v", bytes(1100), told)
    first = sent(node)
    if case == "another transfer":
        client.post("server", "v", bytes(1100), told)
        client.cancel(client.requests[1])
    elif case == "a smaller size":
        piggyback(node, first, 0x8D, b"", [block(BLOCK1, 0, 1, 1)])
    else:
        client.cancel(client.requests[1])
        client.get("server", "v", told).into = bytearray(200)
        first = sent(node)
        serve(first, node, text(150), etag=b"1")
        serve(sent(node), node, text(140, 50), etag=b"2")
    assert sent(node).token != first.token


def test_a_repeated_continue_does_not_skip_a_block():
    node, client, told = asking()
    client.post("server", "v", bytes(3000), told)
    first = sent(node)
    piggyback(node, first, 0x5F, b"", [block(BLOCK1, 0, 1, 6)])
    piggyback(node, first, 0x5F, b"", [block(BLOCK1, 0, 1, 6)])
    assert sent(node).uint(BLOCK1) == 1 << 4 | 8 | 6


def test_a_small_node_asks_for_small_blocks():
    node, client, told = asking(max_payload=100)
    client.get("server", "v", told)
    assert sent(node).uint(BLOCK2) == 2
    client.post("server", "v", bytes(100))
    assert due(node, 0) == []


def test_the_payload_of_a_fetch_comes_with_every_block():
    node, client, told = asking()
    client.fetch("server", "v", b"question", told)
    serve(sent(node), node, text(100))
    request = sent(node)
    assert (request.code, request.payload, request.uint(BLOCK2)) == (FETCH, b"question", 18)


def test_further_blocks_of_a_post_are_requested_without_payload():
    node, client, told = asking()
    client.post("server", "v", b"question", told)
    serve(sent(node), node, text(100))
    request = sent(node)
    assert (request.code, request.payload, request.uint(BLOCK2)) == (POST, b"", 18)


def test_an_rst_in_the_middle():
    node, client, told = asking()
    client.get("server", "v", told)
    serve(sent(node), node, text(150))
    reset(node, sent(node))
    assert told.all[-1] == ("reset", b"", True)


def echo_into(kept):
    def echo(request, reply):
        kept.append(request.payload_bytes())
        return kept[-1]

    return echo


@cases((0, 0, (1, 1)), (25, 15, (10, 900)))
def test_both_ways_with_our_own_server(loss_pct, duplicate_pct, delay_ms):
    for seed in range(3):
        wire = LossyLink(loss_pct, duplicate_pct, delay_ms, seed=seed + 1)
        node, client, told = asking()
        server = seeded(Blockwise(2, 8192))
        kept = []

        server.post("echo")(echo_into(kept))
        server.get("long")(lambda request, reply: text(5000))

        wire.join("node", node)
        wire.join("server", server)
        whole = text(3000)
        client.post("server", "echo", whole, told).into = bytearray(4096)
        wire.run(600000)
        # a repeat of the last block may get the code alone: the server caches no long responses
        assert kept == [whole] and told.only[0] == "2.04", (seed, told.all)
        assert told.only[1] == whole or (loss_pct and not told.only[1]), seed
        pieces = Told()
        client.get("server", "long", pieces)
        wire.run(600000)
        assert b"".join([payload for _, payload, _ in pieces.all]) == text(5000)


def test_a_busy_server_is_reported():
    wire = LossyLink()
    node, client, told = asking()
    server = seeded(Blockwise(1, 4096))

    @server.post("v")
    def post(request, reply):
        raise CoapError(0xA3, "full", 5)

    wire.join("node", node)
    wire.join("server", server)
    client.post("server", "v", text(1500), told)
    wire.run(60000)
    assert told.only == ("5.03", b"full", True)
