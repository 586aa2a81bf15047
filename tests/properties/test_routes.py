"""How requests are matched to paths, against lists of segments."""

import reference
from hypothesis import assume, example, given
from hypothesis import strategies as st

from coap.codec import ABSENT, NO_ROUTE, ROUTE, ROUTE_ANY, parse, path_has_prefix
from coap.message import MessageView
from coap.resource import route_table

URI_PATH, ACCEPT = 11, 17
DIFFERENT, EQUAL, OTHER_ACCEPT = range(3)

segments = st.text(
    st.one_of(st.sampled_from("abs~%."), st.characters(exclude_characters="/", codec="utf-8")),
    max_size=20,
)


@st.composite
def pairs_of_paths(draw):
    """Two lists of segments: the same, one the beginning of the other, or alike."""
    one = draw(st.lists(segments, max_size=4))
    two = list(one)
    if draw(st.booleans()):
        at = draw(st.integers(0, len(two)))
        two[at : at + draw(st.integers(0, 1))] = draw(st.lists(segments, max_size=2))
    return one, two


def request(path, accept=None, before=()):
    options = [*before, *((URI_PATH, segment.encode()) for segment in path)]
    if accept is not None:
        options.append((ACCEPT, reference.uint(accept)))
    return reference.encode(reference.Message(0, 1, 7, b"t", tuple(options), b"\xb1a"))


def scanned(data, routes=()):
    view = MessageView()
    parse(data, len(data), view.index, route_table(routes))
    return view.index


def same(data, path, accept):
    r = scanned(data, [("x/x/x/x/x", 0, 0), (path, accept, 0)])
    if r[ROUTE_ANY] == ABSENT:
        assert r[ROUTE] == NO_ROUTE
        return DIFFERENT
    assert r[ROUTE_ANY] == 1
    return EQUAL if r[ROUTE] == 1 else OTHER_ACCEPT


def is_root(path):
    return path in ([], [""])


@given(paths=pairs_of_paths(), host=st.booleans())
@example(paths=(["s", "door"], ["s", "door", ""]), host=False)
@example(paths=([""], []), host=False)
@example(paths=(["", ""], []), host=False)
@example(paths=(["a" * 13], ["a" * 12]), host=False)
@example(paths=(["aa"], ["a", "a"]), host=False)
@example(paths=(["\N{DOOR}" * 20], ["\N{DOOR}" * 20]), host=False)
def test_paths_are_compared_segment_by_segment(paths, host):
    asked, registered = paths
    # A path as text has no way to say "one empty segment": that is the root.
    text = "/".join(registered)
    data = request(asked, before=[(3, b"mote")] if host else ())
    equal = asked == registered or (is_root(asked) and is_root(registered))
    assert same(data, text, 0) == (EQUAL if equal else DIFFERENT)


@given(paths=pairs_of_paths())
def test_a_prefix_is_whole_segments(paths):
    asked, registered = paths
    assume(registered != [""])
    data = request(asked)
    wanted = asked[: len(registered)] == registered
    assert (
        path_has_prefix(data, scanned(data), route_table([("/".join(registered), 0, 0)]), 4)
        == wanted
    )


@given(path=st.lists(segments, max_size=3), accept=st.integers(0, 65_000), own=st.integers(0, 200))
def test_accept_is_met_by_the_one_format(path, accept, own):
    assume(path != [""])
    text = "/".join(path)
    for asked in (None, accept, own):
        data = request(path, asked)
        wanted = EQUAL if asked in (None, own) else OTHER_ACCEPT
        assert same(data, text, own) == wanted
