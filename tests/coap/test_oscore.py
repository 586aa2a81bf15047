"""OSCORE, the server's side (RFC 8613): Appendix C.4 to C.8, requests, errors, Observe, Block."""

from array import array

import coap.oscore.protection as f
from coap.access import OPEN, READ_ONLY, SECURED, Access
from coap.codec import CODE, MAX_MESSAGE, OPTIONS_START, parse
from coap.node import Node
from coap.numbers import *
from coap.oscore import Oscore
from coap.oscore.context import MAX_SEQUENCE_NUMBER, Context, ReplayWindow
from coap.oscore.protection import Protector
from coap.presets import default_extensions
from coap.resource import SEPARATE
from support import cases, hexbytes, raises
from support.engine import answer, ask, decode, due, encode, get, request, uint
from support.oscore_peer import SALT, SECRET, End, volatile

HEAP = "2m"
OWN, OTHER = b"\x01", b"\x02"
CHANGES = (POST, PUT, DELETE)


def secure_node(*contexts, access=OPEN, extra=(), **settings):
    contexts = contexts or (Context(SECRET, OWN, OTHER, SALT),)
    oscore = volatile(contexts)
    node = Node(*default_extensions(), Access(access), oscore, *extra, **settings)
    node.seed(b"12345678")
    node.oscore = oscore
    node.seen = []

    @node.get("s", observable=True, content_format=0)
    def s(request, reply):
        node.seen.append("get")
        return b"open"

    @node.put("s")
    def put(request, reply):
        node.seen.append(request.payload_bytes())

    @node.get("long", content_format=42, etag=b"1")
    def long(request, reply):
        node.seen.append("long")
        return bytes(range(256)) * 6

    return node


def peer(**settings):
    return End(OTHER, OWN, **settings)


def exchange(node, end, datagram, **settings):
    """Protect a request; return the node's response, unprotected, or None."""
    message = ask(node, end.request(datagram), **settings)
    return None if message is None else end.read(message)


# RFC 8613 C.4 to C.8. Master Secret and Salt are those of C.1, the ids "" and 01.

MASTER = hexbytes("0102030405060708090a0b0c0d0e0f10")
MASTER_SALT = hexbytes("9e7ca92223786340")
ID_CONTEXT = hexbytes("37cbf3210017a2d3")
REQUESTS = (
    (
        (MASTER_SALT, b"", None),
        "44015d1f00003974396c6f63616c686f737483747631",
        "44025d1f00003974396c6f63616c686f7374620914ff612f1092f1776f1c1668b3825e",
    ),
    (
        (b"", b"\0", None),
        "440171c30000b932396c6f63616c686f737483747631",
        "440271c30000b932396c6f63616c686f737463091400ff4ed339a5a379b0b8bc731fffb0",
    ),
    (
        (MASTER_SALT, b"", ID_CONTEXT),
        "44012f8eef9bbf7a396c6f63616c686f737483747631",
        "44022f8eef9bbf7a396c6f63616c686f73746b19140837cbf3210017a2d3ff72cd7273fd331ac45cffbe55c3",
    ),
)
ANSWER = "64455d1f00003974ff48656c6c6f20576f726c6421"
ANSWERS = (
    (False, "64445d1f0000397490ffdbaad1e9a7e7b2a813d3c31524378303cdafae119106"),
    (True, "64445d1f00003974920100ff4d4c13669384b67354b2b6175ff4b8658c666a6cf88e"),
)


@cases(*REQUESTS)
def test_rfc8613_c4_to_c6_requests(ids, plain, protected):
    salt, client, id_context = ids
    plain, protected = hexbytes(plain), hexbytes(protected)
    node = Node()
    protector = Protector(node)
    context = Context(MASTER, client, b"\x01", salt, id_context)
    f.write_piv(protector.request_piv, 20)
    node.tx[: len(plain)] = plain
    protector.set_aad_and_nonce(context, context.sender_id)
    protector.write_request_option(context)
    n = protector.protect(context, 8, len(plain))
    assert node.tx[:n] == protected
    # and what the server makes of it
    server = Node(volatile([Context(MASTER, b"\x01", client, salt, id_context)]))
    found = []

    @server.get("tv1")
    def tv1(request, reply):
        found.append(request.token)
        return b"Hello World!"

    assert answer(server, protected) is not None
    assert found == [plain[4:8]]


