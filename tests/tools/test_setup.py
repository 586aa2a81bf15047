"""The set-up: which MicroPython is taken, what is said when something is missing."""

import importlib
import os
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from fold import folded
from setup import interpreter, micropython, packages, plain
from setup.console import CACHE, ROOT, Problem, lock, run

COMPLETE = ("socket", "select", "hashlib.sha256", "cryptolib", "asyncio", "viper")


def fake(path, version="1.27.0", has=COMPLETE, name="micropython"):
    """A program that answers the probe like a MicroPython with these abilities."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{name} {version}", *(f"has {ability}" for ability in has)]
    path.write_text("#!/bin/sh\n" + "".join(f"echo {line}\n" for line in lines))
    path.chmod(0o755)
    return path


def without(*names):
    return tuple(ability for ability in COMPLETE if ability not in names)


# Which MicroPython


def test_the_real_one_passes_the_probe():
    found, _ = interpreter.find()
    assert found.version >= (1, 25)


def test_each_check_of_the_probe_can_fail(tmp_path):
    for module in ("socket", "select", "hashlib", "cryptolib", "asyncio"):
        (tmp_path / f"{module}.py").write_text("raise ImportError")
    text = f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\n" + interpreter.PROBE
    text = text.replace("return a + 1", "return a + undefined_name + 2")
    assert "undefined_name" in text
    real, _ = interpreter.find()
    said = subprocess.run([real.path, "-c", text], capture_output=True, text=True).stdout
    lacks = [line.split()[1] for line in said.splitlines() if line.startswith("lacks")]
    assert lacks == list(COMPLETE)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"version": "1.24.1"}, "lacks age: it is 1.24.1, needed is 1.25 or newer"),
        ({"version": "1.9.4"}, "it is 1.9.4"),
        ({"has": without("cryptolib")}, "lacks cryptolib"),
        ({"has": without("socket", "select")}, "lacks socket, select"),
        ({"name": "cpython"}, "it is not a MicroPython"),
        ({"version": "unknown"}, "it is not a MicroPython"),
    ],
)
def test_what_a_candidate_lacks_is_named(tmp_path, options, complaint):
    path = fake(tmp_path / "mpy", **options)
    with pytest.raises(Problem) as raised:
        interpreter.find(tmp_path, {"MICROPYTHON": str(path)})
    assert complaint in str(raised.value)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_no_program(tmp_path):
    path = tmp_path / "mpy"
    path.write_text("hello")
    with pytest.raises(Problem, match="a program that starts"):
        interpreter.find(tmp_path, {"MICROPYTHON": str(path)})


def test_a_program_that_hangs(tmp_path, monkeypatch):
    monkeypatch.setattr(interpreter, "PROBE_TIMEOUT_S", 0.2)
    path = tmp_path / "mpy"
    path.write_text("#!/bin/sh\nexec sleep 20\n")
    path.chmod(0o755)
    with pytest.raises(Problem, match="not a MicroPython"):
        interpreter.find(tmp_path, {"MICROPYTHON": str(path)})


def test_order_of_the_candidates(tmp_path):
    built = fake(tmp_path / interpreter.BUILT)
    on_path = fake(tmp_path / "bin" / "micropython")
    wheel = fake(tmp_path / interpreter.WHEEL)
    asked = fake(tmp_path / "asked")
    environ = {"PATH": str(on_path.parent), "MICROPYTHON": str(asked)}

    def chosen():
        found, refused = interpreter.find(tmp_path, environ)
        assert refused == []
        return found.path, found.origin

    assert chosen() == (asked, "MICROPYTHON")
    del environ["MICROPYTHON"]
    assert chosen() == (wheel, "wheel")
    wheel.unlink()
    assert chosen() == (on_path, "PATH")
    on_path.unlink()
    assert chosen() == (built, "built from source")
    built.unlink()
    with pytest.raises(Problem, match="none is installed; run `make setup`"):
        chosen()


def test_an_unusable_one_is_passed_over_by_name(tmp_path):
    wheel = fake(tmp_path / interpreter.WHEEL, has=without("cryptolib"))
    on_path = fake(tmp_path / "bin" / "micropython")
    found, refused = interpreter.find(tmp_path, {"PATH": str(on_path.parent)})
    assert found.path == on_path
    assert refused == [f"{wheel} (wheel) lacks cryptolib"]


def test_one_without_machine_code_is_taken_when_there_is_no_better(tmp_path):
    wheel = fake(tmp_path / interpreter.WHEEL, has=without("viper"))
    environ = {"PATH": str(tmp_path / "bin")}
    assert interpreter.find(tmp_path, environ)[0].path == wheel
    on_path = fake(tmp_path / "bin" / "micropython")
    found, refused = interpreter.find(tmp_path, environ)
    assert (found.path, found.viper, refused) == (on_path, True, [])


def test_plain_modules_hold_no_machine_code():
    lib = folded(native=False) / "lib"
    texts = {path.name: path.read_bytes() for path in lib.rglob("*.py")}
    assert len(texts) == len({path.name for path in (ROOT / "lib").rglob("*.py")})
    assert plain.POINTERS in texts["codec.py"]
    assert not any(plain.DECORATOR.search(text) for text in texts.values())
    real, _ = interpreter.find()
    argv = [real.path, "-c", "from coap import codec; print(type(codec.parse))"]
    environ = {**os.environ, "MICROPYPATH": f"{lib}:.frozen"}
    said = subprocess.run(argv, env=environ, capture_output=True, text=True).stdout
    assert said == "<class 'function'>\n"


def test_all_unusable_ones_are_named(tmp_path):
    fake(tmp_path / interpreter.WHEEL, has=without("cryptolib"))
    on_path = fake(tmp_path / "bin" / "micropython", version="1.20.0")
    with pytest.raises(Problem) as raised:
        interpreter.find(tmp_path, {"PATH": str(on_path.parent)})
    assert "(wheel) lacks cryptolib; " in str(raised.value)
    assert "(PATH) lacks age: it is 1.20.0" in str(raised.value)


def test_a_wrong_MICROPYTHON_ends_the_setup_with_one_line():
    environ = {**os.environ, "MICROPYTHON": "/nowhere/micropython"}
    argv = [sys.executable, "tools/setup", "interpreter"]
    done = subprocess.run(argv, cwd=ROOT, env=environ, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"MICROPYTHON=/nowhere/micropython .* unset MICROPYTHON\n", done.stderr)


def test_an_interpreter_is_built_when_none_is_usable(monkeypatch, capsys):
    steps = importlib.import_module("setup.__main__")
    monkeypatch.delenv("MICROPYTHON", raising=False)
    built = []

    def find():
        if not built:
            raise Problem("no usable MicroPython: none is installed")
        return "the built one", []

    monkeypatch.setattr(interpreter, "find", find)
    monkeypatch.setattr(micropython, "oldest", lambda: built.append(True))
    assert steps.get_interpreter() == "the built one"
    assert "building one" in capsys.readouterr().out


# Building it


@pytest.fixture
def no_programs(tmp_path, monkeypatch):
    """The folder that is PATH: the programs that there are."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    return folder


