"""What takes more than a program on the board: the portable tests, and the conformance checks."""

import contextlib
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from build_mpy import compile_file
from check_board.line import ON_BOARD, REPORT, Line, Silent
from fold import counterpart
from host.device import mpremote
from setup.console import ROOT
from simulator.launch.mini_client import get

TESTS = ("coap/test_codec_parse.py", "coap/test_messaging.py")
APP = ROOT / "tools" / "conformance" / "node_app"
COAP = "CHECK_BOARD_COAP"  # environment variable: HOST:PORT of the board for tests/conformance
READY_S = 90.0
LIMIT_S = 300.0
COUNT = re.compile(r"(\d+) (passed|failed|skipped|error)")
RUN = """
import runner, support
module = __import__("{module}")
passed, failed = 0, []
for name in sorted([name for name in dir(module) if name.startswith("test_")]):
    test = getattr(module, name)
    rows = support.rows_of.get(test)
    for row in range(len(rows)) if rows else (None,):
        try:
            runner.run_test(module, name if row is None else name + " " + str(row))
            passed += 1
        except Exception as error:
            failed.append(name + ": " + repr(error)[:60])
        runner.restore()
report({{"passed": passed, "failed": failed}})
"""


def run(line: Line) -> tuple[str, dict[str, Any]]:
    """Run the portable tests of TESTS on the board, from a mounted folder; return what came."""
    from check_board.checks import Wrong

    found: dict[str, Any] = {"passed": 0, "failed": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy_tests(folder, line.arch())
        for test in TESTS:
            told = run_file(line, folder, Path(test).stem)
            found["passed"] += told["passed"]
            found["failed"] += told["failed"]
    if found["failed"]:
        raise Wrong(f"{len(found['failed'])} fail, the first: {found['failed'][0]}", found)
    return f"{found['passed']} on the board", found


def copy_tests(folder: Path, arch: str) -> None:
    """Compile the tests and what they import for the board into a folder."""
    tests = ROOT / "tests"
    for path in (*(tests / one for one in TESTS), tests / "plugin" / "runner.py"):
        # without flags: -O3 would leave no assert in it
        compile_file(counterpart(path), path.name, folder / f"{path.stem}.mpy", arch, ())
    for path in sorted((tests / "support").glob("*.py")):
        target = folder / "support" / f"{path.stem}.mpy"
        compile_file(counterpart(path), f"support/{path.name}", target, arch, ())


def run_file(line: Line, folder: Path, module: str) -> dict[str, Any]:
    """Run one file of tests on the board; return the counts."""
    program = folder / "run.py"
    program.write_text(REPORT + RUN.format(module=module))
    said = line.mpremote("mount", str(folder), "run", str(program), limit_s=LIMIT_S)
    return line.reported(said, module)


@contextlib.contextmanager
def serving(line: Line, place: tuple[str, int]) -> Iterator[None]:
    """Serve the conformance application on the board, from a mounted folder.

    Raises:
        Silent: it does not start.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path in sorted(counterpart(APP).glob("*.py")):
            target = folder / "node_app" / f"{path.stem}.mpy"
            compile_file(path, f"node_app/{path.name}", target, line.arch())
        program = ON_BOARD / "serve.py"
        argv = [*mpremote(line.dev), "mount", str(folder), "run", str(program)]
        server = subprocess.Popen(
            [str(word) for word in argv],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            end_s = time.monotonic() + READY_S
            while get(*place, "/test") is None:
                if time.monotonic() > end_s or server.poll() is not None:
                    raise Silent("the conformance application does not start")
            yield
        finally:
            server.terminate()
            server.wait()


def environment(place: tuple[str, int]) -> dict[str, str]:
    """Return the environment in which the conformance checks find the board."""
    return {**os.environ, COAP: f"{place[0]}:{place[1]}"}


def counts(said: str) -> dict[str, int]:
    """Return the counts of pytest's last line."""
    last = said.strip().splitlines()[-1] if said.strip() else ""
    return {"passed": 0, "failed": 0, **{what: int(count) for count, what in COUNT.findall(last)}}
