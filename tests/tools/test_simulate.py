"""tools/simulator with real nodes: arguments, lines, signals, small heap, what a person sees."""

import asyncio
import contextlib
import os
import pty
import re
import select
import shlex
import signal
import socket
import subprocess
import time

import aiocoap
import pytest
from running import LIMIT_S, SIMULATE, Running, is_alive, running, simulated, wait_until

from setup import interpreter, micropython
from setup.console import ROOT, Problem
from simulator.launch import arguments
from simulator.launch.arguments import bracketed, check_address
from simulator.launch.console import Console
from simulator.launch.mini_client import get
from simulator.launch.node_command import simulated as command
from support.ports import free_port

HOST = "127.0.0.1"
# A small heap takes an interpreter with Mote frozen in, built from the source that 1.25 is.
needs_source = pytest.mark.skipif(
    not (ROOT / interpreter.BUILT).exists(), reason="left out, as MicroPython 1.25 is"
)


def both_interpreters(function):
    return pytest.mark.parametrize("interpreter", ["micropython", "cpython"])(function)


# Arguments


@pytest.mark.parametrize(
    ("arguments", "fix"),
    [
        (["--app", "window"], "choose from"),
        (["--board", "pico", "--host", "::1"], "--host: an IPv4 address with --board pico"),
        (["--board", "pico", "--app", "plugtest"], "door, wearable and both"),
        (["--port", "70000"], "is not a UDP port (0 to 65535)"),
        (["--port", "-1"], "is not a UDP port (0 to 65535)"),
        (["--port", "coap"], "is not a UDP port (0 to 65535)"),
        (["--port"], "expected one argument"),
        (["--host", "256.0.0.1", "--port", "0"], "use HOST=127.0.0.1 or HOST=0.0.0.0"),
        (["--host", "192.0.2.1", "--port", "0"], "use HOST=127.0.0.1 or HOST=0.0.0.0"),
        (["--host", "no such host", "--port", "0"], "use HOST=127.0.0.1 or HOST=0.0.0.0"),
        (["--interpreter", "pypy"], "choose from"),
        (["--heap", "64q"], "64k, 2m, 65536"),
        (["--heap", "1k"], "too small"),
        (["--heap", "64k", "--interpreter", "cpython"], "use --interpreter micropython"),
        (["--rate", "fast"], "whole number"),
        (["--seed", "-3"], "whole number"),
        (["--group", "10.0.0.1"], "224.0.1.187"),
        (["--iface", HOST], "needs --group"),
        (["--oscore", "no-such.json"], "`make keys NODE=name` makes one"),
        (["--colour"], "--help"),
        (["door"], "--help"),
    ],
)
def test_a_wrong_argument_is_one_line_that_names_the_fix(arguments, fix):
    done = subprocess.run([*SIMULATE, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert fix in done.stderr


def test_a_port_in_use_is_one_line_that_names_the_fix():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind((HOST, 0))
        port = taken.getsockname()[1]
        argv = [*SIMULATE, "--port", str(port)]
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"UDP port {port} of {HOST} is in use: choose another, `make run PORT={port + 1}`\n"
    )


def test_a_port_of_a_running_node_is_in_use():
    with simulated() as node, pytest.raises(Problem, match="is in use"):
        check_address(HOST, node.port)


# Lines, signals, ends


@both_interpreters
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["INT", "TERM"])
def test_a_signal_ends_it_with_0_and_the_node_too(interpreter, number):
    with simulated("--interpreter", interpreter) as node:
        (child,) = node.children()
        assert get(HOST, node.port, "/s/contact") == b"closed"
        assert node.signal(number) == 0
        assert not is_alive(child)
        assert node.errors == []
    check_address(HOST, node.port)


@both_interpreters
def test_lines_on_stdin_change_the_sensors(interpreter):
    with simulated("--interpreter", interpreter) as node:
        node.type("door open")
        node.line("door open")
        assert get(HOST, node.port, "/s/contact") == b"open"
        node.type("")
        node.line("door closed")
        assert get(HOST, node.port, "/s/contact") == b"closed"
        node.type("window open")
        assert node.line("error: ")
        assert get(HOST, node.port, "/s/contact") == b"closed"


def test_it_goes_on_without_stdin():
    with simulated(stdin=subprocess.DEVNULL) as node:
        assert not wait_until(lambda: node.process.poll() is not None, 0.5)
        assert get(HOST, node.port, "/s/contact") == b"closed"


def test_it_goes_on_when_stdin_ends():
    with simulated() as node:
        node.type("door open")
        node.process.stdin.close()
        node.line("door open")
        assert not wait_until(lambda: node.process.poll() is not None, 0.5)
        assert get(HOST, node.port, "/s/contact") == b"open"


def test_it_starts_with_stdin_closed():
    closed = ["sh", "-c", 'exec "$@" <&-', "sh", *SIMULATE, "--port", str(free_port()), "--play"]
    with running(closed) as node:
        node.line("Ctrl-C ends it.")
        assert node.signal(signal.SIGTERM) == 0


@both_interpreters
def test_a_killed_parent_leaves_no_node_behind(interpreter):
    with simulated("--interpreter", interpreter) as node:
        (child,) = node.children()
        assert node.signal(signal.SIGKILL) == -signal.SIGKILL
        assert wait_until(lambda: not is_alive(child))


def test_a_node_that_dies_ends_it_with_1():
    with simulated() as node:
        (child,) = node.children()
        os.kill(child, signal.SIGKILL)
        assert node.end() == 1
        assert node.errors == ["the node ended by itself: signal SIGKILL"]


