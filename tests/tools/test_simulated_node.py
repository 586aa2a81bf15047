"""node_main.py as a process: it starts, obeys its stdin, and ends cleanly or with one line."""

import os
import signal
import socket
import subprocess
import sys

import pytest

from setup import interpreter
from setup.console import ROOT
from simulator.launch.node_command import IMPORT_PATHS, NODE_MAIN, SHIM

LIMIT_S = 60


@pytest.fixture(params=["cpython", "micropython"])
def start(request):
    """A function that starts a node with arguments; it is ended with the test."""
    paths = [str(ROOT / path) for path in IMPORT_PATHS]
    if request.param == "cpython":
        program = sys.executable
        environ = {"PYTHONPATH": os.pathsep.join([str(ROOT / SHIM), *paths])}
    else:
        program = interpreter.find()[0].path
        environ = {"MICROPYPATH": os.pathsep.join([*paths, ".frozen"])}
    started = []

    def start(*arguments):
        process = subprocess.Popen(
            [program, NODE_MAIN, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **environ},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def ready_port(process):
    word, url = process.stdout.readline().split()
    assert word == "ready" and url.startswith("coap://127.0.0.1:")
    return int(url.rpartition(":")[2])


def get(port, path):
    """The payload of a GET, over UDP; `path` has one or two short segments."""
    options = b""
    for number, segment in enumerate(path.encode().split(b"/")):
        options += bytes([(0 if number else 0xB0) | len(segment)]) + segment
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(LIMIT_S)
        client.sendto(b"\x40\x01\x12\x34" + options, ("127.0.0.1", port))
        return client.recv(2000).partition(b"\xff")[2]


@pytest.mark.parametrize(
    "app, path, payload", [("door", "s/contact", b"closed"), ("both", "s/hr", b"72")]
)
def test_it_answers_obeys_and_ends_with_its_stdin(start, app, path, payload):
    process = start("--app", app, "--port", "0")
    port = ready_port(process)
    assert get(port, path) == payload
    process.stdin.write("battery 2900\nnonsense\n")
    process.stdin.flush()
    assert process.stdout.readline() == "battery 2900 mV\n"
    assert process.stdout.readline().startswith("error: ")
    assert get(port, "s/batt") == b"0"
    output, errors = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, output, errors) == (0, "", "")


def test_a_door_that_is_opened_is_open_once_that_is_said(start):
    process = start("--app", "door", "--port", "0")
    port = ready_port(process)
    for line, said, payload in (
        ("door open", "door open\n", b"open"),
        ("", "door closed\n", b"closed"),
        ("", "door open\n", b"open"),
    ):
        process.stdin.write(line + "\n")
        process.stdin.flush()
        assert process.stdout.readline() == said
        assert get(port, "s/contact") == payload


def test_ctrl_c_ends_it_cleanly(start):
    process = start("--app", "door", "--port", "0")
    ready_port(process)
    process.send_signal(signal.SIGINT)
    assert process.wait(LIMIT_S) == 0
    assert process.stderr.read() == ""


def test_a_port_in_use_is_one_line(start):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        process = start("--port", str(port))
        output, errors = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, output) == (2, "")
    assert errors == f"error: port {port} is in use (EADDRINUSE)\n"


@pytest.mark.parametrize(
    "arguments, named",
    [
        (["--app", "cat"], "--app"),
        (["--port", "99999"], "--port"),
        (["--colour", "red"], "--colour"),
        (["--host", "no.such.host.invalid"], "no.such.host.invalid"),
        (["--group", "10.0.0.1", "--port", "0"], "10.0.0.1"),
    ],
)
def test_what_is_wrong_is_one_line(start, arguments, named):
    process = start(*arguments)
    output, errors = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, output) == (2, "")
    assert errors.startswith("error: ") and errors.count("\n") == 1 and named in errors
