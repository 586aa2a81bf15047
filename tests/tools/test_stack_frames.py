"""The frame listing against what the interpreters really do."""

import subprocess
import sys
from pathlib import Path

import pytest

from plugin.interpreters import MicroPython
from size import stack_frames

ROOT = Path(__file__).resolve().parents[2]

NESTED = """
import micropython

def outer():
    def get():
        return [n for n in range(3)]
    return get

class First:
    def get(self):
        return 1

class Second:
    @property
    def get(self):
        a, b, c, d, e, f, g, h, i, j, k = range(11)
        return a

    class Inner:
        def get(self):
            try:
                return lambda: 1
            except ValueError:
                return 2

@micropython.viper
def get(n: int) -> int:
    return n
"""


def pytest_generate_tests(metafunc):
    if "target" in metafunc.fixturenames:
        targets = metafunc.config.pluginmanager.get_plugin("portable").targets
        targets = [target for target in targets if isinstance(target, MicroPython)]
        metafunc.parametrize("target", targets, ids=lambda target: target.name)


def functions_of_all_sizes():
    """Functions `plain_0` ... with ever more locals, and the same with `try` one and two deep."""
    for count in range(1, 12):
        names = " = ".join(f"v{n}" for n in range(count))
        yield f"plain_{count}", f"    {names} = 1\n"
        yield f"tried_{count}", f"    try:\n        {names} = 1\n    finally:\n        pass\n"
        yield (
            f"twice_{count}",
            f"    try:\n        try:\n            {names} = 1\n"
            "        except ValueError:\n            pass\n"
            "    except TypeError:\n        pass\n",
        )


def test_heap_frames_are_exactly_those_listed(target, tmp_path):
    functions = dict(functions_of_all_sizes())
    source = tmp_path / "sizes.py"
    source.write_text("".join(f"def {name}():\n{body}" for name, body in functions.items()))
    listed = {frame.name: frame for frame in stack_frames.frames(source, target.command)}
    assert {listed[name].words for name in functions} >= {10, 11, 12, 13}

    probe = "import sizes, support\n" + "".join(
        f"print('{name}', support.allocated(sizes.{name}))\n" for name in functions
    )
    done = subprocess.run(
        [target.command, "-c", probe],
        env={"MICROPYPATH": f"{tmp_path}:{ROOT / 'tests'}"},
        capture_output=True,
        text=True,
        check=True,
    )
    measured = dict(line.split() for line in done.stdout.splitlines())
    assert measured.keys() == functions.keys()
    for name, size in measured.items():
        assert (int(size) > 0) == listed[name].on_heap, (listed[name], size)


def test_names_are_qualified(target, tmp_path):
    source = tmp_path / "nested.py"
    source.write_text(NESTED)
    found = {frame.name: frame for frame in stack_frames.frames(source, target.command)}
    assert found.keys() == {
        "<module>",
        "outer",
        "outer.get",
        "outer.get.<listcomp>",
        "First",
        "First.get",
        "Second",
        "Second.get",
        "Second.Inner",
        "Second.Inner.get",
        "Second.Inner.get.<lambda>",
    }
    assert found["Second.get"].n_state > 11
    assert found["First.get"].n_state < 5
    assert found["Second.Inner.get"].n_exc_stack == 1
    assert [name for name, frame in found.items() if frame.on_heap] == ["Second.get"]


def run(*arguments, **environ):
    return subprocess.run(
        [sys.executable, ROOT / "tools/size/stack_frames.py", *arguments],
        capture_output=True,
        text=True,
        env=environ or None,
        check=False,
    )


def test_command_lists_large_functions(tmp_path):
    source = tmp_path / "nested.py"
    source.write_text(NESTED)
    done = run(source)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{source}: Second.get: ")
    assert done.stdout.endswith(" words\n")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "usage: "),
        (["missing.py"], "missing.py: No such file"),
        ([ROOT / "LICENSE"], "invalid syntax"),
    ],
)
def test_mistakes_are_named_in_one_line(arguments, says):
    done = run(*arguments)
    assert done.returncode == 2
    assert says in done.stderr
    assert done.stderr.count("\n") == 1


def test_interpreter_without_listing_is_refused(tmp_path):
    mute = tmp_path / "mute"
    mute.write_text("#!/bin/sh\nexit 0\n")
    mute.chmod(0o755)
    with pytest.raises(stack_frames.CompileError, match="no debug printers"):
        stack_frames.frames(Path(stack_frames.__file__), mute)
