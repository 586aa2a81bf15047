"""The board at the end of a serial line: programs that run on it through mpremote.

A program is a file of on_board/, which tells what it found with report(dict).
"""

import json
import subprocess
import tempfile
import time
from pathlib import Path

from host.deploy import ARCHS
from host.device import mpremote
from setup.console import ROOT, Problem

ON_BOARD = Path(__file__).resolve().parent / "on_board"
RECORDER = ON_BOARD / "startup.py"
NOTES = "check-board.json"
REPORT = """import json
def report(found):
    print("\\nfound " + json.dumps(found))
"""
MARK = "found "
BACK_S = 60.0  # for a board to come back after a reset
PAUSE_S = 0.5
FORGET = """import os
for name in {names!r}:
    if name in os.listdir():
        os.remove(name)
"""


class Silent(Exception):
    """The board does not respond; the text says what happened."""


class Line:
    """The serial line. dev: the device, as mpremote names it."""

    def __init__(self, dev: str):
        self.dev = dev

    def mpremote(self, *words: str, limit_s: float) -> str:
        """Return what an mpremote command printed. Raises Silent when it fails."""
        argv = [str(word) for word in (*mpremote(self.dev), *words)]
        try:
            done = subprocess.run(
                argv,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=limit_s,
            )
        except subprocess.TimeoutExpired:
            raise Silent(f"no end within {limit_s:g} s") from None
        except OSError as error:
            raise Problem(f"cannot start {argv[0]}: {error.strerror}; run `make setup`") from None
        if done.returncode:
            lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
            raise Silent(lines[-1] if lines else f"mpremote ended with code {done.returncode}")
        return done.stdout

    def run(self, name: str, limit_s: float = 60.0) -> dict:
        """Run on_board/NAME.py and return what it reports. Raises Silent."""
        with tempfile.NamedTemporaryFile("w", suffix=".py") as file:
            file.write(REPORT + (ON_BOARD / f"{name}.py").read_text())
            file.flush()
            said = self.mpremote("run", file.name, limit_s=limit_s)
        return self.reported(said, name)

    def reported(self, said: str, name: str) -> dict:
        """Return the last report in what a program printed. Raises Silent."""
        found = [line for line in said.splitlines() if line.startswith(MARK)]
        if not found:
            raise Silent(f"{name} reported nothing: {said.strip()[-200:]}")
        return json.loads(found[-1].removeprefix(MARK))

    def arch(self) -> str:
        """Return the name that mpy-cross has for the board's processor. Raises Silent."""
        said = self.exec("import sys; print(getattr(sys.implementation, '_mpy', 0) >> 10 & 15)")
        return ARCHS[int(said.split()[-1])]

    def exec(self, source: str, limit_s: float = 30.0) -> str:
        """Run a line of Python on the board and return what it printed. Raises Silent."""
        return self.mpremote("exec", source, limit_s=limit_s)

    def leave(self, source: str) -> None:
        """Start Python on the board that ends the connection, such as a reset."""
        self.mpremote("exec", "--no-follow", source, limit_s=30.0)

    def leave_file(self, name: str) -> None:
        """Start on_board/NAME.py, which ends the connection."""
        self.mpremote("run", "--no-follow", str(ON_BOARD / f"{name}.py"), limit_s=30.0)

    def begin(self) -> None:
        """Have the board note its starts, from none on, instead of Mote. Raises Silent."""
        self.exec(FORGET.format(names=(NOTES,)))
        self.mpremote("fs", "cp", str(RECORDER), f":{RECORDER.name}", limit_s=60.0)

    def end(self) -> None:
        """Start the board as it was before. Raises Silent."""
        self.wait()
        self.exec(FORGET.format(names=(NOTES, RECORDER.name)))
        self.leave("import machine; machine.reset()")

    def wait(self, limit_s: float = BACK_S) -> None:
        """Wait until the board is there again. Raises Silent."""
        end_s = time.monotonic() + limit_s
        while True:
            try:
                self.exec("print(1)", limit_s=15.0)
                return
            except Silent as silent:
                if time.monotonic() > end_s:
                    raise Silent(f"it is not back within {limit_s:g} s: {silent}") from None
                time.sleep(PAUSE_S)

    def notes(self) -> list[dict]:
        """Return what was noted on the board since begin(), a dict of each. Raises Silent."""
        source = f"import os; print(open('{NOTES}').read() if '{NOTES}' in os.listdir() else '')"
        lines = self.exec(source).splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]
