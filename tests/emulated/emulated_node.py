"""Asking a node on an emulated Pico in virtual time: a busy computer makes it slow, not silent."""

import contextlib
import os
import socket
import subprocess
import time

import pytest

from setup.console import ROOT

HOST = "127.0.0.1"
LINK_LIMIT_MS = 25_000
STEP_MS = 5
PATIENCE_MS = 500  # of the Pico's time, for one answer
TRIES = 10
CONTENT = 0x45
LONGEST = 1500
MAKE_LIMIT_S = 300


class Asker:
    """A client of a Pico: plain datagrams, and time that passes while it waits for them."""

    def __init__(self, pico):
        self.pico = pico
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.setblocking(False)
        self.sock.connect((HOST, pico.udp_port))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, datagram):
        """Send one datagram."""
        self.sock.send(datagram)

    def receive(self, limit_ms=PATIENCE_MS):
        """The next datagram; None when the Pico sends none within `limit_ms` of its time."""
        end_ms = self.pico.now_ms + limit_ms
        while self.pico.now_ms < end_ms:
            self.pico.run_ms(STEP_MS)
            time.sleep(0)  # the way over the loopback interface takes none of the Pico's time
            try:
                return self.sock.recv(LONGEST)
            except BlockingIOError:
                pass
        return None

    def exchange(self, head, options, token=None):
        """Send a CON of this code, with this token or a new one; return what its ACK says."""
        token = token or os.urandom(2)
        request = bytes((0x42, head)) + os.urandom(2) + token + options
        for _ in range(TRIES):
            self.send(request)
            answer = self.receive()
            while answer is not None and answer[4:6] != token:
                answer = self.receive()
            if answer is not None:
                return answer
        return pytest.fail(f"no answer; the console: {self.pico.console.read()!r}")

    def get(self, path):
        """The payload of a GET that one datagram answers."""
        answer = self.exchange(1, path_options(path))
        assert answer[1] == CONTENT, (path, answer)
        return answer[answer.index(b"\xff", 6) + 1 :]

    def wait_for(self, path, wanted, limit_ms=10_000):
        """GET until the payload is `wanted`; the test fails after `limit_ms`."""
        end_ms = self.pico.now_ms + limit_ms
        while (payload := self.get(path)) != wanted:
            assert self.pico.now_ms < end_ms, (path, payload)
            self.pico.run_ms(100)


def path_options(path):
    """The Uri-Path options, the first of a message; each segment is shorter than 13 bytes."""
    options = b""
    for segment in path.encode().strip(b"/").split(b"/"):
        options += bytes(((0 if options else 0xB) << 4 | len(segment),)) + segment
    return options


def run_make(*words, text="", limit_s=MAKE_LIMIT_S):
    """What a command of the Makefile prints, with `text` typed; the test fails when it does."""
    done = subprocess.run(
        ["make", *words],
        cwd=ROOT,
        input=text,
        capture_output=True,
        text=True,
        timeout=limit_s,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextlib.contextmanager
def making(*words):
    """A command of the Makefile while it runs; what it prints is its stdout."""
    with subprocess.Popen(
        ["make", *words], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as command:
        try:
            yield command
        finally:
            command.terminate()
