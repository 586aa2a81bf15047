"""The pipe to the emulator: a child process; commands and events are JSON lines."""

import collections
import contextlib
import json
import subprocess
import threading
from pathlib import Path

from emulator import parts
from setup.console import Problem

MAIN = Path(__file__).with_name("main.mjs")
START_LIMIT_S = 60
ANSWER_LIMIT_S = 60
END_LIMIT_S = 10
LAST_LINES = 20


class Link:
    """One emulator. `on_event(event)` is called in a thread of its own, in the order of events.

    changed: a Condition that is notified after every event.
    """

    def __init__(self, options, on_event):
        self.changed = threading.Condition()
        self._on_event = on_event
        self._answers = {}
        self._number = 0
        self._ended = None
        self._why = ""
        self._write_lock = threading.Lock()
        self._errors = collections.deque(maxlen=LAST_LINES)
        try:
            self.process = subprocess.Popen(
                [parts.node(), str(MAIN), json.dumps(options)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        except OSError as error:
            raise Problem(f"cannot start Node.js: {error.strerror}") from None
        self._threads = [
            threading.Thread(target=self._read_errors, daemon=True),
            threading.Thread(target=self._read_events, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def ask(self, do, limit_s=ANSWER_LIMIT_S, **arguments):
        """Sends a command and returns its value.

        Raises:
            Problem: the emulator ended, refused the command, or hangs: no answer came within
                `limit_s` of this computer's time; it is ended then.
        """
        with self.changed:
            self._number += 1
            number = self._number
        self.send({"id": number, "do": do, **arguments})
        with self.changed:
            self.changed.wait_for(lambda: number in self._answers or self._ended, limit_s)
            if number not in self._answers and self._ended:
                raise Problem(self._ended)
            answer = self._answers.pop(number, None)
        if answer is None:
            self._why = f"it hung: no answer to '{do}' within {limit_s:g} s"
            self.process.kill()
            self._threads[1].join(END_LIMIT_S)
            raise Problem(self._ended)
        if "error" in answer:
            raise Problem(f"the emulator refuses '{do}': {answer['error']}")
        return answer["value"]

    def send(self, message):
        """Writes one line; raises Problem when nobody reads it any more."""
        line = json.dumps(message) + "\n"
        try:
            with self._write_lock:
                self.process.stdin.write(line)
                self.process.stdin.flush()
        except (OSError, ValueError):
            self._threads[1].join(END_LIMIT_S)
            raise Problem(self._ended or "the emulator has ended") from None

    def wait_for(self, condition, limit_s):
        """Waits for events until condition() is true; raises Problem when the emulator ends.

        Returns the last value of condition(), which is false after `limit_s`.
        """
        with self.changed:
            found = self.changed.wait_for(lambda: condition() or self._ended, limit_s)
            if self._ended and not condition():
                raise Problem(self._ended)
            return bool(found)

    def close(self):
        """Ends the emulator."""
        with contextlib.suppress(OSError), self._write_lock:
            self.process.stdin.close()
        try:
            self.process.wait(END_LIMIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for thread in self._threads:
            thread.join(END_LIMIT_S)
        self.process.stdout.close()
        self.process.stderr.close()

    def _read_errors(self):
        for line in self.process.stderr:
            if line.strip():
                self._errors.append(line.strip())

    def _read_events(self):
        try:
            for line in self.process.stdout:
                event = json.loads(line)
                if "id" in event:
                    with self.changed:
                        self._answers[event["id"]] = event
                        self.changed.notify_all()
                    continue
                self._on_event(event)
                with self.changed:
                    self.changed.notify_all()
        except Exception as error:
            # A register model of a test, most likely; the chip would wait for its answer for ever.
            self._why = f"{type(error).__name__}: {error}"
            self.process.kill()
        code = self.process.wait()
        self._threads[0].join(END_LIMIT_S)
        why = self._why
        if not why:
            why = self._errors[-1] if self._errors else f"exit code {code}"
        with self.changed:
            self._ended = f"the emulated Pico has ended: {why}"
            self.changed.notify_all()
