"""The plugin that runs portable tests, tried on a small project in a folder of its own."""

import pytest
from plugin_project import Project, Reports

from plugin.interpreters import MicroPython

FAULTS = """
import sys

import micropython
from support import cases, only

TIMEOUT_S = 2


@micropython.viper
def poke(address: int):
    target = ptr8(address)
    target[0] = 1


def compare(a, b):
    assert a == b


def test_before():
    print("not shown")


def test_failing():
    print("shown with the failure")
    compare(1, 2)


def test_raising():
    {}["absent"]


@only("micropython")
def test_crashing():
    print("last words", end="")
    poke(0)


def test_after_crash():
    pass


def test_hanging():
    print("before the hang")
    while True:
        pass


def test_after_hang():
    pass


@only("micropython")
def test_hanging_deaf():
    while True:
        try:
            while True:
                pass
        except KeyboardInterrupt:
            pass


def test_exiting():
    sys.exit(0)


@only("micropython")
def test_leaving_the_heap_locked():
    micropython.heap_lock()
    bytearray(100)


def test_after_all():
    pass


@cases((1, 2), (3, 3))
def test_table(a, b):
    assert a < b
"""

SOUND = """
import gc
import sys

from support import cases, only

HEAP = "200k"


def test_plain():
    print("\\x1e12:passed")


@cases((b"\\x40\\x01", 1), (b"", None), (b"", None), ("a [b]::c", test_plain))
def test_table(a, b):
    assert (a, b) in ((b"\\x40\\x01", 1), (b"", None), ("a [b]::c", test_plain))


@cases(1, 2)
def test_single(n):
    assert n in (1, 2)


@only("micropython")
def test_heap():
    assert sys.implementation.name == "micropython"
    assert 100_000 < gc.mem_free() + gc.mem_alloc() < 204_800


@cases(1, 2)
@only("cpython")
def test_host(n):
    assert sys.implementation.name == "cpython"
"""

BROKEN = """
import sys

if sys.implementation.name == "micropython":
    print("on the way")
    raise ValueError("does not load")


def test_one():
    pass


def test_two():
    pass
"""


def targets_of(config):
    # Emulated machines have no files beyond those that are frozen into them.
    targets = config.pluginmanager.get_plugin("portable").targets
    return [target for target in targets if isinstance(target, MicroPython)]


def pytest_generate_tests(metafunc):
    if "target" in metafunc.fixturenames:
        metafunc.parametrize("target", [target.name for target in targets_of(metafunc.config)])


@pytest.fixture(scope="module")
def faulty(tmp_path_factory, pytestconfig):
    """A project with every fault, after one run of it."""
    folder = tmp_path_factory.mktemp("faulty")
    files = {"coap/test_faults.py": FAULTS, "sensors/test_broken.py": BROKEN}
    project = Project(folder, targets_of(pytestconfig), files)
    project.done = project.pytest("--junitxml=report.xml", "-o", "junit_logging=system-out")
    project.reports = Reports(folder / "report.xml")
    return project


@pytest.fixture(scope="module")
def sound(tmp_path_factory, pytestconfig):
    folder = tmp_path_factory.mktemp("sound")
    return Project(folder, targets_of(pytestconfig), {"firmware/test_sound.py": SOUND})


def test_failure_shows_the_targets_own_traceback(faulty, target):
    failure = faulty.reports[f"test_failing[{target}]"]
    assert failure.text.startswith("Traceback (most recent call last):\n")
    assert (
        'File "tests/coap/test_faults.py", line 17, in compare\n    assert a == b' in failure.text
    )
    assert failure.text.index("in test_failing") < failure.text.index("in compare")
    assert "runner.py" not in failure.text
    assert "assert a == b" in failure.get("message")
    assert "shown with the failure" in faulty.reports.outputs[f"test_failing[{target}]"]
    assert "KeyError: absent" in faulty.reports[f"test_raising[{target}]"].text


def test_failure_on_cpython_explains_the_assertion(faulty):
    assert "assert 1 == 2" in faulty.reports["test_failing[cpython]"].get("message")


def test_crash_is_that_tests_failure(faulty, target):
    failure = faulty.reports[f"test_crashing[{target}]"]
    assert failure.text.strip() == "the interpreter died of SIGSEGV during this test"
    assert "last words" in faulty.reports.outputs[f"test_crashing[{target}]"]
    assert faulty.reports[f"test_after_crash[{target}]"] is None


def test_hang_is_that_tests_failure_and_shows_the_line(faulty, target):
    failure = faulty.reports[f"test_hanging[{target}]"]
    assert "this test gave no result within 2 s" in failure.get("message")
    assert "in test_hanging\n" in failure.text
    assert "before the hang" in faulty.reports.outputs[f"test_hanging[{target}]"]
    assert faulty.reports[f"test_after_hang[{target}]"] is None