@cases(*ANSWERS)
def test_rfc8613_c7_and_c8_responses(anew, protected):
    context = Context(MASTER, b"\x01", b"", MASTER_SALT)
    node = Node(volatile([context]))
    node.get("tv1", content_formats=None)(lambda request, reply: b"Hello World!")
    datagram = hexbytes(REQUESTS[0][2])
    if not anew:
        assert answer(node, datagram) == hexbytes(protected)
        return
    protector = node.oscore.protector
    node.view.buf = datagram
    parse(datagram, len(datagram), node.view.index, node.route_table)
    node.tx[: len(ANSWER) // 2] = hexbytes(ANSWER)
    assert protector.read_option(node.view)
    protector.read_piv(protector.request_piv, datagram)
    protector.set_aad_and_nonce(context, context.recipient_id)
    protector.set_new_piv(context)
    n = protector.protect(context, 8, len(ANSWER) // 2)
    assert node.tx[:n] == hexbytes(protected)
    assert context.sequence_number == 1


# The option (section 6.1)


def parsed(value):
    fields = array("i", [0] * f.FIELDS)
    value = hexbytes(value)
    if not f.parse_option(b"x" + value, 1, len(value), fields):
        return None
    at = fields[f.PIV_AT] - 1
    piv = value[at : at + fields[f.PIV_LENGTH]] if fields[f.PIV_LENGTH] else b""
    assert fields[f.PIV_HIGH] << 20 | fields[f.PIV_LOW] == int.from_bytes(piv, "big")
    name = kid = None
    if fields[f.CONTEXT_LENGTH] != f.ABSENT:
        at = fields[f.CONTEXT_AT] - 1
        name = value[at : at + fields[f.CONTEXT_LENGTH]]
    if fields[f.KID_LENGTH] != f.ABSENT:
        at = fields[f.KID_AT] - 1
        kid = value[at : at + fields[f.KID_LENGTH]]
    return piv, name, kid


@cases(
    ("", (b"", None, None)),
    ("0914", (b"\x14", None, b"")),
    ("091400", (b"\x14", None, b"\0")),
    ("19140837cbf3210017a2d3", (b"\x14", ID_CONTEXT, b"")),
    ("1914012cff", (b"\x14", b"\x2c", b"\xff")),
    ("1105012c", (b"\x05", b"\x2c", None)),
    ("0100", (b"\0", None, None)),
    ("0dffffffffff6b6964", (b"\xff" * 5, None, b"kid")),
    ("08ab", (b"", None, b"\xab")),
    ("00", None),  # no flags: the value is empty
    ("2914", None),  # bits that are reserved
    ("4914", None),
    ("8914", None),
    ("0e010203040506", None),  # lengths that are reserved
    ("0f01020304050607", None),
    ("0d01020304", None),  # too short
    ("1914", None),
    ("191409ffffffff", None),
    ("011400", None),  # too long
    ("1114012c00", None),
)
def test_option_value_is_parsed(value, expected):
    assert parsed(value) == expected


# The replay window (section 7.4)


def window_of(*numbers):
    window = ReplayWindow()
    for number in numbers:
        assert window.is_fresh(number >> 20, number & 0xFFFFF), number
        window.accept(number >> 20, number & 0xFFFFF)
    return window


def is_new(window, number):
    return window.is_fresh(number >> 20, number & 0xFFFFF) == 1


def test_window_accepts_each_number_once_in_any_order():
    state = 1
    window = ReplayWindow()
    came, highest = set(), -1
    for _ in range(2000):
        state = (state * 75 + 74) % 65537
        number = max(0, highest - 40 + state % 60)
        expected = number not in came and number > highest - 32
        assert is_new(window, number) == expected, (number, highest)
        if expected:
            window.accept(number >> 20, number & 0xFFFFF)
            came.add(number)
            highest = max(highest, number)


@cases(0xFFFFF, 0x100000, 0x100010, 2**30, 2**40 - 1)
def test_window_across_word_limits(top):
    window = window_of(top)
    assert not is_new(window, top)
    assert is_new(window, top - 31) and not is_new(window, top - 32)
    assert not is_new(window, 0)
    window.accept((top - 31) >> 20, (top - 31) & 0xFFFFF)
    assert not is_new(window, top - 31) and is_new(window, top - 30)
    if top < 2**40 - 1:
        assert is_new(window, top + 1) and is_new(window, top + 2**22)


def test_window_far_jumps():
    window = window_of(5, 2**39, 2**39 + 3)
    assert not is_new(window, 5) and not is_new(window, 2**39) and is_new(window, 2**39 + 1)
    assert is_new(window, 2**39 - 20) and is_new(window_of(3), 4)


# Requests


def test_get():
    node, end = secure_node(), peer()
    for _ in range(3):
        reply = exchange(node, end, request(GET, "s", token=b"tok"))
        assert (
            reply.code == CONTENT and reply.payload == b"open" and reply.uint(CONTENT_FORMAT) == 0
        )
        assert reply.outer.code == CHANGED and reply.piv is None and reply.token == b"tok"
        assert reply.outer.kind == ACK and [n for n, _ in reply.outer.options] == [OSCORE]
    assert node.seen == ["get"] * 3


@cases(CON, NON)
def test_put(kind):
    node, end = secure_node(access=READ_ONLY), peer()
    reply = exchange(node, end, request(PUT, "s", payload=b"closed", kind=kind))
    assert reply.code == CHANGED and node.seen == [b"closed"]


def test_fetch_and_errors_are_protected():
    node, end = secure_node(), peer()
    assert exchange(node, end, request(GET, "none")).code == NOT_FOUND
    assert exchange(node, end, request(DELETE, "s")).code == METHOD_NOT_ALLOWED
    assert (
        exchange(node, end, request(GET, "s", options=[(ACCEPT, b"\x32")])).code == NOT_ACCEPTABLE
    )
    assert exchange(node, end, request(GET, "s", options=[(999, b"")])).code == BAD_OPTION
    proxied = request(GET, "s", options=[(PROXY_SCHEME, b"coap")])
    assert exchange(node, end, proxied).code == PROXYING_NOT_SUPPORTED
    assert node.seen == []


def test_a_bad_option_inside_a_non_is_rejected_silently():
    node, end = secure_node(), peer()
    datagram = end.request(request(PUT, "s", NON, payload=b"1", options=[(999, b"")]))
    for _ in range(2):
        assert ask(node, datagram) is None and node.seen == []
    assert exchange(node, end, request(PUT, "s", NON, payload=b"2")).code == CHANGED


def test_outer_options_are_ignored():
    node, end = secure_node(), peer()
    message = decode(end.request(request(PUT, "s", payload=b"1")))
    message.options += [(URI_PATH, b"long"), (IF_NONE_MATCH, b""), (999, b"x"), (BLOCK1, b"\x0e")]
    protected = encode(
        CON, message.code, message.mid, message.token, message.options, message.payload
    )
    assert end.read(ask(node, protected)).code == CHANGED
    assert node.seen == [b"1"]


def test_all_inner_options_are_kept():
    node, end = secure_node(), peer()
    options = [
        (IF_MATCH, b"no"),
        (URI_HOST, b"a-host-of-some-length"),
        (ETAG, b"12345678"),
        (URI_PORT, b"\x16\x33"),
        (URI_QUERY, b"x" * 255),
        (SIZE1, b"\x01"),
        (2050, b"elective"),
    ]
    seen = []

    @node.get("p", conditional=True)
    def p(request, reply):
        seen.append([request.option(n) for n in (1, 4, 11, 15, 60, 2050)])

    assert exchange(node, end, request(GET, "p", options=options)).code == CONTENT
    assert seen == [[[b"no"], [b"12345678"], [b"p"], [b"x" * 255], [b"\x01"], [b"elective"]]]


def test_a_duplicate_gets_the_cached_response():
    node, end = secure_node(), peer()
    datagram = end.request(request(PUT, "s", payload=b"1"))
    first = answer(node, datagram)
    assert answer(node, datagram) == first and node.seen == [b"1"]


def test_a_duplicate_of_a_long_response_takes_another_nonce():
    node, end = secure_node(), peer()
    exchange(node, end, request(GET, "s", token=b"x"))
    datagram = end.request(request(GET, "long", options=[(BLOCK2, b"\x02")]))
    first = end.read(ask(node, datagram))
    second = end.read(ask(node, datagram))
    third = end.read(ask(node, datagram))
    assert first.code == second.code == third.code == CONTENT
    assert first.payload == second.payload == third.payload == bytes(range(64))
    assert (first.piv, second.piv, third.piv) == (None, b"\0", b"\x01")
    # another request with its MID, from the past of the context, is not served by that way
    old = decode(end.request(request(GET, "s", token=b"x"), seq=0))
    forged = encode(CON, old.code, decode(datagram).mid, b"x", old.options, old.payload)
    before = list(node.seen)
    assert ask(node, forged).payload == b"Replay detected" and node.seen == before


def test_a_duplicate_with_a_long_error_gets_its_code():
    node, end = secure_node(), peer()
    calls = []

    @node.post("fail")
    def fail(request, reply):
        calls.append(1)
        reply.code = CONFLICT
        reply.write(b"x" * 70)

    datagram = end.request(request(POST, "fail"))
    assert end.read(ask(node, datagram)).payload == b"x" * 70
    again = end.read(ask(node, datagram))
    assert again.code == CONFLICT and again.payload == b"" and again.piv == b"\0"
    assert calls == [1]


def test_a_duplicate_after_partial_ivs_of_other_lengths():
    node, end = secure_node(), peer()
    datagram = end.request(request(GET, "long", options=[(BLOCK2, b"\x02")]), seq=7)
    piv = end.piv
    assert end.read(ask(node, datagram)).code == CONTENT
    assert end.read(ask(node, end.request(request(GET, "s"), seq=0x12345678))).code == CONTENT
    assert end.read(ask(node, datagram), piv).payload == bytes(range(64))
    # one Partial IV that begins as another one is not the same
    longer = end.request(request(GET, "long", options=[(BLOCK2, b"\x02")]), seq=0x0712345678)
    mid = decode(longer).mid
    assert end.read(ask(node, longer)).code == CONTENT
    other = decode(datagram)
    shorter = encode(CON, 2, mid, b"x", other.options, other.payload)
    assert ask(node, shorter).payload == b"Replay detected"


@cases((GET, "long"), (POST, "fail"))
def test_duplicates_of_a_long_response_are_limited(code, path):
    node, end = secure_node(), peer()
    node.post("fail")(lambda request, reply: b"x" * 70)
    datagram = end.request(request(code, path, options=[(BLOCK2, b"\x02")]))
    first = end.read(ask(node, datagram))
    forged = bytearray(datagram)
    forged[-1] ^= 1
    for _ in range(20):  # which is not the same request
        assert ask(node, forged).payload == b"Replay detected"
    for _ in range(5):  # MAX_RETRANSMIT, and one
        assert end.read(ask(node, datagram)).code == first.code
    for _ in range(20):
        assert ask(node, datagram) is None
    assert node.oscore.contexts[0].sequence_number == 5
    assert exchange(node, end, request(GET, "s")).code == CONTENT


def test_a_duplicate_with_a_long_refusal_gets_its_code():
    node, end = secure_node(), peer()
    calls = []

    @node.get("fail")
    def fail(request, reply):
        calls.append(1)
        reply.code = CONFLICT
        reply.write(b"x" * 70)

    datagram = end.request(request(GET, "fail"))
    assert end.read(ask(node, datagram)).payload == b"x" * 70
    again = end.read(ask(node, datagram))
    assert again.code == CONFLICT and again.payload == b"" and calls == [1]


def test_no_response_is_an_inner_option():
    node, end = secure_node(), peer()
    message = ask(node, end.request(request(PUT, "s", payload=b"1", options=[(258, b"\x02")])))
    assert message.kind == ACK and message.code == 0 and node.seen == [b"1"]
    quiet = request(PUT, "s", payload=b"2", options=[(258, b"\x02")], kind=NON)
    assert ask(node, end.request(quiet)) is None and node.seen == [b"1", b"2"]


# Errors that are not protected (section 8.2)


def refused(message, code, why):
    assert message.code == code and message.payload == why and message.uint(MAX_AGE) == 0
    assert not message.all(OSCORE)
    return True


def test_replay_is_refused():
    node, end = secure_node(), peer()
    assert exchange(node, end, request(PUT, "s", payload=b"1")).code == CHANGED
    again = end.request(request(PUT, "s", payload=b"1"), seq=0)
    assert refused(ask(node, again), UNAUTHORIZED, b"Replay detected")
    assert node.seen == [b"1"]


def test_reordering_inside_and_outside_the_window():
    node, end = secure_node(), peer()
    for seq in (40, 9, 41, 10, 39):
        reply = end.read(ask(node, end.request(request(GET, "s"), seq=seq)))
        assert reply.code == CONTENT, seq
    for seq in (9, 41, 8, 0, 40):
        assert refused(
            ask(node, end.request(request(GET, "s"), seq=seq)), 0x81, b"Replay detected"
        )


def test_wrong_kid_and_context():
    node = secure_node()
    other = End(b"\x07", OWN)
    assert refused(
        ask(node, other.request(request(GET, "s"))), 0x81, b"Security context not found"
    )
    named = End(OTHER, OWN, id_context=b"ctx")
    assert refused(
        ask(node, named.request(request(GET, "s"))), 0x81, b"Security context not found"
    )
    silent = named.request(request(GET, "s"), with_context=False)
    assert refused(ask(node, silent), BAD_REQUEST, b"Decryption failed")
    wrong = peer(secret=bytes(16))
    assert refused(ask(node, wrong.request(request(GET, "s"))), BAD_REQUEST, b"Decryption failed")
    assert node.seen == []


@cases("", "08", "0802", "00", "2914", "0e01020304050602", "1914", "01")
def test_option_that_is_no_request(value):
    node = secure_node()
    datagram = request(POST, None, options=[(OSCORE, hexbytes(value))], payload=bytes(20))
    assert refused(ask(node, datagram), BAD_OPTION, b"Failed to decode COSE")
    silence = request(POST, None, kind=NON, options=[(OSCORE, hexbytes(value))], payload=bytes(20))
    assert ask(node, silence) is None


def test_a_plaintext_that_is_no_request():
    node, end = secure_node(), peer()
    for text in (
        b"\x45",
        b"\x00",
        b"\x01\xff",
        b"\x01\xf1",
        b"\x01\xb5s",
        b"\x01\xd0",
        b"\x01\x3d",
    ):
        seq = end.seq
        end.seq += 1
        piv = uint(seq) or b"\0"
        from support.oscore_peer import seal

        sealed = seal(end.own_key, end.nonce(OTHER, piv), end.aad(OTHER, piv), text)
        value = bytes((8 | len(piv),)) + piv + OTHER
        message = ask(node, request(POST, None, options=[(OSCORE, value)], payload=sealed))
        assert refused(message, BAD_REQUEST, b"Decryption failed"), text
    assert node.seen == []


@cases(b"", b"c", b"ct", b"cty", b"xtx", b"ctxx", b"ctx" * 5)
def test_a_different_id_context_is_refused(name):
    node = secure_node(Context(SECRET, OWN, OTHER, SALT, b"ctx"))
    end = peer(id_context=b"ctx")
    message = decode(end.request(request(GET, "s"), with_context=False))
    piv = message.all(OSCORE)[0][1:2]

    def named(name):
        value = bytes((0x19,)) + piv + bytes((len(name),)) + name + OTHER
        # a token of its own for each, for they would be repeats else
        return encode(CON, 2, 7000 + len(name), name[:8], [(OSCORE, value)], message.payload)

    assert refused(ask(node, named(name)), UNAUTHORIZED, b"Security context not found")
    assert end.read(ask(node, named(b"ctx"), "other")).code == CONTENT


def test_an_unexpected_id_context_is_refused():
    node, end = secure_node(), peer()
    message = decode(end.request(request(GET, "s")))
    for i, name in enumerate((b"", OTHER)):
        value = b"\x19\0" + bytes((len(name),)) + name + OTHER
        datagram = encode(CON, 2, 7100 + i, b"", [(OSCORE, value)], message.payload)
        assert refused(ask(node, datagram), UNAUTHORIZED, b"Security context not found")
    assert node.seen == []


def test_a_datagram_beyond_the_limit_is_refused():
    node, end = secure_node(max_payload=256), peer()
    limit = node.view.index[MAX_MESSAGE]
    datagram = end.request(request(PUT, "s"))
    most = limit - len(datagram) - 2  # a marker; a payload this long has no other lengths
    fit = end.request(request(PUT, "s", payload=b"p" * (most + 1)))
    assert len(fit) == limit
    assert end.read(ask(node, fit)).code == CHANGED
    long = end.request(request(PUT, "s", payload=b"p" * (most + 2)))
    assert len(long) == limit + 1
    assert refused(ask(node, long), REQUEST_ENTITY_TOO_LARGE, b"")
    assert node.seen == [b"p" * (most + 1)] and node.oscore.contexts[0].sequence_number == 0


@cases(
    ((OWN, OTHER), (OWN, OTHER)),
    ((OWN, OTHER), (OWN, b"\x03")),
    ((OWN, OTHER), (b"\x04", OTHER), (OWN, b"\x05")),
)
def test_contexts_that_share_a_sender_key_are_refused(*ids):
    contexts = [Context(SECRET, own, other, SALT) for own, other in ids]
    assert "sender key" in str(raises(ValueError, Oscore, contexts))
    # zeros at the end of a salt change nothing
    contexts[-1] = Context(SECRET, ids[-1][0], ids[-1][1], SALT + b"\0")
    raises(ValueError, Oscore, contexts)
    contexts[-1] = Context(SECRET, ids[-1][0], ids[-1][1], SALT + b"x")
    assert len(volatile(contexts).contexts) == len(ids)


def test_without_the_feature_the_option_is_refused():
    node = Node()
    assert ask(node, peer().request(request(GET, "s"))).code == BAD_OPTION


def test_several_contexts():
    contexts = [Context(SECRET, OWN, OTHER, SALT, name) for name in (b"a", b"b", None)]
    contexts.append(Context(SECRET, b"\x09", b"\x08", SALT))
    node = secure_node(*contexts)
    for end in (peer(id_context=b"a"), peer(id_context=b"b"), peer(), End(b"\x08", b"\x09")):
        assert exchange(node, end, request(GET, "s")).code == CONTENT
        assert exchange(node, end, request(GET, "s")).code == CONTENT
    # the one that is meant need not be named
    end = peer(id_context=b"a")
    end.seq = 9
    message = ask(node, end.request(request(GET, "s"), with_context=False))
    assert end.read(message).code == CONTENT


# Access


@cases(
    (OPEN, (0x45, 0x44), (0x45, 0x44)),
    (READ_ONLY, (0x45, 0x81), (0x45, 0x44)),
    (SECURED, (0x81, 0x81), (0x45, 0x44)),
)
def test_access(access, strangers, friends):
    node, end = secure_node(access=access), peer()
    got = tuple([ask(node, request(code, "s", payload=b"1")).code for code in (GET, PUT)])
    assert got == strangers
    assert (b"1" in node.seen) == (strangers[1] == CHANGED)
    got = tuple(
        [exchange(node, end, request(code, "s", payload=b"2")).code for code in (GET, PUT)]
    )
    assert got == friends


def test_access_of_one_resource():
    node, end = secure_node(access=READ_ONLY), peer()
    node.get("secret", access=SECURED)(lambda request, reply: b"secret")
    node.put("free", access=OPEN)(lambda request, reply: None)
    node.put("closed")(lambda request, reply: None)
    assert get(node, "secret").code == UNAUTHORIZED
    assert ask(node, request(PUT, "free")).code == CHANGED
    listed = get(node, ".well-known/core").payload
    assert b"</s>" in listed and b"</free>" in listed
    assert b"secret" not in listed and b"closed" not in listed
    for _ in range(2):
        listed = exchange(node, end, request(GET, ".well-known/core")).payload
        assert b"</secret>" in listed and b"</closed>" in listed and b"</s>" in listed
    filtered = request(GET, ".well-known/core", options=[(URI_QUERY, b"href=/secret")])
    assert exchange(node, end, filtered).payload.startswith(b"</secret>")
    assert ask(node, filtered).payload == b""
    assert exchange(node, end, request(GET, "secret")).payload == b"secret"


def test_without_keys_only_open_resources_are_served():
    node = Node(*default_extensions(), Access(READ_ONLY))
    node.put("s")(lambda request, reply: None)
    assert ask(node, request(PUT, "s")).code == UNAUTHORIZED
    keyless = Node(*default_extensions(), Access(READ_ONLY), Oscore([]))
    keyless.put("s")(lambda request, reply: None)
    assert ask(keyless, request(PUT, "s")).code == UNAUTHORIZED
    reply = ask(keyless, peer().request(request(PUT, "s")))
    assert refused(reply, UNAUTHORIZED, b"Security context not found")
    assert keyless.oscore.status == "no keys"


def test_a_handler_that_raises_leaves_no_context_behind():
    node, end = secure_node(access=SECURED), peer()

    @node.get("boom")
    def boom(request, reply):
        raise KeyError("boom")

    node.log = lambda error: None
    assert exchange(node, end, request(GET, "boom")).code == INTERNAL_SERVER_ERROR
    assert node.view.context == 0
    assert ask(node, request(GET, "s")).code == UNAUTHORIZED


# Observe (section 4.1.3.5)


def observe(node, end, token=b"ob", wish=b"", **settings):
    return exchange(
        node, end, request(GET, "s", token=token, options=[(OBSERVE, wish)]), **settings
    )


def test_observe():
    node, end = secure_node(), peer()
    first = observe(node, end)
    piv = end.piv
    assert first.code == CONTENT and first.all(OBSERVE) == [b""] and first.outer.code == CONTENT
    assert len(first.outer.all(OBSERVE)) == 1
    numbers = [first.piv]
    for _ in range(3):
        node.resource_at("s").changed()
        (_, message) = due(node, 1000)[0]
        told = end.read(message, piv)
        assert told.payload == b"open" and told.all(OBSERVE) == [b""] and message.code == CONTENT
        assert told.token == b"ob"
        numbers.append(told.piv)
        if message.kind == CON:
            answer(node, encode(ACK, 0, message.mid))
    assert len(set(numbers)) == 4 and None not in numbers[1:]
    last = observe(node, end, wish=b"\x01")
    assert last.code == CONTENT and not last.all(OBSERVE)
    node.resource_at("s").changed()
    assert due(node, 2000) == []


def test_a_notification_sent_again_takes_another_number():
    node, end = secure_node(), peer()
    observe(node, end)
    piv = end.piv
    node.resource_at("s").changed()
    ((_, first),) = due(node, 1000)
    assert first.kind == CON
    ((_, second),) = due(node, 60000)
    assert second.mid == first.mid
    one, two = end.read(first, piv), end.read(second, piv)
    assert one.payload == two.payload == b"open" and one.piv != two.piv


def test_plain_requests_do_not_change_a_protected_observation():
    node, end = secure_node(), peer()
    observe(node, end)
    piv = end.piv
    plain = request(GET, "s", token=b"ob", options=[(OBSERVE, b"\x01")])
    assert ask(node, plain).code == CONTENT
    plain = request(GET, "s", token=b"ob", options=[(OBSERVE, b"")])
    assert ask(node, plain).all(OBSERVE)
    node.resource_at("s").changed()
    messages = []
    for now_ms in (1000, 2000):  # one after the other: NSTART
        for _, message in due(node, now_ms):
            messages.append(message)
            answer(node, encode(ACK, 0, message.mid), now_ms=now_ms)
    assert len(messages) == 2
    secured = [message for message in messages if message.all(OSCORE)]
    assert len(secured) == 1 and end.read(secured[0], piv).payload == b"open"


def test_an_error_ends_an_observation_under_protection():
    node, end = secure_node(), peer()
    observe(node, end)
    piv = end.piv
    node.remove("s")
    ((_, message),) = due(node, 1000)
    assert end.read(message, piv).code == NOT_FOUND and message.all(OSCORE)


def test_without_sequence_numbers_nothing_that_needs_one_is_sent():
    node, end = secure_node(), peer()
    assert observe(node, end).code == CONTENT
    context = node.oscore.contexts[0]
    context.sequence_number = MAX_SEQUENCE_NUMBER - 1
    node.resource_at("s").changed()
    ((_, message),) = due(node, 1000)
    last = uint(MAX_SEQUENCE_NUMBER - 1)
    assert message.all(OSCORE)[0][1:] == last, "the last number is used"
    answer(node, encode(ACK, 0, message.mid))
    node.resource_at("s").changed()
    assert (
        due(node, 2000) == []
        and ask(node, end.request(request(GET, "s", token=b"o2", options=[(OBSERVE, b"")])))
        is None
    )
    assert context.sequence_number == MAX_SEQUENCE_NUMBER
    # what needs none goes on
    assert exchange(node, end, request(PUT, "s", payload=b"1")).code == CHANGED


# Block-wise inside


def test_block2_inside():
    node, end = secure_node(), peer()
    body = b""
    number = 0
    while True:
        reply = exchange(
            node, end, request(GET, "long", options=[(BLOCK2, uint(number << 4 | 4))])
        )
        assert not reply.outer.all(BLOCK2)
        body += reply.payload
        if not reply.uint(BLOCK2) & 8:
            break
        number += 1
    assert body == bytes(range(256)) * 6


def test_a_long_response_comes_in_blocks():
    node, end = secure_node(), peer()
    reply = exchange(node, end, request(GET, "long"))
    assert reply.code == CONTENT and len(reply.payload) == 1024 and reply.uint(BLOCK2) == 0x0E


def test_block1_inside_and_no_plain_block_is_added():
    node, end = secure_node(), peer()
    first = request(PUT, "s", payload=b"a" * 16, options=[(BLOCK1, b"\x08")])
    assert exchange(node, end, first).code == CONTINUE
    forged = request(PUT, "s", payload=b"x" * 4, options=[(BLOCK1, b"\x10")])
    assert ask(node, forged).code == REQUEST_ENTITY_INCOMPLETE
    last = request(PUT, "s", payload=b"b" * 4, options=[(BLOCK1, b"\x10")])
    assert exchange(node, end, last).code == CHANGED
    assert node.seen == [b"a" * 16 + b"b" * 4]


# Separate responses


def test_separate_response():
    node, end = secure_node(), peer()
    tickets = []

    @node.get("later")
    def later(request, reply):
        tickets.append(request.defer())
        return SEPARATE

    message = ask(node, end.request(request(GET, "later")))
    piv = end.piv
    assert message.kind == ACK and message.code == 0
    exchange(node, end, request(GET, "s"))  # another one meanwhile
    node.respond(tickets[0], b"now")
    ((_, message),) = due(node, 1000)
    told = end.read(message, piv)
    assert told.payload == b"now" and told.code == CONTENT and told.piv is not None


def test_group_requests_get_no_protected_response():
    from coap.multicast import Multicast

    node, end = secure_node(extra=(Multicast(),)), peer()
    datagram = end.request(request(GET, "s", kind=NON))
    node.group.arrive(datagram, len(datagram), "peer", 0)
    assert due(node, 100000) == [] and node.seen == []


@cases(64, 256, 1024)
def test_a_response_of_maximum_length(room):
    node, end = secure_node(max_payload=room), peer()
    node.get("fit")(lambda request, reply: bytes(room))
    reply = exchange(node, end, request(GET, "fit", token=b"12345678"))
    assert reply.code == CONTENT and reply.payload == bytes(room)
    assert node.view.index[CODE] == GET and node.view.index[OPTIONS_START] == 12
