"""Run a node as a child process: forward lines in both directions, and end it.

The child has a session of its own, so that a terminal's Ctrl-C reaches only this program. Its
stdin is a pipe: however this program ends, the child sees the end of file and ends too.
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
from simulator.launch.arguments import bind_problem

START_LIMIT_S = 60
END_LIMIT_S = 2
REFUSED = 2  # exit code of a node whose last line names the fix
CHUNK = 65536
TRACEBACK = "Traceback "
STDIN = 0
IN_USE = re.compile(rf"EADDRINUSE|{re.escape(os.strerror(errno.EADDRINUSE))}")


class NodeProcess:
    """One node. From the construction on, signals end it in an orderly way."""

    def __init__(self):
        self.device = None  # the serial line of an emulated board
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
        """Let _watch() return; before the node is started, end this program."""
        if self._process is None:
            raise SystemExit(0)
        try:
            os.write(self._waker, b"!")
        except BlockingIOError:
            pass  # the pipe is full of signals

    def run(
        self,
        argv,
        environ,
        url,
        on_ready=None,
        toggle_period_s=None,
        start_limit_s=START_LIMIT_S,
    ):
        """Run the node until a signal comes; return the exit code.

        Args:
            url: printed after `ready ` when the node listens.
            on_ready: called after that.
            toggle_period_s: period at which the door is toggled, None for never.
            start_limit_s: time for the node to start.

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
            # The reader of our output has ended. Python must not complain when it flushes stdout.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        finally:
            self._end()

    def _watch(self, url, on_ready, toggle_period_s, start_limit_s):
        """Forward lines until a signal (return 0) or the node's end (return its exit code)."""
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
                        self._write(b"")
                    elif key.fd == STDIN:
                        self._read_own_stdin()
                    elif key.fd == process.stderr.fileno():
                        self._read_lines(key.fd, outputs, self._error_line)
                    elif self._read_lines(key.fd, outputs, lambda line: self._line(line, url)):
                        due = time.monotonic() + toggle_period_s if toggle_period_s else None
                        if on_ready:
                            on_ready()
                if due is not None and time.monotonic() >= due:
                    if not self._ready:
                        raise Problem(f"the node did not start within {start_limit_s} s")
                    self._write(b"\n")
                    due = time.monotonic() + toggle_period_s
        return self._died(url)

    def _line(self, line, url):
        """Print a line of the node; return True if it says that the node listens now."""
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
        """Print a line of the node's stderr; before it is ready, keep it."""
        line = line.replace(f"{ROOT / FOLDED}/", "")
        if self._ready:
            print(line, file=sys.stderr, flush=True)
        elif line.strip():
            self._errors.append(line.strip())

    def _read_lines(self, descriptor, outputs, use):
        """Read once, call `use(line)` for each whole line; return True if one call did."""
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
        """Forward what was typed; after the end of file, stop reading."""
        try:
            chunk = os.read(STDIN, CHUNK)
        except OSError:  # a terminal that was hung up
            chunk = b""
        if not chunk:
            self._selector.unregister(STDIN)
            self._own_stdin_ended = True
        self._write(chunk)

    def _write(self, chunk):
        """Write to the node what its pipe accepts; read no more of our stdin until all is."""
        pipe = self._process.stdin.fileno()
        lagged = bool(self._to_node)
        self._to_node += chunk
        try:
            self._to_node = self._to_node[os.write(pipe, self._to_node) :]
        except BlockingIOError:
            pass
        except BrokenPipeError:
            self._to_node = b""  # the node is ending: its outputs will say why
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
        """Print why the node ended by itself; return the exit code."""
        code = self._process.wait()
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        why = f"the node ended by itself: {how}"
        if self._errors and not self._ready:
            why = self._errors[-1]
            if IN_USE.search(why):
                host, _, port = url.removeprefix("coap://").rpartition(":")
                raise Problem(bind_problem(errno.EADDRINUSE, host, int(port)))
            if code == REFUSED:
                raise Problem(why)
        print(why, file=sys.stderr)
        return 1

    def _end(self):
        """Interrupt the node; kill it if it has not ended in time."""
        process = self._process
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.communicate(timeout=END_LIMIT_S)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()


def is_open(descriptor):
    """Return True if this file descriptor is open."""
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True
