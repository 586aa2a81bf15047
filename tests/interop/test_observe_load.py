"""The bench's observe client counts right: with libcoap, and with servers that do not notify."""

import json
import subprocess
import sys

import pytest
from processes import ROOT, free_port
from test_load_client import ACK_CONTENT, Peer

sys.path.append(str(ROOT / "tools" / "bench"))

import programs  # noqa: E402
from servers import SERVERS  # noqa: E402

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the client is Linux's")

ACK_CHANGED = bytes([0x64, 0x44])


def load(port, *arguments):
    command = [programs.load_client("observe_load"), "--port", port, "--warmup", 0, *arguments]
    return subprocess.run([str(a) for a in command], capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize(
    ("name", "path"), [("libcoap", "example_data"), ("mote-micropython", "bench/state")]
)
def test_every_observer_is_notified_of_every_change(name, path):
    server = SERVERS[name]()
    server.start()
    try:
        arguments = ["--path", path, "--window", 1, "--sockets", 4, "--count", 50]
        done = load(server.port, *arguments, "--retransmit-ms", 1000)
    finally:
        server.stop()
    assert done.returncode == 0, done.stderr
    stats = json.loads(done.stdout)
    assert stats["errors"] == stats["bad_codes"] == 0
    # a server may merge what changes while it waits for an acknowledgement
    assert 100 < stats["requests"] <= 4 * (50 + stats["retransmitted"])


def without_observe(datagram):
    """Return the response of a server that knows resources, but no observers."""
    return [(ACK_CONTENT if datagram[1] == 1 else ACK_CHANGED) + datagram[2:8]]


def with_observe(datagram):
    """Return the response of a server that takes observers and forgets them."""
    if datagram[1] == 1:
        return [ACK_CONTENT + datagram[2:8] + b"\x60\xff0"]
    return [ACK_CHANGED + datagram[2:8]]


@pytest.mark.parametrize(
    ("response", "complaint"),
    [
        (without_observe, "takes no more observers"),
        (with_observe, "must notify its observers"),
        (lambda d: [bytes([0x64, 0x84]) + d[2:8]], "cannot be observed"),
    ],
)
def test_a_server_that_does_not_notify_ends_with_one_line(response, complaint):
    with Peer(response) as peer:
        done = load(peer.port, "--seconds", 0.3)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert done.stderr.count("\n") == 1


def test_nobody_there():
    done = load(free_port())
    assert done.returncode == 2
    assert "nothing listens" in done.stderr
