"""Server processes for the tests: started on a free port of 127.0.0.1, ended by their id."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from setup.interpreter import find
from support.ports import HOST, free_port

ROOT = Path(__file__).resolve().parent.parent.parent
PING = bytes.fromhex("40000000")  # RFC 7252 section 4.3: an Empty CON, answered by a Reset
START_S = 60
STOP_S = 30


def program(*names, package):
    """Return the first of `names` on PATH; a test fails when its package is not installed."""
    for name in names:
        if found := shutil.which(name):
            return found
    pytest.fail(f"{names[0]} is missing: run `make setup` as root, or install {package}")


class Process:
    """A running server: its URL, its control lines, what it printed."""

    def __init__(self, name, command, port, environ=None):
        self.name = name
        self.port = port
        self.url = f"coap://{HOST}:{port}"
        self.output = tempfile.NamedTemporaryFile("w+", prefix="mote-interop-")  # noqa: SIM115
        self.process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.PIPE,
            stdout=self.output,
            stderr=subprocess.STDOUT,
            text=True,
            env=environ,
            start_new_session=True,  # Ctrl-C is for pytest, which then ends this process
        )

    @property
    def printed(self):
        """Everything on standard output and error so far."""
        return Path(self.output.name).read_text(errors="replace")

    def tell(self, line):
        """Send one control line to a simulated node and wait for the line that confirms it."""
        before = self.printed
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        self.wait_for(lambda: self.printed[len(before) :].endswith("\n"), f"answer to {line!r}")
        assert not self.printed[len(before) :].startswith("error"), self.printed

    def wait_for(self, is_ready, what):
        """Wait until is_ready() is true; a process that dies first or hangs fails the test."""
        deadline = time.monotonic() + START_S
        while not is_ready():
            if self.process.poll() is not None:
                pytest.fail(f"{self.name} exited with {self.process.returncode}:\n{self.printed}")
            if time.monotonic() > deadline:
                pytest.fail(f"{self.name}: {what} not within {START_S} s:\n{self.printed}")
            time.sleep(0.02)

    def answers_ping(self, wait_s=1):
        """Return whether a CoAP ping is answered by a Reset."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(wait_s)
            sock.connect((HOST, self.port))
            try:
                sock.send(PING)
                return sock.recv(64) == b"\x70" + PING[1:]
            except OSError:
                return False

    def stop(self, number=signal.SIGTERM):
        """End the process and return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        return pytest.fail(f"{self.name} does not end on {number.name}:\n{self.printed}")

    def close(self):
        """Release what is left after the end."""
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.output.close()


@contextlib.contextmanager
def running(name, command, port, is_ready=None, environ=None):
    """Run a server; without `is_ready` it is ready when it answers a ping."""
    process = Process(name, command, port, environ)
    try:
        process.wait_for(is_ready and (lambda: is_ready(process)) or process.answers_ping, "ready")
        yield process
    finally:
        try:
            process.stop()
        finally:
            process.close()


@contextlib.contextmanager
def simulated(interpreter, app="both", *arguments):
    """Run a simulated node: its `ready` line tells the address, SIGTERM ends it with code 0."""
    port = free_port()
    command = [sys.executable, ROOT / "tools" / "simulator", "--host", HOST, "--port", port]
    command += ["--app", app, "--interpreter", interpreter, *arguments]
    line = f"ready coap://{HOST}:{port}\n"
    name = f"{app} on {interpreter}"
    with running(name, command, port, lambda process: line in process.printed) as process:
        yield process
        code = process.stop()
        assert code == 0, f"{name} ended with {code}:\n{process.printed}"


def node_program(name, interpreter):
    """Run one of the node programs of this folder."""
    port = free_port()
    lib, shim = str(ROOT / "lib"), str(ROOT / "tools" / "cpython")
    if interpreter == "cpython":
        program, environ = sys.executable, {"PYTHONPATH": f"{shim}:{lib}"}
    else:
        program, environ = ROOT / find()[0].path, {"MICROPYPATH": f"{lib}:.frozen"}
    command = [program, Path(__file__).with_name(name), port]
    environ = {**os.environ, **environ}
    return running(f"{name} on {interpreter}", command, port, environ=environ)


def libcoap_server():
    """Run libcoap's own example server, which creates resources on PUT."""
    port = free_port()
    server = program("coap-server-notls", "coap-server", package="libcoap3-bin")
    return running("libcoap's server", [server, "-A", HOST, "-p", port, "-d", 10], port)


def aiocoap_server():
    """Run an aiocoap server with the one resource s/contact."""
    port = free_port()
    command = [sys.executable, ROOT / "tools" / "bench" / "aiocoap_server.py", HOST, port]
    return running("aiocoap's server", command, port)


def node_server():
    """Run a server with node's coap, whose /long keeps what is put there."""
    port = free_port()
    if not (ROOT / "tools" / "js" / "node_modules" / "coap").exists():
        pytest.fail("node's package coap is missing: run `make setup`")
    command = [program("node", package="nodejs"), ROOT / "tools" / "js" / "coap_server.cjs", port]
    return running("node's server", command, port, lambda process: "ready" in process.printed)
