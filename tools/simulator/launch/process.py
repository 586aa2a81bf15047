"""Runs a node as a child process: passes lines to and fro, ends it, is not survived by it.

The child gets a session of its own, so that a terminal's Ctrl-C reaches only this program, and a
pipe as its stdin that stays open as long as this program lives: end of file there tells the child
that its parent is gone, however it went.
"""

import errno
import os
import re
import selectors
import signal
import subprocess
import sys
import time

from fold import FOLDED
from setup.console import ROOT, Problem
from simulator.launch.address import explain

START_LIMIT_S = 60
END_LIMIT_S = 2
REFUSED = 2  # the node's exit code when its one line says what to do
CHUNK = 65536
TRACEBACK = "Traceback "
STDIN = 0
IN_USE = re.compile(rf"EADDRINUSE|{re.escape(os.strerror(errno.EADDRINUSE))}")


class Child:
    """One node. Signals are taken from the moment this object exists."""

    def __init__(self):
        self.device = None  # the serial line that an emulated board said it has
        self._process = None
        self._ready = False
        self._in_traceback = False
        self._errors = []
        self._to_node = b""
        self._own_stdin_ended = not is_open(STDIN)
        self._partial = {}
        self._wake, self._waker = os.pipe()
        os.set_blocking(self._waker, False)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)

    def _on_signal(self, number, frame):
        if self._process is None:
            raise SystemExit(0)
        try:
            os.write(self._waker, b"!")
        except BlockingIOError:
            pass  # it has been told often enough

    def run(
        self,
        argv,
        environ,
        url,
        on_ready=None,
        toggle_period_s=None,
        start_limit_s=START_LIMIT_S,
    ):
        """Runs the node until a signal comes; returns the exit code.

        Args:
            url: printed after `ready ` when the node listens.
            on_ready: called after that.
            toggle_period_s: the door is toggled that often; None leaves it alone.
            start_limit_s: until the node must listen.

        Raises:
            Problem: the node could not be started.
        """
        try:
            self._process = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environ,
                cwd=ROOT,
                start_new_session=True,
            )
        except OSError as error:
            raise Problem(f"cannot start {argv[0]}: {error.strerror}; run `make setup`") from None
        os.set_blocking(self._process.stdin.fileno(), False)
        try:
            return self._watch(url, on_ready, toggle_period_s, start_limit_s)
        except BrokenPipeError:
            # Whoever read our output has left. Python must not complain about that at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        finally:
            self._end()

    def _watch(self, url, on_ready, toggle_period_s, start_limit_s):
        process = self._process
        with selectors.SelectSelector() as selector:
            self._selector = selector
            selector.register(self._wake, selectors.EVENT_READ)
            selector.register(process.stdout.fileno(), selectors.EVENT_READ)
            selector.register(process.stderr.fileno(), selectors.EVENT_READ)
            if not self._own_stdin_ended:
                selector.register(STDIN, selectors.EVENT_READ)
            due = time.monotonic() + start_limit_s
            outputs = {process.stdout.fileno(), process.stderr.fileno()}
            while outputs:
                wait = None if due is None else max(0, due - time.monotonic())
                for key, _ in selector.select(wait):
                    if key.fd == self._wake:
                        return 0
                    if key.fd == process.stdin.fileno():
                        self._pass_on(b"")
                    elif key.fd == STDIN:
                        self._read_own_stdin()
                    elif key.fd == process.stderr.fileno():
                        self._each_line(key.fd, outputs, self._error_line)
                    elif self._each_line(key.fd, outputs, lambda line: self._line(line, url)):
                        due = time.monotonic() + toggle_period_s if toggle_period_s else None
                        if on_ready:
                            on_ready()
                if due is not None and time.monotonic() >= due:
                    if not self._ready:
                        raise Problem(f"the node did not start within {start_limit_s} s")
                    self._pass_on(b"\n")
                    due = time.monotonic() + toggle_period_s
        return self._died(url)

    def _line(self, line, url):
        """Prints a line of the node; True when it says that the node listens now."""
        # MicroPython writes its tracebacks to stdout.
        if line.startswith(TRACEBACK) or self._in_traceback:
            self._in_traceback = line.startswith((TRACEBACK, " "))
            self._error_line(line)
            return False
        if not self._ready and line.startswith("console "):
            self.device = line.partition(" ")[2]
            return False
        became_ready = not self._ready and line.startswith("ready ")
        if became_ready:
            self._ready = True
            line = f"ready {url}"
            for error in self._errors:
                self._error_line(error)
        print(line, flush=True)
        return became_ready

    def _error_line(self, line):
        """Shows a line of the node's stderr; before it is ready, keeps it."""
        line = line.replace(f"{ROOT / FOLDED}/", "")
        if self._ready:
            print(line, file=sys.stderr, flush=True)
        elif line.strip():
            self._errors.append(line.strip())

    def _each_line(self, descriptor, outputs, use):
        """Reads what is there and uses each whole line; True when one of the uses was."""
        chunk = os.read(descriptor, CHUNK)
        *lines, rest = (self._partial.pop(descriptor, b"") + chunk).split(b"\n")
        if chunk:
            self._partial[descriptor] = rest
        else:
            self._selector.unregister(descriptor)
            outputs.discard(descriptor)
            lines += [rest] if rest else []
        used = [use(line.decode(errors="replace")) for line in lines]
        return any(used)

    def _read_own_stdin(self):
        try:
            chunk = os.read(STDIN, CHUNK)
        except OSError:  # a terminal that was hung up
            chunk = b""
        if not chunk:
            self._selector.unregister(STDIN)
            self._own_stdin_ended = True
        self._pass_on(chunk)

    def _pass_on(self, chunk):
        """Writes to the node as much as it takes; while it lags, our own stdin waits."""
        pipe = self._process.stdin.fileno()
        lagged = bool(self._to_node)
        self._to_node += chunk
        try:
            self._to_node = self._to_node[os.write(pipe, self._to_node) :]
        except BlockingIOError:
            pass
        except BrokenPipeError:
            self._to_node = b""  # it is ending: its outputs will say why
        lags = bool(self._to_node)
        if lags == lagged:
            return
        if lags:
            self._selector.register(pipe, selectors.EVENT_WRITE)
            if STDIN in self._selector.get_map():
                self._selector.unregister(STDIN)
        else:
            self._selector.unregister(pipe)
            if not self._own_stdin_ended:
                self._selector.register(STDIN, selectors.EVENT_READ)

    def _died(self, url):
        """Says why the node ended although nobody told it to."""
        code = self._process.wait()
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        why = f"the node ended by itself: {how}"
        if self._errors and not self._ready:
            why = self._errors[-1]
            if IN_USE.search(why):
                host, _, port = url.removeprefix("coap://").rpartition(":")
                raise Problem(explain(errno.EADDRINUSE, host, int(port)))
            if code == REFUSED:
                raise Problem(why)
        print(why, file=sys.stderr)
        return 1

    def _end(self):
        """Interrupts the node, and kills it when it does not listen to that."""
        process = self._process
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.communicate(timeout=END_LIMIT_S)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()


def is_open(descriptor):
    """True when this file descriptor leads anywhere."""
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True
