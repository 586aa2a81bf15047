"""Packages that Mote's tools need: programs from Debian, .venv from PyPI, tools/js from npm.

Programs are installed with apt-get as root; otherwise one line says what to install. Sources and
libraries that are used within this project only are unpacked into the cache, which needs no root.
Each step compares a stamp with what it would do, so that a second `make setup` does nothing.
"""

import hashlib
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from setup.console import CACHE, ROOT, Problem, lock, run, say

OLDEST_NODE = 20
NPM = ROOT / "tools" / "js"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
SUITE = "trixie"  # where sources, and libcoap with OSCORE, come from
LIBCOAP = ("libcoap3-bin", "libcoap3t64", "libssl3t64", "libc6", "zlib1g", "libzstd1")
LIBCOAP_CLIENT = "coap-client-openssl"
LIBCOAP_SERVER = "coap-server-openssl"
LOADERS = {"x86_64": "ld-linux-x86-64.so.2", "aarch64": "ld-linux-aarch64.so.1"}
ARM = "arm-none-eabi-gcc"
RISCV = "riscv64-unknown-elf-gcc"


@dataclass(frozen=True)
class Package:
    """A Debian package, and how to check that its content is installed, by apt-get or otherwise.

    Attributes:
        programs: any of these, separated by spaces, is on PATH.
        file: the program, a compiler, finds this file in its own folders.
        module: this Python has the module.
    """

    name: str
    programs: str = "python3"
    file: str = ""
    module: str = ""

    def is_missing(self, which=shutil.which):
        """Return True when neither this package nor another one brought the content."""
        if not any(which(program) for program in self.programs.split()):
            return True
        if self.module:
            importlib.invalidate_caches()
            return importlib.util.find_spec(self.module) is None
        if not self.file:
            return False
        argv = [self.programs, f"-print-file-name={self.file}"]
        found = subprocess.run(argv, capture_output=True, text=True).stdout.strip()
        return found == self.file  # gcc prints a name that it does not find as it was given


# One list for each thing that is built or run.
UNIX = (Package("gcc", "gcc"), Package("make", "make"), Package("dpkg-dev", "dpkg-source"))
EVERYDAY = (
    Package("libcoap3-bin", "coap-client-notls coap-client"),
    *UNIX,
    Package("python3-venv", module="ensurepip"),
)
ARM_COMPILER = (
    Package("gcc-arm-none-eabi", ARM),
    Package("libnewlib-arm-none-eabi", ARM, "libc.a"),
)
RP2 = (
    *ARM_COMPILER,
    Package("libstdc++-arm-none-eabi-newlib", ARM, "libstdc++.a"),
    Package("g++", "c++"),
    Package("cmake", "cmake"),
    Package("ninja-build", "ninja"),
)
GATEWAY_TESTS = (Package("chromium", "chromium"), Package("systemd", "systemd-analyze"))
QEMU_ARM = (*ARM_COMPILER, Package("qemu-system-arm", "qemu-system-arm"))
QEMU_RISCV = (
    Package("gcc-riscv64-unknown-elf", RISCV),
    Package("picolibc-riscv64-unknown-elf", RISCV, "picolibc.specs"),
    Package("qemu-system-misc", "qemu-system-riscv32"),
)


def missing(packages, which=shutil.which):
    """Return the names of the Debian packages whose content is not on this computer."""
    return [package.name for package in packages if package.is_missing(which)]


def require(packages, purpose, which=shutil.which):
    """Install as root the Debian packages that are missing.

    Raises:
        Problem: one cannot be installed, or this is not root; the line names the packages.
    """
    names = missing(packages, which)
    if names and os.geteuid() == 0 and which("apt-get"):
        say(f"Installing {', '.join(names)}")
        environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        apt = ["apt-get", "-q", "-y", "--no-install-recommends", "-oDPkg::Lock::Timeout=300"]
        run(["apt-get", "-q", "update"], "apt-get update", env=environ)
        run([*apt, "install", *names], "apt-get install", env=environ)
        names = missing(packages, which)
    if names:
        raise Problem(f"{purpose} needs Debian packages: sudo apt-get install {' '.join(names)}")


def unpacked(name, packages, suite=SUITE, kind="deb", cache=CACHE):
    """Return the folder `name` of the cache with Debian packages in it, fetched on first use.

    An apt-get with a state of its own uses this computer's mirror and checks signatures.

    Args:
        suite: the release of Debian; None for that of this computer.
        kind: "deb" unpacks binary packages into the folder, "deb-src" sources into subfolders.

    Raises:
        Problem: a tool, the keyring or the mirror is missing, or the mirror lacks a package.
    """
    folder = cache / name
    done = folder / "unpacked"
    with lock(name, cache):
        if not done.exists():
            say(f"Fetching {', '.join(packages)} from Debian (once, a few seconds)")
            try:
                _fetch(folder, packages, suite or _release(), kind, cache)
            except Problem:
                shutil.rmtree(folder, ignore_errors=True)
                raise
            done.touch()
    return folder