def test_hang_that_takes_no_interrupt_is_killed(faulty, target):
    message = faulty.reports[f"test_hanging_deaf[{target}]"].get("message")
    assert "this test gave no result within 2 s" in message


def test_hang_on_cpython_fails(faulty):
    message = faulty.reports["test_hanging[cpython]"].get("message")
    assert "this test gave no result within 2 s" in message


def test_later_tests_run_in_a_clean_state(faulty, target):
    assert "SystemExit" in faulty.reports[f"test_exiting[{target}]"].text
    assert "MemoryError" in faulty.reports[f"test_leaving_the_heap_locked[{target}]"].text
    for name in ("test_before", "test_after_all"):
        assert faulty.reports[f"{name}[{target}]"] is None


def test_each_row_fails_by_itself(faulty):
    for name in faulty.names:
        assert faulty.reports[f"test_table[{name}:1-2]"] is None
        assert "a < b" in faulty.reports[f"test_table[{name}:3-3]"].text


def test_file_that_does_not_load_fails_all_its_tests(faulty, target):
    for name in ("test_one", "test_two"):
        failure = faulty.reports[f"{name}[{target}]"]
        assert "ValueError: does not load" in failure.text
        assert 'File "tests/sensors/test_broken.py", line 6, in <module>' in failure.text
        assert faulty.reports[f"{name}[cpython]"] is None


def test_summary_counts_per_interpreter(faulty):
    passed = dict.fromkeys(faulty.names, 0)
    for name, failure in faulty.reports.items():
        passed[name.partition("[")[2].rstrip("]").partition(":")[0]] += failure is None
    expected = "passed: " + ", ".join(f"{count} {name}" for name, count in passed.items())
    assert expected in faulty.done.stdout.splitlines()
    assert faulty.done.returncode == 1


def test_names_are_stable_and_readable(sound):
    rows = ["4001-1", "empty-None", "empty-None#2", "a .b...c-test_plain"]
    expected = []
    for name in sound.names:
        expected.append(f"test_plain[{name}]")
        expected += [f"test_table[{name}:{row}]" for row in rows]
        expected += [f"test_single[{name}:1]", f"test_single[{name}:2]"]
        if name == "cpython":
            expected += [f"test_host[{name}:1]", f"test_host[{name}:2]"]
        else:
            expected.append(f"test_heap[{name}]")
    assert sound.ids() == expected
    assert sound.pytest().returncode == 0


def test_selection(sound):
    file = "tests/firmware/test_sound.py"
    row = "test_table[micropython:a .b...c-test_plain]"
    assert sound.ids(f"{file}::{row}", f"{file}::test_plain[cpython]") == [
        row,
        "test_plain[cpython]",
    ]
    assert sound.ids("-k", "test_single and micropython and not 1.25") == [
        "test_single[micropython:1]",
        "test_single[micropython:2]",
    ]
    assert sound.ids(f"{file}::test_plain") == [f"test_plain[{name}]" for name in sound.names]


def test_only_the_last_failures_or_up_to_the_first(tmp_path, pytestconfig):
    text = "".join(f"def test_{x}():\n    assert '{x}' != 'b'\n" for x in "abc")
    project = Project(tmp_path, targets_of(pytestconfig), {"transports/test_x.py": text})
    every = [f"test_{letter}[{name}]" for name in project.names for letter in "abc"]
    assert project.ids() == every
    assert project.ids("--lf") == [name for name in every if name.startswith("test_b")]
    assert project.ids("-x", "-k", "micropython and not 1.25") == [
        "test_a[micropython]",
        "test_b[micropython]",
    ]


def test_what_would_never_run_is_refused(tmp_path, pytestconfig):
    refused = {
        "async def test_x():\n    pass\n": "test_x would not run",
        "def test_y():\n    yield\n": "test_y would not run",
        "class TestZ:\n    pass\n": "TestZ: portable tests are plain functions",
        "import support\n\nsupport.only('pypy')\n": "only() takes one of",
        "import support\n\nsupport.cases()\n": "cases() needs at least one row",
        "import support\n\nsupport.expected_failure('')\n": "expected_failure() needs a reason",
    }
    files = {f"coap/test_{n}.py": text for n, text in enumerate(refused)}
    done = Project(tmp_path, targets_of(pytestconfig), files).pytest()
    assert done.returncode == 2
    assert "6 errors" in done.stdout
    for says in refused.values():
        assert says in done.stdout


def test_missing_interpreter_is_named_in_one_line(sound):
    done = sound.pytest(MICROPYTHON=str(sound.folder / "absent"))
    assert done.returncode == 2
    lines = (done.stdout + done.stderr).strip().splitlines()
    assert len(lines) == 1
    assert "MICROPYTHON" in lines[0]


