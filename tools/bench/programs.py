"""Find or build what the bench runs: the load clients, the interpreters, the foreign servers."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))

from setup.console import CACHE, ROOT, Problem  # noqa: E402
from setup.interpreter import find  # noqa: E402

BUILD = CACHE / "bench"
GCC_FLAGS = ("-O2", "-Wall", "-Wextra", "-Wshadow")


def load_client(name):
    """Return the path of tools/bench/<name>.c, compiled when it is older than its sources."""
    source, program = HERE / f"{name}.c", BUILD / name
    newest = max(file.stat().st_mtime for file in [source, *HERE.glob("*.h")])
    if program.exists() and program.stat().st_mtime > newest:
        return program
    if not sys.platform.startswith("linux"):
        raise Problem("the load client uses epoll: run the bench on Linux")
    gcc = shutil.which("gcc")
    if gcc is None:
        raise Problem("no gcc: install it (apt-get install gcc)")
    BUILD.mkdir(parents=True, exist_ok=True)
    partial = BUILD / f"{name}.{os.getpid()}"
    command = [gcc, *GCC_FLAGS, "-o", partial, source]
    built = subprocess.run(command, capture_output=True, text=True)
    if built.returncode:
        raise Problem(f"gcc does not compile {source.name}: {built.stderr.splitlines()[0]}")
    partial.rename(program)  # at once, so that another run never starts half a file
    return program


def micropython():
    """Return the path of the MicroPython that the simulator uses too. Raises Problem."""
    found, _ = find()
    return str(found.path if found.path.is_absolute() else ROOT / found.path)


def libcoap(program):
    """Return the path of libcoap's example "coap-server" or "coap-client". Raises Problem."""
    found = shutil.which(f"{program}-notls") or shutil.which(program)
    if found is None:
        raise Problem(f"no {program}-notls: install libcoap3-bin (`make setup` does, as root)")
    return found


def libcoap_server():
    """Return the path of libcoap's example server. Raises Problem."""
    return libcoap("coap-server")


def aiocoap_python():
    """Return the interpreter that has aiocoap. Raises Problem."""
    if importlib.util.find_spec("aiocoap"):
        return sys.executable
    here = ROOT / ".venv" / "bin" / "python"
    if not here.exists():
        raise Problem("no aiocoap: run `make setup`")
    return str(here)


def microcoapy_folder():
    """Return the folder that holds the package microcoapy, named by MICROCOAPY. Raises Problem."""
    folder = Path(os.environ.get("MICROCOAPY", ""))
    if not (folder / "microcoapy" / "microcoapy.py").exists():
        raise Problem("MICROCOAPY is not the folder that holds the package microcoapy")
    return str(folder.resolve())
