"""64 KiB of heap, as on the smallest boards: a node with keys starts, and outlives what strangers
send.
"""

import contextlib
import os
import random
import socket
import subprocess

import pytest
from running import simulated

from setup import interpreter
from setup.console import ROOT
from simulator.launch import node_command
from support.hostile_messages import hostile
from support.key_file import write_keys
from support.ports import free_port

KEYS = {"secret": "a1a2a3a4a5a6a7a8a9aaabacadaeafb0", "sender_id": "01", "recipient_id": "02"}
DATAGRAMS = 10_000
BURST = 16
needs_source = pytest.mark.skipif(
    not (ROOT / interpreter.BUILT).exists(), reason="left out, as MicroPython 1.25 is"
)


@pytest.fixture
def keys(tmp_path):
    file = tmp_path / "oscore.json"
    write_keys(str(file), KEYS)
    return str(file)


@contextlib.contextmanager
def flooded(*arguments):
    """A node that has been sent as many of them as an hour of a flood brings."""
    chance = random.Random(1)
    # the first time it builds the interpreter
    with simulated(*arguments, limit_s=300) as node:
        strangers = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(20)]
        with contextlib.ExitStack() as stack:
            for stranger in strangers:
                stack.enter_context(stranger)
                stranger.connect(("127.0.0.1", node.port))
                stranger.settimeout(5)
            for number in range(DATAGRAMS // BURST):
                stranger = strangers[number % len(strangers)]
                for _ in range(BURST):
                    with contextlib.suppress(OSError):
                        stranger.send(hostile(chance) or b"@")
                if not is_there(stranger):
                    break
        yield node


def is_there(stranger):
    """Return True once the node has responded to a ping, which comes after what was sent."""
    mid = random.randbytes(2)
    try:
        stranger.send(b"\x40\0" + mid)
        while stranger.recv(2048) != b"\x70\0" + mid:
            pass
    except OSError:
        return False
    return True


@needs_source
@pytest.mark.parametrize(("heap", "app"), [("64k", "door"), ("64k", "wearable"), ("72k", "both")])
@pytest.mark.parametrize("rate", ["0", "20"])
def test_with_keys_a_node_outlives_a_flood(heap, app, rate, keys):
    with flooded("--heap", heap, "--app", app, "--oscore", keys, "--rate", rate) as node:
        assert node.process.poll() is None, node.errors


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
