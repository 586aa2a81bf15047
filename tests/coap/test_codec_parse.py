"""The index that scan() makes of a message, and the other loops over bytes of scan.py."""

from coap.codec import (
    ABSENT,
    ANY_FORMAT,
    BAD_METHOD_OR_SIZE,
    CODE,
    DATAGRAM_COUNT,
    DROP,
    FLAGS,
    IX_ACCEPT,
    IX_CONTENT_FORMAT,
    IX_ENDS,
    IX_MAX_AGE,
    IX_OBSERVE,
    IX_OSCORE,
    IX_PROXY,
    IX_SIZE1,
    IX_SIZE2,
    IX_UNKNOWN,
    IX_URI_HOST,
    IX_URI_PATH,
    IX_URI_QUERY,
    LENGTH,
    MAX_MESSAGE,
    MID,
    NO_ACCEPT,
    NO_ROUTE,
    NON_REQUEST,
    NOT_PLAIN,
    NOT_REQUEST,
    OPTIONS_START,
    PAYLOAD,
    REQUEST,
    ROUTE,
    ROUTE_ACCEPT,
    ROUTE_ANY,
    SEND_RESET,
    SIZE,
    SLOW_PATH,
    TO_MESSAGE_LAYER,
    TOKEN,
    TYPE,
    UNSAFE,
    VALUE,
    equal,
    new_index,
    next_option,
    parse,
    path_has_prefix,
)
from coap.numbers import ACK, CON, GET, NON, POST, PUT, RST
from coap.resource import route_table
from support import cases, hexbytes
from support.engine import encode, request, uint

NONE = route_table(())


def flags_of(data, **settings):
    r = new_index(**settings)
    return parse(data, len(data), r, NONE)


def indexed(data, **settings):
    r = new_index(**settings)
    parse(data, len(data), r, NONE)
    return r


# Header and token


@cases((CON,), (NON,))
def test_header_of_a_request(kind):
    data = encode(kind, GET, 0xABCD, b"\x01\x02\x03")
    r = indexed(data)
    assert (r[TYPE], r[CODE], r[MID]) == (kind, GET, 0xABCD)
    assert (r[TOKEN], r[OPTIONS_START]) == (4, 7)
    assert r[PAYLOAD] == r[SIZE] == 7
    assert r[FLAGS] == REQUEST | (NON_REQUEST if kind == NON else 0)


@cases((0,), (1,), (7,), (8,))
def test_tokens_of_rfc_7252(length):
    r = indexed(encode(CON, GET, 1, bytes(range(length)), (), b"x"))
    assert r[FLAGS] == REQUEST
    assert r[OPTIONS_START] == 4 + length
    assert r[PAYLOAD] == 4 + length + 1


@cases((9,), (10,), (11,), (12,), (13,), (14,), (15,))
def test_token_lengths_that_are_reserved(tkl):
    data = bytes((0x40 | tkl, 1, 0, 1)) + bytes(32)
    assert flags_of(data) == SEND_RESET
    assert flags_of(bytes((0x50 | tkl, 1, 0, 1)) + bytes(32)) == DROP


@cases((9,), (12,), (13,), (20,), (40,))
def test_extended_tokens_where_configured(length):
    data = encode(CON, GET, 1, bytes(length), (), b"x")
    r = indexed(data, token_max=40)
    assert r[FLAGS] == REQUEST
    assert r[OPTIONS_START] - r[TOKEN] == length
    assert r[PAYLOAD] == len(data) - 1


@cases(
    ("4d 01 0001 1c" + "00" * 41,),  # 41 bytes, one more than is configured
    ("4e 01 0001 0000" + "00" * 269,),  # two bytes of length: longer than any setting
    ("4f 01 0001" + "00" * 32,),
    ("4d 01 0001",),  # the extended length itself is missing
    ("4d 01 0001 00" + "00" * 12,),  # one byte short
)
def test_extended_tokens_that_are_refused(text):
    assert flags_of(hexbytes(text), token_max=40) == SEND_RESET


