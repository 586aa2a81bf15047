"""Paths of requests: text to options and back."""

from coap.client_request import options_to_path, path_to_options, with_option
from support import cases, raises

PATH, QUERY = 11, 15


@cases(
    ("", ()),
    ("s", (PATH, b"s")),
    ("s/door", (PATH, b"s", PATH, b"door")),
    (b"s/door", (PATH, b"s", PATH, b"door")),
    ("reg/7/", (PATH, b"reg", PATH, b"7", PATH, b"")),
    ("a%2Fb/%25", (PATH, b"a/b", PATH, b"%")),
    ("rd?ep=node&lt=60", (PATH, b"rd", QUERY, b"ep=node", QUERY, b"lt=60")),
    ("?q", (QUERY, b"q")),
    ("a?b?c", (PATH, b"a", QUERY, b"b?c")),
    ("%aF", (PATH, b"\xaf")),
    ("a?x=%26", (PATH, b"a", QUERY, b"x=&")),
    ("\u00fc", (PATH, b"\xc3\xbc")),
)
def test_options(path, expected):
    assert path_to_options(path) == expected


@cases(
    ("/s/door", "write s/door"),
    ("a%", "%25"),
    ("a%zz", "%25"),
    ("a%1", "%25"),
    ("a%+1", "%25"),
    ("a% 1", "%25"),
    ("s" * 256, "255"),
)
def test_malformed_paths(path, says):
    assert says in str(raises(ValueError, path_to_options, path))


@cases(
    ([b"reg", b"7", b""], [], "reg/7/"),
    ([b"a/b", b"%?"], [], "a%2Fb/%25%3F"),
    ([b"r"], [b"x=1", b"y&z"], "r?x=1&y%26z"),
    ([b"\xff "], [], "%FF%20"),
)
def test_a_location_is_a_path_again(segments, queries, path):
    assert options_to_path(segments, queries) == path
    back = path_to_options(path)
    assert [back[i] for i in range(1, len(back), 2)] == segments + queries


def test_an_option_more_keeps_the_order():
    known = path_to_options("a/b?c")
    assert with_option(known, 4, b"e") == (4, b"e") + known
    assert with_option(known, 12, b"f") == known[:4] + (12, b"f") + known[4:]
    assert with_option(known, 11, b"z")[4:6] == (11, b"z")
    assert with_option(known, 292, b"t") == known + (292, b"t")
