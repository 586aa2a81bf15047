"""64 KiB of heap, as on the smallest boards: a node with keys starts, and outlives what strangers
send.
"""

import contextlib
import os
import random
import socket
import subprocess
import time

import pytest
from running import simulated

from setup import interpreter
from setup.console import ROOT
from simulator.launch import node_command
from support.engine import encode, uint
from support.key_file import write_keys
from support.ports import free_port

GET, POST, PUT = 1, 2, 3
PATH, QUERY, ACCEPT, BLOCK2, BLOCK1, OSCORE, OBSERVE = 11, 15, 17, 23, 27, 9, 6
PATHS = ("s/contact", "s/tamper", "s/batt", "diag", "dev", "config", ".well-known/core")
FORMATS = (0, 40, 50, 60, 110, 112)
KEYS = {"secret": "a1a2a3a4a5a6a7a8a9aaabacadaeafb0", "sender_id": "01", "recipient_id": "02"}
needs_source = pytest.mark.skipif(
    not (ROOT / interpreter.BUILT).exists(), reason="left out, as MicroPython 1.25 is"
)


class OutOfMemory(Exception):
    """The node ended, or did not start, for lack of heap."""


out_of_memory = pytest.mark.xfail(strict=True, reason="out of memory", raises=OutOfMemory)


@pytest.fixture
def keys(tmp_path):
    file = tmp_path / "oscore.json"
    write_keys(str(file), KEYS)
    return str(file)


def hostile():
    """Datagrams of every kind that makes a node put something into its heap."""
    chance = random.Random(1)

    def message(code, path="", options=(), payload=b""):
        segments = [(PATH, part.encode()) for part in path.split("/") if part]
        token = chance.randbytes(chance.randrange(9))
        mid = chance.randrange(65536)
        return encode(0, code, mid, token, segments + list(options), payload)

    yield message(GET, "s/contact", [(BLOCK1, b"\x0e")], b"y" * 1024)
    yield message(GET, "s/contact", [(BLOCK1, b"\x0a")], b"y" * 64)
    for _ in range(6):
        conditions = [(QUERY, b"c.pmin=1"), (QUERY, b"c.pmax=5")]
        yield message(GET, "s/contact", [(OBSERVE, b""), *conditions])
    for path in PATHS:
        for form in FORMATS:
            yield message(GET, path, [(ACCEPT, uint(form))])
    for length in range(9, 1110, 4):
        yield message(POST, "", [(OSCORE, b"\x09\x7f\x02")], chance.randbytes(length))
    for number in range(160):
        yield message(GET, PATHS[number % len(PATHS)], [(BLOCK2, uint(number % 7))])
    for _ in range(100):
        yield message(PUT, "config", [], chance.randbytes(1100))


@contextlib.contextmanager
def flooded(*arguments):
    """A node after all of that."""
    # the first time it builds the interpreter
    with simulated(*arguments, limit_s=300) as node:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.connect(("127.0.0.1", node.port))
            stranger.settimeout(0.02)
            for datagram in hostile():
                if node.process.poll() is not None:
                    break
                with contextlib.suppress(OSError):
                    stranger.send(datagram)
                    stranger.recv(2048)
        time.sleep(0.2)
        yield node


@needs_source
@pytest.mark.parametrize(
    ("heap", "app"),
    [
        ("64k", "door"),
        pytest.param("64k", "wearable", marks=out_of_memory),
        pytest.param("72k", "both", marks=out_of_memory),
    ],
)
def test_with_keys_a_node_outlives_a_flood(heap, app, keys):
    try:
        with flooded("--heap", heap, "--app", app, "--oscore", keys, "--rate", "0") as node:
            assert node.process.poll() is None, node.errors
    except AssertionError as error:
        if "out of memory" in str(error):
            raise OutOfMemory(error) from None
        raise


@needs_source
def test_what_lies_in_the_present_folder_is_no_module(tmp_path, keys):
    """Such as the folder `keys`, or one of the same name as any frozen module."""
    for name in ("keys", "coap", "apps", "senml"):
        (tmp_path / name).mkdir(exist_ok=True)
    for name in ("board", "config", "credentials", "node_main", "machine", "micropython"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(99)\n")
    argv, environ, _ = node_command.on_frozen(96 << 10)
    environ = {**os.environ, **environ}
    argv = [*argv, "--app", "door", "--port", str(free_port()), "--oscore", keys]
    with subprocess.Popen(
        argv, cwd=tmp_path, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as node:
        assert node.stdout.readline().startswith("ready coap://")
        node.stdin.close()
    assert node.returncode == 0