@cases((0,), (1,), (2,), (3,))
def test_too_short_for_a_header(length):
    assert flags_of(b"\x40\x01\x00\x01"[:length]) == DROP


@cases((0x00,), (0x80,), (0xC0,))
def test_other_versions(first):
    assert flags_of(bytes((first, 1, 0, 1))) == DROP


def test_empty_messages():
    assert flags_of(b"\x40\x00\x00\x01") == NOT_REQUEST  # ping
    assert flags_of(b"\x60\x00\x00\x01") == NOT_REQUEST
    assert flags_of(b"\x70\x00\x00\x01") == NOT_REQUEST
    assert flags_of(b"\x50\x00\x00\x01") == DROP  # a NON is never empty
    assert flags_of(b"\x40\x00\x00\x01\x00") == SEND_RESET
    assert flags_of(b"\x41\x00\x00\x01\x00") == SEND_RESET
    assert flags_of(b"\x60\x00\x00\x01\x00") == DROP
    assert flags_of(b"\x70\x00\x00\x01\x00") == DROP


def test_every_code():
    for code in range(1, 256):
        flags = flags_of(bytes((0x40, code, 0, 1)))
        family = code >> 5
        if family == 0:
            expected = REQUEST
            if code > 7:
                expected |= BAD_METHOD_OR_SIZE
            elif code not in (1, 5):
                expected |= UNSAFE
        elif family in (1, 6, 7):
            expected = SEND_RESET
        else:
            expected = NOT_REQUEST
        assert flags == expected, code
        # in an ACK a code is never a request to execute, and gets no response
        flags = flags_of(bytes((0x60, code, 0, 1)))
        assert flags & (NOT_REQUEST | DROP) and not flags & (REQUEST | SEND_RESET), code


def test_longer_than_the_node_takes():
    room = new_index()[MAX_MESSAGE]
    assert flags_of(b"\x40\x01\x00\x01\xff" + bytes(room - 5)) == REQUEST
    assert flags_of(b"\x40\x01\x00\x01\xff" + bytes(room - 4)) == REQUEST | BAD_METHOD_OR_SIZE


# Options


@cases((0,), (1,), (12,), (13,), (14,), (100,), (254,), (255,))
def test_option_lengths(length):
    data = encode(CON, GET, 1, b"", [(11, bytes(length))], b"p")
    r = indexed(data)
    assert r[FLAGS] == REQUEST | 1 << IX_URI_PATH
    assert next_option(data, r[IX_URI_PATH], r) == r[IX_ENDS + IX_URI_PATH] == len(data) - 2
    assert r[LENGTH] == length
    assert r[PAYLOAD] == len(data) - 1


@cases((268,), (269,), (270,), (300,), (1034,))
def test_long_options(length):
    data = encode(CON, GET, 1, b"", [(35, bytes(length))], b"p")
    r = indexed(data, max_payload=2048)
    assert r[FLAGS] == REQUEST | 1 << IX_PROXY
    next_option(data, r[IX_PROXY], r)
    assert r[LENGTH] == length
    assert data[r[VALUE] - 1] == ((length - 269) & 255 if length > 268 else length - 13)


def test_the_longest_option():
    data = bytearray(4 + 3 + 65804)  # made in place: a board has room for one, not for its parts
    data[:7] = b"\x40\x01\x00\x01\x2e\xff\xff"
    r = indexed(data, max_payload=70000)
    assert r[FLAGS] == REQUEST
    next_option(data, 4, r)
    assert (r[VALUE], r[LENGTH]) == (7, 65804)


def test_a_long_option_is_followed_by_others():
    data = encode(CON, GET, 1, b"", [(2, bytes(700)), (11, b"a"), (60, b"\x05")])
    r = indexed(data)
    assert r[FLAGS] == REQUEST | 1 << IX_URI_PATH | 1 << IX_SIZE1
    assert r[IX_SIZE1] == 5


