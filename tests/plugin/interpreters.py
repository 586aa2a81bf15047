"""The interpreters that portable tests run on, besides the CPython that runs pytest.

`Interpreter` is what another target (an emulated board, say) implements: a name and `run`.
"""

import os
import secrets
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fold import folded

RUNNER = Path(__file__).with_name("runner.py")
INTERRUPT_GRACE_S = 2.0


@dataclass(frozen=True)
class Test:
    """One test function, or one row of its table."""

    name: str
    row: int | None = None


@dataclass(frozen=True)
class TestFile:
    """A portable file, its path relative to the project, and what it needs of a target."""

    path: Path
    heap: str = "2m"  # what the unix port takes by itself
    timeout_s: float = 120.0


@dataclass(frozen=True)
class Result:
    """What became of one test."""

    passed: bool
    message: str = ""  # one line
    traceback: str = ""
    output: str = ""  # what the test printed


class Interpreter:
    """A target that runs portable tests."""

    name: str

    def takes(self, path: Path) -> bool:
        """Does it run the tests of this file?"""
        return True

    def run(self, file: TestFile, tests: list[Test]) -> Iterator[Result]:
        """Run each test when its result is asked for, in order; closing ends the target."""
        raise NotImplementedError


class MicroPython(Interpreter):
    """A unix MicroPython: one process for a file, another one after a crash or a hang."""

    def __init__(
        self, name: str, command: Path, version: str, root: Path, import_paths: list[str]
    ):
        self.name = name
        self.command = command
        self.version = version
        self.root = root
        self.import_paths = import_paths

    def run(self, file: TestFile, tests: list[Test]) -> Iterator[Result]:
        process = None
        try:
            for test in tests:
                if process is None:
                    process = _Process(self, file)
                    broken = process.answer(file.timeout_s, "the import of the file")
                if not broken.passed:
                    yield broken
                    continue
                process.ask(test)
                result = process.answer(file.timeout_s, "this test")
                if process.ended:
                    process.close()
                    process = None
                yield result
        finally:
            if process:
                process.close()


class _Process:
    """A running runner.py: `ask` for a test, then read its `answer`."""

    def __init__(self, interpreter: MicroPython, file: TestFile):
        # The mark cannot be guessed, so nothing that a test prints is taken for a result.
        self.mark = b"\x1e" + secrets.token_hex(8).encode()
        self.ended = False
        self.unread = b""
        self.process = subprocess.Popen(
            [
                str(interpreter.command),
                "-X",
                f"heapsize={file.heap}",
                str(RUNNER),
                str(file.path.parent),
                file.path.stem,
                self.mark.decode(),
            ],
            cwd=folded(interpreter.root),
            env={**os.environ, "MICROPYPATH": ":".join([*interpreter.import_paths, ".frozen"])},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for pytest, which then closes this process
        )

    def ask(self, test: Test):
        row = "" if test.row is None else f" {test.row}"
        try:
            self.process.stdin.write(f"{test.name}{row}\n".encode())
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # it died since the last answer: the next one tells how

    def answer(self, timeout_s: float, what: str) -> Result:
        """Return how it went; `what` names it in the message of a crash or a hang."""
        deadline = time.monotonic() + timeout_s
        output = self._read_until(self.mark + b":", deadline)
        if output is None:
            return self._stopped(what, timeout_s)
        outcome = self._read_until(b"\n", deadline)
        if outcome is not None and outcome.strip() == b"passed":
            return Result(True, output=_text(output))
        traceback = self._read_until(self.mark + b":end\n", deadline)
        if traceback is None:
            return self._stopped(what, timeout_s, output)
        lines = _traceback(traceback)
        return Result(False, lines[-1].strip().rstrip(":"), "\n".join(lines), _text(output))

    def _stopped(self, what: str, timeout_s: float, output: bytes = b"") -> Result:
        """Return the result of something that ended the process, or that did not end."""
        if self.ended:
            message = f"{self._how_it_ended()} during {what}"
            return Result(False, message, output=_text(output + self.unread))
        # An interrupt makes Python code show where it hangs; native code takes no notice.
        self.process.send_signal(signal.SIGINT)
        grace = time.monotonic() + INTERRUPT_GRACE_S
        printed = self._read_until(self.mark + b":failed\n", grace)
        traceback = None if printed is None else self._read_until(self.mark + b":end\n", grace)
        if printed is None:
            printed = self.unread
        self.ended = True
        message = f"{what} gave no result within {timeout_s:g} s"
        lines = _traceback(traceback or b"")
        return Result(False, message, "\n".join(lines), _text(output + printed))

    def _read_until(self, end: bytes, deadline: float) -> bytes | None:
        """Return what comes before `end`; None when the time is over or the process ended."""
        while end not in self.unread:
            patience = deadline - time.monotonic()
            if self.ended or patience <= 0:
                return None
            if select.select([self.process.stdout], [], [], patience)[0]:
                more = os.read(self.process.stdout.fileno(), 65536)
                self.unread += more
                self.ended = not more
        before, _, self.unread = self.unread.partition(end)
        return before

    def _how_it_ended(self) -> str:
        try:
            code = self.process.wait(INTERRUPT_GRACE_S)
        except subprocess.TimeoutExpired:
            return "the interpreter closed its output"
        if code < 0:
            return f"the interpreter died of {signal.Signals(-code).name}"
        return f"the interpreter exited with code {code}"

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def _traceback(data: bytes) -> list[str]:
    """Return the lines, without the runner's own frames, which tell nothing about the test."""
    return [line for line in _text(data).strip().splitlines() if f'"{RUNNER}"' not in line]


def _text(data: bytes) -> str:
    return data.decode(errors="backslashreplace").replace("\r\n", "\n")