def test_without_a_mirror_a_step_is_left_out_with_one_line(
    no_programs, tmp_path, monkeypatch, capsys
):
    steps = importlib.import_module("setup.__main__")
    monkeypatch.delenv("DEBIAN_MIRROR", raising=False)
    monkeypatch.setattr(packages, "KEYRING", fake(tmp_path / "keyring"))
    for name in ("gcc", "make", "dpkg-source", "dpkg-deb"):
        fake(no_programs / name, name="nothing of")
    (no_programs / "apt-get").write_text("#!/bin/sh\n")
    (no_programs / "apt-get").chmod(0o755)
    cache = tmp_path / "cache"
    steps.attempt(lambda: micropython.oldest(cache), "tests on MicroPython 1.25")
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("Left out are tests on MicroPython 1.25: no Debian mirror is known")
    assert "DEBIAN_MIRROR" in last
    assert not (cache / "sources").exists()


def test_missing_build_tools_are_named(no_programs, tmp_path, monkeypatch):
    with pytest.raises(Problem, match="needs Debian packages: sudo apt-get install gcc make dpkg"):
        micropython.sources(tmp_path)
    for package in packages.UNIX:
        fake(no_programs / package.programs)
    monkeypatch.setattr(micropython, "MPY_CROSS", tmp_path / "none")
    with pytest.raises(Problem, match="needs mpy-cross: run `make setup`"):
        micropython.sources(tmp_path)
    (no_programs / "dpkg-source").unlink()
    with pytest.raises(Problem, match="fetching from Debian needs apt-get, dpkg-source, dpkg-deb"):
        packages.unpacked("name", ["package"], cache=tmp_path)