@cases((12,), (13,), (14,), (268,), (269,), (270,), (1000,), (65534,))
def test_deltas_of_elective_options(number):
    assert flags_of(encode(CON, GET, 1, b"", [(number & ~1, b"ab")])) in (
        REQUEST,
        REQUEST | 1 << IX_CONTENT_FORMAT,
        REQUEST | 1 << IX_MAX_AGE,
    )


@cases((9, IX_OSCORE), (19, IX_UNKNOWN), (21, IX_UNKNOWN), (31, IX_UNKNOWN), (13, IX_UNKNOWN))
def test_critical_options(number, slot):
    assert flags_of(encode(CON, GET, 1, b"", [(number, b"")])) == REQUEST | 1 << slot


@cases((281,), (537,), (1001,), (65535,))
def test_critical_options_far_up(number):
    data = encode(CON, GET, 1, b"", [(number, b"x")])
    assert flags_of(data) == REQUEST | 1 << IX_UNKNOWN


def test_number_over_65535():
    # 65534 and one or two more; 269 + 65535 at once
    assert flags_of(hexbytes("40010001 e0 fef1 10")) == REQUEST | 1 << IX_UNKNOWN
    assert flags_of(hexbytes("40010001 e0 fef1 20")) == SEND_RESET
    assert flags_of(hexbytes("50010001 e0 fef1 20")) == DROP
    assert flags_of(hexbytes("40010001 e0 ffff")) == SEND_RESET


@cases(
    ("f0",),  # delta 15
    ("0f",),  # length 15
    ("fe",),  # looks like a marker
    ("f1 00",),
    ("b2 61",),  # the value is cut
    ("d0",),  # the extended delta is missing
    ("e0 00",),
    ("0d",),  # the extended length is missing
    ("0e 00",),
    ("dd 00",),
    ("ee 0000 00",),
    ("ff",),  # a marker without payload
    ("b1 61 ff",),
    ("bd ff 61",),
)
def test_malformed_options(text):
    rest = hexbytes(text)
    assert flags_of(b"\x40\x01\x00\x01" + rest) == SEND_RESET
    assert flags_of(b"\x50\x01\x00\x01" + rest) == DROP
    assert flags_of(b"\x60\x45\x00\x01" + rest) == DROP
    assert flags_of(b"\x40\x45\x00\x01" + rest) == SEND_RESET
    assert flags_of(b"\x70\x45\x00\x01" + rest) == DROP


@cases((6, IX_OBSERVE, 3), (12, IX_CONTENT_FORMAT, 2), (28, IX_SIZE2, 4), (60, IX_SIZE1, 4))
def test_uint_options(number, slot, longest):
    for value in (0, 1, 255, 256, 65535, 65536, 0xFFFFFF, 0x1000000, 0x3FFFFFFE):
        data = encode(CON, GET, 1, b"", [(number, uint(value))])
        r = indexed(data)
        if len(uint(value)) <= longest:
            assert r[FLAGS] == REQUEST | 1 << slot
            assert r[slot] == value
        else:
            assert r[FLAGS] == REQUEST  # elective and out of its length range: not there


def test_uint_options_with_leading_zeros():
    assert indexed(encode(CON, GET, 1, b"", [(60, b"\0\0\0\x07")]))[IX_SIZE1] == 7
    assert indexed(encode(CON, GET, 1, b"", [(17, b"\0\x32")]))[IX_ACCEPT] == 50


def test_a_uint_beyond_small_ints_is_the_largest_one():
    assert indexed(encode(CON, GET, 1, b"", [(60, b"\xff\xff\xff\xff")]))[IX_SIZE1] == 0x3FFFFFFF
    assert indexed(encode(CON, GET, 1, b"", [(60, b"\x40\0\0\0")]))[IX_SIZE1] == 0x3FFFFFFF


