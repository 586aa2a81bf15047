"""Sets up pytest: import paths as on a board, and the interpreters for the portable tests."""

import contextlib
import os
import shutil
import signal
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("coap", "transports", "senml", "sensors", "power", "firmware", "plugin")
PORTABLE = tuple(f"tests/{name}" for name in FOLDERS)
IMPORT_PATHS = ["lib", "firmware", "tests", "tools/simulator"]
PICO = ROOT / "tests" / "emulated"
# Here processes, emulators and sockets run in real time, so that a busy computer can be too slow.
REAL_TIME = [
    ROOT / "tests" / name
    for name in ("conformance", "emulated", "gateway", "hostile", "interop", "tools")
]
OLDEST = "1.25"
# What every run of the tests does on a Cortex-M3 and a RISC-V core.
SLICE = ("test_codec_parse", "test_messaging")
# No part of a test waits for so long, on any computer; of the long ones nobody knows.
LIMIT_S = 400
collect_ignore = []
# What proves that the engine works as bytecode; on a micro:bit not all of the others have room.
VECTORS = (
    *SLICE,
    "test_methods",
    "test_request",
    "test_client_tokens",
    "test_observe",
    "test_blockwise_block2",
)

sys.path[:0] = [str(ROOT / path) for path in (*IMPORT_PATHS, "tools/cpython", "tools")]

from plugin.emulated import Qemu  # noqa: E402
from plugin.interpreters import MicroPython  # noqa: E402
from plugin.limit import limited  # noqa: E402
from plugin.portable import PortableTests  # noqa: E402
from setup import interpreter, packages, qemu  # noqa: E402
from setup.console import Problem  # noqa: E402


def pytest_addoption(parser):
    parser.addoption(
        "--emulated",
        choices=("slice", "all", "none"),
        default="slice",
        help="on emulated machines: a slice beside the other tests; all, and nothing else; none",
    )
    parser.addoption(
        "--second-try",
        action="store_true",
        help="a test with processes in real time may fail once; the summary names it",
    )


def pytest_configure(config):
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # Started in the background; what is started from here has to hear Ctrl-C.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("markers", "emulated: takes long, `make test-emulated` runs it")
    config.addinivalue_line("markers", "takes(seconds): besides what any test may take")
    targets, left_out = [_current()], []
    oldest = _oldest()
    if oldest:
        targets.append(oldest)
    else:
        left_out.append(f"left out: MicroPython {OLDEST}, which `make micropython-min` builds")
    for machine, files in _machines(config.getoption("--emulated")):
        missing = packages.missing(machine.needs)
        if missing:
            names = ", ".join(missing)
            left_out.append(f"left out: {machine.title}, for which Debian has {names}")
        else:
            targets.append(Qemu(machine, files))
    if config.getoption("--emulated") != "none" and packages.missing(packages.RP2):
        names = ", ".join(packages.missing(packages.RP2))
        left_out.append(f"left out: the emulated Pico, for which Debian has {names}")
        collect_ignore.append(str(PICO))
    config.pluginmanager.register(PortableTests(ROOT, PORTABLE, targets, left_out), "portable")


def pytest_collection_modifyitems(config, items):
    extent = config.getoption("--emulated")
    long = [bool(item.get_closest_marker("emulated")) for item in items]
    pico = [PICO in item.path.parents for item in items]
    if extent == "all":
        qemu_s = [isinstance(getattr(item, "target", None), Qemu) for item in items]
        kept = [any(facts) for facts in zip(long, pico, qemu_s)]
    else:
        kept = [not a and (extent == "slice" or not b) for a, b in zip(long, pico)]
    config.hook.pytest_deselected(items=[i for i, keep in zip(items, kept) if not keep])
    items[:] = [i for i, keep in zip(items, kept) if keep]
    if config.getoption("--second-try"):
        for item in items:
            if any(folder in item.path.parents for folder in REAL_TIME):
                item.add_marker(pytest.mark.flaky(reruns=1))


def pytest_report_header(config):
    targets = config.pluginmanager.get_plugin("portable").targets
    return [f"{target.name}: {target.version} ({target.command})" for target in targets]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item):
    with _in_time(item, "the setup"):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    with _in_time(item, "this test"):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item):
    with _in_time(item, "the teardown"):
        return (yield)


def _in_time(item, what):
    if item.config.getoption("--emulated") == "all":
        return contextlib.nullcontext()
    longer = item.get_closest_marker("takes")
    return limited(LIMIT_S + (longer.args[0] if longer else 0), what)


def _machines(extent):
    """Pairs of a machine of QEMU and the files that run there, None for all that can."""
    if extent == "all":
        machines = qemu.MACHINES.values()
        return [(machine, None if machine.native else VECTORS) for machine in machines]
    if extent == "slice":
        return [(qemu.MACHINES[name], SLICE) for name in ("MPS2_AN385", "VIRT_RV32")]
    return []


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
