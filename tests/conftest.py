"""Sets up pytest: import paths as on a board, and the interpreters for the portable tests."""

import os
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("coap", "transports", "senml", "sensors", "firmware", "plugin")
PORTABLE = tuple(f"tests/{name}" for name in FOLDERS)
IMPORT_PATHS = ["lib", "firmware", "tests", "tools/simulator"]
OLDEST = "1.25"

sys.path[:0] = [str(ROOT / path) for path in (*IMPORT_PATHS, "tools/cpython", "tools")]

from plugin.interpreters import MicroPython  # noqa: E402
from plugin.portable import PortableTests  # noqa: E402
from setup import interpreter  # noqa: E402
from setup.console import Problem  # noqa: E402


def pytest_configure(config):
    targets, left_out = [_current()], []
    oldest = _oldest()
    if oldest:
        targets.append(oldest)
    else:
        left_out.append(f"left out: MicroPython {OLDEST}, which `make micropython-min` builds")
    config.pluginmanager.register(PortableTests(ROOT, PORTABLE, targets, left_out), "portable")


def pytest_report_header(config):
    targets = config.pluginmanager.get_plugin("portable").targets
    return [f"{target.name}: {target.version} ({target.command})" for target in targets]


def _current():
    try:
        found, _ = interpreter.find(ROOT, os.environ)
    except Problem as problem:
        pytest.exit(str(problem), returncode=2)
    return _target("micropython", found)


def _oldest():
    """Return the oldest MicroPython that is supported, None where there is none."""
    named = os.environ.get("MICROPYTHON_MIN")
    path = Path(shutil.which(named) or named) if named else ROOT / interpreter.BUILT
    if not named and not path.exists():
        return None
    found = interpreter.probe(path, "MICROPYTHON_MIN" if named else "built from source")
    if not found.usable:
        fix = "unset MICROPYTHON_MIN" if named else "run `make clean micropython-min`"
        pytest.exit(f"{found.complaint()}; {fix}", returncode=2)
    if not _version(found).startswith(OLDEST):
        pytest.exit(f"{found} is not {OLDEST}: correct MICROPYTHON_MIN", returncode=2)
    return _target(f"micropython-{OLDEST}", found)


def _target(name, found):
    return MicroPython(name, found.path.absolute(), _version(found), ROOT, IMPORT_PATHS)


def _version(found):
    return ".".join(str(number) for number in found.version)