def test_an_IPv6_address_stands_in_brackets():
    assert bracketed("::1") == "[::1]"
    console = Console("door", "::", 5683, "MicroPython", False)
    assert all("coap://[::1]:5683/s/contact" in line for line in console.clients("/s/contact"))


# A small heap


# What each application needs; on a board there is one of them, and none of the simulated chips.
SMALL = pytest.mark.parametrize(
    ("heap", "app"), [("64k", "door"), ("64k", "wearable"), ("68k", "both")]
)


@needs_source
def test_a_heap_of_64k():
    node = Running([*SIMULATE, "--port", str(free_port()), "--heap", "64k", "--app", "door"])
    try:
        # The first time it builds the interpreter.
        port = int(node.line("ready coap://", 300).rpartition(":")[2])
        assert get(HOST, port, "/s/contact") == b"closed"
        assert re.search(rb"</s/batt>", get(HOST, port, "/.well-known/core"))
        node.type("door open")
        node.line("door open")
        assert get(HOST, port, "/s/contact") == b"open"
        assert node.signal(signal.SIGINT) == 0
    finally:
        node.process.kill()


@needs_source
@SMALL
def test_a_small_heap_lasts_under_load(heap, app):
    with simulated("--heap", heap, "--app", app) as node:
        codes = asyncio.run(load(node.url))
        assert node.process.poll() is None, node.errors
        assert codes and all(code.is_response() for code in codes)


async def load(url):
    """The codes of what four clients were answered, each of which observes and sends at once."""
    clients = [await aiocoap.Context.create_client_context() for _ in range(4)]
    long = b"{" + b" " * 3000 + b"}"

    async def one(client):
        answers = []
        watched = [
            client.request(aiocoap.Message(code=aiocoap.GET, uri=f"{url}/s/{name}", observe=0))
            for name in ("contact", "hr", "temp", "batt")
        ]
        answers += [await request.response for request in watched]
        for number in range(60):
            if number % 7 == 5:
                message = aiocoap.Message(code=aiocoap.PUT, uri=url + "/config", payload=long)
                message.opt.content_format = 50
            else:
                path = ("/.well-known/core", "/config", "/s/accel", "/diag")[number % 4]
                message = aiocoap.Message(code=aiocoap.GET, uri=url + path)
            answers.append(await client.request(message).response)
        return [answer.code for answer in answers]

    try:
        lists = await asyncio.wait_for(asyncio.gather(*map(one, clients)), 200)
        return [code for codes in lists for code in codes]
    finally:
        for client in clients:
            await client.shutdown()


@needs_source
def test_a_heap_too_small_is_one_line_that_names_the_fix():
    argv = [*SIMULATE, "--port", "0", "--heap", "16k"]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        done.stderr.splitlines()[-1] == "error: out of memory: give it more, such as --heap 256k"
    )


@needs_source
@pytest.mark.parametrize("heap", ["256k", "511k", "512k"])
def test_the_heap_that_is_proposed_is_enough(heap):
    for app in ("both", "plugtest"):
        with simulated("--heap", heap, "--app", app) as node:
            assert get(HOST, node.port, "/.well-known/core")


@pytest.mark.parametrize(("bits", "size"), [(32, 64 << 10), (64, 128 << 10)])
def test_a_small_heap_holds_as_many_objects_as_on_a_board(monkeypatch, bits, size):
    monkeypatch.setattr(micropython, "frozen", lambda: ("frozen-one", bits))
    argv, _, title = command(arguments.parse(["--heap", "64k"]))
    assert argv[:3] == ["frozen-one", "-X", f"heapsize={size}"]
    assert title == f"{bits}-bit MicroPython 1.25 with {size >> 10} KiB of heap"


# What a person sees


def test_the_resources_and_two_commands_that_work():
    with simulated("--play", stdin=subprocess.DEVNULL) as node:
        node.line("Ctrl-C ends it.")
        text = "\n".join(node.seen)
        assert re.search(r"^  /s/contact +closed +oic\.r\.sensor\.contact", text, re.MULTILINE)
        assert re.search(r"^  /s/hr +\d+ ", text, re.MULTILINE)
        commands = [line.strip() for line in node.seen if line.endswith(node.url + "/s/contact")]
        assert len(commands) == 2
        for command in commands:
            done = subprocess.run(shlex.split(command), cwd="/", capture_output=True, text=True)
            assert done.stdout.strip() in ("open", "closed"), (command, done.stderr)


def test_without_a_terminal_the_door_toggles_by_itself():
    with simulated("--play", stdin=subprocess.DEVNULL) as node:
        node.line("The door opens and closes by itself")
        node.line("door open")


def test_on_a_terminal():
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        os.execv(SIMULATE[0], [*SIMULATE, "--port", "0"])
    shown = ""

    def shows(text):
        nonlocal shown
        while text not in shown:
            assert select.select([terminal], [], [], LIMIT_S)[0], f"no '{text}' in {shown}"
            shown += os.read(terminal, 4096).decode(errors="replace")

    try:
        shows("Press Enter to open or close the door")
        shows("Ctrl-C ends it.")
        shown = ""
        os.write(terminal, b"\n")
        shows("door open")
        os.write(terminal, b"\x03")
        assert exit_code(pid) == 0, shown
    finally:
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        os.close(terminal)
    assert "Traceback" not in shown


def exit_code(pid):
    """The exit code of a child that must end soon."""
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.05)
    raise AssertionError("it does not end")