@cases(
    (1, 9, True),
    (3, 0, True),
    (3, 256, True),
    (4, 0, False),
    (4, 9, False),
    (5, 1, True),
    (6, 4, False),
    (7, 3, True),
    (11, 256, True),
    (12, 3, False),
    (14, 5, False),
    (15, 256, True),
    (17, 3, True),
    (23, 4, True),
    (27, 4, True),
    (28, 5, False),
    (35, 0, True),
    (35, 1035, True),
    (39, 0, True),
    (39, 256, True),
    (60, 5, False),
    (252, 0, False),
    (252, 41, False),
    (258, 2, False),
    (292, 9, False),
)
def test_out_of_its_length_range_is_unknown(number, length, critical):
    flags = flags_of(encode(CON, GET, 1, b"", [(number, bytes(length))]))
    assert flags == REQUEST | (1 << IX_UNKNOWN if critical else 0)


@cases(
    (1, 0), (1, 8), (3, 1), (3, 255), (4, 1), (4, 8), (5, 0), (7, 0), (7, 2), (11, 0), (15, 255),
    (17, 0), (17, 2), (23, 3), (27, 0), (35, 1), (39, 255), (252, 40), (258, 1), (292, 0),
    (292, 8),
)  # fmt: skip
def test_at_the_ends_of_its_length_range_is_known(number, length):
    flags = flags_of(encode(CON, GET, 1, b"", [(number, bytes(length))]))
    assert flags & 1 << IX_UNKNOWN == 0
    assert flags != REQUEST


@cases((3,), (5,), (7,), (17,), (23,), (27,))
def test_a_critical_option_that_comes_twice_is_unknown(number):
    value = b"" if number == 5 else b"\x01"
    first = flags_of(encode(CON, GET, 1, b"", [(number, value)]))
    twice = flags_of(encode(CON, GET, 1, b"", [(number, value), (number, value)]))
    assert not first & 1 << IX_UNKNOWN
    assert twice == first | 1 << IX_UNKNOWN


@cases((6, IX_OBSERVE), (12, IX_CONTENT_FORMAT), (60, IX_SIZE1))
def test_of_an_elective_option_that_comes_twice_the_first_counts(number, slot):
    r = indexed(encode(CON, GET, 1, b"", [(number, b"\x01"), (number, b"\x02")]))
    assert r[FLAGS] == REQUEST | 1 << slot
    assert r[slot] == 1


def test_repeatable_options_run_to_the_last():
    data = encode(CON, GET, 1, b"", [(15, b"a"), (15, b""), (15, b"bc"), (17, b"")])
    r = indexed(data)
    at = r[IX_URI_QUERY]
    values = []
    while at < r[IX_ENDS + IX_URI_QUERY]:
        at = next_option(data, at, r)
        values.append(data[r[VALUE] : r[VALUE] + r[LENGTH]])
    assert values == [b"a", b"", b"bc"]


def test_many_options_are_all_seen():
    options = [(11, b"s")] * 60 + [(15, b"q")] * 100 + [(60, b"\x09")]
    data = encode(CON, GET, 1, b"", options, b"payload")
    r = indexed(data)
    assert r[FLAGS] == REQUEST | 1 << IX_URI_PATH | 1 << IX_URI_QUERY | 1 << IX_SIZE1
    assert r[IX_SIZE1] == 9
    assert data[r[PAYLOAD] :] == b"payload"
    # and so is a critical one behind all of them
    data = encode(CON, GET, 1, b"", options + [(65, b"")])
    assert flags_of(data) & 1 << IX_UNKNOWN


def test_no_prefix_of_a_message_reads_past_its_end():
    # On CPython an index past the end raises IndexError.
    data = encode(
        POST and CON, POST, 1, b"tok", [(11, bytes(20)), (15, bytes(300)), (258, b"\x1a")], b"pay"
    )
    good = []
    for n in range(len(data) + 1):
        flags = flags_of(data[:n])
        assert flags == DROP or flags == SEND_RESET or flags & REQUEST
        if flags & REQUEST:
            good.append(n)
    # whole are: the header, each option, and the payload from its first byte on
    assert good == [7, 7 + 22, 7 + 22 + 303, 7 + 22 + 303 + 3, 340 - 3, 340 - 2, 340 - 1]


