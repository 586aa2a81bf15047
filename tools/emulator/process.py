"""The emulator's process: commands and events are lines of JSON, see main.mjs."""

import collections
import contextlib
import json
import subprocess
import threading
from pathlib import Path

from emulator import dependencies
from setup.console import Problem

MAIN = Path(__file__).with_name("main.mjs")
RESULT_LIMIT_S = 60
END_LIMIT_S = 10
KEPT_LINES = 20


class Process:
    """One emulator. `on_event(event)` is called in a separate thread, in the order of events."""

    def __init__(self, options, on_event):
        self._changed = threading.Condition()  # notified after each event
        self._on_event = on_event
        self._results = {}
        self._last_id = 0
        self._ended = None  # one line that says why
        self._why = ""
        self._write_lock = threading.Lock()
        self._errors = collections.deque(maxlen=KEPT_LINES)
        try:
            self._process = subprocess.Popen(
                [dependencies.node(), str(MAIN), json.dumps(options)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        except OSError as error:
            raise Problem(f"cannot start Node.js: {error.strerror}") from None
        self.pid = self._process.pid
        self._threads = [
            threading.Thread(target=self._read_errors, daemon=True),
            threading.Thread(target=self._read_events, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def call(self, do, limit_s=RESULT_LIMIT_S, **arguments):
        """Send a command and return its value.

        Raises:
            Problem: the emulator ended, refused the command, or hangs: it gave no result within
                `limit_s` of this computer's time and was killed.
        """
        with self._changed:
            self._last_id += 1
            number = self._last_id
        self.send({"id": number, "do": do, **arguments})
        with self._changed:
            self._changed.wait_for(lambda: number in self._results or self._ended, limit_s)
            if number not in self._results and self._ended:
                raise Problem(self._ended)
            result = self._results.pop(number, None)
        if result is None:
            self._why = f"it hung: no result of '{do}' within {limit_s:g} s"
            self._process.kill()
            self._threads[1].join(END_LIMIT_S)
            raise Problem(self._ended)
        if "error" in result:
            raise Problem(f"the emulator refuses '{do}': {result['error']}")
        return result["value"]

    def send(self, message):
        """Write one line; raise Problem when the emulator has ended."""
        line = json.dumps(message) + "\n"
        try:
            with self._write_lock:
                self._process.stdin.write(line)
                self._process.stdin.flush()
        except (OSError, ValueError):
            self._threads[1].join(END_LIMIT_S)
            raise Problem(self._ended or "the emulator has ended") from None

    def wait_for(self, condition, limit_s):
        """Wait for events until condition() is true; return False after `limit_s` seconds.

        Raises:
            Problem: the emulator has ended.
        """
        with self._changed:
            found = self._changed.wait_for(lambda: condition() or self._ended, limit_s)
            if self._ended and not condition():
                raise Problem(self._ended)
            return bool(found)

    def close(self):
        """End the emulator."""
        with contextlib.suppress(OSError), self._write_lock:
            self._process.stdin.close()
        try:
            self._process.wait(END_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for thread in self._threads:
            thread.join(END_LIMIT_S)
        self._process.stdout.close()
        self._process.stderr.close()

    def _read_errors(self):
        for line in self._process.stderr:
            if line.strip():
                self._errors.append(line.strip())

    def _read_events(self):
        try:
            for line in self._process.stdout:
                event = json.loads(line)
                if "id" not in event:
                    self._on_event(event)
                with self._changed:
                    if "id" in event:
                        self._results[event["id"]] = event
                    self._changed.notify_all()
        except Exception as error:
            # Most likely of a register model; the chip would wait for its reply for ever.
            self._why = f"{type(error).__name__}: {error}"
            self._process.kill()
        code = self._process.wait()
        self._threads[0].join(END_LIMIT_S)
        why = self._why
        if not why:
            why = self._errors[-1] if self._errors else f"exit code {code}"
        with self._changed:
            self._ended = f"the emulated Pico has ended: {why}"
            self._changed.notify_all()
