"""Run a node as a child process: forward lines in both directions, and end it.

The child has a session of its own, so that a terminal's Ctrl-C reaches only this program. Its
stdin is a pipe: however this program ends, the child sees the end of file and ends too.

Threads read the child's outputs and signal handlers wake the main thread, both through one queue;
other threads write to the child, so that a child that does not read blocks only them.
"""

import contextlib
import errno
import os
import queue
import re
import signal
import subprocess
import sys
import threading
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
END = (None, b"")


class NodeProcess:
    """One node. From the construction on, signals end it in an orderly way."""

    def __init__(self):
        self.device = None  # the serial line of an emulated board
        self._process = None
        self._ready = False
        self._in_traceback = False
        self._errors = []
        self._events = queue.SimpleQueue()  # (function, line) of the outputs, END of either, None
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)

    def _on_signal(self, number, frame):
        """Let _watch() return; before the node is started, end this program."""
        if self._process is None:
            raise SystemExit(0)
        self._events.put(None)

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
        self._start(self._read, self._process.stdout, self._line)
        self._start(self._read, self._process.stderr, self._error_line)
        if sys.stdin is not None:  # None: it was closed, and the descriptor may be another file
            self._start(self._forward_stdin)
        try:
            return self._watch(url, on_ready, toggle_period_s, start_limit_s)
        except BrokenPipeError:
            # The reader of our output has ended. Python must not complain when it flushes stdout.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        finally:
            self._end()

    def _start(self, function, *arguments):
        """Call a function in a thread that does not outlive this program."""
        threading.Thread(target=function, args=arguments, daemon=True).start()

    def _read(self, stream, use):
        """Queue each line of an output with the function that uses it, then END."""
        for line in stream:
            self._events.put((use, line))
        self._events.put(END)

    def _forward_stdin(self):
        """Write to the node what is typed, until the end of file."""
        with contextlib.suppress(OSError):  # a terminal that was hung up, or a node that has ended
            while chunk := os.read(STDIN, CHUNK):
                while chunk:
                    chunk = chunk[os.write(self._process.stdin.fileno(), chunk) :]

    def _toggle(self, period_s):
        """Write an empty line to the node periodically."""
        with contextlib.suppress(OSError):  # the node has ended
            while True:
                time.sleep(period_s)
                os.write(self._process.stdin.fileno(), b"\n")

    def _watch(self, url, on_ready, toggle_period_s, start_limit_s):
        """Use the outputs until a signal (return 0) or the node's end (return its exit code)."""
        due = time.monotonic() + start_limit_s
        outputs = 2
        while outputs:
            try:
                wait_s = None if self._ready else max(0, due - time.monotonic())
                event = self._events.get(timeout=wait_s)
            except queue.Empty:
                raise Problem(f"the node did not start within {start_limit_s} s") from None
            if event is None:
                return 0
            use, line = event
            if use is None:
                outputs -= 1
            elif use(line.decode(errors="replace").rstrip("\n"), url):
                if on_ready:
                    on_ready()
                if toggle_period_s:
                    self._start(self._toggle, toggle_period_s)
        return self._ended(url)

    def _line(self, line, url):
        """Print a line of the node; return True if it says that the node listens now."""
        # MicroPython writes its tracebacks to stdout.
        if line.startswith(TRACEBACK) or self._in_traceback:
            self._in_traceback = line.startswith((TRACEBACK, " "))
            self._error_line(line, url)
            return False
        if not self._ready and line.startswith("console "):
            self.device = line.partition(" ")[2]
            return False
        became_ready = not self._ready and line.startswith("ready ")
        if became_ready:
            self._ready = True
            line = f"ready {url}"
            for error in self._errors:
                self._error_line(error, url)
        print(line, flush=True)
        return became_ready

    def _error_line(self, line, url):
        """Print a line of the node's stderr; before the node is ready, keep it."""
        line = line.replace(f"{ROOT / FOLDED}/", "")
        if self._ready:
            print(line, file=sys.stderr, flush=True)
        elif line.strip():
            self._errors.append(line.strip())

    def _ended(self, url):
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
                process.wait(END_LIMIT_S)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