def test_missing_oldest_interpreter_is_left_out_with_a_line(sound):
    done = sound.pytest(MICROPYTHON_MIN="")
    assert done.returncode == 0
    assert "left out: MicroPython 1.25, which `make micropython-min` builds" in done.stdout
    assert sound.ids("-k", "1.25") == sound.ids("-k", "[micropython-1.25")


def test_wrong_oldest_interpreter_is_refused(sound):
    done = sound.pytest(MICROPYTHON_MIN=sound.environ["MICROPYTHON"])
    assert done.returncode == 2
    assert "is not 1.25" in done.stderr


EXPECTED = """
import sys

import micropython
from support import cases, expected_failure, only


@expected_failure("the sum is wrong")
def test_known():
    assert 1 + 1 == 3, "two\\nlines"


@expected_failure("the sum is wrong")
def test_repaired():
    assert 1 + 1 == 2


@expected_failure("the sum is wrong")
def test_misspelt():
    assert [].lenght == 3


@expected_failure("a key is missing", KeyError)
def test_named():
    {}["absent"]


@expected_failure("a key is missing", KeyError)
def test_named_otherwise():
    assert False


@cases(1, 2)
@expected_failure("every row fails")
def test_row(n):
    assert n > 2


@only("cpython")
@expected_failure("on the host")
def test_host():
    assert False


@expected_failure("it exits")
def test_exiting():
    sys.exit(0)


@micropython.viper
def poke(address: int):
    target = ptr8(address)
    target[0] = 1


@only("micropython")
@expected_failure("it crashes")
def test_crashing():
    poke(0)


def test_after_all():
    pass
"""


@pytest.fixture(scope="module")
def expected(tmp_path_factory, pytestconfig):
    """A project with expected failures, after one run of it; the outcomes by test."""
    folder = tmp_path_factory.mktemp("expected")
    project = Project(folder, targets_of(pytestconfig), {"coap/test_expected.py": EXPECTED})
    project.done = project.pytest("-v")
    lines = [line.partition("::")[2] for line in project.done.stdout.splitlines()]
    project.outcomes = dict(line.split()[:2] for line in lines if line.endswith("%]"))
    return project


def test_an_expected_failure_is_reported_as_one(expected):
    for name in expected.names:
        for test in (f"test_known[{name}]", f"test_row[{name}:1]", f"test_row[{name}:2]"):
            assert expected.outcomes[test] == "XFAIL", test
        assert expected.outcomes[f"test_named[{name}]"] == "XFAIL"
        assert expected.outcomes[f"test_after_all[{name}]"] == "PASSED"
    assert expected.outcomes["test_host[cpython]"] == "XFAIL"
    assert expected.done.returncode == 1


def test_an_expected_failure_that_passes_is_a_failure(expected):
    for name in expected.names:
        assert expected.outcomes[f"test_repaired[{name}]"] == "FAILED"
    assert expected.done.stdout.count("[XPASS(strict)] the sum is wrong") >= len(expected.names)


def test_another_exception_than_the_expected_one_is_a_failure(expected):
    for name in expected.names:
        for test in ("test_misspelt", "test_named_otherwise", "test_exiting"):
            assert expected.outcomes[f"{test}[{name}]"] == "FAILED", test
        if name != "cpython":
            assert expected.outcomes[f"test_crashing[{name}]"] == "FAILED"
    assert "AttributeError" in expected.done.stdout


ONCE = """
from pathlib import Path


def test_second(request):
    before = Path(__file__).with_suffix(f".{request.node.name}")
    assert before.exists() or before.touch()


def test_never():
    assert False
"""


def test_a_second_try_is_for_what_runs_in_real_time_and_is_named(tmp_path, pytestconfig):
    portable = ONCE.replace("request", "").replace("{.node.name}", "once")
    files = {"tools/test_real.py": ONCE, "coap/test_engine.py": portable}
    project = Project(tmp_path, targets_of(pytestconfig), files)
    once = ("tests/tools/test_real.py", "-k", "second")
    assert project.pytest(*once).returncode == 1
    (tmp_path / "tests/tools/test_real.test_second").unlink()
    done = project.pytest("--second-try", "-rR", *once)
    assert done.returncode == 0, done.stdout
    assert "RERUN tests/tools/test_real.py::test_second" in done.stdout
    for never in ("tests/tools/test_real.py", "tests/coap"):
        assert project.pytest("--second-try", never, "-k", "never").returncode == 1
    engine = project.pytest("--second-try", "tests/coap", "-k", "second and cpython")
    assert engine.returncode == 1, "a test of the engine is given no second try"