def test_a_mirror_that_does_not_answer_leaves_nothing(tmp_path, monkeypatch):
    def fetch(folder, *_):
        folder.mkdir()
        raise Problem("no mirror")

    monkeypatch.setattr(packages, "_fetch", fetch)
    with pytest.raises(Problem, match="no mirror"):
        packages.unpacked("name", ["package"], cache=tmp_path)
    assert not (tmp_path / "name").exists()


def test_an_image_is_built_once_per_change(tmp_path, capsys):
    module = tmp_path / "module.py"
    module.write_text("1")

    def make(text="x"):
        folder, target = tmp_path / "build" / "image", tmp_path / "target"
        copy = ("sh", "-c", f"cat {module} >> {folder}/program; echo {text} >> {folder}/program")
        recipe = micropython.Recipe(
            "image", "the image", (("copying", copy),), ("program",), target, inputs=(module,)
        )
        (program,) = micropython.build(recipe, tmp_path)
        return program, program.read_text()

    program, text = make()
    assert text == "1x\n"
    assert make() == (program, text)
    module.write_text("2")
    assert make() == (program, "1x\n2x\n")  # in the same folder, so that make can save work
    assert make("y") == (program, "2y\n")  # other commands: nothing old is used
    program.unlink()
    assert make("y") == (program, "2y\n2y\n")
    assert capsys.readouterr().out.count("Building the image") == 4


# Packages


def test_make_names_the_fix_for_an_old_python(tmp_path):
    old = tmp_path / "python"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    argv = ["make", "setup", f"PYTHON={old}"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True)
    first, *rest = done.stderr.splitlines()
    assert done.returncode == 2
    assert first == "Python 3.11 or newer is needed: install it, or name one: make PYTHON=path"
    assert all(line.startswith("make") for line in rest)


@pytest.mark.parametrize("needs", [packages.EVERYDAY, packages.RP2, packages.QEMU_RISCV])
def test_without_root_the_missing_packages_are_named_in_one_line(no_programs, needs):
    names = " ".join(package.name for package in needs)
    with pytest.raises(Problem) as raised:
        packages.require(needs, "this")
    assert str(raised.value) == f"this needs Debian packages: sudo apt-get install {names}"
    for package in needs:
        fake(no_programs / package.programs.split()[-1])
    assert packages.missing(needs) == []


def test_root_gets_the_missing_packages_installed(no_programs, monkeypatch):
    ran = []

    def run(argv, what, **options):
        ran.append(argv)
        if argv[-2:] == ["install", "ninja-build"]:
            fake(no_programs / "ninja")

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(packages, "run", run)
    for name in ("apt-get", "cmake"):
        fake(no_programs / name)
    two = [packages.Package("cmake", "cmake"), packages.Package("ninja-build", "ninja")]
    packages.require(two, "firmware")
    assert [argv[-1] for argv in ran] == ["update", "ninja-build"]


def test_a_compiler_without_its_library_is_found_out():
    """The compiler of this computer stands in: it answers the same question."""
    assert not packages.Package("libc6-dev", "gcc", "libc.so").is_missing()
    assert packages.Package("nothing", "gcc", "no-such-library.a").is_missing()


def test_no_node_and_an_old_one_name_the_fix(no_programs, tmp_path):
    (tmp_path / "package-lock.json").write_text("{}")
    with pytest.raises(Problem, match="Node.js 20 or newer is not installed"):
        packages.install_from_npm(tmp_path, tmp_path)
    (no_programs / "node").write_text("#!/bin/sh\necho v16.20.0\n")
    (no_programs / "node").chmod(0o755)
    with pytest.raises(Problem, match="v16.20.0 is too old"):
        packages.install_from_npm(tmp_path, tmp_path)


