"""A client of a node on an emulated Pico in virtual time, and commands of the Makefile.

Time limits are of the Pico's time, so a busy computer can make it slow but not silent.
"""

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
RESPONSE_LIMIT_MS = 500
TRIES = 10
GET = 1
CONTENT = 0x45
UNAUTHORIZED = 0x81
# the header of an Echo option (RFC 9175) of 12 bytes, as the first one and after Uri-Path
ECHO_BYTES = 12
ECHO, ECHO_AFTER_PATH = b"\xdc\xef", b"\xdc\xe4"
MAX_DATAGRAM_BYTES = 1500
MAKE_LIMIT_S = 300


class PicoClient:
    """Exchanges datagrams with a Pico, whose time passes while this waits for them."""

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

    def receive(self, limit_ms=RESPONSE_LIMIT_MS):
        """Return the next datagram; None when the Pico sends none within `limit_ms`."""
        end_ms = self.pico.now_ms + limit_ms
        while self.pico.now_ms < end_ms:
            self.pico.run_ms(STEP_MS)
            time.sleep(0)  # the way over the loopback interface takes none of the Pico's time
            try:
                return self.sock.recv(MAX_DATAGRAM_BYTES)
            except BlockingIOError:
                pass
        return None

    def request(self, code, options, token=None):
        """Send a CON with a new MID, and a new token by default; return the response."""
        token = token or os.urandom(2)
        request = bytes((0x42, code)) + os.urandom(2) + token + options
        for _ in range(TRIES):
            self.send(request)
            response = self.receive()
            while response is not None and response[4:6] != token:
                response = self.receive()
            if response is not None:
                return response
        return pytest.fail(f"no response; the console: {self.pico.console.read()!r}")

    def get(self, path):
        """Return the payload of a 2.05 response in one datagram to a GET, repeated with the Echo
        of a 4.01.
        """
        response = self.request(GET, path_options(path))
        if response[1] == UNAUTHORIZED and response[6:8] == ECHO:
            value = response[8 : 8 + ECHO_BYTES]
            response = self.request(GET, path_options(path) + ECHO_AFTER_PATH + value)
        assert response[1] == CONTENT, (path, response)
        return response[response.index(b"\xff", 6) + 1 :]

    def wait_for(self, path, wanted, limit_ms=10_000):
        """GET until the payload is `wanted`; fail the test after `limit_ms`."""
        end_ms = self.pico.now_ms + limit_ms
        while (payload := self.get(path)) != wanted:
            assert self.pico.now_ms < end_ms, (path, payload)
            self.pico.run_ms(100)


def await_node(pico):
    """Let a Pico run until its link is up and its node responds."""
    assert pico.run_until(lambda: pico.link_up, LINK_LIMIT_MS), pico.console.read()
    with PicoClient(pico) as client:
        client.wait_for("/s/contact", b"closed")


def power_cycle(pico):
    """Switch the supply off for a moment."""
    pico.power(False)
    pico.run_ms(100)
    pico.power()


def path_options(path):
    """Return the Uri-Path options of a message without options before; short segments only."""
    options = b""
    for segment in path.encode().strip(b"/").split(b"/"):
        options += bytes(((0 if options else 0xB) << 4 | len(segment),)) + segment
    return options


def run_make(*words, text="", limit_s=MAKE_LIMIT_S):
    """Run a command of the Makefile with `text` as its input; return what it prints."""
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
    """Start a command of the Makefile, whose `stdout` is what it prints; end it at last."""
    with subprocess.Popen(
        ["make", *words], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as command:
        try:
            yield command
        finally:
            command.terminate()
