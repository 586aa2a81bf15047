"""scan() and View against the reference, on any bytes, on every interpreter."""

import ast
import dataclasses
import subprocess
from pathlib import Path

import observed
import pytest
import reference
from hypothesis import example, given
from hypothesis import strategies as st
from strategies import datagrams, messages

from coap.codec import MAX_MESSAGE, new_index

ROOT = Path(__file__).resolve().parents[2]
LARGEST_INT = 2**30 - 1  # a small int of a 32-bit board; larger values are read as this one
SIZE_LIMIT = new_index()[MAX_MESSAGE]
PROXY_URI, PROXY_SCHEME = 35, 39


@pytest.fixture(scope="module")
def observe(interpreter):
    """Return observed.observe(longest_token, data) as the interpreter answers it."""
    if interpreter is None:
        # Exactly the datagram: reading past it raises IndexError.
        yield lambda longest_token, data: observed.observe(longest_token, data, data)
        return
    process = subprocess.Popen(
        [interpreter.command, observed.__file__],
        env={"MICROPYPATH": f"{ROOT / 'lib'}:{ROOT / 'tests'}:.frozen"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    )

    def ask(longest_token, data):
        process.stdin.write(f"{longest_token} ={data.hex()}\n")
        return ast.literal_eval(process.stdout.readline())

    yield ask
    process.stdin.close()
    process.stdout.close()
    assert process.wait(60) == 0


def expected(data, longest_token):
    """Return what observe() should find, by the reference."""
    try:
        message = reference.parse(data, longest_token)
    except reference.FormatError as error:
        if error.answer == "silence":
            return {"answer": "silence"}
        return {"answer": "reset", "mid": int.from_bytes(data[2:4], "big")}
    counted, refused = without_repeated_proxy_options(message).recognized()
    options = {}
    for number, values in counted.items():
        if reference.DEFINITIONS[number].uint:
            options[number] = min(int.from_bytes(values[0], "big"), LARGEST_INT)
        else:
            options[number] = values
    if options.pop(PROXY_SCHEME, None):
        options[PROXY_URI] = True
    return {
        "answer": None,
        "mid": message.mid,
        "type": message.type,
        "code": message.code,
        "token": message.token,
        "payload": message.payload,
        "payload at": len(data) - len(message.payload),
        "size": len(data),
        "request": message.is_request,
        "non": message.type == reference.NON and message.is_request,
        "unsafe": message.code not in (reference.GET, reference.FETCH),
        "odd": message.code > reference.LAST_METHOD or len(data) > SIZE_LIMIT,
        "refused": refused,
        "flags kept": True,
        "options": options,
    }


def without_repeated_proxy_options(message):
    """One is enough to get 5.05: scan() does not look whether there are more."""
    options = []
    for number, value in message.options:
        proxy = number in (PROXY_URI, PROXY_SCHEME)
        if not (proxy and number in dict(options) and reference.DEFINITIONS[number].allows(value)):
            options.append((number, value))
    return dataclasses.replace(message, options=tuple(options))


def without_what_does_not_matter(found, wanted):
    """Drop from both what has no meaning in a message of this kind."""
    if not wanted.get("request"):
        for name in ("non", "unsafe", "odd"):
            found.pop(name, None)
            wanted.pop(name, None)
    elif wanted["code"] > reference.LAST_METHOD:
        # A method without a name is refused, whatever effect it would have.
        found.pop("unsafe", None)
        wanted.pop("unsafe")
    if wanted.get("refused"):
        # Nobody reads the options of a message that is refused for one of them.
        found.pop("options", None)
        wanted.pop("options")
    for options in (found.get("options", {}), wanted.get("options", {})):
        if PROXY_URI in options:
            options[PROXY_URI] = True
    for number, values in found.get("options", {}).items():
        # Values that are too long may lie between those that count; they equal nothing.
        if isinstance(values, list):
            allows = reference.DEFINITIONS[number].allows
            found["options"][number] = [value for value in values if allows(value)]


def check(observe, data, longest_token):
    found, wanted = observe(longest_token, data), expected(data, longest_token)
    without_what_does_not_matter(found, wanted)
    assert found == wanted


@given(data=datagrams())
@example(data=b"")
@example(data=bytes.fromhex("40 00 12 34"))
@example(data=bytes.fromhex("40 00 12 34 ff"))
@example(data=bytes.fromhex("49 01 00 00 01 02 03 04 05 06 07 08 09"))
@example(data=bytes.fromhex("40 01 00 00 e0 ff ff"))
@example(data=bytes.fromhex("40 01 00 00 e0 fe f3 e0 fe f2"))
@example(data=bytes.fromhex("40 01 00 00 0e 00 00"))
def test_any_bytes(observe, data):
    check(observe, data, 8)


@given(data=datagrams(longest_token=40), longest_token=st.sampled_from((9, 12, 13, 14, 39, 255)))
def test_any_bytes_with_long_tokens(observe, data, longest_token):
    check(observe, data, longest_token)


def test_every_first_byte_with_codes_of_every_class(observe):
    for first in (0x00, 0x3F, *range(0x40, 0x80), 0x80, 0xFF):
        for code in (each << 5 | detail for each in range(8) for detail in (0, 1, 5, 7, 8)):
            head = bytes([first, code, 0xAB, 0xCD])
            for data in (head, head + bytes(8) + b"\xffx"):
                check(observe, data, 8)


def test_every_option_number_with_lengths_at_its_borders(observe):
    for number in {*range(320), *reference.DEFINITIONS, 65_534, 65_535}:
        definition = reference.DEFINITIONS.get(number, reference.Definition(0, 0))
        for length in (0, 1, definition.longest - 1, definition.longest, definition.longest + 1):
            for byte in (b"\x3f", b"\x40") if definition.uint else (b"~",):
                options = ((number, byte * length),)
                for several in (options, options * 2, (*options, (number, b"\x01"))):
                    message = reference.Message(0, 3, 1, b"t", several)
                    check(observe, reference.encode(message), 8)


RICH = [
    reference.Message(0, 0, 0xFFFF),
    reference.Message(0, 1, 0x1234, b"12345678", ((3, b"host"), (11, b""), (11, b"a" * 13))),
    reference.Message(1, 3, 2, b"", ((12, b"*"), (252, b"echo"), (65_535, b"")), b"\xff"),
    reference.Message(0, 2, 1, b"t", ((35, b"p" * 270), (300, b"x"), (600, b"y" * 13)), b"pay"),
    reference.Message(2, 0x45, 3, b"t" * 9, ((4, b"etag"), (14, b"\xff" * 4)), b"payload"),
    reference.Message(0, 1, 4, b"t" * 13, ((6, b"\x01"), (6, b"\x01"), (17, b"2"))),
]


@pytest.mark.parametrize("longest_token", [8, 9, 12, 13])
def test_every_prefix_and_every_changed_byte(observe, longest_token):
    for message in RICH:
        whole = reference.encode(message)
        for at in range(len(whole)):
            if 60 < at < len(whole) - 40:
                continue  # inside of a long value
            check(observe, whole[:at], longest_token)
            check(observe, whole[:at] + b"\xff", longest_token)
            for byte in (0x00, 0x0D, 0x0E, 0x0F, 0xD0, 0xE0, 0xF0, 0xFF, whole[at] ^ 1):
                changed = whole[:at] + bytes([byte]) + whole[at + 1 :]
                check(observe, changed, longest_token)
        for more in (b"", b"\x00", b"\xff"):
            check(observe, whole + more, longest_token)


@pytest.mark.parametrize("size", [SIZE_LIMIT, SIZE_LIMIT + 1, 1500])
def test_large_messages(observe, size):
    head = bytes.fromhex("40 03 00 01 b1 61 ff")
    check(observe, head + bytes(size - len(head)), 8)


@given(message=messages(longest_token=268))
def test_reference_is_its_own_inverse(message):
    assert reference.parse(reference.encode(message), 268) == message
