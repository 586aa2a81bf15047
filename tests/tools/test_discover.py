"""Discovery of the nodes on a network, which is this computer's loopback."""

import re
import socket
import subprocess
import sys
import threading

import pytest
from running import SIMULATE, Running

from setup.console import ROOT
from support.ports import free_port

GROUP = "224.0.1.187"
LOOPBACK = ("--group", GROUP, "--iface", "127.0.0.1")


def discover(*arguments):
    return subprocess.run(
        [sys.executable, "tools/host", "discover", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def node(host, port, app):
    argv = [*SIMULATE, "--host", host, "--port", str(port), "--app", app, *LOOPBACK]
    running = Running(argv)
    running.line("ready ")
    return running


@pytest.fixture(scope="module")
def port():
    """Two nodes on one port, in the group."""
    port = free_port()
    nodes = [node("127.0.0.1", port, "both"), node("127.0.0.2", port, "door")]
    yield port
    for one in nodes:
        one.process.terminate()
        assert one.process.wait(60) == 0


def one_line(done):
    assert done.returncode == 2 and done.stdout == "", done
    assert done.stderr.count("\n") == 1 and "Traceback" not in done.stderr, done.stderr
    return done.stderr


def test_the_group_is_asked_and_all_nodes_are_listed(port):
    done = discover("--port", port, "--iface", "127.0.0.1", "--wait", 9)
    assert (done.returncode, done.stderr) == (0, "")
    blocks = re.split(r"^(?=coap://)", done.stdout, flags=re.M)[1:]
    assert [block.split("\n")[0] for block in blocks] == [
        f"coap://127.0.0.1:{port}",
        f"coap://127.0.0.2:{port}",
    ]
    assert "/s/batt" in blocks[0] and "/s/hr" in blocks[0] and "/s/hr" not in blocks[1]
    assert re.search(r"^  /s/\w+ +oic\.r\.sensor\.contact .* obs ", blocks[1], re.M)


def test_one_node_is_asked(port):
    done = discover("--host", "127.0.0.2", "--port", port)
    assert done.returncode == 0 and done.stdout.startswith(f"coap://127.0.0.2:{port}\n")
    assert done.stdout.count("coap://") == 1 and "/dev" in done.stdout


def test_nobody_answers():
    text = one_line(discover("--port", free_port(), "--iface", "127.0.0.1", "--wait", 1))
    assert "no node responds" in text and "HOST=" in text


def test_the_one_node_does_not_answer():
    text = one_line(discover("--host", "127.0.0.1", "--port", free_port(), "--wait", 1))
    assert "does not list its resources: timeout" in text


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--host", "no such host"), "HOST="),
        (("--iface", "192.0.2.1"), "IFACE="),
        (("--iface", "eth0"), "IFACE="),
        (("--group", "nowhere.invalid"), "cannot ask"),
        (("--port", "0"), "1 to 65535"),
        (("--port", "x"), "1 to 65535"),
        (("--wait", "0"), "1 to 600"),
        (("--host", "127.0.0.1", "--iface", "127.0.0.1"), "--iface"),
        (("--what",), "--help"),
    ],
)
def test_mistakes_are_named_in_one_line(arguments, says):
    assert says in one_line(discover(*arguments))


@pytest.mark.parametrize(
    ("code", "payload", "says"),
    [
        (0x84, b"", "does not list its resources: 4.04"),
        (0x45, b"</a", "its list cannot be read"),
        (0x45, b"\xff\xfe", "its list cannot be read"),
        (0x45, b'</a>;title="\x1b[2J"', "/a"),
    ],
)
def test_what_a_strange_node_says(code, payload, says):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))

        def answer():
            data, sender = sock.recvfrom(2048)
            reply = bytes((0x64, code, *data[2:8])) + (b"\xff" + payload if payload else b"")
            sock.sendto(reply, sender)

        thread = threading.Thread(target=answer)
        thread.start()
        done = discover("--host", "127.0.0.1", "--port", sock.getsockname()[1])
        thread.join(60)
    assert says in done.stdout + done.stderr and "\x1b" not in done.stdout
    assert done.returncode == (2 if code == 0x84 else 0)
