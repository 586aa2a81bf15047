"""The foreign clients' part: tests/interop/test_plugtest_*.py, run by pytest, as results.

A test is named after what it automates, test_core_01_02_... for TD_COAP_CORE_01 and 02, its file
after the client that asks: test_plugtest_<client>.
"""

import re
import subprocess
import sys
import tempfile
from xml.etree import ElementTree

from registry import FAIL, PASS
from targets import programs

TESTS = "tests/interop"
NAME = re.compile(r"test_(core|obs|block|link)((?:_\d\d)+)_")
CLIENT = re.compile(r"test_plugtest_([a-z]+)")


def run():
    """{(test description, client, test's name): (outcome, why)}."""
    files = sorted(str(path) for path in (programs.ROOT / TESTS).glob("test_plugtest_*.py"))
    if not files:
        raise programs.Problem(f"no test_plugtest_*.py in {TESTS}")
    with tempfile.NamedTemporaryFile(suffix=".xml") as report:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        done = subprocess.run(
            [*command, f"--junitxml={report.name}", *files],
            cwd=programs.ROOT,
            capture_output=True,
            text=True,
        )
        if done.returncode not in (0, 1):  # 1: some failed
            lines = (done.stdout + done.stderr).strip().splitlines()
            raise programs.Problem(f"pytest does not run: {lines[-1] if lines else 'no output'}")
        seen = read(ElementTree.parse(report.name).getroot())
        if not seen:
            raise programs.Problem(f"no test in {TESTS}/test_plugtest_*.py names a description")
        return seen


def read(root):
    """The results in pytest's report."""
    seen = {}
    for case in root.iter("testcase"):
        name = NAME.match(case.get("name"))
        client = CLIENT.search(case.get("classname"))
        if name and client:
            broken = [part for part in case if part.tag in ("failure", "error", "skipped")]
            why = broken[0].get("message", "").splitlines()[:1] if broken else []
            for number in name[2].strip("_").split("_"):
                key = (f"{name[1].upper()}_{number}", client[1], case.get("name"))
                seen[key] = (FAIL, "".join(why)) if broken else (PASS, "")
    return seen
