"""The packages around Mote: .venv from requirements-dev.txt, tools/js from npm, Debian's own.

Each step compares a stamp with what it would do, so that a second `make setup` does nothing.
"""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys

from setup.console import CACHE, ROOT, Problem, run, say

OLDEST_PYTHON = (3, 11)
# Any of the programs -> the Debian package that brings it, and what it is for.
PROGRAMS = (
    (("coap-client-notls", "coap-client"), "libcoap3-bin", "tests with libcoap's client"),
    (("gcc",), "gcc", "the load client and MicroPython 1.25"),
    (("dpkg-source",), "dpkg-dev", "MicroPython 1.25"),
)
NPM = ROOT / "tools" / "js"


def check_python(version=sys.version_info):
    """Raises Problem when this Python is too old for Mote's tools."""
    if tuple(version[:2]) < OLDEST_PYTHON:
        raise Problem(
            f"Python {version[0]}.{version[1]} is too old: install 3.11 or newer, "
            "or name one with `make PYTHON=path`"
        )


def missing_packages(which=shutil.which):
    """Debian packages whose programs are not on PATH, as (package, purpose)."""
    lacking = [
        (package, purpose)
        for names, package, purpose in PROGRAMS
        if not any(which(name) for name in names)
    ]
    if importlib.util.find_spec("ensurepip") is None:
        lacking.append(("python3-venv", ".venv"))
    return lacking


def install_packages(which=shutil.which):
    """Installs what everyday work needs from Debian as root; otherwise one line names it."""
    install(missing_packages(which), which)


def install(lacking, which=shutil.which):
    """Installs Debian packages, given as (package, purpose), as root; else one line names them."""
    if not lacking:
        return
    names = [package for package, _ in lacking]
    purposes = ", ".join(sorted({purpose for _, purpose in lacking}))
    if not which("apt-get"):
        say(f"Not found on this machine (for {purposes}): {', '.join(names)}")
    elif os.geteuid() != 0:
        say(f"For {purposes}: sudo apt-get install {' '.join(names)}")
    else:
        say(f"Installing {', '.join(names)}")
        environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        apt = ["apt-get", "-q", "-y", "--no-install-recommends", "-oDPkg::Lock::Timeout=300"]
        apt += ["install", *names]
        try:
            run(["apt-get", "-q", "update"], "apt-get update", env=environ)
            run(apt, "apt-get install", env=environ)
        except Problem as problem:
            say(str(problem))


def install_python_packages(root=ROOT, cache=CACHE):
    """Brings .venv to what requirements-dev.txt says."""
    wanted = root / "requirements-dev.txt"
    folder = root / ".venv"
    stamp = folder / "stamp"
    # A virtual environment works neither from another folder nor with another Python.
    place = (
        f"{root} {sys.version_info[0]}.{sys.version_info[1]} {os.path.realpath(sys.executable)}"
    )
    contents = hashlib.sha256(wanted.read_bytes()).hexdigest()
    before = stamp.read_text().splitlines() if stamp.exists() else []
    if before == [place, contents]:
        return
    if folder.is_symlink():
        raise Problem(f"{folder} is a link to another folder's: remove it, then `make setup`")
    if before[:1] != [place]:
        say("Creating .venv")
        run([sys.executable, "-m", "venv", "--clear", folder], "virtual environment", cache)
    say("Installing the Python packages of requirements-dev.txt (once, about a minute)")
    pip = [folder / "bin" / "python", "-m", "pip", "--disable-pip-version-check"]
    run([*pip, "install", "-r", wanted], "pip install", cache)
    stamp.write_text(f"{place}\n{contents}\n")


def install_npm_packages(folder=NPM, cache=CACHE, which=shutil.which):
    """Brings tools/js/node_modules to what package-lock.json says."""
    stamp = folder / "node_modules" / "stamp"
    contents = hashlib.sha256((folder / "package-lock.json").read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == contents:
        return
    if not (which("node") and which("npm")):
        say("Node.js 20 or newer and npm are not installed: tests with node's client, pyright")
        return
    major = subprocess.run(["node", "--version"], capture_output=True, text=True).stdout
    if not major.startswith("v") or int(major[1:].split(".")[0]) < 20:
        say(
            f"Node.js {major.strip()} is too old (needed is 20): tests with node's client, pyright"
        )
        return
    say("Installing the npm packages of tools/js")
    run(["npm", "ci", "--no-audit", "--no-fund"], "npm ci", cache, cwd=folder)
    stamp.write_text(contents)
