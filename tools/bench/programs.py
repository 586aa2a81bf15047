"""Finds or builds what the bench runs: the C programs, the interpreters, the foreign servers."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from setup.console import CACHE, ROOT, Problem  # noqa: E402
from setup.interpreter import BUILT, find  # noqa: E402

BUILD = CACHE / "bench"
GCC_FLAGS = ("-O2", "-Wall", "-Wextra", "-Wshadow")


def c_program(name):
    """Return the path of tools/bench/<name>.c, compiled when it is older than its sources."""
    source, program = HERE / f"{name}.c", BUILD / name
    newest = max(file.stat().st_mtime for file in [source, *HERE.glob("*.h")])
    if program.exists() and program.stat().st_mtime > newest:
        return program
    if not sys.platform.startswith("linux"):
        raise Problem("the load client uses epoll: run the bench on Linux")
    gcc = installed("gcc", "gcc")
    BUILD.mkdir(parents=True, exist_ok=True)
    partial = BUILD / f"{name}.{os.getpid()}"
    built = subprocess.run(
        [gcc, *GCC_FLAGS, "-o", partial, source], capture_output=True, text=True
    )
    if built.returncode:
        raise Problem(f"gcc does not compile {source.name}: {built.stderr.splitlines()[0]}")
    partial.rename(program)  # at once, so that another run never starts half a file
    return program


def micropython():
    """Return the path of the MicroPython that the simulator uses too."""
    found, _ = find()
    path = found.path
    return str(path if path.is_absolute() else ROOT / path)


def version(interpreter):
    """Return what a MicroPython says of itself: "MicroPython v1.29.0 on ..."."""
    return first_line(interpreter, "-c", "import sys; print(sys.version.split('; ')[-1])")


def built_micropython():
    """Return the path of the MicroPython that was built here: an ordinary program to valgrind."""
    if not (ROOT / BUILT).exists():
        raise Problem("no built MicroPython: run `make micropython-min`")
    return str(ROOT / BUILT)


def valgrind():
    """Return the path of valgrind."""
    return installed("valgrind", "valgrind")


def vgdb():
    """Return the path of what talks to a program under valgrind."""
    return installed("vgdb", "valgrind")


def installed(program, package):
    """Return the path of a program."""
    if found := shutil.which(program):
        return found
    raise Problem(f"no {program}: install it (apt-get install {package})")


def libcoap_server():
    """Return the path of libcoap's example server."""
    for name in ("coap-server-notls", "coap-server"):
        if found := shutil.which(name):
            return found
    raise Problem("no coap-server-notls: install libcoap3-bin (`make setup` does, as root)")


def aiocoap_python():
    """Return the interpreter that has aiocoap."""
    if importlib.util.find_spec("aiocoap"):
        return sys.executable
    here = ROOT / ".venv" / "bin" / "python"
    if not here.exists():
        raise Problem("no aiocoap: run `make setup`")
    return str(here)


def microcoapy_folder():
    """Return the folder that holds the package microcoapy; it comes from MICROCOAPY."""
    folder = Path(os.environ.get("MICROCOAPY", ""))
    if not (folder / "microcoapy" / "microcoapy.py").exists():
        raise Problem("MICROCOAPY is not the folder that holds the package microcoapy")
    return str(folder.resolve())


def first_line(*command):
    """Return the first line that a command prints, stderr included; "unknown" when none."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    return next(iter((done.stdout + done.stderr).splitlines()), "unknown")
