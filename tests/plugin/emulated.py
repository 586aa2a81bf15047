"""Machines in QEMU as interpreters: the tests are frozen into them, a raw REPL runs one at a time.

An image is built when its first test is about to run, so it is never older than the sources.
"""

import os
import select
import signal
import subprocess
import time

from setup import qemu
from setup.console import Problem

from .interpreters import Interpreter, Result

START = """\
import runner, micropython
def _run(request):
    runner.restore()
    try:
        runner.run_test(_module, request)
    finally:
        runner.restore()
"""
START_TIMEOUT_S = 60.0
SLOWER = 4.0  # a time limit is meant for a process of this computer
PROMPT = b"raw REPL; CTRL-B to exit\r\n>"
CHUNK = 64  # bytes written at a time: the machine's receiver is a short queue


class Qemu(Interpreter):
    """One machine of the QEMU port. `files`: names of the only files it takes, None for all."""

    def __init__(self, machine, files=None):
        self.machine = machine
        self.name = machine.title
        self.version = "1.25"
        self.command = machine.program
        self.files = files

    def takes(self, path):
        """Is the file frozen into the image, and is it one of those to run?"""
        if path not in qemu.test_files() or path.parent != qemu.ROOT / qemu.TESTS:
            return False
        return self.files is None or path.stem in self.files

    def run(self, file, tests):
        repl = None
        try:
            for test in tests:
                if repl is None:
                    repl, broken = self._start(file)
                if broken:
                    yield broken
                    continue
                row = "" if test.row is None else f" {test.row}"
                limit_s = file.timeout_s * SLOWER
                result = repl.run(f"_run('{test.name}{row}')", limit_s, "this test")
                if repl.ended:
                    repl.close()
                    repl = None
                yield result
        finally:
            if repl:
                repl.close()

    def _start(self, file):
        """Return a machine that has imported the file, and what went wrong, if anything."""
        try:
            elf = qemu.build(self.machine)
            repl = Repl(self.machine.command(elf))
        except (Problem, OSError) as error:
            return _Nothing(), Result(False, str(error))
        broken = repl.start()
        if not broken:
            code = f"{START}_module = __import__('{file.path.stem}')\n"
            result = repl.run(code, START_TIMEOUT_S, "the import of the file")
            broken = None if result.passed else result
        return repl, broken


class Repl:
    """A running machine: code in, what it printed and its traceback out."""

    def __init__(self, argv):
        self.ended = False
        self.unread = b""
        self.process = subprocess.Popen(
            argv,
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for pytest, which then closes this process
        )

    def start(self):
        """Enter the raw REPL; return a Result when that fails."""
        self._write(b"\r\x03\x01")
        if self._read_until(PROMPT, time.monotonic() + START_TIMEOUT_S) is None:
            return self._stopped("the start", START_TIMEOUT_S)
        return None

    def run(self, code, timeout_s, what):
        """Run the code; return how it went."""
        deadline = time.monotonic() + timeout_s
        self._write(code.encode() + b"\x04")
        if self._read_until(b"OK", deadline) is None:
            return self._stopped(what, timeout_s)
        output = self._read_until(b"\x04", deadline)
        error = None if output is None else self._read_until(b"\x04>", deadline)
        if error is None:
            return self._stopped(what, timeout_s, output or b"")
        if not error.strip():
            return Result(True, output=_text(output))
        # The first lines are the REPL's own frames and the runner's.
        lines = [line for line in _text(error).strip().splitlines() if not _own(line)]
        return Result(False, lines[-1].strip().rstrip(":"), "\n".join(lines), _text(output))

    def close(self):
        self.ended = True
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def _stopped(self, what, timeout_s, output=b""):
        printed = _text(output + self.unread)
        if self.ended:
            code = self.process.wait()
            how = signal.Signals(-code).name if code < 0 else f"code {code}"
            return Result(False, f"the machine ended with {how} during {what}", output=printed)
        self.ended = True
        return Result(False, f"{what} gave no result within {timeout_s:g} s", output=printed)

    def _write(self, data):
        try:
            for at in range(0, len(data), CHUNK):
                self.process.stdin.write(data[at : at + CHUNK])
                self.process.stdin.flush()
        except BrokenPipeError:
            pass  # it ended: reading tells how

    def _read_until(self, end, deadline):
        """Return what comes before `end`; None when the time is over or the machine ended."""
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


class _Nothing:
    """Stands for a machine that could not be started."""

    ended = False

    def close(self):
        pass


def _own(line):
    return 'File "<stdin>"' in line or 'File "runner.py"' in line


def _text(data):
    return data.decode(errors="backslashreplace").replace("\r\n", "\n")