@pytest.mark.parametrize("program", [packages.LIBCOAP_CLIENT, packages.LIBCOAP_SERVER])
def test_libcoap_runs_and_has_oscore(program):
    command = [str(word) for word in [*packages.libcoap(program), "-h"]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert "Have OSCORE" in done.stdout + done.stderr


def test_a_computer_that_debian_does_not_know(monkeypatch):
    monkeypatch.setattr(packages.platform, "machine", lambda: "riscv128")
    with pytest.raises(Problem, match="riscv128"):
        packages.libcoap(packages.LIBCOAP_CLIENT)


def test_requirements_are_pinned():
    for line in (ROOT / "requirements-dev.txt").read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            assert re.match(r"[\w-]+==[\w.]+(?=$|;|\s)", line), line


def test_requirements_are_complete():
    """Setup installs what is listed and nothing else."""
    lines = (ROOT / "requirements-dev.txt").read_text().splitlines()
    listed = {canonicalize_name(re.match(r"[\w-]*", line)[0]) for line in lines}
    for name in listed - {"", "heartpy", "e2epyppg"}:
        try:
            needed = requires(name) or []
        except PackageNotFoundError:
            continue  # not for this computer
        for each in map(Requirement, needed):
            wanted = each.marker is None or each.marker.evaluate({"extra": ""})
            assert not wanted or canonicalize_name(each.name) in listed, (name, each)


def test_the_npm_lock_names_no_registry():
    text = (ROOT / "tools/js/package-lock.json").read_text()
    assert '"integrity"' in text
    assert '"resolved"' not in text


def test_a_second_setup_installs_nothing():
    stamp = ROOT / ".venv" / "stamp"
    before = stamp.stat().st_mtime_ns
    packages.install_from_pypi()
    assert stamp.stat().st_mtime_ns == before


def test_what_is_linked_is_not_emptied(tmp_path):
    another = tmp_path / "another"
    another.mkdir()
    (another / "stamp").write_text("made there\n")
    (tmp_path / "requirements-dev.txt").write_text("")
    (tmp_path / ".venv").symlink_to(another)
    with pytest.raises(Problem, match="is a link to another folder's"):
        packages.install_from_pypi(tmp_path, tmp_path)
    assert (another / "stamp").read_text() == "made there\n"


# What the steps share


def test_a_failed_step_names_its_last_line_and_the_log(tmp_path):
    with pytest.raises(Problem) as raised:
        run(["sh", "-c", "echo one; echo two >&2; exit 3"], "the step", tmp_path)
    assert str(raised.value).startswith("the step failed: two (whole output: ")
    log = Path(str(raised.value).rpartition(": ")[2].rstrip(")"))
    assert log.read_text().splitlines()[1:] == ["one", "two"]


def test_a_missing_program_is_a_problem(tmp_path):
    with pytest.raises(Problem, match="cannot start /nowhere/x: No such file"):
        run(["/nowhere/x"], "the step", tmp_path)


def test_two_setups_take_turns(tmp_path):
    text = "from setup.console import lock; import sys, pathlib\n"
    text += "with lock('setup', pathlib.Path(sys.argv[1])): print('in')\n"
    argv = [sys.executable, "-c", text, str(tmp_path)]
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "tools")}
    with lock("setup", tmp_path):
        other = subprocess.Popen(argv, env=environ, stdout=subprocess.PIPE)
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(0.3)
    assert other.communicate(timeout=60)[0] == b"in\n"


def test_help_shows_the_everyday_targets_first():
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True)
    targets = re.findall(r"^  make ([\w-]+) +\S", done.stdout, re.MULTILINE)
    assert targets[:6] == ["run", "setup", "test", "lint", "deploy", "bench"]
    assert len(set(targets)) == len(targets) > 6


def test_the_cache_is_ignored_by_git():
    for path in (CACHE, ROOT / ".venv", ROOT / "tools/js/node_modules"):
        done = subprocess.run(["git", "check-ignore", "-q", path], cwd=ROOT)
        assert done.returncode == 0, path