def test_the_index_of_a_message_owes_nothing_to_the_one_before():
    r = new_index()
    first = encode(CON, POST, 7, b"abc", [(11, b"x"), (17, b"\x3c")], b"pay")
    parse(first, len(first), r, NONE)
    second = encode(CON, GET, 8)
    assert parse(second, len(second), r, NONE) == REQUEST
    assert r[IX_ACCEPT] == NO_ACCEPT
    assert r[PAYLOAD] == r[SIZE] == 4
    assert r[ROUTE_ANY] == ABSENT
    assert r[DATAGRAM_COUNT] == 2


def test_a_message_in_a_larger_buffer_ends_where_it_is_said_to():
    data = encode(CON, GET, 1, b"", [(11, b"abc")])
    r = new_index()
    flags = parse(bytearray(data + b"\xff\xff\xff"), len(data), r, NONE)
    assert flags == REQUEST | 1 << IX_URI_PATH
    assert r[SIZE] == len(data)


# Paths


def routed(data, *routes):
    r = new_index()
    parse(data, len(data), r, route_table([route + (ANY_FORMAT,) for route in routes]))
    return r


def matches(data, path, accept=0):
    """0: another path; 1: a plain request for it; 2: somebody must look at it; 3: plain, where the
    resource has the format of its Accept.
    """
    r = routed(data, ("other", 0), (path, accept))
    if r[ROUTE_ANY] == ABSENT:
        assert r[ROUTE] == NO_ROUTE
        return 0
    assert r[ROUTE_ANY] == 1
    return {1: 1, ABSENT: 2, ROUTE_ACCEPT + 1: 3}[r[ROUTE]]


def test_paths_are_compared_byte_for_byte():
    data = request(GET, "s/contact")
    assert matches(data, "s/contact") == 1
    for other in ("s/contacu", "s/contac", "s/contact/", "s", "s/conta/ct", "scontact", "", "t/x"):
        assert matches(data, other) == 0, other


def test_the_delta_before_the_path_does_not_matter():
    for options in ([(3, b"host")], [(3, b"host"), (7, b"\x16\x33")], [(1, b""), (4, b"e")]):
        data = request(GET, "s/contact", options=options)
        assert matches(data, "s/contact") == 1
        assert matches(data, "t/contact") == 0


def test_long_segments():
    for length in (12, 13, 14, 254, 255):
        path = "a/" + "x" * length + "/b"
        data = request(GET, path)
        assert matches(data, path) == 1
        assert matches(data, path[:-1] + "c") == 0
        assert matches(request(GET, "x" * length), "x" * (length - 1)) == 0
        assert matches(request(GET, "x" * length), "x" * length) == 1


def test_the_root_has_two_forms():
    assert matches(request(GET), "") == 1
    assert matches(request(GET, ""), "") == 1
    assert matches(request(GET, "/"), "") == 0  # two empty segments
    assert matches(request(GET, "a"), "") == 0
    assert matches(request(GET), "a") == 0


def test_accept_of_a_route():
    plain = request(GET, "a")
    text = request(GET, "a", options=[(17, b"")])
    json = request(GET, "a", options=[(17, b"\x32")])
    assert [matches(m, "a", 0) for m in (plain, text, json)] == [1, 1, 2]
    assert [matches(m, "a", 50) for m in (plain, text, json)] == [1, 2, 1]
    assert [matches(m, "a", ANY_FORMAT) for m in (plain, text, json)] == [1, 3, 3]
    assert [matches(m, "a", NOT_PLAIN) for m in (plain, text, json)] == [2, 2, 2]


def test_no_accept_is_mistaken_for_a_mark_of_ours():
    for number in (65533, 65534, 65535):
        data = request(GET, "a", options=[(17, uint(number))])
        assert matches(data, "a", 0) == 2, number
        assert matches(data, "a", ANY_FORMAT) == 3, number


