"""What `make check-board` writes: one file for programs, one to read, without any secret."""

import json
import time
from pathlib import Path
from typing import Any, NamedTuple

PASSED, FAILED, NOT_HERE = "passed", "failed", "not possible here"
SYMBOLS = {PASSED: "ok", FAILED: "FAILED", NOT_HERE: "-"}


class Result(NamedTuple):
    """The result of one check: outcome, what was found in words, and as values."""

    name: str
    outcome: str
    text: str
    values: dict[str, Any]
    seconds: float


class Report:
    """The results, which are written after each check: what was found survives a failure."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.results: list[Result] = []
        self._start_s = time.monotonic()

    def add(self, result: Result) -> None:
        """Add a result, print it, and write both files."""
        self.results.append(result)
        print(line(result), flush=True)
        self.write()

    def write(self) -> None:
        """Write check-board.json and check-board.txt."""
        self.folder.mkdir(parents=True, exist_ok=True)
        told = {
            "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "seconds": round(time.monotonic() - self._start_s),
            "checks": [one._asdict() for one in self.results],
        }
        (self.folder / "check-board.json").write_text(json.dumps(told, indent=2) + "\n")
        (self.folder / "check-board.txt").write_text(self.text())

    def text(self) -> str:
        """Return the readable report."""
        return "\n".join([*map(line, self.results), "", self.summary(), ""])

    def summary(self) -> str:
        """Return the last line: how many checks had which outcome, and the time."""
        counts = [
            f"{sum(one.outcome == outcome for one in self.results)} {outcome}"
            for outcome in (PASSED, FAILED, NOT_HERE)
        ]
        return f"{', '.join(counts)}; {time.monotonic() - self._start_s:.0f} s"

    def has_failed(self) -> bool:
        """Return True if a check failed."""
        return any(one.outcome == FAILED for one in self.results)


def line(result: Result) -> str:
    """Return a result as a line of text."""
    return f"{SYMBOLS[result.outcome]:>6}  {result.name:<22} {result.text}"
