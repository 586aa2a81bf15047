"""Starts programs for the tests of the host tools, reads their lines with a time limit."""

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time

import psutil

from setup.console import ROOT
from support.ports import free_port

SIMULATE = (sys.executable, "tools/simulator")
LIMIT_S = 60


class Running:
    """A program whose output is collected line by line while it runs."""

    def __init__(self, argv, stdin=subprocess.PIPE, environ=()):
        self.process = subprocess.Popen(
            argv,
            cwd=ROOT,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT / "tools"), **dict(environ)},
        )
        self.seen = []
        self.errors = []
        self._lines = queue.Queue()
        self._readers = [
            threading.Thread(target=self._read_output, daemon=True),
            threading.Thread(target=self._read_errors, daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def _read_output(self):
        for line in self.process.stdout:
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def _read_errors(self):
        for line in self.process.stderr:
            self.errors.append(line.rstrip("\n"))

    def line(self, start, limit_s=LIMIT_S):
        """The next line that starts so; those before it are in `seen`."""
        end = time.monotonic() + limit_s
        while True:
            try:
                found = self._lines.get(timeout=max(0, end - time.monotonic()))
            except queue.Empty:
                found = None
            if found is None:
                raise AssertionError(f"no line '{start}' in {self.seen} {self.errors}")
            self.seen.append(found)
            if found.startswith(start):
                return found

    def type(self, text):
        """Writes a line to its stdin."""
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def signal(self, number):
        """Sends a signal and waits for the end; returns the exit code."""
        self.process.send_signal(number)
        return self.end()

    def end(self, limit_s=LIMIT_S):
        """Waits for the end; returns the exit code."""
        code = self.process.wait(limit_s)
        for reader in self._readers:
            reader.join(limit_s)
        return code

    def children(self):
        """Process ids of its children."""
        return [child.pid for child in psutil.Process(self.process.pid).children()]


@contextlib.contextmanager
def running(argv, **options):
    """A program that is gone when the block is left."""
    program = Running(argv, **options)
    try:
        yield program
    finally:
        if program.process.poll() is None:
            program.process.terminate()
            program.end()


@contextlib.contextmanager
def simulated(*arguments, limit_s=LIMIT_S, **options):
    """A simulated node that listens within a time; `port` and `url` are its own."""
    with running([*SIMULATE, "--port", str(free_port()), *arguments], **options) as node:
        node.url = node.line("ready coap://", limit_s).removeprefix("ready ")
        node.port = int(node.url.rpartition(":")[2])
        yield node


def is_alive(pid):
    """True while there is a process with this id that has not ended."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def ends(pid):
    """True when a process ends in time; one that does not is killed. Its pipes close first."""
    if wait_until(lambda: not is_alive(pid)):
        return True
    os.kill(pid, signal.SIGKILL)
    return False


def wait_until(condition, limit_s=LIMIT_S):
    """Waits for a condition; True when it came true in time."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False
