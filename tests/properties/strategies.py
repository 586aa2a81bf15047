"""Hypothesis strategies: valid messages, damaged ones, paths."""

from hypothesis import strategies as st
from reference import DEFINITIONS, LARGEST_NUMBER, Message, encode

CLASSES = (0, 2, 4, 5)
# Both sides of every border of the option encoding and of the definitions.
BORDER_LENGTHS = (0, 1, 2, 3, 4, 8, 9, 12, 13, 14, 40, 41, 255, 256, 268, 269, 270, 300, 1035)
BORDER_NUMBERS = (0, 12, 13, 14, 16, 19, 21, 31, 61, 62, 63, 64, 268, 269, 270, 281, 65534, 65535)


def tokens(longest=8):
    return st.binary(max_size=longest)


def numbers():
    return st.one_of(
        st.sampled_from(sorted(DEFINITIONS)),
        st.sampled_from(BORDER_NUMBERS),
        st.integers(0, LARGEST_NUMBER),
    )


@st.composite
def values(draw, number):
    """A value for the option: mostly of a length that it may have."""
    definition = DEFINITIONS.get(number)
    if definition and draw(st.integers(0, 7)):
        longest = min(definition.longest, definition.shortest + 20)
        return draw(st.binary(min_size=definition.shortest, max_size=longest))
    length = draw(st.sampled_from(BORDER_LENGTHS))
    return draw(st.binary(min_size=1, max_size=8)).ljust(length, b"~")[:length]


@st.composite
def option_lists(draw):
    chosen = sorted(draw(st.lists(numbers(), max_size=8)))
    return tuple((number, draw(values(number))) for number in chosen)


def codes():
    """Methods mostly, then every code of a class that is not reserved; never Empty."""
    others = [each << 5 | detail for each in CLASSES for detail in range(32)][1:]
    return st.one_of(st.integers(1, 7), st.sampled_from(others))


def messages(longest_token=8):
    """Valid messages that are not Empty."""
    return st.builds(
        Message,
        type=st.integers(0, 3),
        code=codes(),
        mid=st.integers(0, 0xFFFF),
        token=tokens(longest_token),
        options=option_lists(),
        payload=st.binary(max_size=40),
    )


@st.composite
def damaged(draw, datagrams):
    """A datagram with a few bytes changed, lost, doubled or cut off."""
    data = bytearray(draw(datagrams))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        how = draw(st.sampled_from(("change", "insert", "remove", "cut")))
        if how == "cut":
            del data[at:]
        elif how == "insert":
            data[at:at] = draw(st.binary(min_size=1, max_size=3))
        elif at < len(data):
            data[at : at + 1] = draw(st.binary(min_size=1, max_size=1)) if how == "change" else b""
    return bytes(data)


def datagrams(longest_token=8):
    """Anything that may arrive: valid, damaged, Empty, headers with noise, noise."""
    valid = messages(longest_token).map(encode)
    header = st.tuples(st.integers(0x40, 0x7F), codes(), st.integers(0, 255)).map(
        lambda parts: bytes([*parts, parts[2]])
    )
    empty = st.builds(
        lambda kind, mid: bytes([0x40 | kind << 4, 0, mid, mid]),
        st.integers(0, 3),
        st.integers(0, 255),
    )
    noisy = st.builds(lambda head, rest: head + rest, header, st.binary(max_size=60))
    return st.one_of(valid, damaged(valid), noisy, damaged(empty), empty, st.binary(max_size=40))