def test_below_a_path():
    for path, above, expected in (
        ("a/b/c", "a/b", 1),
        ("a/b/c", "a/b/c", 1),
        ("a/b", "a/b/c", 0),
        ("a/bb", "a/b", 0),
        ("a/c/b", "a/b", 0),
        ("b/b/c", "a/b", 0),
        ("a", "", 1),
        (None, "", 1),
        (None, "a", 0),
    ):
        data = request(GET, path)
        assert path_has_prefix(data, indexed(data), route_table([(above, 0, 0)]), 4) == expected, (
            path,
            above,
        )


def test_each_route_is_found_among_all():
    paths = [None, "a", "b", "a/b", "ab", "a/", "b/a", "a/b/", "s/contact", "s/tamper"]
    routes = [(path or "", 0) for path in paths]
    for i in range(len(paths)):
        assert routed(request(GET, paths[i]), *routes)[ROUTE] == i, paths[i]
    assert routed(request(GET, "a/a"), *routes)[ROUTE] == NO_ROUTE


def test_paths_with_the_same_hash():
    # the hash of two characters is ((66 ^ first) * 33 ^ second) & 255
    first, second = route_table([("ai", 0, 0)]), route_table([("ia", 0, 0)])
    assert first[1] == second[1]
    for data, expected in ((request(GET, "ai"), 0), (request(GET, "ia"), 1)):
        assert routed(data, ("ai", 0), ("ia", 0))[ROUTE] == expected
    assert routed(request(GET, "ia"), ("ai", 0))[ROUTE] == NO_ROUTE


def test_a_special_request_names_no_plain_route():
    data = request(GET, "a", options=[(6, b"")])
    for special, route in ((0, 0), (1 << IX_URI_HOST, 0), (1 << IX_OBSERVE, ABSENT)):
        for path, found in (("a", 0), ("b", ABSENT)):
            r = new_index()
            r[SLOW_PATH] = special
            parse(data, len(data), r, route_table([(path, 0, 0)]))
            assert r[ROUTE_ANY] == found
            if path == "a" or route == ABSENT:
                assert r[ROUTE] == route
            else:
                assert r[ROUTE] == NO_ROUTE


def test_scan_returns_what_is_watched():
    data = request(GET, "a", options=[(6, b"")])
    for watch in (0, REQUEST, 1 << IX_OBSERVE, UNSAFE):
        r = new_index()
        r[TO_MESSAGE_LAYER] = watch
        assert parse(data, len(data), r, NONE) == r[FLAGS] & watch
        assert r[FLAGS] == REQUEST | 1 << IX_OBSERVE | 1 << IX_URI_PATH


# Bytes


def test_equal():
    assert equal(b"xabc", 1, b"abcd", 0, 3) == 1
    assert equal(b"xabc", 1, b"abd", 0, 3) == 0
    assert equal(b"xabc", 1, b"bbc", 0, 3) == 0
    assert equal(b"", 0, b"", 0, 0) == 1


def test_rst_and_ack_with_codes_are_no_requests():
    for kind in (ACK, RST):
        assert not flags_of(encode(kind, POST, 1, b"", [(11, b"x")])) & REQUEST


@cases(
    (NOT_PLAIN, None, True),
    (50, 50, True),
    (50, 60, False),
    (ANY_FORMAT, 60, True),
    (NOT_PLAIN, 60, False),
    (NOT_PLAIN, NOT_PLAIN, False),
)
def test_a_content_format_is_plain_where_the_route_takes_it(takes, form, plain):
    options = [] if form is None else [(12, uint(form))]
    data = request(PUT, "a", options=options, payload=b"1")
    r = new_index()
    parse(data, len(data), r, route_table([("a", 0, takes)]))
    assert r[ROUTE_ANY] == 0
    assert r[ROUTE] == (0 if plain else ABSENT)
