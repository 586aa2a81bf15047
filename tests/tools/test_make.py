"""How make passes values to the tools: as they were typed, and none of them runs code."""

import re
import subprocess
import sys

import pytest

from setup.console import ROOT

MAKEFILES = "\n".join(
    file.read_text() for file in (ROOT / "Makefile", *(ROOT / "tools" / "make").glob("*.mk"))
)
# (target, name of a value) of every value that `make help` lists
VALUES = [
    (target, name)
    for target, text in re.findall(r"^## ([\w-]+): (.*)$", MAKEFILES, re.MULTILINE)
    for name in re.findall(r"\b([A-Z][A-Z0-9_]*)=", text)
]
TARGETS = sorted(set(re.findall(r"^([a-z][a-z-]*):(?!=)", MAKEFILES, re.MULTILINE)))


def made(target, *values):
    """Return what `make target` prints where each Python is `echo`."""
    argv = ["make", "-s", target, "PYTHON=echo", "VENV_PYTHON=echo", *values]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(("target", "name"), VALUES)
def test_no_value_runs_code(target, name, tmp_path):
    marker = tmp_path / "marker"
    for value in (
        f"$(touch {marker})",
        f"$$(touch {marker})",
        f"$(shell touch {marker})",
        f"`touch {marker}`",
        f'"; touch {marker}; "',
        f"'; touch {marker}; '",
        f"; touch {marker};",
    ):
        made(target, f"{name}={value}")
        assert not marker.exists(), value


@pytest.mark.parametrize("target", TARGETS)
def test_no_variable_is_part_of_a_command(target, tmp_path):
    """Neither one that `make help` lists nor one that only the makefiles use."""
    marker = tmp_path / "marker"
    names = sorted({*re.findall(r"^(?:override )?(\w+) \S?=", MAKEFILES, re.MULTILINE)})
    assert {"VENV", "PYTHON", "VALUES", "append", "NODE"} <= set(names)
    names += ["MAKEFILE_LIST", "name", "port"]
    values = [f"{name}=$(shell touch {marker}.{name})<{name}>" for name in names]
    argv = ["make", "-n", target, *values]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout and re.findall(r"<(\w+)>", done.stdout) == []
    assert list(tmp_path.iterdir()) == []


def test_a_python_with_a_space_in_its_path(tmp_path):
    folder = tmp_path / "my programs"
    folder.mkdir()
    (folder / "python").symlink_to("/bin/echo")
    argv = ["make", "-s", "mpy", f"PYTHON={folder / 'python'}"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "tools/build_mpy.py" in done.stdout, done.stderr


def test_values_arrive_as_they_were_typed():
    said = made("run", "PORT=5700", "HOST=a b", "APP=it's", 'FLASH="$x"')
    assert (
        'tools/simulator --play --board  --flash "$x" --app it\'s --host a b --port 5700' in said
    )
    said = made("keys", "NODE=$(x)", "HOST=1.2.3.4", "ROTATE=1")
    assert "--node $(x) --keys keys --rotate --host 1.2.3.4" in said


def test_a_switch_is_off_when_it_is_empty_0_or_no():
    for value in ("", "0", "no"):
        assert "--dry-run" not in made("deploy", f"DRY_RUN={value}")
    assert "--dry-run" in made("deploy", "DRY_RUN=1")


def test_the_host_of_every_day_is_no_host_that_was_asked_for():
    assert "--host" not in made("discover") + made("keys")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("-k 'one or other' -x", "first -k|one or other|-x"),
        ('"$HOME" `id`', "first $HOME|`id`"),
        ("", "first"),
    ],
)
def test_words_are_split_as_in_a_shell(words, expected):
    done = appended(words, "sh", "-c", 'printf "$0 "; IFS="|"; printf "%s" "$*"', "first")
    assert done.stdout.rstrip() == expected


def test_a_quote_that_does_not_end_is_one_line():
    done = appended("it's", "true")
    assert done.returncode == 2
    assert done.stderr == "ARGS: No closing quotation: quote each argument completely\n"


def appended(words, *command):
    argv = [sys.executable, ROOT / "tools" / "make" / "append_words.py", "ARGS", *command]
    return subprocess.run(
        argv, env={"PATH": "/usr/bin:/bin", "ARGS": words}, capture_output=True, text=True
    )