def _fetch(folder, packages, suite, kind, cache):
    tools = [name for name in ("apt-get", "dpkg-source", "dpkg-deb") if not shutil.which(name)]
    if tools:
        raise Problem(f"fetching from Debian needs {', '.join(tools)}")
    if not KEYRING.exists():
        raise Problem("fetching from Debian needs the package debian-archive-keyring")
    mirror = os.environ.get("DEBIAN_MIRROR") or _mirror()
    shutil.rmtree(folder, ignore_errors=True)
    state = folder / "apt"
    for part in ("lists/partial", "cache/archives/partial"):
        (state / part).mkdir(parents=True)
    listing = state / "sources.list"
    listing.write_text(f"{kind} [signed-by={KEYRING}] {mirror} {suite} main\n")
    apt = ["apt-get", "-q", f"-oDir::State::Lists={state}/lists", f"-oDir::Cache={state}/cache"]
    apt += [f"-oDir::Etc::SourceList={listing}", "-oDir::Etc::SourceParts=/dev/null"]
    apt += ["-oAcquire::Languages=none", "-oAPT::Update::Error-Mode=any"]
    if os.geteuid() == 0:
        apt += ["-oAPT::Sandbox::User=root"]  # apt's own user may not read this folder
    run([*apt, "update"], "apt-get update", cache, cwd=folder)
    order = ["download"] if kind == "deb" else ["source", "--only-source"]
    names = [f"{name}/{suite}" for name in packages]
    run([*apt, *order, *names], f"apt-get {order[0]}", cache, cwd=folder)
    for package in folder.glob("*.deb"):
        run(["dpkg-deb", "-x", package, folder], "unpacking", cache)
        package.unlink()
    shutil.rmtree(state)


def _mirror():
    """Return the address of the Debian mirror in this computer's own apt configuration."""
    argv = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Origin: Debian"]
    listed = subprocess.run(argv, capture_output=True, text=True).stdout.split()
    # The security archive holds no whole suite.
    mirrors = [uri for uri in listed if "security" not in uri]
    if not mirrors:
        raise Problem(
            "no Debian mirror is known: run `apt-get update`, or set DEBIAN_MIRROR=address"
        )
    return mirrors[0]


def _release():
    """Return the name of this computer's release of Debian; raise Problem on another system."""
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        release = {}
    if release.get("ID") != "debian" or "VERSION_CODENAME" not in release:
        raise Problem("this computer does not run a release of Debian")
    return release["VERSION_CODENAME"]


def libcoap(program, cache=CACHE):
    """Return the beginning of a command that runs LIBCOAP_CLIENT or LIBCOAP_SERVER, with OSCORE.

    Debian 12 has a libcoap without OSCORE. That of Debian 13 is unpacked into the cache and runs
    with the C library of its own release; coap-oscore-conf(5) describes its key files.

    Raises:
        Problem: there are no such programs for this computer, or they cannot be fetched.
    """
    machine = platform.machine()
    if machine not in LOADERS or platform.system() != "Linux":
        raise Problem(f"libcoap with OSCORE comes from Debian, which is not for {machine}")
    usr = unpacked("libcoap-trixie", LIBCOAP, cache=cache) / "usr"
    libraries = usr / "lib" / f"{machine}-linux-gnu"
    return [libraries / LOADERS[machine], "--library-path", libraries, usr / "bin" / program]


def install_from_pypi(root=ROOT, cache=CACHE):
    """Bring .venv to what requirements-dev.txt says."""
    requirements, folder = root / "requirements-dev.txt", root / ".venv"
    stamp = folder / "stamp"
    # A virtual environment works neither from another folder nor with another Python.
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    place = f"{root} {version} {os.path.realpath(sys.executable)}"
    contents = hashlib.sha256(requirements.read_bytes()).hexdigest()
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
    # Without --no-deps the packages of recordings would bring theirs.
    run([*pip, "install", "--no-deps", "-r", requirements], "pip install", cache)
    stamp.write_text(f"{place}\n{contents}\n")


def install_for_gateway(root=ROOT, cache=CACHE):
    """Bring .venv to what the gateway's own requirements say, after install_from_pypi()."""
    requirements = root / "tools" / "gateway" / "requirements.txt"
    # within .venv, so that it goes when that is made anew
    stamp = root / ".venv" / "gateway-stamp"
    contents = hashlib.sha256(requirements.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == contents:
        return
    say("Installing the Python packages of tools/gateway (once, some seconds)")
    pip = [root / ".venv" / "bin" / "python", "-m", "pip", "--disable-pip-version-check"]
    run([*pip, "install", "--no-deps", "-r", requirements], "pip install", cache)
    stamp.write_text(contents)


def install_from_npm(folder=NPM, cache=CACHE):
    """Bring tools/js/node_modules to what package-lock.json says.

    Raises:
        Problem: Node.js or npm is missing or too old, or npm failed.
    """
    stamp = folder / "node_modules" / "stamp"
    contents = hashlib.sha256((folder / "package-lock.json").read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == contents:
        return
    find_node()
    say("Installing the npm packages of tools/js")
    run(["npm", "ci", "--no-audit", "--no-fund"], "npm ci", cache, cwd=folder)
    stamp.write_text(contents)


def find_node(which=shutil.which):
    """Return the path of Node.js; raise Problem when it, or npm, is missing or too old."""
    path = which("node")
    if path is None:
        raise Problem("Node.js 20 or newer is not installed: install it, then `make setup`")
    version = subprocess.run([path, "--version"], capture_output=True, text=True).stdout.strip()
    major = version.removeprefix("v").split(".")[0]
    if not major.isdigit() or int(major) < OLDEST_NODE:
        raise Problem(f"Node.js {version} is too old: install 20 or newer, then `make setup`")
    return path
