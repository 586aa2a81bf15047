"""A small project in a folder of its own: the plugin, some portable files, and pytest on them."""

import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as xml
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("tests/conftest.py", "tests/support", "tests/plugin", "tools/cpython")


class Project:
    """A folder with the plugin and some portable files."""

    def __init__(self, folder, targets, files):
        self.folder = folder
        self.names = ["cpython", *(target.name for target in targets)]
        commands = [str(target.command) for target in targets] + [""]
        self.environ = {
            **os.environ,
            "MICROPYTHON": commands[0],
            "MICROPYTHON_MIN": commands[1],
            "PYTHONPATH": str(ROOT / "tools"),
        }
        for part in PARTS:
            place = folder / part
            place.parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / part).is_dir():
                shutil.copytree(ROOT / part, place, ignore=shutil.ignore_patterns("test_*"))
            else:
                shutil.copy(ROOT / part, place)
        (folder / "pytest.ini").write_text("[pytest]\naddopts = --emulated none\n")
        for name, text in files.items():
            path = folder / "tests" / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)

    def pytest(self, *arguments, **environ):
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:hypothesispytest", *arguments],
            cwd=self.folder,
            env={**self.environ, **environ},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    def ids(self, *arguments):
        """Return the names of the tests that ran, in order, without their file."""
        lines = self.pytest("-v", *arguments).stdout.splitlines()
        ran = [line.rpartition("[")[0] for line in lines if line.endswith("%]")]
        return [line.partition("::")[2].rsplit(maxsplit=1)[0] for line in ran]


class Reports(dict):
    """Name of a test -> its failure (None: it passed) and its output, from a JUnit report."""

    def __init__(self, path):
        super().__init__()
        self.outputs = {}
        for case in xml.parse(path).iter("testcase"):
            self[case.get("name")] = case.find("failure")
            output = case.find("system-out")
            self.outputs[case.get("name")] = "" if output is None else output.text
